"""Scoring of the pool: a small pool as a whole, a large one part by part.

A pool whose unit rows fit in memory is scored anew for every label. In a larger pool each label
scores a fixed random sample (for the error estimate), the rows that looked most uncertain when
last scored, and the next one of many pieces of the pool. So the time per label does not depend
on the size of the pool. The drawing weights of the other rows are then some labels old. The error
estimate stays unbiased: a draw needs known probabilities, not the newest.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from annotator.learn.candidates import OpenRows, chunk_sums
from annotator.learn.mixture import drawing_weights
from annotator.learn.model import FittedModel
from annotator.learn.rows import CHUNK, Rows, UnitRows
from annotator.learn.targets import ONE_CLASS

SAMPLE_SIZE = 10_000
MAX_HOT_ROWS = 4096  # rows remembered as uncertain, over all pieces

Mask = NDArray[np.bool_]


class Scan(NamedTuple):
    """The scored rows of a pool and the model's probabilities for them."""

    rows: Rows
    """(m,) scored rows; the first `sampled` are a uniform sample."""
    proba: NDArray[np.floating]
    """(m, C)."""
    sampled: int
    """The number of rows of the uniform sample."""
    open: OpenRows
    """All open rows, with their drawing weights."""


def uniform_proba(n: int, C: int) -> NDArray[np.float32]:
    """Return equal probabilities (n, C), as before the first label."""
    return np.full((n, C), 1 / C, dtype=np.float32)


def scan_whole_pool(unit_rows: UnitRows, model: FittedModel | None, C: int, mask: Mask) -> Scan:
    """Score all open rows, in order; `mask` (N,) is True for open rows."""
    rows = np.flatnonzero(mask)
    proba = model.pool_proba(unit_rows, rows) if model else uniform_proba(len(rows), C)
    weights = np.zeros(len(mask), dtype=np.float32)
    weights[rows] = drawing_weights(proba, model.targets if model else ONE_CLASS)
    return Scan(rows, proba, len(rows), OpenRows(mask, weights, size=len(rows)))


class IncrementalScan:
    """The state of a large pool between labels: a sample, old weights, the uncertain rows."""

    def __init__(self, unit_rows: UnitRows, available: Mask, seed: int) -> None:
        N, rng = len(available), np.random.default_rng([seed, SAMPLE_SIZE])
        ready = np.flatnonzero(available)
        self.unit, self.ready = unit_rows, len(ready)
        self.sample = np.sort(rng.choice(ready, min(SAMPLE_SIZE, len(ready)), replace=False))
        self.sample_X = unit_rows.take(self.sample)
        self.in_sample = np.zeros(N, dtype=bool)
        self.in_sample[self.sample] = True
        self.scored = np.ones(N, dtype=np.float32)
        self.available = self.mask = available
        self.weights = available.astype(np.float32)
        pieces = -(-N // CHUNK)
        self.sums = chunk_sums(self.weights)
        self.rows_per_piece = max(8, MAX_HOT_ROWS // pieces)
        self.hot = np.full((pieces, self.rows_per_piece), -1, dtype=np.int64)
        self.hot_X = np.zeros((pieces, self.rows_per_piece, unit_rows.dim), dtype=np.float32)
        self.turn = 0

    def is_outgrown(self, available: Mask) -> bool:
        """Return whether too many rows came or went for the sample to represent the pool."""
        now = int(available.sum())
        return not 0.8 * now <= self.ready <= now or len(available) != len(self.mask)

    def step(
        self, model: FittedModel | None, C: int, available: Mask, mask: Mask, find: int | None
    ) -> Scan:
        """Score the sample, the uncertain rows and the next piece.

        available (N,): True for rows with features; mask (N,): True for those that are open.
        """
        self.available = available
        self._follow(mask)
        if model is None:
            rows = self.sample[mask[self.sample]]
            return Scan(rows, uniform_proba(len(rows), C), len(rows), self._open())
        self._refresh(model, find)
        sampled = mask[self.sample]
        hot = (self.hot >= 0) & mask[self.hot] & ~self.in_sample[self.hot]
        rows = np.concatenate([self.sample[sampled], self.hot[hot]])
        proba = np.concatenate(
            [model.unit_proba(self.sample_X)[sampled], model.unit_proba(self.hot_X[hot])]
        )
        return Scan(rows, proba, int(sampled.sum()), self._open())

    def _open(self) -> OpenRows:
        return OpenRows(self.mask, self.weights, self.sums)

    def _follow(self, mask: Mask) -> None:
        """Take over a new mask of open rows."""
        changed = np.flatnonzero(mask != self.mask)
        self.mask = mask
        self.weights[changed] = np.where(mask[changed], self.scored[changed], 0)
        for piece in np.unique(changed // CHUNK):
            self._sum(int(piece))

    def _sum(self, piece: int) -> None:
        part = self.weights[piece * CHUNK : (piece + 1) * CHUNK]
        self.sums[piece] = part.sum(dtype=np.float64)

    def _refresh(self, model: FittedModel, find: int | None) -> None:
        piece, self.turn = self.turn, (self.turn + 1) % len(self.sums)
        start = piece * CHUNK
        rows = start + np.flatnonzero(self.available[start : start + CHUNK])
        if len(rows) == 0:
            return
        X = self.unit.take(rows)
        proba = model.unit_proba(X)
        scored = drawing_weights(proba, model.targets)
        self.scored[rows], self.weights[rows] = scored, scored * self.mask[rows]
        self._sum(piece)
        sought = scored if find is None else model.targets.class_proba(proba, find)
        self._remember(piece, rows, X, sought)

    def _remember(
        self, piece: int, rows: Rows, X: NDArray[np.float32], utilities: NDArray[np.floating]
    ) -> None:
        k = min(self.rows_per_piece, len(rows))
        best = np.argpartition(-utilities, k - 1)[:k]
        self.hot[piece] = -1
        self.hot[piece, :k], self.hot_X[piece, :k] = rows[best], X[best]
