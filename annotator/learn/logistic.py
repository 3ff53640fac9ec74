"""Multinomial logistic regression by scikit-learn, for comparison; needs the extra `logistic`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotator.errors import ExtraMissing

SCALE = 8.0  # unit rows are stretched, so that an L2 penalty of 1 fits features of this kind


class Logistic:
    """L2-penalised logistic regression on 8·x, warm-started; one class only gives a constant.

    `classes_` holds only the classes seen by `fit`.
    """

    def __init__(self, classes: int) -> None:
        self.classes_: NDArray[np.int64] = np.arange(classes)
        self._model: Any = None

    def fit(self, X: NDArray[Any], y: NDArray[np.int64], warm: object = None) -> Logistic:
        """Learn from unit rows X (n, d) and y (n,). Raises ExtraMissing without scikit-learn."""
        self.classes_ = np.unique(y)
        self._model = None
        if len(self.classes_) > 1:
            self._model = _regression().fit(SCALE * np.asarray(X, float), y)
        return self

    def predict_proba(self, X: NDArray[Any]) -> NDArray[Any]:
        """Probabilities (m, number of classes seen) of unit rows X (m, d)."""
        if self._model is None:
            return np.ones((len(X), 1))
        return np.asarray(self._model.predict_proba(SCALE * np.asarray(X)))


def _regression() -> Any:
    try:
        from sklearn.linear_model import LogisticRegression
    except ImportError as absent:
        raise ExtraMissing(
            "the estimator 'logistic' needs scikit-learn: pip install 'annotator-tui[logistic]'"
        ) from absent
    return LogisticRegression(C=1.0, max_iter=200)
