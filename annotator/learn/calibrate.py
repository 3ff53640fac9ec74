"""Calibration: scores become probabilities by a temperature and one offset per class.

softmax(t · scores + b), "bias-corrected temperature scaling" (Alexandari, Kundaje &
Shrikumar, ICML 2020, arXiv:1901.06852), fitted by Newton's method on out-of-sample scores. The
offsets matter where classes are unequal: a least-squares score of a rare class seldom rises
above that of a frequent one.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
LabelIndices = NDArray[np.int64]

INITIAL_TEMPERATURE = 4.0  # the start of the fit; few labels keep the temperature near it
MAX_LOG_TEMPERATURE = np.log(64.0)  # up to it no probability becomes zero
MAX_NEWTON_STEPS = 30
TOLERANCE = 1e-9  # of the loss, per row


class PenaltyStrength(NamedTuple):
    """The penalties on the temperature's logarithm, around INITIAL_TEMPERATURE, and on offsets."""

    temperature: float
    offsets: float


def penalty_strength(n: int) -> PenaltyStrength:
    """Return the penalties for n labels.

    They are strong at first: to leave out one of three labels makes its class look rare.
    """
    return PenaltyStrength(0.1 + 50 / n, 2 + 80 / n)


class Calibration(NamedTuple):
    """A temperature and one offset per class that turn scores into probabilities."""

    temperature: float
    offsets: Array
    """(C,)"""

    def proba(self, scores: NDArray[Any]) -> NDArray[Any]:
        """Return probabilities (m, C) of scores (m, C), in their float type."""
        kind = scores.dtype.type
        return softmax(kind(self.temperature) * scores + self.offsets.astype(scores.dtype))


def softmax(scores: NDArray[Any]) -> NDArray[Any]:
    """Return probabilities along the last axis; never NaN for finite scores."""
    found = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return np.asarray(found / found.sum(axis=-1, keepdims=True))


def sigmoid(logits: NDArray[Any]) -> NDArray[Any]:
    """Return 1 / (1 + e^−x), without overflow."""
    return np.asarray(0.5 * (1 + np.tanh(0.5 * logits)))


def log_softmax(scores: NDArray[Any]) -> NDArray[Any]:
    """Return the logarithms of the softmax along the last axis."""
    below = scores - scores.max(axis=-1, keepdims=True)
    return np.asarray(below - np.log(np.exp(below).sum(axis=-1, keepdims=True)))


def fit_calibration(scores: Array, y: LabelIndices) -> Calibration:
    """Fit the temperature and offsets of least penalised log-loss on scores (n, C) and y (n,)."""
    theta = np.zeros(scores.shape[1] + 1)
    theta[0] = np.log(INITIAL_TEMPERATURE)
    loss, proba = _loss(theta, scores, y)
    for _ in range(MAX_NEWTON_STEPS):
        step = _newton_step(theta, proba, scores, y)
        moved = _backtrack(theta, step, loss, scores, y)
        if moved is None:
            break
        theta, gain, loss, proba = moved
        if gain < TOLERANCE * len(y):
            break
    return Calibration(float(np.exp(theta[0])), theta[1:])


def _loss(theta: Array, scores: Array, y: LabelIndices) -> tuple[float, Array]:
    log_proba = log_softmax(np.exp(theta[0]) * scores + theta[1:])
    fit = -float(log_proba[np.arange(len(y)), y].sum())
    held = penalty_strength(len(y))
    away = held.temperature * (theta[0] - np.log(INITIAL_TEMPERATURE)) ** 2
    away += held.offsets * (theta[1:] ** 2).sum()
    return fit + away / 2, np.exp(log_proba)


def _newton_step(theta: Array, proba: Array, scores: Array, y: LabelIndices) -> Array:
    """Return the step to the minimum of the quadratic model."""
    scaled, off, held = np.exp(theta[0]) * scores, proba.copy(), penalty_strength(len(y))
    off[np.arange(len(y)), y] -= 1
    gradient = np.append((off * scaled).sum(), off.sum(axis=0) + held.offsets * theta[1:])
    gradient[0] += held.temperature * (theta[0] - np.log(INITIAL_TEMPERATURE))
    mean = (proba * scaled).sum(axis=1, keepdims=True)
    H = np.empty((len(theta), len(theta)))
    H[0, 0] = (proba * (scaled - mean) ** 2).sum() + held.temperature
    H[0, 1:] = H[1:, 0] = (proba * (scaled - mean)).sum(axis=0)
    H[1:, 1:] = np.diag(proba.sum(axis=0) + held.offsets) - proba.T @ proba
    return np.asarray(np.linalg.solve(H, gradient))


def _backtrack(
    theta: Array, step: Array, loss: float, scores: Array, y: LabelIndices
) -> tuple[Array, float, float, Array] | None:
    """Try the step, half of it, a quarter … and return the first that lowers the loss, or None."""
    for power in range(12):
        moved = theta - step / 2**power
        if abs(moved[0]) < MAX_LOG_TEMPERATURE:
            found, proba = _loss(moved, scores, y)
            if found < loss:
                return moved, loss - found, found, proba
    return None
