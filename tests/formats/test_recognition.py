"""Folders of other tools are read as what they are, or refused: never as folders of classes."""

# ruff: noqa: E501 - one case a line

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from annotator.errors import RefError
from annotator.formats.format import load_format
from annotator.formats.sniff import recognise_format
from tests.formats import made_projects as samples

LINE = "0 0.5 0.5 0.25 0.25\n"
VOC = (
    "<annotation><filename>a.jpg</filename><object><name>cat</name><bndbox><xmin>5</xmin>"
    "<ymin>6</ymin><xmax>30</xmax><ymax>36</ymax></bndbox></object></annotation>"
)
COCO = json.dumps({
    "images": [{"id": 0, "file_name": "a.jpg", "width": 60, "height": 40}],
    "categories": [{"id": 1, "name": "cat"}],
    "annotations": [{"id": 1, "image_id": 0, "category_id": 1, "bbox": [1, 2, 9, 9]}],
})  # fmt: skip
CVAT = (
    '<annotations><image name="a.jpg" width="60" height="40"><box label="cat" xtl="1" ytl="2" '
    'xbr="9" ybr="9"/></image></annotations>'
)
YAML = "train: train\nval: val\nnames: [cat]\n"
IMAGE = ""
"""The content of a file that is an image."""


def lay_out(top: Path, files: Mapping[str, str]) -> Path:
    """Write the files of a data set."""
    for name, content in files.items():
        if name.endswith(".jpg"):
            samples.images(top, [name])
        else:
            (top / name).parent.mkdir(parents=True, exist_ok=True)
            (top / name).write_text(content)
    return top


def in_splits(*names: str, **files: str) -> dict[str, str]:
    """Return the same files in several folders; "__" in a name is a dot."""
    return {
        f"{name}/{file.replace('__', '.')}": text for name in names for file, text in files.items()
    }


KNOWN: dict[str, tuple[str, dict[str, str]]] = {
    "labels beside images": ("yolo", {"data.yaml": YAML, **in_splits("train", "val", a__jpg=IMAGE, a__txt=LINE)}),
    "data.yaml of another name": ("yolo", {"x.yaml": "train: images\nnames: [cat]\n", "images/a.jpg": IMAGE, "labels/a.txt": LINE}),
    "capitals": ("yolo", {"data.yaml": "train: Images\nnames: [cat]\n", "Images/a.jpg": IMAGE, "Labels/a.txt": LINE}),
    "a folder further in": ("yolo", {"data.yaml": "path: data\ntrain: images/t\nnames: [cat]\n", "data/images/t/a.jpg": IMAGE, "data/labels/t/a.txt": LINE}),
    "labelImg": ("yolo", {"classes.txt": "cat\n", "a.jpg": IMAGE, "a.txt": LINE}),
    "Label Studio YOLO": ("yolo", {"classes.txt": "cat\n", "notes.json": "{}", "images/a.jpg": IMAGE, "labels/a.txt": LINE}),
    "CVAT YOLO": ("yolo", {"obj.names": "cat\n", "obj.data": "classes = 1\n", "train.txt": "data/obj_train_data/a.jpg\n", "obj_train_data/a.jpg": IMAGE, "obj_train_data/a.txt": LINE}),
    "classes in labels": ("yolo", {"images/a.jpg": IMAGE, "labels/a.txt": LINE, "labels/classes.txt": "cat\n"}),
    "VOC in lower case": ("voc", {"images/a.jpg": IMAGE, "annotations/a.xml": VOC}),
    "Roboflow VOC": ("voc", in_splits("train", "valid", a__jpg=IMAGE, a__xml=VOC)),
    "Roboflow COCO": ("coco", in_splits("train", "valid", a__jpg=IMAGE, _annotations__coco__json=COCO)),
    "COCO 2017": ("coco", {"train2017/a.jpg": IMAGE, "annotations/instances_train2017.json": COCO}),
    "Label Studio COCO": ("coco", {"images/a.jpg": IMAGE, "result.json": COCO}),
    "CVAT": ("cvat", {"images/a.jpg": IMAGE, "annotations.xml": CVAT}),
    "metadata.csv": ("huggingface", in_splits("train", "test", a__jpg=IMAGE, metadata__csv="file_name,label\na.jpg,cat\n")),
    "metadata further in": ("huggingface", in_splits("data/train", a__jpg=IMAGE, metadata__jsonl='{"file_name":"a.jpg","label":"cat"}\n')),
    "classes": ("imagefolder", {"cat/a.jpg": IMAGE, "dog/a.jpg": IMAGE, "README.txt": "Two animals."}),
    "classes in splits of macOS": ("imagefolder", {"Training/cat/a.jpg": IMAGE, "Test/cat/a.jpg": IMAGE, "__MACOSX/x": ""}),
    "YOLO classification": ("yolo-cls", {"data.yaml": YAML, "train/cat/a.jpg": IMAGE, "val/cat/a.jpg": IMAGE}),
}  # fmt: skip

