"""One-vs-rest ridge regression with exact leave-one-out: the default estimator.

With unit rows and a constant 1 appended, X is (n, d+1), Y one-hot (n, C), K = X Xᵀ,
A = (K + λI)⁻¹, α = A Y and the weights are Xᵀ α (beyond about 1,500 labels the equivalent form by
columns is used, see solve.py). The prediction of row m by the model fitted without it is exactly
Y_m − α_m / A_mm (Allen's PRESS; Rifkin & Lippert, MIT-CSAIL-TR-2007-025). λ and the calibration
(see calibrate.py) minimise the leave-one-out log-loss, so that they need no held-out labels.

So does the choice between rows without negative numbers and their square roots, as unit rows again
(the Hellinger distance; "RootSIFT": Arandjelović & Zisserman, CVPR 2012). Such rows are histograms,
or means of a network's activations. The roots heed small numbers, too.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

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
FIRST_PENALTY = 0.1
MIN_TELLING = 10  # labels from which λ is chosen, at least, and at least half of all


def log_loss(scores: Array, y: LabelIndices, temperatures: Array) -> Array:
    """Return the mean log-loss (T,) of scores (n, C) times each temperature (T,), by softmax."""
    log_proba = log_softmax(temperatures[:, None, None] * scores)
    return np.asarray(-log_proba[:, np.arange(len(y)), y].mean(axis=1))


def take_roots(X: NDArray[Any]) -> NDArray[Any]:
    """Return the square roots of rows X (n, d), as unit rows; a negative number counts as 0."""
    found = np.sqrt(np.maximum(X, 0))
    length = np.sqrt(np.einsum("ij,ij->i", found, found))[:, None]
    return np.asarray(np.divide(found, length, out=found, where=length > 0))


class Choice(NamedTuple):
    """What the leave-one-out log-loss chooses."""

    penalty: float = FIRST_PENALTY
    rooted: bool = False
    """True if the model is fitted on the square roots of the rows."""


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
        self.choice = Choice()
        self.calibration: ScoreCalibration = Calibration(INITIAL_TEMPERATURE, np.zeros(classes))
        self.coef_: Array = np.zeros((0, classes))
        self._loo: Array = np.zeros((0, classes))
        self._y: NDArray[Any] = np.zeros(0, dtype=np.int64)
        self._form: Form | None = None

    def fit(self, X: NDArray[Any], y: NDArray[Any], warm: RidgeLOO | None = None) -> RidgeLOO:
        """Learn from unit rows X (n, d) and y (n,) in 0..C-1, in the order asked.

        `warm`, an earlier fit, only saves time: equal leading rows are not computed again.
        """
        rows, Y = np.asarray(X, float), self._encode(y)
        self.choice = self._review(rows, Y, y, warm)
        before = warm._form if warm is not None else None
        self._form = _make_form(_inputs(rows, self.rooted), self.penalty, before)
        self.coef_, self._loo = self._form.solve(Y)
        self._y = np.array(y)
        self._calibrate()
        return self

    def _encode(self, y: NDArray[Any]) -> Array:
        """Return the targets (n, C) of labels: one-hot."""
        return np.asarray(np.eye(len(self.classes_))[y])

    @property
    def penalty(self) -> float:
        """λ."""
        return self.choice.penalty

    @property
    def rooted(self) -> bool:
        """True if the model is fitted on the square roots of the rows."""
        return self.choice.rooted

    def _losses(self, path: list[Array], y: NDArray[Any]) -> list[float]:
        """Return the leave-one-out log-loss for each λ, at its best temperature."""
        some, grid = self._telling(y), np.array(TEMPERATURES)
        return [float(log_loss(scores[some], y[some], grid).min()) for scores in path]

    def _telling(self, y: NDArray[Any]) -> NDArray[np.bool_]:
        """Return which labels (n,) have a class that is still known without them.

        No λ could predict the others: with 10 labels of 9 classes they made the largest λ look
        best, at an accuracy of 25 % on digits in place of 75 %.
        """
        return np.asarray(np.bincount(y)[y] > 1)

    def _calibrate(self) -> None:
        self.calibration = fit_calibration(self._loo, self._y)

    def _review(self, X: Array, Y: Array, y: NDArray[Any], warm: RidgeLOO | None) -> Choice:
        n = reviewed_at(len(y))
        if n == 0 or self._telling(y[:n]).sum() < max(MIN_TELLING, n / 2):
            return Choice()
        if warm is not None and warm._reviewed(X[:n], y[:n]):
            return warm.choice
        found: list[tuple[float, Choice]] = []
        before = warm._form if warm is not None else None
        for rooted in (False, True) if (X[:n] >= 0).all() else (False,):
            rows = _inputs(X[:n], rooted)
            K = None if uses_column_form(rows) else gram_matrix(rows, before)
            losses = self._losses(regularization_path(rows, K, Y[:n], PENALTIES), y[:n])
            best = int(np.argmin(losses))
            found.append((losses[best], Choice(PENALTIES[best], rooted)))
        return min(found)[1]

    def _reviewed(self, X: Array, y: NDArray[Any]) -> bool:
        if self._form is None or reviewed_at(len(self._y)) != len(y):
            return False
        same = np.array_equal(self._y[: len(y)], y)
        return bool(same and count_shared_rows(self._form.X, _inputs(X, self.rooted)) == len(y))

    def scores(self, X: NDArray[Any]) -> NDArray[Any]:
        """Return the scores (m, C) before the softmax, in the float type of X."""
        coef = self.coef_.astype(X.dtype, copy=False)
        return np.asarray((take_roots(X) if self.rooted else X) @ coef[:-1] + coef[-1])

    def predict_proba(self, X: NDArray[Any]) -> NDArray[Any]:
        """Return probabilities (m, C) of unit rows X (m, d), in the float type of X."""
        return self.calibration.proba(self.scores(X))

    def loo_scores(self) -> Array:
        """Return the scores (n, C) of each labelled row by the fit without that row."""
        return self._loo

    def loo_proba(self) -> Array:
        """Return the probabilities (n, C) of each labelled row by the fit without that row."""
        return self.calibration.proba(self._loo)


def _inputs(X: Array, rooted: bool) -> Array:
    """Return rows X (n, d) or their square roots, with a constant 1 appended."""
    return np.concatenate([take_roots(X) if rooted else X, np.ones((len(X), 1))], axis=1)


def _make_form(rows: Array, penalty: float, before: Form | None) -> Form:
    if uses_column_form(rows):
        return make_column_form(rows, penalty, before)
    return make_row_form(rows, gram_matrix(rows, before), penalty, before)
