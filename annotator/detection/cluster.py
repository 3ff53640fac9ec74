"""Clusters of features, the largest first, each sorted from its middle outwards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from annotator.detection.dbscan import UnitVectors, dbscan
from annotator.errors import ExtraMissing, FeatureError
from annotator.learn.rows import scale_to_unit

ClusterMethod = Literal["kmeans", "dbscan", "hdbscan"]
CLUSTER_METHODS: tuple[ClusterMethod, ...] = ("kmeans", "dbscan", "hdbscan")
ITEMS_PER_CLUSTER = 24
"""Items of a k-means cluster if the number of clusters is not given: half a page."""
_MAX_CLUSTERS = 1000
_LARGE = 20_000
"""Number of items above which k-means learns from random batches."""
MAX_HDBSCAN_ITEMS = 30_000
"""Most items that HDBSCAN takes: its time grows with their square."""


@dataclass(frozen=True, slots=True)
class Clustering:
    """The cluster of each item, and its place in that cluster."""

    cluster_of: NDArray[np.int64]
    """(n,) the cluster of each item: 0 is the largest; −1 for noise."""
    typicality: NDArray[np.float32]
    """(n,) the cosine of each item to the mean of its cluster; 0 for noise."""

    def __len__(self) -> int:
        return int(self.cluster_of.max(initial=-1)) + 1

    def items(self, cluster: int) -> NDArray[np.int64]:
        """Return the rows of a cluster, the most typical first."""
        rows = np.flatnonzero(self.cluster_of == cluster)
        return rows[np.argsort(-self.typicality[rows], kind="stable")]


def cluster_vectors(
    vectors: NDArray[np.floating[Any]],
    method: ClusterMethod = "kmeans",
    *,
    count: int | None = None,
    eps: float = 0.3,
    min_size: int = 5,
    seed: int = 0,
    progress: Callable[[float], None] = lambda _: None,
) -> Clustering:
    """Cluster features (n, d) by their directions alone.

    kmeans makes `count` clusters (by default of 24 items each), and every item is in one. dbscan
    joins items with `min_size` neighbours within the cosine distance `eps`, themselves counted,
    and adds the items near them. hdbscan makes clusters of any density with at least `min_size`
    items (Campello et al. 2013).

    Raises `ExtraMissing` without scikit-learn (dbscan needs none), and `FeatureError` for no rows
    or for more than HDBSCAN takes.
    """
    if not len(vectors):
        raise FeatureError("No item has features. Compute them with `annotator features`.")
    unit = scale_to_unit(vectors)
    if method == "dbscan":
        labels = dbscan(unit, eps, min_size, progress)
    elif method == "hdbscan":
        labels = _hdbscan(unit, min_size)
    else:
        labels = _kmeans(unit, count, seed)
    return _sort_by_size(unit, labels)


def _kmeans(unit: UnitVectors, count: int | None, seed: int) -> NDArray[np.int64]:
    from threadpoolctl import threadpool_limits

    sklearn = _sklearn()
    clusters = count or int(np.clip(len(unit) // ITEMS_PER_CLUSTER, 2, _MAX_CLUSTERS))
    clusters = min(clusters, len(np.unique(unit, axis=0)) if len(unit) <= _LARGE else len(unit))
    if len(unit) <= _LARGE:
        model = sklearn.KMeans(clusters, n_init=3, random_state=seed)
    else:
        model = sklearn.MiniBatchKMeans(
            clusters, batch_size=4096, n_init=1, max_iter=3, random_state=seed
        )
    # Its threads wait for each other in a loop: on a busy machine two take minutes, one takes
    # seconds.
    with threadpool_limits(1):
        return np.asarray(model.fit_predict(unit), np.int64)


def _hdbscan(unit: UnitVectors, min_size: int) -> NDArray[np.int64]:
    if len(unit) > MAX_HDBSCAN_ITEMS:
        raise FeatureError(
            f"{len(unit):,} items are too many for HDBSCAN, which takes {MAX_HDBSCAN_ITEMS:,}. "
            "Use --method dbscan or kmeans, or --sample."
        )
    if len(unit) < min_size:
        return np.full(len(unit), -1, np.int64)
    # On unit rows the Euclidean distance orders pairs as the cosine does.
    model = _sklearn().HDBSCAN(min_cluster_size=max(2, min_size), copy=True)
    return np.asarray(model.fit_predict(unit), np.int64)


def _sklearn() -> Any:
    try:
        from sklearn import cluster as module
    except ImportError as error:
        raise ExtraMissing(
            f"scikit-learn is not installed ({error}): pip install 'annotator-tui[logistic]'\n"
            "`--method dbscan` needs no scikit-learn."
        ) from error
    return module


def _sort_by_size(unit: UnitVectors, labels: NDArray[np.int64]) -> Clustering:
    """Number the clusters by size, the largest 0."""
    numbers, member = np.unique(labels, return_inverse=True)
    sizes = np.bincount(member).astype(float)
    sizes[numbers < 0] = -1
    order = np.argsort(-sizes, kind="stable")
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    place[numbers < 0] = -1
    member = place[member]
    typical = np.zeros(len(unit), np.float32)
    for number in range(int(member.max(initial=-1)) + 1):
        rows = np.flatnonzero(member == number)
        middle = unit[rows].mean(axis=0)
        typical[rows] = unit[rows] @ (middle / max(float(np.linalg.norm(middle)), 1e-12))
    return Clustering(member, typical)
