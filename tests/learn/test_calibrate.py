"""Scores become probabilities that are right as often as they say."""

from __future__ import annotations

import numpy as np

from annotator.learn.calibrate import Calibration, fit_calibration, penalty_strength, softmax


def penalised(found: Calibration, scores: np.ndarray, y: np.ndarray) -> float:
    fit = -np.log(found.proba(scores)[np.arange(len(y)), y]).sum()
    held = penalty_strength(len(y))
    away = held.temperature * np.log(found.temperature / 4) ** 2
    return float(fit + (held.offsets * (found.offsets**2).sum() + away) / 2)


def test_it_finds_the_temperature_and_offsets_that_made_the_labels() -> None:
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(20_000, 3))
    truth = Calibration(2.5, np.array([0.0, 1.0, -1.0]))
    y = (truth.proba(scores).cumsum(axis=1) < rng.random((20_000, 1))).sum(axis=1)
    found = fit_calibration(scores, y)
    assert abs(found.temperature - 2.5) < 0.1
    np.testing.assert_allclose(found.offsets - found.offsets.mean(), truth.offsets, atol=0.1)


def test_no_small_change_lowers_the_loss() -> None:
    rng = np.random.default_rng(1)
    scores, y = rng.normal(size=(40, 4)), rng.integers(4, size=40)
    found = fit_calibration(scores, y)
    best = penalised(found, scores, y)
    for _ in range(50):
        nearby = Calibration(
            found.temperature * np.exp(0.05 * rng.normal()),
            found.offsets + 0.05 * rng.normal(size=4),
        )
        assert penalised(nearby, scores, y) >= best - 1e-6


def test_separable_equal_or_single_labels_stay_finite() -> None:
    separable = np.array([[1.0, 0.0], [0.0, 1.0]] * 10)
    for scores, y in (
        (separable, np.array([0, 1] * 10)),
        (separable, np.zeros(20, dtype=int)),
        (np.zeros((1, 3)), np.array([2])),
        (np.zeros((5, 1)), np.zeros(5, dtype=int)),
    ):
        proba = fit_calibration(scores, y).proba(scores)
        assert np.isfinite(proba).all() and (proba > 0).all()
        assert (proba[np.arange(len(y)), y] >= 1 / scores.shape[1] - 1e-9).all()


def test_a_rare_class_that_scores_low_but_apart_is_recognised() -> None:
    rare = np.arange(200) % 16 == 0
    scores = np.where(rare, 0.3, 0.0)[:, None] * [-1.0, 1.0] + [1.0, 0.0]
    y = rare.astype(int)
    assert (softmax(4 * scores).argmax(axis=1) == 0).all()
    assert (fit_calibration(scores, y).proba(scores).argmax(axis=1) == y).mean() > 0.99


def test_ten_labels_do_not_let_the_most_frequent_class_take_everything() -> None:
    """Left out, a label of a class with few makes its class look rarer than it is."""
    y = np.array([0, 0, 0, 0, 1, 1, 2, 2, 3, 4])
    rng = np.random.default_rng(0)
    scores = 0.1 * rng.normal(size=(10, 5)) - 0.15 * np.eye(5)[y]  # worse than chance
    found = fit_calibration(scores, y)
    assert found.temperature > 1.5
    assert np.ptp(found.offsets) < 0.7
