"""An audit of a set certifies a part with too many errors only as rarely as it promises."""

from __future__ import annotations

import numpy as np

from annotator.learn.set_audit import (
    SET_BETS,
    AuditSample,
    AuditStep,
    SetPlan,
    judge_set_audit,
)

SIZE, TOTAL = 400, 1000


def plan(alpha: float = 0.1) -> SetPlan:
    """Three steps of 100, 200 and 400 rows; 20 of 1,000 labels may be wrong."""
    steps = tuple(AuditStep(1 - size / SIZE, size, 0.02) for size in (100, 200, SIZE))
    return SetPlan(0.0, SIZE, 0.02, 100, 0.02, alpha, SET_BETS, TOTAL, steps)


def judge_until_done(wrong: np.ndarray, order: np.ndarray) -> tuple[int, int]:
    """The accepted rows, 0 if none, and the labels asked; rows are in order of confidence."""
    confidence, none = 1 - (np.arange(SIZE) + 1) / SIZE, np.zeros((SIZE, 0), bool)
    for n in range(0, SIZE + 1, 10):
        drawn = order[:n]
        sample = AuditSample(confidence[drawn], wrong[drawn], none[drawn], none[drawn])
        found = judge_set_audit(sample, plan(), ())
        if found.certified or found.more is None:
            return (found.items if found.certified else 0), n
    return 0, SIZE


def test_a_part_with_one_error_too_many_is_certified_no_more_often_than_promised() -> None:
    rng = np.random.default_rng(0)
    wrong = np.zeros(SIZE, bool)
    wrong[rng.permutation(SIZE)[:21]] = True
    runs = [judge_until_done(wrong, rng.permutation(SIZE))[0] == SIZE for _ in range(300)]
    assert np.mean(runs) <= 0.1 + 3 * np.sqrt(0.1 * 0.9 / 300)


def test_without_an_error_the_largest_part_is_certified_by_a_fraction_of_its_rows() -> None:
    order = np.random.default_rng(1).permutation(SIZE)
    items, asked = judge_until_done(np.zeros(SIZE, bool), order)
    assert items == SIZE and asked < SIZE / 4


def test_if_errors_are_in_the_least_certain_rows_a_smaller_part_is_certified() -> None:
    wrong = np.zeros(SIZE, bool)
    wrong[200:300] = True
    items, _ = judge_until_done(wrong, np.random.default_rng(2).permutation(SIZE))
    assert items == 200


def test_a_part_no_larger_than_the_errors_allowed_needs_no_label() -> None:
    tiny = SetPlan(
        0.0, 20, 0.5, 0, 0.02, 0.05, SET_BETS, TOTAL, (AuditStep(0.0, 20, 0.5),)
    )  # fmt: skip
    none = np.zeros((0, 0), bool)
    found = judge_set_audit(AuditSample(np.zeros(0), np.zeros(0, bool), none, none), tiny, ())
    assert found.certified and found.spared == 20 and found.audited == 0
