"""The pool as a query strategy sees it: which rows are open, and what the model says of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotator.learn.rows import CHUNK, Rows, UnitRows

_TRIES = 200


class OpenRows:
    """The rows that may be asked, each with a weight for drawing; taking one changes no array.

    mask (N,) which rows are open; weights (N,) at least 0, and 0 where closed; sums
    (ceil(N / CHUNK),) of the weights, given where they are known already.
    """

    def __init__(
        self,
        mask: NDArray[np.bool_],
        weights: NDArray[np.float32],
        sums: NDArray[np.float64] | None = None,
        size: int | None = None,
    ) -> None:
        self.mask, self._weights = mask, weights
        self._sums = chunk_sums(weights) if sums is None else sums
        self._size = int(mask.sum()) if size is None else size
        self._taken: set[int] = set()
        self._total = float(self._sums.sum())

    @property
    def size(self) -> int:
        """How many rows are open and not taken."""
        return self._size - len(self._taken)

    def take(self, row: int) -> None:
        """Draw this one no more."""
        self._taken.add(row)
        self._total = max(self._total - float(self._weights[row]), 0.0)

    def free(self, rows: Rows) -> Rows:
        """Those of `rows` that are not taken."""
        return rows[~np.isin(rows, list(self._taken))] if self._taken else rows

    def share(self, row: int) -> float:
        """The probability that `weighted` draws this row."""
        return float(self._weights[row]) / self._total if self._total > 0 else 1 / self.size

    def uniform(self, rng: np.random.Generator, want: int) -> Rows:
        """At most `want` different open rows, each with the same probability."""
        want = min(want, self.size)
        if want == 0:
            return np.zeros(0, dtype=np.int64)
        tries = rng.integers(len(self.mask), size=4 * want + 8)
        tries = tries[self.mask[tries]]
        tries = self.free(tries[np.sort(np.unique(tries, return_index=True)[1])])
        if len(tries) < want:  # few are open: list them
            return rng.choice(self.free(np.flatnonzero(self.mask)), want, replace=False)
        return tries[:want]

    def weighted(self, rng: np.random.Generator) -> int:
        """One open row, drawn in proportion to the weights."""
        ends = np.cumsum(self._sums)
        for _ in range(_TRIES if self._total > 0 else 0):
            chunk = int(np.searchsorted(ends, rng.random() * ends[-1], side="right"))
            start = min(chunk, len(ends) - 1) * CHUNK
            inside = np.cumsum(self._weights[start : start + CHUNK], dtype=np.float64)
            place = np.searchsorted(inside, rng.random() * inside[-1], side="right")
            row = start + int(min(place, len(inside) - 1))
            if self._weights[row] > 0 and self._is_free(row):
                return row
        return int(self.uniform(rng, 1)[0])

    def _is_free(self, row: int) -> bool:
        return bool(self.mask[row]) and row not in self._taken


def chunk_sums(weights: NDArray[np.float32]) -> NDArray[np.float64]:
    """Sums of every CHUNK weights, in double precision."""
    return np.add.reduceat(weights, np.arange(0, len(weights), CHUNK), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Pool:
    """What a strategy may look at. (m,) rows are scored: all open ones, but in a very large
    pool a random part and those that looked uncertain when last scored."""

    rows: Rows
    """(m,) rows that may be picked."""
    proba: NDArray[Any]
    """(m, C) the model's probabilities for `rows`; equal for all classes before any label."""
    open: OpenRows
    """All open rows, for drawing at random."""
    unit: UnitRows
    """Unit rows of the whole matrix, by row number."""
    labelled: Rows
    """(n,) rows labelled so far, in order; only those with features."""
    y: Rows
    """(n,) their classes."""
    shown: Rows
    """Rows with features that are labelled, queued, skipped or on a screen."""
    counts: Rows
    """(C,) labels of each class so far, with features or not."""
    find: int | None
    """The class to search for, if any."""
    available: NDArray[np.bool_] | None
    """(N,) rows with features; None = all."""
    score: Callable[[NDArray[Any]], NDArray[Any]]
    """Unit rows (k, d) -> probabilities (k, C)."""
    seed: int
    """Of the whole session: for what should stay the same from step to step."""
    rng: np.random.Generator
    """Of this step."""
    cache: dict[str, Any] = field(default_factory=dict)
    """What a strategy keeps between steps, only to save time."""
