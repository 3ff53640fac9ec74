"""The prequential error: how often the model was wrong on items before it learnt them.

Each label first tests the model of before it, and then trains the next one. The query strategy
picks mostly hard items, so this is the difficulty of what the annotator is asked. It is not an
estimate of the error on the pool.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from annotator.log.entries import PREDICTED, Action, Entry

WINDOW = 50

IsWithin = Callable[[str, str], bool]
"""A function that tells whether a class is another one, or a kind of it."""


def is_equal(name: str, other: str) -> bool:
    """Return True for the same class: `IsWithin` of classes without a hierarchy."""
    return name == other


@dataclass(slots=True)
class PrequentialScores:
    """Two scores for each standing label that the model had predicted, updated row by row."""

    is_within: IsWithin = is_equal
    _points: dict[int, tuple[float, bool]] = field(default_factory=dict)
    _before: dict[int, int] = field(default_factory=dict)
    """The numbers of rows before a team's log numbered them."""

    def apply(self, entry: Entry) -> None:
        """Add a row of the log.

        Rows without a prediction and rows that a model wrote add nothing; an undo takes the scores
        of its label away.
        """
        if entry.action is Action.UNDO:
            undone = (entry.extra or {}).get("undoes", 0)
            self._points.pop(self._before.pop(undone, undone), None)
        elif entry.action is not Action.LABEL or entry.second or entry.by_machine:
            return
        elif entry.label and entry.proba:
            if PREDICTED in (entry.extra or {}):
                self._points[entry.seq] = _score_set(entry)
            else:
                self._points[entry.seq] = self._score(entry.proba, entry.label)

    def renumber(self, before: int, now: int) -> None:
        """Note that a row has another number now."""
        self._before[now] = before

    def _score(self, proba: Mapping[str, float], label: str) -> tuple[float, bool]:
        """Score a prediction; a class below the label counts as the label."""
        kinds = {label}
        if self.is_within is not is_equal:
            kinds = {name for name in proba if self.is_within(name, label)}
        right = sum(p for name, p in proba.items() if name in kinds)
        squared = sum(p**2 for name, p in proba.items() if name not in kinds) + (right - 1) ** 2
        return squared / len(proba), max(proba, key=lambda name: proba[name]) not in kinds

    def __len__(self) -> int:
        return len(self._points)

    @property
    def squared_errors(self) -> NDArray[np.float64]:
        """The mean over the classes of (p - one-hot)^2, in [0, 1], of each label in order."""
        return np.array([squared for squared, _ in self._points.values()])

    @property
    def wrong(self) -> NDArray[np.float64]:
        """1 for each label that was not the most probable class, else 0, in order."""
        return np.array([float(wrong) for _, wrong in self._points.values()])


def _score_set(entry: Entry) -> tuple[float, bool]:
    """Score the prediction of a set of classes, which is right if the whole set is."""
    held, proba = (entry.label or "").split("|"), entry.proba or {}
    squared = sum((p - (name in held)) ** 2 for name, p in proba.items())
    return squared / max(len(proba), 1), entry.predicted != entry.label


def windowed_mean(values: NDArray[np.float64], window: int = WINDOW) -> NDArray[np.float64]:
    """Return the mean of the last `window` values at each place (of fewer at the start)."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(0, ends - window)
    return np.asarray((sums[ends] - sums[starts]) / (ends - starts))


def cumulative_mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean of all values up to each place."""
    return np.asarray(np.cumsum(values) / np.arange(1, len(values) + 1))
