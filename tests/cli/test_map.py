"""annotator map: the picture, the table, and what is missing."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.command_line import bad, good, make_images

NAMES = [f"{number:02d}.png" for number in range(12)]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    make_images(tmp_path / "images", *NAMES)
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(12, 6)).astype(np.float32) * 0.1
    matrix[:6, 0], matrix[6:, 1] = 1, 1
    np.save(tmp_path / "own.npy", matrix)
    labels = [("ok" if n < 6 else "bad") if n % 2 else "" for n in range(12)]
    rows = [f"{name},{label}" for name, label in zip(NAMES, labels, strict=True)]
    (tmp_path / "t.csv").write_text("\n".join(["filename,label", *rows]) + "\n")
    place = tmp_path / "p"
    good(
        "init", place, "--images", tmp_path / "images", "--refs", tmp_path / "t.csv",
        "--features", tmp_path / "own.npy",
    )  # fmt: skip
    return place


def test_the_table_has_a_point_for_each_item(project: Path, tmp_path: Path) -> None:
    good("map", project, "--method", "pca", "--out", tmp_path / "m.csv")
    with (tmp_path / "m.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["ref"] for row in rows] == NAMES
    left = [float(row["x"]) for row in rows[:6]]
    right = [float(row["x"]) for row in rows[6:]]
    assert max(left) < min(right) or max(right) < min(left)
    assert [row["label"] for row in rows[:4]] == ["", "ok", "", "ok"]
    assert {row["prediction"] for row in rows[:6]} == {"ok"}


@pytest.mark.parametrize("by", ["class", "prediction", "error"])
def test_the_picture_has_dots(project: Path, tmp_path: Path, by: str) -> None:
    good("map", project, "--method", "pca", "--out", tmp_path / "m.png", "--by", by)
    with Image.open(tmp_path / "m.png") as picture:
        assert picture.format == "PNG" and len(picture.convert("RGB").getcolors(1 << 20)) > 1


def test_faults_name_their_remedy(project: Path, tmp_path: Path) -> None:
    assert "pca" in bad("map", project, "--method", "tsne", code=2)
    good("map", project, "--out", tmp_path / "m.csv")
    assert "--overwrite" in bad("map", project, "--out", tmp_path / "m.csv")
    assert ".png or .csv" in bad("map", project, "--out", tmp_path / "m.gif", code=2)
    make_images(tmp_path / "more", "a.png")
    good("init", tmp_path / "q", "--images", tmp_path / "more")
    assert "annotator features" in bad("map", tmp_path / "q")
    assert not (tmp_path / "m.gif").exists()
