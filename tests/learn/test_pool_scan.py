"""A pool too large to score for every label: its parts take turns, and nothing else changes."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from annotator.learn.candidates import OpenRows
from annotator.learn.mixture import drawing_weights
from annotator.learn.model import FittedModel
from annotator.learn.pool_scan import SAMPLE_SIZE, IncrementalScan
from annotator.learn.ranking import Ranking, Snapshot, learn
from annotator.learn.ridge import RidgeLOO
from annotator.learn.rows import CHUNK, MAX_KEPT_VALUES, UnitRows, normalize_rows

N, D = 3 * CHUNK + 100, 6


@pytest.fixture(scope="module")
def rows() -> NDArray[np.float32]:
    return np.random.default_rng(0).normal(size=(N, D)).astype(np.float32)


def fitted(X: NDArray[np.float32]) -> FittedModel:
    y = (X[:50, 0] > 0).astype(np.int64)
    return FittedModel("ridge@50", RidgeLOO(2).fit(normalize_rows(X[:50]), y), 50, 2)


def test_after_a_round_every_row_has_the_weight_of_the_model(rows: NDArray[np.float32]) -> None:
    everything, mask = np.ones(N, dtype=bool), np.arange(N) >= 50
    rolling, model = IncrementalScan(UnitRows(rows), everything, seed=0), fitted(rows)
    for _ in range(4):
        scan = rolling.step(model, 2, everything, mask, None)
    expected = drawing_weights(model.unit_proba(normalize_rows(rows))) * mask
    shares = np.array([scan.open.share(row) for row in range(0, N, 97)])
    np.testing.assert_allclose(shares, expected[::97] / expected.sum(), rtol=1e-4)


def test_scored_rows_are_open_and_different_and_begin_with_the_sample(
    rows: NDArray[np.float32],
) -> None:
    everything, mask = np.ones(N, dtype=bool), np.arange(N) % 3 > 0
    rolling, model = IncrementalScan(UnitRows(rows), everything, seed=0), fitted(rows)
    for _ in range(3):
        scan = rolling.step(model, 2, everything, mask, None)
    assert mask[scan.rows].all()
    assert len(np.unique(scan.rows)) == len(scan.rows) > scan.sampled
    assert abs(scan.sampled - SAMPLE_SIZE * 2 / 3) < 300
    np.testing.assert_allclose(
        scan.proba, model.unit_proba(normalize_rows(rows[scan.rows])), atol=1e-5
    )
    best = np.sort(
        drawing_weights(model.unit_proba(normalize_rows(rows[: 2 * CHUNK][mask[: 2 * CHUNK]])))
    )
    assert drawing_weights(scan.proba).max() == pytest.approx(best[-1], rel=1e-4)


def test_a_row_taken_back_is_drawn_again(rows: NDArray[np.float32]) -> None:
    everything = np.ones(N, dtype=bool)
    rolling, model = IncrementalScan(UnitRows(rows), everything, seed=0), fitted(rows)
    closed = everything.copy()
    closed[10] = False
    assert rolling.step(model, 2, everything, closed, None).open.share(10) == 0
    again = rolling.step(model, 2, everything, everything, None).open
    assert again.share(10) > 0
    assert again.size == N


def test_draws_come_in_proportion_to_the_weights_and_never_twice() -> None:
    rng, weights = np.random.default_rng(0), np.array([0, 1, 2, 5, 0, 2], dtype=np.float32)
    counts = np.zeros(6)
    for _ in range(4000):
        counts[OpenRows(weights > 0, weights).weighted(rng)] += 1
    np.testing.assert_allclose(counts / 4000, weights / 10, atol=0.03)
    rows = OpenRows(weights > 0, weights)
    for _ in range(4):
        rows.take(rows.weighted(rng))
    assert rows.size == 0


def test_few_open_rows_among_many_are_all_found() -> None:
    mask = np.zeros(100_000, dtype=bool)
    mask[[5, 70_000, 99_999]] = True
    open_rows = OpenRows(mask, mask.astype(np.float32))
    found = open_rows.uniform(np.random.default_rng(0), 10)
    assert sorted(found) == [5, 70_000, 99_999]


def test_a_session_on_a_large_pool_asks_open_rows_and_estimates() -> None:
    n, d = MAX_KEPT_VALUES // 64 + 1000, 64
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, d), dtype=np.float32)
    X[:, 0] += 3 * (np.arange(n) % 2)
    rows, y = list(range(40)), [row % 2 for row in range(40)]
    q, pool = [1 / (n - i) for i in range(40)], [n - i for i in range(40)]
    component, closed, previous = ["random"] * 40, np.arange(n) < 40, None
    for step in range(12):
        made = Snapshot(
            step, X, None, np.array(rows), np.array(y), np.array(q), np.array(pool),
            tuple(component), ("even", "odd"), closed.copy(), want=3, previous=previous,
        )  # fmt: skip
        previous = learn(made, seed=0)
        assert len({pick.row for pick in previous.picks}) == 3
        assert not any(closed[pick.row] for pick in previous.picks)
        assert all(pick.pool <= n - 40 - step and pick.q > 0 for pick in previous.picks)
        pick = previous.picks[0]
        closed[pick.row] = True
        rows, y = [*rows, pick.row], [*y, pick.row % 2]
        q, pool, component = [*q, pick.q], [*pool, pick.pool], [*component, pick.component]
    assert isinstance(previous, Ranking) and previous.estimate is not None
    true = 1 - (previous.model.predict_proba(X).argmax(axis=1) == np.arange(n) % 2).mean()  # type: ignore[union-attr]
    assert previous.estimate.low <= true <= previous.estimate.high
