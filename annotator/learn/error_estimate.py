"""An estimate of the current model's error on the whole pool, from labels drawn unequally.

A strategy asks mostly hard items, so the share of wrong predictions among the asked items is not an
estimate of the error on the pool: it is off by tens of points. Here each label gets a weight that
corrects for its draw (LURE: Farquhar, Gal & Rainforth, ICLR 2021, arXiv:2101.11665). Its error is
that of the current model fitted without it (leave-one-out). The model's own opinion of the whole
pool serves as a control variate (prediction-powered inference: Zrnic & Candès, ICML 2024,
arXiv:2403.03208; its power tuning: Angelopoulos, Duchi & Zrnic, arXiv:2311.01453).

Leave-one-out and the model's opinion are both fitted to the labels. If labels are coin flips, the
model finds a rule in them, and asks on until they happen to fit it: both are then too sure. Only
its predictions before each label cannot be (Dawid, JRSS-A 1984: the prequential principle). So the
share of chance's errors that these avoid decides how far the model is trusted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from annotator.learn.targets import ONE_CLASS, Targets

Array = NDArray[np.float64]

LEAST_N_EFF = 8.0
NORMAL_QUANTILE = 1.6449  # the 95 % quantile of the normal distribution
TUNING_PRIOR = 10.0  # pseudo-labels behind a control variate's coefficient of 1
OPINION_LABELS = 10.0  # the weight, in labels, of the model's own expectation
OPINION_PRECISION = 80.0  # as many labels as this would be as far from the truth as the expectation
PART_OPINION_LABELS = 15.0  # the same for a part of the pool
VARIANCE_PRIOR = 20.0  # pseudo-labels behind the variance that the model's doubt leaves unexplained
PART_VARIANCE_PRIOR = 3.0  # the same for a part of the pool
FULL_TRUST = 1 / 5  # the share of chance's errors that a model avoids if its opinion counts fully
MIN_PREDICTED = 5  # labels with a prediction before them, for any doubt about the model
MIN_UNEXPLAINED = 0.3  # of p (1 − p), at least
FIRST_LABEL_BIAS = 0.05
"""The share of the first label's leave-one-out error that its later neighbours would remove."""
CORRECTION_DEVIATION = 0.5
"""The standard error of the corrections by rules of thumb, as a share of the correction."""
STABLE, UNSTABLE = 0.25, 0.7
"""Between these shares of the error of chance, the interval widens in proportion."""
INSTABILITY = 1.2
"""The share by which it would widen from no error to the error of chance."""


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
    """The effective number of labels behind the estimate; below 8 it is not shown."""
    labels: int
    """The number of labels drawn with a known probability."""
    shares: tuple[Interval, ...] = ()
    """Each class's share of the whole pool."""
    tags: Interval | None = None
    """If an item may have several classes: the share of all (item, class) pairs that are wrong."""

    @property
    def shown(self) -> bool:
        """True if the estimate rests on enough labels to be shown."""
        return self.n_eff >= LEAST_N_EFF


@dataclass(frozen=True, slots=True)
class DrawnLabels:
    """The labels so far, with their draws.

    proba (n, C): out-of-sample probabilities; fitted (n, C): probabilities of the model fitted on
    all labels; y (n,): classes, or (n, C) tags; q (n,): probability of the draw, NaN if it was
    not random; pool (n,): number of rows that it was drawn from.
    """

    proba: Array
    fitted: NDArray[np.floating]
    y: NDArray[Any]
    q: Array
    pool: NDArray[np.int64]
    calibrated: bool = True
    """True if the probabilities were calibrated on out-of-sample scores, as the ridge's are."""
    missed: Array | None = None
    """(n,) 1 if the prediction before the label was wrong, 0 if it was right, NaN without one."""
    targets: Targets = ONE_CLASS
    tags_missed: Array | None = None
    """(n,) the share of tags that this prediction had wrong, NaN without one."""

    @property
    def has_tags(self) -> bool:
        """True if an item may have several classes."""
        return self.y.ndim == 2

    @property
    def random(self) -> NDArray[np.bool_]:
        """(n,) labels drawn with a known probability."""
        return np.asarray(np.isfinite(self.q) & (self.q > 0))


