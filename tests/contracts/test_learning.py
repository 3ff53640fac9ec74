"""The contract of every estimator and every query strategy; a new one only joins its dict."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from annotator.learn.candidates import OpenRows, Pool
from annotator.learn.model import ESTIMATORS, FittedModel
from annotator.learn.registry import STRATEGIES
from annotator.learn.rows import UnitRows, normalize_rows

C = 4
Labels = NDArray[np.int64]


def data(n: int, seed: int = 0) -> tuple[NDArray[np.float32], Labels]:
    rng = np.random.default_rng(seed)
    y = rng.integers(C, size=n)
    return normalize_rows(np.eye(C, 9)[y] * 2 + 0.4 * rng.normal(size=(n, 9))), y


@pytest.mark.parametrize("name", sorted(ESTIMATORS))
class TestEstimator:
    def fitted(self, name: str, X: NDArray[np.float32], y: Labels) -> FittedModel:
        return FittedModel(name, ESTIMATORS[name](C).fit(X, y), len(y), C)

    def test_probabilities_add_up_and_serve_all_classes(self, name: str) -> None:
        X, y = data(40)
        seen = np.flatnonzero(y < 2)
        proba = self.fitted(name, X[seen], y[seen]).predict_proba(X)
        assert proba.shape == (40, C)
        assert (proba > 0).all()
        np.testing.assert_allclose(proba.sum(axis=1), 1, atol=1e-5)

    def test_it_recognises_what_is_apart(self, name: str) -> None:
        X, y = data(200)
        model = self.fitted(name, X[:80], y[:80])
        assert (model.predict_proba(X[80:]).argmax(axis=1) == y[80:]).mean() > 0.9

    def test_rows_count_by_direction_alone(self, name: str) -> None:
        X, y = data(60)
        model = self.fitted(name, X, y)
        np.testing.assert_allclose(
            model.predict_proba(X), model.predict_proba(1000 * X), rtol=1e-3, atol=1e-5
        )

    def test_it_repeats(self, name: str) -> None:
        X, y = data(50)
        one, two = self.fitted(name, X, y), self.fitted(name, X, y)
        np.testing.assert_array_equal(one.predict_proba(X), two.predict_proba(X))

    @pytest.mark.parametrize("labels", [[3], [3, 3, 3], [0, 0, 2]])
    def test_few_labels_one_class_and_identical_rows(self, name: str, labels: list[int]) -> None:
        X = np.repeat(data(1)[0], len(labels), axis=0)
        proba = self.fitted(name, X, np.array(labels)).predict_proba(X)
        assert np.isfinite(proba).all()
        assert (proba.argmax(axis=1) == max(set(labels), key=labels.count)).all()


def pool(n: int, labelled: int, seed: int, find: int | None = None) -> Pool:
    X, y = data(n)
    mask = np.arange(n) >= labelled
    rows = np.flatnonzero(mask)
    proba = np.random.default_rng(1).dirichlet(np.ones(C), size=len(rows)).astype(np.float32)
    return Pool(
        rows=rows,
        proba=proba,
        open=OpenRows(mask, mask.astype(np.float32)),
        unit=UnitRows(X),
        labelled=np.arange(labelled),
        y=y[:labelled],
        shown=np.arange(labelled),
        counts=np.bincount(y[:labelled], minlength=C),
        find=find,
        available=None,
        score=lambda X: np.full((len(X), C), 1 / C, dtype=np.float32),
        seed=0,
        rng=np.random.default_rng(seed),
    )


@pytest.mark.parametrize("name", sorted(STRATEGIES))
class TestStrategy:
    @pytest.mark.parametrize("labelled", [0, 1, 25])
    def test_as_many_different_open_rows_as_wanted(self, name: str, labelled: int) -> None:
        picks = STRATEGIES[name](pool(60, labelled, seed=0), 12)
        rows = [pick.row for pick in picks]
        assert len(set(rows)) == 12
        assert min(rows) >= labelled

    def test_never_more_than_there_are(self, name: str) -> None:
        picks = STRATEGIES[name](pool(30, 25, seed=0), 12)
        assert sorted(pick.row for pick in picks) == [25, 26, 27, 28, 29]

    def test_nothing_open_nothing_picked(self, name: str) -> None:
        assert STRATEGIES[name](pool(25, 25, seed=0), 3) == []

    def test_the_same_seed_the_same_picks(self, name: str) -> None:
        one, two = (STRATEGIES[name](pool(80, 20, seed=7), 6) for _ in range(2))
        assert one == two

    def test_a_probability_is_one_or_none_and_the_pool_shrinks(self, name: str) -> None:
        picks = STRATEGIES[name](pool(60, 25, seed=0), 5)
        assert [pick.pool for pick in picks] == [35, 34, 33, 32, 31]
        assert all(np.isnan(pick.q) or 0 < pick.q <= 1 for pick in picks)
        assert all(pick.component for pick in picks)

    def test_a_class_can_be_searched_for(self, name: str) -> None:
        assert len(STRATEGIES[name](pool(60, 25, seed=0, find=1), 5)) == 5
