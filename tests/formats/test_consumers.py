"""Exports are read by the programs that they are for."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image, ImageOps

from annotator.formats.csv_jsonl import escape_formula, unescape_formula
from annotator.formats.format import list_formats
from annotator.formats.label_studio import write
from annotator.formats.source import ExportOptions, ExportSource
from annotator.formats.splits import parse_splits
from annotator.formats.yolo import data_yaml
from annotator.project.project import ProjectFolder
from tests.formats import made_projects as samples

BOXES = ("a.png#xywh=4,2,40,20", "a.png#xywh=0,0,10.5,10.25", "sub/b c.jpg#xywh=1,2,58,37")


@pytest.fixture
def boxes(tmp_path: Path) -> ProjectFolder:
    labels = dict(zip(BOXES, ("ok", "defect", "ok"), strict=True))
    return samples.project(tmp_path / "boxes", BOXES, labels, columns={"batch": ["1", "é", "3"]})


@pytest.fixture
def whole(tmp_path: Path) -> ProjectFolder:
    refs = [f"{n}.png" for n in range(6)]
    labels = {ref: ("ok", "defect")[n % 2] for n, ref in enumerate(refs)}
    return samples.project(tmp_path / "whole", refs, labels, columns={"batch": list("abcdef")})


def test_pycocotools_reads_coco_and_scores_its_results(
    boxes: ProjectFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    coco_module = pytest.importorskip("pycocotools.coco")
    samples.write(boxes, "coco", tmp_path / "c.json")
    coco = coco_module.COCO(str(tmp_path / "c.json"))
    assert {c["name"]: c["id"] for c in coco.loadCats(coco.getCatIds())} == {"ok": 1, "defect": 2}
    by_name = {image["file_name"]: image for image in coco.loadImgs(coco.getImgIds())}
    assert {name: (i["width"], i["height"]) for name, i in by_name.items()} == {
        "a.png": samples.SIZE, "sub/b c.jpg": samples.SIZE,
    }  # fmt: skip
    found = coco.loadAnns(coco.getAnnIds(imgIds=[by_name["a.png"]["id"]]))
    assert [(a["bbox"], a["category_id"]) for a in found] == [
        ([4, 2, 40, 20], 1), ([0, 0, 10.5, 10.25], 2),
    ]  # fmt: skip
    # A detector that answers what was exported finds everything.
    results = [
        {
            "image_id": a["image_id"],
            "category_id": a["category_id"],
            "bbox": a["bbox"],
            "score": 0.9,
        }
        for a in coco.loadAnns(coco.getAnnIds())
    ]
    evaluation = pytest.importorskip("pycocotools.cocoeval").COCOeval(
        coco, coco.loadRes(results), "bbox"
    )
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    assert evaluation.stats[0] == pytest.approx(1.0)


def test_numbers_of_classes_never_change(boxes: ProjectFolder, tmp_path: Path) -> None:
    samples.write(boxes, "coco", tmp_path / "first.json")
    samples.write(boxes, "yolo", tmp_path / "first")
    toml = boxes.folder / "annotator.toml"
    turned = toml.read_text().replace('"ok"', '"x"').replace('"defect"', '"ok"')
    toml.write_text(turned.replace('"x"', '"new"'))  # ok, defect is now new, ok
    changed = ProjectFolder.open(boxes.folder)
    assert changed.settings.names == ("new", "ok")
    samples.write(changed, "coco", tmp_path / "second.json")
    samples.write(changed, "yolo", tmp_path / "second")
    categories = json.loads((tmp_path / "second.json").read_text())["categories"]
    assert {c["name"]: c["id"] for c in categories} == {"ok": 1, "defect": 2, "new": 3}
    names = data_yaml.load_yaml((tmp_path / "second/data.yaml").read_text())["names"][0]
    assert names == {"0": "ok", "1": "defect", "2": "new"}
    assert (tmp_path / "first/labels/a.txt").read_text() == (
        tmp_path / "second/labels/a.txt"
    ).read_text()


def test_numbers_of_a_coco_file_come_back(tmp_path: Path) -> None:
    samples.images(tmp_path / "images", ["a.png"])
    told = {
        "images": [{"id": 9, "file_name": "a.png"}],
        "categories": [{"id": 90, "name": "toothbrush"}, {"id": 3, "name": "car"}],
        "annotations": [{"id": 1, "image_id": 9, "category_id": 90, "bbox": [1, 2, 3, 4]}],
    }
    (tmp_path / "c.json").write_text(json.dumps(told))
    made = samples.reopened(tmp_path / "p", tmp_path / "c.json", samples.load("coco"))
    assert made.settings.names == ("car", "toothbrush")
    samples.write(made, "coco", tmp_path / "again.json")
    again = json.loads((tmp_path / "again.json").read_text())
    assert {c["name"]: c["id"] for c in again["categories"]} == {"car": 3, "toothbrush": 90}


def test_numbers_that_cannot_be_kept_are_said(boxes: ProjectFolder, tmp_path: Path) -> None:
    source = ExportSource.open(boxes, samples.entries(boxes), ExportOptions())
    boxes.folder.rename(tmp_path / "gone")  # as good as a disk that takes no writing
    write = samples.load("coco").write
    assert write is not None
    write(source, tmp_path / "c.json")
    told = json.loads((tmp_path / "c.json").read_text())
    assert {c["name"]: c["id"] for c in told["categories"]} == {"ok": 1, "defect": 2}
    assert any("class-ids.json cannot be written" in note for note in source.notes)


@pytest.mark.parametrize("images", ["symlink", "copy"])
def test_datasets_reads_the_imagefolders(whole: ProjectFolder, tmp_path: Path, images: str) -> None:
    datasets = pytest.importorskip("datasets")
    split = parse_splits("train=0.5,test=0.5")
    samples.write(whole, "huggingface", tmp_path / "hf", split=split, images=images)
    samples.write(whole, "imagefolder", tmp_path / "folders", images=images)
    cache = str(tmp_path / "cache")
    found = datasets.load_dataset("imagefolder", data_dir=str(tmp_path / "hf"), cache_dir=cache)
    assert sorted(found) == ["test", "train"]
    rows = [row for part in found.values() for row in part]
    assert sorted((row["label"], row["batch"]) for row in rows) == sorted(
        (("ok", "defect")[n % 2], "abcdef"[n]) for n in range(6)
    )
    assert all(row["image"].size == samples.SIZE for row in rows)
    folders = datasets.load_dataset(
        "imagefolder", data_dir=str(tmp_path / "folders"), split="train", cache_dir=cache
    )
    names = folders.features["label"].names
    assert sorted(names[row["label"]] for row in folders) == ["defect"] * 3 + ["ok"] * 3


def test_datasets_reads_boxes(boxes: ProjectFolder, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    samples.write(boxes, "huggingface", tmp_path / "hf")
    found = datasets.load_dataset(
        "imagefolder", data_dir=str(tmp_path / "hf"), split="train", cache_dir=str(tmp_path / "c")
    )
    objects = [row["objects"] for row in found]
    assert objects[0]["bbox"] == [[4, 2, 40, 20], [0, 0, 10.5, 10.25]]
    assert objects[0]["categories"] == ["ok", "defect"] and objects[0]["batch"] == ["1", "é"]


def test_pyarrow_reads_parquet(boxes: ProjectFolder, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    samples.write(boxes, "parquet", tmp_path / "x.parquet", provenance=True)
    table = parquet.read_table(tmp_path / "x.parquet")
    assert table.column("bbox").to_pylist() == [[4, 2, 40, 20], [0, 0, 10.5, 10.25], [1, 2, 58, 37]]
    assert table.column("label").to_pylist() == ["ok", "defect", "ok"]
    assert table.column("annotator").to_pylist() == ["ann"] * 3
    assert table.column("at").to_pylist()[0] == "2001-09-09T01:46:40.000+00:00"
    assert str(table.schema.field("shown_ms").type) == "int64"


VOC_DTD = """
<!ELEMENT annotation (folder, filename, source, size, segmented, object*)>
<!ELEMENT folder (#PCDATA)> <!ELEMENT filename (#PCDATA)>
<!ELEMENT source (database)> <!ELEMENT database (#PCDATA)>
<!ELEMENT size (width, height, depth)>
<!ELEMENT width (#PCDATA)> <!ELEMENT height (#PCDATA)> <!ELEMENT depth (#PCDATA)>
<!ELEMENT segmented (#PCDATA)>
<!ELEMENT object (name, pose, truncated, difficult, bndbox)>
<!ELEMENT name (#PCDATA)> <!ELEMENT pose (#PCDATA)> <!ELEMENT truncated (#PCDATA)>
<!ELEMENT difficult (#PCDATA)> <!ELEMENT bndbox (xmin, ymin, xmax, ymax)>
<!ELEMENT xmin (#PCDATA)> <!ELEMENT ymin (#PCDATA)> <!ELEMENT xmax (#PCDATA)>
<!ELEMENT ymax (#PCDATA)>
"""


def test_voc_has_the_shape_of_the_challenge(boxes: ProjectFolder, tmp_path: Path) -> None:
    etree = pytest.importorskip("lxml.etree")
    samples.write(boxes, "voc", tmp_path / "voc", split=parse_splits("train=0.5,val=0.5"))
    dtd = etree.DTD(io.StringIO(VOC_DTD))
    for file in (tmp_path / "voc/Annotations").rglob("*.xml"):
        tree = etree.parse(str(file))
        assert dtd.validate(tree), dtd.error_log
    tree = etree.parse(str(tmp_path / "voc/Annotations/sub/b c.xml"))
    # 1,2 58x37 covers the columns 2 to 59 and the rows 3 to 39, counted from 1.
    assert [int(side.text) for side in tree.find("object/bndbox")] == [2, 3, 59, 39]
    lists = {
        name: (tmp_path / f"voc/ImageSets/Main/{name}.txt").read_text() for name in ("train", "val")
    }
    assert sorted("".join(lists.values()).splitlines()) == ["a", "sub/b c"]
    for stem in "".join(lists.values()).splitlines():
        assert list((tmp_path / "voc/JPEGImages").glob(f"{stem}.*"))


def test_cvat_is_well_formed_and_names_its_labels(boxes: ProjectFolder, tmp_path: Path) -> None:
    etree = pytest.importorskip("lxml.etree")
    samples.write(boxes, "cvat", tmp_path / "c.xml", split=parse_splits("Train=1"))
    tree = etree.parse(str(tmp_path / "c.xml"))
    assert [n.text for n in tree.findall("meta/task/labels/label/name")] == ["ok", "defect"]
    assert [image.get("subset") for image in tree.findall("image")] == ["Train", "Train"]
    box = tree.find("image/box")
    assert [float(box.get(side)) for side in ("xtl", "ytl", "xbr", "ybr")] == [4, 2, 44, 22]


def test_yolo_is_read_by_a_yaml_reader_and_by_its_rule(
    boxes: ProjectFolder, tmp_path: Path
) -> None:
    samples.write(boxes, "yolo", tmp_path / "y", split=parse_splits("train=0.5,val=0.5"))
    told = yaml.safe_load((tmp_path / "y/data.yaml").read_text())
    assert told == {"train": "images/train", "val": "images/val", "names": {0: "ok", 1: "defect"}}
    images = [path for path in (tmp_path / "y/images").rglob("*") if path.is_file()]
    assert len(images) == 2
    for image in images:
        # The rule of its readers: the last "images" gives way to "labels", the suffix to .txt.
        head, _, tail = str(image).rpartition("/images/")
        label = Path(f"{head}/labels/{tail}").with_suffix(".txt")
        with Image.open(image) as opened:
            width, height = opened.size
        for line in label.read_text().splitlines():
            _, x, y, w, h = (float(cell) for cell in line.split())
            assert (x - w / 2) * width + 1e-6 >= 0 and (x + w / 2) * width <= width + 1e-6
            assert (y - h / 2) * height + 1e-6 >= 0 and (y + h / 2) * height <= height + 1e-6


@pytest.mark.parametrize("orientation", [3, 6, 7])
def test_sizes_and_boxes_are_of_the_upright_image(orientation: int, tmp_path: Path) -> None:
    ref = "a.jpg#xywh=2,4,10,30"
    made = samples.project(tmp_path / "one", [ref], {ref: "ok"})
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", (60, 40)).save(made.images / "a.jpg", exif=exif)
    with Image.open(made.images / "a.jpg") as opened:
        width, height = ImageOps.exif_transpose(opened).size
    for name in ("coco", "yolo", "voc", "cvat", "label-studio"):
        source = samples.write(made, name, tmp_path / name)
        assert source.exif_rotated == 1
        how = {} if samples.load(name).folder else {"images": made.images}
        again = samples.reopened(
            tmp_path / f"again {name}", tmp_path / name, samples.load(name), **how
        )
        assert samples.items(again) == samples.items(made), name
    (image,) = json.loads((tmp_path / "coco").read_text())["images"]
    assert (image["width"], image["height"]) == (width, height)
    line = (tmp_path / "yolo/labels/a.txt").read_text().split()
    shares = [7 / width, 19 / height, 10 / width, 30 / height]
    assert [float(cell) for cell in line[1:]] == pytest.approx(shares)
    voc = (tmp_path / "voc/Annotations/a.xml").read_text()
    assert f"<width>{width}</width><height>{height}</height>" in voc


@pytest.mark.parametrize(
    "text",
    [
        "names: [\"a, b\", 'it''s', c d]\ntrain: images # here\n",
        "path: ../datasets/x\nnames:\n  0: person\n  1: 'traffic light' # two words\nval: []\n",
        '# c\nnames:\n- a\n- "b: c"\ndownload: |\n  import x\n  \ty = [1\n\nnc: 2\n',
        "train: [a, b,\n  c]\nnames: {0: a, 1: b}\n",
        "train:\nval: 'x'\nnames: [a]\n",
    ],
)
def test_the_reader_of_yaml_agrees_with_a_whole_one(text: str) -> None:

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {str(key): plain(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [plain(inner) for inner in value]
        return "" if value is None else str(value)

    ours = {key: value for key, (value, _) in data_yaml.load_yaml(text).items()}
    theirs = plain(yaml.safe_load(text))
    assert {**ours, "download": ""} == {**theirs, "download": ""}


def test_emoji_that_version_0_1_wrote_as_surrogates_are_read() -> None:
    text = 'names: ["cat \\ud83d\\udc31"]\n'
    assert data_yaml.load_yaml(text)["names"] == (["cat \U0001f431"], 1)


@pytest.mark.parametrize("loader", ["SafeLoader", "CSafeLoader"])
def test_every_name_of_a_class_is_written_as_yaml_readers_read_it(loader: str) -> None:
    names = dict(enumerate([
        "cat \U0001f431", "a\x7fb", "a\x85b", "a\u2028b",
        "\ufeffb", "\"'\\", "yes", "0", "é", "#no", ": x"
    ]))  # fmt: skip
    text = data_yaml.dump_yaml({"train": "images", "names": names})
    told = yaml.load(text, getattr(yaml, loader))
    assert told == {"train": "images", "names": names}
    expected = {str(key): name for key, name in names.items()}
    assert data_yaml.load_yaml(text)["names"][0] == expected


def test_label_studio_takes_the_tasks(
    boxes: ProjectFolder, whole: ProjectFolder, tmp_path: Path
) -> None:
    sdk = pytest.importorskip("label_studio_sdk.label_interface")
    for number, made in enumerate((boxes, whole)):
        place = tmp_path / f"{number}.json"
        samples.write(made, "label-studio", place, provenance=True)
        interface = sdk.LabelInterface(write.build_labeling_config(("ok", "defect"), made is boxes))
        interface.validate()
        for task in json.loads(place.read_text()):
            for one in task["annotations"]:
                assert interface.validate_prediction(one, return_errors=True) == []


def test_label_studio_tasks_hold_what_its_import_asks_for(
    boxes: ProjectFolder, tmp_path: Path
) -> None:
    samples.write(boxes, "label-studio", tmp_path / "t.json", provenance=True)
    first, second = json.loads((tmp_path / "t.json").read_text())
    assert second["data"] == {"image": "/data/local-files/?d=sub/b%20c.jpg", "batch": "3"}
    annotation = first["annotations"][0]
    # An import is refused as a whole if completed_by is not a user of that server.
    assert annotation["annotator"] == "ann" and "completed_by" not in annotation
    assert annotation["lead_time"] == 3.0 and annotation["was_cancelled"] is False
    value = annotation["result"][0]["value"]
    sides = [value[name] for name in ("x", "y", "width", "height")]
    assert sides == pytest.approx([400 / 60, 5, 4000 / 60, 50])
    assert value["rectanglelabels"] == ["ok"]


FORMULAS = (
    "=1+1", "+1+cmd", "-1-1", "@SUM(A1)", "\tx", "'=x", "''+x", "=", "-", "'", "x=1", "-5",
    "+3e9", "",
)  # fmt: skip


def test_no_cell_of_a_plain_csv_is_a_formula(tmp_path: Path) -> None:
    assert [unescape_formula(escape_formula(text)) for text in FORMULAS] == list(FORMULAS)
    refs = [f"{n}.png" for n in range(len(FORMULAS))]
    made = samples.project(
        tmp_path / "one", ["=x.png", *refs[1:]], {"=x.png": "=cmd()"}, classes=["=cmd()"],
        columns={"=col": FORMULAS},
    )  # fmt: skip
    samples.write(made, "plain-csv", tmp_path / "x.csv")
    with (tmp_path / "x.csv").open(newline="", encoding="utf-8") as file:
        cells = [cell for row in csv.reader(file) for cell in row]
    assert cells
    numbers = {"-5", "+3e9"}
    assert not [
        c for c in cells if c.startswith(("=", "+", "-", "@", "\t", "\r")) and c not in numbers
    ]
    again = samples.reopened(
        tmp_path / "again", tmp_path / "x.csv", samples.load("plain-csv"), images=made.images
    )
    assert samples.items(again) == samples.items(made)
    assert [row["=col"] for row in samples.rows(again)] == list(FORMULAS)


def test_folders_named_images_do_not_lead_yolo_astray(tmp_path: Path) -> None:
    refs = ("x/images/a.png#xywh=1,2,3,4", "x/images/a.jpg#xywh=1,2,3,4")
    made = samples.project(tmp_path / "one", refs, dict.fromkeys(refs, "ok"))
    samples.write(made, "yolo", tmp_path / "y")
    images = list((tmp_path / "y/images").rglob("*.*"))
    assert len(images) == 2
    for image in images:
        head, _, tail = str(image).rpartition("/images/")
        assert Path(f"{head}/labels/{tail}").with_suffix(".txt").is_file(), (
            "one file of labels each"
        )
    again = samples.reopened(tmp_path / "again", tmp_path / "y", samples.load("yolo"))
    assert sorted(samples.items(again)) == sorted(samples.items(made))


def test_cells_with_odd_line_ends_stay_whole(tmp_path: Path) -> None:
    cells = ["a\u2028b", "c\x0cd", "e\nf", 'g"h', "\x85"]
    refs = [f"{n}.png" for n in range(len(cells))]
    made = samples.project(tmp_path / "one", refs, {}, columns={"x": cells, "y": refs})
    samples.write(made, "jsonl", tmp_path / "x.jsonl")
    told = [json.loads(line) for line in (tmp_path / "x.jsonl").read_text().split("\n")[:-1]]
    assert [line["x"] for line in told] == cells
    assert [line["y"] for line in told] == refs


def test_the_docs_name_every_format() -> None:
    text = (Path(__file__).parents[2] / "docs/formats.md").read_text()
    rows = {line.split("|")[1].strip(" `"): line for line in text.splitlines() if line[:2] == "| "}
    for name in list_formats():
        format_ = samples.load(name)
        cells = [cell.strip() for cell in rows[name].split("|")]
        assert (cells[2] == "yes", cells[3] == "yes") == (bool(format_.read), bool(format_.write))
