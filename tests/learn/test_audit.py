"""Accepting predictions: the certificate holds as often as it says, and is not needlessly dear."""

from __future__ import annotations

import numpy as np
import pytest

from annotator.learn.audit import (
    AuditPlan,
    audit_order,
    is_certified,
    is_futile,
    is_worthwhile,
    judge_audit,
    plan_audit,
    spent_alpha,
)
from annotator.learn.error_estimate import DrawnLabels


def a_plan(size: int, bets: tuple[float, ...] = (0.0,), alpha: float = 0.05) -> AuditPlan:
    return AuditPlan(0.9, size, 0.001, 299, 0.01, alpha, bets)


def test_without_an_error_it_is_the_binomial_rule() -> None:
    # (1 − 0.01)^n <= 0.05 from n = 299 on; the pool is so large that it counts as endless
    assert not judge_audit([False] * 298, a_plan(10**9)).certified
    assert judge_audit([False] * 299, a_plan(10**9)).certified
    assert judge_audit([], a_plan(10**9)).more == 299


def test_a_small_accepted_set_needs_fewer_labels_and_never_more_than_it_holds() -> None:
    small = judge_audit([], a_plan(500)).more
    assert small is not None and small < 299
    # at 1 % of 100 rows one wrong row refutes the certificate until 95 of 100 are seen
    assert judge_audit([], a_plan(100)).more == 95


def test_the_bound_shrinks_with_labels_and_grows_with_errors() -> None:
    mixed = a_plan(10_000, bets=(0.05, 0.3, 0.5))
    few, many = judge_audit([False] * 100, mixed), judge_audit([False] * 1000, mixed)
    wrong = judge_audit([True] + [False] * 999, mixed)
    assert many.bound < wrong.bound < few.bound
    assert many.bound < 0.01 and many.certified
    assert wrong.wrong == 1 and wrong.audited == 1000


def test_a_wrong_prediction_costs_labels_but_not_the_certificate() -> None:
    mixed = a_plan(10_000, bets=(0.05, 0.3, 0.5))
    before, after = (
        judge_audit([False] * 50, mixed).more,
        judge_audit([False] * 50 + [True], mixed).more,
    )
    assert before is not None and after is not None and after > before


@pytest.mark.parametrize("bets", [(0.0,), (0.05, 0.3, 0.5)])
def test_sets_that_are_too_wrong_are_certified_at_most_as_often_as_promised(
    bets: tuple[float, ...],
) -> None:
    """Looked at after every label and stopped at the luckiest moment, up to 600 labels."""
    rng, size, runs = np.random.default_rng(0), 3000, 2000
    truth = np.arange(size) < 31  # 1.03 % wrong: just above what the certificate allows
    found = sum(is_certified(rng.permutation(truth)[:600], a_plan(size, bets)) for _ in range(runs))
    assert found / runs <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / runs)
    assert found > 0


def drawn(n: int, error: float, rng: np.random.Generator) -> tuple[DrawnLabels, np.ndarray]:
    """n labels drawn uniformly, by a calibrated binary model, and 20,000 unlabelled rows."""
    top = np.clip(1 - rng.exponential(error, size=n + 20_000), 0.5, 1 - 1e-6)
    proba = np.stack([1 - top, top], axis=1)
    y = (rng.random(len(top)) < top).astype(int)
    known = DrawnLabels(
        proba[:n], proba[:n], y[:n], 1 / (20_000.0 + n - np.arange(n)), 20_000 + n - np.arange(n)
    )
    return known, top[n:]


def test_the_plan_accepts_more_where_more_error_is_allowed() -> None:
    known, top = drawn(300, 0.02, np.random.default_rng(1))
    strict = plan_audit(top, known, len(top), max_error=0.005)
    loose = plan_audit(top, known, len(top), max_error=0.02)
    assert strict is not None and loose is not None
    assert loose.size > strict.size and loose.threshold < strict.threshold
    assert strict.size == (top >= strict.threshold).sum()
    for found in (strict, loose):
        assert found.expected_error < found.max_error
        assert found.expected_audit < found.size


def test_no_plan_where_the_audit_would_cost_more_than_it_spares() -> None:
    known, top = drawn(100, 0.02, np.random.default_rng(2))
    assert plan_audit(top[:200], known, 200, max_error=0.001) is None


def test_all_attempts_together_spend_no_more_than_alpha() -> None:
    assert sum(spent_alpha(0.05, attempt) for attempt in range(1, 60)) == pytest.approx(0.05)
    assert spent_alpha(0.05, 1) > spent_alpha(0.05, 2) > spent_alpha(0.05, 3)


def test_the_audit_is_a_random_order_of_the_accepted_rows() -> None:
    rows = np.arange(100, 200)
    one, other = audit_order(rows, seed=1), audit_order(rows, seed=2)
    assert sorted(one) == sorted(other) == list(rows)
    assert not np.array_equal(one, other)
    assert np.array_equal(one, audit_order(rows, seed=1))


def give_up(plan: AuditPlan, error: float, runs: int) -> list[int | None]:
    """After how many labels an audit of a set with this error is given up; None if it is not."""
    rng, found = np.random.default_rng(4), list[int | None]()
    for _ in range(runs):
        wrong = rng.permutation(np.arange(plan.size) < round(error * plan.size))
        looks = (np.flatnonzero(wrong) + 1).tolist()  # only a wrong answer lowers the chance
        certified = next((n for n in range(25, plan.size, 25) if is_certified(wrong[:n], plan)), 0)
        given_up = next((n for n in looks if is_futile(wrong[:n], plan)), None)
        found.append(given_up if given_up and not 0 < certified <= given_up else None)
    return found


def test_an_audit_that_will_hardly_succeed_is_given_up_early_and_a_good_one_is_not() -> None:
    plan = AuditPlan(0.9, 500, 0.01, 110, 0.05, 0.05, (0.05, 0.2, 0.5))
    hopeless = give_up(plan, 0.15, runs=40)
    assert all(n is not None for n in hopeless)
    assert np.median([n for n in hopeless if n]) < 40
    assert sum(n is not None for n in give_up(plan, 0.02, runs=40)) <= 2
    assert all(n is not None for n in give_up(plan, 0.08, runs=40))


def test_an_audit_without_a_wrong_label_is_never_given_up() -> None:
    assert not any(is_futile(np.zeros(n, bool), a_plan(300)) for n in (0, 1, 200, 299))


def test_with_one_bet_on_no_error_one_error_ends_the_audit() -> None:
    assert judge_audit([False, True], a_plan(1000)).more is None


@pytest.mark.parametrize(
    ("size", "audit", "worth"),
    [(114, 111, False), (1144, 1028, False), (25, 4, True), (24, 5, False), (300, 200, True)],
)
def test_an_audit_is_worthwhile_if_it_spares_half_of_what_it_asks(
    size: int, audit: int, worth: bool
) -> None:
    assert is_worthwhile(size, audit) == worth


def test_no_plan_spares_less_than_it_is_worth() -> None:
    for seed in range(6):
        rng = np.random.default_rng(seed)
        known, top = drawn(150, rng.uniform(0.01, 0.1), rng)
        for limit in (0.005, 0.01, 0.02, 0.05, 0.1):
            plan = plan_audit(top[:900], known, 900, max_error=limit)
            assert plan is None or is_worthwhile(plan.size, plan.expected_audit)
