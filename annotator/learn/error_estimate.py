"""The error of the current model on the whole pool, from labels that were asked unequally.

The items a strategy asks are the hard ones, so the error on each label as it comes is no
estimate of the error on the pool; it is off by tens of points. Here each label counts with the
weight that undoes how it was drawn (LURE: Farquhar, Gal & Rainforth, ICLR 2021,
arXiv:2101.11665), its error is that of the current model without it (leave-one-out), and the
model's own opinion of the whole pool serves as a control variate (prediction-powered
inference: Zrnic & Candès, ICML 2024, arXiv:2403.03208; its power tuning: Angelopoulos, Duchi &
Zrnic, arXiv:2311.01453).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

LEAST_N_EFF = 8.0
NORMAL_QUANTILE = 1.6449  # the 95 % quantile of the normal distribution
TUNING_PRIOR = 10.0  # pseudo-labels behind a control variate's coefficient of 1
OPINION_LABELS = 10.0  # labels that the model's own expectation is worth
VARIANCE_PRIOR = 20.0  # pseudo-labels behind the variance that the model's doubt leaves unexplained
MIN_UNEXPLAINED = 0.3  # of p (1 − p), at least
FIRST_LABEL_BIAS = (
    0.05  # of the leave-one-out error of the first label that its later neighbours would mend
)
CORRECTION_DEVIATION = (
    0.5  # of what the corrections by rules of thumb take off, as its standard error
)


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate between 0 and 1, with the ends of its 90 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class ErrorEstimate:
    """Estimated error of the current model on the whole pool, with a 90 % interval."""

    error: float
    low: float
    high: float
    n_eff: float
    """Effective number of labels behind it; below 8 it is not worth showing."""
    labels: int
    """Labels drawn with a known probability."""
    shares: tuple[Interval, ...] = ()
    """Each class's share of the whole pool."""

    @property
    def shown(self) -> bool:
        """Whether it rests on enough labels to be shown."""
        return self.n_eff >= LEAST_N_EFF


@dataclass(frozen=True, slots=True)
class DrawnLabels:
    """The labels so far, as they were drawn.

    proba (n, C): out-of-sample probabilities; fitted (n, C): those of the model that knows all
    labels; y (n,); q (n,) probability of the draw, NaN where it was not random; pool (n,) rows
    that it was drawn from.
    """

    proba: Array
    fitted: NDArray[np.floating]
    y: NDArray[np.int64]
    q: Array
    pool: NDArray[np.int64]
    calibrated: bool = True
    """Whether the probabilities were calibrated on out-of-sample scores, as the ridge's are."""

    @property
    def random(self) -> NDArray[np.bool_]:
        """(n,) labels drawn with a known probability."""
        return np.asarray(np.isfinite(self.q) & (self.q > 0))


@dataclass(frozen=True, slots=True)
class Unlabelled:
    """The model's probabilities (m, C) for a scan of the unlabelled rows, of which `size` exist."""

    proba: NDArray[np.floating]
    size: int


def lure_weights(q: Array, pool: NDArray[np.int64], rest: int) -> Array:
    """Weights (n,), adding up to 1, of labels drawn with q (n,) out of pool (n,) rows.

    v = 1 + rest/(pool − 1) · (1/(pool · q) − 1), with `rest` rows still unlabelled: with
    pool = N − m + 1 and rest = N − M this is LURE. Clipped at 0 and self-normalised.
    """
    left = np.minimum(1.0, rest / np.maximum(pool - 1, 1))
    weights = np.maximum(1 + left * (1 / (pool * q) - 1), 0)
    total = weights.sum()
    return weights / total if total > 0 else np.full(len(q), 1 / len(q))


