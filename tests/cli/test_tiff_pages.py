"""Pages of a TIFF file from the folder to the export and back, by the commands."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from annotator.items.tiff_pages import read_directories
from tests.cli.command_line import annotator, good

REFS = ["scan.tif", "scan.tif#page=2", "scan.tif#page=3#xywh=4,5,10,12"]


def make_project(folder: Path) -> None:
    """Make `p` of two pages and a box in the third, labelled `no` but for the second page."""
    (folder / "images").mkdir()
    pages = [Image.fromarray(np.full((40, 60), 60 * n, np.uint8)) for n in (1, 2, 3)]
    pages[0].save(folder / "images/scan.tif", save_all=True, append_images=pages[1:])
    rows = 'filename,bbox\nscan.tif,\nscan.tif#page=2,\nscan.tif#page=3,"4,5,10,12"\n'
    (folder / "refs.csv").write_text(rows)
    good("init", "p", "--refs", "refs.csv", "--images", "images", "--classes", "no,yes",
         cwd=folder)  # fmt: skip
    for ref, label in zip(REFS, ("no", "yes", "no"), strict=True):
        good("answer", "p", ref, label, cwd=folder)


def test_next_names_the_file_and_the_page(tmp_path: Path) -> None:
    make_project(tmp_path)
    good("init", "q", "--refs", "refs.csv", "--images", "images", "--classes", "no,yes",
         cwd=tmp_path)  # fmt: skip
    items = [
        json.loads(x) for x in good("next", "q", "-n", "9", "--json", cwd=tmp_path).splitlines()
    ]
    file = str((tmp_path / "images/scan.tif").resolve())
    found = {item["ref"]: (item["file"], item["page"]) for item in items}
    assert found == dict(zip(REFS, [(file, 1), (file, 2), (file, 3)], strict=True))


@pytest.mark.parametrize(
    ("form", "name"), [("plain-csv", "x.csv"), ("jsonl", "x.jsonl"), ("coco", "x.json"),
                       ("label-studio", "x.json"), ("cvat", "x.xml")],
)  # fmt: skip
def test_an_export_keeps_the_page_and_init_reads_it(tmp_path: Path, form: str, name: str) -> None:
    make_project(tmp_path)
    good("export", "p", name, "--format", form, cwd=tmp_path)
    good("init", "again", "--from", name, "--images", "images", cwd=tmp_path)
    good("export", "again", "y.csv", "--format", "plain-csv", cwd=tmp_path)
    good("export", "p", "z.csv", "--format", "plain-csv", cwd=tmp_path)
    labels = [
        {(row[0], row[3]) for line in (tmp_path / x).read_text().splitlines()[1:]
         for row in [line.replace('"4,5,10,12"', "box").split(",")]}
        for x in ("y.csv", "z.csv")
    ]  # fmt: skip
    assert labels[0] == labels[1] and len(labels[0]) == 3


def test_a_folder_of_images_has_a_file_of_each_page(tmp_path: Path) -> None:
    make_project(tmp_path)
    good("export", "p", "out", "--format", "imagefolder", "--crop", cwd=tmp_path)
    with Image.open(tmp_path / "out/yes/scan-page2.tif") as page:
        assert page.size == (60, 40) and page.getpixel((5, 5)) == 120
    crops = [file for file in (tmp_path / "out/no").iterdir() if "page3" in file.name]
    with Image.open(crops[0]) as crop:
        assert set(np.asarray(crop).ravel().tolist()) == {180}


@pytest.mark.parametrize("form", ["imagefolder", "yolo-cls"])
def test_a_label_of_a_file_is_not_that_of_its_later_pages(tmp_path: Path, form: str) -> None:
    make_project(tmp_path)
    (tmp_path / "two.csv").write_text("filename\nscan.tif\nscan.tif#page=2\n")
    good("init", "w", "--refs", "two.csv", "--images", "images", "--classes", "no,yes",
         cwd=tmp_path)  # fmt: skip
    for ref, label in zip(REFS, ("no", "yes"), strict=False):
        good("answer", "w", ref, label, cwd=tmp_path)
    good("export", "w", "out", "--format", form, cwd=tmp_path)
    assert read_back(tmp_path, "out") == {("scan.tif", "no"), ("scan-page2.tif", "yes")}


def test_boxes_of_a_file_are_not_those_of_its_later_pages(tmp_path: Path) -> None:
    make_project(tmp_path)
    (tmp_path / "box.csv").write_text('filename,bbox\nscan.tif,"1,2,20,20"\n')
    good("init", "w", "--refs", "box.csv", "--images", "images", "--classes", "no,yes",
         cwd=tmp_path)  # fmt: skip
    good("answer", "w", "scan.tif#xywh=1,2,20,20", "no", cwd=tmp_path)
    good("export", "w", "out", "--format", "yolo", cwd=tmp_path)
    assert read_back(tmp_path, "out") == {("scan.tif", "no")}


@pytest.mark.parametrize(("tag", "at", "value"), [(262, 4, 2), (273, 2, 2), (273, 2, 12)])
def test_an_export_leaves_out_a_damaged_page_and_names_it(
    tmp_path: Path, tag: int, at: int, value: int
) -> None:
    make_project(tmp_path)
    file = tmp_path / "images/scan.tif"
    with file.open("rb") as opened:
        place = read_directories(opened).found[1].offset + 2
    data = bytearray(file.read_bytes())
    while struct.unpack_from("<H", data, place)[0] != tag:
        place += 12
    struct.pack_into("<H", data, place + at, value)  # the kind or the number of its values
    file.write_bytes(data)
    ran = annotator("export", "p", "cls", "--format", "imagefolder", "--crop", cwd=tmp_path)
    assert ran.returncode == 0 and "scan.tif#page=2" in ran.stderr
    assert [*(tmp_path / "cls/yes").iterdir()] == [] and (tmp_path / "cls/no/scan.tif").exists()


def read_back(folder: Path, export: str) -> set[tuple[str, str]]:
    """Return the file and the label of each item of a project that is made of an export."""
    good("init", "again", "--from", export, cwd=folder)
    good("export", "again", "y.jsonl", "--format", "jsonl", cwd=folder)
    rows = [json.loads(line) for line in (folder / "y.jsonl").read_text().splitlines()]
    return {(row["filename"].rpartition("/")[2], row["label"]) for row in rows}


def test_an_image_without_its_page_is_a_fault_with_its_line(tmp_path: Path) -> None:
    make_project(tmp_path)
    (tmp_path / "bad.csv").write_text("filename\ngone.tif#page=2\n")
    ran = annotator("init", "b", "--refs", "bad.csv", "--images", "images", "--classes", "a,b",
                    cwd=tmp_path)  # fmt: skip
    assert ran.returncode == 1 and "line 2" in ran.stderr and "gone.tif#page=2" in ran.stderr
