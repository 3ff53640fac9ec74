"""A project's refs: streamed, cached, in the same order every time, and never stale."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from annotator.errors import RefError
from annotator.items.listing import SkippedFiles, walk_images
from annotator.items.refs import parse_box
from annotator.project import item_pool
from annotator.project.project import ProjectFolder
from annotator.project.settings import ClassInfo, Settings

CLASSES = (ClassInfo("ok"), ClassInfo("defect"))


def project(folder: Path, table: str | None = None) -> ProjectFolder:
    made = ProjectFolder.create(folder / "p", Settings(CLASSES, images="../photos"))
    (folder / "photos").mkdir(exist_ok=True)
    if table is not None:
        made.refs_file.write_text(table)
    return made


def touch(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_a_folder_is_listed_once_and_the_same_ever_after(tmp_path: Path) -> None:
    made = project(tmp_path)
    touch(tmp_path / "photos", "b.jpg", "a.png", "z/1.JPEG", "a/2.tif", "c.txt", ".x.jpg")
    first = list(item_pool.load_refs(made))
    assert first == ["a.png", "b.jpg", "a/2.tif", "z/1.JPEG"]
    touch(tmp_path / "photos", "new.jpg")
    assert list(item_pool.load_refs(made)) == first, "refs.csv names the items from now on"
    assert list(item_pool.load_refs(ProjectFolder.open(made.folder))) == first


def test_editing_refs_csv_is_noticed(tmp_path: Path) -> None:
    made = project(tmp_path, "filename\na.jpg\n")
    assert list(item_pool.load_refs(made)) == ["a.jpg"]
    made.refs_file.write_text("filename,bbox\na.jpg,\nb.jpg,'1,2,3,4'\n".replace("'", '"'))
    assert list(item_pool.load_refs(made)) == ["a.jpg", "b.jpg#xywh=1,2,3,4"]


def test_a_folder_that_cannot_be_cached_is_listed_all_the_same(tmp_path: Path) -> None:
    made = project(tmp_path, "filename\na.jpg\n")
    (made.folder / ".cache").write_text("in the way")
    assert list(item_pool.load_refs(made)) == ["a.jpg"]


def test_a_broken_cache_does_not_add_items(tmp_path: Path) -> None:
    made = project(tmp_path, "filename\na.jpg\n")
    item_pool.load_refs(made)
    (made.folder / ".cache" / "refs.json").write_text("[]")
    (made.folder / ".cache" / "refs.txt").write_text("evil.jpg\n")
    assert list(item_pool.load_refs(made)) == ["a.jpg"]


def test_every_faulty_row_is_named(tmp_path: Path) -> None:
    made = project(tmp_path, "filename,bbox\na.jpg,1 2\n,\nb.jpg,\nc.jpg,0-0-0-0\n")
    with pytest.raises(RefError) as caught:
        item_pool.load_refs(made)
    assert all(f"line {n}" in str(caught.value) for n in (2, 3, 5))
    assert "line 4" not in str(caught.value)


def test_an_item_that_is_there_twice_is_named_with_both_lines(tmp_path: Path) -> None:
    made = project(
        tmp_path, "filename,bbox\na.jpg,\nb.jpg,\na.jpg,'1,2,3,4'\nb.jpg,\n".replace("'", '"')
    )
    with pytest.raises(RefError, match="line 5: the same item as line 3"):
        item_pool.load_refs(made)


def test_quoted_line_breaks_do_not_shift_the_line_numbers(tmp_path: Path) -> None:
    made = project(tmp_path, 'filename,note\na.jpg,"two\nlines"\n"",x\n')
    with pytest.raises(RefError, match="line 4"):
        item_pool.load_refs(made)


@pytest.mark.parametrize("table", ["", "note\nx\n", "file,bbox\na.jpg,\n"])
def test_a_table_without_paths_is_refused(tmp_path: Path, table: str) -> None:
    with pytest.raises(RefError, match=r"filename"):
        item_pool.load_refs(project(tmp_path, table))


def test_names_that_are_no_text_are_left_out_and_said(tmp_path: Path) -> None:
    touch(tmp_path, "good.jpg", "line\nbreak.jpg")
    with open(os.fsencode(tmp_path) + b"/\xff\xfe.jpg", "wb"):  # noqa: PTH123 - bytes
        pass
    left_out = SkippedFiles()
    assert [ref for batch in walk_images(tmp_path, left_out) for ref in batch] == ["good.jpg"]
    assert len(left_out.names) == 2
    assert "\n" not in "".join(left_out.names)
    assert all("line break" in told for told in left_out.names)


def test_a_loop_of_links_ends_and_a_linked_folder_is_followed(tmp_path: Path) -> None:
    touch(tmp_path / "photos", "a.jpg")
    touch(tmp_path / "elsewhere", "b.jpg")
    (tmp_path / "photos/again").symlink_to(tmp_path / "photos")
    (tmp_path / "photos/more").symlink_to(tmp_path / "elsewhere")
    found = [ref for batch in walk_images(tmp_path / "photos", SkippedFiles()) for ref in batch]
    assert found == ["a.jpg", "more/b.jpg"]


def test_a_project_inside_the_images_is_passed_over(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "p/annotator.toml", "p/crops/x.jpg")
    assert [ref for batch in walk_images(tmp_path, SkippedFiles()) for ref in batch] == ["a.jpg"]


@pytest.mark.parametrize(
    ("text", "order", "box"),
    [
        ("1,2,3,4", "xywh", (1, 2, 3, 4)),
        ("1, 2, 5, 7", "xyxy", (1, 2, 4, 5)),
        ("2-1-7-5", "xyxy", (1, 2, 4, 5)),
        ("2 1 7 5", "r1-c1-r2-c2", (1, 2, 4, 5)),
        ("[1;2;3.5;4]", "xywh", (1, 2, 3.5, 4)),
        ("(0,0,1,1)", "xywh", (0, 0, 1, 1)),
    ],
)
def test_boxes_are_read_in_the_order_that_is_named(
    text: str, order: str, box: tuple[float, ...]
) -> None:
    assert parse_box(text, order) == box


@pytest.mark.parametrize(
    ("text", "order"),
    [
        ("1,2,3", "xywh"), ("a,b,c,d", "xywh"), ("1,2,0,4", "xywh"), ("5,5,1,1", "xyxy"),
        ("-1,0,5,5", "xywh"), ("1e9,0,5,5", "xywh"), ("nan,0,5,5", "xywh"), ("7-5-2-1", "xywh"),
        ("1,2,3,4,5", "xywh"), ("=1+1", "xywh"),
    ],
)  # fmt: skip
def test_boxes_that_are_none_are_refused(text: str, order: str) -> None:
    with pytest.raises(RefError):
        parse_box(text, order)


def listed(folder: Path) -> tuple[list[str], str]:
    left_out = SkippedFiles()
    found = [ref for batch in walk_images(folder, left_out) for ref in batch]
    return found, str(left_out)


def test_what_is_left_out_is_counted_by_its_ending(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "b.JFIF", "c.jpe", "d.avif", "e.nef", "sub/f.NEF", "g.xml", "README")
    touch(tmp_path, "._a.jpg", ".DS_Store")
    found, told = listed(tmp_path)
    assert found == ["a.jpg", "b.JFIF", "c.jpe", "d.avif"]
    assert "2 .nef, 1 .xml, 1 hidden .jpg, 1 without an ending" in told
    assert "Convert .nef to JPEG or PNG" in told and ".DS_Store" not in told


def test_a_kind_that_an_extra_reads_names_its_command(tmp_path: Path) -> None:
    """In a process of its own, in which the packages of the extras cannot be found."""
    touch(tmp_path, "a.jpg", "e.heic", "sub/f.HEIC", "g.dcm", "h.jxl")
    code = (
        "import importlib.util, sys; find = importlib.util.find_spec\n"
        "absent = ('pillow_heif', 'pillow_jxl', 'pydicom')\n"
        "importlib.util.find_spec = lambda name: None if name in absent else find(name)\n"
        "from annotator.items.listing import SkippedFiles, walk_images; from pathlib import Path\n"
        "skipped = SkippedFiles()\n"
        "print([*walk_images(Path(sys.argv[1]), skipped)], skipped)"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "[['a.jpg']]" in told and "2 .heic, 1 .dcm, 1 .jxl" in told
    for kind, extra in ((".heic", "heif"), (".dcm", "dicom"), (".jxl", "jxl")):
        assert f"To label {kind} images, run: pip install 'annotator-tui[{extra}]'" in told


def test_folders_that_are_not_searched_are_said(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "p/annotator.toml", "p/crops/x.jpg", ".thumbs/t.jpg")
    touch(tmp_path, "out/.annotator-export", "out/cat/y.jpg")
    found, told = listed(tmp_path)
    assert found == ["a.jpg"]
    for name in ("p/ (a project)", "out/ (an export of annotator)", ".thumbs (hidden)"):
        assert name in told


def test_a_project_in_the_folder_of_its_images_lists_them(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "sub/b.jpg", "labels.db", "refs.csv", "annotator.toml", ".cache/x.jpg")
    assert listed(tmp_path) == (["a.jpg", "sub/b.jpg"], "")


def test_an_export_that_is_named_itself_is_searched(tmp_path: Path) -> None:
    touch(tmp_path, ".annotator-export", "cat/y.jpg")
    assert listed(tmp_path) == (["cat/y.jpg"], "")


def test_folders_pipes_and_links_to_nowhere_are_no_images(tmp_path: Path) -> None:
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "folder.jpg/a.jpg").touch()
    (tmp_path / "gone.jpg").symlink_to("nowhere.jpg")
    (tmp_path / "link.jpg").symlink_to("folder.jpg/a.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")
    left_out = SkippedFiles()
    found = [ref for batch in walk_images(tmp_path, left_out) for ref in batch]
    assert found == ["link.jpg", "folder.jpg/a.jpg"]
    assert [name.split(":")[0] for name in left_out.names] == ["gone.jpg", "pipe.jpg"]
