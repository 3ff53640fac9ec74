"""DBSCAN on the cosine distance, without a matrix of all pairs (Ester et al., "A Density-Based
Algorithm for Discovering Clusters", 1996).

Similarities are computed a block at a time. Memory holds a few numbers per item, a block per core,
and the pairs of neighbours if they are few. If they are many, they are computed a second time.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from annotator.features.decoding import map_pipelined

_BLOCK = 2048
_MAX_THREADS = 8
"""Most threads: each holds a block of 17 MB and the pairs in it."""
_MAX_KEPT_PAIRS = 10_000_000
"""Most pairs of neighbours that are kept for the second pass: 160 MB."""

UnitVectors = NDArray[np.float32]
"""(n, d) rows of length 1."""


def dbscan(
    unit: UnitVectors,
    eps: float = 0.3,
    min_samples: int = 2,
    progress: Callable[[float], None] = lambda _: None,
) -> NDArray[np.int64]:
    """Return the cluster (n,) of each row, numbered from 0; −1 for noise.

    Two rows with a cosine of at least 1 − eps are neighbours. A row with `min_samples` neighbours,
    itself counted, is a core. Every other row belongs to the cluster of its nearest core, if a
    core is among its neighbours. `progress` is called with the share done, from 0 to 1.
    """
    least = np.float32(1 - eps)
    counts, kept = _count_neighbors(unit, least, lambda part: progress(part / 2))
    core = counts >= min_samples
    label = np.arange(len(unit))
    nearest = np.full(len(unit), -1, np.int64)
    highest = np.full(len(unit), -np.inf, np.float32)
    for pairs in _neighbor_pairs(unit, least) if kept is None else [kept]:
        _assign_border(pairs, core, nearest, highest)
        inside = core[pairs.rows] & core[pairs.others]
        label = _join_labels(label, pairs.rows[inside], pairs.others[inside])
        progress(0.5 + pairs.share_done / 2)
    label[~core] = -1
    reached = ~core & (nearest >= 0)
    label[reached] = label[nearest[reached]]
    return _renumber(label)


class NeighborPairs(NamedTuple):
    """Pairs of neighbours, each pair once."""

    rows: NDArray[np.int32]
    others: NDArray[np.int32]
    cosine: NDArray[np.float32]
    share_done: float
    """The share of all pairs that is compared by now."""


def _neighbor_pairs(unit: UnitVectors, least: np.float32) -> Iterator[NeighborPairs]:
    """Yield the neighbours in each pair of blocks, always in the same order."""
    from threadpoolctl import threadpool_limits

    starts = range(0, len(unit), _BLOCK)
    tasks = [(start, other) for start in starts for other in starts if other >= start]

    def work(task: tuple[int, int]) -> NeighborPairs:
        return _block_pairs(unit, *task, least)

    threads = min(_MAX_THREADS, len(os.sched_getaffinity(0)))
    # One thread per block: the threads of BLAS wait for each other in a loop, which takes long on
    # a busy machine.
    with threadpool_limits(1, user_api="blas"):
        found = map_pipelined(ThreadPoolExecutor(threads), work, tasks, threads)
        for done, pairs in enumerate(found, 1):
            yield pairs._replace(share_done=done / len(tasks))


def _block_pairs(unit: UnitVectors, start: int, other: int, least: np.float32) -> NeighborPairs:
    """Return the neighbours of the rows of one block in another."""
    block = unit[start : start + _BLOCK] @ unit[other : other + _BLOCK].T
    flat = np.flatnonzero(block >= least)
    here, there = np.divmod(flat, block.shape[1])
    if other == start:
        once = here < there
        flat, here, there = flat[once], here[once], there[once]
    return NeighborPairs(
        (here + start).astype(np.int32), (there + other).astype(np.int32),
        block.ravel()[flat], 0.0,
    )  # fmt: skip


def _count_neighbors(
    unit: UnitVectors, least: np.float32, progress: Callable[[float], None]
) -> tuple[NDArray[np.int64], NeighborPairs | None]:
    """Return the number of neighbours of each item, itself counted, and all pairs if few."""
    counts = np.ones(len(unit), np.int64)
    kept: list[NeighborPairs] | None = []
    held = 0
    for pairs in _neighbor_pairs(unit, least):
        for ends in (pairs.rows, pairs.others):
            if len(ends):
                low = int(ends.min())
                found = np.bincount(ends - low)
                counts[low : low + len(found)] += found
        held += len(pairs.rows)
        if held > _MAX_KEPT_PAIRS:
            kept = None
        elif kept is not None and len(pairs.rows):
            kept.append(pairs)
        progress(pairs.share_done)
    return counts, None if kept is None else _concatenate_pairs(kept)


def _concatenate_pairs(kept: list[NeighborPairs]) -> NeighborPairs:
    if not kept:
        nothing = np.zeros(0, np.int32)
        return NeighborPairs(nothing, nothing, np.zeros(0, np.float32), 1.0)
    here, there, cosine, _ = zip(*kept, strict=True)
    return NeighborPairs(np.concatenate(here), np.concatenate(there), np.concatenate(cosine), 1.0)


def _assign_border(
    pairs: NeighborPairs,
    core: NDArray[np.bool_],
    nearest: NDArray[np.int64],
    highest: NDArray[np.float32],
) -> None:
    """Update the nearest core of each row that is not a core."""
    for loose, others in ((pairs.rows, pairs.others), (pairs.others, pairs.rows)):
        reach = np.flatnonzero(~core[loose] & core[others])
        if not len(reach):
            continue
        reach = reach[np.lexsort((others[reach], -pairs.cosine[reach], loose[reach]))]
        first = np.concatenate([[True], np.diff(loose[reach]) != 0])
        best = reach[first]
        best = best[pairs.cosine[best] > highest[loose[best]]]
        nearest[loose[best]] = others[best]
        highest[loose[best]] = pairs.cosine[best]


def _join_labels(
    label: NDArray[np.int64], here: NDArray[np.int32], there: NDArray[np.int32]
) -> NDArray[np.int64]:
    """Return the labels after joining those of each pair of items."""
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


def _renumber(label: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the same clusters, numbered from 0."""
    numbered = np.full(len(label), -1, np.int64)
    inside = label >= 0
    numbered[inside] = np.unique(label[inside], return_inverse=True)[1]
    return numbered
