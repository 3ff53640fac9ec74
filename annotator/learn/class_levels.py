"""A model of a hierarchy of classes: one estimator for each level of the tree.

The estimator of a level learns from the labels that reach it, each as its class on that level. So a
label of an inner class, such as `vehicle`, teaches what a vehicle is, and nothing of its kinds. The
probability of a leaf is the product, from the top down, of the share that each level's estimator
gives the class among its siblings. A row that a level did not learn from is out of sample there, so
leave-one-out of the levels is leave-one-out of the whole. The measurements: `docs/hierarchy.md`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotator.learn.targets import Labels, Mask, OneClass, Proba, Rows, expand_classes
from annotator.learn.text_prior import TextPrior

Parents = tuple[int, ...]
"""The place of the parent of each class, -1 at the top of the tree."""


def ancestor_lines(parents: Parents) -> list[list[int]]:
    """Return for each class the classes from the top of the tree down to it."""
    lines = []
    for c in range(len(parents)):
        line = [c]
        while (above := parents[line[0]]) >= 0:
            line.insert(0, above)
        lines.append(line)
    return lines


class TreeClasses(OneClass):
    """Each item has one class of a tree: a label is right for every class below it."""

    def __init__(self, parents: Parents) -> None:
        self.under = np.zeros((len(parents), len(parents)), bool)
        """(C, C) True if the column's class is the row's, or below it."""
        for c, line in enumerate(ancestor_lines(parents)):
            self.under[line, c] = True

    def counts(self, y: Labels, C: int) -> Rows:
        """Return the number of labels of each class and the classes below it."""
        return np.asarray(self.under @ np.bincount(y, minlength=C))

    def having(self, y: Labels, c: int) -> Mask:
        """Return which labels are class c or below it."""
        return np.asarray(self.under[c, y])

    def share(self, y: Labels, proba: Proba, c: int) -> NDArray[np.float64]:
        """Return 1 for labels within class c; for a class above it the model's share of c in it."""
        whole = (proba * self.under[y]).sum(axis=1, dtype=float)
        part = (proba * (self.under[y] & self.under[c])).sum(axis=1, dtype=float)
        part = np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)
        return np.where(self.having(y, c), 1.0, part)

    def class_proba(self, proba: Proba, c: int) -> Proba:
        """Return the probability of class c and of the classes below it."""
        return np.asarray(proba[:, self.under[c]].sum(axis=1))

    def inner(self, C: int) -> Mask:
        """Return (C,) True for classes that have others below them."""
        return np.asarray(self.under.sum(axis=1) > 1)

    def is_wrong(self, proba: Proba, y: Labels) -> Mask:
        """Return where the likeliest class is not the label, nor below it."""
        return np.asarray(~self.under[y, proba.argmax(axis=1)])

    def predicted_as(self, proba: Proba, c: int) -> Mask:
        """Return where class c, or a class below it, is the likeliest."""
        return np.asarray(self.under[c, proba.argmax(axis=1)])


