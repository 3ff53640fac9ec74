"""A new project is there whole or not at all, and `init` works again after any kill."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from PIL import Image

from annotator.errors import ProjectError
from annotator.formats.new_project import create_from_refs
from annotator.log.store.open import load_log_state
from annotator.project.item_pool import load_refs
from annotator.project.project import ProjectFolder, is_project
from annotator.project.settings import ClassInfo, Settings
from annotator.project.staging import stage_project
from annotator.proposals.opening import open_proposal_project
from tests.kill_points import kill_at

SETTINGS = Settings(classes=(ClassInfo("ok"), ClassInfo("bad")))
STEPS = [
    *((os, name) for name in ("replace", "rename", "unlink", "rmdir", "fsync", "mkdir")),
    (shutil, "rmtree"),
]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    (tmp_path / "im").mkdir()
    for name in "abcd":
        Image.new("RGB", (8, 8)).save(tmp_path / "im" / f"{name}.png")
    file = tmp_path / "t.csv"
    file.write_text("filename,label\na.png,ok\nb.png,bad\nc.png,ok\nd.png,\n")
    return file


@pytest.mark.parametrize("place", ["new", "empty", "used", "own table"])
def test_init_works_again_wherever_it_is_killed(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    for step in range(60):
        folder = tmp_path / f"{step}" / "p"
        folder.parent.mkdir()
        refs = table
        if place != "new":
            folder.mkdir()
        if place == "used":
            (folder / "notes.txt").write_text("mine")
        if place == "own table":
            refs = folder / "refs.csv"
            refs.write_text(table.read_text())

        def make(folder: Path = folder, refs: Path = refs) -> object:
            return create_from_refs(folder, refs, SETTINGS, images=tmp_path / "im")

        killed = kill_at(monkeypatch, step, make, STEPS)
        if not is_project(folder):
            make()
        assert list(load_refs(ProjectFolder.open(folder))) == [f"{name}.png" for name in "abcd"]
        assert len(load_log_state(ProjectFolder.open(folder)).standing) == 3
        assert place != "used" or (folder / "notes.txt").read_text() == "mine"
        assert [path.name for path in folder.parent.iterdir() if not killed] in ([], ["p"])
        if not killed:
            break
    assert step > 4
    assert not killed


def test_a_project_of_proposals_is_made_whole(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for step in range(40):
        folder = tmp_path / str(step)

        def make(folder: Path = folder) -> object:
            return open_proposal_project(tmp_path / "im", folder)

        killed = kill_at(monkeypatch, step, make, STEPS)
        make()
        assert list(load_refs(ProjectFolder.open(folder))) == []
        if not killed:
            return
    raise AssertionError("it never ended")


def test_a_living_process_keeps_its_hidden_folder(tmp_path: Path) -> None:
    with stage_project(tmp_path / "p") as first:
        (first / "file").write_text("one")
        (first / "annotator.toml").write_text("")
        with stage_project(tmp_path / "p") as second:
            (second / "file").write_text("two")
        assert (first / "file").read_text() == "one"
        (tmp_path / "p" / "more").write_text("more")
    assert (tmp_path / "p" / "file").read_text() == "one"


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(ProjectError, match="file/p: .*Name another folder"),
        stage_project(tmp_path / "file" / "p"),
    ):
        pass
