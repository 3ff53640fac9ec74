"""Labels that a model gave are marked as such in an export, with its version and probability."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from annotator.formats.format import load_format
from annotator.log.entries import Action, Entry
from annotator.log.store.sqlite import SqliteStore
from annotator.project.project import ProjectFolder
from tests.formats import made_projects as samples

MARKS = {"machine": True, "model": "ridge 7", "probability": 0.9}


def finished(folder: Path, refs: list[str]) -> ProjectFolder:
    """The first item labelled by a person, the second by the model."""
    project = samples.project(folder, refs, {})
    store = SqliteStore(project.labels_file)
    proba = {"ok": 0.9, "defect": 0.1}
    store.append(
        Entry(0, 1.0, "ann", Action.LABEL, refs[0], "ok", proba, "ridge 6"),
        Entry(0, 2.0, "ann", Action.LABEL, refs[1], "ok", proba, "ridge 7",
              extra={"machine": True}),
    )  # fmt: skip
    store.close()
    return project


@pytest.fixture
def images(tmp_path: Path) -> ProjectFolder:
    return finished(tmp_path / "one", ["a.png", "b.png"])


@pytest.fixture
def boxes(tmp_path: Path) -> ProjectFolder:
    return finished(tmp_path / "one", ["a.png#xywh=1,1,5,5", "b.png#xywh=1,1,5,5"])


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_in_tables(images: ProjectFolder, tmp_path: Path) -> None:
    samples.write(images, "jsonl", tmp_path / "x.jsonl")
    person, model = rows(tmp_path / "x.jsonl")
    assert person == {"filename": "a.png", "label": "ok"}
    assert model == {"filename": "b.png", "label": "ok", **MARKS}
    samples.write(images, "plain-csv", tmp_path / "x.csv")
    with (tmp_path / "x.csv").open(newline="") as file:
        person, model = csv.DictReader(file)
    assert (person["machine"], person["model"], person["probability"]) == ("", "", "")
    assert (model["model"], model["probability"]) == ("ridge 7", "0.9") and model["machine"]


def test_without_any_the_columns_are_the_plain_ones(images: ProjectFolder, tmp_path: Path) -> None:
    samples.write(images, "plain-csv", tmp_path / "x.csv", only=("human",))
    assert "machine" not in (tmp_path / "x.csv").read_text()


def test_in_formats_of_boxes(boxes: ProjectFolder, tmp_path: Path) -> None:
    samples.write(boxes, "coco", tmp_path / "c.json")
    person, model = json.loads((tmp_path / "c.json").read_text())["annotations"]
    assert "provenance" not in person and model["provenance"] == MARKS
    samples.write(boxes, "yolo", tmp_path / "y")
    (model,) = rows(tmp_path / "y/provenance.jsonl")
    assert {name: model[name] for name in MARKS} == MARKS and model["image"] == "images/b.png"
    samples.write(boxes, "voc", tmp_path / "v")
    told = {
        name: ElementTree.parse(tmp_path / f"v/Annotations/{name}.xml").find(".//provenance")
        for name in "ab"
    }
    assert told["a"] is None and told["b"] is not None
    assert [told["b"].findtext(name) for name in ("model", "probability")] == ["ridge 7", "0.9"]
    samples.write(boxes, "label-studio", tmp_path / "ls.json")
    tasks = json.loads((tmp_path / "ls.json").read_text())
    assert [task["annotations"][0].get("machine") for task in tasks] == [None, True]


@pytest.mark.parametrize("name", ["plain-csv", "jsonl"])
def test_marks_come_back_as_marks(images: ProjectFolder, tmp_path: Path, name: str) -> None:
    """Not as columns of the user's own."""
    samples.write(images, name, tmp_path / "x")
    again = samples.reopened(
        tmp_path / "two", tmp_path / "x", load_format(name), images=images.images
    )
    samples.write(again, "jsonl", tmp_path / "again.jsonl")
    person, model = rows(tmp_path / "again.jsonl")
    assert person == {"filename": "a.png", "label": "ok"}
    assert model["machine"] is True and set(model) <= {"filename", "label", *MARKS}
