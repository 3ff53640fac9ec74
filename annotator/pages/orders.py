"""Choice of the items of a page: at random, by the model, or by the features."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from annotator.learn.class_levels import TreeClasses
from annotator.learn.diverse import spherical_kmeans
from annotator.learn.model import FittedModel
from annotator.learn.nearest import CosineIndex
from annotator.learn.remaining_work import needs_look
from annotator.learn.rows import normalize_rows
from annotator.learn.strategies import Pick
from annotator.learn.targets import ONE_CLASS, Targets
from annotator.pages.request import PageOrder
from annotator.session.learner import Learner

MOST_SCANNED = 40_000
"""The most open rows that the model predicts for one page; a larger pool is sampled."""
MOST_CLUSTERED = 4_000
"""The most open rows that are clustered at once."""

Rows = NDArray[np.int64]
AIMED_DOUBT = 0.3
"""The doubt of the items that come first among those that need a look. Surer ones teach little;
about half of the less sure ones are exceptions, which a later model predicts better."""
STREAM_MOST_DOUBT = 0.3
"""The largest doubt of an item in a stream: beyond it there would be too many exceptions."""
RECHECK_DOUBT = 0.9
"""The doubt of an item that was taken off a page: it is shown again, whatever the model says."""


def random_draws(rows: Rows, n: int, rng: np.random.Generator) -> list[Pick]:
    """Draw `n` of `rows` in turn, without replacement: the k-th with q = 1/(N - k + 1)."""
    size = len(rows)
    drawn = rng.choice(rows, min(n, size), replace=False).tolist()
    return [Pick(row, 1 / (size - k), size - k, "page-random") for k, row in enumerate(drawn)]


def predict_rows(learner: Learner, rows: Rows) -> tuple[Rows, NDArray[np.float32]]:
    """Return the pool rows (m,) among `rows` with features, and their probabilities (m, C)."""
    model = learner.ranking.model if learner.ranking else None
    if learner.features is None or not isinstance(model, FittedModel) or learner.ranking is None:
        return rows[:0], np.zeros((0, len(learner.classes)), np.float32)
    found = learner.features.rows(rows)
    usable = learner.features.usable(found)
    warm = learner.ranking.warm
    if warm is None or warm.unit.matrix is not learner.features.store.matrix:
        vectors = normalize_rows(learner.features.store.matrix[found[usable]])
        return rows[usable], np.asarray(model.unit_proba(vectors), np.float32)
    return rows[usable], model.pool_proba(warm.unit, found[usable])


def exclude_classes(
    rows: Rows,
    proba: NDArray[np.float32],
    excluded: Mapping[int, Collection[str]],
    classes: Sequence[str],
) -> NDArray[np.float32]:
    """Return `proba` (m, C) without the classes ruled out for some rows, each row summing to 1."""
    places = [place for place, row in enumerate(rows.tolist()) if row in excluded]
    if not places:
        return proba
    proba = proba.copy()
    for place in places:
        gone = [classes.index(name) for name in excluded[int(rows[place])]]
        if len(gone) < len(classes):
            proba[place, gone] = 0
            proba[place] /= max(float(proba[place].sum()), 1e-12)
    return proba


def collapse_tree(
    proba: NDArray[np.float32],
    targets: TreeClasses,
    class_index: int | None,
    choices: NDArray[np.bool_] | None,
) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
    """Return the rows (m,) that pages may hold, and their probabilities as pages count them.

    A page of an inner class counts the classes below it as that class. With `choices` (C,) other
    classes are ruled out, and so are rows whose choice the model does not know.
    """
    proba = proba.copy()
    if choices is not None:
        proba[:, ~choices] = 0
    if class_index is not None:
        inside = targets.under[class_index]
        sums = proba[:, inside].sum(axis=1)
        proba[:, inside] = 0
        proba[:, class_index] = sums
    whole = proba.sum(axis=1)
    told = whole > 0
    return told, proba[told] / whole[told, None]


def sample_rows(rows: Rows, rng: np.random.Generator) -> Rows:
    """Return the rows to predict: all, or a random sample of `MOST_SCANNED`."""
    return (
        rows
        if len(rows) <= MOST_SCANNED
        else np.sort(rng.choice(rows, MOST_SCANNED, replace=False))
    )


def rank_likely(proba: NDArray[np.float32], class_index: int, targets: Targets = ONE_CLASS) -> Rows:
    """Return the places (k,) of rows predicted as the class, surest first, then the likeliest."""
    p = proba[:, class_index]
    return np.lexsort((-p, ~targets.predicted_as(proba, class_index)))


def rank_predicted(proba: NDArray[np.float32], class_index: int) -> Rows:
    """Return the places (k,) of the rows predicted as the class alone, surest first."""
    places = np.flatnonzero(proba.argmax(axis=1) == class_index)
    return np.asarray(places[np.argsort(-proba[places, class_index], kind="stable")])


def pick_class(proba: NDArray[np.float32], n: int, *, doubtful: bool) -> int:
    """Return the class that most rows are predicted as.

    With `doubtful` it is the class whose `n` least sure rows are most likely to be another one.
    """
    taken, sure = proba.argmax(axis=1), proba.max(axis=1)
    if not doubtful:
        return int(np.bincount(taken).argmax())
    doubts = [np.sort(1 - sure[taken == c])[::-1][:n].sum() for c in range(proba.shape[1])]
    return int(np.argmax(doubts))


def rank_uncertain(
    proba: NDArray[np.float32], class_index: int | None, targets: Targets = ONE_CLASS
) -> Rows:
    """Return the places (k,) of the rows by doubt about the class; None: between all classes."""
    doubt = targets.margin(proba)
    if class_index is not None:
        doubt = -np.abs(proba[:, class_index] - 0.5)
    return np.argsort(-doubt, kind="stable")


def choose_rows(
    proba: NDArray[np.float32],
    order: PageOrder,
    n: int,
    class_index: int | None,
    *,
    exceptions: bool,
    targets: Targets = ONE_CLASS,
) -> tuple[int | None, Rows]:
    """Choose the class that a page asks about, if any, and the places (k,) of up to `n` rows.

    With `exceptions` all rows are predicted as the class: `class_index`, else the most usual one.
    """
    doubtful = order is PageOrder.UNCERTAIN
    if exceptions:
        class_index = (
            pick_class(proba, n, doubtful=doubtful) if class_index is None else class_index
        )
        surest = rank_predicted(proba, class_index)
        return class_index, (surest[::-1] if doubtful else surest)[:n]
    if doubtful or class_index is None:
        return class_index, rank_uncertain(proba, class_index, targets)[:n]
    return class_index, rank_likely(proba, class_index, targets)[:n]


def rows_needing_review(
    proba: NDArray[np.float32],
    again: NDArray[np.bool_],
    allowed: float,
    n: int,
    *,
    class_index: int | None = None,
    most_doubt: float = 1.0,
    factors: NDArray[np.float64] | None = None,
) -> tuple[int, Rows]:
    """Choose a class and the places (k,) of up to `n` rows predicted as it that need a look.

    `allowed` of the rows may be wrong in the end; `factors` (C,) correct their doubts. The class is
    the one with the most rows that may be wrong, unless `class_index` is given. `again` (m,) marks
    rows that were taken off a page. The places are empty if no row needs a look.
    """
    taken, doubt = proba.argmax(axis=1), 1 - proba.max(axis=1).astype(float)
    weight = np.where(again, np.maximum(doubt, RECHECK_DOUBT), doubt)
    open_ = needs_look(weight, taken, factors, allowed) & (doubt <= most_doubt)
    if class_index is None:
        sums = [np.sort(weight[open_ & (taken == c)])[::-1][:n].sum() for c in range(len(proba[0]))]
        class_index = int(np.argmax(sums))
    places = np.flatnonzero(open_ & (taken == class_index))
    far = np.where(again[places], 0.0, np.abs(doubt[places] - AIMED_DOUBT))
    return class_index, places[np.argsort(far, kind="stable")][:n]


class NeighbourSearch:
    """A search for the nearest items in the features; it computes the length of each row once."""

    def __init__(self) -> None:
        self._nearest: CosineIndex | None = None

    def nearest(self, learner: Learner, row: int, rows: Rows, n: int) -> Rows:
        """Return the `n` of `rows` nearest to the pool row `row`; empty if it has no features."""
        features = learner.features
        vector = None if features is None else features.vector(row)
        if features is None or vector is None:
            return rows[:0]
        matrix = features.store.matrix
        if self._nearest is None or self._nearest.matrix is not matrix:
            self._nearest = CosineIndex(matrix, grows=features.available is not None)
        found = features.rows(rows)
        usable = features.usable(found)
        among = np.zeros(len(matrix), bool)
        among[found[usable]] = True
        best = self._nearest.best(vector, n, among).rows
        pool_row = np.full(len(matrix), -1, np.int64)
        pool_row[found[usable]] = rows[usable]
        return pool_row[best]


def cluster_rows(learner: Learner, rows: Rows, size: int, rng: np.random.Generator) -> list[Rows]:
    """Cluster pool rows into groups of about `size`, the largest first, each from its middle."""
    features = learner.features
    if features is None:
        return []
    usable = rows[features.usable(features.rows(rows))]
    if len(usable) > MOST_CLUSTERED:
        usable = np.sort(rng.choice(usable, MOST_CLUSTERED, replace=False))
    if not len(usable):
        return []
    X = normalize_rows(features.store.matrix[features.rows(usable)])
    member = spherical_kmeans(X, max(1, -(-len(usable) // size)), rng)
    groups = []
    for number in np.argsort(-np.bincount(member)):
        inside = np.flatnonzero(member == number)
        if len(inside):
            near = X[inside] @ X[inside].mean(axis=0)
            groups.append(usable[inside[np.argsort(-near, kind="stable")]])
    return groups