class LevelModels:
    """An estimator for each level of a tree of C classes.

    After `fit`: an inner class has no probability of its own, unless no class below it has labels.
    """

    def __init__(
        self, make: Callable[..., Any], parents: Parents, text: TextPrior | None = None
    ) -> None:
        """Set up the levels; `make` returns an unfitted estimator of a number of classes.

        It takes the scores of their texts as well, if there is a `text`.
        """
        self._make, self._parents, self._text = make, parents, text
        self.classes_ = np.arange(len(parents))
        self.targets = TreeClasses(parents)
        self._levels: list[_Level] = []
        self._rows = 0

    def unfitted(self) -> LevelModels:
        """Return the same levels without what they learnt."""
        return type(self)(self._make, self._parents, self._text)

    def fit(self, X: NDArray[Any], y: Labels, warm: LevelModels | None = None) -> LevelModels:
        """Learn from unit rows X (n, d) and y (n,), at each level from the labels that reach it."""
        self._rows = len(y)
        lines, before = ancestor_lines(self._parents), warm._levels if warm else []
        leaves = ~np.isin(self.classes_, self._parents)
        for depth in range(max(map(len, lines))):
            place = np.array([
                line[min(depth, len(line) - 1)] if len(line) > depth or leaf else -1
                for line, leaf in zip(lines, leaves, strict=True)
            ])  # fmt: skip
            reached = np.flatnonzero(place[y] >= 0)
            if not len(reached) and self._text is None:
                break
            old = before[depth].estimator if depth < len(before) else None
            members = [c for c, line in enumerate(lines) if len(line) == depth + 1]
            level = _Level(self._make, place, members, self._text)
            self._levels.append(level.fit(X[reached], y[reached], reached, old, X))
        return self

    def predict_proba(self, X: NDArray[Any]) -> Proba:
        """Return probabilities (m, C) of unit rows X (m, d)."""
        return self._join([level.proba(X) for level in self._levels])

    @property
    def text_weight(self) -> float:
        """The largest weight of the texts on any level."""
        weights = [getattr(level.estimator, "text_weight", 0.0) for level in self._levels]
        return float(max(weights, default=0.0))

    def _join(self, levels: list[Proba]) -> Proba:
        """Return the probabilities (m, C) of all classes from those of each level (m, C)."""
        found, first = np.zeros_like(levels[0]), self._levels[0]
        found[:, first.members] = levels[0][:, first.members]
        for level, proba in zip(self._levels[1:], levels[1:], strict=True):
            for parent in {self._parents[c] for c in level.members}:
                kinds = [c for c in level.members if self._parents[c] == parent]
                if not level.seen[kinds].any():
                    continue  # labels name no class below: the parent keeps its probability
                shares = proba[:, kinds]
                whole = np.maximum(shares.sum(axis=1, keepdims=True), np.finfo(shares.dtype).tiny)
                found[:, kinds] = found[:, [parent]] * shares / whole
                found[:, parent] = 0
        return found


class LevelModelsLOO(LevelModels):
    """The levels of estimators that have leave-one-out of their own."""

    def loo_proba(self) -> Proba:
        """Return probabilities (n, C) of each labelled row by the levels fitted without it."""
        return self._join([level.loo_proba(self._rows) for level in self._levels])


def make_level_models(
    make: Callable[..., Any], parents: Parents, text: TextPrior | None = None
) -> LevelModels:
    """Return unfitted levels of a tree, with leave-one-out if `make`'s estimators have it."""
    kind = LevelModelsLOO if hasattr(make(1), "loo_proba") else LevelModels
    return kind(make, parents, text)


class _Level:
    """The estimator of one level, whose columns are its classes and the leaves above it."""

    def __init__(
        self,
        make: Callable[..., Any],
        place: Rows,
        members: list[int],
        text: TextPrior | None = None,
    ) -> None:
        """Set the level up; `place` (C,) is each class's class on this level, -1 if none."""
        self._place, self.members = place, members
        self._nodes = np.unique(place[place >= 0])
        words = () if text is None else (text.take(self._nodes),)
        self.estimator = make(len(self._nodes), *words)
        self.seen = np.full(len(place), text is not None)
        """(C,) True for classes of this level with labels, or else with a text."""
        self._n, self._out_of_sample = 0, np.zeros((0, len(place)), np.float32)
        self._reached = np.zeros(0, np.int64)

    def fit(
        self, X: NDArray[Any], y: Labels, reached: Rows, old: Any, all_rows: NDArray[Any]
    ) -> _Level:
        classes = np.searchsorted(self._nodes, self._place[y])
        self.seen[self._place[y]] = True
        self._n, self._reached = len(y), reached
        if old is not None and type(old) is type(self.estimator):
            self.estimator.fit(X, classes, warm=old)
        else:
            self.estimator.fit(X, classes)
        others = np.setdiff1d(np.arange(len(all_rows)), reached)
        self._others, self._others_proba = others, self.proba(all_rows[others])
        return self

    def proba(self, X: NDArray[Any]) -> Proba:
        """Return probabilities (m, C); 0 for classes of other levels."""
        if not len(X):
            return np.zeros((0, len(self._place)))
        return self._spread(self.estimator.predict_proba(X), self.estimator.classes_)

    def loo_proba(self, n: int) -> Proba:
        """Return probabilities (n, C) of all labelled rows, each by a fit without it."""
        found = np.zeros((n, len(self._place)))
        found[self._reached] = self._spread(self.estimator.loo_proba(), self.classes_)
        found[self._others] = self._others_proba
        return found

    @property
    def classes_(self) -> Rows:
        return np.arange(len(self._nodes))

    def _spread(self, proba: Proba, classes: Rows) -> Proba:
        found = np.zeros((len(proba), len(self._place)), proba.dtype)
        found[:, self._nodes] = expand_classes(proba, classes, self._n, len(self._nodes))
        return found
