"""A hierarchy of classes in exports and imports: levels, and COCO's supercategories."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from annotator.errors import ProjectError
from annotator.formats.format import FORMAT_MODULES, WITHOUT_LEVELS, list_formats, load_format
from annotator.project.class_tree import expand_paths
from annotator.project.classes import ClassInfo
from annotator.project.project import ProjectFolder
from tests.formats import made_projects as samples

PATHS = ("vehicle/car", "vehicle/bus", "animal/dog/pug", "animal/cat", "sky")
CLASSES = expand_paths([ClassInfo(path) for path in PATHS])
LABELS = {
    "a.png": "car", "b.png": "vehicle", "c.png": "pug", "d.png": "dog", "e.png": "animal",
    "f.png": "sky", "g.png": "bus",
}  # fmt: skip


@pytest.fixture
def made(tmp_path: Path) -> ProjectFolder:
    """One item for each of seven classes, three of them inner ones, and an open item."""
    return samples.project(tmp_path / "one", [*LABELS, "h.png"], LABELS, CLASSES)


def _labels(project: ProjectFolder, **options: Any) -> dict[str, str]:
    place = project.folder.parent / "x.jsonl"
    place.unlink(missing_ok=True)
    samples.write(project, "jsonl", place, **options)
    rows = map(json.loads, place.read_text().splitlines())
    return {row["filename"][0]: row["label"] for row in rows if row.get("label")}


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        ("", {name[0]: label for name, label in LABELS.items()}),
        ("1", {"a": "vehicle", "b": "vehicle", "c": "animal", "d": "animal", "e": "animal",
               "f": "sky", "g": "vehicle"}),
        ("2", {"a": "car", "c": "dog", "d": "dog", "f": "sky", "g": "bus"}),
        ("leaf", {"a": "car", "c": "pug", "f": "sky", "g": "bus"}),
    ],
)  # fmt: skip
def test_labels_at_a_level(made: ProjectFolder, level: str, expected: dict[str, str]) -> None:
    assert _labels(made, level=level) == expected


def test_what_is_not_refined_is_counted(made: ProjectFolder, tmp_path: Path) -> None:
    source = samples.write(made, "plain-csv", tmp_path / "x.csv", level="leaf")
    assert source.left_out["not refined to a leaf"] == 3
    source = samples.write(made, "plain-csv", tmp_path / "y.csv", level="2")
    assert source.left_out["not refined to level 2"] == 2


@pytest.mark.parametrize("level", ["0", "4", "leaves", "-1", "²"])
def test_a_level_that_is_not_there_is_refused(
    made: ProjectFolder, tmp_path: Path, level: str
) -> None:
    with pytest.raises(ProjectError, match="have 3 levels. Give 1 to 3, or leaf"):
        samples.write(made, "jsonl", tmp_path / "x.jsonl", level=level)


def test_a_class_chooses_the_classes_below_it_at_any_level(made: ProjectFolder) -> None:
    assert set(_labels(made, classes=("vehicle",))) == set("abg")
    assert _labels(made, classes=("dog",), level="1") == {"c": "animal", "d": "animal"}


def test_annotators_agree_if_one_label_is_within_the_other(made: ProjectFolder) -> None:
    samples.log(made, {"b.png": "car", "d.png": "cat"}, "bob")
    assert set(_labels(made, agreement=1.0)) == {"b"}
    assert set(_labels(made, agreement=1.0, level="1")) == {"b", "d"}


@pytest.mark.parametrize(
    "name", [name for name in FORMAT_MODULES if name not in (*WITHOUT_LEVELS, "coco-results")]
)
def test_every_format_writes_a_level(made: ProjectFolder, tmp_path: Path, name: str) -> None:
    if name not in list_formats():
        pytest.skip(f"{name} needs a package that is absent")
    boxes = {f"{ref}#xywh=1,1,20,20": label for ref, label in LABELS.items()}
    project = samples.project(tmp_path / "boxes", list(boxes), boxes, CLASSES)
    whole = name in ("imagefolder", "yolo-cls")
    source = samples.write(made if whole else project, name, tmp_path / "out", level="leaf")
    assert source.left_out["not refined to a leaf"] == 3
    assert source.written == 4
    if load_format(name).read is not None and name != "list":
        images = None if whole or name == "yolo" else project.images  # theirs lie in the export
        again = samples.reopened(
            tmp_path / "again", tmp_path / "out", load_format(name), images=images
        )
        labels = {label for _, label, _ in samples.items(again) if label}
        assert labels == {"car", "pug", "sky", "bus"}


def test_an_image_with_a_box_that_is_not_refined_is_left_out(tmp_path: Path) -> None:
    boxes = {"a.png#xywh=1,1,9,9": "car", "a.png#xywh=20,1,9,9": "vehicle",
             "b.png#xywh=1,1,9,9": "bus"}  # fmt: skip
    project = samples.project(tmp_path / "boxes", list(boxes), boxes, CLASSES)
    source = samples.write(project, "yolo", tmp_path / "out", level="leaf")
    assert (source.open_images, source.written) == (1, 1)


def test_numbers_of_a_level_have_no_gaps(made: ProjectFolder, tmp_path: Path) -> None:
    samples.write(made, "coco", tmp_path / "all.json")
    samples.write(made, "coco", tmp_path / "top.json", level="1")
    top = json.loads((tmp_path / "top.json").read_text())["categories"]
    assert top == [
        {"id": 1, "name": "vehicle"}, {"id": 2, "name": "animal"}, {"id": 3, "name": "sky"},
    ]  # fmt: skip


def test_coco_names_the_parents_and_takes_them_back(made: ProjectFolder, tmp_path: Path) -> None:
    place = tmp_path / "x.json"
    samples.write(made, "coco", place)
    categories = json.loads(place.read_text())["categories"]
    above = {category["name"]: category.get("supercategory") for category in categories}
    assert above["pug"] == "dog"
    assert above["dog"] == "animal"
    assert above["animal"] is None
    again = samples.reopened(tmp_path / "two", place, load_format("coco"), images=made.images)
    assert again.settings.tree.parents == made.settings.tree.parents
    assert {label for _, label, _ in samples.items(again)} == {*LABELS.values(), None}


def test_parents_that_are_no_category_become_classes_after_the_others(tmp_path: Path) -> None:
    found = _from_categories(tmp_path, [("person", "person"), ("car", "vehicle"), ("cat", "pet")])
    assert found == {"person": None, "car": "vehicle", "cat": "pet", "vehicle": None, "pet": None}


def test_parents_that_form_no_tree_leave_the_classes_flat(tmp_path: Path) -> None:
    found = _from_categories(tmp_path, [("a", "b"), ("b", "a"), ("c", "none")])
    assert found == {"a": None, "b": None, "c": None}


def test_a_parent_of_everything_is_not_a_class(tmp_path: Path) -> None:
    found = _from_categories(tmp_path, [("car", "objects"), ("cat", "objects")])
    assert found == {"car": None, "cat": None}


def _from_categories(folder: Path, pairs: list[tuple[str, str]]) -> dict[str, str | None]:
    """Return the parents in a new project of a COCO file with an annotation for each category."""
    samples.images(folder / "images", ["a.png"])
    numbers = range(1, len(pairs) + 1)
    document = {
        "images": [{"id": 1, "file_name": "a.png", "width": 60, "height": 40}],
        "categories": [
            {"id": number, "name": name, "supercategory": parent}
            for number, (name, parent) in zip(numbers, pairs, strict=True)
        ],
        "annotations": [
            {"id": number, "image_id": 1, "category_id": number, "bbox": [number, 1, 9, 9]}
            for number in numbers
        ],
    }
    place = folder / "x.json"
    place.write_text(json.dumps(document))
    made = samples.reopened(folder / "p", place, load_format("coco"), images=folder / "images")
    return dict(made.settings.tree.parents)


def test_a_taxonomy_of_label_studio_is_a_hierarchy(tmp_path: Path) -> None:
    samples.images(tmp_path / "images", ["a.png", "b.png", "c.png"])
    paths = {"a.png": ["animal", "dog", "pug"], "b.png": ["animal"], "c.png": ["sky"]}
    tasks = [
        {
            "data": {"image": image},
            "annotations": [{"result": [
                {"type": "taxonomy", "from_name": "kind", "value": {"taxonomy": [path]}},
            ]}],
        }
        for image, path in paths.items()
    ]  # fmt: skip
    place = tmp_path / "x.json"
    place.write_text(json.dumps(tasks))
    made = samples.reopened(
        tmp_path / "p", place, load_format("label-studio"), images=tmp_path / "images"
    )
    assert made.settings.tree.parents == {
        "pug": "dog", "animal": None, "sky": None, "dog": "animal",
    }  # fmt: skip
    assert [label for _, label, _ in samples.items(made)] == ["pug", "animal", "sky"]
