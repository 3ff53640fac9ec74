"""One-vs-rest ridge regression with exact leave-one-out: the default estimator.

With unit rows and a constant 1 appended, X is (n, d+1), Y one-hot (n, C), K = X Xᵀ,
A = (K + λI)⁻¹, α = A Y and the weights are Xᵀ α (beyond about 1,500 labels the equivalent form by
columns is used, see solve.py). The prediction of row m by the model fitted without it is exactly
Y_m − α_m / A_mm (Allen's PRESS; Rifkin & Lippert, MIT-CSAIL-TR-2007-025). λ and the calibration
(see calibrate.py) minimise the leave-one-out log-loss, so that they need no held-out labels.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from annotator.learn.calibrate import INITIAL_TEMPERATURE, Calibration, fit_calibration, log_softmax
from annotator.learn.solve import (
    Array,
    Form,
    count_shared_rows,
    gram_matrix,
    make_column_form,
    make_row_form,
    regularization_path,
    uses_column_form,
)

LabelIndices = NDArray[np.int64]

PENALTIES = (1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0, 3.0)
TEMPERATURES = (1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0)
FIRST_PENALTY = 1.0


def log_loss(scores: Array, y: LabelIndices, temperatures: Array) -> Array:
    """Return the mean log-loss (T,) of scores (n, C) times each temperature (T,), by softmax."""
    log_proba = log_softmax(temperatures[:, None, None] * scores)
    return np.asarray(-log_proba[:, np.arange(len(y)), y].mean(axis=1))


def best_penalty(loo: list[Array], y: LabelIndices) -> float:
    """Return the λ whose leave-one-out scores have the least log-loss at its best temperature."""
    losses = [log_loss(scores, y, np.array(TEMPERATURES)).min() for scores in loo]
    return PENALTIES[int(np.argmin(losses))]


def reviewed_at(n: int) -> int:
    """Return how many of n labels λ was last chosen from: it is chosen at every 10th label, later
    at every 50th, then at every 250th."""
    step = 10 if n < 300 else 50 if n < 1000 else 250
    return n // step * step


class ScoreCalibration(Protocol):
    """A calibration that turns scores into probabilities."""

    def proba(self, scores: NDArray[Any]) -> NDArray[Any]:
        """Return probabilities (m, C) of scores (m, C), in their float type."""
        ...


class RidgeLOO:
    """Ridge regression on unit rows, with exact leave-one-out probabilities.

    classes: C, the number of classes of the project; a class without labels scores 0 and so
    keeps a small probability. After `fit(X, y)`: `classes_` (C,), `penalty`, `calibration`,
    `coef_` (d+1, C) with the bias last.
    """

    def __init__(self, classes: int) -> None:
        self.classes_ = np.arange(classes)
        self.penalty = FIRST_PENALTY
        self.calibration: ScoreCalibration = Calibration(INITIAL_TEMPERATURE, np.zeros(classes))
        self.coef_: Array = np.zeros((0, classes))
        self._loo: Array = np.zeros((0, classes))
        self._y: NDArray[Any] = np.zeros(0, dtype=np.int64)
        self._form: Form | None = None

    def fit(self, X: NDArray[Any], y: NDArray[Any], warm: RidgeLOO | None = None) -> RidgeLOO:
        """Learn from unit rows X (n, d) and y (n,) in 0..C-1, in the order asked.

        `warm`, an earlier fit, only saves time: equal leading rows are not computed again.
        """
        rows = np.concatenate([np.asarray(X, float), np.ones((len(X), 1))], axis=1)
        Y = self._encode(y)
        before = warm._form if warm is not None else None
        K = None if uses_column_form(rows) else gram_matrix(rows, before)
        self.penalty = self._review(rows, K, Y, y, warm)
        if K is None:
            self._form = make_column_form(rows, self.penalty, before)
        else:
            self._form = make_row_form(rows, K, self.penalty, before)
        self.coef_, self._loo = self._form.solve(Y)
        self._y = np.array(y)
        self._calibrate()
        return self

    def _encode(self, y: NDArray[Any]) -> Array:
        """Return the targets (n, C) of labels: one-hot."""
        return np.asarray(np.eye(len(self.classes_))[y])

    def _best_penalty(self, path: list[Array], y: NDArray[Any]) -> float:
        return best_penalty(path, y)

    def _calibrate(self) -> None:
        self.calibration = fit_calibration(self._loo, self._y)

    def _review(
        self, X: Array, K: Array | None, Y: Array, y: NDArray[Any], warm: RidgeLOO | None
    ) -> float:
        n = reviewed_at(len(y))
        if n == 0:
            return FIRST_PENALTY
        if warm is not None and warm._reviewed(X[:n], y[:n]):
            return warm.penalty
        return self._best_penalty(
            regularization_path(X[:n], K if K is None else K[:n, :n], Y[:n], PENALTIES), y[:n]
        )

    def _reviewed(self, X: Array, y: NDArray[Any]) -> bool:
        if self._form is None or reviewed_at(len(self._y)) != len(y):
            return False
        same = np.array_equal(self._y[: len(y)], y)
        return bool(same and count_shared_rows(self._form.X, X) == len(y))

    def scores(self, X: NDArray[Any]) -> NDArray[Any]:
        """Return the scores (m, C) before the softmax, in the float type of X."""
        coef = self.coef_.astype(X.dtype, copy=False)
        return np.asarray(X @ coef[:-1] + coef[-1])

    def predict_proba(self, X: NDArray[Any]) -> NDArray[Any]:
        """Return probabilities (m, C) of unit rows X (m, d), in the float type of X."""
        return self.calibration.proba(self.scores(X))

    def loo_scores(self) -> Array:
        """Return the scores (n, C) of each labelled row by the fit without that row."""
        return self._loo

    def loo_proba(self) -> Array:
        """Return the probabilities (n, C) of each labelled row by the fit without that row."""
        return self.calibration.proba(self._loo)
