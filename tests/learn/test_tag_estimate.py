"""The estimated error where an item may have several classes: of whole sets, and of each class."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from annotator.learn.error_estimate import DrawnLabels, ErrorEstimate
from annotator.learn.label_conflicts import find_contradictions
from annotator.learn.model import FittedModel, out_of_sample_proba
from annotator.learn.ranking import Ranking, Snapshot, learn
from annotator.learn.tag_conflicts import count_opposing_tags, find_tag_errors
from tests.learn.test_tag_ridge import made_up

Tags = NDArray[np.bool_]


def session(X: NDArray[np.floating], Y: Tags, labels: int, seed: int = 0) -> Ranking:
    """Label a pool item by item, as `herding-mix` asks."""
    rows: list[int] = []
    q: list[float] = []
    pool: list[int] = []
    missed: list[tuple[float, float]] = []
    ranking = None
    for _ in range(labels + 1):
        had = np.array(missed).reshape(-1, 2)
        snapshot = made_snapshot(X, Y, rows, q, pool)
        snapshot = replace(snapshot, previous=ranking, missed=had[:, 0], tags_missed=had[:, 1])
        ranking = learn(snapshot, seed)
        pick, before = ranking.picks[0], (np.nan, np.nan)
        if ranking.model is not None:
            decided = ranking.model.targets.decide(ranking.model.predict_proba(X[[pick.row]]))
            wrong = decided[0] != Y[pick.row]
            before = float(wrong.any()), float(wrong.mean())
        missed.append(before)
        rows.append(pick.row)
        q.append(pick.q)
        pool.append(pick.pool)
    assert ranking is not None
    return ranking


def made_snapshot(
    X: NDArray[np.floating], Y: Tags, rows: list[int], q: list[float], pool: list[int]
) -> Snapshot:
    closed = np.zeros(len(X), bool)
    closed[rows] = True
    return Snapshot(
        len(rows), X.astype(np.float32), None, np.array(rows, np.int64), Y[rows],
        np.array(q, float), np.array(pool, np.int64), ("",) * len(rows),
        tuple("abcdefgh"[: Y.shape[1]]), closed,
    )  # fmt: skip


def drawn_at_random(X: NDArray[np.floating], Y: Tags, labels: int, seed: int = 0) -> Snapshot:
    rows = np.random.default_rng(seed).permutation(len(X))[:labels].tolist()
    pool = [len(X) - n for n in range(labels)]
    return made_snapshot(X, Y, rows, [1 / size for size in pool], pool)


def shown(ranking: Ranking) -> ErrorEstimate:
    assert ranking.estimate is not None and ranking.estimate.shown
    return ranking.estimate


def test_the_interval_of_each_class_and_of_whole_sets_holds_the_true_error() -> None:
    X, Y = made_up(600, 6)
    unseen, truth = made_up(4000, 6, seed=1)
    inside: list[bool] = []
    for seed in range(6):
        ranking = learn(drawn_at_random(X, Y, 80, seed), 0) if seed else session(X, Y, 60)
        assert ranking.model is not None
        wrong = ranking.model.targets.decide(ranking.model.predict_proba(unseen)) != truth
        estimate = shown(ranking)
        assert estimate.tags is not None and estimate.tags.value < estimate.error
        inside.append(estimate.tags.low <= wrong.mean() <= estimate.tags.high)
        inside.append(estimate.low <= wrong.any(axis=1).mean() <= estimate.high)
        assert abs(estimate.tags.value - wrong.mean()) < 0.08
    assert sum(inside) >= 9  # of 12, at 90 %


def test_of_coin_flips_the_estimate_says_so() -> None:
    X, _ = made_up(500, 4)
    coins = np.random.default_rng(3).random((500, 4)) < 0.5
    estimate = shown(session(X, coins, 60))
    assert estimate.tags is not None
    assert estimate.tags.high >= 0.5 and estimate.high > 0.85


def test_the_share_of_each_class_in_the_pool_is_estimated() -> None:
    X, Y = made_up(600, 6)
    estimate = shown(learn(drawn_at_random(X, Y, 100), 0))
    for share, true in zip(estimate.shares, Y.mean(axis=0), strict=True):
        assert share.low - 0.05 <= true <= share.high + 0.05


@pytest.mark.parametrize(
    "strategy", ["margin", "entropy", "least-confidence", "seed", "max-probability", "badge",
                 "uherding", "coreset", "typiclust"],
)  # fmt: skip
def test_every_strategy_asks_items_with_several_classes(strategy: str) -> None:
    X, Y = made_up(60, 4)
    snapshot = drawn_at_random(X, Y, 14)
    ranking = learn(replace(snapshot, strategy=strategy, want=5), 0)
    asked = {pick.row for pick in ranking.picks}
    assert len(asked) == 5 and not asked & set(snapshot.rows.tolist())


def test_a_class_added_by_mistake_and_one_forgotten_are_the_likely_errors() -> None:
    X, Y = made_up(200, 3, d=4)
    y = Y.copy()
    sure = np.abs(X @ np.random.default_rng(99).normal(size=(4, 3)) - np.linspace(0, 1.5, 3))
    first, second = np.argsort(-sure[:, 0])[:2].tolist()
    y[first, 0] ^= True
    y[second, 0] ^= True
    snapshot = drawn_at_random(X, y, 198)
    ranking = learn(snapshot, 0)
    assert isinstance(ranking.model, FittedModel)
    proba = out_of_sample_proba(ranking.model, X[snapshot.rows].astype(np.float32), snapshot.y)
    rows, tags, doubts, _ = find_tag_errors(snapshot.y, proba)
    named = [(int(snapshot.rows[row]), int(tag)) for row, tag in zip(rows, tags, strict=True)]
    known = {row for row in (first, second) if row in snapshot.rows}
    assert {row for row, tag in named[:4] if tag == 0} >= known
    assert (np.diff(doubts) <= 0).all()
    found = find_contradictions(snapshot, ranking, np.arange(len(snapshot.y)))
    assert all(one.label == -1 and one.has is not None for one in found)


def test_neighbours_that_lack_a_class_are_counted_class_by_class() -> None:
    y = np.array([[1, 1], [1, 0], [1, 0], [1, 0]], bool)
    proba = np.where(y, 0.9, 0.1)
    proba[0, 1] = 0.2
    found = count_opposing_tags(y, proba, np.array([0]), np.array([[1, 2, 3]]))
    assert (found.tags.tolist(), found.counts.tolist()) == ([1], [3])
    proba[1:, 1] = 0.8  # the neighbours' own labels are in doubt
    assert count_opposing_tags(y, proba, np.array([0]), np.array([[1, 2, 3]])).counts[0] == 0


def test_labels_without_a_known_draw_give_no_estimate() -> None:
    _, Y = made_up(10, 2)
    nothing = np.full(10, np.nan)
    drawn = DrawnLabels(np.full((10, 2), 0.5), np.full((10, 2), 0.5), Y, nothing, np.ones(10, int))
    assert drawn.has_tags and not drawn.random.any()
