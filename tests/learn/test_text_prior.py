"""Texts of classes help a model as far as leave-one-out says so, and cost nothing otherwise."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from annotator.learn.class_levels import LevelModelsLOO
from annotator.learn.model import FittedModel, make_estimator
from annotator.learn.ranking import Ranking, Snapshot, learn
from annotator.learn.ridge import RidgeLOO
from annotator.learn.tag_ridge import TagRidge
from annotator.learn.text_prior import TextPrior, prior_from_scores

Array = NDArray[np.float64]


def unit(X: Array) -> Array:
    return np.asarray(X / np.linalg.norm(X, axis=1, keepdims=True))


class Scene:
    """Classes as directions in space, and texts at a set cosine to them."""

    def __init__(
        self, classes: int, n: int, cosine: float, d: int = 64, seed: int = 0, spread: float = 0.25
    ) -> None:
        rng = np.random.default_rng(seed)
        means = np.linalg.qr(rng.normal(size=(d, classes)))[0].T
        means[-1] = 0.6 * means[0] + 0.8 * means[-1]  # kin to the first class
        self.y = rng.integers(classes, size=n)
        self.X = unit(means[self.y] + rng.normal(size=(n, d)) * spread)
        noise = rng.normal(size=(classes, d))
        noise -= (noise * means).sum(axis=1, keepdims=True) * means
        self.texts = cosine * means + np.sqrt(1 - cosine**2) * unit(noise)
        self.cosines = self.X @ self.texts.T

    def prior(self, *, tags: bool = False) -> TextPrior:
        return prior_from_scores(self.cosines, self.X, tags=tags)


def refitted(X: Array, Y: Array, text: TextPrior, model: RidgeLOO) -> Array:
    """Scores of each row by a ridge that shrinks to the texts, fitted on all other rows."""
    found, t = [], model.text_weight
    for i in range(len(X)):
        rest = np.arange(len(X)) != i
        Z = np.hstack([X[rest], np.ones((rest.sum(), 1))])
        # min |ZW - Y|² + λ|W - tT|², by its normal equations.
        right = Z.T @ Y[rest] + model.penalty * t * text.weights
        W = np.linalg.solve(Z.T @ Z + model.penalty * np.eye(Z.shape[1]), right)
        found.append(np.append(X[i], 1) @ W)
    return np.array(found)


@pytest.mark.parametrize(
    ("n", "d", "spread"), [(1, 24, 0.25), (7, 24, 0.25), (45, 200, 0.5), (1520, 8, 2)]
)
def test_leave_one_out_with_texts_is_what_refitting_without_each_label_gives(
    n: int, d: int, spread: float
) -> None:
    scene = Scene(4, n + 300, 0.6, d=d, spread=spread)
    X, y, text = scene.X[:n], scene.y[:n], scene.prior()
    model = RidgeLOO(4, text).fit(X, y)
    assert model.text_weight > 0
    expected = refitted(X, np.eye(4)[y], text, model)
    np.testing.assert_allclose(model.loo_scores(), expected, rtol=0, atol=1e-7)


def test_leave_one_out_of_tags_with_texts_is_exact_as_well() -> None:
    scene = Scene(3, 340, 0.8, d=100, spread=0.4)
    X, text = scene.X[:40], scene.prior(tags=True)
    Y = np.eye(3, dtype=bool)[scene.y[:40]] | (np.arange(40)[:, None] % 5 == np.arange(3))
    model = TagRidge(3, text).fit(X, Y)
    assert model.text_weight > 0
    np.testing.assert_allclose(
        model.loo_scores(), refitted(X, Y.astype(float), text, model), rtol=0, atol=1e-7
    )


def test_grown_label_by_label_it_is_the_same_model() -> None:
    scene = Scene(3, 400, 0.3)
    warm, text = None, scene.prior()
    for n in range(35):
        warm = RidgeLOO(3, text).fit(scene.X[:n], scene.y[:n], warm=warm)
    fresh = RidgeLOO(3, text).fit(scene.X[:34], scene.y[:34])
    assert warm is not None and (warm.penalty, warm.text_weight) == pytest.approx(
        (fresh.penalty, fresh.text_weight)
    )
    np.testing.assert_allclose(warm.coef_, fresh.coef_, rtol=0, atol=1e-8)


def test_useless_texts_leave_the_model_as_it_is_without() -> None:
    scene = Scene(4, 600, 0.5)
    wrong = prior_from_scores(np.roll(scene.cosines, 1, axis=1), scene.X)  # each of another class
    with_text = RidgeLOO(4, wrong).fit(scene.X[:30], scene.y[:30])
    without = RidgeLOO(4).fit(scene.X[:30], scene.y[:30])
    assert with_text.text_weight == 0
    np.testing.assert_allclose(
        with_text.predict_proba(scene.X), without.predict_proba(scene.X), atol=1e-9
    )


def accuracy(proba: Array, y: NDArray[np.int64]) -> float:
    return float((proba.argmax(axis=1) == y).mean())


def test_a_few_labels_and_texts_are_better_than_either() -> None:
    gains = []
    for seed in range(5):
        scene = Scene(6, 1200, 0.25, d=128, seed=seed)
        X, y, text = scene.X[:12], scene.y[:12], scene.prior()
        both = accuracy(RidgeLOO(6, text).fit(X, y).predict_proba(scene.X), scene.y)
        labels = accuracy(RidgeLOO(6).fit(X, y).predict_proba(scene.X), scene.y)
        words = accuracy(scene.cosines - scene.cosines.mean(axis=0), scene.y)
        gains.append((both - labels, both - words))
    assert (np.mean(gains, axis=0) > 0).all()


def test_a_text_of_one_class_has_no_level_of_its_own() -> None:
    """A text that is nearer to every picture than the others must not win every picture."""
    scene = Scene(4, 600, 0.6)
    shifted = scene.cosines + np.array([0.0, 5.0, -3.0, 0.5])
    found = prior_from_scores(shifted, scene.X).scores(scene.X)
    assert accuracy(shifted, scene.y) < 0.4 < 0.7 < accuracy(found, scene.y)


def test_one_class_equal_pictures_and_equal_texts_give_finite_scores() -> None:
    X = unit(np.ones((20, 5)))
    for scores in (np.ones((20, 1)), np.ones((20, 3)), np.zeros((20, 3))):
        text = prior_from_scores(scores, X)
        assert np.isfinite(text.scores(X)).all()
        model = RidgeLOO(scores.shape[1], text).fit(X, np.zeros(20, int))
        assert np.isfinite(model.predict_proba(X)).all()


# --- the steps of learning


def snapshot(scene: Scene, n: int, classes: int, **changes: Any) -> Snapshot:
    closed = np.zeros(len(scene.X), bool)
    closed[:n] = True
    return replace(
        Snapshot(
            version=n, features=scene.X.astype(np.float32), available=None, rows=np.arange(n),
            y=scene.y[:n], q=np.full(n, np.nan), pool=np.full(n, len(scene.X)),
            component=("cold",) * n, classes=tuple(map(str, range(classes))), closed=closed, want=1,
        ),
        **changes,
    )  # fmt: skip


def learnt(given: Snapshot) -> Ranking:
    return learn(given, 0)


def test_the_names_alone_predict_before_the_first_label() -> None:
    scene = Scene(4, 500, 0.5)
    assert learnt(snapshot(scene, 0, 4)).model is None
    model = learnt(snapshot(scene, 0, 4, text=scene.prior())).model
    assert isinstance(model, FittedModel) and model.n == 0
    assert accuracy(model.predict_proba(scene.X), scene.y) > 0.8


def test_other_estimators_do_without_texts() -> None:
    given = snapshot(Scene(4, 300, 0.5), 0, 4, estimator="logistic")
    assert learnt(replace(given, text=Scene(4, 300, 0.5).prior())).model is None


def rare(seed: int, cosine: float) -> Scene:
    """Three in a hundred items are of the last of five classes."""
    scene = Scene(5, 3000, cosine, seed=seed, d=128, spread=0.3)
    kept = np.flatnonzero((scene.y < 4) | (np.arange(3000) % 8 == 0))
    scene.X, scene.y, scene.cosines = scene.X[kept], scene.y[kept], scene.cosines[kept]
    return scene


def labels_to_find(scene: Scene, text: TextPrior | None, wanted: int) -> int:
    """Return the labels until a search for class 4 has found `wanted` of its items."""
    rows: list[int] = []
    ranking, found = None, 0
    while found < wanted:
        closed = np.zeros(len(scene.X), bool)
        closed[rows] = True
        n = len(rows)
        ranking = learnt(snapshot(
            scene, 0, 5, version=n, rows=np.array(rows, np.int64), y=scene.y[rows],
            q=np.full(n, np.nan), pool=np.full(n, len(scene.X)), component=("find",) * n,
            closed=closed, text=text, find="4", previous=ranking,
        ))  # fmt: skip
        rows.append(ranking.picks[0].row)
        found += int(scene.y[rows[-1]] == 4)
    return len(rows)


def test_the_search_for_a_rare_class_follows_its_name_before_any_is_known() -> None:
    with_text, without = [], []
    for seed in range(5):
        scene = rare(seed, 0.6)
        with_text.append(labels_to_find(scene, scene.prior(), 3))
        without.append(labels_to_find(scene, None, 3))
    assert np.mean(with_text) * 1.5 <= np.mean(without)


def test_names_of_a_hierarchy_are_compared_on_each_level() -> None:
    scene = Scene(6, 600, 0.5)
    parents = (-1, -1, 0, 0, 1, 1)
    scene.cosines[:, 0] = scene.cosines[:, 2:4].mean(axis=1)
    scene.cosines[:, 1] = scene.cosines[:, 4:].mean(axis=1)
    leaves = np.flatnonzero(scene.y >= 2)
    model = make_estimator("ridge", 6, tags=False, parents=parents, text=scene.prior())
    assert isinstance(model, LevelModelsLOO)
    model.fit(scene.X[:0], scene.y[:0])
    proba = model.predict_proba(scene.X)
    np.testing.assert_allclose(proba.sum(axis=1), 1)
    assert (proba[:, :2] == 0).all()
    known = leaves[:12]
    model = model.unfitted().fit(scene.X[known], scene.y[known])
    assert model.text_weight > 0
    np.testing.assert_allclose(model.loo_proba().sum(axis=1), 1)
    without = make_estimator("ridge", 6, tags=False, parents=parents)
    without.fit(scene.X[known], scene.y[known])
    rest = leaves[12:]
    with_text, plain = (
        accuracy(one.predict_proba(scene.X[rest]), scene.y[rest]) for one in (model, without)
    )
    assert with_text > plain
