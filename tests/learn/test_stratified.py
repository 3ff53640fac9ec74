"""The estimate where a part of the pool was accepted from the model after an audit."""

from __future__ import annotations

import numpy as np

from annotator.learn.error_estimate import DrawnLabels, ErrorEstimate, Unlabelled, estimate_error
from annotator.learn.stratified import estimate_whole_pool

N, LEFT, AUDITS = 2000, 60, 80


def session(rng: np.random.Generator) -> tuple[ErrorEstimate, ErrorEstimate, float]:
    """A calibrated model; its surest 70 % are accepted after an audit, and of the others some
    are drawn. Joined, without the accepted ones, and the truth."""
    doubt = np.minimum(rng.exponential(0.12, size=N), 0.5)
    wrong = rng.random(N) < doubt
    proba = np.stack([doubt, 1 - doubt], axis=1)
    order = np.argsort(doubt)
    sure, unsure = rng.permutation(order[: 7 * N // 10]), rng.permutation(order[7 * N // 10 :])
    rows = np.concatenate([sure[:AUDITS], unsure[:LEFT]])
    size = len(unsure) - np.arange(LEFT)
    drawn = DrawnLabels(
        proba[rows],
        proba[rows],
        1 - wrong[rows].astype(int),
        np.concatenate([np.full(AUDITS, np.nan), 1 / size]),
        np.concatenate([np.zeros(AUDITS, int), size]),
    )
    audits = np.arange(len(rows)) < AUDITS
    rest = Unlabelled(proba[unsure[LEFT:]], len(unsure) - LEFT)
    accepted = Unlabelled(proba[sure[AUDITS:]], len(sure) - AUDITS)
    joined, left = estimate_whole_pool(drawn, rest, audits, accepted), estimate_error(drawn, rest)
    assert joined is not None and left is not None
    return joined, left, float(wrong.mean())


def test_nine_intervals_in_ten_hold_the_error_of_the_whole_pool() -> None:
    rng = np.random.default_rng(0)
    found = [session(rng) for _ in range(120)]
    off = np.array([joined.error - true for joined, _, true in found])
    held = np.mean([joined.low <= true <= joined.high for joined, _, true in found])
    assert abs(off.mean()) < 0.01
    assert 0.84 <= held <= 1
    assert np.mean([left.error - true for _, left, true in found]) > 0.05, "the rest is harder"


def test_the_shares_of_the_classes_are_those_of_the_whole_pool() -> None:
    joined, _, true = session(np.random.default_rng(1))
    first = joined.shares[0]
    assert first.low <= true <= first.high  # the second class is right wherever the first is not
    assert abs(sum(share.value for share in joined.shares) - 1) < 0.02


def test_without_an_audit_among_the_labels_nothing_is_joined() -> None:
    proba = np.tile([0.2, 0.8], (40, 1))
    size = 100 - np.arange(40)
    drawn = DrawnLabels(proba, proba, np.ones(40, dtype=np.int64), 1 / size, size)
    rest, none = Unlabelled(proba, 60), np.zeros(40, bool)
    assert estimate_whole_pool(drawn, rest, none, Unlabelled(proba, 500)) == estimate_error(
        drawn, rest
    )