REFUSED: dict[str, tuple[str, dict[str, str]]] = {
    "masks": ("masks|images", {"images/a.jpg": IMAGE, "masks/a.jpg": IMAGE}),
    "a table at the top": ("labels.csv may hold the labels", {"labels.csv": "x", "one/a.jpg": IMAGE}),
    "a table beside images": ("one/x.json may hold the labels", {"one/x.json": "{}", "one/a.jpg": IMAGE}),
    "splits without classes": ("train is seldom a class", in_splits("train", "val", a__jpg=IMAGE)),
    "one folder above": ("Name the data set in it: .*set", {"set/data.yaml": YAML, "set/train/a.jpg": IMAGE, "set/train/a.txt": LINE}),
    "two formats": ("voc .* or yolo|yolo .* or voc", {"classes.txt": "cat", "a.jpg": IMAGE, "a.txt": LINE, "a.xml": VOC}),
    "a loose image": ("lies in no folder of a class", {"a.jpg": IMAGE, "cat/b.jpg": IMAGE}),
    "masks of cities": ("holds folders and no image", {"gtFine/x/a.jpg": IMAGE, "leftImg/x/a.jpg": IMAGE}),
    "folds": ("Name the data set in it: .*fold1", {"fold1/cat/a.jpg": IMAGE, "fold2/cat/a.jpg": IMAGE}),
    "groups of classes": ("animals holds folders", {"animals/cat/a.jpg": IMAGE, "other/b.jpg": IMAGE}),
    "pairs of images": ("input is seldom a class", {"input/a.jpg": IMAGE, "target/a.jpg": IMAGE}),
    "a spreadsheet": ("labels.xlsx may hold the labels", {"labels.xlsx": "x", "one/a.jpg": IMAGE}),
    "two files of classes": ("a.yaml, b.yaml", {"a.yaml": YAML, "b.yaml": YAML, "x/a.jpg": IMAGE}),
}  # fmt: skip


@pytest.mark.parametrize("name", KNOWN)
def test_a_data_set_of_another_tool_is_recognised_and_read(name: str, tmp_path: Path) -> None:
    expected, files = KNOWN[name]
    found = recognise_format(lay_out(tmp_path / "set", files))
    assert found.format == expected and found.reason
    made = samples.reopened(tmp_path / "p", tmp_path / "set", load_format(expected))
    labels = [label for _, label, _ in samples.items(made)]
    assert len(labels) == sum(file.endswith(".jpg") for file in files)
    assert {*labels} <= {"cat", "dog"}


@pytest.mark.parametrize("name", REFUSED)
def test_a_folder_that_may_be_something_else_is_refused(name: str, tmp_path: Path) -> None:
    said, files = REFUSED[name]
    with pytest.raises(RefError, match=said):
        recognise_format(lay_out(tmp_path / "set", files))


def test_a_split_beside_another_folder_is_no_class(tmp_path: Path) -> None:
    top = lay_out(tmp_path / "set", {"train/cat/a.jpg": IMAGE, "extra/b.jpg": IMAGE})
    with pytest.raises(RefError, match="extra lies beside it"):
        samples.reopened(tmp_path / "p", top, load_format("imagefolder"))
