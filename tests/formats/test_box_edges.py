"""A box ends at the edge of its image, in every table that is read and every export."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from annotator.errors import RefError
from annotator.formats.new_project import NewProject, create_from_refs
from annotator.formats.table_rows import add_refs
from annotator.project.item_pool import load_refs
from annotator.project.project import ProjectFolder
from annotator.project.settings import Settings
from tests.formats import made_projects as samples

WIDE = ["a.png#xywh=50,30,30,30", "a.png#xywh=1,1,5,5"]
"""The image is 60 x 40."""
CUT = [[50, 30, 10, 10], [1, 1, 5, 5]]


def opened(folder: Path, name: str, text: str | bytes, **how: object) -> NewProject:
    samples.images(folder / "im", ["a.png", "b.png"])
    place = folder / name
    place.write_bytes(text if isinstance(text, bytes) else text.encode())
    return create_from_refs(folder / "p", place, Settings(()), images=folder / "im", **how)  # type: ignore[arg-type]


def boxes(made: ProjectFolder) -> list[str]:
    return [ref.rpartition("xywh=")[2] for ref in load_refs(made)]


@pytest.fixture
def wide(tmp_path: Path) -> ProjectFolder:
    """A project whose own table has a box over the edge, as version 0.1 made it."""
    return samples.project(tmp_path / "one", WIDE, dict.fromkeys(WIDE, "ok"))


@pytest.mark.parametrize("name", ["jsonl", "parquet", "plain-csv", "huggingface", "coco", "voc"])
def test_an_export_cuts_the_box_and_comes_back(
    name: str, wide: ProjectFolder, tmp_path: Path
) -> None:
    place = tmp_path / "out"
    source = samples.write(wide, name, place)
    assert (source.written, source.boxes_cut) == (2, 1)
    if name == "jsonl":
        assert [json.loads(line)["bbox"] for line in place.read_text().splitlines()] == CUT
    if name == "huggingface":
        assert json.loads((place / "metadata.jsonl").read_text())["objects"]["bbox"] == CUT
    done = samples.imported(wide, place, samples.load(name))
    assert (done.new, done.same) == (0, 2)


def test_results_are_cut_too(tmp_path: Path) -> None:
    made = samples.project(tmp_path / "one", WIDE, dict.fromkeys(WIDE, "yes"), ["yes", "no"])
    lines = "".join(f'"{ref}",0.9,2,cat,m,\n' for ref in WIDE)
    (made.folder / "proposals.csv").write_text(f"ref,score,votes,name,model,extra\n{lines}")
    samples.write(made, "coco-results", tmp_path / "r.json")
    assert [found["bbox"] for found in json.loads((tmp_path / "r.json").read_text())] == CUT


def test_a_box_outside_its_image_is_left_out_and_counted(tmp_path: Path) -> None:
    refs = ["a.png#xywh=70,1,5,5", WIDE[1]]
    made = samples.project(tmp_path / "one", refs, dict.fromkeys(refs, "ok"))
    source = samples.write(made, "jsonl", tmp_path / "x.jsonl")
    assert source.left_out == {"whose boxes lie outside their image": 1}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("t.csv", 'filename,bbox\na.png,"-5,-4,20,20"\nb.png,"50,30,30,30"\n'),
        ("t.csv", "filename,bbox\na.png,-4--5-16-15\nb.png,30-50-60-80\n"),
        ("t.csv", "image,x,y,w,h\na.png,-5,-4,20,20\nb.png,50,30,30,30\n"),
        ("t.txt", "a.png -4 -5 16 15\nb.png 30 50 60 80\n"),
        ("t.txt", "a.png -4 -5 16 15\r\nb.png 30 50 60 80\r\n".encode("utf-16")),
    ],
)
def test_a_table_is_compared_with_its_images(name: str, text: str | bytes, tmp_path: Path) -> None:
    made = opened(tmp_path, name, text)
    assert boxes(made.project) == ["0,0,15,16", "50,30,10,10"]
    assert any("2 x part of a box" in note for note in made.notes)


def test_a_box_of_a_table_outside_its_image_is_a_fault_with_its_line(tmp_path: Path) -> None:
    text = 'filename,bbox\na.png,"1,1,5,5"\nb.png,"60,1,5,5"\n'
    with pytest.raises(RefError, match=r"t.csv, line 3: .*outside its image of 60 x 40"):
        opened(tmp_path, "t.csv", text)
    assert boxes(opened(tmp_path, "t.csv", text, skip_faulty=True).project) == ["1,1,5,5"]


def test_a_table_in_its_own_project_stays_byte_for_byte(tmp_path: Path) -> None:
    samples.images(tmp_path, ["a.png"])
    text = b'filename,bbox\r\na.png,"50,30,30,30"\r\n'
    (tmp_path / "refs.csv").write_bytes(text)
    made = create_from_refs(tmp_path, tmp_path / "refs.csv", Settings(()), images=tmp_path)
    assert (tmp_path / "refs.csv").read_bytes() == text
    assert "1 box over the edge of an image; exports cut them" in made.notes


def test_a_size_that_a_table_states_is_compared_too(tmp_path: Path) -> None:
    text = "filename,width,height,class,xmin,ymin,xmax,ymax\na.png,120,80,ok,20,10,60,40\n"
    with pytest.raises(RefError, match="120 x 80 here, and its file has 60 x 40"):
        opened(tmp_path, "t.csv", text)
    assert boxes(opened(tmp_path, "t.csv", text, box_pixels="stated").project) == ["10,5,20,15"]


def test_shares_of_an_image_are_not_pixels(tmp_path: Path) -> None:
    text = "ImageID,LabelName,XMin,XMax,YMin,YMax\na,cat,0.25,0.5,0,1\n"
    made = opened(tmp_path, "t.csv", text)
    assert boxes(made.project) == ["15,0,15,40"]
    assert any("--box-pixels upright" in note for note in made.notes)
    place = tmp_path / "t.jsonl"
    place.write_text('{"filename": "a.png", "bbox": [0.25, 0, 0.25, 1], "label": "cat"}\n')
    again = samples.reopened(tmp_path / "q", place, samples.load("jsonl"), images=tmp_path / "im")
    assert boxes(again) == ["15,0,15,40"]


def test_a_box_of_one_pixel_is_not_a_share(tmp_path: Path) -> None:
    assert boxes(opened(tmp_path, "t.csv", 'filename,bbox\na.png,"0,0,1,1"\n').project) == [
        "0,0,1,1"
    ]


def test_add_reads_tables_of_others_and_cuts_their_boxes(tmp_path: Path) -> None:
    made = samples.project(tmp_path, ["a.png"])
    table, told = tmp_path / "more.csv", list[str]()
    table.write_text("filename,class,xmin,ymin,xmax,ymax\na.png,ok,-3,2,90,20\n")
    assert add_refs(made, table, told.append) == 1
    assert [*load_refs(made)] == ["a.png", "a.png#xywh=0,2,60,18"]
    assert any("1 label not read" in line and "annotator import" in line for line in told)
