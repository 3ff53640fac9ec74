"""Classes on the command line: names, or a file of names; searches without a class."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from annotator.cli.app import app
from annotator.cli.project_options import parse_classes
from annotator.errors import ProjectError
from annotator.project.project import ProjectFolder


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Four items; two have a label."""
    refs, labels = tmp_path / "refs.csv", tmp_path / "labels.csv"
    for name in ("a", "b", "hand", "d"):
        (tmp_path / f"{name}.jpg").write_bytes(b"")
    refs.write_text("filename\na.jpg\nb.jpg\nhand.jpg\nd.jpg\n")
    labels.write_text("filename,label\na.jpg,no hand\nb.jpg,ok\n")
    for words in (
        ["init", tmp_path / "p", "--refs", refs, "--classes", "ok,no hand"],
        ["import", tmp_path / "p", labels],
    ):
        assert CliRunner().invoke(app, list(map(str, words))).exit_code == 0
    return tmp_path / "p"


def names(text: str) -> list[str]:
    return [one.name for one in parse_classes(text)]


@pytest.mark.parametrize(
    "content", ["cat\ndog, small\n", "\ufeffcat\r\ndog, small\r\n\r\n", "  cat \n\n dog, small"]
)
def test_a_file_of_classes_has_one_name_a_line(tmp_path: Path, content: str) -> None:
    file = tmp_path / "classes.txt"
    file.write_bytes(content.encode())
    assert names(str(file)) == ["cat", "dog, small"]
    assert names("classes.txt, other") == ["classes.txt", "other"]  # a list, not a file


@pytest.mark.parametrize("name", ["classes.txt", "data.yaml", "classes.json", "Classes.TXT"])
def test_a_file_that_is_absent_or_no_list_of_names_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ProjectError, match="one name a line"):
        parse_classes(str(tmp_path / name))


@pytest.mark.parametrize(
    ("terms", "found"),
    [
        (["-label:ok"], "a.jpg hand.jpg d.jpg"),
        (["labelled", '-label:"no hand"'], "b.jpg"),
        (["-n", "9", "-class:ok", "-open"], "a.jpg"),
        (["-label:ok -labelled"], "hand.jpg d.jpg"),
        (['-label:"no hand"'], "b.jpg hand.jpg d.jpg"),
        (["--", "-labelled"], "hand.jpg d.jpg"),
        (["-labelled", "--", "-hand"], "d.jpg"),
        (["-*d.jpg"], "a.jpg b.jpg"),
    ],
)
def test_a_negated_term_is_not_taken_for_an_option(
    project: Path, terms: list[str], found: str
) -> None:
    result = CliRunner().invoke(app, ["search", str(project), *terms])
    assert result.exit_code == 0, result.output
    assert result.stdout.split() == found.split()


def test_the_project_has_the_classes_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "c.txt").write_text("a\nb\n")
    words = ["init", tmp_path / "p", "--images", tmp_path / "x", "--classes", tmp_path / "c.txt"]
    CliRunner().invoke(app, list(map(str, words)))
    assert ProjectFolder.open(tmp_path / "p").settings.names == ("a", "b")


def invoke(*words: object) -> Result:
    return CliRunner().invoke(app, list(map(str, words)))


def said(result: Result) -> str:
    return f"{result.output}{result.exception or ''}"


def test_init_run_and_add_take_the_same_file(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    file, folder = tmp_path / "c.yaml", tmp_path / "p"
    file.write_text("ok: fine\ncrack: {key: x, description: a line}\n")
    assert invoke("init", folder, "--images", tmp_path / "x", "--classes", "ok").exit_code == 0
    assert invoke("add", folder, "--classes", file).exit_code == 0
    infos = ProjectFolder.open(folder).settings.classes
    assert [(one.name, one.key, one.description) for one in infos] == [
        ("ok", None, ""), ("crack", "x", "a line"),
    ]  # fmt: skip
    again = invoke("add", folder, "--classes", file)
    assert again.exit_code == 0 and "none, the project has them all" in again.output
    same = invoke("run", folder, "--classes", file)
    assert "needs a terminal" in said(same)  # the classes are those of the project
    file.write_text("ok:\ncrack:\ndent:\n")
    other = invoke("run", folder, "--classes", file)
    assert f"annotator add {folder} --classes {file}" in said(other)


@pytest.mark.parametrize("command", ["init", "add"])
def test_a_key_of_a_file_that_means_something_else_is_refused(tmp_path: Path, command: str) -> None:
    (tmp_path / "x").mkdir()
    file, folder = tmp_path / "c.yaml", tmp_path / "p"
    file.write_text("crack: {key: s}\n")
    if command == "add":
        assert invoke("init", folder, "--images", tmp_path / "x", "--classes", "ok").exit_code == 0
    words = ["--images", tmp_path / "x"] if command == "init" else []
    result = invoke(command, folder, *words, "--classes", file)
    assert result.exit_code and "'s' is skip" in said(result)
    assert command == "add" or not folder.exists()


def test_new_classes_may_not_be_in_the_project_if_they_are_named_one_by_one(
    tmp_path: Path,
) -> None:
    (tmp_path / "x").mkdir()
    folder = tmp_path / "p"
    assert invoke("init", folder, "--images", tmp_path / "x", "--classes", "ok").exit_code == 0
    assert "named twice" in said(invoke("add", folder, "--class", "ok"))
    assert invoke("add", folder, "--class", "new", "--classes", "ok,new,more").exit_code == 0
    assert ProjectFolder.open(folder).settings.names == ("ok", "new", "more")
