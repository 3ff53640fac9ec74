"""Estimators by name, and fitted models that predict every class of the project."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from annotator.errors import ProjectError
from annotator.learn.class_levels import LevelModels, Parents, make_level_models
from annotator.learn.custom_estimators import Logistic, load_custom_estimator
from annotator.learn.ridge import RidgeLOO
from annotator.learn.rows import CHUNK, UnitRows, normalize_rows
from annotator.learn.tag_ridge import TagRidge
from annotator.learn.targets import ONE_CLASS, TagSets, Targets, expand_classes
from annotator.learn.text_prior import TextPrior

FOLDS = 5


class Estimator(Protocol):
    """A classifier that `learn` can use; every scikit-learn classifier is one.

    Rows are unit vectors; y holds class indices. If it also has `loo_proba()` -> (n, C), the
    error estimate needs no cross-validation.
    """

    classes_: NDArray[np.int64]
    """The classes seen by `fit`: the columns of `predict_proba`."""

    def fit(self, X: NDArray[Any], y: NDArray[np.int64]) -> Any:
        """Learn from unit rows X (n, d) and y (n,)."""
        ...

    def predict_proba(self, X: NDArray[Any]) -> NDArray[Any]:
        """Return probabilities (m, classes seen) of unit rows X (m, d)."""
        ...


ESTIMATORS: dict[str, Callable[[int], Any]] = {"ridge": RidgeLOO, "logistic": Logistic}
"""Name to a function from the number of classes to a new, unfitted Estimator."""


def load_estimator(name: str) -> Callable[[int], Any]:
    """Return one of ESTIMATORS, or a custom class by its path (see custom_estimators.py).

    Raises `ProjectError` for an unknown name and for a class that does not load.
    """
    if name in ESTIMATORS:
        return ESTIMATORS[name]
    if ":" in name:
        return load_custom_estimator(name)
    known = ", ".join(sorted(ESTIMATORS))
    raise ProjectError(
        f"Unknown estimator {name!r}. Known: {known}. Write a class with fit and predict_proba "
        "as module:Class or file.py:Class."
    )


class OneVsRest:
    """One classifier for each of T tags, for estimators that know only classes."""

    def __init__(self, make: Callable[[int], Any], tags: int) -> None:
        """Fit a `make(2)` for each tag."""
        self._make, self.classes_ = make, np.arange(tags)
        self.targets = TagSets()
        self._models: list[tuple[Any, int]] = []

    def unfitted(self) -> OneVsRest:
        """Return another one for the same tags."""
        return OneVsRest(self._make, len(self.classes_))

    def fit(self, X: NDArray[Any], y: NDArray[Any]) -> OneVsRest:
        """Learn from unit rows X (n, d) and y (n, T), True for each tag of a row."""
        columns = y.T.astype(np.int64)
        self._models = [(self._make(2).fit(X, column), len(X)) for column in columns]
        return self

    def predict_proba(self, X: NDArray[Any]) -> NDArray[Any]:
        """Return the probability (m, T) of each tag for unit rows X (m, d)."""
        columns = [
            expand_classes(model.predict_proba(X), model.classes_, n, 2)[:, 1]
            for model, n in self._models
        ]
        return np.stack(columns, axis=1)


def make_estimator(
    name: str, C: int, *, tags: bool, parents: Parents = (), text: TextPrior | None = None
) -> Any:
    """Return a new estimator of that name for C classes or, with `tags`, for C tags.

    `parents` make the classes a tree; `text` scores them by their names, which only ridge uses.
    """
    make = load_estimator(name)
    if parents:
        return make_level_models(make, parents, text if make is RidgeLOO else None)
    if make is RidgeLOO:
        return (TagRidge if tags else RidgeLOO)(C, text)
    return OneVsRest(make, C) if tags else make(C)


def versioned_model_name(estimator: str, version: int) -> str:
    """Return the name of a model in the log and in exports: "ridge@128", "own.py:Mine@128"."""
    return f"{estimator.rpartition('/')[2]}@{version}"


class Model(Protocol):
    """A fitted estimator as the session sees it."""

    @property
    def name(self) -> str:
        """The estimator and the version of its labels: "ridge@128"."""

    @property
    def targets(self) -> Targets:
        """The kind of label that the probabilities predict: one class, or a set of tags."""

    def predict_proba(self, X: NDArray[Any]) -> NDArray[np.float64]:
        """Return probabilities (m, C) for feature rows (m, d) as stored, of any length.

        C counts all classes of the project; a class without labels has a small probability.
        Raises `FeatureError` for a row that is zero or not finite.
        """


@dataclass(frozen=True, slots=True)
class FittedModel:
    """An estimator fitted on n labelled rows of a project with C classes: a `Model`."""

    name: str
    estimator: Estimator
    n: int
    C: int

    @property
    def targets(self) -> Targets:
        """The kind of label that the probabilities predict: one class, or a set of tags."""
        found: Targets = getattr(self.estimator, "targets", ONE_CLASS)
        return found

    @property
    def text_weight(self) -> float:
        """The weight of the classes' texts; 0 if they have no part in the model."""
        return float(getattr(self.estimator, "text_weight", 0.0))

    @property
    def calibrated(self) -> bool:
        """True if the estimator has leave-one-out of its own, and so is calibrated by it."""
        return hasattr(self.estimator, "loo_proba")

    def predict_proba(self, X: NDArray[Any]) -> NDArray[np.float64]:
        """Return probabilities (m, C) for feature rows (m, d) of any length."""
        return self.unit_proba(normalize_rows(np.atleast_2d(X))).astype(float)

    def unit_proba(self, X: NDArray[Any]) -> NDArray[Any]:
        """Return probabilities (m, C) of unit rows (m, d)."""
        return expand_classes(
            self.estimator.predict_proba(X), self.estimator.classes_, self.n, self.C
        )

    def pool_proba(self, rows: UnitRows, which: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return probabilities (m, C) of matrix rows `which` (m,), in pieces of bounded size."""
        dense = rows.dense(which)
        if dense is None or len(which) < len(dense) / 2:
            parts = (X for _, X in rows.chunks(which))
            return self._stack(parts, len(which))
        pieces = (dense[start : start + CHUNK] for start in range(0, len(dense), CHUNK))
        return self._stack(pieces, len(dense))[which]

    def _stack(self, parts: Iterable[NDArray[np.float32]], n: int) -> NDArray[np.float32]:
        proba, start = np.empty((n, self.C), dtype=np.float32), 0
        for X in parts:
            proba[start : start + len(X)] = self.unit_proba(X)
            start += len(X)
        return proba


def fit_model(
    estimator: str,
    version: int,
    C: int,
    X: NDArray[np.float32],
    y: NDArray[Any],
    warm: object = None,
    parents: Parents = (),
    text: TextPrior | None = None,
) -> FittedModel:
    """Fit the estimator of that name on unit rows X (n, d) and labels y of C classes or tags.

    `warm`, an earlier fit, saves time if it is one of the same estimator. `parents` make the
    classes a tree. With `text`, ridge shrinks towards the scores of the classes' names. Raises
    `ProjectError` for an unknown name, `ExtraMissing` if the estimator's package is absent.
    """
    fresh = make_estimator(estimator, C, tags=y.ndim == 2, parents=parents, text=text)
    grows = type(warm) is type(fresh) and not isinstance(fresh, OneVsRest)
    if grows:
        fresh.fit(X, y, warm=warm)
    else:
        fresh.fit(X, y)
    name = versioned_model_name(estimator if len(X) else "names", version)
    return FittedModel(name, fresh, len(X), C)


def out_of_sample_proba(model: FittedModel, X: NDArray[Any], y: NDArray[Any]) -> NDArray[Any]:
    """Return probabilities (n, C) for each labelled row by a fit without its own label.

    They come from exact leave-one-out if the estimator has it, else from 5-fold cross-validation
    (folds by turns in the order of labelling).
    """
    loo = getattr(model.estimator, "loo_proba", None)
    if loo is not None:
        return np.asarray(loo())
    fold = np.arange(len(y)) % FOLDS
    proba = np.full((len(y), model.C), 1 / model.C)
    for k in range(min(FOLDS, len(y))):
        inside = fold != k
        if not inside.any():
            continue
        fitted: Any
        if isinstance(model.estimator, (OneVsRest, LevelModels)):
            fitted = model.estimator.unfitted()
        else:
            fitted = type(model.estimator)(model.C)  # type: ignore[call-arg]
        fitted.fit(X[inside], y[inside])
        part = fitted.predict_proba(X[~inside])
        proba[~inside] = expand_classes(part, fitted.classes_, int(inside.sum()), model.C)
    return proba
