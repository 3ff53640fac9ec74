"""Query strategies: they choose the rows of the pool to ask next.

Most compute a utility for each row and ask the row with the largest (`GreedyStrategy`). The
utilities' names follow Settles, "Active Learning Literature Survey" (2009).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from annotator.learn.candidates import Pool
    from annotator.learn.rows import Rows

DEFAULT_STRATEGY = "herding-mix"
DRAWING_STRATEGIES = frozenset((DEFAULT_STRATEGY, "random"))
"""The strategies that draw with known probabilities: only their labels estimate an error."""

Utilities = NDArray[np.floating[Any]]


class Pick(NamedTuple):
    """One row to ask, with the probability q of drawing it out of `pool` rows."""

    row: int
    q: float
    """NaN if the draw was not random: the label then serves learning, not the estimate."""
    pool: int
    component: str
    """The part of the strategy that drew the row: "audit", "margin", "cold", "random" ..."""

    @classmethod
    def from_log(cls, row: int, q: float | None, pool: int | None, component: str | None) -> Pick:
        """Make a pick from the fields of the log and the leases: q is None if it was not random."""
        return cls(row, float("nan") if q is None else q, pool or 0, component or "")

    def to_log_fields(self) -> dict[str, Any]:
        """Return the fields of an entry that describe its draw: `from_log` reversed."""
        q = None if np.isnan(self.q) else self.q
        return {"picked_by": self.component or None, "q": q, "pool": self.pool or None}


class Strategy(Protocol):
    """A function that picks rows of a pool."""

    def __call__(self, pool: Pool, want: int) -> list[Pick]:
        """Return at most `want` different rows of the pool, the most wanted first."""


def margin(pool: Pool) -> Utilities:
    """Return 1 − (p₁ − p₂) of the two most probable classes (Scheffer et al. 2001)."""
    return pool.targets.margin(pool.proba)


def entropy(pool: Pool) -> Utilities:
    """Return −Σ p log p."""
    return pool.targets.entropy(pool.proba)


def least_confidence(pool: Pool) -> Utilities:
    """Return 1 − p of the most probable class, or set of tags."""
    return np.asarray(1 - pool.targets.confidence(pool.proba))


def seed_formula(pool: Pool) -> Utilities:
    """Return (1 − p(c)) / (A(c) + 1); c is the most probable class, A its number of labels."""
    likeliest = pool.proba.argmax(axis=1)
    return np.asarray(least_confidence(pool) / (pool.counts[likeliest] + 1))


def max_probability(pool: Pool) -> Utilities:
    """Return the probability of the class searched for; of the last class if there is none."""
    wanted = pool.proba.shape[1] - 1 if pool.find is None else pool.find
    return pool.targets.class_proba(pool.proba, wanted)


@dataclass(frozen=True, slots=True)
class GreedyStrategy:
    """A strategy that asks the rows of the largest utility; ties are broken at random."""

    utilities: Callable[[Pool], Utilities]
    name: str

    def __call__(self, pool: Pool, want: int) -> list[Pick]:
        rows = pool.rows[largest_utilities(self.utilities(pool), want, pool.rng)]
        return [Pick(int(row), np.nan, pool.open.size - i, self.name) for i, row in enumerate(rows)]


def largest_utilities(utilities: Utilities, want: int, rng: np.random.Generator) -> Rows:
    """Return the places (at most `want`,) of the largest utilities in order, ties at random."""
    want = min(want, len(utilities))
    if want == 0:
        return np.zeros(0, dtype=np.int64)
    least = np.partition(utilities, -want)[-want]
    places = np.flatnonzero(utilities >= least)
    if len(places) > 4 * want:
        sure = places[utilities[places] > least]
        tied = rng.choice(places[utilities[places] == least], want - len(sure), replace=False)
        places = np.concatenate([sure, tied])
    order = np.lexsort((rng.random(len(places)), -utilities[places]))
    return places[order[:want]]


def sample_uniform(pool: Pool, want: int) -> list[Pick]:
    """Draw each open row with the same probability: passive learning, and an unbiased sample."""
    rows, size = pool.open.uniform(pool.rng, want), pool.open.size
    return [Pick(int(row), 1 / (size - i), size - i, "random") for i, row in enumerate(rows)]


UTILITIES: dict[str, Callable[[Pool], Utilities]] = {
    "margin": margin,
    "entropy": entropy,
    "least-confidence": least_confidence,
    "seed": seed_formula,
    "max-probability": max_probability,
}
