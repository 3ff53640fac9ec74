"""Distances of rows to their nearest other row, and the `eps` for DBSCAN that they suggest.

A face whose person is there twice has a near neighbour, any other face a far one. Between the two
hills of the nearest distances lies a valley, at the distance that separates persons. It depends on
the descriptor: 0.03 for one, 0.5 for another.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annotator.detection.dbscan import UnitVectors

_SAMPLE = 4000
"""Most rows whose nearest distance is computed, against all others."""
_LEAST_ROWS = 8
_LEAST_CONTRAST = 2.0
"""Least height of both hills, in heights of the valley."""
_FULL_CONTRAST = 10.0
"""A contrast as good as any: of such valleys, the widest counts."""
_LEAST_SIDE = 3
_LEAST_SHARE = 0.03
"""Least number of rows, and least share, on each side of the valley."""
_WINDOW = (0.08, 0.7)
"""A valley outside this part of the distance between strangers separates something else."""
_WITHOUT_VALLEY = 0.27
"""The part of the distance between strangers that is taken if there is no valley."""
_BARS = " ▁▂▃▄▅▆▇█"


@dataclass(frozen=True, slots=True)
class EpsEstimate:
    """The nearest distances of rows, and the `eps` that they suggest."""

    distances: NDArray[np.float64]
    """Cosine distance of each row, or of a sample, to its nearest other row."""
    eps: float
    has_valley: bool
    """True if `eps` lies in a valley; else it is a part of the distance between strangers."""

    def draw(self, eps: float, bins: int = 32) -> str:
        """Return the histogram as one line of bars, with a `│` at `eps`."""
        top = max(float(self.distances.max(initial=0)), eps) * 1.02 or 1.0
        counts, _ = np.histogram(self.distances, bins, (0, top))
        heights = np.ceil(8 * np.sqrt(counts / max(1, counts.max()))).astype(int)
        bars = [_BARS[height] for height in heights]
        bars.insert(min(bins, round(bins * eps / top)), "│")
        return f"0 {''.join(bars)} {top:.2g}"


def estimate_eps(unit: UnitVectors, seed: int = 0) -> EpsEstimate:
    """Return the nearest distances of rows of length 1, and the `eps` in their valley."""
    if len(unit) < 2:
        return EpsEstimate(np.zeros(0), 0.3, False)
    rng = np.random.default_rng(seed)
    rows = np.arange(len(unit))
    if len(unit) > _SAMPLE:
        rows = np.sort(rng.choice(len(unit), _SAMPLE, replace=False))
    parts, nearest = [], []
    for block in np.array_split(rows, -(-len(rows) // 256)):
        cosine = unit[block] @ unit.T
        cosine[np.arange(len(block)), block] = -np.inf
        nearest.append(1 - cosine.max(axis=1))
        parts.append(1 - cosine[:, rng.integers(0, len(unit), 64)].ravel())
    distances = np.clip(np.concatenate(nearest).astype(float), 0, 2)
    pairs = np.concatenate(parts)
    # Strangers are most pairs, unless one person has most faces; so not the median.
    strangers = float(np.percentile(pairs[np.isfinite(pairs)], 90)) if len(unit) > 2 else 0.0
    valley = _find_valley(distances)
    if valley is not None and _WINDOW[0] * strangers <= valley <= _WINDOW[1] * strangers:
        return EpsEstimate(distances, valley, True)
    return EpsEstimate(distances, max(_WITHOUT_VALLEY * strangers, 1e-6), False)


def _find_valley(distances: NDArray[np.float64]) -> float | None:
    """Return the widest deep valley between two hills of the density; None without one."""
    count = len(distances)
    if count < _LEAST_ROWS or not distances.max():
        return None
    quartiles = float(np.subtract(*np.percentile(distances, [75, 25]))) / 1.34
    # Half of Silverman's bandwidth, which is for one hill.
    width = 0.45 * min(float(distances.std()), quartiles or np.inf) * count**-0.2
    width = max(width, float(distances.max()) / 100)
    grid = np.linspace(0, distances.max(), 256)
    density = np.exp(-0.5 * ((grid[:, None] - distances) / width) ** 2).sum(axis=1)
    left, right = np.maximum.accumulate(density), np.maximum.accumulate(density[::-1])[::-1]
    contrast = np.minimum(left, right) / (density + 1e-6 * density.max())
    contrast = np.minimum(contrast, _FULL_CONTRAST)
    below = np.searchsorted(np.sort(distances), grid)
    least = max(_LEAST_SIDE, _LEAST_SHARE * count)
    contrast[(below < least) | (count - below < least)] = 0
    if contrast.max() < _LEAST_CONTRAST:
        return None
    valleys = np.flatnonzero(contrast >= 0.99 * contrast.max())
    runs = np.split(valleys, np.flatnonzero(np.diff(valleys) > 1) + 1)
    return float(grid[max(runs, key=len)].mean())
