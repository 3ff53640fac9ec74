"""Estimators of other packages: scikit-learn's logistic regression, and custom classes.

A custom estimator is any class with `fit` and `predict_proba`:
`--estimator sklearn.neighbors:KNeighborsClassifier`, or `my.py:Mine` for a class in a file.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from annotator.errors import ExtraMissing, ProjectError
from annotator.items.refs import make_printable
from annotator.items.user_folders import expand_home

_FAULTS = (ImportError, OSError, SyntaxError, AttributeError, NameError, TypeError, ValueError)
"""The errors of a custom module that does not load, or of a name that does not exist."""
MAX_SUM_ERROR = 1e-3  # of the probabilities of a row
SCALE = 8.0  # unit rows are stretched, so that an L2 penalty of 1 fits features of this kind


class Logistic:
    """L2-penalised logistic regression on 8·x; a constant if there is only one class.

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
        """Return probabilities (m, number of classes seen) of unit rows X (m, d)."""
        if self._model is None:
            return np.ones((len(X), 1))
        return np.asarray(self._model.predict_proba(SCALE * np.asarray(X)))


def _regression() -> Any:
    try:
        from sklearn.linear_model import LogisticRegression
    except ImportError as absent:
        raise ExtraMissing(
            "The estimator 'logistic' needs scikit-learn: pip install 'annotator-tui[logistic]'"
        ) from absent
    return LogisticRegression(C=1.0, max_iter=200)


class CustomEstimator:
    """The base of the estimators around custom classes.

    An instance of the custom class is made, without arguments, for every fit. It never gets
    labels of only one class, which many classifiers refuse. The columns of its probabilities
    are its `classes_`, or else the classes of its labels, in order.
    """

    estimator_class: ClassVar[type]
    """The custom class, with `fit(X, y)` and `predict_proba(X)`."""
    path: ClassVar[str]
    """`module:Class` or `file.py:Class`."""

    def __init__(self, classes: int) -> None:
        self.classes_: NDArray[np.int64] = np.arange(classes)
        self._model: Any = None

    def fit(self, X: NDArray[Any], y: NDArray[np.int64], warm: object = None) -> CustomEstimator:
        """Learn from unit rows X (n, d) and y (n,)."""
        self.classes_, self._model = np.unique(y), None
        if len(self.classes_) > 1:
            with self._explained("fit"):
                model = self.estimator_class()
                model.fit(np.asarray(X), y)
            self._model = model
            self.classes_ = self._checked_classes(y)
        return self

    def predict_proba(self, X: NDArray[Any]) -> NDArray[Any]:
        """Return probabilities (m, number of classes seen) of unit rows X (m, d).

        Raises `ProjectError` if the custom class returns anything else.
        """
        if self._model is None:
            return np.ones((len(X), 1))
        with self._explained("predict_proba"):
            found = np.asarray(self._model.predict_proba(np.asarray(X)), dtype=float)
        wanted = (len(X), len(self.classes_))
        if found.shape != wanted or not np.isfinite(found).all() or (found < 0).any():
            raise ProjectError(
                f"predict_proba of {make_printable(self.path)} must return probabilities of shape "
                f"{wanted}, one column for each class it was fitted on. It returned {found.shape}"
                + (", with negative values, NaN or infinity." if found.shape == wanted else ".")
            )
        if len(found) and np.abs(found.sum(axis=1) - 1).max() > MAX_SUM_ERROR:
            sums = found.sum(axis=1)
            raise ProjectError(
                f"predict_proba of {make_printable(self.path)} must return probabilities. The sum "
                f"of a row is {sums[np.abs(sums - 1).argmax()]:.4g}, not 1."
            )
        return found

    @contextmanager
    def _explained(self, name: str) -> Iterator[None]:
        """Turn any error of the method `name` into a `ProjectError`."""
        try:
            yield
        except Exception as error:
            why = str(error).strip().partition("\n")[0]
            raise ProjectError(
                f"The estimator {make_printable(self.path)} failed in {name}: "
                f"{make_printable(f'{type(error).__name__}: {why}')}. Correct it, or choose "
                "another one: --estimator ridge"
            ) from error

    def _checked_classes(self, y: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the `classes_` of the fitted custom class, which must be labels of y."""
        fitted = np.unique(y)
        found = np.asarray(getattr(self._model, "classes_", fitted))
        known = found.dtype.kind in "iuf" and found.ndim == 1 and np.isin(found, fitted).all()
        if not known or len(np.unique(found)) != len(found):
            raise ProjectError(
                f"classes_ of {make_printable(self.path)} must hold the labels that it was fitted "
                f"on, {fitted.tolist()}, each once. It holds "
                f"{make_printable(str(found.tolist())[:100])}."
            )
        return found.astype(np.int64)


@cache
def load_custom_estimator(path: str) -> type[CustomEstimator]:
    """Load the estimator of `module:Class` or `file.py:Class`. Raises `ProjectError`."""
    place, _, name = path.rpartition(":")
    try:
        found = getattr(_import_module(place), name)
    except _FAULTS as error:
        why = f"{type(error).__name__}: {error}"
        raise ProjectError(
            f"Cannot load the estimator {make_printable(path)}. {make_printable(why)}. Write "
            "module:Class for an installed class, or file.py:Class."
        ) from error
    lacking = [need for need in ("fit", "predict_proba") if not hasattr(found, need)]
    if lacking or not isinstance(found, type):
        what = f"has no {' and no '.join(lacking)}" if lacking else "is not a class"
        raise ProjectError(
            f"{make_printable(path)} {what}. An estimator is a class with fit(X, y) and "
            "predict_proba(X)."
        )
    return type("LoadedEstimator", (CustomEstimator,), {"estimator_class": found, "path": path})


def _import_module(place: str) -> ModuleType:
    if not place.endswith(".py"):
        return import_module(place)
    file = expand_home(place)
    spec = spec_from_file_location(f"annotator_estimator_{file.stem}", file)
    assert spec is not None and spec.loader is not None  # it ends in .py
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
