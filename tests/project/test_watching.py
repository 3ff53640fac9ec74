"""Changes that others make in a project are noticed, whole and once."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from annotator.errors import ProjectError, RefError
from annotator.items.listing import SkippedFiles
from annotator.items.processes import annotator_command
from annotator.items.ref_table import RefTable
from annotator.project.adding import add_images
from annotator.project.classes import ClassInfo
from annotator.project.item_pool import load_refs
from annotator.project.project import ProjectFolder, append_classes
from annotator.project.settings import Settings
from annotator.project.watching import FolderWatch, RefsWatch, SettingsWatch, keep_order


def picture(file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (40, 40), (200, 30, 30)).save(file)


@pytest.fixture
def project(tmp_path: Path) -> ProjectFolder:
    for name in ("a.png", "b.png", "c.png"):
        picture(tmp_path / "photos" / name)
    classes = (ClassInfo("ok"), ClassInfo("bad"))
    made = ProjectFolder.create(tmp_path / "p", Settings(classes, images="../photos"))
    load_refs(made)
    return made


@pytest.fixture
def folder(project: ProjectFolder) -> FolderWatch:
    """A watch of the images that has seen all there are."""
    watch = FolderWatch(project, project.images, load_refs(project))
    assert watch.look() == watch.look() == watch.look() == []
    return watch


def looks(watch: FolderWatch, times: int = 3) -> list[str]:
    return [item.ref for _ in range(times) for item in watch.look()]


# --- refs.csv


def test_rows_that_are_added_are_found_wherever_they_stand(project: ProjectFolder) -> None:
    known, watch = load_refs(project), RefsWatch(project)
    assert watch.look(known) is None
    project.refs_file.write_text("filename\na.png\nnew.png\nb.png\nc.png\nlast.png\n")
    change = watch.look(known)
    assert change is not None
    assert (change.added, change.gone, change.moved) == (["new.png", "last.png"], 0, False)
    assert watch.look(known) is None, "a change is told once"


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (["a.png", "c.png"], ([], 1, False)),
        (["b.png", "a.png", "c.png"], ([], 0, True)),
        (["c.png", "x.png", "a.png"], (["x.png"], 1, True)),
    ],
)
def test_rows_that_leave_or_move_are_told(
    project: ProjectFolder, rows: list[str], expected: tuple[list[str], int, bool]
) -> None:
    known, watch = load_refs(project), RefsWatch(project)
    project.refs_file.write_text("\n".join(["filename", *rows, ""]))
    assert watch.look(known) == expected


def test_a_file_that_is_only_touched_or_rewritten_is_no_change(project: ProjectFolder) -> None:
    known, watch = load_refs(project), RefsWatch(project)
    os.utime(project.refs_file, (1, 1))
    assert watch.look(known) is None


def test_a_table_with_faults_is_reported_once(project: ProjectFolder) -> None:
    known, watch = load_refs(project), RefsWatch(project)
    project.refs_file.write_text("filename\na.png\na.png\n")
    with pytest.raises(RefError, match="the same item"):
        watch.look(known)
    assert watch.look(known) is None


def test_items_that_were_added_need_no_second_parse(project: ProjectFolder) -> None:
    picture(project.images / "d.png")
    add_images(project, project.images, SkippedFiles())
    cached = RefTable.load(project.folder / ".cache" / "refs.txt")
    assert list(cached) == list(load_refs(project)) == ["a.png", "b.png", "c.png", "d.png"]
    rows = project.refs_file.read_text()
    project.refs_file.write_text(rows)  # another time: parsed again, and the same
    assert list(load_refs(project)) == list(cached)


# --- annotator.toml


def test_classes_and_other_settings_are_told_apart(project: ProjectFolder) -> None:
    watch = SettingsWatch(project)
    assert watch.look() is None
    append_classes(project, [ClassInfo("odd", key="x", parent="bad")])
    change = watch.look()
    assert change is not None and not change.later
    assert change.classes[-1] == ClassInfo("odd", key="x", parent="bad")
    file = project.folder / "annotator.toml"
    file.write_text(file.read_text().replace("seed = 0", 'seed = 3\ntheme = "nord"'))
    change = watch.look()
    assert change is not None and set(change.later) == {"seed", "theme"}
    assert watch.look() is None


def test_settings_with_faults_are_reported_once(project: ProjectFolder) -> None:
    watch = SettingsWatch(project)
    watch.look()
    (project.folder / "annotator.toml").write_text("classes = [")
    with pytest.raises(ProjectError, match="line 1"):
        watch.look()
    assert watch.look() is None


def test_classes_keep_their_order_and_new_ones_follow() -> None:
    a, b, c = (ClassInfo(name) for name in "abc")
    described = ClassInfo("b", description="second")
    assert keep_order((a, b), (c, described, a)) == (a, described, c)
    assert keep_order((a, b), (c,)) == (c,)


# --- a folder of images


def test_new_files_are_taken_once_in_every_folder(
    project: ProjectFolder, folder: FolderWatch
) -> None:
    picture(project.images / "d.png")
    picture(project.images / "deep" / "er" / "e.png")
    (project.images / "notes.txt").touch()
    picture(project.images / ".hidden.png")
    assert sorted(looks(folder)) == ["d.png", "deep/er/e.png"]
    picture(project.images / "deep" / "er" / "f.png")
    assert looks(folder) == ["deep/er/f.png"]


def test_half_of_a_file_waits_however_long_the_line_stands_still(
    project: ProjectFolder, folder: FolderWatch
) -> None:
    picture(whole := project.images.parent / "whole.png")
    data = whole.read_bytes()
    file = project.images / "d.png"
    for end in (0, 20, len(data) // 2):
        file.write_bytes(data[:end])
        assert looks(folder) == []
    file.write_bytes(data)
    assert looks(folder) == ["d.png"]


def test_a_tiff_file_that_grows_has_all_its_pages_once_it_is_whole(
    project: ProjectFolder, folder: FolderWatch
) -> None:
    pages = [Image.new("L", (40, 30), 60 * n) for n in (1, 2, 3)]
    pages[0].save(whole := project.images.parent / "whole.tif", save_all=True,
                  append_images=pages[1:])  # fmt: skip
    data, file = whole.read_bytes(), project.images / "d.tif"
    file.write_bytes(data[:500])
    assert looks(folder) == []
    file.write_bytes(data)
    assert looks(folder) == ["d.tif", "d.tif#page=2", "d.tif#page=3"]


def test_a_file_that_is_damaged_becomes_an_item_in_the_end(
    project: ProjectFolder, folder: FolderWatch
) -> None:
    file = project.images / "d.png"
    file.write_bytes(b"not a picture")
    assert looks(folder) == []
    os.utime(file, (time.time() - 3600, time.time() - 3600))
    assert looks(folder) == ["d.png"]


def test_an_empty_file_becomes_an_item_in_the_end(
    project: ProjectFolder, folder: FolderWatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project.images / "d.png").touch()
    os.utime(project.images / "d.png", (0, 0))
    assert looks(folder) == []
    monkeypatch.setattr("annotator.project.watching.BROKEN_SECONDS", 0.0)
    assert looks(folder) == ["d.png"]


def test_files_and_folders_that_go_again_are_forgotten(
    project: ProjectFolder, folder: FolderWatch
) -> None:
    (project.images / "d.png").write_bytes(b"half")
    picture(project.images / "sub" / "e.png")
    assert looks(folder) == ["sub/e.png"]
    (project.images / "d.png").unlink()
    (project.images / "sub" / "e.png").unlink()
    (project.images / "sub").rmdir()
    assert looks(folder) == []
    picture(project.images / "sub" / "f.png")
    assert looks(folder) == ["sub/f.png"]


def test_a_folder_with_another_name_has_new_items(
    project: ProjectFolder, folder: FolderWatch
) -> None:
    picture(project.images / "sub" / "deep" / "e.png")
    assert looks(folder) == ["sub/deep/e.png"]
    (project.images / "sub").rename(project.images / "moved")
    assert looks(folder) == ["moved/deep/e.png"]
    (project.images / "link").symlink_to("moved", target_is_directory=True)
    assert looks(folder) == []


def test_links_to_a_folder_above_end_somewhere_and_projects_are_no_images(
    project: ProjectFolder, folder: FolderWatch
) -> None:
    (project.images / "round").symlink_to(project.images, target_is_directory=True)
    picture(project.images / "other" / "x.png")
    (project.images / "other" / "annotator.toml").touch()
    assert looks(folder) == []


def test_a_folder_outside_of_the_images_gives_whole_paths(
    project: ProjectFolder, tmp_path: Path
) -> None:
    picture(tmp_path / "inbox" / "new.png")
    watch = FolderWatch(project, tmp_path / "inbox", load_refs(project))
    assert looks(watch) == [str((tmp_path / "inbox" / "new.png").resolve())]


@pytest.fixture
def adding(project: ProjectFolder) -> Iterator[subprocess.Popen[str]]:
    command = ["add", str(project.folder), "--images", str(project.images), "--watch"]
    child = subprocess.Popen(annotator_command(*command), stderr=subprocess.PIPE, text=True)
    yield child
    child.kill()
    child.communicate()


def test_the_command_adds_until_it_is_stopped(
    project: ProjectFolder, adding: subprocess.Popen[str]
) -> None:
    assert adding.stderr is not None
    assert adding.stderr.readline().startswith("watching ")
    picture(project.images / "d.png")
    assert adding.stderr.readline() == "1 item added\n"
    assert list(load_refs(project))[-1] == "d.png"
    adding.send_signal(signal.SIGINT)
    assert adding.wait() == 0
