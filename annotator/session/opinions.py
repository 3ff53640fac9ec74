"""What a model says about each item of a pool, as arrays: its class, how sure it is, its margin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annotator.learn.model import out_of_sample_proba
from annotator.session.predict import FittedProject, predict_rows

Values = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class PoolOpinions:
    """The opinions of a model on all items; NaN for items without features.

    On a labelled item it is the opinion of a model that was fitted without its label.
    """

    p: Values
    """(n,) the probability of the predicted class."""
    margin: Values
    """(n,) the difference between the two largest probabilities."""
    predicted: NDArray[np.bool_]
    """(k, n) True where one of the classes of a group is predicted."""
    chance: Values
    """(k, n) the probability of a group of classes."""


def form_opinions(fitted: FittedProject, groups: Sequence[Sequence[int]]) -> PoolOpinions:
    """Predict all items; `groups` are the classes, by their places, that are asked about."""
    n, targets = len(fitted.refs), fitted.model.targets
    p, margin = np.full((2, n), np.nan, np.float32)
    predicted, chance = np.zeros((len(groups), n), bool), np.full((len(groups), n), np.nan, "f4")

    def note(rows: NDArray[np.int64], proba: NDArray[np.floating]) -> None:
        p[rows], margin[rows] = targets.confidence(proba), 1 - targets.margin(proba)
        if groups:
            hot = targets.one_hot(proba)
        for place, group in enumerate(groups):
            predicted[place, rows] = hot[:, group].any(axis=1)
            chance[place, rows] = np.minimum(proba[:, group].sum(axis=1), 1)

    for rows, proba in predict_rows(fitted, np.ones(n, bool)):
        note(rows, proba)
    refs = [fitted.features.store.refs[row] for row in fitted.snapshot.rows.tolist()]
    own = out_of_sample_proba(fitted.model, fitted.labelled, fitted.snapshot.y)
    labelled = fitted.refs.rows(refs)
    note(labelled[labelled >= 0], own[labelled >= 0])
    return PoolOpinions(p, margin, predicted, chance)
