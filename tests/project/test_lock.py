"""Two processes that change one project at once: both changes stand."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from annotator.errors import ProjectError
from annotator.items.refs import Item
from annotator.project import item_pool, lock
from annotator.project.item_pool import load_refs, read_priorities
from annotator.project.lock import lock_project
from annotator.project.project import ProjectFolder
from annotator.project.refs_csv import NewItem, append_items
from annotator.project.settings import ClassInfo, Settings

_CHANGES = {
    "items": "append_items(project, [NewItem(Item(f'{name}{at}.png'))])",
    "shared": "append_items(project, [NewItem(Item(f'same{at}.png'))])",
    "added": "append_new_items(project, [Item(f'{name}{at}.png')])",
    "classes": "append_classes(project, [f'{name}{at}'])",
    "numbers": "assign_class_ids(SimpleNamespace(project=project, level=None, note=print, "
    "classes=[f'{name}{at}']), 'coco', 1)",
    "priorities": "write_priorities(project, [Priority(f'{name}{at}', name)], replace='no')",
}
_PROGRAM = """
import sys, time
from pathlib import Path
from types import SimpleNamespace
from annotator.formats.class_ids import assign_class_ids
from annotator.items.refs import Item
from annotator.project.adding import append_new_items
from annotator.project.item_pool import Priority, write_priorities
from annotator.project.project import ProjectFolder, append_classes
from annotator.project.refs_csv import NewItem, append_items
project, name = ProjectFolder.open(Path(sys.argv[1])), sys.argv[2]
while time.time() < float(sys.argv[3]):
    pass
for at in range(15):
    {change}
"""


@pytest.fixture
def project(tmp_path: Path) -> ProjectFolder:
    made = ProjectFolder.create(
        tmp_path / "p", Settings(classes=(ClassInfo("ok"), ClassInfo("bad")), images=".")
    )
    made.refs_file.write_text("filename\nfirst.png\n")
    return made


@pytest.mark.parametrize("kind", _CHANGES)
def test_two_processes_lose_no_change(project: ProjectFolder, kind: str) -> None:
    program = _PROGRAM.format(change=_CHANGES[kind])
    start = str(time.time() + 3)
    children = [
        subprocess.Popen([sys.executable, "-c", program, str(project.folder), name, start])
        for name in "xy"
    ]
    assert [child.wait(60) for child in children] == [0, 0]
    again = ProjectFolder.open(project.folder)
    wanted = {f"{name}{at}" for name in "xy" for at in range(15)}
    if kind == "classes":
        assert set(again.settings.names) == wanted | {"ok", "bad"}
    elif kind == "numbers":
        numbers = json.loads((project.folder / "class-ids.json").read_text())["coco"]
        assert set(numbers) == wanted
        assert sorted(numbers.values()) == list(range(1, 31))
    elif kind == "priorities":
        assert {first.ref for first in read_priorities(again)} == wanted
    else:
        shared = {f"same{at}" for at in range(15)}
        names = {ref.removesuffix(".png") for ref in load_refs(again)}
        assert names == (shared if kind == "shared" else wanted) | {"first"}
        assert len(load_refs(again)) == len(names)


def test_a_thread_takes_the_lock_again_and_others_wait_for_it(
    project: ProjectFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "_PATIENCE", 0.1)
    code = (
        "import sys; from pathlib import Path; from annotator.project import lock\n"
        "lock._PATIENCE = 0.1\n"
        "with lock.lock_project(Path(sys.argv[1])): pass\n"
    )
    command = [sys.executable, "-c", code, str(project.folder)]
    with lock_project(project.folder), lock_project(project.folder):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert "is being changed by another process" in done.stderr
        append_items(project, [NewItem(Item("second.png"))])
    assert subprocess.run(command, check=False).returncode == 0
    assert list(load_refs(project)) == ["first.png", "second.png"]


def test_a_project_that_cannot_be_locked_is_changed_without_the_lock(
    project: ProjectFolder,
) -> None:
    (project.folder / ".cache").write_text("in the way")
    append_items(project, [NewItem(Item("second.png"))])
    assert list(load_refs(project)) == ["first.png", "second.png"]


def test_temporary_files_of_killed_processes_are_removed(project: ProjectFolder) -> None:
    (project.folder / ".cache").mkdir(exist_ok=True)
    names = (".refs.csv.abcd_123", ".cache/.measures.npz.abcd_123", ".notes.csv.12345678")
    *old, foreign = (project.folder / name for name in names)
    new = project.folder / ".refs.csv.12345678"
    for file in (*old, new, foreign):
        file.write_text("half")
    for file in (*old, foreign):
        os.utime(file, (1, 1))
    with lock_project(project.folder):
        pass
    assert [file.exists() for file in (*old, new, foreign)] == [False, False, True, True]


@pytest.mark.parametrize("name", ["refs.txt", "refs.json"])
def test_a_cache_that_is_cut_or_changed_anywhere_is_made_anew(
    project: ProjectFolder, name: str
) -> None:
    wanted = [f"{at:03}.png" for at in range(40)]
    project.refs_file.write_text("\n".join(["filename", *wanted]) + "\n")
    load_refs(project)
    file = project.folder / ".cache" / name
    whole = file.read_bytes()
    for at in range(0, len(whole), 7):
        flipped = bytes([whole[at] ^ 1])
        for damaged in (whole[:at], whole[:at] + flipped + whole[at + 1 :], whole + b"more\n"):
            file.write_bytes(damaged)
            assert list(load_refs(project)) == wanted
            assert file.read_bytes() == whole, "it is made anew"


def test_a_cache_whose_second_file_was_never_written_is_not_used(
    project: ProjectFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_refs(project)
    project.refs_file.write_text("filename\nother.png\nmore.png\n")
    write = item_pool.write_atomically

    def killed(path: Path, data: bytes) -> None:
        if path.name == "refs.json":
            raise KeyboardInterrupt
        write(path, data)

    monkeypatch.setattr(item_pool, "write_atomically", killed)
    with pytest.raises(KeyboardInterrupt):
        load_refs(project)
    monkeypatch.undo()
    assert list(load_refs(project)) == ["other.png", "more.png"]
    stamp = project.refs_file.stat()
    project.refs_file.write_text("filename\nfirst.png\n")
    os.utime(project.refs_file, ns=(stamp.st_atime_ns, stamp.st_mtime_ns + 1))
    assert list(load_refs(project)) == ["first.png"]


def test_items_that_another_process_adds_while_a_folder_is_listed_stay(
    project: ProjectFolder,
) -> None:
    project.refs_file.unlink()
    (project.folder / "photos").mkdir()
    (project.folder / "photos" / "a.png").touch()
    listing = item_pool.stream_refs(
        ProjectFolder(project.folder, Settings(project.settings.classes, images="photos")),
        item_pool.SkippedFiles(),
    )
    assert list(next(listing)) == ["a.png"]
    project.refs_file.write_text("filename\na.png\nlater.png\n")
    list(listing)
    assert list(load_refs(project)) == ["a.png", "later.png"]


def test_a_lock_that_is_never_released_is_an_error(
    project: ProjectFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "_PATIENCE", 0.1)
    (project.folder / ".cache").mkdir(exist_ok=True)
    number = lock.lock_file(project.folder / ".cache" / lock.LOCK_FILE)
    with pytest.raises(ProjectError, match="Wait until it ends"), lock_project(project.folder):
        pass
    os.close(number)
