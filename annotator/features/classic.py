"""Features without a network and without a download: about 1 ms a picture on one core.

Four descriptions of 64 x 64 pixels side by side, each of a fixed length, so that none drowns
the others: responses to a dictionary of small filters (Coates & Ng 2012), oriented gradients
(Dalal & Triggs 2005), local binary patterns (Ojala et al. 2002) and a histogram of colours.
benchmarks/classic.py shows what each of them adds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotator.features.dictionary import Floats, extract_patches, load_filters
from annotator.images import Pixels
from annotator.learn.rows import scale_to_unit

SIDE = 64
_AT_ONCE = 32
_ORIENTATIONS, _CELL = 6, 8
_BINS = 4


class ClassicExtractor:
    """The extractor `classic`."""

    name = "classic"
    size = (SIDE, SIDE)
    batch_size = 64
    outruns_threads = False

    def __init__(self) -> None:
        self._parts = (
            (1.0, FilterBank(load_filters())),
            (0.7, oriented_gradients),
            (0.8, binary_patterns),
            (0.5, color_histogram),
        )
        self.dim = self([np.zeros((SIDE, SIDE, 3), np.uint8)]).shape[1]

    def describe(self) -> dict[str, Any]:
        """Return the name and the version of the features."""
        return {"name": self.name, "version": 1}

    def __call__(self, pictures: Pixels | Sequence[Pixels]) -> Floats:
        # Few at once: they stay in the processor's cache.
        return np.concatenate(
            [
                self._features(np.asarray(pictures[start : start + _AT_ONCE]))
                for start in range(0, len(pictures), _AT_ONCE)
            ]
        )

    def _features(self, pictures: Pixels) -> Floats:
        parts = [weight * scale_to_unit(part(pictures)) for weight, part in self._parts]
        return np.concatenate(parts, axis=1).astype(np.float32)


class FilterBank:
    """Square roots of rectified filter responses at half size, averaged in a 3 x 3 grid."""

    def __init__(self, dictionary: Floats) -> None:
        self._filters, self._bias = dictionary[:-1], dictionary[-1]

    def __call__(self, pictures: Pixels) -> Floats:
        """Return the features (n, 18 k) of pictures (n, 64, 64, 3)."""
        n, half = len(pictures), SIDE // 2
        small = pictures.reshape(n, half, 2, half, 2, 3).mean(axis=(2, 4), dtype=np.float32)
        response = extract_patches(small, 2) @ self._filters + self._bias
        signs = np.concatenate([response, -response], axis=-1) - np.float32(0.5)
        pooled = _grid_means(np.maximum(signs, 0), 3)
        return np.sqrt(pooled.reshape(n, -1))


def oriented_gradients(pictures: Pixels) -> Floats:
    """Return (n, 384): six orientations in 8 x 8 cells, normalised by the cells around them."""
    n, cells = len(pictures), SIDE // _CELL
    grey = _luma(pictures)
    across, down = np.zeros_like(grey), np.zeros_like(grey)
    across[:, :, 1:-1] = grey[:, :, 2:] - grey[:, :, :-2]
    down[:, 1:-1] = grey[:, 2:] - grey[:, :-2]
    strength = np.hypot(across, down)
    angle = (np.arctan2(down, across) % np.pi) * np.float32(_ORIENTATIONS / np.pi)
    found = np.empty((n, cells, cells, _ORIENTATIONS), np.float32)
    for orientation in range(_ORIENTATIONS):
        # Linear between the two nearest orientations; the last is next to the first.
        away = np.abs(angle - orientation)
        share = np.maximum(0, 1 - np.minimum(away, _ORIENTATIONS - away)) * strength
        found[..., orientation] = share.reshape(n, cells, _CELL, cells, _CELL).sum(axis=(2, 4))
    energy = np.pad(np.square(found).sum(axis=-1), ((0, 0), (1, 1), (1, 1)))
    around = sum(energy[:, i : i + cells, j : j + cells] for i in range(3) for j in range(3))
    scaled = found / np.sqrt(np.asarray(around)[..., None] / 2 + np.float32(0.01))
    return np.sqrt(np.minimum(scaled, 0.4)).reshape(n, -1)


def binary_patterns(pictures: Pixels) -> Floats:
    """Return (n, 236): square roots of histograms of 59 uniform patterns in each quarter."""
    grey = _luma(pictures)
    inner = grey[:, 1:-1, 1:-1] + np.float32(0.01)
    side = SIDE - 2
    code = np.zeros(inner.shape, np.uint8)
    for bit, (y, x) in enumerate(_NEIGHBOURS):
        code |= (grey[:, y : y + side, x : x + side] > inner).astype(np.uint8) << np.uint8(bit)
    half = side // 2
    quarters = _UNIFORM_BINS[code].reshape(-1, 2, half, 2, half).swapaxes(2, 3)
    return _histograms(quarters.reshape(-1, half * half), 59).reshape(len(pictures), -1)


def color_histogram(pictures: Pixels) -> Floats:
    """Return (n, 64): square roots of the histogram of four levels each of red, green, blue."""
    levels = (pictures >> 6).astype(np.int64)
    bins = (levels[..., 0] * _BINS + levels[..., 1]) * _BINS + levels[..., 2]
    return _histograms(bins.reshape(len(pictures), -1), _BINS**3)


_NEIGHBOURS = ((0, 0), (0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0))


def _uniform_bins() -> NDArray[np.int64]:
    """Return the bin of each pattern: one for each with at most two changes around, one for all
    others."""
    codes = np.arange(256)
    turned = (codes >> 1) | ((codes & 1) << 7)
    smooth = np.bitwise_count(codes ^ turned) <= 2
    return np.where(smooth, np.cumsum(smooth) - 1, 58)


_UNIFORM_BINS = _uniform_bins()


def _histograms(bins: NDArray[np.int64], count: int) -> Floats:
    """Return roots (m, count) of the share of each bin in the rows of (m, pixels)."""
    offset = bins + count * np.arange(len(bins))[:, None]
    found = np.bincount(offset.ravel(), minlength=count * len(bins)).reshape(len(bins), count)
    return np.sqrt(found / np.float32(bins.shape[1]), dtype=np.float32)


def _grid_means(values: Floats, cells: int) -> Floats:
    """Return means (n, cells * cells, c) of (n, rows, columns, c) over a grid."""
    edges = np.rint(np.linspace(0, values.shape[1], cells + 1)).astype(int)
    spans = [slice(edges[i], edges[i + 1]) for i in range(cells)]
    means = [values[:, y, x].mean(axis=(1, 2)) for y in spans for x in spans]
    return np.stack(means, axis=1).astype(np.float32, copy=False)


def _luma(pictures: Pixels) -> Floats:
    """Return the luma of ITU-R BT.601, 0 to 1."""
    luma = np.array([0.299, 0.587, 0.114], np.float32) / np.float32(255)
    return np.asarray(pictures.astype(np.float32) @ luma, np.float32)
