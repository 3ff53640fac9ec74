"""Rapid mode: pictures stream past, one key marks, and its delay tells which one was meant.

After Krishna et al., "Embracing error to enable rapid crowdsourcing" (CHI 2016): a stream faster
than an annotator can answer, a key pressed when a positive was seen, and the delay of that key,
about 378 ms with a standard deviation of 92 ms, turned into a probability for each picture.
All times are in seconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import log, pi, sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

MIN_RATE, MAX_RATE = 1.0, 10.0
"""Pictures a second."""
MAX_DELAY = 1.2
"""Seconds after a picture from which a key is not meant for it."""
MISS_RATE, SLIP_RATE, STRAY_RATE = 0.05, 0.02, 0.002
"""Shares of positives that are not marked and of negatives that are marked by mistake, and the
number of marks for each picture that mean no picture at all."""
SURE_PROBABILITY, RULED_OUT_PROBABILITY = 0.9, 0.05
"""The posterior from which an item counts as marked, and below which as not marked."""
_PRIOR_DELAYS = 5
"""The number of measured delays that weigh as much as the delays of people in general."""
_MIN_DELAY, _MIN_SD = 0.1, 0.04


@dataclass(frozen=True, slots=True)
class KeyDelay:
    """A normal distribution of the seconds between a picture and its key."""

    mean: float = 0.378
    sd: float = 0.092

    def updated(self, measured: Sequence[float]) -> KeyDelay:
        """Return the delay corrected by an annotator's own (normal-inverse-gamma, posterior means).

        Delays under 0.1 s or over 1.2 s were not answers to the picture and are left out.
        """
        own = np.array([x for x in measured if _MIN_DELAY <= x <= MAX_DELAY])
        if not len(own):
            return self
        n, k = len(own), _PRIOR_DELAYS
        mean = (k * self.mean + own.sum()) / (k + n)
        spread = ((own - own.mean()) ** 2).sum()
        moved = k * n / (k + n) * (own.mean() - self.mean) ** 2
        sd = sqrt((k * self.sd**2 + spread + moved) / (k + n))
        return KeyDelay(float(mean), max(_MIN_SD, sd))

    def log_density(self, seconds: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the log density of delays; minus infinity for impossible ones."""
        z = (seconds - self.mean) / self.sd
        found = -0.5 * z * z - log(self.sd * sqrt(2 * pi))
        possible = (seconds >= 0) & (seconds <= max(MAX_DELAY, self.mean + 5 * self.sd))
        return np.where(possible, found, -np.inf)


def expected_share(marks: int, items: int) -> float:
    """Return the expected share of positives in a stream, from its number of marks."""
    return float(np.clip((marks + 1) / (items + 10), 0.01, 0.5))


def mark_posterior(
    onsets: Sequence[float],
    marks: Sequence[float],
    delay: KeyDelay,
    share: float,
    known: Mapping[int, bool] | None = None,
    *,
    misses: float = MISS_RATE,
    slips: float = SLIP_RATE,
) -> NDArray[np.float64]:
    """Return the probability (n,) that each item is a positive, given the times of the keys.

    `onsets` are the times at which the items appeared, in their order; `known` holds the
    items whose answer a second look gave. Every mark means one item, a positive or by a slip a
    negative, or is a stray that means none; an item is meant by one mark at most, and marks come
    in the order of the items that they mean. The sum over all such explanations is a forward and
    a backward pass over items and marks, O(n m), as in the alignment of sequences.
    """
    shown, times = np.asarray(onsets, float), np.sort(np.asarray(marks, float))
    if not len(shown):
        return np.zeros(0)
    seconds = max(shown[-1] - shown[0], 1e-3)
    stray = log(STRAY_RATE * len(shown) / (seconds + MAX_DELAY))  # it comes at any time
    prior = np.full(len(shown), share)
    for place, positive in (known or {}).items():
        prior[place] = 1 - 1e-12 if positive else 1e-12
    right, unmarked = prior * (1 - misses), prior * misses
    marked = right + (1 - prior) * slips
    hit = np.log(marked)[:, None] + delay.log_density(times[None] - shown[:, None])
    skip = np.log(1 - marked)
    ahead = _forward(hit, skip, stray)
    after = _backward(hit, skip, stray)
    total = after[0][0, 0]
    with np.errstate(invalid="ignore"):
        either = np.logaddexp(*ahead)
        meant = np.exp(either[:-1, :-1] + hit + after[0][1:, 1:] - total).sum(axis=1)
        passed = np.exp(ahead[0][:-1] + skip[:, None] + after[0][1:] - total).sum(axis=1)
    found: NDArray[np.float64] = meant * right / marked + passed * unmarked / (1 - marked)
    return np.clip(found, 0.0, 1.0)


