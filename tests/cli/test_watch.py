"""`run --watch` and `add --watch`: what they refuse, and what they say."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.command_line import bad, good, make_images


@pytest.fixture
def project(tmp_path: Path) -> Path:
    make_images(tmp_path / "photos", "a.png", "b.png")
    good("init", tmp_path / "p", "--images", tmp_path / "photos", "--classes", "ok,bad")
    return tmp_path / "p"


@pytest.mark.parametrize(
    "other", [("--second",), ("--only", "label:ok"), ("--refine", "ok")], ids=lambda o: o[0]
)
def test_a_session_of_some_items_watches_no_folder(project: Path, other: tuple[str, ...]) -> None:
    said = bad("run", project, "--watch", *other, code=2)
    assert "--watch" in said and "--second, --only or --refine" in said


def test_boxes_do_not_come_as_whole_images(project: Path) -> None:
    (project / "refs.csv").write_text('filename,bbox\na.png,"1,2,10,10"\n')
    said = bad("run", project, "--watch")
    assert "every item of this project is a box" in said and "annotator detect" in said


def test_a_watch_needs_a_folder_that_is_there(project: Path) -> None:
    assert "needs --images DIR" in bad("add", project, "--class", "odd", "--watch", code=2)
    assert "is not a folder" in bad("add", project, "--images", project / "no", "--watch")
