"""The confidence sequence: it holds at every look, and good guesses make it narrow."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from annotator.learn.confidence_sequence import KnownGuesses, bound_mean

Array = NDArray[np.float64]
ALPHA = 0.1


def population(size: int, seed: int, sharp: float = 2.0) -> tuple[Array, Array]:
    """Values that are 1 as often as their guesses say, in random order."""
    rng = np.random.default_rng(seed)
    guesses = rng.beta(0.5 / sharp, 2 / sharp, size)
    return (rng.random(size) < guesses).astype(float), guesses


def is_ever_wrong(values: Array, guesses: Array, known: KnownGuesses, most: int) -> bool:
    mean = values.mean()
    for t in range(1, most + 1):
        found = bound_mean(values[:t], guesses[:t], known, ALPHA)
        if not found.low <= mean <= found.high:
            return True
    return False


def test_nothing_is_known_before_the_first_value_and_all_after_the_last() -> None:
    values, guesses = population(60, 0)
    known = KnownGuesses.summarize(guesses)
    before = bound_mean(values[:0], guesses[:0], known, ALPHA)
    assert (before.low, before.high) == (0, 1)
    after = bound_mean(values, guesses, known, ALPHA)
    assert after.low == after.value == after.high == values.mean()


def test_what_was_seen_is_certain() -> None:
    values, guesses = np.ones(40), np.full(40, 0.5)
    found = bound_mean(values[:30], guesses[:30], KnownGuesses.summarize(guesses), 1e-9)
    assert 0.75 <= found.low < found.high == 1


@pytest.mark.parametrize("kind", ["guesses of the values", "no guesses", "guesses that mislead"])
def test_it_is_ever_wrong_in_one_session_of_ten_at_most(kind: str) -> None:
    wrong, sessions = 0, 100
    for seed in range(sessions):
        values, guesses = population(250, seed)
        if kind == "no guesses":
            guesses = np.zeros(250)
        elif kind == "guesses that mislead":
            guesses = 1 - guesses
        expected = 0.9 if kind == "guesses that mislead" else None
        known = KnownGuesses.summarize(guesses, expected)
        wrong += is_ever_wrong(values, guesses, known, 45)
    assert wrong < 18  # at a true share of 10 %, 18 of 100 have a chance of 1 %


def test_good_guesses_make_it_narrower() -> None:
    widths: dict[str, list[float]] = {"with": [], "without": []}
    for seed in range(20):
        values, guesses = population(2000, seed, sharp=8.0)
        for kind, told in (("with", guesses), ("without", np.full(2000, guesses.mean()))):
            found = bound_mean(values[:100], told[:100], KnownGuesses.summarize(told), ALPHA)
            widths[kind].append(found.high - found.low)
    assert np.mean(widths["with"]) < 0.7 * np.mean(widths["without"])


def test_more_values_make_it_narrower_and_more_confidence_wider() -> None:
    values, guesses = population(5000, 3)
    known = KnownGuesses.summarize(guesses)

    def width(t: int, alpha: float) -> float:
        found = bound_mean(values[:t], guesses[:t], known, alpha)
        return found.high - found.low

    assert width(400, 0.1) < width(100, 0.1) < width(25, 0.1)
    assert width(100, 0.1) < width(100, 0.01)


def test_an_expectation_far_off_costs_width_and_not_the_truth() -> None:
    values, guesses = population(3000, 5)
    good, bad = KnownGuesses.summarize(guesses), KnownGuesses.summarize(guesses, 0.95)
    one, other = (bound_mean(values[:200], guesses[:200], known, ALPHA) for known in (good, bad))
    assert other.low <= values.mean() <= other.high
    assert one.high - one.low < other.high - other.low < 0.5


def test_moments_tell_the_same_as_the_guesses() -> None:
    guesses = np.random.default_rng(1).random(500)
    one = KnownGuesses.summarize(guesses)
    other = KnownGuesses.from_moments(
        500, guesses.mean(), (guesses**2).mean(), guesses.min(), guesses.max()
    )
    assert np.allclose(
        [one.mean, one.variance, one.doubt], [other.mean, other.variance, other.doubt]
    )
