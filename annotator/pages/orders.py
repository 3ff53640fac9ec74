"""Which items stand on a page together: at random, or by what the model and the features say."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from annotator.learn.diverse import spherical_kmeans
from annotator.learn.model import FittedModel
from annotator.learn.nearest import CosineIndex
from annotator.learn.rows import normalize_rows
from annotator.learn.strategies import Pick, margin_scores
from annotator.session.learner import Learner

MOST_SCANNED = 40_000
"""Open rows that the model looks at for one page; of a larger pool, so many at random."""
MOST_CLUSTERED = 4_000
"""Open rows that are clustered at once."""

Rows = NDArray[np.int64]
MODEL_ERROR_SHARE = 0.3
"""Of the error that is allowed, the share that the model may be expected to make by itself. The
rest is for what people get wrong, and for a model that is too sure of itself."""
AIMED_DOUBT = 0.3
"""Of what is worth a look, that comes first which the model has wrong in about so many cases. What
is surer teaches little; of what is less sure half is an exception, and better guessed later."""
STREAM_MOST_DOUBT = 0.3
"""What the model doubts more is no matter for a stream: there would be too many exceptions."""
RECHECK_DOUBT = 0.9
"""The doubt about what was taken off a page: it is looked at once more, whatever the model says."""


class PageOrder(StrEnum):
    """How the items of a page are chosen."""

    RANDOM = "random"
    LIKELY = "likely"
    """Those that the model takes for the class, surest first."""
    UNCERTAIN = "uncertain"
    """Those of which the model knows least whether they are of the class."""
    SIMILAR = "similar"
    """Those nearest in features to one item."""
    NEEDED = "needed"
    """Those of which too many would be wrong without a look, until no more need one."""
    CLUSTERS = "clusters"
    """Those that look alike, one cluster a page."""


def random_draws(rows: Rows, n: int, rng: np.random.Generator) -> list[Pick]:
    """`n` of `rows` one after the other, without putting back: the k-th with q = 1/(N - k + 1)."""
    size = len(rows)
    drawn = rng.choice(rows, min(n, size), replace=False).tolist()
    return [Pick(row, 1 / (size - k), size - k, "page-random") for k, row in enumerate(drawn)]


def predict_rows(learner: Learner, rows: Rows) -> tuple[Rows, NDArray[np.float32]]:
    """The pool rows (m,) among `rows` that have features, and their probabilities (m, C)."""
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
    """`proba` (m, C) knowing of some rows what they are not: the rest of it grows to 1."""
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


def sample_rows(rows: Rows, rng: np.random.Generator) -> Rows:
    """Those that the model is asked about."""
    return (
        rows
        if len(rows) <= MOST_SCANNED
        else np.sort(rng.choice(rows, MOST_SCANNED, replace=False))
    )


def rank_likely(proba: NDArray[np.float32], class_index: int) -> Rows:
    """Places (k,) of what is taken for class `which`, surest first; then the other likeliest."""
    p = proba[:, class_index]
    return np.lexsort((-p, proba.argmax(axis=1) != class_index))


def rank_predicted(proba: NDArray[np.float32], class_index: int) -> Rows:
    """Places (k,) of what is taken for class `which` alone, surest first."""
    places = np.flatnonzero(proba.argmax(axis=1) == class_index)
    return np.asarray(places[np.argsort(-proba[places, class_index], kind="stable")])


def pick_class(proba: NDArray[np.float32], n: int, *, doubtful: bool) -> int:
    """The class that most rows are taken for; with `doubtful`, the one whose `n` least sure rows
    are the most likely to be something else."""
    taken, sure = proba.argmax(axis=1), proba.max(axis=1)
    if not doubtful:
        return int(np.bincount(taken).argmax())
    doubts = [np.sort(1 - sure[taken == c])[::-1][:n].sum() for c in range(proba.shape[1])]
    return int(np.argmax(doubts))


def rank_uncertain(proba: NDArray[np.float32], class_index: int | None) -> Rows:
    """Places (k,) of the rows in doubt: of class `which` or not, or, for None, between classes."""
    doubt = margin_scores(proba) if class_index is None else -np.abs(proba[:, class_index] - 0.5)
    return np.argsort(-doubt, kind="stable")


def choose_rows(
    proba: NDArray[np.float32],
    order: PageOrder,
    n: int,
    class_index: int | None,
    *,
    exceptions: bool,
) -> tuple[int | None, Rows]:
    """The class that a page asks about, if any, and the places (k,) of up to `n` rows for it.

    With `exceptions` all rows are taken for the class: for `which`, else the most usual one.
    """
    doubtful = order is PageOrder.UNCERTAIN
    if exceptions:
        class_index = (
            pick_class(proba, n, doubtful=doubtful) if class_index is None else class_index
        )
        surest = rank_predicted(proba, class_index)
        return class_index, (surest[::-1] if doubtful else surest)[:n]
    if doubtful or class_index is None:
        return class_index, rank_uncertain(proba, class_index)[:n]
    return class_index, rank_likely(proba, class_index)[:n]


def within_allowance(doubt: NDArray[np.float64], allowed: float) -> NDArray[np.bool_]:
    """Which rows (m,) need no look: the surest, as long as their doubts add up to `allowed`."""
    order = np.argsort(doubt, kind="stable")
    found = np.zeros(len(doubt), bool)
    found[order[np.cumsum(doubt[order]) <= allowed]] = True
    return found


def rows_needing_review(
    proba: NDArray[np.float32],
    again: NDArray[np.bool_],
    allowed: float,
    n: int,
    *,
    class_index: int | None = None,
    most_doubt: float = 1.0,
) -> tuple[int, Rows]:
    """A class and the places (k,) of up to `n` rows that are taken for it and are worth a look.

    `allowed` of the rows may be wrong in the end. The class is the one whose rows may be wrong in
    the largest number, unless `which` names it.
    `again` (m,) were taken off a page before. No places where nothing needs a look.
    """
    taken, doubt = proba.argmax(axis=1), 1 - proba.max(axis=1).astype(float)
    weight = np.where(again, np.maximum(doubt, RECHECK_DOUBT), doubt)
    open_ = ~within_allowance(weight, MODEL_ERROR_SHARE * allowed) & (doubt <= most_doubt)
    if class_index is None:
        sums = [np.sort(weight[open_ & (taken == c)])[::-1][:n].sum() for c in range(len(proba[0]))]
        class_index = int(np.argmax(sums))
    places = np.flatnonzero(open_ & (taken == class_index))
    far = np.where(again[places], 0.0, np.abs(doubt[places] - AIMED_DOUBT))
    return class_index, places[np.argsort(far, kind="stable")][:n]


class NeighbourSearch:
    """Nearest items in the features; finds out once how long each row is."""

    def __init__(self) -> None:
        self._nearest: CosineIndex | None = None

    def of(self, learner: Learner, row: int, rows: Rows, n: int) -> Rows:
        """The `n` of `rows` nearest to the pool row `row`; none where that has no features."""
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
    """Pool rows in clusters of about `size`, the largest first, each from its middle outwards."""
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
