"""Clusters of a project's items: computed, named, written as pages and as an order of the queue."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotator.detection.cluster import ClusterMethod, cluster_vectors
from annotator.detection.names import ImageNamer, square_around
from annotator.detection.proposal import UNNAMED
from annotator.errors import ImageError
from annotator.features.store import FeatureStore
from annotator.images import ImageFolder
from annotator.items.ref_table import RefTable
from annotator.items.refs import Item
from annotator.log.entries import LogState
from annotator.log.store.open import load_log_state
from annotator.project.clusters import cluster_members, write_clusters
from annotator.project.item_pool import Priority, write_priorities
from annotator.project.project import ProjectFolder
from annotator.proposals.table import ProposalTable

ITEMS_PER_NAME = 4
"""Number of its most typical items that name a cluster."""
CLUSTER_REASON = "cluster"
QUEUE_ORDERS = ("typical", "runs")
_CROP = (512, 512)

RowIndices = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class NameSuggestion:
    """A name for a cluster, and its support."""

    name: str
    share: float
    """Share of the labels or proposals with this name, or a classifier's mean probability."""
    by: str
    """Source of the name: labels, proposals, or the classifier's name."""


@dataclass(frozen=True, slots=True)
class ItemCluster:
    """A cluster of items, with a suggested name."""

    rows: RowIndices
    """(m,) rows of the refs, the most typical first."""
    suggestion: NameSuggestion | None


def select_featured_rows(
    store: FeatureStore, refs: RefTable, sample: int | None, seed: int
) -> tuple[RowIndices, NDArray[np.floating[Any]]]:
    """Return the rows (m,) of `refs` with features, and their features (m, d).

    If there are more than `sample`, that number of them is drawn at random.
    """
    found = store.rows(refs)
    there = found >= 0
    available = store.available()
    if available is not None:
        there &= available[np.where(found >= 0, found, 0)]
    rows = np.flatnonzero(there)
    if sample is not None and len(rows) > sample:
        rows = np.sort(np.random.default_rng(seed).choice(rows, sample, replace=False))
    return rows, np.asarray(store.matrix[found[rows]])


def find_item_clusters(
    project: ProjectFolder,
    refs: RefTable,
    store: FeatureStore,
    method: ClusterMethod = "kmeans",
    *,
    count: int | None = None,
    eps: float = 0.3,
    min_size: int = 5,
    sample: int | None = None,
    namer: ImageNamer | None = None,
    progress: Callable[[float], None] = lambda _: None,
) -> list[ItemCluster]:
    """Cluster the items of `refs` that have features, at most `sample` of them, and name each.

    `cluster_vectors` explains the other options and the errors that it raises.
    """
    seed = project.settings.seed
    rows, vectors = select_featured_rows(store, refs, sample, seed)
    clustering = cluster_vectors(
        vectors, method, count=count, eps=eps, min_size=min_size, seed=seed, progress=progress
    )
    suggest = ClusterNamer(project, load_log_state(project), namer)
    clusters = []
    for number in range(len(clustering)):
        inside = rows[clustering.items(number)]
        clusters.append(ItemCluster(inside, suggest([refs[row] for row in inside.tolist()])))
    return clusters


class ClusterNamer:
    """A source of names for clusters: their labels, else their proposals, else a network."""

    def __init__(
        self, project: ProjectFolder, state: LogState, namer: ImageNamer | None = None
    ) -> None:
        self._state, self._namer = state, namer
        self._table = ProposalTable.load(project)
        self._source = ImageFolder(project.images, project.settings.max_pixels)

    def __call__(self, refs: Sequence[str]) -> NameSuggestion | None:
        labels = Counter(label for ref in refs if (label := self._state.label(ref)) is not None)
        if labels:
            return _majority_name(labels, "labels")
        if len(self._table):
            proposed = (self._table.find(ref) for ref in refs)
            names = Counter(p.name for p in proposed if p and p.name != UNNAMED)
            if names:
                return _majority_name(names, "proposals")
        return self._name_by_network(refs[:ITEMS_PER_NAME])

    def _name_by_network(self, refs: Sequence[str]) -> NameSuggestion | None:
        if self._namer is None:
            return None
        pictures = []
        for ref in refs:
            item = Item.parse(ref)
            try:
                if item.box is not None:
                    item = Item(
                        item.path, square_around(item.box, self._source.size(Item(item.path)))
                    )
                pictures.append(self._source.crop(item, _CROP, context=0).image)
            except ImageError:
                continue  # the other items name the cluster
        if not pictures:
            return None
        sums = Counter[str]()
        for names in self._namer(pictures, 20):
            sums.update(dict(names))
        name, total = sums.most_common(1)[0]
        return NameSuggestion(name, total / len(pictures), self._namer.name)


def _majority_name(votes: Counter[str], by: str) -> NameSuggestion:
    name, count = votes.most_common(1)[0]
    return NameSuggestion(name, count / votes.total(), by)


def write_item_clusters(
    project: ProjectFolder, refs: RefTable, clusters: Sequence[ItemCluster]
) -> None:
    """Write clusters.csv: the pages of `annotator browse --order clusters`."""
    names = [group.suggestion.name if group.suggestion else "" for group in clusters]
    write_clusters(project, cluster_members(refs, [group.rows for group in clusters], names))


def prioritize_clusters(
    project: ProjectFolder, refs: RefTable, clusters: Sequence[ItemCluster], order: str
) -> int:
    """Put the clusters' items first in the queue, and return their number.

    `order` is one of `QUEUE_ORDERS`: typical puts the most typical item of each cluster first;
    runs puts all items first, cluster after cluster, so that items that look alike follow each
    other.
    """
    if order == "typical":
        rows = [int(group.rows[0]) for group in clusters]
    else:
        rows = [row for group in clusters for row in group.rows.tolist()]
    write_priorities(
        project, [Priority(refs[row], CLUSTER_REASON) for row in rows], replace=CLUSTER_REASON
    )
    return len(rows)
