"""Files as other tools write them: shapes, ids, names of files, labels without image."""

# ruff: noqa: E501 - one case a line

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from annotator.errors import RefError
from annotator.formats.dataset import create_from_dataset
from annotator.formats.format import load_format
from annotator.formats.reading import ImportContext
from annotator.project.settings import Settings
from tests.formats import made_projects as samples

SQUARE = [10, 10, 30, 10, 30, 25, 10, 25]


def read(folder: Path, place: Path, name: str, **how: object) -> tuple[list[tuple[str, str]], str]:
    """Return boxes with their labels, and all that was said."""
    said: list[str] = []
    reading = ImportContext(place, **how)  # type: ignore[arg-type]
    made = create_from_dataset(
        folder / "p", reading, load_format(name), Settings(()), said.append
    ).project
    found = [
        (ref.rpartition("/")[2].replace("#xywh=", " "), str(label))
        for ref, label, _ in samples.items(made)
    ]
    return found, "\n".join(said)


def coco(folder: Path, *annotations: dict[str, Any], **members: Any) -> Path:
    samples.images(folder, ["a.png", "b.png"])
    base: dict[str, Any] = {
        "images": [{"id": n, "file_name": f"{n}.png"} for n in "ab"],
        "categories": [{"id": 1, "name": "cat"}],
        "annotations": [{"image_id": "a", "category_id": 1, **more} for more in annotations],
    }
    place = folder / "c.json"
    place.write_text(json.dumps({**base, **members}))
    return place


def test_coco_shapes_without_bbox_keep_the_box_around_them(tmp_path: Path) -> None:
    pytest.importorskip("pycocotools")
    from pycocotools import mask

    packed = mask.frPyObjects([SQUARE], 40, 60)[0]
    found, said = read(tmp_path, coco(
        tmp_path,
        {"segmentation": [SQUARE, [0, 0, 5, 0, 5, 5]]},
        {"bbox": None, "segmentation": {"size": [40, 60], "counts": [85, 5, 35, 5, 2270]}},
        {"bbox": [], "segmentation": {"size": [40, 60], "counts": packed["counts"].decode()}},
    ), "coco")  # fmt: skip
    x, y, w, h = mask.toBbox(packed)
    assert found == [
        ("a.png 0,0,30,25", "cat"), ("a.png 2,5,2,5", "cat"),
        (f"a.png {x:g},{y:g},{w:g},{h:g}", "cat"),
    ]  # fmt: skip
    assert "3 x segmentation (its box is kept)" in said


def test_coco_keypoints_and_captions_without_a_place_are_counted(tmp_path: Path) -> None:
    place = coco(tmp_path, {"keypoints": [5, 6, 2]}, {"caption": "a cat"}, {"bbox": [1, 2, 3, 4]})
    found, said = read(tmp_path, place, "coco")
    assert found == [("a.png 1,2,3,4", "cat")]
    assert "1 x annotation with keypoints" in said and "1 x annotation with caption" in said


@pytest.mark.parametrize("counts", [[1, 2], "~~~~", [], 7, [-1, 2401]])
def test_a_broken_mask_is_refused_with_its_place(counts: object, tmp_path: Path) -> None:
    place = coco(tmp_path, {"segmentation": {"size": [40, 60], "counts": counts}})
    with pytest.raises(RefError, match=r"annotations\[0\]: "):
        read(tmp_path, place, "coco")


def test_coco_ids_may_be_texts_and_whole_floats(tmp_path: Path) -> None:
    categories = [{"id": "x", "name": "cat"}, {"id": 2.0, "name": "dog"}]
    place = coco(
        tmp_path, {"category_id": "x", "bbox": [1, 2, 3, 4]},
        {"category_id": 2, "id": "q", "bbox": [5, 6, 3, 4]}, categories=categories,
    )  # fmt: skip
    found, said = read(tmp_path, place, "coco")
    assert found == [("a.png 1,2,3,4", "cat"), ("a.png 5,6,3,4", "dog")]
    assert "class numbers: 1 cat, 2 dog" in said


