"""Leave-one-out in closed form is what refitting without each label gives."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from annotator.learn.ridge import PENALTIES, RidgeLOO, reviewed_at
from annotator.learn.solve import regularization_path

Array = NDArray[np.float64]


def rows(n: int, d: int, seed: int = 0) -> Array:
    found = np.random.default_rng(seed).normal(size=(n, d))
    return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True))


def labels(n: int, classes: int, seed: int = 0) -> NDArray[np.int64]:
    return np.random.default_rng(seed + 100).integers(classes, size=n)


def brute_force(X: Array, y: NDArray[np.int64], classes: int, penalty: float) -> Array:
    """Scores of each row by the ridge fitted on all others, by the normal equations."""
    found = []
    for i in range(len(y)):
        rest = np.arange(len(y)) != i
        Z = np.concatenate([X[rest], np.ones((rest.sum(), 1))], axis=1)
        Y = (y[rest][:, None] == np.arange(classes)).astype(float)
        weights = np.linalg.solve(Z.T @ Z + penalty * np.eye(Z.shape[1]), Z.T @ Y)
        found.append(np.append(X[i], 1) @ weights)
    return np.array(found)


@pytest.mark.parametrize(
    ("n", "d", "classes"), [(7, 5, 2), (40, 12, 3), (61, 200, 10), (1520, 4, 3)]
)
def test_leave_one_out_is_exact(n: int, d: int, classes: int) -> None:
    X, y = rows(n, d), labels(n, classes)
    model = RidgeLOO(classes).fit(X, y)
    expected = brute_force(X, y, classes, model.penalty)
    np.testing.assert_allclose(model.loo_scores(), expected, rtol=0, atol=1e-8)


def test_grown_row_by_row_it_is_the_same_model() -> None:
    X, y = rows(75, 20), labels(75, 4)
    warm = None
    for n in range(1, len(y) + 1):
        warm = RidgeLOO(4).fit(X[:n], y[:n], warm=warm)
    assert warm is not None
    fresh = RidgeLOO(4).fit(X, y)
    assert warm.penalty == fresh.penalty
    assert warm.calibration.temperature == pytest.approx(fresh.calibration.temperature)
    np.testing.assert_allclose(warm.coef_, fresh.coef_, rtol=0, atol=1e-8)
    np.testing.assert_allclose(warm.loo_scores(), fresh.loo_scores(), rtol=0, atol=1e-8)


def test_undo_and_redo_a_thousand_times_does_not_drift() -> None:
    X, y = rows(33, 10), labels(33, 2)
    model = RidgeLOO(2).fit(X, y)
    for _ in range(1000):
        model = RidgeLOO(2).fit(X[:-3], y[:-3], warm=model)
        model = RidgeLOO(2).fit(X, y, warm=model)
    np.testing.assert_allclose(model.coef_, RidgeLOO(2).fit(X, y).coef_, rtol=0, atol=1e-10)


def test_a_label_changed_or_a_row_taken_out_is_learnt_as_if_anew() -> None:
    X, y = rows(48, 10), labels(48, 3)
    model = RidgeLOO(3).fit(X, y)
    changed = y.copy()
    changed[5] = (changed[5] + 1) % 3
    np.testing.assert_allclose(
        RidgeLOO(3).fit(X, changed, warm=model).coef_, RidgeLOO(3).fit(X, changed).coef_, atol=1e-10
    )
    kept = np.delete(np.arange(48), 17)
    np.testing.assert_allclose(
        RidgeLOO(3).fit(X[kept], y[kept], warm=model).coef_,
        RidgeLOO(3).fit(X[kept], y[kept]).coef_,
        atol=1e-10,
    )


def test_beyond_1500_labels_it_is_the_same_model_grown_undone_or_anew() -> None:
    X, y = rows(1506, 6), labels(1506, 3)
    model = RidgeLOO(3).fit(X[:1499], y[:1499])
    for n in range(1500, 1507):
        model = RidgeLOO(3).fit(X[:n], y[:n], warm=model)
    undone = RidgeLOO(3).fit(X[:1502], y[:1502], warm=model)
    for warm, n in ((model, 1506), (undone, 1502)):
        fresh = RidgeLOO(3).fit(X[:n], y[:n])
        np.testing.assert_allclose(warm.coef_, fresh.coef_, rtol=0, atol=1e-8)
        np.testing.assert_allclose(warm.loo_scores(), fresh.loo_scores(), rtol=0, atol=1e-8)


def test_both_forms_agree_on_every_penalty() -> None:
    X, Y = rows(50, 9), np.eye(3)[labels(50, 3)]
    for a, b in zip(
        regularization_path(X, X @ X.T, Y, PENALTIES),
        regularization_path(X, None, Y, PENALTIES),
        strict=True,
    ):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-8)


def test_identical_rows_with_different_labels_share_the_probability() -> None:
    X = np.repeat(rows(1, 8), 2, axis=0)
    proba = RidgeLOO(2).fit(X, np.array([0, 1])).predict_proba(X)
    np.testing.assert_allclose(proba, 0.5, atol=1e-9)


def test_one_class_only_and_classes_never_seen() -> None:
    X = rows(25, 6)
    proba = RidgeLOO(4).fit(X, np.full(25, 2)).predict_proba(X)
    assert np.isfinite(proba).all()
    assert (proba > 0).all()
    assert (proba.argmax(axis=1) == 2).all()
    assert RidgeLOO(1).fit(X, np.zeros(25, int)).predict_proba(X) == pytest.approx(1)


def activations(n: int, seed: int = 0) -> tuple[Array, NDArray[np.int64]]:
    """Two classes that differ in small numbers, beside a few large ones that say nothing."""
    rng, y = np.random.default_rng(seed), labels(n, 2, seed)
    small = rng.exponential(0.02 + 0.012 * (y[:, None] == np.arange(60) % 2))
    X = np.concatenate([small, rng.exponential(1.0, (n, 6))], axis=1)
    return X / np.linalg.norm(X, axis=1, keepdims=True), y


def test_where_small_numbers_tell_classes_apart_the_model_takes_square_roots() -> None:
    X, y = activations(400)
    model = RidgeLOO(2).fit(X[:100], y[:100])
    assert model.rooted
    proba = model.predict_proba(X[100:].astype(np.float32))
    assert proba.dtype == np.float32
    signed = np.append(X, np.full((len(X), 1), -1e-6), axis=1)
    plain = RidgeLOO(2).fit(signed[:100], y[:100])
    assert not plain.rooted
    right = (proba.argmax(axis=1) == y[100:]).mean()
    assert right > (plain.predict_proba(signed[100:]).argmax(axis=1) == y[100:]).mean() + 0.03


def test_with_square_roots_too_leave_one_out_is_exact_and_growth_changes_nothing() -> None:
    X, y = activations(61)
    warm = None
    for n in range(1, len(y) + 1):
        warm = RidgeLOO(2).fit(X[:n], y[:n], warm=warm)
    assert warm is not None and warm.rooted
    roots = np.sqrt(X) / np.linalg.norm(np.sqrt(X), axis=1, keepdims=True)
    expected = brute_force(roots, y, 2, warm.penalty)
    np.testing.assert_allclose(warm.loo_scores(), expected, rtol=0, atol=1e-8)
    np.testing.assert_allclose(warm.coef_, RidgeLOO(2).fit(X, y).coef_, rtol=0, atol=1e-8)


def test_a_model_with_square_roots_takes_rows_of_any_sign() -> None:
    model = RidgeLOO(2).fit(*activations(100))
    odd = np.stack([np.full(66, -1.0), np.append(np.zeros(65), 1.0)])
    assert np.isfinite(model.predict_proba(odd)).all()


def test_labels_that_are_alone_in_their_class_do_not_choose_the_penalty() -> None:
    rng, y = np.random.default_rng(1), np.array([0, *range(9)])
    centres = rows(9, 30, seed=1)
    X = centres[y] + 0.1 * rng.normal(size=(10, 30))
    unseen = centres[np.arange(90) % 9] + 0.1 * rng.normal(size=(90, 30))
    model = RidgeLOO(9).fit(X / np.linalg.norm(X, axis=1, keepdims=True), y)
    found = model.predict_proba(unseen / np.linalg.norm(unseen, axis=1, keepdims=True))
    assert (found.argmax(axis=1) == np.arange(90) % 9).mean() > 0.9


def test_the_penalty_is_reviewed_every_ten_labels_and_later_more_rarely() -> None:
    assert [reviewed_at(n) for n in (0, 9, 10, 19, 299, 300, 349, 999, 1000, 1249)] == [
        0, 0, 10, 10, 290, 300, 300, 950, 1000, 1000,
    ]  # fmt: skip
