"""Boxes are of the upright image: other sizes that a file states are refused or converted."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from annotator.errors import RefError
from annotator.formats.box_fit import turn_box
from annotator.formats.format import load_format
from annotator.items.refs import Box
from tests.formats import made_projects as samples

ORIENTATION = 0x112


def picture(folder: Path, orientation: int = 1) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    Image.new("RGB", (64, 48)).save(folder / "a.jpg", exif=exif)


def coco(folder: Path, box: list[float], size: tuple[int, int] | None) -> Path:
    image = {"id": 1, "file_name": "a.jpg"}
    image |= {"width": size[0], "height": size[1]} if size else {}
    place = folder / "c.json"
    place.write_text(json.dumps({
        "images": [image], "categories": [{"id": 1, "name": "ok"}],
        "annotations": [{"image_id": 1, "category_id": 1, "bbox": box}],
    }))  # fmt: skip
    return place


def opened(folder: Path, place: Path, name: str = "coco", **how: object) -> list[str]:
    how.setdefault("images", folder / "im")
    made = samples.reopened(folder / "p", place, load_format(name), **how)
    return [ref.rpartition("xywh=")[2] for ref, _, _ in samples.items(made)]


@pytest.mark.parametrize("orientation", range(2, 9))
def test_a_stored_box_is_turned_as_its_image_is(orientation: int) -> None:
    pixels = np.zeros((48, 64), np.uint8)
    pixels[4:14, 40:60] = 255
    image = Image.fromarray(pixels)
    image.getexif()[ORIENTATION] = orientation
    rows, columns = np.nonzero(np.asarray(ImageOps.exif_transpose(image)))
    found = Box(columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1)
    assert turn_box(Box(40, 4, 20, 10), orientation, (64, 48)) == found


def test_a_size_that_exif_swaps_is_refused_until_the_user_says_which(tmp_path: Path) -> None:
    picture(tmp_path / "im", 6)
    place = coco(tmp_path, [1, 2, 20, 10], (64, 48))
    with pytest.raises(RefError, match=r"64 x 48 here, and 48 x 64.*--box-pixels stored"):
        opened(tmp_path, place)
    assert opened(tmp_path, place, box_pixels="stored") == ["36,1,10,20"]


def test_upright_boxes_of_a_swapped_size_stay_as_they_are(tmp_path: Path) -> None:
    picture(tmp_path / "im", 6)
    place = coco(tmp_path, [34, 40, 10, 20], (64, 48))
    assert opened(tmp_path, place, box_pixels="upright") == ["34,40,10,20"]


@pytest.mark.parametrize(("pixels", "box"), [("stated", "5,5,10,10"), ("upright", "50,40,14,8")])
def test_a_resized_image_is_refused_or_scaled(pixels: str, box: str, tmp_path: Path) -> None:
    picture(tmp_path / "im")
    given = [50, 50, 100, 100] if pixels == "stated" else [50, 40, 30, 30]
    place = coco(tmp_path, given, (640, 480))
    with pytest.raises(RefError, match="It was resized, or is another image"):
        opened(tmp_path, place)
    assert opened(tmp_path, place, box_pixels=pixels) == [box]


@pytest.mark.parametrize("name", ["voc", "cvat"])
def test_xml_that_states_another_size_is_refused(name: str, tmp_path: Path) -> None:
    picture(tmp_path / "im", 8)
    place = tmp_path / "a.xml"
    place.write_text(
        "<annotation><filename>a.jpg</filename><size><width>64</width><height>48</height></size>"
        "<object><name>ok</name><bndbox><xmin>2</xmin><ymin>2</ymin><xmax>9</xmax><ymax>9</ymax>"
        "</bndbox></object></annotation>"
        if name == "voc"
        else '<annotations><image name="a.jpg" width="64" height="48"><box label="ok" xtl="1" '
        'ytl="1" xbr="9" ybr="9"/></image></annotations>'
    )
    with pytest.raises(RefError, match="--box-pixels"):
        opened(tmp_path, place, name)


def test_percents_of_label_studio_fit_an_image_of_any_size(tmp_path: Path) -> None:
    value = {"x": 50, "y": 50, "width": 25, "height": 75, "rectanglelabels": ["ok"]}
    result = {"type": "rectanglelabels", "value": value}
    task = {"data": {"image": "a.jpg"}, "annotations": [{"result": [result]}]}
    picture(tmp_path / "im")
    place = tmp_path / "t.json"
    for at, size in enumerate([(64, 48), (640, 480)]):
        result |= {"original_width": size[0], "original_height": size[1]}
        place.write_text(json.dumps([task]))
        made = samples.reopened(
            tmp_path / str(at), place, load_format("label-studio"), images=tmp_path / "im"
        )
        assert samples.items(made)[0][0].rpartition("=")[2] == "32,24,16,24"
    result |= {"original_width": 48, "original_height": 64}
    place.write_text(json.dumps([task]))
    with pytest.raises(RefError, match="48 x 64 here, and its file has 64 x 48"):
        opened(tmp_path, place, "label-studio")


OVER = {
    "jsonl": '{"filename": "a.jpg", "bbox": [50, 40, 30, 30], "label": "ok"}\n',
    "huggingface": '{"file_name": "a.jpg", "objects": {"bbox": [[50,40,30,30]], '
    '"categories": ["ok"]}}',
    "yolo": "0 1.015625 1.145833 0.46875 0.625\n",
}  # fmt: skip


@pytest.mark.parametrize("name", [*OVER, "coco"])
def test_a_box_over_the_edge_is_cut_in_every_format(name: str, tmp_path: Path) -> None:
    picture(tmp_path / "im")
    if name == "coco":
        place = coco(tmp_path, [50, 40, 30, 30], None)
    elif name == "jsonl":
        place = tmp_path / "x.jsonl"
        place.write_text(OVER[name])
    else:
        place = tmp_path / "im"
        file = {"huggingface": "metadata.jsonl", "yolo": "a.txt"}[name]
        (place / file).write_text(OVER[name])
        (place / "classes.txt").write_text("ok\n")
    assert opened(tmp_path, place, name) == ["50,40,14,8"]


def test_a_box_before_the_edge_is_cut_and_one_outside_is_a_fault(tmp_path: Path) -> None:
    picture(tmp_path / "im")
    place = tmp_path / "x.jsonl"
    place.write_text('{"filename": "a.jpg", "bbox": [-5, -6, 30, 30], "label": "ok"}\n')
    assert opened(tmp_path, place, "jsonl") == ["0,0,25,24"]
    place.write_text('{"filename": "a.jpg", "bbox": [70, 0, 30, 30], "label": "ok"}\n')
    with pytest.raises(RefError, match="lies outside its image of 64 x 48"):
        samples.reopened(tmp_path / "q", place, load_format("jsonl"), images=tmp_path / "im")


@pytest.mark.parametrize("name", ["yolo", "coco", "voc", "cvat", "label-studio"])
def test_an_export_cuts_boxes_of_a_table_at_the_edge(name: str, tmp_path: Path) -> None:
    refs = ["a.png#xywh=50,30,30,30", "a.png#xywh=70,0,5,5"]  # the image is 60 x 40
    made = samples.project(tmp_path / "one", refs, dict.fromkeys(refs, "ok"))
    source = samples.write(made, name, tmp_path / "out")
    assert (source.written, source.boxes_cut) == (1, 1)
    assert source.left_out["whose boxes lie outside their image"] == 1
    how = {} if load_format(name).folder else {"images": made.images}
    again = samples.reopened(tmp_path / "again", tmp_path / "out", load_format(name), **how)
    assert [ref.rpartition("=")[2] for ref, _, _ in samples.items(again)] == ["50,30,10,10"]
