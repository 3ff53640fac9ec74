"""Labels that contradict their neighbours: most of the nearest labels confidently differ."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from annotator.learn.class_levels import TreeClasses
from annotator.learn.model import FittedModel, Model, out_of_sample_proba
from annotator.learn.ranking import Ranking, Snapshot
from annotator.learn.rows import Rows, one_thread
from annotator.learn.tag_conflicts import (
    CONFIDENT_PROBABILITY,
    MARGIN,
    LikelyErrors,
    count_opposing_tags,
    measure_ambiguity,
)

NEAREST_LABELLED = 5
MIN_VOTES = 4
"""The number of the K nearest that must contradict a label."""
_AT_ONCE = 512
_NEIGHBOURS_COUNT = 0.3
"""The weight of the neighbours beside the model: the power of their shares."""
_STRANGERS = 0.05
"""The share of votes that is not the neighbours': a class that none of them has stays possible."""


class NearestLabelled(NamedTuple):
    """The K nearest labelled items of some of the n labelled items, each item itself left out."""

    rows: Rows
    """(m, K) places among the n, nearest first; K is smaller if fewer are labelled."""
    cosines: NDArray[np.float32]
    """(m, K)."""


class Contradiction(NamedTuple):
    """A label that its neighbours contradict."""

    row: int
    """The feature row."""
    label: int
    """The class that was given."""
    other: int
    """The class that most of its neighbours have."""
    votes: int
    """The number of neighbours with that class."""
    against: int
    """The number of neighbours with any other class than `label`."""
    has: bool | None = None
    """If an item may have several classes: whether the label has class `other`, which most of its
    neighbours contradict; `label` is then -1."""


def find_nearest_labelled(X: NDArray[np.float32], queried: Rows) -> NearestLabelled:
    """Find the nearest of the unit rows X (n, d) for each of the rows `queried` (m,)."""
    n, k = len(X), max(0, min(NEAREST_LABELLED, len(X) - 1))
    rows, cosines = np.zeros((len(queried), k), np.int64), np.zeros((len(queried), k), np.float32)
    for start in range(0, len(queried) if k else 0, _AT_ONCE):
        part = queried[start : start + _AT_ONCE]
        similarity = X[part] @ X.T
        similarity[np.arange(len(part)), part] = -np.inf
        best = np.argpartition(similarity, n - k, axis=1)[:, n - k :]
        order = np.argsort(-np.take_along_axis(similarity, best, axis=1), axis=1, kind="stable")
        near = np.take_along_axis(best, order, axis=1)
        rows[start : start + len(part)] = near
        cosines[start : start + len(part)] = np.take_along_axis(similarity, near, axis=1)
    return NearestLabelled(rows, cosines)


def count_opposing(
    y: Rows,
    proba: NDArray[np.floating],
    queried: Rows,
    near: Rows,
    under: NDArray[np.bool_] | None = None,
) -> Rows:
    """Count (m,) the nearest (m, K) of the rows `queried` (m,) that confidently have another class.

    y (n,) and proba (n, C), by the model without each row's own label, are of all n labelled items.
    In a tree, `under` (C, C) is True if the column's class is the row's or below it; then a class
    below or above another is not another class.
    """
    under = np.eye(proba.shape[1], dtype=bool) if under is None else under
    sure = np.where(under[y], proba, 0).sum(axis=1) >= CONFIDENT_PROBABILITY
    own = y[queried][:, None]
    return np.asarray((~(under | under.T)[y[near], own] & sure[near]).sum(axis=1))


def class_tree(model: Model) -> NDArray[np.bool_] | None:
    """Return (C, C) True if the column's class is the row's or below it; None for a flat model."""
    targets = model.targets if isinstance(model, FittedModel) else None
    return targets.under if isinstance(targets, TreeClasses) else None


def find_contradictions(snapshot: Snapshot, ranking: Ranking, new: Rows) -> list[Contradiction]:
    """Return the contradictions among the `new` (m,) labels, given as places in the snapshot's
    rows; none if the estimator has no leave-one-out of its own."""
    model = ranking.model
    if not isinstance(model, FittedModel) or ranking.warm is None or not len(new):
        return []
    if not model.calibrated:
        return []  # to fit several more models for every label would take too long
    with one_thread():
        X = ranking.warm.unit.take(snapshot.rows)
        y, proba = snapshot.y, out_of_sample_proba(model, X, snapshot.y)
        near = find_nearest_labelled(X, new).rows
        if snapshot.has_tags:
            return _contradicted_tags(snapshot, proba, new, near)
        under = class_tree(model)
        counts = count_opposing(y, proba, new, near, under)
    contradictions = []
    for place in np.flatnonzero(counts >= MIN_VOTES).tolist():
        others = y[near[place]]
        same = (
            others == y[new[place]] if under is None else (under | under.T)[others, y[new[place]]]
        )
        others = others[~same]
        other = int(np.bincount(others).argmax())
        row, label = int(snapshot.rows[new[place]]), int(y[new[place]])
        votes = int((others == other).sum())
        contradictions.append(Contradiction(row, label, other, votes, len(others)))
    return contradictions