@dataclass(frozen=True, slots=True)
class Unlabelled:
    """The model's probabilities (m, C) for a scan of the `size` unlabelled rows."""

    proba: NDArray[np.floating]
    size: int


def lure_weights(q: Array, pool: NDArray[np.int64], rest: int) -> Array:
    """Return weights (n,), adding up to 1, of labels drawn with q (n,) out of pool (n,) rows.

    v = 1 + rest/(pool − 1) · (1/(pool · q) − 1), with `rest` rows still unlabelled: with
    pool = N − m + 1 and rest = N − M this is LURE. Clipped at 0 and self-normalised.
    """
    left = np.minimum(1.0, rest / np.maximum(pool - 1, 1))
    weights = np.maximum(1 + left * (1 / (pool * q) - 1), 0)
    total = weights.sum()
    return weights / total if total > 0 else np.full(len(q), 1 / len(q))


def estimate_error(drawn: DrawnLabels, rest: Unlabelled) -> ErrorEstimate | None:
    """Estimate the error and the class shares of all rows; None without a label of known q."""
    random = drawn.random
    if not random.any() or rest.size == 0:
        return None
    weights = lure_weights(drawn.q[random], drawn.pool[random], rest.size)
    error = _mean_loss(measure_losses(drawn, rest), weights, random, rest.size)
    tags = None
    if drawn.has_tags:
        tags = _mean_loss(_tag_losses(drawn, rest), weights, random, rest.size)
    trust, worth = _opinion(drawn)
    shares = tuple(
        _combine_estimates(
            drawn.targets.share(drawn.y, drawn.proba, c),
            _Variate(
                drawn.targets.class_proba(drawn.proba, c),
                drawn.targets.class_proba(rest.proba, c).astype(float),
                worth,
                trust,
            ),
            weights,
            random,
            rest.size,
        )
        for c in range(drawn.proba.shape[1])
    )
    n_eff = 1 / float((weights**2).sum())
    found = error.value, error.low, error.high
    return ErrorEstimate(*found, n_eff, int(random.sum()), shares, tags)


class Losses(NamedTuple):
    """The errors of a kind, of whole labels or of tags, with what the model expects of them."""

    wrong: Array
    """(n,) of the leave-one-out predictions."""
    known: Array
    """(n,) of the model that was fitted on the labels."""
    missed: Array | None
    """(n,) of the predictions before the labels, NaN without one."""
    doubt: Array
    """(n,) the expectation of `wrong`."""
    rest: Array
    """(m,) the expectation for the unlabelled rows."""
    chance: Callable[[NDArray[Any], Array | None], float]
    """The error of chance for labels, which may have weights that add up to 1."""
    y: NDArray[Any]
    calibrated: bool
    """True if the expectation was calibrated."""

    def trust(self, random: NDArray[np.bool_]) -> float:
        """Return from 0 to 1 how far labels confirm the model that predicted them.

        Chance draws classes by their shares. A model that avoids a fifth of its errors, or more,
        has full trust; one that avoids none has none.
        """
        if self.missed is None:
            return 1.0
        predicted = random & np.isfinite(self.missed)
        if predicted.sum() < MIN_PREDICTED:
            return 1.0
        chance = self.chance(self.y[predicted], None)
        if chance == 0:
            return 1.0
        return float(np.clip((1 - self.missed[predicted].mean() / chance) / FULL_TRUST, 0, 1))

    def worth(self, trust: float, labels: float = OPINION_LABELS) -> float:
        """Return the weight, in labels, of an expectation with this trust."""
        return labels * trust if self.calibrated else 0.0


def measure_losses(drawn: DrawnLabels, rest: Unlabelled) -> Losses:
    """Return the errors of whole labels. A set of tags is wrong if one tag is.

    How sure a model is of a whole set is not calibrated: it takes tags for independent.
    """
    targets = drawn.targets
    return Losses(
        targets.is_wrong(drawn.proba, drawn.y).astype(float),
        targets.is_wrong(drawn.fitted, drawn.y).astype(float),
        drawn.missed,
        1 - targets.confidence(drawn.proba),
        1 - targets.confidence(rest.proba).astype(float),
        _class_chance,
        targets.codes(drawn.y),
        drawn.calibrated and not drawn.has_tags,
    )


