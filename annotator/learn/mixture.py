"""The default strategy: rows are drawn from a mixture whose probabilities are known.

A few first labels cover the pool (MaxHerding). Afterwards each row is drawn from

    q(i) = 0.10 / N + 0.40 · u_i⁴ / Σ u⁴ + 0.50 · [i = g]

where u = 1 − (p₁ − p₂) is the margin uncertainty and g is by turns the most uncertain row, the
row of most uncertain coverage (UHerding) and, in search of a class, the row most likely to be
of it. A class that is rare among the labels is searched for without being asked.

Because every row has a known q > 0, the labels also estimate the model's error without bias
(see honest.py), and the 10 % drawn uniformly ("audits") keep the model from never looking
where it is wrongly sure. Sampling in proportion
to a power of the score instead of always taking the largest: Kirsch et al., TMLR 2023,
arXiv:2106.12059.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annotator.learn.coverage import Coverage, pool_coverage, shrunk_radius
from annotator.learn.outlook import rare_class
from annotator.learn.pool import Pool
from annotator.learn.rows import Rows
from annotator.learn.strategies import Pick, Utilities, largest, margins

LEAST = 1e-6  # the least uncertainty counted, so that a sure model still gives every row a q
POWER = 4
CANDIDATES = 250  # uncertain rows, and as many random ones, that UHerding chooses among
COLD_CANDIDATES = 500


@dataclass(frozen=True, slots=True)
class HerdingMix:
    """The mixture: what is left by `audits` and `spread` goes to the greedy part."""

    audits: float = 0.10
    spread: float = 0.40

    def __call__(self, pool: Pool, want: int) -> list[Pick]:
        draw = _Draw(self, pool, want)
        return [draw.next() for _ in range(min(want, pool.open.size))]


def first_labels(classes: int) -> int:
    """How many labels the cold start takes."""
    return max(10, 2 * classes)


def uncertainty(proba: NDArray[np.floating]) -> NDArray[np.float32]:
    """u (m,) of probabilities (m, C), never zero."""
    return np.maximum(margins(proba), LEAST).astype(np.float32, copy=False)


def drawing_weights(proba: NDArray[np.floating]) -> NDArray[np.float32]:
    """u⁴ (m,) of probabilities (m, C)."""
    return np.square(np.square(uncertainty(proba)))


class _Draw:
    """Draws one row after another, without replacement."""

    def __init__(self, mix: HerdingMix, pool: Pool, want: int) -> None:
        self.mix, self.pool, self.open, self.rng = mix, pool, pool.open, pool.rng
        self.uncertain = self._best(margins(pool.proba), CANDIDATES + want)
        self.likely = self.uncertain[:0]
        wanted = rare_class(pool.counts) if pool.find is None else pool.find
        if wanted is not None:
            self.likely = self._best(pool.proba[:, wanted], 1 + want)
        self.coverage = pool_coverage(pool)
        self.herd: _Herd | None = None
        self.taken: list[int] = []

    def _best(self, utilities: Utilities, want: int) -> Rows:
        return self.pool.rows[largest(utilities, want, self.rng)]

    def next(self) -> Pick:
        asked, size = len(self.pool.labelled) + len(self.taken), self.open.size
        if asked < first_labels(self.pool.proba.shape[1]):
            row, q, component = self._cold(), np.nan, "cold"
        else:
            row, q, component = self._mixed(asked)
        self.taken.append(row)
        self.open.take(row)
        return Pick(row, q, size, component)

    def _cold(self) -> int:
        rows = self.open.uniform(self.rng, COLD_CANDIDATES)
        cover, radius = self._covered(), self.coverage.radius
        gains = cover.gains(cover.kernel(self.pool.unit.take(rows), radius), radius)
        return int(rows[gains.argmax()])

    def _covered(self) -> Coverage:
        mine = np.array(self.taken, dtype=np.int64)
        return self.coverage.cover(self.pool.unit, np.append(self.coverage.asked, mine))

    def _mixed(self, asked: int) -> tuple[int, float, str]:
        name, candidates = self._turn(asked)
        row, component = self._draw()
        greedy = -1
        if row < 0:
            row, component = self._choose(name, candidates), name
            greedy = row
        elif row in candidates:  # only then could the greedy part have chosen it, too
            greedy = self._choose(name, candidates)
        q = self.mix.audits / self.open.size + self.mix.spread * self.open.share(row)
        if row == greedy:
            q += 1 - self.mix.audits - self.mix.spread
        return row, q, component

    def _draw(self) -> tuple[int, str]:
        """A row of one of the two random parts, or -1 where the greedy part's turn has come."""
        part = self.rng.random()
        if part < self.mix.audits:
            return int(self.open.uniform(self.rng, 1)[0]), "audit"
        if part < self.mix.audits + self.mix.spread:
            return self.open.weighted(self.rng), "uncertain"
        return -1, ""

    def _turn(self, asked: int) -> tuple[str, Rows]:
        """Whose turn it is in the greedy part, and among which rows it chooses."""
        uncertain, likely = self.open.free(self.uncertain), self.open.free(self.likely)
        turn = asked % (3 if len(likely) else 2)
        if turn == 1 and len(uncertain):
            return "margin", uncertain[:1]
        if turn == 2:
            return "find", likely[:1]
        if self.herd is None:
            random = self.open.uniform(self.rng, CANDIDATES)
            self.herd = _Herd(self.pool, self.coverage, np.union1d(self.uncertain, random))
        return "herding", self.open.free(self.herd.rows)

    def _choose(self, name: str, candidates: Rows) -> int:
        if name != "herding" or self.herd is None:
            return int(candidates[0])
        gains = self.herd.gains(self._covered())
        gains[np.isin(self.herd.rows, self.taken)] = -1
        return int(self.herd.rows[gains.argmax()])


class _Herd:
    """UHerding among fixed candidates: the kernel is computed once, when first asked for."""

    def __init__(self, pool: Pool, coverage: Coverage, rows: Rows) -> None:
        self.pool, self.coverage, self.rows = pool, coverage, rows
        self.kernel: NDArray[np.float32] | None = None

    def gains(self, covered: Coverage) -> NDArray[np.float32]:
        """Uncertain coverage (m,) that each candidate would add."""
        if self.kernel is None:
            n = len(self.pool.labelled) // 10 * 10
            known = self.pool.unit.take(self.pool.labelled[:n])
            self.radius = shrunk_radius(self.coverage.radius, known)
            self.kernel = self.coverage.kernel(self.pool.unit.take(self.rows), self.radius)
            self.weights = uncertainty(self.pool.score(self.coverage.X))
        return covered.gains(self.kernel, self.radius, self.weights)
