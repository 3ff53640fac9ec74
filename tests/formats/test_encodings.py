"""A byte order mark says how a label file is encoded, in every format; data.yaml may repeat."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from annotator.errors import RefError
from annotator.formats.sniff import recognise_format
from annotator.formats.yolo.data_yaml import load_yaml
from tests.formats import made_projects as samples

COCO = {
    "images": [{"id": 1, "file_name": "a.png"}],
    "categories": [{"id": 1, "name": "é"}],
    "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4]}],
}
CHOICE = {"from_name": "c", "to_name": "i", "type": "choices", "value": {"choices": ["é"]}}
TASKS = [{"data": {"image": "a.png"}, "annotations": [{"result": [CHOICE]}]}]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-8-sig"])
@pytest.mark.parametrize(
    ("name", "format_", "text"),
    [
        ("x.jsonl", "jsonl", '{"filename": "a.png", "label": "é"}\n\n'),
        ("x.json", "coco", json.dumps(COCO, ensure_ascii=False)),
        ("x.json", "label-studio", json.dumps(TASKS, ensure_ascii=False)),
        ("x.csv", "plain-csv", "ref,filename,bbox,label\r\na.png,a.png,,é\r\n"),
        ("metadata.csv", "huggingface", "file_name,label\na.png,é\n"),
        ("metadata.jsonl", "huggingface", '{"file_name": "a.png", "label": "é"}\n'),
    ],
)
def test_a_byte_order_mark_is_read(
    encoding: str, name: str, format_: str, text: str, tmp_path: Path
) -> None:
    place = samples.images(tmp_path, ["a.png"]) / name
    place.write_bytes(text.encode(encoding))
    assert format_ == "plain-csv" or recognise_format(place).format == format_
    made = samples.reopened(tmp_path / "p", place, samples.load(format_), images=tmp_path)
    assert [label for _, label, _ in samples.items(made)] == ["é"]


def yolo(
    folder: Path, data: str, label: str = "0 0.5 0.5 0.5 0.5\n", encoding: str = "utf-8"
) -> Path:
    samples.images(folder, ["images/train/a.png"])
    (folder / "labels/train").mkdir(parents=True)
    (folder / "labels/train/a.txt").write_bytes(label.encode(encoding))
    (folder / "data.yaml").write_bytes(data.encode(encoding))
    return folder


def boxes(folder: Path) -> list[tuple[str, str | None]]:
    made = samples.reopened(folder.parent / "p", folder, samples.load("yolo"))
    return [(Path(ref.partition("#")[0]).name, label) for ref, label, _ in samples.items(made)]


def test_yolo_in_utf_16(tmp_path: Path) -> None:
    place = yolo(tmp_path / "y", "train: images/train\nnames: [é]\n", encoding="utf-16")
    assert boxes(place) == [("a.png", "é")]


@pytest.mark.parametrize(
    "train", ["images\\train", "/content/y/images/train", "D:\\sets\\y\\images\\train"]
)
def test_a_folder_of_another_machine_is_found_below_data_yaml(train: str, tmp_path: Path) -> None:
    assert boxes(yolo(tmp_path / "y", f"train: {train}\nnames: [c]\n")) == [("a.png", "c")]


def test_a_line_with_a_score_is_a_prediction_and_no_label(tmp_path: Path) -> None:
    place = yolo(tmp_path / "y", "train: images/train\nnames: [c]\n", "0 0.5 0.5 0.5 0.5 0.87\n")
    made = samples.reopened(tmp_path / "p", place, samples.load("yolo"))
    assert [label for _, label, _ in samples.items(made)] == [None]
    assert [(row["prediction"], row["score"]) for row in samples.rows(made)] == [("c", "0.87")]


def test_a_score_above_one_is_a_fault(tmp_path: Path) -> None:
    place = yolo(tmp_path / "y", "train: images/train\nnames: [c]\n", "0 0.5 0.5 0.5 0.5 1.5\n")
    with pytest.raises(RefError, match="labels/train/a.txt, line 1: has the score 1.5"):
        samples.reopened(tmp_path / "p", place, samples.load("yolo"))


@pytest.mark.parametrize(
    ("text", "names", "train"),
    [
        ("a: &x [ok, no]\nnames: *x\ntrain: t\n", ["ok", "no"], "t"),
        ("base: &b\n  train: im\n  names: [a]\n<<: *b\n", ["a"], "im"),
        ("b: &b {0: a, 1: b}\nnames: {<<: *b, 1: c}\ntrain: t\n", {"0": "a", "1": "c"}, "t"),
        ("b: &b {names: [a]}\nc: &c {train: x, names: [q]}\n<<: [*b, *c]\n", ["a"], "x"),
        ("train: t\n<<: {train: other, names: [a]}\n", ["a"], "t"),
        ("a: &x ok\nnames: [*x, no]\ntrain: *x\n", ["ok", "no"], "ok"),
    ],
)
def test_aliases_and_merge_keys_of_yaml(text: str, names: object, train: str) -> None:
    found = load_yaml(text)
    assert (found["names"][0], found["train"][0]) == (names, train)


@pytest.mark.parametrize("text", ["<<: 3\n", "<<: [3]\n", "<<: *x\n", "names: {<<: a}\n"])
def test_a_merge_key_of_something_else_is_a_fault(text: str) -> None:
    with pytest.raises(RefError, match="line 1: "):
        load_yaml(text)


def test_a_list_in_a_label_cell_is_a_fault(tmp_path: Path) -> None:
    place = samples.images(tmp_path, ["a.png", "b.png"]) / "t.csv"
    place.write_text("filename,label\na.png,\"['cat', 'dog']\"\nb.png,[unclear]\n")
    with pytest.raises(RefError, match="t.csv, line 2, label: .* holds a list"):
        samples.reopened(tmp_path / "p", place, samples.load("csv"), images=tmp_path)


def test_metadata_in_parquet(tmp_path: Path) -> None:
    pq, pa = pytest.importorskip("pyarrow.parquet"), pytest.importorskip("pyarrow")
    samples.images(tmp_path / "h", ["a.png"])
    objects = {"bbox": [[1.0, 2.0, 3.0, 4.0]], "categories": ["cat"]}
    table = pa.table({"file_name": ["a.png"], "objects": [objects]})
    pq.write_table(table, tmp_path / "h/metadata.parquet")
    assert recognise_format(tmp_path / "h").format == "huggingface"
    made = samples.reopened(tmp_path / "p", tmp_path / "h", samples.load("huggingface"))
    assert [(row["filename"], row["bbox"]) for row in samples.rows(made)] == [("a.png", "1,2,3,4")]


def test_no_two_columns_of_a_new_project_have_one_name(tmp_path: Path) -> None:
    place = samples.images(tmp_path, ["a.png"]) / "metadata.jsonl"
    row = {"file_name": "a.png", "annotation": "1", "annotation_": "2", "label": "ok"}
    place.write_text(json.dumps(row) + "\n")
    made = samples.reopened(tmp_path / "p", place, samples.load("huggingface"))
    (row,) = samples.rows(made)
    assert (row["annotation_"], row["annotation__"]) == ("1", "2")


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ({"items": [{"id": "a"}], "categories": {}}, "of Datumaro. Convert it: `datum convert"),
        ({"shapes": [{}], "imagePath": "a.png"}, "of labelme"),
        ({"_via_img_metadata": {}, "_via_settings": {}}, "of VIA. Export it there as COCO"),
        ([{"image": "a.png", "annotations": [{"label": "x"}]}], "an image of CreateML"),
    ],
)
def test_files_of_other_programs_are_named_with_the_remedy(
    document: object, told: str, tmp_path: Path
) -> None:
    place = samples.images(tmp_path, ["a.png"]) / "x.json"
    place.write_text(json.dumps(document))
    with pytest.raises(RefError, match=told):
        samples.reopened(
            tmp_path / "p", place, samples.load(recognise_format(place).format), images=tmp_path
        )


def test_a_table_without_a_column_of_paths_says_what_to_name_it(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("id,label\na,cat\n")
    with pytest.raises(RefError, match="Name the one with the paths of the images filename"):
        samples.reopened(tmp_path / "p", tmp_path / "t.csv", samples.load("csv"), images=tmp_path)
