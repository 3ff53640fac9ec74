"""The prequential error: how often the model was wrong on items before it learnt them.

Each label first tests the model of before it, and then trains the next one. The query strategy
picks mostly hard items, so this is the difficulty of what the annotator is asked. It is not an
estimate of the error on the pool.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from annotator.log.entries import Action, Entry

WINDOW = 50


@dataclass(slots=True)
class PrequentialScores:
    """Two scores for each standing label that the model had predicted, updated row by row."""

    _points: dict[int, tuple[float, bool]] = field(default_factory=dict)

    def apply(self, entry: Entry) -> None:
        """Add a row of the log.

        Rows without a prediction and rows that a model wrote add nothing; an undo takes the scores
        of its label away.
        """
        if entry.action is Action.UNDO:
            self._points.pop((entry.extra or {}).get("undoes", 0), None)
        elif entry.action is not Action.LABEL or entry.second or entry.by_machine:
            return
        elif entry.label and entry.proba:
            self._points[entry.seq] = _score_prediction(entry.proba, entry.label)

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


def _score_prediction(proba: Mapping[str, float], label: str) -> tuple[float, bool]:
    squared = sum((p - (name == label)) ** 2 for name, p in proba.items())
    if label not in proba:
        squared += 1.0  # a class that the model did not know
    return squared / max(len(proba), 1), max(proba, key=lambda name: proba[name]) != label


def windowed_mean(values: NDArray[np.float64], window: int = WINDOW) -> NDArray[np.float64]:
    """Return the mean of the last `window` values at each place (of fewer at the start)."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(0, ends - window)
    return np.asarray((sums[ends] - sums[starts]) / (ends - starts))


def cumulative_mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean of all values up to each place."""
    return np.asarray(np.cumsum(values) / np.arange(1, len(values) + 1))
