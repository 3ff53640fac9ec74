"""A project's items in clusters: computed, named, written as pages and as an order of the queue."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotator.detection.cluster import Clustering
from annotator.detection.names import ImageNamer, square_around
from annotator.detection.proposal import UNNAMED
from annotator.errors import ImageError
from annotator.features.store import FeatureStore
from annotator.images import ImageFolder
from annotator.items.ref_table import RefTable
from annotator.items.refs import Item
from annotator.log.entries import LogState
from annotator.project.clusters import cluster_members, write_clusters
from annotator.project.item_pool import Priority, write_priorities
from annotator.project.project import ProjectFolder
from annotator.proposals.table import ProposalTable

ITEMS_PER_NAME = 4
"""How many of its most typical items name a cluster."""
CLUSTER_REASON = "cluster"
_CROP = (512, 512)

RowIndices = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class NameSuggestion:
    """What a cluster may be."""

    name: str
    share: float
    """Of those asked, how many say so; of a classifier, the mean probability."""
    by: str
    """labels, proposals, or the classifier's name."""


@dataclass(frozen=True, slots=True)
class ItemCluster:
    """One cluster."""

    rows: RowIndices
    """Of the refs, the most typical first."""
    suggestion: NameSuggestion | None


def select_featured_rows(
    store: FeatureStore, refs: RefTable, sample: int | None, seed: int
) -> tuple[RowIndices, NDArray[np.floating[Any]]]:
    """The rows of `refs` (m,) that have features, at random no more than `sample`, and these."""
    found = store.rows(refs)
    there = found >= 0
    available = store.available()
    if available is not None:
        there &= available[np.where(found >= 0, found, 0)]
    rows = np.flatnonzero(there)
    if sample is not None and len(rows) > sample:
        rows = np.sort(np.random.default_rng(seed).choice(rows, sample, replace=False))
    return rows, np.asarray(store.matrix[found[rows]])


def build_item_clusters(
    clustering: Clustering, rows: RowIndices, refs: RefTable, vote: Callable[[Sequence[str]], Any]
) -> list[ItemCluster]:
    """The clusters of `rows`; `vote` suggests a name for the refs of one, or None."""
    found = []
    for number in range(len(clustering)):
        inside = rows[clustering.items(number)]
        found.append(ItemCluster(inside, vote([refs[row] for row in inside.tolist()])))
    return found


class ClusterNamer:
    """Names for clusters: by the labels in them, else by what was proposed, else by a network."""

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
        return self._named(refs[:ITEMS_PER_NAME])

    def _named(self, refs: Sequence[str]) -> NameSuggestion | None:
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
                continue  # the others speak for the cluster
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
    """clusters.csv: the pages of `annotator browse --order clusters`."""
    names = [group.suggestion.name if group.suggestion else "" for group in clusters]
    write_clusters(project, cluster_members(refs, [group.rows for group in clusters], names))


def prioritize_clusters(
    project: ProjectFolder, refs: RefTable, clusters: Sequence[ItemCluster], order: str
) -> int:
    """Put the clusters' items first in the queue; how many.

    typical: the most typical item of each cluster, one label for each; runs: all items, cluster
    after cluster, so that what looks alike comes in a row.
    """
    if order == "typical":
        rows = [int(group.rows[0]) for group in clusters]
    else:
        rows = [row for group in clusters for row in group.rows.tolist()]
    write_priorities(
        project, [Priority(refs[row], CLUSTER_REASON) for row in rows], replace=CLUSTER_REASON
    )
    return len(rows)
