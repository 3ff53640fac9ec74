"""browse: what its flags mean together, and what a project knows of its classes."""

from __future__ import annotations

from pathlib import Path

import pytest

from annotator.cli.browse import build_page_request
from annotator.errors import ProjectError
from annotator.pages import PageOrder, SelectionMode
from annotator.project.project import ProjectFolder
from annotator.project.settings import ClassInfo, Settings


def project(folder: Path, *names: str) -> ProjectFolder:
    return ProjectFolder.create(folder / "p", Settings(tuple(map(ClassInfo, names))))


def flags(**more: object) -> dict[str, object]:
    none = {"label": None, "select": "", "negative": None, "order": "", "like": None}
    return {**none, "per_page": 48, **more}


def test_in_a_project_of_two_classes_the_rest_is_the_other_one(tmp_path: Path) -> None:
    wish = build_page_request(project(tmp_path, "ok", "defect"), **flags(label="defect"))  # type: ignore[arg-type]
    assert (wish.select, wish.negative, wish.order) == (
        SelectionMode.POSITIVES,
        "ok",
        PageOrder.RANDOM,
    )


def test_with_more_classes_the_rest_stays_open_unless_it_is_named(tmp_path: Path) -> None:
    three = project(tmp_path, "a", "b", "c")
    assert build_page_request(three, **flags(label="a")).select is SelectionMode.POSITIVES_ONLY  # type: ignore[arg-type]
    named = build_page_request(three, **flags(label="a", negative="c"))  # type: ignore[arg-type]
    assert (named.select, named.negative) == (SelectionMode.POSITIVES, "c")
    assert build_page_request(three, **flags(like="x.jpg")).order is PageOrder.SIMILAR  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"label": "nix"}, "no class 'nix'; choose one of a, b, c"),
        ({"label": "a", "select": "positives"}, "--negative b"),
        ({"label": "a", "negative": "a"}, "name the same class"),
        ({"order": "similar"}, "--like REF"),
        ({"select": "positives"}, "--class NAME"),
        ({"select": "some", "order": "odd"}, "no --order 'odd'"),
    ],
)
def test_what_does_not_go_together_is_said_with_the_remedy(
    tmp_path: Path, given: dict[str, object], words: str
) -> None:
    with pytest.raises(ProjectError, match=words):
        build_page_request(project(tmp_path, "a", "b", "c"), **flags(**given))  # type: ignore[arg-type]


def test_a_class_keeps_its_synonyms_link_and_examples(tmp_path: Path) -> None:
    info = ClassInfo("daisy", None, "White rays.", ("Bellis",), "https://x.y", ("a.jpg", "b.jpg"))
    ProjectFolder.create(tmp_path / "p", Settings((info, ClassInfo("rose"))))
    assert ProjectFolder.open(tmp_path / "p").settings.classes == (info, ClassInfo("rose"))


def test_faults_of_a_class_are_named(tmp_path: Path) -> None:
    made = project(tmp_path, "daisy")
    file = made.folder / "annotator.toml"
    file.write_text(file.read_text() + 'synonyms = "Bellis"\nexamples = [1]\ncolour = "white"\n')
    with pytest.raises(ProjectError) as found:
        ProjectFolder.open(made.folder)
    for words in ("synonyms", "examples", "colour: not a key of a class"):
        assert words in str(found.value)
