"""Labels that contradict their neighbours: most of those nearest confidently differ."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from annotator.learn.model import FittedModel, out_of_sample_proba
from annotator.learn.ranking import Ranking, Snapshot
from annotator.learn.rows import Rows, one_thread

NEAREST_LABELLED = 5
MIN_VOTES = 4
"""So many of the K nearest must contradict a label."""
CONFIDENT_PROBABILITY = 0.5
"""A neighbour speaks where the model, without its label, gives that label at least this."""
_AT_ONCE = 512


class NearestLabelled(NamedTuple):
    """The K nearest labelled items of some of the n labelled items, themselves left out."""

    rows: Rows
    """(m, K) places among the n, nearest first; K is less where fewer are labelled."""
    cosines: NDArray[np.float32]
    """(m, K)."""


class Contradiction(NamedTuple):
    """A label that stands alone."""

    row: int
    """Of the features."""
    label: int
    """The class that was given."""
    other: int
    """The class that most of its neighbours have."""
    votes: int
    """How many have it."""


def find_nearest_labelled(X: NDArray[np.float32], queried: Rows) -> NearestLabelled:
    """Of the unit rows X (n, d), the nearest of each of `which` (m,)."""
    n, k = len(X), max(0, min(NEAREST_LABELLED, len(X) - 1))
    rows, cosines = np.zeros((len(queried), k), np.int64), np.zeros((len(queried), k), np.float32)
    for start in range(0, len(queried) if k else 0, _AT_ONCE):
        part = queried[start : start + _AT_ONCE]
        found = X[part] @ X.T
        found[np.arange(len(part)), part] = -np.inf
        best = np.argpartition(found, n - k, axis=1)[:, n - k :]
        order = np.argsort(-np.take_along_axis(found, best, axis=1), axis=1, kind="stable")
        near = np.take_along_axis(best, order, axis=1)
        rows[start : start + len(part)] = near
        cosines[start : start + len(part)] = np.take_along_axis(found, near, axis=1)
    return NearestLabelled(rows, cosines)


def count_opposing(y: Rows, proba: NDArray[np.floating], queried: Rows, near: Rows) -> Rows:
    """(m,) how many of the nearest (m, K) of `which` (m,) confidently have another class.

    y (n,) and proba (n, C), each row without its own label, are of all n labelled items.
    """
    sure = proba[np.arange(len(y)), y] >= CONFIDENT_PROBABILITY
    return np.asarray(((y[near] != y[queried][:, None]) & sure[near]).sum(axis=1))


def find_contradictions(snapshot: Snapshot, ranking: Ranking, new: Rows) -> list[Contradiction]:
    """Those among the `new` (m,) labels, as places in the snapshot's rows; none where the estimator
    has no leave-one-out of its own."""
    model = ranking.model
    if not isinstance(model, FittedModel) or ranking.warm is None or not len(new):
        return []
    if not model.calibrated:
        return []  # to fit several more models for every label would take too long
    with one_thread():
        X = ranking.warm.unit.take(snapshot.rows)
        y, proba = snapshot.y, out_of_sample_proba(model, X, snapshot.y)
        near = find_nearest_labelled(X, new).rows
        counts = count_opposing(y, proba, new, near)
    found = []
    for at in np.flatnonzero(counts >= MIN_VOTES).tolist():
        others = y[near[at]][y[near[at]] != y[new[at]]]
        other = int(np.bincount(others).argmax())
        row, label = int(snapshot.rows[new[at]]), int(y[new[at]])
        found.append(Contradiction(row, label, other, int((others == other).sum())))
    return found
