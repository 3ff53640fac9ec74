"""The error of a slice: unbiased by how labels were drawn, joined over an audit, and drawn in."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from annotator.learn.error_estimate import DrawnLabels, ErrorEstimate, Interval, Unlabelled
from annotator.learn.slices import AuditedSample, PoolSample, SliceError, expect_errors

N = 2000


def _sample(rng: np.random.Generator, labels: int, slices: Any, error: Any) -> PoolSample:
    """Labels drawn unequally from a pool whose model is as wrong as `error` (N,) says."""
    wrong = rng.random(N) < error
    doubt = np.where(wrong, 0.4, 0.2) * rng.uniform(0.5, 1, N)
    weight = doubt**2
    rows, q, pool, free = [], [], [], np.ones(N, bool)
    for m in range(labels):
        p = weight * free / (weight * free).sum()
        row = int(rng.choice(N, p=p))
        rows.append(row)
        q.append(p[row])
        pool.append(N - m)
        free[row] = False
    taken = np.array(rows)
    proba = np.stack([doubt, 1 - doubt], axis=1)
    y = np.where(wrong, 0, 1)
    drawn = DrawnLabels(proba[taken], proba[taken], y[taken], np.array(q), np.array(pool))
    rest = np.flatnonzero(free)
    return PoolSample(drawn, taken, Unlabelled(proba[rest], len(rest)), rest)


def test_a_slice_is_estimated_by_the_labels_that_fall_into_it() -> None:
    slices = np.arange(N) % 2
    error = np.where(slices == 0, 0.1, 0.35)
    off = []
    for seed in range(60):
        sample = _sample(np.random.default_rng(seed), 250, slices, error)
        found = [
            sample.estimate(slices[sample.rows] == s, slices[sample.scanned] == s) for s in (0, 1)
        ]
        assert all(one is not None and one.estimate.shown for one in found)
        off.append([one.estimate.error - true for one, true in zip(found, (0.1, 0.35), strict=True)
                    if one is not None])  # fmt: skip
        assert [one.items for one in found if one is not None] == [N // 2, N // 2]
    assert np.abs(np.mean(off, axis=0)).max() < 0.03


def test_a_slice_without_random_labels_or_scanned_rows() -> None:
    sample = _sample(np.random.default_rng(0), 100, None, np.full(N, 0.2))
    nothing = np.zeros(100, bool)
    assert sample.estimate(nothing, np.zeros(len(sample.scanned), bool)) is None
    unknown = np.zeros(len(sample.scanned), bool)
    found = sample.estimate(np.arange(100) < 50, unknown, unknown)
    assert found is not None and found.estimate.labels == 50
    assert 0 < found.estimate.low < found.estimate.error < found.estimate.high


def test_the_part_that_was_accepted_counts_by_its_audit() -> None:
    """Half of the pool was accepted: its audit of 100 labels is free of errors."""
    rng = np.random.default_rng(1)
    sample = _sample(rng, 100, None, np.full(N, 0.4))
    good = np.tile([0.05, 0.95], (100, 1))
    drawn = DrawnLabels(
        np.concatenate([sample.drawn.proba, good]), np.concatenate([sample.drawn.proba, good]),
        np.concatenate([sample.drawn.y, np.ones(100, np.int64)]),
        np.concatenate([sample.drawn.q, np.full(100, np.nan)]),
        np.concatenate([sample.drawn.pool, np.zeros(100, np.int64)]),
    )  # fmt: skip
    audits = np.arange(200) >= 100
    accepted = AuditedSample(audits, Unlabelled(good, len(sample.rest_rows)), np.arange(100))
    joined = PoolSample(drawn, np.arange(200), sample.rest, sample.rest_rows, accepted)
    everywhere = np.ones(len(joined.scanned), bool)
    found = joined.estimate(np.ones(200, bool), everywhere)
    alone = sample.estimate(np.ones(100, bool), np.ones(len(sample.scanned), bool))
    assert found is not None and alone is not None
    assert found.estimate.error == pytest.approx(alone.estimate.error / 2, abs=0.03)
    assert found.items == pytest.approx(2 * alone.items, rel=0.02)


def _slices(errors: Any, half: float) -> list[SliceError]:
    return [SliceError(ErrorEstimate(e, e - half, e + half, 20.0, 30), 100) for e in errors]


def test_the_worst_of_many_equal_slices_is_expected_to_be_as_the_pool() -> None:
    rng = np.random.default_rng(0)
    looks, expected = [], []
    for _ in range(200):
        values = 0.2 + rng.normal(0, 0.05, 10)
        found = expect_errors(_slices(values, 1.645 * 0.05), Interval(0.2, 0.18, 0.22))
        looks.append(max(one.estimate.error for one in found) - 0.2)
        expected.append(max(one.expected for one in found) - 0.2)
    assert np.mean(looks) > 0.05 and abs(np.mean(expected)) < 0.03


def test_slices_that_differ_by_far_more_than_their_intervals_stay_as_they_are() -> None:
    found = expect_errors(_slices([0.1, 0.5], 0.02), Interval(0.3, 0.28, 0.32))
    assert [one.expected for one in found] == pytest.approx([0.1, 0.5], abs=0.005)
    assert expect_errors([], Interval(0.3, 0.28, 0.32)) == []
