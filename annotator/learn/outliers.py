"""Items that are far from everything: most likely no object of any class, or a broken image.

The distance is the cosine distance to the K-th nearest item (Ramaswamy, Rastogi & Shim, SIGMOD
2000). The mean over fewer neighbours would miss strange items that came together, such as ten
frames of a covered lens: they are near to each other.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from annotator.learn.rows import Rows

NEAREST = 20
"""K: up to this number, strange items of one kind are outliers."""
REFERENCE_ROWS = 20_000
"""The largest number of items that others are compared with."""
_FENCE = 1.5
_AT_ONCE = 512


class Outliers(NamedTuple):
    """The outliers among n items, the farthest first."""

    rows: Rows
    """(m,)."""
    distances: NDArray[np.float64]
    """(m,) the cosine distance to the K-th nearest item."""
    usual: float
    """The median of this distance over all n items."""


def far_distances(unit: NDArray[np.float32], reference: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the distance (n,) of unit rows (n, d) to their K-th nearest in reference (m, d).

    Each row is in the reference itself, as the first of its neighbours. With fewer than K others
    it is the distance to the farthest.
    """
    place = max(0, len(reference) - 1 - NEAREST)
    found = np.zeros(len(unit))
    for start in range(0, len(unit) if len(reference) else 0, _AT_ONCE):
        cosines = unit[start : start + _AT_ONCE] @ reference.T
        found[start : start + len(cosines)] = np.partition(cosines, place, axis=1)[:, place]
    return np.maximum(0, 1 - found)


def find_outliers(unit: NDArray[np.float32], reference: NDArray[np.float32]) -> Outliers:
    """Find the rows (n, d) whose distance lies beyond Tukey's fence, on a scale of logarithms.

    `reference` (m, d) holds the rows themselves and other items. With 2K items or fewer, none is
    far: half of all items would be neighbours.
    """
    if len(unit) <= 2 * NEAREST:
        return Outliers(np.zeros(0, np.int64), np.zeros(0), 0.0)
    distances = far_distances(unit, reference)
    low, usual, high = np.percentile(np.log(distances + 1e-9), [25, 50, 75])
    rows = np.flatnonzero(np.log(distances + 1e-9) > high + _FENCE * (high - low))
    rows = rows[np.argsort(-distances[rows], kind="stable")]
    return Outliers(rows, distances[rows], float(np.exp(usual)))
