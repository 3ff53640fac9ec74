"""Files of classes: lists and YAML; every fault has its line and what to write instead."""

from __future__ import annotations

from pathlib import Path

import pytest

from annotator.errors import ProjectError
from annotator.formats.class_files import read_class_file
from annotator.project.classes import ClassInfo

DOG = ClassInfo("dog", "x", "barks", ("hound", "pup"))


def read(tmp_path: Path, content: str | bytes, name: str = "classes.yaml") -> list[ClassInfo]:
    file = tmp_path / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return list(read_class_file(file))


@pytest.mark.parametrize(
    "content",
    [
        "- cat\n- name: dog\n  key: x\n  description: barks\n  synonyms: [hound, pup]\n",
        "cat:\ndog:\n  key: x\n  description: barks\n  synonyms:\n    - hound\n    - pup\n",
        '{"classes": ["cat", {"name": "dog", "key": "x", "description": "barks", '
        '"synonyms": ["hound", "pup"]}]}',
    ],
)
def test_a_class_of_a_yaml_file_has_its_key_and_description(tmp_path: Path, content: str) -> None:
    assert read(tmp_path, content) == [ClassInfo("cat"), DOG]


@pytest.mark.parametrize(
    "content",
    ["names: [no, yes, 1.0]", "path: x\nnc: 3\nnames:\n  0: no\n  1: yes\n  2: 1.0\n",
     "- no\n- yes\n- 1.0\n", "no:\nyes:\n1.0:\n"],
)  # fmt: skip
def test_names_are_texts_whatever_yaml_would_make_of_them(tmp_path: Path, content: str) -> None:
    assert [one.name for one in read(tmp_path, content)] == ["no", "yes", "1.0"]


def test_a_mapping_may_give_only_descriptions(tmp_path: Path) -> None:
    assert read(tmp_path, "ok: no defect\ncrack: '1 mm or longer'\n") == [
        ClassInfo("ok", description="no defect"),
        ClassInfo("crack", description="1 mm or longer"),
    ]


@pytest.mark.parametrize(
    ("name", "content"),
    [("c.txt", "cat\nvehicle/car\nvehicle/bus\n"), ("c.yml", "[cat, vehicle/car, vehicle/bus]")],
)
def test_a_path_is_a_class_within_another(tmp_path: Path, name: str, content: str) -> None:
    assert [(one.name, one.parent) for one in read(tmp_path, content, name)] == [
        ("cat", None), ("vehicle", None), ("car", "vehicle"), ("bus", "vehicle"),
    ]  # fmt: skip


def test_all_faults_are_named_at_once_with_their_lines(tmp_path: Path) -> None:
    with pytest.raises(ProjectError) as caught:
        read(tmp_path, "- cat\n- name: dog\n  kez: x\n- cat\n- [a]\n- name: ox\n  synonyms: a\n")
    lines = str(caught.value).splitlines()[1:]
    assert [line.split(",")[0].split(":")[0].strip() for line in lines] == [
        "line 2", "line 4", "line 5", "line 6",
    ]  # fmt: skip
    assert "keys are name" in lines[0] and "line 1, too: remove one" in lines[1]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("c.txt", "cat\n\ncat\n", "line 3, class cat is on line 1, too: remove one"),
        ("c.txt", "", "there is no class"),
        ("c.yaml", "# nothing yet\n", "there is no class"),
        ("c.yaml", "just a text", "line 1: should be a list of classes"),
        ("c.yaml", "- cat\n- [dog\n", "that begins on line 2"),
        ("c.yaml", "- !!python/object:os.system {}\n", "line 1: tags"),
        ("c.yaml", "&a [x, *a]", "line 1"),
        ("c.yaml", "[" * 99 + "]" * 99, "nested too deeply"),
        ("c.yaml", "- a\n---\n- b\n", "line 3: a second document"),
        ("c.txt", b"ok\ncaf\xe9\n", "line 2: is not UTF-8. Convert"),
        ("c.csv", "a,b\n", "one name a line"),
        ("c.json", '["a"]', "one name a line"),
    ],
)
def test_a_faulty_file_is_refused_with_the_place_and_the_remedy(
    tmp_path: Path, name: str, content: str | bytes, words: str
) -> None:
    with pytest.raises(ProjectError) as caught:
        read(tmp_path, content, name)
    assert words in str(caught.value) and name in str(caught.value)


def test_a_thousand_classes_are_read(tmp_path: Path) -> None:
    names = [f"class {number}" for number in range(1000)]
    assert [one.name for one in read(tmp_path, "\n".join(names), "c.txt")] == names
