"""Images, boxes and classes that come later: labels stay, other text stays as it is written."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

import annotator
from annotator.errors import ProjectError, RefError
from annotator.formats.table_rows import add_refs
from annotator.items.listing import SkippedFiles
from annotator.project.adding import add_images, check_new_classes
from annotator.project.project import ProjectFolder, append_classes
from annotator.project.settings import ClassInfo, Settings


def _images(folder: Path, *names: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        Image.new("RGB", (20, 20)).save(folder / name)


@pytest.fixture
def project(tmp_path: Path) -> ProjectFolder:
    _images(tmp_path / "images", "a.png", "b.png")
    classes = (ClassInfo("ok"), ClassInfo("bad"))
    made = ProjectFolder.create(
        tmp_path / "p", Settings(classes=classes, images=str(tmp_path / "images"))
    )
    with annotator.open(made.folder).session("ann") as session:
        session.decide({"a.png": "ok"})
    return made


def test_images_inside_and_outside_of_the_root_become_items_once(
    project: ProjectFolder, tmp_path: Path
) -> None:
    _images(tmp_path / "images" / "late", "c.png")
    _images(tmp_path / "elsewhere", "d.png")
    assert add_images(project, tmp_path / "images", SkippedFiles()) == 1
    assert add_images(project, tmp_path / "elsewhere", SkippedFiles()) == 1
    assert add_images(project, tmp_path / "elsewhere", SkippedFiles()) == 0
    opened = annotator.open(project.folder)
    outside = str((tmp_path / "elsewhere" / "d.png").resolve())
    assert list(opened.refs) == ["a.png", "b.png", "late/c.png", outside]
    assert opened.labels() == {"a.png": "ok"}
    with opened.session("ann") as session:
        session.decide({outside: "bad"})
        assert session.progress.items == 4


def test_boxes_of_a_table_are_added_and_columns_of_ones_own_stay(tmp_path: Path) -> None:
    _images(tmp_path / "images", "a.png", "b.png")
    (tmp_path / "refs.csv").write_text('mine,filename,bbox\nx,a.png,"1,2,3,4"\n')
    settings = Settings(classes=(ClassInfo("ok"),))
    from annotator.formats import new_project

    made = new_project.create_from_refs(
        tmp_path / "p", tmp_path / "refs.csv", settings, images=tmp_path / "images"
    ).project
    more = tmp_path / "more.csv"
    more.write_text('filename,bbox\na.png,"1,2,3,4"\nb.png,"5,6,7,8"\n')
    assert add_refs(made, more) == 1
    assert made.refs_file.read_text() == (
        'mine,filename,bbox\nx,a.png,"1,2,3,4"\n,b.png,"5,6,7,8"\n'
    )


@pytest.mark.parametrize("order", ["xywh", "xyxy", "r1-c1-r2-c2"])
def test_a_box_of_thousandths_is_added_once(
    project: ProjectFolder, tmp_path: Path, order: str
) -> None:
    toml = project.folder / "annotator.toml"
    toml.write_text(f'box_order = "{order}"\n' + toml.read_text())
    project.refs_file.write_text("filename,bbox\n")
    opened = ProjectFolder.open(project.folder)
    (tmp_path / "more.csv").write_text('filename,bbox\na.png,"1.125,2.0625,9.3333,8.1"\n')
    assert add_refs(opened, tmp_path / "more.csv") == 1
    assert add_refs(opened, tmp_path / "more.csv") == 0
    assert len(annotator.open(project.folder).refs) == 1


def test_a_file_that_is_not_there_is_named_with_its_line_and_nothing_added(
    project: ProjectFolder, tmp_path: Path
) -> None:
    assert len(annotator.open(project.folder).refs) == 2
    before = project.refs_file.read_bytes()
    more = tmp_path / "more.csv"
    more.write_text("filename\nb.png\nnowhere.png\n")
    with pytest.raises(RefError, match=r"more.csv, line 3: no such file .*nowhere.png"):
        add_refs(project, more)
    assert project.refs_file.read_bytes() == before


def test_classes_are_added_and_comments_stay(project: ProjectFolder) -> None:
    toml = project.folder / "annotator.toml"
    toml.write_text("# mine, keep it\n" + toml.read_text())
    append_classes(project, ["dent", "scratch"])
    assert toml.read_text().startswith("# mine, keep it\n")
    reopened = ProjectFolder.open(project.folder)
    assert reopened.settings.names == ("ok", "bad", "dent", "scratch")
    with pytest.raises(ProjectError, match="dent is named twice"):
        check_new_classes(reopened, ["dent"])


def test_classes_in_one_line_stay_in_one_line(project: ProjectFolder) -> None:
    toml = project.folder / "annotator.toml"
    toml.write_text(f'classes = ["ok", "bad"]\nimages = "{project.images}"\n')
    append_classes(ProjectFolder.open(project.folder), ["dent"])
    assert 'classes = ["ok", "bad", "dent"]' in toml.read_text()


def test_the_command_says_what_was_added(project: ProjectFolder, tmp_path: Path) -> None:
    _images(tmp_path / "images", "z.png")
    done = subprocess.run(
        [sys.executable, "-m", "annotator", "add", str(project.folder),
         "--images", str(tmp_path / "images"), "--class", "dent"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "1 item added" in done.stderr
    assert "dent" in done.stderr


def test_a_fault_in_one_thing_keeps_classes_out(project: ProjectFolder, tmp_path: Path) -> None:
    _images(tmp_path / "more", "m.png")
    before = (project.folder / "annotator.toml").read_text()
    for given in (["--images", "nowhere", "--class", "dent"],
                  ["--images", str(tmp_path / "more"), "--class", "ok"]):  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-m", "annotator", "add", str(project.folder), *given],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 1
    assert (project.folder / "annotator.toml").read_text() == before
    assert list(annotator.open(project.folder).refs) == ["a.png", "b.png"]
