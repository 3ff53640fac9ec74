"""A step of learning on small made-up pools: what a session can rely on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from annotator.errors import FeatureError, ProjectError
from annotator.learn.model import ESTIMATORS
from annotator.learn.ranking import Ranking, Snapshot, learn
from annotator.learn.registry import STRATEGIES

CLASSES = ("a", "b", "c")


def blobs(n: int = 120, classes: int = 3, spread: float = 0.6) -> tuple[Any, NDArray[np.int64]]:
    """Features (n, 8) in a cloud per class, and the true class (n,)."""
    rng = np.random.default_rng(0)
    y = rng.integers(classes, size=n)
    centres = 2 * rng.normal(size=(classes, 8))
    return (centres[y] + spread * rng.normal(size=(n, 8))).astype(np.float32), y


def snapshot(features: Any, labels: dict[int, int], **changes: Any) -> Snapshot:
    """Labels by row, in the order given; all drawn at random."""
    N, n = len(features), len(labels)
    closed = np.zeros(N, dtype=bool)
    closed[list(labels)] = True
    made = Snapshot(
        version=n,
        features=features,
        available=None,
        rows=np.array(list(labels), dtype=np.int64),
        y=np.array(list(labels.values()), dtype=np.int64),
        q=1.0 / (N - np.arange(n)),
        pool=N - np.arange(n),
        component=("random",) * n,
        classes=CLASSES,
        closed=closed,
        strategy="margin",
    )
    return replace(made, **changes)


def run(features: Any, truth: NDArray[np.int64], labels: int, **changes: Any) -> list[Ranking]:
    """A session's rankings, each label given as the ranking before it asked."""
    given: dict[int, int] = {}
    found: list[Ranking] = []
    for _ in range(labels):
        ranking = learn(snapshot(features, given, **changes), seed=3)
        found.append(replace(ranking, warm=None))
        if not ranking.picks:
            break
        given[ranking.picks[0].row] = int(truth[ranking.picks[0].row])
    return found


@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
def test_every_strategy_asks_each_row_once_to_the_last(strategy: str) -> None:
    X, y = blobs(30)
    rankings = run(X, y, 40, strategy=strategy)
    asked = [pick.row for ranking in rankings for pick in ranking.picks]
    assert sorted(asked) == list(range(30))
    assert rankings[-1].picks == ()


def test_another_estimator_serves_as_well() -> None:
    X, y = blobs(9)
    rankings = run(X, y, 20, estimator="logistic")
    assert sorted(pick.row for ranking in rankings for pick in ranking.picks) == list(range(9))


@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
def test_the_same_snapshot_and_seed_give_the_same_picks(strategy: str) -> None:
    X, y = blobs()
    given = {row: int(y[row]) for row in range(0, 60, 2)}
    one = learn(snapshot(X, given, strategy=strategy, want=5), seed=1)
    two = learn(snapshot(X, given, strategy=strategy, want=5), seed=1)
    assert one.picks == two.picks
    assert len({pick.row for pick in one.picks}) == 5


@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
def test_the_last_ranking_saves_time_and_changes_nothing(strategy: str) -> None:
    X, y = blobs()
    given = {row: int(y[row]) for row in range(20)}
    before = learn(snapshot(X, given, strategy=strategy), seed=1)
    given[40] = int(y[40])
    cold = learn(snapshot(X, given, strategy=strategy), seed=1)
    warm = learn(snapshot(X, given, strategy=strategy, previous=before), seed=1)
    assert [pick.row for pick in warm.picks] == [pick.row for pick in cold.picks]
    assert warm.model is not None and cold.model is not None
    np.testing.assert_allclose(warm.model.predict_proba(X), cold.model.predict_proba(X), atol=1e-5)


@pytest.mark.parametrize("estimator", sorted(ESTIMATORS))
@pytest.mark.parametrize("given", [{}, {4: 1}, {4: 1, 5: 1}, {4: 0, 5: 2}])
def test_few_labels_and_classes_never_seen(estimator: str, given: dict[int, int]) -> None:
    X, _ = blobs()
    ranking = learn(snapshot(X, given, estimator=estimator, want=3), seed=0)
    assert len(ranking.picks) == 3
    if not given:
        assert ranking.model is None
        return
    assert ranking.model is not None
    proba = ranking.model.predict_proba(X)
    assert proba.shape == (len(X), 3)
    assert np.isfinite(proba).all() and (proba > 0).all()
    np.testing.assert_allclose(proba.sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("estimator", sorted(ESTIMATORS))
def test_it_learns(estimator: str) -> None:
    X, y = blobs(200)
    given = {row: int(y[row]) for row in range(40)}
    ranking = learn(snapshot(X, given, estimator=estimator), seed=0)
    assert ranking.model is not None
    assert (ranking.model.predict_proba(1000 * X).argmax(axis=1) == y).mean() > 0.95


def test_rows_without_features_come_last_and_then_at_random() -> None:
    X, y = blobs(12)
    available = np.arange(12) < 4
    X[~available] = np.nan
    rankings = run(X, y, 20, available=available)
    asked = [ranking.picks[0].row for ranking in rankings if ranking.picks]
    assert sorted(asked[:4]) == [0, 1, 2, 3]
    assert sorted(asked) == list(range(12))


def test_the_class_to_find_is_asked_first() -> None:
    X, y = blobs()
    given = {int(row): int(y[row]) for k in range(3) for row in np.flatnonzero(y == k)[:4]}
    s = snapshot(X, given, strategy="max-probability", find="b", want=10)
    assert all(y[pick.row] == 1 for pick in learn(s, seed=0).picks)


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf])
def test_a_row_that_cannot_be_used_is_refused_by_its_number(value: float) -> None:
    X, _ = blobs()
    X[17] = value
    with pytest.raises(FeatureError, match="row 17:"):
        learn(snapshot(X, {1: 0, 2: 1}), seed=0)


