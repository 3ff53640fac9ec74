"""A refs.csv that has changed on the disk is read as it is, and the doctor says so."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from annotator.doctor.project import check_project
from annotator.doctor.repair import repair_project
from annotator.formats import new_project
from annotator.items.refs import Item
from annotator.project import refs_csv
from annotator.project.item_pool import load_refs
from annotator.project.project import ProjectFolder
from annotator.project.refs_csv import NewItem, append_items
from annotator.project.settings import ClassInfo, Settings


@pytest.fixture
def project(tmp_path: Path) -> ProjectFolder:
    (tmp_path / "im").mkdir()
    for number in range(4):
        Image.new("RGB", (8, 8)).save(tmp_path / "im" / f"{number}.png")
    settings = Settings(classes=(ClassInfo("a"), ClassInfo("b")))
    new_project.create_from_folder(tmp_path / "p", tmp_path / "im", settings)
    opened = ProjectFolder.open(tmp_path / "p")
    load_refs(opened)
    return opened


def say(project: ProjectFolder) -> list[str]:
    found = [finding for finding in check_project(project.folder) if finding.name == "refs.csv"]
    return [finding.detail for finding in found]


def add(project: ProjectFolder, ref: str) -> None:
    append_items(project, [NewItem(Item.parse(ref))])


def test_what_annotator_writes_is_no_change(project: ProjectFolder) -> None:
    assert not say(project)
    add(project, "more/x.png")
    project.refs_file.touch()
    assert not say(project)
    append_items(project, (), removed={"1.png"})
    assert not say(project)
    assert list(load_refs(project)) == ["0.png", "2.png", "3.png", "more/x.png"]


def test_a_change_is_said_until_it_is_accepted(project: ProjectFolder) -> None:
    whole = project.refs_file.read_bytes()
    project.refs_file.write_bytes(whole.replace(b"2.png", b"6.png"))
    for _ in range(2):
        assert say(project) == ["has changed since annotator wrote it (33 bytes then, 33 now)"]
        assert "6.png" in load_refs(project)
    add(project, "x.png")  # the first change is not forgotten
    assert len(say(project)) == 1
    (line,) = repair_project(project.folder)
    assert line == "refs.csv: it has changed since annotator wrote it, and is taken as it is"
    assert not say(project)
    assert not list(repair_project(project.folder))


def test_a_copy_that_is_put_back_is_no_change(project: ProjectFolder) -> None:
    whole = project.refs_file.read_bytes()
    project.refs_file.write_bytes(whole[:-3])
    assert say(project)
    project.refs_file.write_bytes(whole)
    assert not say(project)


def test_a_kill_before_or_after_the_file_is_replaced_is_no_change(
    project: ProjectFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(refs_csv, "write_atomically", die)
    with pytest.raises(KeyboardInterrupt):
        add(project, "x.png")
    monkeypatch.undo()
    assert not say(project)
    add(project, "y.png")
    assert not say(project)


@pytest.mark.parametrize("text", [b"", b"5 abc\n", b"\xff", b"12 00\n12 00\n12 00\n"])
def test_a_damaged_sum_is_ignored(project: ProjectFolder, text: bytes) -> None:
    (project.folder / ".cache/refs-sum.txt").write_bytes(text)
    assert not say(project)
    assert len(load_refs(project)) == 4
