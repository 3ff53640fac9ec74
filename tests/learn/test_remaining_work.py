"""The work that is left by each way: one by one, on pages, and by an audit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from annotator.learn.error_estimate import DrawnLabels, Unlabelled
from annotator.learn.ranking import Snapshot, learn
from annotator.learn.remaining_work import (
    PAGE_SECONDS,
    SINGLE_SECONDS,
    RemainingWork,
    doubt_factors,
    estimate_time,
    measure_work,
)
from annotator.learn.targets import TagSets


def sure_of(shares: np.ndarray) -> np.ndarray:
    """Probabilities (m, 2) whose likelier class has these probabilities."""
    return np.stack([shares, 1 - shares], axis=1)


def drawn(n: int = 100, pool: int = 5000) -> DrawnLabels:
    """Labels that the model had right, drawn evenly."""
    proba = sure_of(np.full(n, 0.99))
    return DrawnLabels(proba, proba, np.zeros(n, np.int64), np.full(n, 1 / pool),
                       np.full(n, pool))  # fmt: skip


def test_doubtful_items_need_a_look_and_sure_ones_do_not() -> None:
    proba = sure_of(np.r_[np.full(900, 0.9999), np.full(100, 0.6)])
    work = measure_work(drawn(), Unlabelled(proba, 1000), 1100, 0.01)
    assert work.looks is not None and 90 <= work.looks <= 100
    assert work.wrong == pytest.approx(0.4 * work.looks)


def test_where_rare_classes_hide_in_a_frequent_one_its_doubts_count_for_more() -> None:
    proba = sure_of(np.full(300, 0.995))
    proba[200:] = proba[200:, ::-1]
    y = np.repeat([0, 1], [200, 100])
    honest = doubt_factors(proba, y)
    y[:10] = 1  # ten errors among 200, where one was expected
    factors = doubt_factors(proba, y)
    assert factors[0] > 5 * honest[0]
    assert factors[1] == honest[1], "all of the other class were right"
    open_ = Unlabelled(sure_of(np.full(1000, 0.998)), 1000)
    looks = [measure_work(drawn(), open_, 1100, 0.01, f).looks for f in (honest, factors)]
    assert looks[0] is not None and looks[1] is not None
    assert looks[0] == 0 < looks[1]


def test_a_sample_stands_for_all_open_items() -> None:
    rng = np.random.default_rng(1)
    shares = rng.choice([0.9999, 0.6], 40_000, p=[0.9, 0.1])
    whole = measure_work(drawn(), Unlabelled(sure_of(shares), 40_000), 41_000, 0.01)
    part = measure_work(drawn(), Unlabelled(sure_of(shares[:4000]), 40_000), 41_000, 0.01)
    assert whole.looks is not None and part.looks is not None
    assert part.looks == pytest.approx(whole.looks, rel=0.1)
    assert whole.looks == pytest.approx(4000, rel=0.1)
    assert whole.audit is not None and part.audit is not None
    assert part.audit.size == pytest.approx(whole.audit.size, rel=0.1)


def test_a_larger_target_leaves_less_to_do() -> None:
    rest = Unlabelled(sure_of(np.random.default_rng(0).uniform(0.6, 1, 5000)), 5000)
    works = [measure_work(drawn(), rest, 5000, target) for target in (0.01, 0.05, 0.2)]
    looks = [work.looks for work in works]
    assert looks == sorted(looks, reverse=True) and looks[0] != looks[-1]
    assert [work.audit_target for work in works] == [0.01, 0.05, 0.2]


def test_without_a_target_pages_aim_at_1_and_an_audit_at_5_percent() -> None:
    work = measure_work(drawn(), Unlabelled(sure_of(np.full(3000, 0.999)), 3000), 3100, None)
    assert (work.page_target, work.audit_target) == (0.01, 0.05)


def test_no_pages_are_counted_where_items_have_several_classes() -> None:
    proba = np.full((100, 2), 0.95)
    labels = DrawnLabels(proba, proba, np.ones((100, 2), bool), np.full(100, 1 / 900),
                         np.full(100, 900), targets=TagSets())  # fmt: skip
    work = measure_work(labels, Unlabelled(np.full((800, 2), 0.95), 800), 900, 0.05)
    assert work.looks is None
    assert estimate_time(work, 800, 4.0).pages is None


def test_a_pool_without_open_rows_has_no_work() -> None:
    work = measure_work(drawn(), Unlabelled(np.zeros((0, 2)), 0), 100, None)
    assert work.looks is None and work.audit is None
    assert estimate_time(work, 0, 4.0).one_by_one == 0


def test_times_follow_the_pace_and_no_way_is_longer_than_one_by_one() -> None:
    work = RemainingWork(200, 20.0, None, 0.01, 0.05)
    time = estimate_time(work, 1000, SINGLE_SECONDS)
    assert time.one_by_one == pytest.approx(1000 * SINGLE_SECONDS)
    assert time.pages == pytest.approx(200 * PAGE_SECONDS + 20 * SINGLE_SECONDS)
    assert time.finish is None
    twice = estimate_time(work, 1000, 2 * SINGLE_SECONDS)
    assert twice.pages == pytest.approx(2 * time.pages)
    hopeless = estimate_time(RemainingWork(1000, 900.0, None, 0.01, 0.05), 1000, 2.0)
    assert hopeless.pages == hopeless.one_by_one == 2000


def test_finish_is_the_audit_and_what_it_does_not_accept() -> None:
    rest = Unlabelled(sure_of(np.r_[np.full(4000, 0.9999), np.full(1000, 0.55)]), 5000)
    work = measure_work(drawn(), rest, 5100, 0.05)
    assert work.audit is not None and work.audit.size >= 4000
    time = estimate_time(work, 5000, 1.0)
    assert time.finish is not None
    assert time.finish == 5000 - work.audit.size + work.audit.expected_audit
    assert time.finish < time.one_by_one / 2


SIZE = 400
KINDS = np.arange(SIZE) % 2
CLOUDS = np.random.default_rng(2).normal(0, 0.3, (SIZE, 8)).astype(np.float32)
CLOUDS[:, 0] += np.where(KINDS, 1.0, -1.0)


def snapshot(n: int) -> Snapshot:
    """`n` labels at random of a pool of two clouds."""
    rng, size = np.random.default_rng(3), SIZE
    rows = rng.permutation(size)[:n]
    closed = np.zeros(size, bool)
    closed[rows] = True
    left = size - np.arange(n)
    return Snapshot(n, CLOUDS, None, rows, KINDS[rows], 1 / left, left, ("random",) * n, ("a", "b"),
                    closed, "random")  # fmt: skip


def test_a_fit_measures_the_work_once_its_estimate_is_shown_and_again_10_labels_later() -> None:
    assert learn(snapshot(4), 0).work is None
    first = learn(snapshot(40), 0)
    assert first.work is not None and first.work.looks is not None
    same = learn(replace(snapshot(44), previous=first), 0)
    assert same.work is first.work
    later = learn(replace(snapshot(50), previous=same), 0)
    assert later.work is not None and later.work is not first.work
    other = learn(replace(snapshot(44), previous=first, target_error=0.2), 0)
    assert other.work is not None and other.work.page_target == 0.2
