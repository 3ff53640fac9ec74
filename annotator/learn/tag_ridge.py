"""One ridge regression for each tag, all from one factorisation, with exact leave-one-out.

To leave out a row does not depend on the targets, so that the targets (n, T) of all tags are solved
at once (binary relevance: Tsoumakas & Katakis, "Multi-label classification: an overview", 2007). λ
is shared. Each tag has an offset in its calibration, and a threshold: the one of most F1 on the
leave-one-out probabilities.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from annotator.learn.calibrate import (
    INITIAL_TEMPERATURE,
    MAX_LOG_TEMPERATURE,
    MAX_NEWTON_STEPS,
    TOLERANCE,
    penalty_strength,
    sigmoid,
)
from annotator.learn.ridge import TEMPERATURES, RidgeLOO
from annotator.learn.solve import Array
from annotator.learn.targets import TagSets
from annotator.learn.text_prior import TextPrior

MIN_POSITIVES = 4  # with fewer items a tag keeps the threshold 0.5
THRESHOLD_PRIOR = 5.0  # the weight, in positive items, of the calibrated probabilities themselves
THRESHOLD_RANGE = (0.1, 0.9)
LEAST_MARGIN = 1e-3
MAX_COMPARED = 200_000  # leave-one-out scores by which λ is chosen


class TagCalibration(NamedTuple):
    """A temperature and one offset per tag: p = σ(temperature · (2 · score − 1) + offset)."""

    temperature: float
    offsets: Array
    """(T,)"""

    def logits(self, scores: NDArray[Any]) -> NDArray[Any]:
        """Return the logarithms (m, T) of the odds for scores (m, T), in their float type."""
        kind = scores.dtype.type
        centred = kind(self.temperature) * (2 * scores - 1)
        return np.asarray(centred + self.offsets.astype(scores.dtype))

    def proba(self, scores: NDArray[Any]) -> NDArray[Any]:
        """Return probabilities (m, T) of scores (m, T), in their float type."""
        return sigmoid(self.logits(scores))


def _log_loss(logits: Array, Y: Array) -> float:
    losses: Array = np.logaddexp(0, logits) - Y * logits
    return float(losses.sum())


def fit_tag_calibration(scores: Array, Y: Array) -> TagCalibration:
    """Fit the temperature and offsets of least penalised log-loss on scores and Y (n, T).

    Newton's method; the Hessian is an arrow, because an offset belongs to one tag.
    """
    log_t, offsets, centred = np.log(INITIAL_TEMPERATURE), np.zeros(Y.shape[1]), 2 * scores - 1
    held = penalty_strength(len(Y))

    def loss(log_t: float, offsets: Array) -> float:
        away = held.temperature * (log_t - np.log(INITIAL_TEMPERATURE)) ** 2
        away += held.offsets * float(offsets @ offsets)
        return _log_loss(np.exp(log_t) * centred + offsets, Y) + float(away) / 2

    now = loss(log_t, offsets)
    for _ in range(MAX_NEWTON_STEPS):
        step_t, step_b = _newton_step(log_t, offsets, centred, Y)
        for power in range(12):
            moved = float(log_t - step_t / 2**power), offsets - step_b / 2**power
            after = loss(*moved) if abs(moved[0]) < MAX_LOG_TEMPERATURE else np.inf
            if after < now:
                break
        else:
            break
        gain, now, (log_t, offsets) = now - after, after, moved
        if gain < TOLERANCE * Y.size:
            break
    return TagCalibration(float(np.exp(log_t)), offsets)


def _newton_step(log_t: float, offsets: Array, centred: Array, Y: Array) -> tuple[float, Array]:
    """Return the steps of the logarithm of the temperature, and of the offsets (T,)."""
    held, scaled = penalty_strength(len(Y)), np.exp(log_t) * centred
    p = sigmoid(scaled + offsets)
    off, curve = p - Y, p * (1 - p)
    gradient = off.sum(axis=0) + held.offsets * offsets
    gradient_t = float((off * scaled).sum())
    gradient_t += held.temperature * (log_t - np.log(INITIAL_TEMPERATURE))
    own, mixed = curve.sum(axis=0) + held.offsets, (curve * scaled).sum(axis=0)
    own_t = float((curve * scaled**2).sum()) + held.temperature
    step_t = (gradient_t - float(mixed @ (gradient / own))) / (own_t - float(mixed @ (mixed / own)))
    return step_t, (gradient - mixed * step_t) / own


def choose_thresholds(proba: Array, Y: Array) -> Array:
    """Return the threshold (T,) of most F1 for each tag, from out-of-sample proba and Y (n, T).

    The labels of a tag with few items say little, so that the probabilities count with the
    weight of 5 of its items. A tag with fewer than 4 items keeps 0.5.
    """
    n, positives = len(Y), Y.sum(axis=0)
    weight = positives / (positives + THRESHOLD_PRIOR)
    order = np.argsort(-proba, axis=0, kind="stable")
    ranked = np.take_along_axis(proba, order, axis=0)
    true = weight * np.take_along_axis(Y, order, axis=0) + (1 - weight) * ranked
    found = np.cumsum(true, axis=0)
    f1 = 2 * found / (np.arange(1, n + 1)[:, None] + found[-1])
    best = f1.argmax(axis=0)
    tags = np.arange(Y.shape[1])
    below = np.append(ranked[1:], np.zeros((1, len(tags))), axis=0)
    middle = (ranked[best, tags] + below[best, tags]) / 2
    return np.where(positives < MIN_POSITIVES, 0.5, np.clip(middle, *THRESHOLD_RANGE))


class TagRidge(RidgeLOO):
    """Ridge regression of T tags on unit rows, with exact leave-one-out probabilities.

    After `fit(X, y)`, with y (n, T) True for each tag of a row: `targets` holds the thresholds.
    """

    def __init__(self, classes: int, text: TextPrior | None = None) -> None:
        super().__init__(classes, text)
        self.calibration = TagCalibration(INITIAL_TEMPERATURE, np.zeros(classes))
        self.targets = TagSets()

    def _encode(self, y: NDArray[Any]) -> Array:
        return y.astype(np.float64)

    def _losses(self, path: list[Array], y: NDArray[Any]) -> list[float]:
        Y = self._encode(y)
        some = slice(None, None, max(1, Y.size // MAX_COMPARED))
        return [
            _log_loss(fit_tag_calibration(loo[some], Y[some]).logits(loo[some]), Y[some])
            for loo in path
        ]

    def _telling(self, y: NDArray[Any]) -> NDArray[np.bool_]:
        return np.ones(len(y), bool)

    def _loss(self, loo: Array, y: NDArray[Any]) -> float:
        Y = self._encode(y)
        return min(_log_loss(t * (2 * loo - 1), Y) for t in TEMPERATURES)

    def _calibrate(self) -> None:
        Y = self._encode(self._y)
        self.calibration = fit_tag_calibration(self._loo, Y)
        proba = self.loo_proba()
        # So each tag has the same part in the uncertainty, however rare and sure it is.
        margins = (1 - np.abs(2 * proba - 1)).mean(axis=0)
        self.targets = TagSets(choose_thresholds(proba, Y), 1 / (margins + LEAST_MARGIN))
