"""One-vs-rest ridge regression with exact leave-one-out: the default estimator.

With unit rows and a constant 1 appended, X is (n, d+1), Y one-hot (n, C), K = X Xᵀ,
A = (K + λI)⁻¹, α = A Y and the weights are Xᵀ α (beyond about 1,500 labels the equivalent form by
columns is used, see solve.py). The prediction of row m by the model fitted without it is exactly
Y_m − α_m / A_mm (Allen's PRESS; Rifkin & Lippert, MIT-CSAIL-TR-2007-025). λ and the calibration
(see calibrate.py) minimise the leave-one-out log-loss, so that they need no held-out labels.

So does the choice between rows without negative numbers and their square roots, as unit rows again
(the Hellinger distance; "RootSIFT": Arandjelović & Zisserman, CVPR 2012). Such rows are histograms,
or means of a network's activations. The roots heed small numbers, too.

With scores S of the classes' texts (see text_prior.py) the targets are Y − tS, and tS is added
again. Both solutions are linear in t, so one factorisation gives leave-one-out for every t:
that of Y, plus t times (S − that of S). The weight t is the mean of TEXT_WEIGHTS, each weighted by
the likelihood that it gives the labels left out.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from annotator.learn.calibrate import (
    INITIAL_TEMPERATURE,
    Calibration,
    fit_calibration,
    log_softmax,
    softmax,
)
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
from annotator.learn.text_prior import FIRST_TEXT_WEIGHT, TEXT_WEIGHTS, TextPrior, is_same_text

LabelIndices = NDArray[np.int64]

PENALTIES = (1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0, 3.0)
TEMPERATURES = (1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0)
FIRST_PENALTY = 0.1
MIN_TELLING = 10  # labels from which λ is chosen, at least, and at least half of all
MIN_TEXT_WEIGHT = 0.15  # below it texts are as good as useless, and have no part at all
LOG_PRIOR = np.log([0.5, 0.1, 0.1, 0.1, 0.1, 0.1])  # of TEXT_WEIGHTS: as likely useless as not
FIRST_TEXT_PENALTY = 1.0  # with texts


def log_loss(scores: Array, y: LabelIndices, temperatures: Array) -> Array:
    """Return the mean log-loss (T,) of scores (n, C) times each temperature (T,), by softmax."""
    log_proba = log_softmax(temperatures[:, None, None] * scores)
    return np.asarray(-log_proba[:, np.arange(len(y)), y].mean(axis=1))


def take_roots(X: NDArray[Any]) -> NDArray[Any]:
    """Return the square roots of rows X (n, d), as unit rows; a negative number counts as 0."""
    roots, scale = _roots(X)
    return np.asarray(roots * scale)


def _roots(X: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the square roots of rows X (n, d), and what makes them unit rows (n, 1)."""
    positive = X if X.min(initial=0) >= 0 else np.maximum(X, 0)
    length = np.sqrt(positive.sum(axis=1, keepdims=True))
    return np.sqrt(positive), np.asarray(1 / np.maximum(length, 1e-12), dtype=X.dtype)


class RidgeChoice(NamedTuple):
    """The form of the model that has the least leave-one-out log-loss."""

    penalty: float = FIRST_PENALTY
    rooted: bool = False
    """True if the model is fitted on the square roots of the rows."""


def reviewed_at(n: int) -> int:
    """Return how many of n labels λ was last chosen from: it is chosen at every 10th label, later
    at every 50th, then at every 250th."""
    step = 10 if n < 300 else 50 if n < 1000 else 250
    return n // step * step


def _evidence(losses: Array) -> float:
    """Return the logarithm of the likelihood of the labels, whichever of TEXT_WEIGHTS holds."""
    return float(np.logaddexp.reduce(LOG_PRIOR - losses))


def _mean_weight(losses: Array) -> float:
    """Return the mean of TEXT_WEIGHTS, each with the likelihood exp(−loss)."""
    mean = float(softmax(LOG_PRIOR - losses) @ np.array(TEXT_WEIGHTS))
    return mean if mean >= MIN_TEXT_WEIGHT else 0.0


class ScoreCalibration(Protocol):
    """A calibration that turns scores into probabilities."""

    def proba(self, scores: NDArray[Any]) -> NDArray[Any]:
        """Return probabilities (m, C) of scores (m, C), in their float type."""
        ...