def _tag_losses(drawn: DrawnLabels, rest: Unlabelled) -> Losses:
    """Return for each label the share of its tags that are wrong (the Hamming loss)."""
    decide, y = drawn.targets.decide, drawn.y.astype(float)

    def doubt(proba: NDArray[Any]) -> Array:
        return np.asarray(np.where(decide(proba), 1 - proba, proba).mean(axis=1), float)

    return Losses(
        (decide(drawn.proba) != drawn.y).mean(axis=1),
        (decide(drawn.fitted) != drawn.y).mean(axis=1),
        drawn.tags_missed,
        doubt(drawn.proba),
        doubt(rest.proba),
        _tag_chance,
        y,
        drawn.calibrated,
    )


def _class_chance(y: NDArray[np.int64], weights: Array | None) -> float:
    shares = np.bincount(y) / len(y) if weights is None else np.bincount(y, weights=weights)
    return 1 - float(shares @ shares)


def _tag_chance(y: Array, weights: Array | None) -> float:
    shares = y.mean(axis=0) if weights is None else weights @ y
    return float((2 * shares * (1 - shares)).mean())


def _mean_loss(losses: Losses, weights: Array, random: NDArray[np.bool_], rest: int) -> Interval:
    """Estimate the mean of the losses over all rows."""
    trust = losses.trust(random)
    doubt = _Variate(losses.doubt, losses.rest, losses.worth(trust), trust, by_weight=True)
    error = _mean_in_part(losses, doubt, trust, weights, random, np.ones(len(random), bool), rest)
    chance = error.value * (1 - error.value) / (len(random) + rest)  # that the pool is a sample
    error = _widen(error, NORMAL_QUANTILE * np.sqrt(chance))
    return _widen_near_chance(error, losses.chance(losses.y[random], weights))


def _mean_in_part(
    losses: Losses,
    doubt: _Variate,
    trust: float,
    weights: Array,
    random: NDArray[np.bool_],
    labelled: NDArray[np.bool_],
    rest: int,
) -> Interval:
    """Estimate the mean of the losses over `rest` rows and the labels of `labelled` (n,)."""
    later = _debias_leave_one_out(losses.wrong, losses.known)
    corrected = _join_predictions(later, losses.missed, trust)
    return _correct_interval(
        _combine_estimates(corrected[labelled], doubt, weights, random[labelled], rest),
        trust * float(weights @ (losses.wrong - later)[labelled & random]),
        trust * _estimate_pessimism(losses.wrong[labelled], losses.known[labelled], rest),
    )


def _opinion(drawn: DrawnLabels) -> tuple[float, float]:
    """Return the trust in the probabilities of classes or tags, and their weight in labels."""
    nothing = Unlabelled(drawn.proba[:0], 0)
    losses = (_tag_losses if drawn.has_tags else measure_losses)(drawn, nothing)
    trust = losses.trust(drawn.random)
    return trust, losses.worth(trust)


def estimate_precision(drawn: DrawnLabels, rest: Unlabelled, c: int) -> Interval | None:
    """Estimate the share of class c among the unlabelled rows that the model takes for class c.

    None while there is no such row, or no randomly drawn label that the model takes for class c.
    """
    called, among = (drawn.targets.predicted_as(proba, c) for proba in (drawn.proba, rest.proba))
    chosen = called & drawn.random
    if not chosen.any() or not among.any():
        return None
    weights = lure_weights(drawn.q[chosen], drawn.pool[chosen], rest.size)
    trust, worth = _opinion(drawn)
    proba = drawn.targets.class_proba(drawn.proba[chosen], c)
    others = drawn.targets.class_proba(rest.proba[among], c).astype(float)
    variate = _Variate(proba, others, worth, trust)
    size = max(round(float(among.mean()) * rest.size), 1)
    value = drawn.targets.share(drawn.y[chosen], drawn.proba[chosen], c)
    everywhere = np.ones(int(chosen.sum()), bool)
    return _combine_estimates(value, variate, weights, everywhere, size)


