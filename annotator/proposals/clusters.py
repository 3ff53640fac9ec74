"""A project's items in clusters: computed, named, written as pages and as an order of the queue."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotator.detection.cluster import Clustering
from annotator.detection.names import Namer, around
from annotator.detection.proposal import UNNAMED
from annotator.errors import ImageError
from annotator.features.store import FeatureStore
from annotator.images import Folder
from annotator.items.ref_table import RefTable
from annotator.items.refs import Item
from annotator.log.entries import State
from annotator.project.clusters import members, write_clusters
from annotator.project.priorities import First, write_first
from annotator.project.project import Project
from annotator.proposals.table import ProposalTable

SHOWN = 4
"""How many of its most typical items name a cluster."""
WHY = "cluster"
_CROP = (512, 512)

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Suggestion:
    """What a cluster may be."""

    name: str
    share: float
    """Of those asked, how many say so; of a classifier, the mean probability."""
    by: str
    """labels, proposals, or the classifier's name."""


@dataclass(frozen=True, slots=True)
class Group:
    """One cluster."""

    rows: Rows
    """Of the refs, the most typical first."""
    suggestion: Suggestion | None


def usable(
    store: FeatureStore, refs: RefTable, sample: int | None, seed: int
) -> tuple[Rows, NDArray[np.floating[Any]]]:
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


def groups(
    clustering: Clustering, rows: Rows, refs: RefTable, vote: Callable[[Sequence[str]], Any]
) -> list[Group]:
    """The clusters of `rows`; `vote` suggests a name for the refs of one, or None."""
    found = []
    for number in range(len(clustering)):
        inside = rows[clustering.items(number)]
        found.append(Group(inside, vote([refs[row] for row in inside.tolist()])))
    return found


class Vote:
    """Names for clusters: by the labels in them, else by what was proposed, else by a network."""

    def __init__(self, project: Project, state: State, namer: Namer | None = None) -> None:
        self._state, self._namer = state, namer
        self._table = ProposalTable.load(project)
        self._source = Folder(project.images, project.settings.max_pixels)

    def __call__(self, refs: Sequence[str]) -> Suggestion | None:
        labels = Counter(label for ref in refs if (label := self._state.label(ref)) is not None)
        if labels:
            return _majority(labels, "labels")
        if len(self._table):
            proposed = (self._table.find(ref) for ref in refs)
            names = Counter(p.name for p in proposed if p and p.name != UNNAMED)
            if names:
                return _majority(names, "proposals")
        return self._named(refs[:SHOWN])

    def _named(self, refs: Sequence[str]) -> Suggestion | None:
        if self._namer is None:
            return None
        pictures = []
        for ref in refs:
            item = Item.parse(ref)
            try:
                if item.box is not None:
                    item = Item(item.path, around(item.box, self._source.size(Item(item.path))))
                pictures.append(self._source.crop(item, _CROP, context=0).image)
            except ImageError:
                continue  # the others speak for the cluster
        if not pictures:
            return None
        sums = Counter[str]()
        for names in self._namer(pictures, 20):
            sums.update(dict(names))
        name, total = sums.most_common(1)[0]
        return Suggestion(name, total / len(pictures), self._namer.name)


def _majority(votes: Counter[str], by: str) -> Suggestion:
    name, count = votes.most_common(1)[0]
    return Suggestion(name, count / votes.total(), by)


def write(project: Project, refs: RefTable, found: Sequence[Group]) -> None:
    """clusters.csv: the pages of `annotator browse --order clusters`."""
    names = [group.suggestion.name if group.suggestion else "" for group in found]
    write_clusters(project, members(refs, [group.rows for group in found], names))


def ask_first(project: Project, refs: RefTable, found: Sequence[Group], order: str) -> int:
    """Put the clusters' items first in the queue; how many.

    typical: the most typical item of each cluster, one label for each; runs: all items, cluster
    after cluster, so that what looks alike comes in a row.
    """
    if order == "typical":
        rows = [int(group.rows[0]) for group in found]
    else:
        rows = [row for group in found for row in group.rows.tolist()]
    write_first(project, [First(refs[row], WHY) for row in rows], replace=WHY)
    return len(rows)
