"""DBSCAN on the cosine distance, without a matrix of all pairs (Ester et al., "A Density-Based
Algorithm for Discovering Clusters", 1996).

Similarities are computed a block at a time and twice: first to count each item's neighbours,
then to join the clusters of core items that are neighbours. What is held is a few numbers an
item, and one block.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

_BLOCK = 4096

Unit = NDArray[np.float32]
"""(n, d) rows of length 1."""


def dbscan(
    unit: Unit,
    eps: float = 0.3,
    min_samples: int = 2,
    progress: Callable[[float], None] = lambda _: None,
) -> NDArray[np.int64]:
    """(n,) the cluster of each row, numbered from 0; −1 for noise.

    Two rows are neighbours from a cosine of 1 − eps on; one with `min_samples` neighbours, itself
    among them, is a core. A row that is none belongs to the cluster of the core nearest to it
    among its neighbours. `progress` hears how much is done, from 0 to 1.
    """
    least = np.float32(1 - eps)
    core = _neighbours(unit, least, lambda part: progress(part / 2)) >= min_samples
    label = np.arange(len(unit))
    nearest = np.full(len(unit), -1, np.int64)
    highest = np.full(len(unit), -np.inf, np.float32)
    for rows, columns, block, part in _blocks(unit):
        close = block >= least
        _border(close, block, rows, columns, core, nearest, highest)
        _border(close.T, block.T, columns, rows, core, nearest, highest)
        inside = close & core[rows, None] & core[None, columns]
        here, there = np.nonzero(inside)
        label = _joined(label, here + rows.start, there + columns.start)
        progress(0.5 + part / 2)
    label[~core] = -1
    reached = ~core & (nearest >= 0)
    label[reached] = label[nearest[reached]]
    return _numbered(label)


def _blocks(unit: Unit) -> Iterator[tuple[slice, slice, NDArray[np.float32], float]]:
    """The similarities of rows and columns, each pair of blocks once; and the share done."""
    starts = range(0, len(unit), _BLOCK)
    pairs = len(starts) * (len(starts) + 1) // 2
    done = 0
    for start in starts:
        rows = slice(start, min(start + _BLOCK, len(unit)))
        for other in range(start, len(unit), _BLOCK):
            columns = slice(other, min(other + _BLOCK, len(unit)))
            done += 1
            yield rows, columns, unit[rows] @ unit[columns].T, done / pairs


def _neighbours(
    unit: Unit, least: np.float32, progress: Callable[[float], None]
) -> NDArray[np.int64]:
    counts = np.zeros(len(unit), np.int64)
    for rows, columns, block, part in _blocks(unit):
        close = block >= least
        if rows == columns:
            np.fill_diagonal(close, True)  # rounding must not part a row from itself
        counts[rows] += close.sum(axis=1)
        if rows != columns:
            counts[columns] += close.sum(axis=0)
        progress(part)
    return counts


def _border(
    close: NDArray[np.bool_],
    block: NDArray[np.float32],
    rows: slice,
    columns: slice,
    core: NDArray[np.bool_],
    nearest: NDArray[np.int64],
    highest: NDArray[np.float32],
) -> None:
    """Note for each row that is no core the core nearest to it."""
    loose = np.flatnonzero(~core[rows])
    if not len(loose):
        return
    reach = np.where(close[loose] & core[None, columns], block[loose], -np.inf)
    best = reach.argmax(axis=1)
    value = reach[np.arange(len(loose)), best]
    better = value > highest[rows][loose]
    places = loose[better] + rows.start
    nearest[places] = best[better] + columns.start
    highest[places] = value[better]


def _joined(
    label: NDArray[np.int64], here: NDArray[np.int64], there: NDArray[np.int64]
) -> NDArray[np.int64]:
    """The labels after those of each pair of items became one."""
    one, other = label[here], label[there]
    apart = one != other
    if not apart.any():
        return label
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n = len(label)
    ones = np.ones(int(apart.sum()), np.int8)
    graph = coo_array((ones, (one[apart], other[apart])), shape=(n, n))
    _, part = connected_components(graph, directed=False)
    return np.asarray(part[label], np.int64)


def _numbered(label: NDArray[np.int64]) -> NDArray[np.int64]:
    """The same clusters, numbered from 0."""
    numbered = np.full(len(label), -1, np.int64)
    inside = label >= 0
    numbered[inside] = np.unique(label[inside], return_inverse=True)[1]
    return numbered