@pytest.mark.parametrize("parent", ["cat", "animals"])
def test_roboflows_parent_category_is_no_class(parent: str, tmp_path: Path) -> None:
    categories = [
        {"id": 0, "name": parent, "supercategory": "none"},
        {"id": 1, "name": "cat", "supercategory": parent},
    ]
    found, said = read(
        tmp_path, coco(tmp_path, {"bbox": [1, 2, 3, 4]}, categories=categories), "coco"
    )
    assert found == [("a.png 1,2,3,4", "cat")]
    assert "class numbers: 1 cat\n" in said


def yolo(folder: Path, line: str, data: str = "") -> Path:
    samples.images(folder / "set", ["images/a.jpg", "images/b.jpg"])
    (folder / "set/labels").mkdir()
    (folder / "set/labels/a.txt").write_text(line)
    (folder / "set/labels/gone.txt").write_text("0 .5 .5 .1 .1\n")
    (folder / "set/labels/classes.txt").write_text("0 1 2 3 4\n")
    (folder / "set/data.yaml").write_text(f"train: images\nval: null\nnames: [cat]\n{data}")
    return folder / "set"


POSE = "0 0.5 0.5 0.5 0.5 0.4 0.4 0.6 0.6"
POLYGON = "0 0.1 0.1 0.9 0.1 0.9 0.9 0.1 0.9"


@pytest.mark.parametrize(("line", "data", "box", "kept"), [
    ("0.0 .5 .5 .5 .5", "", "15,10,30,20", ""),
    (POSE, "kpt_shape: [2, 2]\n", "15,10,30,20", "1 x list of keypoints (its box is kept)"),
    (POSE, "task: segment\n", "24,16,12,8", ""),
    (POLYGON, "", "6,4,48,32", "1 x polygon or turned box (the box around it is kept)"),
    ("0 .5 .5 .5 .5", "kpt_names:\n  0: [nose, eye]\nx: {y: {z: [1]}}\n", "15,10,30,20", ""),
])  # fmt: skip
def test_lines_of_yolo_mean_what_data_yaml_says(
    line: str, data: str, box: str, kept: str, tmp_path: Path
) -> None:
    found, said = read(tmp_path, yolo(tmp_path, line, data), "yolo")
    assert found == [(f"a.jpg {box}", "cat")]
    assert kept in said
    assert "1 x label file whose image is not there or not listed, as labels/gone.txt" in said


def test_a_line_that_may_be_keypoints_or_a_polygon_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RefError, match=r"labels/a.txt, line 1: may be a polygon, or .*kpt_shape"):
        read(tmp_path, yolo(tmp_path, POSE), "yolo")


@pytest.mark.parametrize("line", ["0 .5 .5 .5 .5 .1 .1", "0.5 .5 .5 .5 .5"])
def test_a_line_that_fits_no_keypoints_or_class_is_refused(line: str, tmp_path: Path) -> None:
    with pytest.raises(
        RefError, match="labels/a.txt, line 1: (has 7 numbers|'0.5' is not a class)"
    ):
        read(tmp_path, yolo(tmp_path, line, "kpt_shape: [2, 2]\n"), "yolo")


@pytest.mark.parametrize(("text", "said"), [("", "names no class"), ("a\n\nb\n", "line 2: is blank"),
                                            ("a\na\n", "line 2: 'a' stands on line 1")])  # fmt: skip
def test_a_broken_list_of_classes_is_refused(text: str, said: str, tmp_path: Path) -> None:
    samples.images(tmp_path / "set", ["a.jpg"])
    (tmp_path / "set/a.txt").write_text("0 .5 .5 .1 .1\n")
    (tmp_path / "set/classes.txt").write_text(text)
    with pytest.raises(RefError, match=said):
        read(tmp_path, tmp_path / "set", "yolo")


