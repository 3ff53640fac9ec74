"""Measures of a model on items that it was not trained on."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Proba = NDArray[np.floating]
LabelIndices = NDArray[np.int64]
BINS = 10


def accuracy_score(proba: Proba, y: LabelIndices) -> float:
    """Return the share of the rows (n, C) whose likeliest class is the true one (n,)."""
    return float((proba.argmax(axis=1) == y).mean())


def balanced_accuracy_score(proba: Proba, y: LabelIndices) -> float:
    """Return the mean recall over the classes that occur."""
    right = proba.argmax(axis=1) == y
    return float(np.mean([right[y == c].mean() for c in np.unique(y)]))


def average_precision_score(proba: Proba, y: LabelIndices) -> float:
    """Return the average precision of the last class.

    With the items in order of falling probability, this is the mean of the precision at each
    item of the class.
    """
    hits = y[np.argsort(-proba[:, -1], kind="stable")] == proba.shape[1] - 1
    if not hits.any():
        return 0.0
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    return float(precision[hits].mean())


def calibration_error(proba: Proba, y: LabelIndices) -> float:
    """Return the expected calibration error in 10 equal bins (Guo et al. 2017)."""
    sure, right = proba.max(axis=1), proba.argmax(axis=1) == y
    place = np.minimum((sure * BINS).astype(int), BINS - 1)
    gaps = [abs((sure - right)[place == k].sum()) for k in range(BINS)]
    return float(sum(gaps) / len(y))


METRICS: dict[str, Callable[[Proba, LabelIndices], float]] = {
    "accuracy": accuracy_score,
    "balanced-accuracy": balanced_accuracy_score,
    "average-precision": average_precision_score,
}


def choose_metric(metric: str, y: LabelIndices, positive: bool) -> str:
    """Return `metric`; for "auto" choose by the task and by the imbalance of the classes."""
    if metric != "auto":
        return metric
    if positive:
        return "average-precision"
    counts = np.bincount(y)
    counts = counts[counts > 0]
    return "balanced-accuracy" if counts.max() >= 3 * counts.min() else "accuracy"
