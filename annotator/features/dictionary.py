"""The filters of the `classic` features: learnt once, from pictures that are made here.

`python -m annotator.features.dictionary` writes dictionary.npy again. The pictures are dead
leaves (Lee, Mumford & Huang 2001, "Occlusion models for natural images"): discs of any size and
colour over each other, whose edges are distributed as in photographs. Their 6 x 6 patches are
whitened and clustered by spherical k-means (Coates & Ng 2012, "Learning feature representations
with k-means").
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

PATCH_SIDE = 6
DICTIONARY_FILE = Path(__file__).with_name("dictionary.npy")

Floats = NDArray[np.float32]


def load_filters() -> Floats:
    """Return (109, k): the filters for normalised patches in rows 0 to 107, their bias
    in the last."""
    return np.asarray(np.load(DICTIONARY_FILE), np.float32)


def extract_patches(pictures: Floats, step: int) -> Floats:
    """Return patches (n, rows, columns, 108) of (n, h, w, 3), each of zero mean and
    unit contrast."""
    windows = sliding_window_view(pictures, (PATCH_SIDE, PATCH_SIDE), (1, 2))[:, ::step, ::step]
    found = windows.reshape(*windows.shape[:3], -1)
    found = found - found.mean(axis=-1, keepdims=True)
    found /= np.sqrt(np.square(found).mean(axis=-1, keepdims=True) + 10)
    return np.asarray(found, np.float32)


def dead_leaves(count: int, side: int, random: np.random.Generator) -> Floats:
    """Return pictures (count, side, side, 3) of 60 shaded ellipses each, values 0 to 255."""
    across = np.arange(side)
    pictures = np.empty((count, side, side, 3), np.float32)
    for picture in pictures:
        picture[:] = random.uniform(0, 255, 3)
        for _ in range(60):
            _draw_ellipse(picture, across, random)
    return _blur(_blur(pictures, 1), 2).clip(0, 255)


def _blur(pictures: Floats, axis: int) -> Floats:
    """Blur along an axis: a lens is never quite sharp."""
    around = np.roll(pictures, 1, axis) + np.roll(pictures, -1, axis)
    return np.asarray((around + 2 * pictures) / 4, np.float32)


def _draw_ellipse(picture: Floats, across: NDArray[np.int64], random: np.random.Generator) -> None:
    side = len(across)
    radius = min(3 / np.sqrt(random.uniform(0.002, 1)), side / 2)
    (x, y), turn = random.uniform(-5, side + 5, 2), random.uniform(0, np.pi)
    along = (across - x) * np.cos(turn) + (across[:, None] - y) * np.sin(turn)
    beside = (across[:, None] - y) * np.cos(turn) - (across - x) * np.sin(turn)
    inside = along**2 + (beside / random.uniform(0.4, 1)) ** 2 < radius**2
    slope = random.normal(0, 2, (2, 1))
    colour = random.uniform(0, 255) + random.normal(0, 40, 3)
    shade = along[inside, None] * slope[0] + beside[inside, None] * slope[1]
    picture[inside] = colour + shade


def learn_filters(filters: int = 32, seed: int = 0) -> Floats:
    """Return the dictionary as `load_filters` gives it."""
    random = np.random.default_rng(seed)
    pictures = dead_leaves(300, 64, random).reshape(300, 32, 2, 32, 2, 3).mean(axis=(2, 4))
    sample = extract_patches(pictures, 1).reshape(-1, PATCH_SIDE * PATCH_SIDE * 3)
    sample = sample[random.permutation(len(sample))[:30_000]].astype(np.float64)
    mean = sample.mean(axis=0)
    values, vectors = np.linalg.eigh(np.cov((sample - mean).T))
    whiten = (vectors / np.sqrt(values + 0.1)) @ vectors.T
    found = whiten @ _spherical_kmeans((sample - mean) @ whiten, filters, random).T
    return np.vstack([found, -mean @ found]).astype(np.float32)


def _spherical_kmeans(
    sample: NDArray[np.float64], count: int, random: np.random.Generator
) -> NDArray[np.float64]:
    """Return unit centres (count, d), up to sign."""
    centres = sample[random.permutation(len(sample))[:count]]
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    for _ in range(15):
        likeness = sample @ centres.T
        nearest = np.abs(likeness).argmax(axis=1)
        chosen = np.zeros_like(likeness)
        rows = np.arange(len(sample))
        chosen[rows, nearest] = likeness[rows, nearest]
        centres = chosen.T @ sample
        centres /= np.linalg.norm(centres, axis=1, keepdims=True).clip(1e-9)
    return centres


if __name__ == "__main__":
    np.save(DICTIONARY_FILE, learn_filters())
    sys.stderr.write(f"{DICTIONARY_FILE} written\n")