def voc(folder: Path, stem: str, filename: str, shape: str = "") -> Path:
    box = "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox>"
    folder.mkdir(exist_ok=True)
    (folder / f"{stem}.xml").write_text(
        f"<annotation><filename>{filename}</filename><object><name>cat</name>{shape or box}"
        "</object></annotation>"
    )
    return folder


@pytest.mark.parametrize("filename", ["a", "a.JPG", "A.jpg", "a.png", "old.jpg", ""])
def test_the_image_of_a_voc_file_is_found_or_the_one_beside_it(
    filename: str, tmp_path: Path
) -> None:
    samples.images(tmp_path / "v", ["a.jpg", "other.jpg"])
    place = voc(tmp_path / "v", "a", filename)
    (place / "._a.xml").write_bytes(b"\0\5\26\7")
    found, said = read(tmp_path, place, "voc")
    assert found == [("a.jpg 0,0,9,9", "cat")]
    assert "not kept: 1 x" in said


def test_a_voc_file_that_names_another_image_than_its_own_is_refused(tmp_path: Path) -> None:
    samples.images(tmp_path / "v", ["a.jpg", "b.jpg"])
    with pytest.raises(RefError, match="names 'b.jpg', and the name of this file names 'a.jpg'"):
        read(tmp_path, voc(tmp_path / "v", "a", "b.jpg"), "voc")


@pytest.mark.parametrize(("shape", "box"), [
    ("<robndbox><cx>20</cx><cy>20</cy><w>8</w><h>4</h><angle>1.5707963267948966</angle></robndbox>", "18,16,4,8"),
    ("<polygon><x1>5</x1><y1>6</y1><x2>15</x2><y2>6</y2><x3>9</x3><y3>16</y3></polygon>", "5,6,10,10"),
])  # fmt: skip
def test_voc_shapes_keep_the_box_around_them(shape: str, box: str, tmp_path: Path) -> None:
    samples.images(tmp_path / "v", ["a.jpg"])
    found, said = read(tmp_path, voc(tmp_path / "v", "a", "a.jpg", shape), "voc")
    assert found == [(f"a.jpg {box}", "cat")] and "the box around it is kept" in said


@pytest.mark.parametrize(("shape", "box"), [
    ('polygon label="cat" points="6.4,4.8;32,4.8;32,19.2"', "6.4,4.8,25.6,14.4"),
    ('ellipse label="cat" cx="20" cy="20" rx="8" ry="4" rotation="90"', "16,12,8,16"),
    ('box label="cat" xtl="10" ytl="10" xbr="30" ybr="20" rotation="90"', "15,5,10,20"),
    ('box label="cat" xtl="10" ytl="10" xbr="30" ybr="20" rotation="360"', "10,10,20,10"),
    ('mask label="cat" left="3" top="4" width="5" height="6" rle="0, 30"', "3,4,5,6"),
])  # fmt: skip
def test_cvat_shapes_keep_the_box_around_them(shape: str, box: str, tmp_path: Path) -> None:
    samples.images(tmp_path / "set/images/train", ["a.png"])
    (tmp_path / "set/annotations.xml").write_text(
        f'<annotations><image name="a.png" subset="train" width="60" height="40"><{shape}/>'
        '<points label="x" points="1,2"/></image></annotations>'
    )
    found, said = read(tmp_path, tmp_path / "set", "cvat")
    assert found == [(f"a.png {box}", "cat")]
    assert "1 x <points>" in said and ("box around" in said) == ("360" not in shape)


def test_hugging_face_lists_of_boxes_beside_the_name(tmp_path: Path) -> None:
    samples.images(tmp_path / "h", ["a.png"])
    row = {"file_name": "a.png", "bbox": [[1, 2, 3, 4]], "category": ["cat"]}
    (tmp_path / "h/metadata.jsonl").write_text(json.dumps(row))
    assert read(tmp_path, tmp_path / "h", "huggingface")[0] == [("a.png 1,2,3,4", "cat")]


