"""The pictures of a stream that the marks meant."""

from __future__ import annotations

from itertools import combinations
from math import exp, pi, sqrt

import numpy as np
import pytest

from annotator.pages.key_delay import (
    MISS_RATE,
    SLIP_RATE,
    STRAY_RATE,
    KeyDelay,
    RapidStream,
    mark_posterior,
    measure_delays,
)
from annotator.simulate.rapid_human import RapidHuman, simulate_stream

DELAY = KeyDelay(0.4, 0.1)


def by_hand(onsets: list[float], marks: list[float], share: float) -> list[float]:
    """The posterior by going through every explanation of the marks, one by one."""
    n, m = len(onsets), len(marks)
    right, wrong = share * (1 - MISS_RATE), (1 - share) * SLIP_RATE
    unmarked = share * MISS_RATE + (1 - share) * (1 - SLIP_RATE)
    stray = STRAY_RATE * n / (max(onsets[-1] - onsets[0], 1e-3) + 1.2)
    total, positive = 0.0, [0.0] * n
    for count in range(min(n, m) + 1):
        for items in combinations(range(n), count):
            for keys in combinations(range(m), count):
                late = [marks[k] - onsets[i] for i, k in zip(items, keys, strict=True)]
                if any(not 0 <= x <= 1.2 for x in late):
                    continue
                weight = stray ** (m - count) * unmarked ** (n - count)
                for x in late:
                    bell = exp(-(((x - DELAY.mean) / DELAY.sd) ** 2) / 2) / (
                        DELAY.sd * sqrt(2 * pi)
                    )
                    weight *= (right + wrong) * bell
                total += weight
                for i in range(n):
                    part = right / (right + wrong) if i in items else share * MISS_RATE / unmarked
                    positive[i] += weight * part
    return [part / total for part in positive]


@pytest.mark.parametrize("seed", range(6))
def test_the_posterior_is_the_sum_over_all_explanations(seed: int) -> None:
    rng = np.random.default_rng(seed)
    onsets = np.cumsum(rng.uniform(0.1, 0.5, 6)).tolist()
    marks = sorted(rng.uniform(0.3, onsets[-1] + 0.8, seed % 5).tolist())
    assert mark_posterior(onsets, marks, DELAY, 0.2) == pytest.approx(by_hand(onsets, marks, 0.2))


def test_at_a_slow_rate_the_one_before_the_key_is_meant() -> None:
    found = mark_posterior([0, 1, 2, 3, 4], [2.4], DELAY, 0.3)
    assert found.argmax() == 2
    assert found[2] > 0.9
    assert max(np.delete(found, 2)) < 0.05


def test_at_a_fast_rate_neighbours_are_in_doubt_until_one_of_them_is_known() -> None:
    stream = RapidStream([0.15 * i for i in range(12)], [0.15 * 5 + 0.4], DELAY)
    doubtful = stream.verdict.doubtful
    assert doubtful[0] == 5
    assert {4, 6} <= set(doubtful)
    stream.known[5] = True
    assert stream.verdict.marked == (5,)
    assert not stream.verdict.doubtful
    stream.known[5] = False
    assert stream.verdict.doubtful[0] in (4, 6)


def test_nobody_marked_anything() -> None:
    stream = RapidStream([0.2 * i for i in range(10)], [], DELAY)
    assert stream.verdict == ((), (), tuple(range(10)))
    assert RapidStream([], [], DELAY).verdict == ((), (), ())


def test_own_delays_move_what_is_known_of_people() -> None:
    slow = KeyDelay().updated([0.55, 0.6, 0.58, 0.62, 0.57, 0.6, 0.59, 0.61] * 3)
    assert 0.53 < slow.mean < 0.6
    assert KeyDelay().updated([]) == KeyDelay()
    assert KeyDelay().updated([0.02, 5.0]) == KeyDelay()  # no answers to the picture
    assert measure_delays([0.0, 2.0, 4.0], [0.4, 4.05, 4.5]) == pytest.approx([0.4, 0.5])


def test_a_simulated_stream_is_faster_than_one_at_a_time_and_nearly_as_good() -> None:
    truth = np.random.default_rng(0).random(600) < 0.1
    slow, fast = (simulate_stream(truth, rate, seed=1) for rate in (2.0, 5.0))
    for streamed in (slow, fast):
        assert streamed.recall > 0.8
        assert streamed.precision > 0.9
        assert streamed.seconds < RapidHuman().decision
    assert fast.seconds < slow.seconds
    careless = simulate_stream(truth, 5.0, RapidHuman(misses=0.5), seed=1)
    assert careless.recall < fast.recall - 0.2


def test_an_annotator_unlike_others_is_understood_after_the_calibration() -> None:
    truth = np.random.default_rng(0).random(600) < 0.1
    sleepy = RapidHuman(mean=0.7, sd=0.1)
    without = simulate_stream(truth, 4.0, sleepy, seed=2, calibration=0)
    measured = simulate_stream(truth, 4.0, sleepy, seed=2, calibration=20)
    assert measured.recall > without.recall
