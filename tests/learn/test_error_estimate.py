"""The error estimate: unbiased by how labels were drawn, and as sure as it says."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from annotator.learn import error_estimate
from annotator.learn.candidates import OpenRows, Pool
from annotator.learn.error_estimate import (
    DrawnLabels,
    ErrorEstimate,
    Unlabelled,
    estimate_error,
    lure_weights,
)
from annotator.learn.mixture import HerdingMix, drawing_weights
from annotator.learn.rows import UnitRows

N, KNOWN = 60, 10  # rows; the first ones were labelled in the cold start


def fixed_pool(proba: NDArray[np.float32], rng: np.random.Generator, **changes: Any) -> Pool:
    """A pool past its cold start, whose model never changes."""
    X = np.random.default_rng(5).normal(size=(len(proba), 4)).astype(np.float32)
    rows = np.arange(KNOWN, len(proba))
    weights = np.zeros(len(proba), dtype=np.float32)
    weights[rows] = drawing_weights(proba[rows])
    fields: dict[str, Any] = {
        "rows": rows,
        "proba": proba[rows],
        "open": OpenRows(weights > 0, weights),
        "unit": UnitRows(X),
        "labelled": np.arange(KNOWN),
        "y": np.arange(KNOWN) % 2,
        "shown": np.arange(KNOWN),
        "counts": np.array([KNOWN // 2, KNOWN // 2]),
        "find": None,
        "available": None,
        "score": lambda X: np.full((len(X), 2), 0.5, dtype=np.float32),
        "seed": 0,
        "rng": rng,
    }
    return Pool(**{**fields, **changes})


def doubtful(rng: np.random.Generator, n: int) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Probabilities (n, 2) of a calibrated model, and whether it is wrong on each row (n,)."""
    top = np.clip(rng.beta(2, 1, size=n), 0.5, 0.999)
    proba = np.stack([1 - top, top], axis=1).astype(np.float32)
    return proba, (rng.random(n) < 1 - top).astype(float)


@pytest.mark.parametrize("find", [None, 0])
def test_weighted_by_how_it_was_drawn_the_mean_is_that_of_the_pool(find: int | None) -> None:
    """2,000 replays with a fixed predictor: LURE's mean within 3 standard errors of the truth."""
    rng = np.random.default_rng(1)
    proba, wrong = doubtful(rng, N)
    M, pool_size, means, cache = 8, N - KNOWN, [], dict[str, Any]()
    for _ in range(2000):
        picks = HerdingMix()(fixed_pool(proba, rng, find=find, cache=cache), M)
        q, size = np.array([p.q for p in picks]), np.array([p.pool for p in picks])
        weights = 1 + (pool_size - M) / (size - 1) * (1 / (size * q) - 1)
        means.append(np.mean(weights * wrong[[p.row for p in picks]]))
    assert abs(np.mean(means) - wrong[KNOWN:].mean()) < 3 * np.std(means) / np.sqrt(len(means))


def test_each_pick_says_out_of_how_many_and_by_which_part_it_was_drawn() -> None:
    rng = np.random.default_rng(2)
    proba, _ = doubtful(rng, N)
    picks = [pick for _ in range(60) for pick in HerdingMix()(fixed_pool(proba, rng), 3)]
    assert {pick.component for pick in picks} == {"audit", "uncertain", "margin", "herding"}
    assert [pick.pool for pick in picks[:3]] == [50, 49, 48]
    audits = np.mean([pick.component == "audit" for pick in picks])
    assert 0.02 < audits < 0.2
    assert all(0.1 / pick.pool <= pick.q <= 1 for pick in picks)
    assert all(pick.q > 0.5 for pick in picks if pick.component in ("margin", "herding"))


def test_equal_draws_weigh_the_same_and_the_whole_pool_weighs_one() -> None:
    size = np.arange(100, 70, -1)
    np.testing.assert_allclose(lure_weights(1 / size, size, 70), 1 / 30)
    unequal = np.random.default_rng(0).uniform(0.001, 0.5, size=30)
    np.testing.assert_allclose(lure_weights(unequal, size, 0), 1 / 30)
    assert lure_weights(np.ones(1), np.ones(1, dtype=np.int64), 0) == pytest.approx(1)


def stream(rng: np.random.Generator, error: float, labels: int, skew: float) -> tuple[Any, Any]:
    """`labels` rows out of 5,000, drawn in proportion to doubt^skew, from a fixed model."""
    doubt = np.minimum(rng.exponential(error, size=5000), 0.5)
    wrong = rng.random(5000) < doubt
    weights = 0.2 / 5000 + 0.8 * (doubt + 1e-3) ** skew / ((doubt + 1e-3) ** skew).sum()
    left, rows, q = weights.copy(), [], []
    for _ in range(labels):
        share = left / left.sum()
        rows.append(int(rng.choice(5000, p=share)))
        q.append(share[rows[-1]])
        left[rows[-1]] = 0
    proba = np.stack([doubt, 1 - doubt], axis=1)
    known = proba[rows]
    drawn = DrawnLabels(
        known, known, 1 - wrong[rows].astype(int), np.array(q), 5000 - np.arange(labels)
    )
    rest = np.delete(np.arange(5000), rows)
    return estimate_error(drawn, Unlabelled(proba[rest], len(rest))), wrong.mean()