def estimate_error(drawn: DrawnLabels, rest: Unlabelled) -> ErrorEstimate | None:
    """The error and the class shares of all rows; None without a label of known q."""
    random = drawn.random
    if not random.any() or rest.size == 0:
        return None
    weights = lure_weights(drawn.q[random], drawn.pool[random], rest.size)
    wrong = (drawn.proba.argmax(axis=1) != drawn.y).astype(float)
    known = (drawn.fitted.argmax(axis=1) != drawn.y).astype(float)
    worth, mended = OPINION_LABELS if drawn.calibrated else 0.0, _debias_leave_one_out(wrong, known)
    doubt = _Variate(1 - drawn.proba.max(axis=1), 1 - rest.proba.max(axis=1).astype(float), worth)
    error = _correct_interval(
        _combine_estimates(mended, doubt, weights, random, rest.size),
        float(weights @ (wrong - mended)[random]),
        _estimate_pessimism(wrong, known, rest.size),
    )
    shares = tuple(
        _combine_estimates(
            (drawn.y == c).astype(float),
            _Variate(drawn.proba[:, c], rest.proba[:, c].astype(float), worth),
            weights,
            random,
            rest.size,
        )
        for c in range(drawn.proba.shape[1])
    )
    n_eff = 1 / float((weights**2).sum())
    return ErrorEstimate(error.value, error.low, error.high, n_eff, int(random.sum()), shares)


def estimate_precision(drawn: DrawnLabels, rest: Unlabelled, c: int) -> Interval | None:
    """Of the unlabelled rows that the model takes for class c, the share that is of class c.

    None while there is no such row, or no randomly drawn label among those taken for c.
    """
    called, among = drawn.proba.argmax(axis=1) == c, rest.proba.argmax(axis=1) == c
    chosen = called & drawn.random
    if not chosen.any() or not among.any():
        return None
    weights = lure_weights(drawn.q[chosen], drawn.pool[chosen], rest.size)
    worth = OPINION_LABELS if drawn.calibrated else 0.0
    variate = _Variate(drawn.proba[chosen, c], rest.proba[among, c].astype(float), worth)
    size = max(round(float(among.mean()) * rest.size), 1)
    value, everywhere = (drawn.y[chosen] == c).astype(float), np.ones(int(chosen.sum()), bool)
    return _combine_estimates(value, variate, weights, everywhere, size)


def _debias_leave_one_out(wrong: Array, known: Array) -> Array:
    """Errors (n,) of leave-one-out, those of early labels a little mended.

    Every label keeps the strategy from asking its neighbours, and so the more labels came after
    it, the more its leave-one-out error overstates that of a new image of its kind. In 14
    sessions on CIFAR-10 with 200 labels the last 40, weighted, had an error of 0.39, the first
    40 of 0.51; the true one was 0.41. `known` (n,) are the errors of the model that knows the
    labels.
    """
    after = 1 - np.arange(1, len(wrong) + 1) / len(wrong)
    return np.asarray(wrong - FIRST_LABEL_BIAS * after * np.maximum(wrong - known, 0))


def _estimate_pessimism(wrong: Array, known: Array, rest: int) -> float:
    """How much leave-one-out overstates the error on the labelled rows themselves.

    By the part of the pool that they are, they count with 0.632 of their leave-one-out error
    and 0.368 of the error of the model that knows them (the shares of Efron's .632 estimator,
    JASA 1983): the others of their kind were mostly asked, too, or are near. It matters where a
    large part of a small pool is labelled.
    """
    share = len(wrong) / (len(wrong) + rest)
    return float(0.368 * share * max(wrong.mean() - known.mean(), 0))


def _correct_interval(interval: Interval, mended: float, pessimism: float) -> Interval:
    """Less by `pessimism`, and as much wider as rules of thumb are unsure.

    `mended` is what the interval is less by already. Nobody knows the standard error of such
    rules; half of what they take off stands for it.
    """
    unsure = NORMAL_QUANTILE * CORRECTION_DEVIATION * (mended + pessimism)
    value, low, high = _interval_ends(interval)
    ends = (value, value - np.hypot(value - low, unsure), value + np.hypot(high - value, unsure))
    return Interval(*(float(np.clip(end - pessimism, 0, 1)) for end in ends))


def _interval_ends(interval: Interval) -> tuple[float, float, float]:
    return interval.value, interval.low, interval.high


