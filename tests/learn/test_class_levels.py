"""A model of a hierarchy of classes: what labels of inner classes teach, and what it predicts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from annotator.learn.class_levels import TreeClasses
from annotator.learn.label_conflicts import find_likely_errors, measure_doubts
from annotator.learn.model import fit_model, out_of_sample_proba
from annotator.learn.ranking import Ranking, learn
from annotator.learn.rows import normalize_rows
from tests.learn.test_ranking import blobs, snapshot

# vehicle (car, bus), animal (dog (pug, poodle), cat), sky
VEHICLE, CAR, BUS, ANIMAL, DOG, PUG, POODLE, CAT, SKY = range(9)
PARENTS = (-1, VEHICLE, VEHICLE, -1, ANIMAL, DOG, DOG, ANIMAL, -1)
NAMES = ("vehicle", "car", "bus", "animal", "dog", "pug", "poodle", "cat", "sky")
LEAVES = np.array([CAR, BUS, PUG, POODLE, CAT, SKY])


def _pool(n: int = 240) -> tuple[np.ndarray, np.ndarray]:
    features, y = blobs(n, classes=len(LEAVES), spread=0.4)
    return normalize_rows(features), LEAVES[y]


def _step(labels: dict[int, int], **changes: object) -> Ranking:
    features, _ = _pool()
    made = snapshot(features, labels, classes=NAMES, parents=PARENTS, **changes)
    return learn(made, seed=3)


def _proba(ranking: Ranking) -> np.ndarray:
    assert ranking.model is not None
    return ranking.model.predict_proba(_pool()[0])


def _above(y: np.ndarray, steps: int) -> np.ndarray:
    for _ in range(steps):
        y = np.where(np.array(PARENTS)[y] >= 0, np.array(PARENTS)[y], y)
    return y


@pytest.mark.parametrize("estimator", ["ridge", "logistic"])
def test_leaves_are_predicted_and_add_up_to_one(estimator: str) -> None:
    y = _pool()[1]
    proba = _proba(_step({row: int(y[row]) for row in range(80)}, estimator=estimator))
    assert proba.sum(axis=1) == pytest.approx(1, abs=1e-5)
    assert not proba[:, [VEHICLE, ANIMAL, DOG]].any()
    assert (proba[80:].argmax(axis=1) == y[80:]).mean() > 0.9


@pytest.mark.parametrize("estimator", ["ridge", "logistic"])
def test_labels_of_inner_classes_alone_predict_these(estimator: str) -> None:
    y = _pool()[1]
    top = _above(y, 2)
    proba = _proba(_step({row: int(top[row]) for row in range(60)}, estimator=estimator))
    assert set(proba.argmax(axis=1)) == {VEHICLE, ANIMAL, SKY}
    assert (proba[60:].argmax(axis=1) == top[60:]).mean() > 0.9


def test_an_inner_class_is_split_only_where_classes_below_it_have_labels() -> None:
    y = _pool()[1]
    labels = {row: int(_above(y, 2)[row]) for row in range(60)}
    labels |= {row: int(y[row]) for row in range(60, 120) if y[row] in (CAR, BUS)}
    proba = _proba(_step(labels))
    assert set(proba.argmax(axis=1)) == {CAR, BUS, ANIMAL, SKY}


def test_inner_labels_help_to_tell_the_top_apart() -> None:
    y, top = _pool()[1], _above(_pool()[1], 2)
    few = {row: int(y[row]) for row in range(18)}
    more = few | {row: int(top[row]) for row in range(18, 120)}
    wrong = [
        (_above(_proba(_step(labels))[120:].argmax(axis=1), 2) != top[120:]).mean()
        for labels in (few, more)
    ]
    assert wrong[1] < wrong[0]


def test_leave_one_out_is_the_prediction_of_a_fit_without_the_row() -> None:
    X, y = _pool()
    y = y.copy()
    y[::3] = _above(y[::3], 1)
    X, y = X[:40], y[:40]
    model = fit_model("ridge", 1, 9, X, y, parents=PARENTS)
    found = out_of_sample_proba(model, X, y)
    for row in (0, 1, 17):
        others = np.arange(40) != row
        alone = fit_model("ridge", 1, 9, X[others], y[others], parents=PARENTS)
        # The penalty and the calibration are those of all rows, so the two are only alike.
        assert found[row] == pytest.approx(alone.unit_proba(X[[row]])[0], abs=0.25)
        assert found[row].sum() == pytest.approx(1)


def test_cross_validation_stands_in_for_estimators_without_leave_one_out() -> None:
    X, y = _pool()
    model = fit_model("logistic", 1, 9, X[:90], y[:90], parents=PARENTS)
    assert not model.calibrated
    proba = out_of_sample_proba(model, X[:90], y[:90])
    assert (proba.argmax(axis=1) == y[:90]).mean() > 0.8


def test_a_label_is_right_for_the_classes_below_it_and_for_no_class_above() -> None:
    targets = TreeClasses(PARENTS)
    y = np.array([ANIMAL, DOG, PUG, CAT, VEHICLE])
    predicted = np.eye(9)[[PUG, CAT, DOG, CAT, VEHICLE]]
    assert targets.is_wrong(predicted, y).tolist() == [False, True, True, False, False]


def test_shares_of_leaves_count_labels_above_them_by_the_models_opinion() -> None:
    targets = TreeClasses(PARENTS)
    proba = np.zeros((2, 9))
    proba[:, [CAR, BUS, CAT]] = 0.6, 0.2, 0.2
    y = np.array([VEHICLE, CAR])
    assert targets.share(y, proba, CAR) == pytest.approx([0.75, 1])
    assert targets.share(y, proba, VEHICLE).tolist() == [1, 1]
    assert targets.share(y, proba, CAT).tolist() == [0, 0]


def test_the_estimate_counts_a_prediction_below_the_label_as_right() -> None:
    y = _pool()[1]
    top = {row: int(_above(y, 2)[row]) for row in range(60)}
    ranking = _step(top | {row: int(y[row]) for row in range(60, 120)})
    assert ranking.estimate is not None
    assert ranking.estimate.high < 0.2  # half of the labels are of no leaf, and none is wrong
    shares = dict(zip(NAMES, ranking.estimate.shares, strict=True))
    assert shares["animal"].value == pytest.approx(
        shares["cat"].value + shares["pug"].value + shares["poodle"].value, abs=0.03
    )


def test_a_hunt_for_an_inner_class_asks_what_is_below_it() -> None:
    y = _pool()[1]
    ranking = _step(
        {row: int(y[row]) for row in range(60)}, strategy="max-probability", find="dog", want=10,
    )  # fmt: skip
    assert np.isin(y[[pick.row for pick in ranking.picks]], [PUG, POODLE]).mean() >= 0.9
    assert ranking.precision is not None


def test_a_label_above_the_prediction_is_not_a_likely_error() -> None:
    y = np.array([ANIMAL, ANIMAL, CAR, CAR, PUG, PUG])
    proba = np.zeros((6, 9))
    proba[[0, 2, 3, 4, 5], [PUG, CAR, CAR, PUG, PUG]] = 1
    proba[1, BUS] = 1
    found = find_likely_errors(y, proba, TreeClasses(PARENTS).under)
    assert found.rows.tolist() == [1]
    assert found.suspects.tolist() == [BUS]


def test_neighbours_above_and_below_a_label_count_for_it() -> None:
    y = np.array([PUG, ANIMAL, PUG, CAR, CAR, CAR])
    proba = np.zeros((6, 9))
    proba[:, [CAR, PUG]] = 0.5
    near = np.array([[1, 2], [0, 2], [3, 4], [4, 5], [3, 5], [3, 4]])
    own = measure_doubts(y, proba, TreeClasses(PARENTS).under, near).own
    assert own[[0, 1]].min() > 0.6  # an animal and a pug are near
    assert own[2] < 0.4  # two cars are near
    assert own[3] > 0.6


def test_the_same_labels_give_the_same_ranking_from_an_earlier_fit() -> None:
    y = _pool()[1]
    labels = {row: int(_above(y, row % 2)[row]) for row in range(40)}
    before = _step({row: labels[row] for row in range(39)})
    features, _ = _pool()
    made = snapshot(features, labels, classes=NAMES, parents=PARENTS)
    again = learn(replace(made, previous=before), seed=3)
    assert [p.row for p in again.picks] == [p.row for p in learn(made, seed=3).picks]
