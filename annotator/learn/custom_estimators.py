"""Estimators of other packages, or of one's own: any class with `fit` and `predict_proba`.

`--estimator sklearn.neighbors:KNeighborsClassifier`, or `my.py:Mine` for a class in a file.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from annotator.errors import ProjectError
from annotator.items.refs import make_printable

_FAULTS = (ImportError, OSError, SyntaxError, AttributeError, NameError, TypeError, ValueError)
"""By these a module of one's own fails to load, and a name that is none."""


class CustomEstimator:
    """What `learn` needs beside a class's own `fit(X, y)` and `predict_proba(X)`.

    The class is made anew, without arguments, for every fit. It never sees labels of one class
    alone, which many classifiers refuse. The columns of its probabilities are its `classes_`,
    or the classes it was given, in order.
    """

    estimator_class: ClassVar[type]
    path: ClassVar[str]

    def __init__(self, classes: int) -> None:
        self.classes_: NDArray[np.int64] = np.arange(classes)
        self._model: Any = None

    def fit(self, X: NDArray[Any], y: NDArray[np.int64], warm: object = None) -> CustomEstimator:
        """Learn from unit rows X (n, d) and y (n,)."""
        self.classes_, self._model = np.unique(y), None
        if len(self.classes_) > 1:
            self._model = self.estimator_class()
            self._model.fit(np.asarray(X), y)
            self.classes_ = np.asarray(getattr(self._model, "classes_", self.classes_))
        return self

    def predict_proba(self, X: NDArray[Any]) -> NDArray[Any]:
        """Probabilities (m, number of classes seen) of unit rows X (m, d).

        Raises ProjectError where the class gives anything else.
        """
        if self._model is None:
            return np.ones((len(X), 1))
        found = np.asarray(self._model.predict_proba(np.asarray(X)), dtype=float)
        wanted = (len(X), len(self.classes_))
        if found.shape != wanted or not np.isfinite(found).all() or (found < 0).any():
            raise ProjectError(
                f"predict_proba of {make_printable(self.path)} must give probabilities of shape "
                f"{wanted}, one column for each class it has seen; it gave {found.shape}"
                + (", some of them negative or no numbers" if found.shape == wanted else "")
            )
        return found


@cache
def load_custom_estimator(path: str) -> type[CustomEstimator]:
    """The estimator of `module:Class` or `file.py:Class`. Raises ProjectError."""
    place, _, name = path.rpartition(":")
    try:
        found = getattr(_import_module(place), name)
    except _FAULTS as error:
        why = f"{type(error).__name__}: {error}"
        raise ProjectError(
            f"cannot load the estimator {make_printable(path)} ({make_printable(why)}); write module:Class "
            "for what is installed, or file.py:Class"
        ) from error
    lacking = [need for need in ("fit", "predict_proba") if not hasattr(found, need)]
    if lacking or not isinstance(found, type):
        what = f"has no {' and no '.join(lacking)}" if lacking else "is no class"
        raise ProjectError(
            f"{make_printable(path)} {what}; an estimator is a class with fit(X, y) and predict_proba(X)"
        )
    return type("LoadedEstimator", (CustomEstimator,), {"estimator_class": found, "path": path})


def _import_module(place: str) -> ModuleType:
    if not place.endswith(".py"):
        return import_module(place)
    file = Path(place).expanduser()
    spec = spec_from_file_location(f"annotator_estimator_{file.stem}", file)
    assert spec is not None and spec.loader is not None  # it ends in .py
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