def _contradicted_tags(
    snapshot: Snapshot, proba: NDArray[np.floating], new: Rows, near: Rows
) -> list[Contradiction]:
    tags, counts = count_opposing_tags(snapshot.y, proba, new, near)
    return [
        Contradiction(
            int(snapshot.rows[new[i]]), -1, int(tags[i]), int(counts[i]), int(counts[i]),
            bool(snapshot.y[new[i], tags[i]]),
        )
        for i in np.flatnonzero(counts >= MIN_VOTES).tolist()
    ]  # fmt: skip


class LabelDoubts(NamedTuple):
    """The doubts about all of n labels."""

    own: NDArray[np.float64]
    """(n,) the probability of the label by all but the label itself: the first order, the least
    probable first."""
    ambiguities: NDArray[np.float64]
    """(n,) the second order, the largest first."""


def measure_doubts(
    y: Rows,
    proba: NDArray[np.float64],
    under: NDArray[np.bool_] | None = None,
    near: Rows | None = None,
) -> LabelDoubts:
    """Return the doubts about labels y (n,) by proba (n, C); `under` as of `count_opposing`.

    Of errors at random, the label's own probability is the best order: up to a constant, it is the
    odds against an error. With the nearest labelled rows `near` (n, K) their labels count, too.
    """
    under = np.eye(proba.shape[1], dtype=bool) if under is None else under
    if near is not None and near.size:
        proba = _weigh_neighbours(y, proba, under, near)
    inside = under[y]
    own = np.where(inside, proba, 0).sum(axis=1)
    other = np.where(inside, 0, proba).max(axis=1, initial=0)
    return LabelDoubts(own, measure_ambiguity(own, other))


def _weigh_neighbours(
    y: Rows, proba: NDArray[np.float64], under: NDArray[np.bool_], near: Rows
) -> NDArray[np.float64]:
    """Return proba (n, C) times a power of each class's share among the neighbours, normalised."""
    C = proba.shape[1]
    votes = under / under.sum(axis=1, keepdims=True)
    share = sum(votes[y[column]] for column in near.T) / near.shape[1]
    weighed = proba * ((1 - _STRANGERS) * share + _STRANGERS / C) ** _NEIGHBOURS_COUNT
    return np.asarray(weighed / weighed.sum(axis=1, keepdims=True))


def find_likely_errors(
    y: Rows,
    proba: NDArray[np.float64],
    under: NDArray[np.bool_] | None = None,
    near: Rows | None = None,
) -> LikelyErrors:
    """Find likely label errors.

    A label is suspected if another class is likelier by `MARGIN`, or by the rule of confident
    learning (Northcutt, Jiang & Chuang 2021, arXiv:1911.00068): another class reaches the mean
    probability of the items labelled with it, and is the likeliest class that does. The rule
    alone misses half of the errors near the mean; the margin alone is never reached with many
    classes. The least probable label comes first. A class with a single label is left out: without
    that label the model does not know the class. `under` and `near` as of `measure_doubts`.
    """
    n, C = proba.shape
    if not n:
        return LikelyErrors(*np.zeros((2, 0), np.int64), *np.zeros((2, 0)))
    each, counts = np.arange(n), np.bincount(y, minlength=C)
    inside = (np.eye(C, dtype=bool) if under is None else under)[y]
    own = np.where(inside, proba, 0).sum(axis=1)
    others = np.where(inside, -np.inf, proba)
    mean = np.bincount(y, weights=own, minlength=C) / np.maximum(counts, 1)
    mean[counts == 0] = np.inf
    counting = np.where(proba >= mean, proba, -np.inf)
    by_rule = ~inside[each, counting.argmax(axis=1)] & (counting.max(axis=1) > own)
    suspect = np.where(by_rule, counting.argmax(axis=1), others.argmax(axis=1))
    margin = proba[each, suspect] - own
    rows = np.flatnonzero((by_rule | (margin > MARGIN)) & (counts[y] > 1))
    doubts = measure_doubts(y, proba, under, near)
    rows = rows[np.argsort(doubts.own[rows], kind="stable")]
    return LikelyErrors(rows, suspect[rows], 1 - doubts.own[rows], doubts.ambiguities[rows])
