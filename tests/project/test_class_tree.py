"""Classes with parents: what annotator.toml may say, and what the tree answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from annotator.errors import ProjectError
from annotator.project.class_tree import ClassTree, expand_paths
from annotator.project.classes import ClassInfo
from annotator.project.project import ProjectFolder, append_classes
from annotator.project.settings import Settings, format_settings, read_settings

PATHS = ("vehicle/car", "cat", "vehicle/bus", "animal/dog/poodle", "animal/dog/pug")


def _tree(*paths: str) -> ClassTree:
    return ClassTree.of(expand_paths([ClassInfo(path) for path in paths or PATHS]))


def _toml(folder: Path, *pairs: tuple[str, str], more: str = "") -> Path:
    tables = [
        f'[[classes]]\nname = "{name}"\n' + (f'parent = "{parent}"\n' if parent else "")
        for name, parent in pairs
    ]
    file = folder / "annotator.toml"
    file.write_text(more + "\n".join(tables))
    return file


def test_a_path_makes_its_parents_once_and_before_the_child() -> None:
    tree = _tree()
    assert tuple(tree.parents) == (
        "vehicle", "car", "cat", "bus", "animal", "dog", "poodle", "pug",
    )  # fmt: skip
    assert tree.path("pug") == "animal/dog/pug"
    assert tree.leaves == ("car", "cat", "bus", "poodle", "pug")


def test_each_class_is_followed_by_those_below_it() -> None:
    assert _tree().order == ("vehicle", "car", "bus", "cat", "animal", "dog", "poodle", "pug")
    assert _tree("b", "a", "c").order == ("b", "a", "c")


def test_a_parent_that_is_described_later_keeps_its_description() -> None:
    found = expand_paths([ClassInfo("vehicle/car"), ClassInfo("vehicle", key="v")])
    assert [(info.name, info.parent, info.key) for info in found] == [
        ("vehicle", None, "v"), ("car", "vehicle", None),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        (("a/x", "b/x"), "x has two parents: a and b"),
        (("/car",), "empty part"),
        (("car/",), "empty part"),
        (("a/b", "a/b"), "b is named twice"),
    ],
)
def test_a_path_that_has_no_place_in_a_tree_is_refused(
    paths: tuple[str, ...], message: str
) -> None:
    with pytest.raises(ProjectError, match=message):
        _tree(*paths)


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ([("vehicle", ""), ("car", "vehicel")], r"line 5, class car: .*Did you mean 'vehicle'\?"),
        ([("ok", ""), ("car", "zzz")], r"line 5, class car: .*Add a \[\[classes\]\] table"),
        ([("a", "b"), ("b", "a")], r"line 2, .*a circle: a → b → a"),
        ([("a", "a")], "a circle: a → a"),
        ([("top", ""), ("a", "top"), ("x", "y"), ("y", "x")], "class x: .*a circle: x → y → x"),
        ([("a", ""), ("b", "a"), ("a/c", "")], "class a/c: a name with / reads as a path"),
    ],
)
def test_a_fault_of_a_parent_is_named_with_its_line_and_remedy(
    tmp_path: Path, pairs: list[tuple[str, str]], message: str
) -> None:
    with pytest.raises(ProjectError, match=message):
        read_settings(_toml(tmp_path, *pairs))


def test_a_flat_project_may_have_names_with_a_slash(tmp_path: Path) -> None:
    assert read_settings(_toml(tmp_path, ("n/a", ""), ("ok", ""))).tree.is_flat


def test_several_labels_an_item_and_a_hierarchy_exclude_each_other(tmp_path: Path) -> None:
    file = _toml(tmp_path, ("a", ""), ("b", "a"), more="multi_label = true\n")
    with pytest.raises(ProjectError, match="Remove one of the two"):
        read_settings(file)
    classes = (ClassInfo("a"), ClassInfo("b", parent="a"))
    with pytest.raises(ProjectError, match="Remove one of the two"):
        ProjectFolder.create(tmp_path / "p", Settings(classes, multi_label=True))


def test_the_parents_survive_writing_and_adding_classes(tmp_path: Path) -> None:
    classes = (ClassInfo("a"), ClassInfo("b", parent="a"))
    project = ProjectFolder.create(tmp_path / "p", Settings(classes))
    assert 'parent = "a"' in format_settings(project.settings)
    assert append_classes(project, ["c"]).settings.tree.parents == {"a": None, "b": "a", "c": None}


def test_a_class_is_within_itself_and_all_above_it() -> None:
    tree = _tree()
    assert tree.is_within("pug", "animal")
    assert tree.is_within("pug", "pug")
    assert not tree.is_within("animal", "pug")
    assert not tree.is_within("car", "animal")
    assert not tree.is_within("gone", "animal")  # a label of a class that was removed
    assert tree.agree("animal", "pug")
    assert not tree.agree("dog", "cat")


@pytest.mark.parametrize(
    ("name", "level", "expected"),
    [
        ("pug", 1, "animal"),
        ("pug", 2, "dog"),
        ("pug", 3, "pug"),
        ("pug", None, "pug"),
        ("cat", 3, "cat"),  # a leaf has nothing finer
        ("dog", None, None),
        ("dog", 3, None),
        ("animal", 2, None),
    ],
)
def test_a_class_at_a_level(name: str, level: int | None, expected: str | None) -> None:
    assert _tree().at_level(name, level) == expected


def test_probabilities_and_counts_of_a_class_include_those_below_it() -> None:
    tree = _tree()
    sums = tree.sum_up({"car": 0.25, "bus": 0.25, "pug": 0.5})
    assert (sums["vehicle"], sums["animal"], sums["dog"], sums["cat"]) == (0.5, 0.5, 0.5, 0.0)
    assert tree.counts({"car": 2, "vehicle": 1})["vehicle"] == 3
    flat = _tree("a", "b")
    assert flat.sum_up({"a": 0.4, "b": 0.6}) == {"a": 0.4, "b": 0.6}