class RidgeLOO:
    """Ridge regression on unit rows, with exact leave-one-out probabilities.

    classes: C, the number of classes of the project; a class without labels scores 0 and so
    keeps a small probability. `text` scores the classes by their names; with it, the model may be
    fitted on no label. After `fit(X, y)`: `classes_` (C,), `penalty`, `calibration`, `coef_`
    (d+1, C) with the bias last, and `text_weight`.
    """

    def __init__(self, classes: int, text: TextPrior | None = None) -> None:
        self.classes_ = np.arange(classes)
        self.choice = RidgeChoice()
        self.text, self.text_weight = text, 0.0
        self._added: Array | None = None
        self.calibration: ScoreCalibration = Calibration(INITIAL_TEMPERATURE, np.zeros(classes))
        self.coef_: Array = np.zeros((0, classes))
        self._loo: Array = np.zeros((0, classes))
        self._y: NDArray[Any] = np.zeros(0, dtype=np.int64)
        self._form: Form | None = None

    def fit(self, X: NDArray[Any], y: NDArray[Any], warm: RidgeLOO | None = None) -> RidgeLOO:
        """Learn from unit rows X (n, d) and y (n,) in 0..C-1, in the order asked.

        `warm`, an earlier fit, only saves time: equal leading rows are not computed again.
        """
        if self.text is not None and not len(X):
            self.text_weight = FIRST_TEXT_WEIGHT
            self.coef_ = FIRST_TEXT_WEIGHT * self.text.weights
            return self
        rows, Y = np.asarray(X, float), self._encode(y)
        self.choice = self._review(rows, Y, y, warm)
        before = warm._form if warm is not None else None
        self._form = _make_form(_inputs(rows, self.rooted), self.penalty, before)
        self._y = np.array(y)
        self._solve(rows, self._form, Y)
        self._calibrate()
        return self

    def _solve(self, X: Array, form: Form, Y: Array) -> None:
        if self.text is None:
            self.coef_, self._loo = form.solve(Y)
            return
        C, targets = Y.shape[1], np.hstack([Y, self.text.scores(X)])
        coef, loo = form.solve(targets)
        self.text_weight = _mean_weight(self._text_losses(loo, targets, self._y))
        self._loo = loo[:, :C] + self.text_weight * (targets - loo)[:, C:]
        self.coef_ = coef[:, :C] - self.text_weight * coef[:, C:]
        added = self.text_weight * self.text.weights
        if self.rooted:
            self._added = added  # the texts score the rows themselves
        else:
            self.coef_ += added

    def _text_losses(self, loo: Array, targets: Array, y: NDArray[Any]) -> Array:
        """Return the leave-one-out log-loss of y (n,) for each of TEXT_WEIGHTS.

        `targets` (n, 2C) are those of the labels and the scores of the texts, `loo` what the fits
        without each row give for them.
        """
        C = targets.shape[1] // 2
        plain, away = loo[:, :C], (targets - loo)[:, C:]
        return np.array([self._loss(plain + t * away, y) for t in TEXT_WEIGHTS])

    def _loss(self, loo: Array, y: NDArray[Any]) -> float:
        return len(y) * float(log_loss(loo, y, np.array(TEMPERATURES)).min())

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

    def _review(self, X: Array, Y: Array, y: NDArray[Any], warm: RidgeLOO | None) -> RidgeChoice:
        n = reviewed_at(len(y))
        if n == 0:
            return RidgeChoice() if self.text is None else RidgeChoice(FIRST_TEXT_PENALTY)
        if warm is not None and is_same_text(warm.text, self.text) and warm._reviewed(X[:n], y[:n]):
            return warm.choice
        if self.text is None and self._telling(y[:n]).sum() < max(MIN_TELLING, n / 2):
            return RidgeChoice()
        found: list[tuple[float, RidgeChoice]] = []
        before = warm._form if warm is not None else None
        targets = Y[:n] if self.text is None else np.hstack([Y[:n], self.text.scores(X[:n])])
        for rooted in (False, True) if (X[:n] >= 0).all() else (False,):
            rows = _inputs(X[:n], rooted)
            K = None if uses_column_form(rows) else gram_matrix(rows, before)
            path = regularization_path(rows, K, targets, PENALTIES)
            if self.text is None:
                losses = self._losses(path, y[:n])
            else:
                losses = [-_evidence(self._text_losses(loo, targets, y[:n])) for loo in path]
            best = int(np.argmin(losses))
            found.append((losses[best], RidgeChoice(PENALTIES[best], rooted)))
        return min(found)[1]

    def _reviewed(self, X: Array, y: NDArray[Any]) -> bool:
        if self._form is None or reviewed_at(len(self._y)) != len(y):
            return False
        same = np.array_equal(self._y[: len(y)], y)
        return bool(same and count_shared_rows(self._form.X, _inputs(X, self.rooted)) == len(y))

    def scores(self, X: NDArray[Any]) -> NDArray[Any]:
        """Return the scores (m, C) before the softmax, in the float type of X."""
        coef = self.coef_.astype(X.dtype, copy=False)
        if self.rooted:
            roots, scale = _roots(X)
            found = (roots @ coef[:-1]) * scale + coef[-1]  # faster than to scale the rows
        else:
            found = X @ coef[:-1] + coef[-1]
        if self._added is not None:
            added = self._added.astype(X.dtype, copy=False)
            found += X @ added[:-1] + added[-1]
        return np.asarray(found)

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