def test_a_metadata_csv_with_a_fault_names_its_line(tmp_path: Path) -> None:
    samples.images(tmp_path / "h", ["a.png"])
    (tmp_path / "h/metadata.csv").write_text("file_name,label\na.png,cat\na.png,cat,more\n")
    with pytest.raises(RefError, match="metadata.csv, line 3: has 3 cells for 2 columns"):
        read(tmp_path, tmp_path / "h", "huggingface")


def test_an_image_that_cannot_be_read_keeps_its_boxes_and_that_is_said(tmp_path: Path) -> None:
    Image.new("RGB", (9, 9)).save(tmp_path / "b.png")
    place = coco(tmp_path, {"bbox": [1, 2, 3, 4]})
    (tmp_path / "a.png").write_bytes(b"\x89PNG")
    found, said = read(tmp_path, place, "coco")
    assert found == [("a.png 1,2,3,4", "cat")] and "cannot be read" in said


def test_coco_boxes_that_are_empty_are_counted_and_never_whole_images(tmp_path: Path) -> None:
    place = coco(tmp_path, {"bbox": []}, {"bbox": None, "segmentation": []}, {})
    found, said = read(tmp_path, place, "coco")
    assert ("a.png", "cat") in found and len(found) == 2  # the last has no place at all
    assert "2 x annotation with an empty box" in said


def test_coco_boxes_of_detectron2_are_read_by_their_mode(tmp_path: Path) -> None:
    place = coco(tmp_path, {"bbox": [1, 2, 11, 12], "bbox_mode": 0})
    assert read(tmp_path, place, "coco")[0] == [("a.png 1,2,10,10", "cat")]
    place = coco(tmp_path / "2", {"bbox": [1, 2, 11, 12], "bbox_mode": 4})
    with pytest.raises(RefError, match="bbox_mode is 4; 0 and 1 are read"):
        read(tmp_path / "2", place, "coco")


@pytest.mark.parametrize("count", ["nc: 5\n", "nc: 0\n", "nc: many\n"])
def test_a_number_of_classes_that_the_names_lack_is_refused(count: str, tmp_path: Path) -> None:
    with pytest.raises(RefError, match=r"data.yaml, line \d, nc: is .*, and names lists"):
        read(tmp_path, yolo(tmp_path, "0 .5 .5 .2 .2\n", count), "yolo")


def test_obj_data_and_obj_names_are_compared(tmp_path: Path) -> None:
    top = tmp_path / "set"
    samples.images(top, ["d/a.jpg"])
    (top / "d/a.txt").write_text("0 .5 .5 .2 .2\n")
    (top / "obj.names").write_text("cat\r\n")
    (top / "obj.data").write_bytes(b"classes = 1\r\nnames = obj.names\r\n")
    assert len(read(tmp_path, top, "yolo")[0]) == 1
    (top / "obj.data").write_text("classes=3\n")
    with pytest.raises(RefError, match="obj.data: classes is 3, and obj.names lists 1 class"):
        read(tmp_path / "2", top, "yolo")


def test_visibilities_of_keypoints_are_no_points_of_a_polygon(tmp_path: Path) -> None:
    line = "0 .5 .5 .2 .2 .1 .1 2 .2 .2 2\n"
    with pytest.raises(RefError, match="line 1: is a polygon with a point far outside"):
        read(tmp_path, yolo(tmp_path, line), "yolo")


@pytest.mark.parametrize("name", ["C:\\\\data\\\\a.jpg", "C:/data/a.jpg", "/home/me/a.jpg"])
def test_a_voc_filename_of_another_machine_is_read_by_its_name(name: str, tmp_path: Path) -> None:
    samples.images(tmp_path / "v", ["a.jpg"])
    (tmp_path / "v/a.XML").write_text(
        f"<annotation><filename>{name}</filename><object><name>cat</name><bndbox><xmin>5</xmin>"
        "<ymin>6</ymin><xmax>30</xmax><ymax>36</ymax></bndbox></object></annotation>"
    )
    found, said = read(tmp_path, tmp_path / "v", "voc")
    assert found == [("a.jpg 4,5,26,31", "cat")]
    assert "1 x folders before a <filename>" in said
