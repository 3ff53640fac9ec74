"""The pool as a query strategy sees it: its open rows, and the model's probabilities for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from annotator.learn.rows import CHUNK, Rows, UnitRows
from annotator.learn.targets import ONE_CLASS, Targets

if TYPE_CHECKING:
    from annotator.learn.text_prior import TextPrior

_TRIES = 200
MAX_TEXT_SCORES = 16_000_000  # kept scores of rows by the texts of classes (64 MB)


class OpenRows:
    """The rows that may be asked, each with a weight for drawing; taking a row changes no array.

    mask (N,): True for open rows; weights (N,): at least 0, and 0 for closed rows; sums
    (ceil(N / CHUNK),): the sums of the weights of each chunk, if they are known already.
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
        """The number of rows that are open and not taken."""
        return self._size - len(self._taken)

    def take(self, row: int) -> None:
        """Take a row, so that it is not drawn again."""
        self._taken.add(row)
        self._total = max(self._total - float(self._weights[row]), 0.0)

    def free(self, rows: Rows) -> Rows:
        """Return the rows of `rows` that are not taken."""
        return rows[~np.isin(rows, list(self._taken))] if self._taken else rows

    def share(self, row: int) -> float:
        """Return the probability that `weighted` draws this row."""
        return float(self._weights[row]) / self._total if self._total > 0 else 1 / self.size

    def uniform(self, rng: np.random.Generator, want: int) -> Rows:
        """Draw at most `want` different open rows, each with the same probability."""
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
        """Draw one open row in proportion to the weights."""
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
    """Return the sum of each CHUNK of weights, in double precision."""
    return np.add.reduceat(weights, np.arange(0, len(weights), CHUNK), dtype=np.float64)


class TextScores:
    """The scores of pool rows by the texts of classes, each computed once."""

    def __init__(self, prior: TextPrior, unit: UnitRows) -> None:
        self.prior, self._unit = prior, unit
        self._columns: dict[int, NDArray[np.float32]] = {}

    def scores(self, rows: Rows, c: int) -> NDArray[np.float32]:
        """Return the scores (m,) of rows (m,) for class c."""
        column = self._columns.pop(c, None)
        if column is None:
            column = np.full(len(self._unit.matrix), np.nan, np.float32)
        self._columns[c] = column  # the latest last
        if len(self._columns) > max(1, MAX_TEXT_SCORES // len(column)):
            self._columns.pop(next(iter(self._columns)))
        unknown = rows[np.isnan(column[rows])]
        for start in range(0, len(unknown), CHUNK):
            part = unknown[start : start + CHUNK]
            column[part] = self.prior.class_scores(self._unit.take(part), c)
        return np.asarray(column[rows])


def reuse_text_scores(
    prior: TextPrior | None, unit: UnitRows, cache: dict[str, Any]
) -> TextScores | None:
    """Return the scores of `prior`, those of earlier steps from `cache`; None without a prior."""
    if prior is None:
        return None
    kept: TextScores | None = cache.get("text")
    if kept is None or kept.prior is not prior:
        kept = cache["text"] = TextScores(prior, unit)
    return kept


@dataclass(frozen=True, slots=True)
class Pool:
    """The data that a strategy may use.

    (m,) rows are scored: all open ones, but in a very large pool only a random part and the rows
    that looked uncertain when last scored.
    """

    rows: Rows
    """(m,) rows that may be picked."""
    proba: NDArray[Any]
    """(m, C) the model's probabilities for `rows`; equal for all classes before the first label."""
    open: OpenRows
    """All open rows, for drawing at random."""
    unit: UnitRows
    """Unit rows of the whole matrix, by row number."""
    labelled: Rows
    """(n,) rows labelled so far, in order; only those with features."""
    y: NDArray[Any]
    """(n,) their classes, or (n, C) their tags."""
    shown: Rows
    """Rows with features that are labelled, queued, skipped or on a screen."""
    counts: Rows
    """(C,) labels of each class so far, with features or not."""
    find: int | None
    """The class to search for, if any."""
    available: NDArray[np.bool_] | None
    """(N,) rows with features; None = all."""
    score: Callable[[NDArray[Any]], NDArray[Any]]
    """A function from unit rows (k, d) to probabilities (k, C)."""
    seed: int
    """The seed of the session, for choices that stay the same from step to step."""
    rng: np.random.Generator
    """The random numbers of this step."""
    cache: dict[str, Any] = field(default_factory=dict)
    """Values that a strategy keeps between steps, only to save time."""
    targets: Targets = ONE_CLASS
    """The kind of label that the probabilities predict: one class, or a set of tags."""
    text: TextScores | None = None
    """The scores by the texts of the classes, if their names are used."""
    trusts_text: bool = False
    """True while leave-one-out finds the texts useful, or there is nothing to judge them by."""
    labels: int | None = None
    """The number of labels so far, with features or not; None: the sum of `counts`."""