def test_unknown_names_are_refused_with_the_known_ones() -> None:
    X, _ = blobs(5)
    with pytest.raises(ProjectError, match="'best'. Known: .*margin"):
        learn(snapshot(X, {}, strategy="best"), seed=0)
    with pytest.raises(ProjectError, match="class to find 'd'. Known: a, b, c"):
        learn(snapshot(X, {}, find="d"), seed=0)


def test_the_history_is_the_same_where_a_session_is_taken_up_again() -> None:
    X, y = blobs(200)
    given: dict[int, int] = {}
    ranking = learn(snapshot(X, given, strategy="random"), seed=3)
    for row in range(45):
        given[row] = int(y[row])
        ranking = learn(snapshot(X, given, strategy="random", previous=ranking), seed=3)
    again = learn(snapshot(X, given, strategy="random"), seed=3)
    assert again.past.kappas == pytest.approx(ranking.past.kappas)
    assert len(again.past.kappas) == 3  # 10 to 20, 20 to 30, 30 to 40 labels
    assert [point.labels for point in again.past.points] == [10, 20, 30, 40, 45]
    errors = {point.labels: point.error for point in ranking.past.points}
    for point in again.past.points:
        assert point.error == pytest.approx(errors[point.labels], abs=0.03)


def test_a_rare_class_is_suggested_and_the_search_says_how_precise_it_is() -> None:
    rng = np.random.default_rng(0)
    y = (np.arange(800) % 16 == 0).astype(int)
    X = (rng.normal(size=(800, 8)) + 4 * y[:, None]).astype(np.float32)
    given = {row: int(y[row]) for row in range(200)}
    assert learn(snapshot(X, given), seed=0).suggestion == "b"
    searching = learn(snapshot(X, given, find="b", classes=("a", "b")), seed=0)
    assert searching.suggestion is None
    assert searching.precision is not None
    assert searching.precision.low <= searching.precision.value <= searching.precision.high
    assert searching.precision.value > 0.5


def test_a_class_that_is_often_asked_is_still_rare_if_the_pool_holds_few() -> None:
    """Drawn by likeliness, as the default does: a fifth of the labels, a sixteenth of the pool."""
    rng = np.random.default_rng(0)
    y = (np.arange(800) % 16 == 0).astype(int)
    X = (rng.normal(size=(800, 8)) + 4 * y[:, None]).astype(np.float32)
    odds = np.where(y == 1, 5.0, 1.0)
    rows, q = [], []
    for _ in range(120):
        odds[rows] = 0
        rows.append(int(rng.choice(800, p=odds / odds.sum())))
        q.append(odds[rows[-1]] / odds.sum())
    given = {row: int(y[row]) for row in rows}
    assert y[rows].mean() > 0.15
    ranking = learn(snapshot(X, given, classes=("a", "b"), q=np.array(q)), seed=0)
    assert ranking.suggestion == "b"
    assert ranking.precision is not None
    half = {row: row % 2 for row in range(120)}
    assert learn(snapshot(X, half, classes=("a", "b")), seed=0).suggestion is None


def test_a_second_kind_of_a_class_is_found_though_the_model_is_sure_it_is_not_there() -> None:
    """Without a turn for what is novel, four of five such sessions of 20 labels find none."""
    rng = np.random.default_rng(0)
    ways = 3 * np.eye(8)[:3]
    ways[2] = [2, -2, 0, 0, 0, 0, 0, 3]  # farther from the known kind than the other class is
    kind = np.repeat([0, 1, 2], [560, 30, 10])
    X = (ways[kind] + 0.6 * rng.normal(size=(600, 8))).astype(np.float32)
    given = {row: int(kind[row] > 0) for row in [*range(20), *range(560, 566)]}
    for _ in range(20):
        s = snapshot(X, given, classes=("a", "b"), strategy="herding-mix", find="b")
        row = learn(s, seed=1).picks[0].row
        given[row] = int(kind[row] > 0)
    assert sum(kind[row] == 2 for row in given) >= 2
