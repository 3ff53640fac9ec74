"""The features that need no download tell pictures apart, on real ones too."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from annotator.features.classic import ClassicExtractor
from annotator.learn.ridge import RidgeLOO


def features(images: list[Image.Image]) -> NDArray[np.float32]:
    classic = ClassicExtractor()
    return classic([np.asarray(image.resize(classic.size, reducing_gap=3.0)) for image in images])


def accuracy(X: NDArray[np.float32], y: NDArray[np.int64], labels: int) -> float:
    """Return the accuracy of our own estimator, after some random labels, on all others."""
    X = X / np.linalg.norm(X, axis=1, keepdims=True)
    order = np.random.default_rng(0).permutation(len(y))
    known, rest = order[:labels], order[labels:]
    model = RidgeLOO(int(y.max()) + 1).fit(X[known], y[known])
    return float((model.predict_proba(X[rest]).argmax(axis=1) == y[rest]).mean())


def stripes(angle: float, colour: tuple[int, int, int], random: np.random.Generator) -> Image.Image:
    y, x = np.mgrid[:90, :120]
    wave = np.sin((x * np.cos(angle) + y * np.sin(angle)) / 4 + random.uniform(0, 6))
    noise = random.normal(0, 0.1, wave.shape)
    light = (0.5 + 0.4 * wave + noise).clip(0, 1)[..., None]
    return Image.fromarray((light * np.array(colour)).astype(np.uint8))


def test_texture_and_colour_are_learnt_from_a_few_labels() -> None:
    random = np.random.default_rng(0)
    kinds = [(0.0, (200, 200, 200)), (1.2, (200, 200, 200)), (0.0, (200, 90, 90))]
    images = [stripes(*kinds[n % 3], random) for n in range(120)]
    assert accuracy(features(images), np.arange(120) % 3, 12) > 0.95


def test_every_picture_gives_finite_numbers_of_its_own() -> None:
    random = np.random.default_rng(1)
    images = [
        Image.new("RGB", (1, 1)),
        Image.new("RGB", (3000, 2), "white"),
        Image.fromarray(random.integers(0, 256, (40, 700, 3)).astype(np.uint8)),
        *(stripes(n, (99, 200, 30), random) for n in range(70)),
    ]
    together = features(images)
    assert together.shape == (len(images), ClassicExtractor().dim)
    assert np.isfinite(together).all()
    assert together.any(axis=1).all()
    alone = np.concatenate([features([image]) for image in images])
    assert np.allclose(together, alone, atol=1e-5)


def test_real_flowers_and_real_defects_are_learnt(shared: Path) -> None:
    for name, labels, least in (("flowers", 150, 0.5), ("magnetic-tile", 200, 0.8)):
        folder = shared / "data" / name
        with (folder / "truth.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))[::3]
        names = sorted({row["label"] for row in rows})
        images = [Image.open(folder / row["filename"]).convert("RGB") for row in rows]
        y = np.array([names.index(row["label"]) for row in rows])
        assert accuracy(features(images), y, labels) > least
