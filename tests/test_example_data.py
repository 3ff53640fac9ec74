"""The example data: what its README says of it is so, and the script beside it draws it."""

from __future__ import annotations

import csv
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from annotator.features.classic import ClassicExtractor
from annotator.features.pipeline import extract_features
from annotator.images import ImageFolder
from annotator.items.ref_table import RefTable
from annotator.items.refs import Box, Item
from annotator.simulate.options import SimulateOptions
from annotator.simulate.runs import run_simulations

EXAMPLE = Path(__file__).parents[1] / "example_data"
IMAGES = EXAMPLE / "images"
KINDS = {"nut", "washer", "gear", "bearing", "plate", "bolt", "spring"}


def table(name: str) -> list[dict[str, str]]:
    with (EXAMPLE / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def box(row: dict[str, str]) -> Box:
    return Box(*(float(part) for part in row["bbox"].split(",")))


def draw(folder: Path, *arguments: str) -> None:
    command = [sys.executable, str(EXAMPLE / "make.py"), "--out", str(folder), *arguments]
    subprocess.run(command, check=True, capture_output=True)


@pytest.fixture(scope="module")
def truth() -> list[dict[str, str]]:
    return table("truth.csv")


def test_refs_and_truth_list_the_same_boxes_in_the_same_order(truth: list[dict[str, str]]) -> None:
    refs = table("refs.csv")
    assert list(refs[0]) == ["filename", "bbox"]
    assert list(truth[0]) == ["filename", "bbox", "label", "kind"]
    assert refs == [{"filename": row["filename"], "bbox": row["bbox"]} for row in truth]
    assert len({(row["filename"], row["bbox"]) for row in refs}) == len(refs) == 449


def test_every_picture_decodes_and_holds_its_boxes(truth: list[dict[str, str]]) -> None:
    found = {path.name for path in IMAGES.iterdir()}
    assert found == {row["filename"] for row in truth}
    assert len(found) == 60
    for name in found:
        with Image.open(IMAGES / name) as image:
            assert (image.size, image.mode) == ((640, 480), "RGB")
            image.load()
    for each in map(box, truth):
        assert each.x >= 0 and each.right <= 640
        assert each.y >= 0 and each.bottom <= 480
        assert min(each.w, each.h) >= 30


def test_six_to_nine_parts_a_tray_and_every_class_of_both_tasks(
    truth: list[dict[str, str]],
) -> None:
    per_tray = Counter(row["filename"] for row in truth)
    assert set(per_tray.values()) <= {6, 7, 8, 9}
    labels = Counter(row["label"] for row in truth)
    assert set(labels) == {"ok", "defect"}
    assert 0.25 < labels["defect"] / len(truth) < 0.35
    both = Counter((row["kind"], row["label"]) for row in truth)
    assert set(both) == {(kind, label) for kind in KINDS for label in labels}
    assert min(both.values()) >= 10


def test_a_clone_grows_by_less_than_five_megabytes() -> None:
    files = [
        path for path in EXAMPLE.rglob("*") if path.is_file() and "__pycache__" not in str(path)
    ]
    assert sum(path.stat().st_size for path in files) < 5_000_000


def test_the_script_reproduces_the_lists_to_the_byte(tmp_path: Path) -> None:
    draw(tmp_path, "--lists")
    for name in ("refs.csv", "truth.csv"):
        assert (tmp_path / name).read_bytes() == (EXAMPLE / name).read_bytes()
    assert not (tmp_path / "images").exists()


def test_the_script_draws_the_committed_pictures(tmp_path: Path) -> None:
    draw(tmp_path, "--only", "tray-10.jpg")
    drawn, kept = (
        np.asarray(Image.open(folder / "tray-10.jpg"), np.int16)
        for folder in (tmp_path / "images", IMAGES)
    )
    # JPEG libraries differ in a shade here and there.
    assert np.abs(drawn - kept).mean() < 1.5


def test_forty_labels_tell_most_defects_from_sound_parts(
    truth: list[dict[str, str]], tmp_path: Path
) -> None:
    refs = [Item(row["filename"], box(row)).ref for row in truth]
    extract_features(
        RefTable(refs), ImageFolder(IMAGES), ClassicExtractor(), tmp_path / "features", context=0.0
    )
    features = tmp_path / "features" / "features.npy"
    options = SimulateOptions(
        EXAMPLE / "truth.csv", features, ("herding-mix",), budget=40, metric="accuracy",
        processes=1,
    )  # fmt: skip
    unseen = [each["value"][-1] for each in run_simulations(options)["runs"]]
    # Calling everything ok is right for 70 %.
    assert np.mean(unseen) >= 0.85
