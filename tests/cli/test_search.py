"""`annotator search` and `--only`: queries as they are typed in a shell."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from annotator.curate.query import ITEM_STATES, NUMBER_WORDS, TEXT_WORDS
from tests.cli.command_line import annotator, bad, good, make_images, on_terminal


@pytest.fixture
def project(tmp_path: Path) -> Path:
    names = [f"{site}/{n}.png" for site in ("a", "b") for n in range(4)]
    make_images(tmp_path / "images", *names)
    table = ["filename,camera", *(f"{name},{n % 3}" for n, name in enumerate(names))]
    (tmp_path / "refs.csv").write_text("\n".join(table) + "\n")
    good("init", tmp_path / "p", "--refs", tmp_path / "refs.csv", "--images", tmp_path / "images",
         "--classes", "ok,bad")  # fmt: skip
    (tmp_path / "labels.csv").write_text("filename,label\na/0.png,ok\na/1.png,bad\nb/0.png,ok\n")
    good("import", tmp_path / "p", tmp_path / "labels.csv")
    return tmp_path / "p"


def found(project: Path, *words: str) -> list[str]:
    return good("search", project, *words).split()


def test_a_minus_needs_no_dashes_before_it(project: Path) -> None:
    assert found(project, "labelled", "-label:ok") == ["a/1.png"]
    assert found(project, "-label:ok", "-camera=1", "-n", "1") == ["a/2.png"]
    assert found(project, "-b", "-open", "-n20") == ["a/0.png", "a/1.png"]
    assert found(project, "--", "-open", "-label:bad") == ["a/0.png", "b/0.png"]


def test_a_query_of_one_argument_or_of_several(project: Path) -> None:
    assert found(project, "CAMERA=1 open") == found(project, "camera=1", "OPEN") == ["b/3.png"]


def test_no_hit_says_so_and_an_unknown_word_is_an_error(project: Path) -> None:
    ran = annotator("search", project, "labeled")
    assert (ran.returncode, ran.stdout) == (0, "")
    assert "No item matches 'labeled'" in ran.stderr and "Did you mean labelled?" in ran.stderr
    assert "Did you mean label:CLASS" in bad("search", project, "lable:ok")
    assert "give a query" in bad("search", project, code=2)


def test_searches_are_saved_listed_used_and_forgotten(project: Path) -> None:
    saved = annotator("search", project, "camera=1", "open", "--save", "night")
    assert saved.stdout.split() == ["b/3.png"]
    assert "@night saved" in saved.stderr and "--only @night" in saved.stderr
    assert good("search", project, "--list") == "@night  camera=1 open\n"
    assert json.loads(good("search", project, "--list", "--json")) == {"night": "camera=1 open"}
    assert found(project, "-@night", "open") == ["a/2.png", "a/3.png", "b/1.png", "b/2.png"]
    assert "in a circle" in bad("search", project, "@night", "--save", "night")
    assert "letters, digits" in bad("search", project, "open", "--save", "a b", code=2)
    good("search", project, "--forget", "@night")
    assert "@night is not a saved search" in bad("search", project, "@night")
    assert good("search", project, "--list") == ""


def test_measuring_makes_sizes_known(project: Path) -> None:
    ran = annotator("search", project, "size<1000", "--json")
    assert json.loads(ran.stdout)["total"] == 0
    assert "8 items of unknown size" in json.loads(ran.stdout)["notes"][0]
    assert len(found(project, "size<1000", "--measure")) == 8
    assert len(found(project, "brightness>=0")) == 8


def test_exports_take_a_query_beside_their_own_words(project: Path) -> None:
    def refs(*options: str) -> list[str]:
        text = good("export", project, "-", "--format", "jsonl", *options)
        return [json.loads(line)["filename"] for line in text.splitlines()]

    assert refs("--only", "camera=0 -open") == ["a/0.png"]
    assert refs("--only", "labelled", "--only", "path:b/*") == ["b/0.png"]
    assert refs("--only", "-label:ok", "--only", "labelled") == ["a/1.png"]
    good("search", project, "label:ok", "--save", "fine")
    assert refs("--only", "@fine") == ["a/0.png", "b/0.png"]
    assert "No item matches" in bad("export", project, "-", "--only", "camera=9")


def test_run_and_browse_refuse_a_query_without_an_item(project: Path) -> None:
    for command in ("run", "browse"):
        assert "No item matches" in on_terminal(command, project, "--only", "camera=9")


def test_the_help_and_the_page_name_every_word() -> None:
    help_ = good("search", "--help")
    page = (Path(__file__).parents[2] / "docs/search.md").read_text("utf-8")
    signs = {rf"\b{word}[<>=]" for word in NUMBER_WORDS}
    words = {f"{word}:" for word in TEXT_WORDS} | signs | {*ITEM_STATES}
    assert [word for word in words if not re.search(word, page)] == []
    again = {"class:"}  # is label: by another name
    assert [word for word in words - again if not re.search(word, help_)] == []
