"""The coverage of the pool by the asked rows, measured with a smooth kernel.

MaxHerding (Bae, Noh & Sutherland, ECCV 2024, arXiv:2407.12212) asks the row that adds most
coverage. UHerding (Bae, Oliveira & Sutherland, ICLR 2025, arXiv:2412.20644) weights the rows to
cover by the model's uncertainty, and shrinks the kernel as labels come in.
The pool is represented by a random sample of reference rows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from annotator.learn.candidates import Pool
from annotator.learn.rows import CHUNK, MAX_KEPT_VALUES, Matrix, Rows, UnitRows, scale_to_unit

MAX_REFERENCES = 1000
RADIUS_NEIGHBOUR = 10

Array = NDArray[np.float32]


class TakesRows(Protocol):
    """Unit rows by row number."""

    @property
    def matrix(self) -> Matrix:
        """The matrix (N, d) that they come from."""

    def take(self, rows: Rows) -> Array:
        """Return the unit rows (m, d) of matrix rows (m,)."""
        ...


@dataclass(frozen=True, slots=True)
class CentredRows:
    """Unit rows as directions from a centre: what all rows share no longer makes them alike."""

    unit: UnitRows
    centre: Array
    """(d,)"""

    @property
    def matrix(self) -> Matrix:
        """The matrix (N, d) that they come from."""
        return self.unit.matrix

    def take(self, rows: Rows) -> Array:
        """Return the centred unit rows (m, d) of matrix rows (m,)."""
        return scale_to_unit(self.unit.take(rows) - self.centre)


class ReferenceDistances:
    """Squared distances from pool rows to the references; in a small pool all are kept."""

    def __init__(self, unit: TakesRows, references: Array) -> None:
        self.unit, self.references = unit, references
        N, kept = len(unit.matrix), len(unit.matrix) * len(references) <= MAX_KEPT_VALUES
        self._kept = np.zeros((N, len(references)), dtype=np.float32) if kept else None
        self._known = np.zeros(N, dtype=bool)

    def distances_from(self, rows: Rows) -> Array:
        """Return the squared distances (m, R) of rows (m,)."""
        if self._kept is None:
            return squared_distances(self.unit.take(rows), self.references)
        missing = rows[~self._known[rows]]
        if len(missing):
            self._kept[missing] = squared_distances(self.unit.take(missing), self.references)
            self._known[missing] = True
        return self._kept[rows]


@dataclass(frozen=True, slots=True)
class Coverage:
    """Reference rows of a pool, each with its distance to the nearest row asked."""

    rows: Rows
    """(R,) the reference rows' numbers."""
    X: Array
    """(R, d) their unit rows."""
    radius: float
    """Squared kernel radius σ²: the median squared distance to the 10th neighbour."""
    asked: Rows
    """(k,) rows asked so far."""
    nearest: Array
    """(R,) squared distance to the nearest row asked; infinite before the first."""
    between: ReferenceDistances

    def cover(self, asked: Rows) -> Coverage:
        """Return these references with `asked` (k,) covered; rows covered before cost nothing."""
        asked = np.unique(asked)
        fresh = np.setdiff1d(asked, self.asked, assume_unique=True)
        nearest = self.nearest
        if len(self.asked) + len(fresh) > len(asked):  # some were taken back
            fresh, nearest = asked, np.full_like(nearest, np.inf)
        for start in range(0, len(fresh), CHUNK):
            near = self.between.distances_from(fresh[start : start + CHUNK]).min(axis=0)
            nearest = np.minimum(nearest, near)
        return replace(self, asked=asked, nearest=nearest)

    def with_nearest(self, nearest: Array) -> Coverage:
        """Return the same references with other distances `nearest` (R,) to the asked rows."""
        return replace(self, nearest=nearest)

    def kernel(self, rows: Rows, radius: float) -> Array:
        """Return k (m, R) of candidate rows (m,) and the references: exp(−‖a − b‖² / 2σ²)."""
        found = self.between.distances_from(rows) * np.float32(-0.5 / radius)
        return np.asarray(np.exp(found, out=found))

    def gains(self, kernel: Array, radius: float, weights: Array | None = None) -> Array:
        """Return the coverage (m,) that each candidate would add, from their `kernel` (m, R).

        It is the mean over r of weight_r · max(0, k(x, r) − max over asked a of k(a, r)).
        """
        added = kernel - np.exp(np.float32(-0.5 / radius) * self.nearest)
        np.maximum(added, 0, out=added)
        found = added.mean(axis=1) if weights is None else added @ weights / len(weights)
        return np.asarray(found)


def sample_references(unit: UnitRows, rows: Rows, seed: int, *, centred: bool = False) -> Coverage:
    """Draw a random sample of at most 1,000 of `rows`, with nothing covered yet.

    `centred` rows are seen from the mean of the sample.
    """
    rng = np.random.default_rng([seed, MAX_REFERENCES])
    chosen = np.sort(rng.choice(rows, min(MAX_REFERENCES, len(rows)), replace=False))
    seen: TakesRows = CentredRows(unit, unit.take(chosen).mean(axis=0)) if centred else unit
    X = seen.take(chosen)
    nothing = np.full(len(chosen), np.inf, dtype=np.float32)
    return Coverage(chosen, X, first_radius(X), chosen[:0], nothing, ReferenceDistances(seen, X))


def pool_coverage(pool: Pool, *, centred: bool = False) -> Coverage:
    """Return references among all rows with features; labelled and other shown rows are covered."""
    N, name = len(pool.unit.matrix), "centred coverage" if centred else "coverage"
    rows = np.arange(N) if pool.available is None else np.flatnonzero(pool.available)
    mark, known = pool.cache.get(name, (None, None))
    if known is None or mark != (pool.seed, len(rows)):
        known = sample_references(pool.unit, rows, pool.seed, centred=centred)
    covered: Coverage = known.cover(pool.shown)
    pool.cache[name] = (pool.seed, len(rows)), covered
    return covered


def first_radius(X: Array) -> float:
    """Return σ²: the median squared distance to the 10th neighbour; never zero."""
    if len(X) < 2:
        return 1.0
    k = min(RADIUS_NEIGHBOUR, len(X) - 1)
    return max(float(np.median(np.partition(squared_distances(X, X), k, axis=1)[:, k])), 1e-6)


def shrunk_radius(radius: float, X: Array) -> float:
    """Return σ² for labelled unit rows X (n, d): just wide enough to keep them apart.

    It is the 5th percentile of the squared distance to the nearest other label, but between a
    quarter of the first radius and all of it.
    """
    if len(X) < RADIUS_NEIGHBOUR:
        return radius
    between = squared_distances(X, X)
    np.fill_diagonal(between, np.inf)
    low = float(np.percentile(between.min(axis=1), 5))
    return float(np.clip(low, radius / 4, radius))


def squared_distances(A: Array, B: Array) -> Array:
    """Return the squared distances (a, b) between unit rows."""
    found = A @ B.T
    found *= -2
    found += 2
    return np.asarray(np.maximum(found, 0, out=found))