PassTables = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Log weights (n + 1, m + 1) of all explanations of the first items and marks: where an item may
be passed next, and where only a mark may follow. Strays come after the passed items between two
meant ones, so that no explanation is counted twice."""


def _forward(hit: NDArray[np.float64], skip: NDArray[np.float64], stray: float) -> PassTables:
    n, m = hit.shape
    free, strayed = np.full((2, n + 1, m + 1), -np.inf)
    free[0, 0] = 0.0
    steps = stray * np.arange(m + 1)
    for i in range(n + 1):
        if i:
            free[i] = free[i - 1] + skip[i - 1]
            before = np.logaddexp(free[i - 1], strayed[i - 1])[:-1]
            free[i, 1:] = np.logaddexp(free[i, 1:], before + hit[i - 1])
        strayed[i, 1:] = steps[1:] + np.logaddexp.accumulate(free[i] - steps)[:-1]
    return free, strayed


def _backward(hit: NDArray[np.float64], skip: NDArray[np.float64], stray: float) -> PassTables:
    n, m = hit.shape
    free, strayed = np.full((2, n + 1, m + 1), -np.inf)
    steps = stray * np.arange(m + 1)
    for i in range(n, -1, -1):
        here = np.full(m + 1, -np.inf)
        here[m] = 0.0 if i == n else -np.inf
        if i < n:
            here[:m] = hit[i] + free[i + 1, 1:]
        strayed[i] = np.logaddexp.accumulate((here + steps)[::-1])[::-1] - steps
        free[i] = strayed[i] if i == n else np.logaddexp(strayed[i], skip[i] + free[i + 1])
    return free, strayed


class StreamVerdict(NamedTuple):
    """The places of a stream's items, grouped by the answer."""

    marked: tuple[int, ...]
    doubtful: tuple[int, ...]
    """Items to be looked at one at a time, the likeliest first."""
    rest: tuple[int, ...]


@dataclass(slots=True)
class RapidStream:
    """The pictures shown and the keys pressed. A second look at an item settles its neighbours."""

    onsets: list[float]
    marks: list[float]
    delay: KeyDelay
    known: dict[int, bool] = field(default_factory=dict)
    """Place -> True for a positive, from a second look."""

    def probability(self) -> NDArray[np.float64]:
        """Return the probability (n,) that each item is a positive."""
        share = expected_share(len(self.marks), len(self.onsets))
        return mark_posterior(self.onsets, self.marks, self.delay, share, self.known)

    @property
    def verdict(self) -> StreamVerdict:
        """The verdict by the current probabilities."""
        chance = self.probability()
        places = sorted(range(len(chance)), key=lambda i: (-chance[i], i))
        return StreamVerdict(
            tuple(i for i in range(len(chance)) if chance[i] >= SURE_PROBABILITY),
            tuple(i for i in places if RULED_OUT_PROBABILITY <= chance[i] < SURE_PROBABILITY),
            tuple(i for i in range(len(chance)) if chance[i] < RULED_OUT_PROBABILITY),
        )


def measure_delays(onsets: Sequence[float], marks: Sequence[float]) -> list[float]:
    """Return the delay of the first mark after each onset that has one, for onsets far apart."""
    shown = np.asarray(onsets, float)
    found = []
    for onset in shown:
        later = [mark - onset for mark in marks if _MIN_DELAY <= mark - onset <= MAX_DELAY]
        if later:
            found.append(min(later))
    return found
