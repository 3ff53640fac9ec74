"""An interval for the mean of a finite set that holds at every look: a confidence sequence.

Values between 0 and 1 are drawn uniformly without replacement from N of them. For each candidate
mean m a bettor bets against "the mean is m". If m is the mean, the stake is a martingale, so it
ever grows to 1/α with probability α at most (Ville's inequality). The interval holds the
candidates whose stake never did (Waudby-Smith & Ramdas, JRSS-B 2024, arXiv:2010.09686; without
replacement NeurIPS 2020, arXiv:2006.04347).

Each of the N values has a guess that is known beforehand, such as the model's doubt about an item.
The bet is on what the guess does not explain: the control variate of Shekhar, Xu, Lipton, Liang &
Ramdas, "Risk-limiting financial audits via weighted sampling without replacement", UAI 2023,
arXiv:2305.06884. One bettor bets on both sides: above m if more is expected than m, below m if
less. The expectation begins with that of the model and follows the values. What is expected
decides how narrow the interval is, and never whether it holds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annotator.learn.error_estimate import Interval

Array = NDArray[np.float64]

MEAN_PRIOR = 30.0  # the weight, in values, of the expected mean
VARIANCE_PRIOR = 20.0  # the weight, in values, of the expected variance
SLOPE_PRIOR = 20.0  # the weight, in values, of a slope of 1 of the values on their guesses
MOST_STAKED = 0.9  # of the stake that the worst value would lose
_CANDIDATES = (65, 17, 17, 17)  # means tried: of all, then at each end of the interval
_LEAST_VARIANCE = 1e-4


@dataclass(frozen=True, slots=True)
class KnownGuesses:
    """The facts about N guesses, known before one of their values is drawn."""

    size: int
    mean: float
    """The mean of the guesses, exactly."""
    variance: float
    """The variance of the guesses."""
    least: float
    most: float
    expected: float
    """The expected mean of the values."""
    doubt: float
    """The expected variance of a value about its guess."""

    @classmethod
    def summarize(
        cls, guesses: NDArray[np.floating], expected: float | None = None
    ) -> KnownGuesses:
        """Summarise the guesses (N,); the mean of the values is expected to be theirs."""
        exact = guesses.astype(float)
        mean = float(exact.mean())
        expected = mean if expected is None else min(max(expected, 0.0), 1.0)
        likely = np.clip(exact + expected - mean, 0, 1)
        return cls(
            len(exact), mean, float(exact.var()), float(exact.min()), float(exact.max()),
            expected, float((likely * (1 - likely)).mean()),
        )  # fmt: skip

    @classmethod
    def from_moments(
        cls, size: int, mean: float, square: float, least: float, most: float
    ) -> KnownGuesses:
        """Summarise guesses by their mean and the mean of their squares."""
        variance = max(0.0, square - mean**2)
        return cls(size, mean, variance, least, most, mean, max(0.0, mean - square))

    @classmethod
    def none(cls, size: int) -> KnownGuesses:
        """Return the summary of N guesses of 0, which tell nothing."""
        return cls(size, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


def bound_mean(values: Array, guesses: Array, known: KnownGuesses, alpha: float) -> Interval:
    """Return the mean of all N values with an interval that holds at every look, for 1 − α.

    values (t,) in the order of their draws, with their guesses (t,). The candidates are looked at
    in steps, finer ones at both ends of the interval; its ends are rounded outwards.
    """
    t, total = len(values), float(values.sum())
    lowest, highest = total / known.size, (total + known.size - t) / known.size
    value = min(max(_adjusted_mean(values, guesses, known), lowest), highest)
    if t in (0, known.size):
        return Interval(value, lowest, highest)
    edges = [(0.0, 1.0)]
    for count in _CANDIDATES:
        grids = [np.linspace(low, high, count) for low, high in edges]
        means = np.unique(np.concatenate([*grids, [value]]))
        stakes = largest_stakes(means, values, guesses, known)
        kept = np.flatnonzero(stakes < np.log(1 / alpha))
        if not len(kept):  # all are refuted, with probability α at most
            kept = np.array([int(stakes.argmin())])
        first, last = int(kept[0]), int(kept[-1])
        before, after = max(first - 1, 0), min(last + 1, len(means) - 1)
        edges = [(means[before], means[first]), (means[last], means[after])]
    return Interval(value, max(lowest, float(edges[0][0])), min(highest, float(edges[1][1])))


def count_values_needed(
    count: int, found: Interval, limit: float, known: KnownGuesses, alpha: float
) -> int:
    """Return about how many values bring the upper end of the interval down to a limit.

    `found` is the interval after `count` values. All N if the mean is likely above the limit.
    """
    room = limit - found.value
    if room <= 0:
        return known.size
    if count:
        excess = (room / max(found.high - found.value, room)) ** 2 * (1 / count - 1 / known.size)
    else:
        excess = room**2 / (2 * np.log(2 / alpha) * max(known.doubt, _LEAST_VARIANCE))
    return min(known.size, int(np.ceil(1 / (1 / known.size + excess))))


def largest_stakes(means: Array, values: Array, guesses: Array, known: KnownGuesses) -> Array:
    """Return the logarithm of the largest stake so far against each candidate mean (k,).

    Before each draw the rest of the values has the mean that a candidate leaves them, and the rest
    of the guesses has a known one. The gain of a bet on their difference has the mean 0.
    """
    t = len(values)
    left = known.size - np.arange(t, dtype=float)
    rest = (known.size * known.mean - _sums_before(guesses)) / left
    slope, expected, variance = _expectations(values, guesses, known, rest)
    claimed = (known.size * means[None] - _sums_before(values)[:, None]) / left[:, None]
    possible = (claimed >= -1e-9) & (claimed <= 1 + 1e-9)
    claimed = claimed.clip(0, 1)
    gain = (values - slope * (guesses - rest))[:, None] - claimed
    worst = np.minimum(-(slope * (known.most - rest))[:, None] - claimed, -1e-9)
    best = np.maximum(1 + (slope * (rest - known.least))[:, None] - claimed, 1e-9)
    surplus = expected[:, None] - claimed
    bet = surplus / (variance[:, None] + surplus**2)
    bet = np.clip(bet, -MOST_STAKED / best, -MOST_STAKED / worst)
    stakes = np.cumsum(np.log1p(bet * gain), axis=0)
    return np.asarray(np.where(possible, stakes, np.inf).max(axis=0, initial=0.0))


def _expectations(
    values: Array, guesses: Array, known: KnownGuesses, rest: Array
) -> tuple[Array, Array, Array]:
    """Return for each draw (t,) what is expected before it: the slope of the values on the guesses,
    the mean of the rest of the values, and the variance that the guesses do not explain."""
    seen = np.arange(len(values))
    surprise = MEAN_PRIOR * (known.expected - known.mean) + _sums_before(values - guesses)
    shift = surprise / (MEAN_PRIOR + seen)
    usual = known.mean + shift
    off = guesses - known.mean
    prior = SLOPE_PRIOR * known.variance + 1e-12
    slope = prior + _sums_before(off * values) - usual * _sums_before(off)
    slope = np.clip(slope / (prior + _sums_before(off**2)), 0, 1.2)
    missed = (values - usual - slope * off) ** 2
    variance = VARIANCE_PRIOR * max(known.doubt, _LEAST_VARIANCE) + _sums_before(missed)
    expected = np.clip(rest + shift, 1e-4, 1 - 1e-4)
    return slope, expected, variance / (VARIANCE_PRIOR + seen)


def _sums_before(values: Array) -> Array:
    """Return for each of the values (t,) the sum of those before it."""
    return np.concatenate([[0.0], np.cumsum(values)[:-1]]) if len(values) else np.zeros(0)


def _adjusted_mean(values: Array, guesses: Array, known: KnownGuesses) -> float:
    """Return the mean of the values, adjusted by the guesses of those that were not drawn."""
    if not len(values):
        return known.expected
    off = guesses - known.mean
    spread = SLOPE_PRIOR * known.variance + 1e-12
    slope = (spread + float(off @ (values - values.mean()))) / (spread + float(off @ off))
    return float(values.mean() - np.clip(slope, 0, 1.2) * off.mean())