def estimate_part(
    drawn: DrawnLabels,
    losses: Losses,
    pool: int,
    labelled: NDArray[np.bool_],
    among: NDArray[np.bool_],
    size: int,
) -> ErrorEstimate | None:
    """Estimate the error on a part of the pool: a ratio of weighted sums over the labels in it.

    `losses` are those of all labels, `pool` rows are unlabelled. labelled (n,), among (m,): True
    for the labels and the scanned unlabelled rows in the part; `size` unlabelled rows are in it. A
    part whose unlabelled rows are not known has no row among the scanned ones. None without a label
    of known q in the part.
    """
    chosen = labelled & drawn.random
    if not chosen.any():
        return None
    trust = losses.trust(drawn.random)
    weights = lure_weights(drawn.q[chosen], drawn.pool[chosen], pool)
    own = losses.doubt[labelled]
    doubt = _Variate(own, own, 0.0, 0.0, PART_VARIANCE_PRIOR)
    if among.any():
        worth = losses.worth(trust, PART_OPINION_LABELS)
        doubt = _Variate(own, losses.rest[among], worth, trust, PART_VARIANCE_PRIOR)
    found = _mean_in_part(losses, doubt, trust, weights, drawn.random, labelled, size)
    n_eff = 1 / float((weights**2).sum())
    return ErrorEstimate(found.value, found.low, found.high, n_eff, int(chosen.sum()))


def _join_predictions(later: Array, missed: Array | None, trust: float) -> Array:
    """Return the errors (n,): leave-one-out for early labels, predictions before late ones.

    A trusted model has improved since its early predictions, so leave-one-out stands for these. A
    model without trust has not, and all its predictions count.
    """
    if missed is None:
        return later
    place = np.arange(1, len(later) + 1) / len(later)
    share = 1 - trust * (1 - place)
    return np.asarray(later + share * (np.where(np.isfinite(missed), missed, later) - later))


def _debias_leave_one_out(wrong: Array, known: Array) -> Array:
    """Return the leave-one-out errors (n,), those of early labels lowered a little.

    Every label keeps the strategy from asking its neighbours. So the more labels came after a
    label, the more its leave-one-out error overstates that of a new image of its kind. In 14
    sessions on CIFAR-10 with 200 labels the weighted error was 0.39 for the last 40 labels and
    0.51 for the first 40; the true error was 0.41. `known` (n,): the errors of the model that
    was fitted on the labels.
    """
    after = 1 - np.arange(1, len(wrong) + 1) / len(wrong)
    return np.asarray(wrong - FIRST_LABEL_BIAS * after * np.maximum(wrong - known, 0))


def _estimate_pessimism(wrong: Array, known: Array, rest: int) -> float:
    """Return how much leave-one-out overstates the error, because of the labelled rows.

    Had such a row not been there, the strategy would have asked another of its kind, if one is
    left. So the labelled rows count, by their share of the pool, with 0.632 of their leave-one-out
    error and 0.368 of that of the model fitted on them (the shares of Efron's .632 estimator, JASA
    1983). The more of the pool is labelled, the less of this correction remains.
    """
    share = len(wrong) / (len(wrong) + rest)
    return float(0.368 * share * (1 - share) * max(wrong.mean() - known.mean(), 0))


def _correct_interval(interval: Interval, lowered: float, pessimism: float) -> Interval:
    """Lower an interval by `pessimism`, and widen it by the uncertainty of the corrections.

    `lowered` is the correction that the interval already holds. The standard error of these rules
    of thumb is unknown; half of their correction stands for it.
    """
    wide = _widen(interval, NORMAL_QUANTILE * CORRECTION_DEVIATION * (lowered + pessimism))
    return Interval(*(float(np.clip(end - pessimism, 0, 1)) for end in _interval_ends(wide)))


def _widen(interval: Interval, unsure: float) -> Interval:
    """Join the interval with another source of error, whose 90 % interval is ± unsure."""
    value, low, high = _interval_ends(interval)
    below, above = np.hypot(value - low, unsure), np.hypot(high - value, unsure)
    return Interval(value, float(value - below), float(value + above))


