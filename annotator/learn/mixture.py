"""The default strategy: rows are drawn from a mixture whose probabilities are known.

A few first labels cover the pool (MaxHerding). Afterwards each row is drawn from

    q(i) = 0.10 / N + 0.40 · u_i⁴ / Σ u⁴ + 0.50 · [i = g]

where u = 1 − (p₁ − p₂) is the margin uncertainty and g is by turns the most uncertain row and
the row of most uncertain coverage (UHerding); in search of a class, by turns the row most
likely to be of it and the most uncertain one. Because every row has a known q > 0, the labels
also estimate the model's error without bias (see honest.py), and the 10 % drawn uniformly
("audits") keep the model from never looking where it is wrongly sure. Sampling in proportion
to a power of the score instead of always taking the largest: Kirsch et al., TMLR 2023,
arXiv:2106.12059.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annotator.learn.coverage import Coverage, pool_coverage, shrunk_radius
from annotator.learn.rows import Rows
from annotator.learn.strategies import Pick, Pool, largest, margins

LEAST = 1e-6  # the least uncertainty counted, so that a sure model still gives every row a q
CANDIDATES = 250  # uncertain rows, and as many random ones, that UHerding chooses among
COLD_CANDIDATES = 500


@dataclass(frozen=True, slots=True)
class HerdingMix:
    """The mixture; the shares of its three parts add up to 1."""

    audits: float = 0.10
    spread: float = 0.40
    power: int = 4

    def __call__(self, pool: Pool, want: int) -> list[Pick]:
        draw = _Draw(self, pool)
        return [draw.next() for _ in range(min(want, len(pool.rows)))]


def first_labels(classes: int) -> int:
    """How many labels the cold start takes."""
    return max(10, 2 * classes)


class _Draw:
    """Draws one row after another, without replacement."""

    def __init__(self, mix: HerdingMix, pool: Pool) -> None:
        self.mix, self.pool = mix, pool
        self.open = np.ones(len(pool.rows), dtype=bool)
        self.u = np.maximum(margins(pool.proba), LEAST)
        self.powers = self.u.astype(float) ** mix.power
        self.coverage = pool_coverage(pool)
        self.taken: list[Pick] = []

    def next(self) -> Pick:
        asked = len(self.pool.labelled) + len(self.taken)
        if asked < first_labels(self.pool.proba.shape[1]):
            place, q, component = self._cold(), np.nan, "cold"
        else:
            place, q, component = self._mixed(asked)
        pick = Pick(int(self.pool.rows[place]), q, self.pool.size - len(self.taken), component)
        self._take(pick, place)
        return pick

    def _take(self, pick: Pick, place: int) -> None:
        self.taken.append(pick)
        self.open[place] = False
        self.powers[place] = 0

    def _covered(self) -> Coverage:
        mine = np.array([pick.row for pick in self.taken], dtype=np.int64)
        return self.coverage.cover(self.pool.unit, np.append(self.coverage.asked, mine))

    def _cold(self) -> int:
        places = self._random(COLD_CANDIDATES)
        X = self.pool.unit.take(self.pool.rows[places])
        return int(places[self._covered().gains(X).argmax()])

    def _mixed(self, asked: int) -> tuple[int, float, str]:
        size = self.pool.size - len(self.taken)
        total = self.powers.sum()
        greedy, name = self._greedy(asked)
        part = self.pool.rng.random()
        if part < self.mix.audits:
            place, component = int(self._random(1)[0]), "audit"
        elif part < self.mix.audits + self.mix.spread:
            place, component = self._spread(total), "uncertain"
        else:
            place, component = greedy, name
        q = self.mix.audits / size + self.mix.spread * self.powers[place] / total
        if place == greedy:
            q += 1 - self.mix.audits - self.mix.spread
        return place, float(q), component

    def _spread(self, total: float) -> int:
        sums = np.cumsum(self.powers)
        place = int(np.searchsorted(sums, self.pool.rng.random() * total, side="right"))
        return min(place, int(np.flatnonzero(self.open)[-1]))

    def _greedy(self, asked: int) -> tuple[int, str]:
        u = np.where(self.open, self.u, -1)
        if asked % 2:
            return int(largest(u, 1, self.pool.rng)[0]), "margin"
        if self.pool.find is not None:
            p = np.where(self.open, self.pool.proba[:, self.pool.find], -1)
            return int(largest(p, 1, self.pool.rng)[0]), "find"
        return self._herd(u), "herding"

    def _herd(self, u: NDArray[np.floating]) -> int:
        places = np.union1d(largest(u, CANDIDATES, self.pool.rng), self._random(CANDIDATES))
        places = places[self.open[places]]
        X = self.pool.unit.take(self.pool.rows[places])
        weights = np.maximum(margins(self.pool.score(self.coverage.X)), LEAST).astype(np.float32)
        gains = self._covered().gains(X, weights, self._radius())
        return int(places[gains.argmax()])

    def _radius(self) -> float:
        n = len(self.pool.labelled) // 10 * 10
        return shrunk_radius(self.coverage.radius, self.pool.unit.take(self.pool.labelled[:n]))

    def _random(self, want: int) -> Rows:
        places = np.flatnonzero(self.open)
        return self.pool.rng.choice(places, min(want, len(places)), replace=False)
