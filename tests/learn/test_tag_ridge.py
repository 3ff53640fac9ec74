"""One model per tag: exact leave-one-out, calibrated probabilities, thresholds that make sense."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from annotator.learn.model import fit_model, out_of_sample_proba
from annotator.learn.tag_ridge import TagRidge, choose_thresholds
from annotator.learn.targets import TagSets, number_labels

Array = NDArray[np.float64]
Tags = NDArray[np.bool_]


def made_up(n: int, tags: int, d: int = 12, seed: int = 0) -> tuple[Array, Tags]:
    """Unit rows whose tags depend on directions, the later tags rarer."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d))
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    ways = np.random.default_rng(99).normal(size=(d, tags))
    noise = 0.3 * rng.normal(size=(n, tags))
    return X, np.asarray(X @ ways + noise > np.linspace(0, 1.5, tags))


@pytest.mark.parametrize(("n", "d", "tags"), [(7, 5, 3), (61, 200, 20), (1520, 4, 3)])
def test_leave_one_out_is_what_refitting_without_each_label_gives(
    n: int, d: int, tags: int
) -> None:
    X, Y = made_up(n, tags, d)
    model = TagRidge(tags).fit(X, Y)
    Z, some = np.concatenate([X, np.ones((n, 1))], axis=1), np.arange(n)[:: max(1, n // 40)]
    for i in some.tolist():
        rest = np.arange(n) != i
        normal = Z[rest].T @ Z[rest] + model.penalty * np.eye(Z.shape[1])
        weights = np.linalg.solve(normal, Z[rest].T @ Y[rest].astype(float))
        np.testing.assert_allclose(model.loo_scores()[i], Z[i] @ weights, rtol=0, atol=1e-8)


def test_grown_row_by_row_it_is_the_same_model() -> None:
    X, Y = made_up(65, 6)
    warm = None
    for n in range(1, len(Y) + 1):
        warm = TagRidge(6).fit(X[:n], Y[:n], warm=warm)
    fresh = TagRidge(6).fit(X, Y)
    assert isinstance(warm, TagRidge)
    assert warm.penalty == fresh.penalty
    np.testing.assert_allclose(warm.predict_proba(X), fresh.predict_proba(X), rtol=0, atol=1e-8)
    np.testing.assert_allclose(warm.targets.thresholds, fresh.targets.thresholds, atol=1e-8)


def test_probabilities_of_new_items_are_as_often_true_as_they_say() -> None:
    X, Y = made_up(400, 8)
    unseen, truth = made_up(4000, 8, seed=1)
    proba = TagRidge(8).fit(X, Y).predict_proba(unseen)
    for low in (0.0, 0.2, 0.4, 0.6, 0.8):
        inside = (proba >= low) & (proba < low + 0.2)
        assert abs(float(truth[inside].mean() - proba[inside].mean())) < 0.07


def test_thresholds_by_leave_one_out_give_more_f1_than_one_half() -> None:
    X, Y = made_up(400, 8)
    unseen, truth = made_up(4000, 8, seed=1)
    model = TagRidge(8).fit(X, Y)
    proba = model.predict_proba(unseen)

    def macro_f1(decided: Tags) -> float:
        both, all_ = (decided & truth).sum(axis=0), decided.sum(axis=0) + truth.sum(axis=0)
        return float((2 * both / all_).mean())

    assert macro_f1(model.targets.decide(proba)) > macro_f1(proba >= 0.5) + 0.01


@pytest.mark.parametrize("positives", [0, 1, 2, 3])
def test_a_tag_with_few_items_is_predicted_from_one_half_on(positives: int) -> None:
    Y = np.zeros((50, 2))
    Y[:positives, 0], Y[:20, 1] = 1, 1
    proba = np.random.default_rng(0).uniform(0.01, 0.2, size=(50, 2))
    assert choose_thresholds(proba, Y)[0] == 0.5


@pytest.mark.parametrize("n", [1, 2, 3, 10])
@pytest.mark.parametrize("full", [False, True])
def test_labels_that_are_all_the_same_give_sound_probabilities(n: int, full: bool) -> None:
    X, _ = made_up(n, 3)
    model = TagRidge(3).fit(X, np.full((n, 3), full))
    proba = model.predict_proba(X)
    assert np.isfinite(proba).all() and (proba > 0).all() and (proba < 1).all()
    assert ((proba > 0.5) == full).all() or n < 3


def test_a_classifier_that_knows_only_classes_learns_each_tag() -> None:
    pytest.importorskip("sklearn")
    X, Y = made_up(80, 4)
    model = fit_model("logistic", 7, 4, X.astype(np.float32), Y)
    held = out_of_sample_proba(model, X.astype(np.float32), Y)
    assert held.shape == (80, 4) and not model.calibrated
    assert ((held >= 0.5) == Y).mean() > 0.75
    none = fit_model("logistic", 7, 4, X.astype(np.float32), np.zeros_like(Y))
    assert (none.unit_proba(X.astype(np.float32)) < 0.1).all()


def test_equal_sets_have_equal_numbers_and_others_do_not() -> None:
    y = np.array([[1, 0, 0], [0, 1, 1], [1, 0, 0], [0, 0, 0]], bool)
    for numbers in (TagSets().codes(y), number_labels(y)):
        assert numbers[0] == numbers[2]
        assert len(set(numbers.tolist())) == 3
    assert number_labels(y[::-1]).tolist() == number_labels(y)[::-1].tolist()
    assert TagSets().counts(y, 3).tolist() == [2, 1, 1]


def test_a_set_is_wrong_if_one_tag_is_and_the_model_is_as_sure_as_of_all_together() -> None:
    tags = TagSets(np.array([0.5, 0.2]))
    proba = np.array([[0.9, 0.3], [0.4, 0.1]])
    assert tags.decide(proba).tolist() == [[True, True], [False, False]]
    assert tags.is_wrong(proba, np.array([[True, True], [True, False]])).tolist() == [False, True]
    assert tags.confidence(proba) == pytest.approx([0.9 * 0.3, 0.6 * 0.9])