@pytest.mark.parametrize(("error", "skew"), [(0.05, 0.0), (0.1, 1.0), (0.25, 2.0)])
def test_nine_intervals_in_ten_hold_the_true_error(error: float, skew: float) -> None:
    rng = np.random.default_rng(3)
    held, off = [], []
    for _ in range(150):
        found, true = stream(rng, error, 80, skew)
        held.append(found.low <= true <= found.high)
        off.append(found.error - true)
    assert 0.84 <= np.mean(held) <= 1.0
    assert abs(np.mean(off)) < 0.015


def test_the_class_shares_are_those_of_the_pool_not_of_what_was_asked() -> None:
    rng = np.random.default_rng(4)
    drawn_proba, wrong = doubtful(rng, 2000)
    proba = drawn_proba.astype(float)
    y = np.where(wrong == 1, 0, 1)
    odds = drawing_weights(drawn_proba).astype(float)
    rows: list[int] = []
    q: list[float] = []
    for _ in range(300):
        share = 0.1 / len(odds) + 0.9 * odds / odds.sum()
        share[rows] = 0
        share /= share.sum()
        rows.append(int(rng.choice(len(odds), p=share)))
        q.append(share[rows[-1]])
    rest = np.delete(np.arange(2000), rows)
    drawn = DrawnLabels(proba[rows], proba[rows], y[rows], np.array(q), 2000 - np.arange(300))
    found = estimate_error(drawn, Unlabelled(proba[rest], len(rest)))
    assert found is not None
    assert abs((y[rows] == 0).mean() - (y == 0).mean()) > 0.1  # what was asked misleads
    for c, share in enumerate(found.shares):
        assert share.low <= (y == c).mean() <= share.high
        assert share.high - share.low < 0.2
    assert sum(share.value for share in found.shares) == pytest.approx(1, abs=0.02)


def test_nothing_is_claimed_from_labels_that_were_not_drawn_at_random() -> None:
    proba, wrong = doubtful(np.random.default_rng(6), 40)
    y, nothing = (wrong == 0).astype(int), np.full(20, np.nan)
    known = proba[:20].astype(float)
    drawn = DrawnLabels(known, known, y[:20], nothing, np.zeros(20, dtype=np.int64))
    assert estimate_error(drawn, Unlabelled(proba[20:], 20)) is None


def test_few_labels_are_not_shown_and_no_error_seen_is_not_no_error() -> None:
    sure = np.tile([0.01, 0.99], (200, 1))
    size = 1000 - np.arange(30)
    drawn = DrawnLabels(sure[:30], sure[:30], np.ones(30, dtype=np.int64), 1 / size, size)
    found = estimate_error(drawn, Unlabelled(sure, 970))
    assert found is not None and found.shown
    assert found.high > 0.03
    few = DrawnLabels(sure[:5], sure[:5], np.ones(5, dtype=np.int64), 1 / size[:5], size[:5])
    found = estimate_error(few, Unlabelled(sure, 995))
    assert found is not None and not found.shown


def test_the_opinion_of_a_model_that_nothing_has_calibrated_counts_for_nothing() -> None:
    """A model that is always sure and wrong on every third label."""
    sure, y = np.tile([0.001, 0.999], (1000, 1)), (np.arange(30) % 3 > 0).astype(np.int64)
    size = 1000 - np.arange(30)
    drawn = DrawnLabels(sure[:30], sure[:30], y, 1 / size, size, calibrated=False)
    found = estimate_error(drawn, Unlabelled(sure, 970))
    assert found is not None
    assert found.error == pytest.approx(1 / 3, abs=0.02)
    believed = estimate_error(replace(drawn, calibrated=True), Unlabelled(sure, 970))
    assert believed is not None and believed.error < 0.28
    assert found.high - found.low > believed.high - believed.low


@pytest.mark.parametrize("classes", [2, 5])
def test_a_model_whose_predictions_are_no_better_than_chance_is_not_believed(classes: int) -> None:
    """Leave-one-out and the model's opinion promise 20 % error; its predictions were chance."""
    rng, n = np.random.default_rng(7), 80
    y = rng.integers(0, classes, n)
    said = np.where(rng.random(n) < 0.2, (y + 1) % classes, y)
    proba = np.full((n, classes), 0.2 / (classes - 1))
    proba[np.arange(n), said] = 0.8
    missed = (rng.integers(0, classes, n) != y).astype(float)
    size = 2000 - np.arange(n)
    drawn = DrawnLabels(proba, proba, y, 1 / size, size, missed=missed)
    rest = Unlabelled(np.tile(proba, (20, 1)), 2000 - n)
    found = estimate_error(drawn, rest)
    believed = estimate_error(replace(drawn, missed=None), rest)
    kept = estimate_error(replace(drawn, missed=(said != y).astype(float)), rest)
    assert found is not None and believed is not None and kept is not None
    assert found.low <= missed.mean() <= found.high
    assert believed.high < found.low
    assert kept.error == pytest.approx(believed.error, abs=0.02)
    assert kept.high - kept.low == pytest.approx(believed.high - believed.low, abs=0.02)


