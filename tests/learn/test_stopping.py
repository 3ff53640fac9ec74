"""Forecasts and stop advice: cautious, and never in the way."""

from __future__ import annotations

import numpy as np
import pytest

from annotator.learn.error_estimate import ErrorEstimate
from annotator.learn.reliability import model_agreement
from annotator.learn.stopping import (
    EstimatePoint,
    advise_stopping,
    extend_history,
    forecast_labels,
)


def estimate(error: float, high: float, n_eff: float = 50, low: float = 0.0) -> ErrorEstimate:
    return ErrorEstimate(error, low, high, n_eff, 100)


def curve(a: float, b: float, noise: float = 0.0) -> list[EstimatePoint]:
    rng = np.random.default_rng(0)
    labels = range(50, 301, 10)
    return [EstimatePoint(n, a * n**-b * np.exp(noise * rng.normal()), n / 5) for n in labels]


@pytest.mark.parametrize("noise", [0.0, 0.15])
def test_a_power_law_is_continued(noise: float) -> None:
    # 2 · n^-0.5 = 0.08 at n = 625
    found = forecast_labels(curve(2, 0.5, noise), 0.08)
    assert found is not None and 400 < found < 1000


def test_a_lower_target_takes_more_labels() -> None:
    points = curve(2, 0.5, 0.1)
    targets = [forecast_labels(points, target) for target in (0.11, 0.09, 0.07)]
    assert None not in targets
    assert targets == sorted(targets, key=int) and len(set(targets)) == 3  # type: ignore[arg-type]


def test_what_cannot_be_told_is_not_told() -> None:
    assert forecast_labels([], 0.05) is None
    assert forecast_labels(curve(0.4, 0.0), 0.01) is None  # flat: never
    assert forecast_labels(curve(2, 0.5), 0) is None


def test_a_target_that_is_reached_needs_no_more() -> None:
    assert forecast_labels(curve(2, 0.5), 0.5) == 300


def test_the_history_drops_what_was_taken_back_and_what_was_not_shown() -> None:
    points = extend_history(
        (EstimatePoint(50, 0.2, 10), EstimatePoint(60, 0.1, 12)), 55, estimate(0.15, 0.3)
    )
    assert [point.labels for point in points] == [50, 55]
    assert extend_history((), 20, estimate(0.15, 0.3, n_eff=3)) == ()
    assert extend_history((), 20, None) == ()


def test_agreement_is_one_for_equals_and_none_by_chance() -> None:
    rng = np.random.default_rng(0)
    one, other = rng.integers(2, size=20_000), rng.integers(2, size=20_000)
    assert model_agreement(one, one) == 1
    assert abs(model_agreement(one, other)) < 0.05
    assert model_agreement(np.zeros(5, int), np.zeros(5, int)) == 1


def test_stop_advice_rests_on_the_upper_end_not_on_the_estimate() -> None:
    assert advise_stopping(estimate(0.01, 0.05), [], target=0.02) is None
    found = advise_stopping(estimate(0.01, 0.018), [], target=0.02)
    assert found is not None and found.stop and "1.8 %" in found.reason
    assert advise_stopping(estimate(0.01, 0.018, n_eff=5), [], target=0.02) is None


def test_models_that_agree_are_reason_to_stop_only_without_a_target_that_is_missed() -> None:
    agreed = [0.7, 0.995, 0.99, 1.0]
    found = advise_stopping(estimate(0.1, 0.2), agreed, target=None)
    assert found is not None and found.stop
    assert advise_stopping(estimate(0.1, 0.2), agreed[:3], target=None) is None
    found = advise_stopping(estimate(0.1, 0.2, low=0.06), agreed, target=0.05)
    assert found is not None and not found.stop and "features" in found.reason