def _widen_near_chance(interval: Interval, chance: float) -> Interval:
    """Widen an interval as far as the error is near that of chance.

    A model near chance changes much with each label. Then the leave-one-out errors depend on each
    other, and no estimate of their variance is unbiased (Bengio and Grandvalet, JMLR 2004).
    """
    value, low, high = _interval_ends(interval)
    near = float(np.clip(value / chance, STABLE, UNSTABLE)) if chance > 0 else STABLE
    factor = 1 + INSTABILITY * (near - STABLE)
    ends = value, value - factor * (value - low), value + factor * (high - value)
    return Interval(*(float(np.clip(end, 0, 1)) for end in ends))


def _interval_ends(interval: Interval) -> tuple[float, float, float]:
    return interval.value, interval.low, interval.high


@dataclass(frozen=True, slots=True)
class _Variate:
    """The model's expectation for each label (n,) and for the scanned unlabelled rows (m,)."""

    labelled: Array
    unlabelled: Array
    worth: float
    """The weight, in labels, of the expectation for the whole pool."""
    trust: float = 1.0
    """The share of its use as a control variate."""
    prior: float = VARIANCE_PRIOR
    """The pseudo-labels behind the variance that it leaves unexplained."""
    by_weight: bool = False
    """True if the variance heeds which labels are far off: those of great or small weight."""


def _combine_estimates(
    value: Array, variate: _Variate, weights: Array, random: NDArray[np.bool_], rest: int
) -> Interval:
    """Estimate the mean of `value` over all rows.

    Rows labelled without a known q are a known part of the pool. The others are estimated by the
    weighted mean of the randomly drawn rows, corrected by the difference between the model's
    expectation for them and for all rows. A calibrated model's expectation for all rows counts as
    10 more labels.
    """
    e, f = value[random], variate.labelled[random]
    mean_f = (f.sum() + rest * variate.unlabelled.mean()) / (len(f) + rest)
    n_eff = 1 / (weights**2).sum()
    explained = float(variate.unlabelled.var())
    tuning = variate.trust * _tuning_coefficient(e, f, weights, n_eff, explained)
    found = float(weights @ e + tuning * (mean_f - weights @ f))
    off = (e - tuning * f - weights @ (e - tuning * f)) ** 2
    spread = (n_eff * weights**2 if variate.by_weight else weights) @ off
    n = n_eff + variate.worth
    seen = float(n_eff * (weights @ e) + variate.worth * mean_f + 1) / (n + 2)
    usual = _unexplained_variance(seen, tuning if variate.worth else 0.0, explained)
    spread *= n_eff / max(n_eff - 1, 1)
    variance = (n_eff * spread + variate.prior * usual) / (n_eff + variate.prior)
    if variate.by_weight:
        own = variate.worth * seen * (1 - seen) / OPINION_PRECISION
        variance = (n_eff * variance + variate.worth * own) / n
    joined = float(n_eff * found + variate.worth * mean_f) / n
    interval = share_interval(joined, float(variance), float(n), float(n_eff))
    return _join_known(interval, value[~random], len(f) + rest)


def _tuning_coefficient(
    e: Array, f: Array, weights: Array, n_eff: float, pool_variance: float
) -> float:
    """Return the control variate's coefficient: the regression of e on f, shrunk towards 1."""
    de, df = e - weights @ e, f - weights @ f
    above = n_eff * (weights @ (de * df)) + TUNING_PRIOR * pool_variance
    below = n_eff * (weights @ df**2) + TUNING_PRIOR * pool_variance
    return float(np.clip(above / below, 0, 1.2)) if below > 0 else 0.0


def _unexplained_variance(p: float, tuning: float, explained: float) -> float:
    """Return the variance of e − tuning · f, with f the calibrated probability of e and p its mean.

    By the law of total variance p (1 − p) is the variance of f plus what f leaves unexplained.
    """
    whole = p * (1 - p)
    return max(whole - (2 - tuning) * tuning * explained, MIN_UNEXPLAINED * whole)


def share_interval(value: float, variance: float, n: float, seen: float) -> Interval:
    """Return the 90 % interval of a share that rests on n labels of this variance.

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
    """Join an estimate for `others` rows with rows whose value is known."""
    share, mean = len(known) / (len(known) + others), known.mean() if len(known) else 0.0
    value, low, high = (
        float(share * mean + (1 - share) * part) for part in _interval_ends(interval)
    )
    return Interval(value, low, high)