@dataclass(frozen=True, slots=True)
class _Variate:
    """What the model expects of each label (n,) and of the scanned unlabelled rows (m,)."""

    labelled: Array
    unlabelled: Array
    worth: float
    """Labels that what it expects of the whole pool counts as."""


def _combine_estimates(
    value: Array, variate: _Variate, weights: Array, random: NDArray[np.bool_], rest: int
) -> Interval:
    """The mean of `value` over all rows.

    The rows labelled without a known q are a part of the pool that is known; the others are
    estimated by the weighted mean of the randomly drawn ones, corrected by how much the model
    expects of those against all. What a calibrated model expects of all counts as 10 labels more.
    """
    e, f = value[random], variate.labelled[random]
    mean_f = (f.sum() + rest * variate.unlabelled.mean()) / (len(f) + rest)
    n_eff = 1 / (weights**2).sum()
    explained = float(variate.unlabelled.var())
    tuning = _tuning_coefficient(e, f, weights, n_eff, explained)
    found = float(weights @ e + tuning * (mean_f - weights @ f))
    residual = e - tuning * f
    spread = weights @ (residual - weights @ residual) ** 2 * n_eff / max(n_eff - 1, 1)
    n = n_eff + variate.worth
    seen = float(n_eff * (weights @ e) + variate.worth * mean_f + 1) / (n + 2)
    usual = _unexplained_variance(seen, tuning if variate.worth else 0.0, explained)
    variance = (n_eff * spread + VARIANCE_PRIOR * usual) / (n_eff + VARIANCE_PRIOR)
    joined = float(n_eff * found + variate.worth * mean_f) / n
    interval = share_interval(joined, float(variance), float(n), float(n_eff))
    return _join_known(interval, value[~random], len(f) + rest)


def _tuning_coefficient(
    e: Array, f: Array, weights: Array, n_eff: float, pool_variance: float
) -> float:
    """The control variate's coefficient: weighted regression of e on f, shrunk towards 1."""
    de, df = e - weights @ e, f - weights @ f
    above = n_eff * (weights @ (de * df)) + TUNING_PRIOR * pool_variance
    below = n_eff * (weights @ df**2) + TUNING_PRIOR * pool_variance
    return float(np.clip(above / below, 0, 1.2)) if below > 0 else 0.0


def _unexplained_variance(p: float, tuning: float, explained: float) -> float:
    """The variance of e − tuning · f where f is the calibrated probability of e, p its mean.

    By the law of total variance p (1 − p) is that of f and what f leaves open.
    """
    whole = p * (1 - p)
    return max(whole - (2 - tuning) * tuning * explained, MIN_UNEXPLAINED * whole)


def share_interval(value: float, variance: float, n: float, seen: float) -> Interval:
    """90 % interval of a share that n labels, each of this variance, stand behind.

    The quantiles of the beta distribution of that mean and variance, widened as Student's t
    with seen − 1 degrees is wider than the normal distribution. Unlike a normal interval on any
    scale it stays sensible near 0 and 1.
    """
    from scipy.special import betaincinv, stdtrit

    p = float(np.clip(value, 0.25 / (n + 1), 1 - 0.25 / (n + 1)))
    squared = variance / n * (float(stdtrit(max(seen - 1, 1.0), 0.95)) / NORMAL_QUANTILE) ** 2
    count = max(p * (1 - p) / max(squared, 1e-12) - 1, 1.0)
    low, high = (float(betaincinv(p * count, (1 - p) * count, end)) for end in (0.05, 0.95))
    value = float(np.clip(value, 0, 1))
    return Interval(value, min(low, value), max(high, value))


def _join_known(interval: Interval, known: Array, others: int) -> Interval:
    """An estimate for `others` rows, joined with rows whose value is known."""
    share, mean = len(known) / (len(known) + others), known.mean() if len(known) else 0.0
    value, low, high = (
        float(share * mean + (1 - share) * part) for part in _interval_ends(interval)
    )
    return Interval(value, low, high)
