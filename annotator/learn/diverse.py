"""Strategies that use the distances between rows; greedy, without propensities."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from annotator.learn.candidates import Pool
from annotator.learn.coverage import pool_coverage, shrunk_radius, squared_distances
from annotator.learn.mixture import WARM_CANDIDATES, margin_uncertainty
from annotator.learn.rows import Rows
from annotator.learn.strategies import Pick, largest_utilities

MAX_CLUSTERED_ROWS = 4000  # rows that TypiClust clusters
TYPICALITY_NEIGHBOURS = 20
KMEANS_ROUNDS = 8
MAX_CLUSTERS = 500


def uherding(pool: Pool, want: int) -> list[Pick]:
    """Pick the rows of most uncertain coverage, from the first label on (arXiv:2412.20644)."""
    places = largest_utilities(pool.targets.margin(pool.proba), WARM_CANDIDATES + want, pool.rng)
    rows = np.union1d(pool.rows[places], pool.open.uniform(pool.rng, WARM_CANDIDATES + want))
    coverage, X = pool_coverage(pool), pool.unit.take(rows)
    radius = shrunk_radius(coverage.radius, pool.unit.take(pool.labelled))
    kernel = coverage.kernel(rows, radius)
    weights = margin_uncertainty(pool.score(coverage.X), pool.targets)
    taken: list[int] = []
    for _ in range(min(want, len(rows))):
        gains = coverage.gains(kernel, radius, weights)
        gains[taken] = -1
        taken.append(int(gains.argmax()))
        nearest = squared_distances(coverage.X, X[taken[-1:]])[:, 0]
        coverage = coverage.with_nearest(np.minimum(coverage.nearest, nearest))
    return _make_picks(pool, rows[taken], "uherding")


def coreset(pool: Pool, want: int) -> list[Pick]:
    """Pick the row farthest from all labelled ones (Sener & Savarese, ICLR 2018)."""
    X = pool.unit.take(pool.rows)
    nearest = np.full(len(X), np.inf, dtype=np.float32)
    for _, known in pool.unit.chunks(pool.labelled):
        nearest = np.minimum(nearest, squared_distances(X, known).min(axis=1))
    taken: list[int] = []
    for _ in range(min(want, len(X))):
        taken.append(int(largest_utilities(nearest, 1, pool.rng)[0]))
        nearest = np.minimum(nearest, squared_distances(X, X[taken[-1:]])[:, 0])
        nearest[taken] = -1
    return _make_picks(pool, pool.rows[taken], "coreset")


def badge(pool: Pool, want: int) -> list[Pick]:
    """Pick by k-means++ on the last layer's hypothetical gradients (Ash et al., ICLR 2020).

    The gradient of row x is (p − onehot(argmax p)) ⊗ x; its products split into two factors. Of
    tags the predicted set stands for the one-hot vector.
    The first row is that of the largest gradient, as in the authors' code.
    """
    X = pool.unit.take(pool.rows)
    a = np.array(pool.proba, dtype=np.float32)
    a -= pool.targets.one_hot(a)
    size = (a**2).sum(axis=1)
    taken = [int(largest_utilities(size, 1, pool.rng)[0])] if want and len(X) else []
    nearest = np.full(len(X), np.inf, dtype=np.float32)
    while 0 < len(taken) < min(want, len(X)):
        last = taken[-1]
        apart = size + size[last] - 2 * (a @ a[last]) * (X @ X[last])
        nearest = np.minimum(nearest, apart.clip(min=0))
        taken.append(_draw_weighted(nearest, taken, pool.rng))
    return _make_picks(pool, pool.rows[taken], "badge")


def _draw_weighted(weights: NDArray[np.float32], taken: list[int], rng: np.random.Generator) -> int:
    odds = weights.astype(float)
    odds[taken] = 0
    if odds.sum() <= 0:
        odds[:] = 1
        odds[taken] = 0
    return int(rng.choice(len(odds), p=odds / odds.sum()))


def typiclust(pool: Pool, want: int) -> list[Pick]:
    """Pick the most typical row of the largest cluster without a label (arXiv:2202.02794).

    Clusters: k-means of at most 4,000 rows; their number is that of labels and wanted rows,
    rounded up to tens. Typical: the smallest mean distance to 20 neighbours in the cluster.
    """
    known = pool.labelled[-MAX_CLUSTERED_ROWS // 2 :]
    sampled = np.sort(
        pool.rng.choice(pool.rows, min(MAX_CLUSTERED_ROWS, len(pool.rows)), replace=False)
    )
    X = pool.unit.take(np.concatenate([sampled, known]))
    k = min(-(-(len(known) + want) // 10) * 10, MAX_CLUSTERS, len(X))
    member = spherical_kmeans(X, k, np.random.default_rng([pool.seed, k]))
    labels = np.bincount(member[len(sampled) :], minlength=k)
    taken: list[int] = []
    for _ in range(min(want, len(sampled))):
        place = _most_typical(X[: len(sampled)], member[: len(sampled)], labels, taken)
        labels[member[place]] += 1
        taken.append(place)
    return _make_picks(pool, sampled[taken], "typiclust")


def _most_typical(X: NDArray[np.float32], member: Rows, labels: Rows, taken: list[int]) -> int:
    free = np.ones(len(X), dtype=bool)
    free[taken] = False
    sizes = np.bincount(member[free], minlength=len(labels))
    cluster = np.lexsort((-sizes, labels, sizes == 0))[0]
    places = np.flatnonzero(free & (member == cluster))
    between = np.sqrt(squared_distances(X[places], X[places]))
    near = min(TYPICALITY_NEIGHBOURS, len(places) - 1)
    mean = np.sort(between, axis=1)[:, : near + 1].sum(axis=1)
    return int(places[mean.argmin()])


def spherical_kmeans(X: NDArray[np.float32], k: int, rng: np.random.Generator) -> Rows:
    """Return the cluster (n,) of each unit row X (n, d), by a few rounds of spherical k-means."""
    centres = X[rng.choice(len(X), k, replace=False)]
    member = (X @ centres.T).argmax(axis=1)
    for _ in range(KMEANS_ROUNDS):
        sums = np.zeros_like(centres)
        np.add.at(sums, member, X)
        length = np.linalg.norm(sums, axis=1, keepdims=True)
        centres = np.where(length > 0, sums / np.maximum(length, 1e-12), centres)
        member = (X @ centres.T).argmax(axis=1)
    return np.asarray(member)


def _make_picks(pool: Pool, rows: Rows, name: str) -> list[Pick]:
    return [Pick(int(row), np.nan, pool.open.size - i, name) for i, row in enumerate(rows)]
