"""One-vs-rest ridge regression with exact leave-one-out: the default estimator.

With unit rows and a constant 1 appended, X is (n, d+1), Y one-hot (n, C), K = X Xᵀ,
A = (K + λI)⁻¹, α = A Y and the weights are Xᵀ α. The prediction of row m by the model fitted
without it is Y_m − α_m / A_mm, exactly (Allen's PRESS; Rifkin & Lippert 2007, "Notes on
regularized least squares"). λ and the softmax temperature minimise the leave-one-out
log-loss, so that calibration costs no held-out labels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Labels = NDArray[np.int64]

PENALTIES = (1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0, 3.0)
TEMPERATURES = (1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0)
FIRST_PENALTY = 1.0


def softmax(scores: NDArray[Any], axis: int = -1) -> NDArray[Any]:
    """Probabilities along `axis`; never NaN for finite scores."""
    found = np.exp(scores - scores.max(axis=axis, keepdims=True))
    return np.asarray(found / found.sum(axis=axis, keepdims=True))


def log_loss(scores: Array, y: Labels, temperatures: Array) -> Array:
    """Mean log-loss (T,) of the softmax of scores (n, C), times each temperature (T,)."""
    scaled = temperatures[:, None, None] * (scores - scores.max(axis=1, keepdims=True))
    total = np.log(np.exp(scaled).sum(axis=2))
    return np.asarray((total - scaled[:, np.arange(len(y)), y]).mean(axis=1))


def reviewed_at(n: int) -> int:
    """How many of n labels λ was last chosen from: every 10th, later every 50th, every 250th."""
    step = 10 if n < 300 else 50 if n < 1000 else 250
    return n // step * step


@dataclass(frozen=True, slots=True)
class _Dual:
    """What n labelled rows give before any label is looked at; grown row by row."""

    X: Array
    K: Array
    A: Array
    penalty: float
    fresh: int  # rows at the last full inversion; bordering past it adds rounding, so it is rare


class RidgeLOO:
    """Ridge on unit rows; `predict_proba`, and `loo_proba` without the row's own label.

    classes: C, the number of classes of the project; a class without labels scores 0 and so
    keeps a small probability. After `fit(X, y)`: `classes_` (C,), `penalty`, `temperature`,
    `coef_` (d+1, C) with the bias last.
    """

    def __init__(self, classes: int) -> None:
        self.classes_ = np.arange(classes)
        self.penalty = FIRST_PENALTY
        self.temperature = TEMPERATURES[0]
        self.coef_: Array = np.zeros((0, classes))
        self._loo: Array = np.zeros((0, classes))
        self._y: Labels = np.zeros(0, dtype=np.int64)
        self._dual: _Dual | None = None

    def fit(self, X: NDArray[Any], y: Labels, warm: RidgeLOO | None = None) -> RidgeLOO:
        """Learn from unit rows X (n, d) and y (n,) in 0..C-1, in the order they were asked.

        `warm`, an earlier fit, only saves time: equal leading rows are not computed again.
        """
        rows = np.concatenate([np.asarray(X, float), np.ones((len(X), 1))], axis=1)
        Y = np.eye(len(self.classes_))[y]
        before = warm._dual if warm is not None else None
        K = _gram(rows, before)
        self.penalty = self._review(rows, K, Y, y, warm)
        self._dual = _invert(rows, K, self.penalty, before)
        alpha = self._dual.A @ Y
        self.coef_ = rows.T @ alpha
        self._loo = Y - alpha / np.diag(self._dual.A)[:, None]
        self._y = np.array(y, dtype=np.int64)
        losses = log_loss(self._loo, self._y, np.array(TEMPERATURES))
        self.temperature = TEMPERATURES[int(losses.argmin())]
        return self

    def _review(self, X: Array, K: Array, Y: Array, y: Labels, warm: RidgeLOO | None) -> float:
        n = reviewed_at(len(y))
        if n == 0:
            return FIRST_PENALTY
        if warm is not None and warm._reviewed(X[:n], y[:n]):
            return warm.penalty
        return choose_penalty(K[:n, :n], Y[:n], y[:n])

    def _reviewed(self, X: Array, y: Labels) -> bool:
        if self._dual is None or reviewed_at(len(self._y)) != len(y):
            return False
        return bool(np.array_equal(self._y[: len(y)], y) and _shared(self._dual.X, X) == len(y))

    def scores(self, X: NDArray[Any]) -> NDArray[Any]:
        """Scores (m, C) before the softmax, in the float type of X."""
        coef = self.coef_.astype(X.dtype, copy=False)
        return np.asarray(X @ coef[:-1] + coef[-1])

    def predict_proba(self, X: NDArray[Any]) -> NDArray[Any]:
        """Probabilities (m, C) of unit rows X (m, d), in the float type of X."""
        found = self.scores(X)
        found *= found.dtype.type(self.temperature)
        return softmax(found)

    def loo_scores(self) -> Array:
        """Scores (n, C) of each labelled row by the fit without that row."""
        return self._loo

    def loo_proba(self) -> Array:
        """Probabilities (n, C) of each labelled row by the fit without that row."""
        return softmax(self.temperature * self._loo)


def choose_penalty(K: Array, Y: Array, y: Labels) -> float:
    """The λ with the least leave-one-out log-loss at its best temperature."""
    values, vectors = np.linalg.eigh(K)
    values = values.clip(min=0)
    projected, squares = vectors.T @ Y, vectors**2
    losses = []
    for penalty in PENALTIES:
        inverse = 1 / (values + penalty)
        alpha = vectors @ (inverse[:, None] * projected)
        loo = Y - alpha / (squares @ inverse)[:, None]
        losses.append(log_loss(loo, y, np.array(TEMPERATURES)).min())
    return PENALTIES[int(np.argmin(losses))]


def _shared(a: Array, b: Array) -> int:
    """How many leading rows are equal."""
    n = min(len(a), len(b))
    if a.shape[1] != b.shape[1]:
        return 0
    same = (a[:n] == b[:n]).all(axis=1)
    return n if same.all() else int(same.argmin())


def _gram(X: Array, before: _Dual | None) -> Array:
    n, kept = len(X), 0 if before is None else _shared(before.X, X)
    K = np.empty((n, n))
    if before is not None:
        K[:kept, :kept] = before.K[:kept, :kept]
    K[kept:] = X[kept:] @ X.T
    K[:kept, kept:] = K[kept:, :kept].T
    return K


def _invert(X: Array, K: Array, penalty: float, before: _Dual | None) -> _Dual:
    n = len(X)
    if before is not None and before.penalty == penalty and _shared(before.X, X) == len(before.X):
        m = len(before.X)
        if 0 < m <= n < before.fresh + 20:
            A = before.A
            for size in range(m, n):
                A = _border(A, K[:size, size], K[size, size] + penalty)
            return _Dual(X, K, A, penalty, before.fresh)
    return _Dual(X, K, np.asarray(np.linalg.inv(K + penalty * np.eye(n)), float), penalty, n)


def _border(A: Array, column: Array, corner: float) -> Array:
    """The inverse after one more row and column (block inversion), in n² steps."""
    step = A @ column
    scale = 1 / (corner - column @ step)
    n = len(A)
    grown = np.empty((n + 1, n + 1))
    grown[:n, :n] = A + scale * np.outer(step, step)
    grown[:n, n] = grown[n, :n] = -scale * step
    grown[n, n] = scale
    return grown
