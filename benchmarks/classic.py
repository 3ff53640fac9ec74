"""What each part of the classic features adds: accuracy of our estimator after some labels.

Needs the labelled sets of ../shared/data (or ANNOTATOR_SHARED); MobileNetV2's features, which lie
there, are the yardstick: a network that needs a download.
"""

from __future__ import annotations

import csv
import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from annotator.features.classic import ClassicExtractor
from annotator.images import ImageFolder
from annotator.items.refs import Item
from annotator.learn.ridge import RidgeLOO

SHARED = Path(os.environ.get("ANNOTATOR_SHARED", Path(__file__).parents[2] / "shared"))
SETS = ("flowers", "cifar10", "magnetic-tile")
LABELS = (50, 100, 300)
SEEDS = 5
MOST = 1500

Features = NDArray[np.float32]


def dataset(name: str) -> tuple[Features, NDArray[np.int64], Features]:
    """Classic features, classes and MobileNetV2's features of at most `MOST` images."""
    folder = SHARED / "data" / name
    with (folder / "truth.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    kept = np.random.default_rng(0).permutation(len(rows))[:MOST]
    names = sorted({row["label"] for row in rows})
    y = np.array([names.index(rows[n]["label"]) for n in kept])
    extractor, source = ClassicExtractor(), ImageFolder(folder)
    pictures = [source.resized_pixels(Item(rows[n]["filename"]), extractor.size) for n in kept]
    return extractor(pictures), y, np.load(folder / "features.npy")[kept].astype(np.float32)


def recall(X: Features, y: NDArray[np.int64], labels: int) -> float:
    """Mean over classes of the share found, over `SEEDS` random choices of labels, in percent."""
    X = X / np.linalg.norm(X, axis=1, keepdims=True).clip(1e-9)
    found = []
    for seed in range(SEEDS):
        order = np.random.default_rng(seed).permutation(len(y))
        known, rest = order[:labels], order[labels:]
        model = RidgeLOO(int(y.max()) + 1).fit(X[known].astype(float), y[known])
        right = model.scores(X[rest]).argmax(axis=1) == y[rest]
        found.append(np.mean([right[y[rest] == c].mean() for c in np.unique(y[rest])]))
    return 100 * float(np.mean(found))


def parts(X: Features) -> dict[str, Features]:
    """The blocks of the classic vector, in its order."""
    names = ("filters", "gradients", "patterns", "colours")
    widths = (X.shape[1] - 384 - 236 - 64, 384, 236, 64)
    return dict(zip(names, np.split(X, np.cumsum(widths)[:-1], axis=1), strict=True))


def main() -> None:
    if not (SHARED / "data" / "README.md").is_file():
        print(f"skipped: {SHARED / 'data'} is absent")
        return
    table: dict[str, list[float]] = {}
    for name in SETS:
        X, y, network = dataset(name)
        blocks = parts(X)
        ways = {
            **{f"{part} alone": block for part, block in blocks.items()},
            "gradients + colours": np.hstack([blocks["gradients"], blocks["colours"]]),
            "all: classic": X,
            "MobileNetV2 (download)": network,
        }
        for way, features in ways.items():
            table.setdefault(way, []).extend(recall(features, y, n) for n in LABELS)
    print(f"{'mean recall in % after':24}", *(f"{f'{s} {n}':>18}" for s in SETS for n in LABELS))
    for way, values in table.items():
        print(f"{way:24}", *(f"{value:18.1f}" for value in values))


if __name__ == "__main__":
    main()
