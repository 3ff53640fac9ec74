"""Stopping: the labels still needed, the models' agreement, and advice on when to stop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from annotator.items.refs import format_percent
from annotator.learn.reliability import model_agreement

if TYPE_CHECKING:
    from annotator.learn.error_estimate import ErrorEstimate

AGREED_KAPPA = 0.99  # Bloodgood & Vijay-Shanker 2009, arXiv:1409.5165
AGREED_WINDOWS = 3
SLOPES = (0.05, 1.0)  # error ∝ labels^−b: as slow or as fast as learning curves get
USUAL_SLOPE = 0.35
RARE_SHARE, RARE_MIN_LABELS = 0.10, 20
MAX_FORECAST_FACTOR = 100  # no forecast beyond this multiple of the labels so far
COMPARISON_STEP = 10  # labels between two models that are compared
STOP_SET_SIZE = 1000  # items of the sample on which models are compared


@dataclass(frozen=True, slots=True)
class EstimatePoint:
    """One estimate of a session's history."""

    labels: int
    error: float
    n_eff: float
    low: float = 0.0
    high: float = 1.0
    """The ends of the 90 % interval."""


def extend_history(
    old: Sequence[EstimatePoint], labels: int, estimate: ErrorEstimate | None
) -> tuple[EstimatePoint, ...]:
    """Return the history with this estimate, if it is shown; labels taken back are dropped."""
    kept = tuple(point for point in old if point.labels < labels)
    if estimate is None or not estimate.shown:
        return kept
    point = EstimatePoint(labels, estimate.error, estimate.n_eff, estimate.low, estimate.high)
    return (*kept, point)


def forecast_labels(points: Sequence[EstimatePoint], target: float) -> int | None:
    """Forecast the total of labels at which the error reaches `target`; None if unknown.

    A power law error = a · labels^−b is fitted to the history on logarithmic scales, weighted by
    the effective numbers of labels; b is drawn towards 0.35 while the history is short.
    """
    if not points or target <= 0:
        return None
    last = points[-1]
    if last.error <= target:
        return last.labels
    floor = 0.5 / (last.n_eff + 1)
    x = np.log([point.labels for point in points])
    y = np.log([max(point.error, floor) for point in points])
    w = np.array([point.n_eff for point in points])
    x_mean, y_mean = np.average(x, weights=w), np.average(y, weights=w)
    prior = w.sum() * 0.1
    slope = -(w @ ((x - x_mean) * (y - y_mean)) - prior * USUAL_SLOPE) / (
        w @ (x - x_mean) ** 2 + prior
    )
    slope = float(np.clip(slope, *SLOPES))
    forecast = np.exp(x_mean + (y_mean - np.log(target)) / slope)
    if forecast > MAX_FORECAST_FACTOR * last.labels:
        return None
    return max(int(np.ceil(forecast)), last.labels + 1)


@dataclass(frozen=True, slots=True)
class ModelHistory:
    """The past estimates and models of a session.

    It grows with every ranking; an undone label removes its part.
    """

    points: tuple[EstimatePoint, ...] = ()
    """The estimates so far, by number of labels."""
    kappas: tuple[float, ...] = ()
    """Cohen's κ of models 10 labels apart on a fixed sample of the pool, latest last."""
    sample_classes: NDArray[Any] | None = None
    """(k,) the classes of that sample by the model at the last multiple of 10 labels; of tags
    (k, C)."""
    labels: int = 0

    def extended(
        self, labels: int, estimate: ErrorEstimate | None, sample_classes: NDArray[Any] | None
    ) -> ModelHistory:
        """Return the history with the model of `labels` labels added.

        `sample_classes` holds its classes of the sample if the model is one to compare.
        """
        points = extend_history(self.points, labels, estimate)
        if labels < self.labels or sample_classes is None:
            kept = self.kappas[: max(labels // COMPARISON_STEP - 1, 0)]
            before = self.sample_classes if labels >= self.labels else None
            return ModelHistory(points, kept, before, labels)
        before = self.sample_classes
        fresh: tuple[float, ...] = ()
        if before is not None and len(before) == len(sample_classes):
            fresh = (model_agreement(before.ravel(), sample_classes.ravel()),)
        return ModelHistory(points, (*self.kappas, *fresh), sample_classes, labels)


def is_comparison_due(labels: int, past: ModelHistory) -> bool:
    """Return whether the model of `labels` labels is compared: at every 10th label."""
    return labels // COMPARISON_STEP > past.labels // COMPARISON_STEP or (
        past.sample_classes is None and labels >= COMPARISON_STEP
    )


@dataclass(frozen=True, slots=True)
class StoppingAdvice:
    """Advice to stop or to continue, with its reason."""

    stop: bool
    reason: str


def advise_stopping(
    estimate: ErrorEstimate | None, kappas: Sequence[float], target: float | None
) -> StoppingAdvice | None:
    """Advise to stop if the error's upper end is at most `target` or models no longer change.

    kappas: the agreement of successive models, 10 labels apart, latest last. Returns None if
    there is nothing to advise.
    """
    if estimate is not None and estimate.shown and target is not None and estimate.high <= target:
        return StoppingAdvice(
            True,
            f"the error is at most {format_percent(estimate.high)} (target {100 * target:g} %)",
        )
    stable = len(kappas) >= AGREED_WINDOWS and np.mean(kappas[-AGREED_WINDOWS:]) >= AGREED_KAPPA
    if not stable:
        return None
    if target is not None and estimate is not None and estimate.shown and estimate.low > target:
        return StoppingAdvice(
            False,
            "more labels hardly change the model, but its error is above the target: "
            "other features or clearer classes may help more",
        )
    return StoppingAdvice(target is None, "more labels hardly change the model")


def rare_class(
    counts: NDArray[np.int64],
    total: int,
    least: int = RARE_MIN_LABELS,
    share: float | None = None,
) -> int | None:
    """Return the rarest class found if it is rare among the `total` labels; else None.

    A class is rare below 10 %, and below half of its share if all C classes were equal, or else
    below `share`. With fewer than `least` labels no class is rare.
    """
    seen = np.flatnonzero(counts)
    if total < least or len(seen) < 2:
        return None
    least_of = int(seen[counts[seen].argmin()])
    share = rare_share(len(counts)) if share is None else share
    return least_of if counts[least_of] < share * total else None


def rarest_class(
    counts: NDArray[np.int64], total: int, estimate: ErrorEstimate | None
) -> int | None:
    """Return the class that may be worth a search: rare among the labels, or else in the pool."""
    among_labels = rare_class(counts, total)
    return _rare_in_pool(estimate, counts) if among_labels is None else among_labels


def _rare_in_pool(estimate: ErrorEstimate | None, counts: NDArray[np.int64]) -> int | None:
    """Return the class with the least estimated share if it is rare in the pool; else None.

    The default strategy searches for a rare class unasked. So the class soon is no longer rare
    among the labels, but still rare in the pool.
    """
    seen = np.flatnonzero(counts)
    if estimate is None or not estimate.shown or not estimate.shares or len(seen) < 2:
        return None
    least = min(seen.tolist(), key=lambda c: estimate.shares[c].value)
    return least if estimate.shares[least].value < rare_share(len(counts)) else None


def rare_share(classes: int) -> float:
    """Return the share below which a class is rare among `classes` classes."""
    return min(RARE_SHARE, 0.5 / classes)