def test_a_label_without_a_prediction_before_it_says_nothing_about_trust() -> None:
    sure, size = np.tile([0.2, 0.8], (200, 1)), 1000 - np.arange(30)
    y = (np.arange(30) % 5 > 0).astype(np.int64)
    drawn = DrawnLabels(sure[:30], sure[:30], y, 1 / size, size)
    unknown = replace(drawn, missed=np.full(30, np.nan))
    assert estimate_error(unknown, Unlabelled(sure, 970)) == estimate_error(
        drawn, Unlabelled(sure, 970)
    )


def ten_in_sixty(N: int, known: bool) -> ErrorEstimate:
    """Ten labels in 60 are wrong without their own, and with it, too, or if `known` none."""
    own, other = np.array([0.1, 0.9]), np.array([0.6, 0.4])
    proba = np.stack([other if i % 6 == 0 else own for i in range(60)])
    y, fitted, size = np.ones(60, dtype=np.int64), np.tile(own, (60, 1)), N - np.arange(60)
    drawn = DrawnLabels(proba, fitted if known else proba, y, 1 / size, size)
    found = estimate_error(drawn, Unlabelled(fitted, N - 60))
    assert found is not None
    return found


def test_a_small_pool_is_less_sure_than_a_large_one() -> None:
    small, large = ten_in_sixty(120, known=True), ten_in_sixty(100_000, known=True)
    assert small.high - small.error > 1.05 * (large.high - large.error)


def test_labels_that_fill_a_hole_lower_the_estimate_only_while_others_are_left() -> None:
    lowered = {
        N: ten_in_sixty(N, known=False).error - ten_in_sixty(N, known=True).error
        for N in (61, 120, 100_000)
    }
    assert lowered[120] > lowered[61] + 0.01
    assert lowered[120] > lowered[100_000] + 0.01


def test_errors_among_labels_that_count_little_leave_a_narrower_interval() -> None:
    """The first 60 labels stand for 1,000 items, and the other 30 for 10 times as many."""
    N, sure, wrong = 100_000, np.array([0.05, 0.95]), np.array([0.7, 0.3])
    q = np.where(np.arange(90) < 60, 10 / N, 1 / N)
    widths = {}
    for mistakes in (range(0, 60, 3), range(60, 90, 15)):  # 20 that weigh 0.1 each; 2 that weigh 1
        proba = np.tile(sure, (90, 1))
        proba[list(mistakes)] = wrong
        drawn = DrawnLabels(proba, proba, np.ones(90, np.int64), q, np.full(90, N))
        found = estimate_error(drawn, Unlabelled(np.tile(sure, (50, 1)), N - 90))
        assert found is not None
        widths[len(mistakes)] = found.high - found.low
    assert widths[20] < 0.9 * widths[2]


@pytest.mark.parametrize("mistakes", [6, 20, 45])
def test_the_interval_widens_as_the_error_nears_that_of_chance(
    monkeypatch: pytest.MonkeyPatch, mistakes: int
) -> None:
    """docs/honest-error.md, rule 8: 60 of 1,000 items, two classes with half of the labels each."""
    y, wrong = np.arange(60) % 2, np.zeros(60, bool)
    wrong[np.linspace(0, 59, mistakes).round().astype(int)] = True
    doubt = np.where(wrong, 0.40, 0.08)
    proba = np.empty((60, 2))
    proba[np.arange(60), np.where(wrong, 1 - y, y)] = 1 - doubt
    proba[np.arange(60), np.where(wrong, y, 1 - y)] = doubt
    rest = np.full((940, 2), 0.5)
    rest[:, 0] = np.where(np.arange(940) < 140, 0.60, 0.92)
    rest[:, 1] = 1 - rest[:, 0]
    pool = np.arange(1000, 940, -1)
    drawn = DrawnLabels(proba, np.eye(2)[y] * 0.98 + 0.01, y, 1 / pool, pool)
    found = estimate_error(drawn, Unlabelled(rest, 940))
    monkeypatch.setattr(error_estimate, "INSTABILITY", 0.0)
    before = estimate_error(drawn, Unlabelled(rest, 940))
    assert found is not None and before is not None and found.error == before.error
    ratio = (found.high - found.low) / (before.high - before.low)
    share = min(max(found.error / 0.5, 0.25), 0.7)
    assert ratio == pytest.approx(1 + 1.2 * (share - 0.25), abs=0.01)
