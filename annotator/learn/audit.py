"""The audit: which of the model's labels may be accepted, and a certificate of their error.

Predictions above a confidence threshold are accepted only after an audit: rows drawn uniformly
from the accepted ones and labelled without sight of the prediction. The audit is judged by a bet
against "the error is at least max_error" (Waudby-Smith & Ramdas, "Estimating means of bounded
random variables by betting", JRSS-B 2024, and for draws without replacement NeurIPS 2020,
arXiv:2006.04347). Once the stake has grown by 1/α, the claim is refuted. The refutation holds at
any time of looking, so the annotator may label until the audit is certified. With no error seen and
one bet, this is the exact binomial rule: 299 labels for 1 % at 95 %.

An audit that will hardly succeed is given up, by stochastic curtailment (Lan, Simon & Halperin,
Sequential Analysis 1982) with predictive power (Spiegelhalter, Freedman & Blackburn, Controlled
Clinical Trials 1986). To give up certifies nothing, so α holds as before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from annotator.learn.error_estimate import DrawnLabels, lure_weights
from annotator.learn.stopping import EstimatePoint, forecast_labels

MAX_THRESHOLDS = 200
_LOOKS = (2_000, 20_000)  # numbers of labels tried; no audit is planned that takes more
_OFFERED_ERRORS = (
    0.001,
    0.002,
    0.003,
    0.005,
    0.01,
    0.02,
    0.03,
    0.05,
    0.08,
    0.1,
    0.15,
    0.2,
    0.3,
    0.5,
)
ERROR_PRIOR = 20.0  # the weight, in labels, of the model's own opinion of its errors
MIN_SPARED = 20  # labels that a worthwhile audit spares, at least
MIN_GAIN = 0.5  # labels spared for each label of a worthwhile audit, at least
MIN_CHANCE = 0.01  # of success; an audit with less is given up
FIRST_ALPHA_SHARE = 0.9  # the share of α for the first attempt; each later one gets half the rest


@dataclass(frozen=True, slots=True)
class AuditPlan:
    """The rows to accept and the rules of the audit; fixed before the audit begins."""

    threshold: float
    """Least probability of an accepted prediction."""
    size: int
    """The number of accepted rows."""
    expected_error: float
    expected_audit: int
    """The number of labels that the audit takes if the expectation is right."""
    max_error: float
    alpha: float
    bets: tuple[float, ...]
    """The errors bet on, as shares of max_error; the stake is spread evenly over them."""

    @property
    def allowed(self) -> int:
        """The number of accepted labels that may be wrong."""
        return int(self.max_error * self.size)


@dataclass(frozen=True, slots=True)
class AuditVerdict:
    """The result of an audit so far."""

    audited: int
    wrong: int
    certified: bool
    bound: float
    """The upper bound of the accepted rows' error, with the plan's confidence."""
    more: int | None
    """Labels still needed if no further error is found; None if certified or given up."""


def plan_audit(
    confidence: NDArray[np.floating],
    drawn: DrawnLabels,
    rest: int,
    *,
    max_error: float,
    level: float = 0.95,
    attempt: int = 1,
    most_thresholds: int = MAX_THRESHOLDS,
) -> AuditPlan | None:
    """Find the threshold that spares most labels; None if no threshold makes an audit worthwhile.

    confidence (m,): how sure the model is of each unlabelled row, or of a sample of the `rest`
    unlabelled rows. Each attempt at a pool spends its part of α = 1 − level, so that
    all attempts together stay within α.
    """
    alpha = spent_alpha(1 - level, attempt)
    parts = [
        (round(float((confidence >= threshold).mean()) * rest), float(threshold))
        for threshold in _thresholds(confidence, most_thresholds)
    ]
    expected = [expected_error(confidence, drawn, rest, threshold) for _, threshold in parts]
    return _best_plan(parts, expected, max_error, alpha)


def plan_next_attempt(
    confidence: NDArray[np.floating],
    rest: int,
    asked: NDArray[np.floating],
    wrong: NDArray[np.bool_],
    plan: AuditPlan,
    alpha: float,
) -> AuditPlan | None:
    """Find the higher threshold that a new audit with this α should have; None if none is worth it.

    confidence (m,): how sure the model is of each row of the present audit that is not drawn yet,
    or of a sample of these `rest` rows; asked (n,), wrong (n,): how sure it was of the drawn rows,
    and which it had wrong.
    """
    parts, expected = [], []
    for threshold in map(float, _thresholds(confidence) if len(confidence) else ()):
        inside, seen = confidence >= threshold, asked >= threshold
        opinion, count = float((1 - confidence[inside]).mean()), int(seen.sum())
        off = float((wrong[seen] - (1 - asked[seen])).mean()) if count else 0.0
        parts.append((round(float(inside.mean()) * rest), threshold))
        expected.append(_correct_opinion(opinion, count, off))
    return _best_plan(parts, expected, plan.max_error, alpha)


def _best_plan(
    parts: Sequence[tuple[int, float]], expected: Sequence[float], max_error: float, alpha: float
) -> AuditPlan | None:
    """Return the plan for the part, a size with its threshold, that spares most labels."""
    for length in (_careful_audit, _expected_audit):
        plans = [
            AuditPlan(threshold, size, error, audit, max_error, alpha, _bets(error / max_error))
            for (size, threshold), error in zip(parts, expected, strict=True)
            if error < max_error
            and is_worthwhile(
                size, audit := length(error, max_error, alpha, _bets(error / max_error), size)
            )
        ]
        if plans:
            best = max(plans, key=lambda plan: plan.size - plan.expected_audit)
            likely = _expected_audit(best.expected_error, max_error, alpha, best.bets, best.size)
            return replace(best, expected_audit=likely)
    return None


def is_worthwhile(size: int, audit: int) -> bool:
    """Return whether `audit` labels to accept `size` rows spare enough of them."""
    return size - audit >= max(MIN_SPARED, MIN_GAIN * audit)


@dataclass(frozen=True, slots=True)
class AuditShortfall:
    """The reasons why there is no plan, and what a plan would need."""

    least_audit: int
    """The labels of an audit that finds no error; all rows if fewer are not enough."""
    surest: int
    """Size of the surest part that is at least twice its shortest audit; 0 without such a part."""
    error: float
    """The share of that part that is expected to be wrong."""
    labels: int | None
    """The total of labels at which the model might be good enough; None if unknown."""
    other: AuditPlan | None
    """The plan for the least larger error, in round numbers, that spares a tenth of the rows."""


def explain_shortfall(
    confidence: NDArray[np.floating],
    drawn: DrawnLabels,
    rest: int,
    *,
    max_error: float,
    level: float = 0.95,
    attempt: int = 1,
) -> AuditShortfall:
    """Explain why `plan_audit` found no plan for the same arguments."""
    alpha = spent_alpha(1 - level, attempt)
    parts = [
        (expected_error(confidence, drawn, rest, float(threshold)), size)
        for threshold in _thresholds(confidence)
        if (size := round(float((confidence >= threshold).mean()) * rest))
        >= 2 * _expected_audit(0.0, max_error, alpha, (0.0,), size)
    ]
    error, surest = min(parts) if parts else (0.0, 0)
    reach = EstimatePoint(len(drawn.y), error, len(drawn.y))
    others = (
        plan_audit(confidence, drawn, rest, max_error=limit, level=level, attempt=attempt)
        for limit in _OFFERED_ERRORS
        if limit > max_error
    )
    return AuditShortfall(
        least_audit=_expected_audit(0.0, max_error, alpha, (0.0,), surest or rest),
        surest=surest,
        error=error,
        labels=forecast_labels([reach], max_error / 2) if surest else None,
        other=next(
            (plan for plan in others if plan and plan.size - plan.expected_audit >= rest / 10), None
        ),
    )


def _thresholds(
    confidence: NDArray[np.floating], most: int = MAX_THRESHOLDS
) -> NDArray[np.floating]:
    return np.unique(np.quantile(confidence, np.linspace(0, 0.995, most)))


def spent_alpha(alpha: float, attempt: int) -> float:
    """Return the part of α for the n-th attempt; the parts of all attempts add up to α."""
    return alpha * (
        FIRST_ALPHA_SHARE if attempt == 1 else (1 - FIRST_ALPHA_SHARE) / 2 ** (attempt - 1)
    )


def _bets(ratio: float) -> tuple[float, ...]:
    """Bet all on "no error at all" if an error would be a surprise; else spread the stake."""
    if ratio < 1 / 30:
        return (0.0,)
    return (0.05, min(max(ratio, 0.1), 0.8), 0.5)


def _careful_audit(
    error: float, limit: float, alpha: float, bets: tuple[float, ...], size: int
) -> int:
    """Return the length of an audit by the growth of the best single bet in an infinite set.

    An audit of a small set takes fewer labels. But the expected error is itself an estimate: to
    choose by the shorter length lowers the threshold, and in simulated runs more audits failed.
    """
    growth = max(
        (1 - error) * np.log((1 - bet * limit) / (1 - limit))
        + (error * np.log(bet) if bet > 0 else (-np.inf if error > limit / 30 else 0.0))
        for bet in bets
    )
    length = int(np.ceil(np.log(len(bets) / alpha) / growth)) if growth > 0 else size
    return min(length, size)


def _expected_audit(
    error: float, limit: float, alpha: float, bets: tuple[float, ...], size: int
) -> int:
    """Return the labels until an audit of `size` rows certifies if errors come evenly.

    It is `size` if the audit does not certify. Drawn without replacement, a small set takes fewer
    labels than a large one.
    """
    for most in _LOOKS:
        further = spread_evenly(error if max(bets) > 0 else 0.0, min(most, size)).astype(float)
        enough = log_stakes(further, limit * size, size, bets) >= np.log(1 / alpha) - 1e-9
        if enough.any():
            return int(enough.argmax()) + 1
    return size


def spread_evenly(share: float, count: int) -> NDArray[np.bool_]:
    """Return (count,) True for a share of the rows, evenly spread."""
    return np.asarray(np.diff(np.floor(share * np.arange(count + 1) + 0.5)) > 0)


def expected_error(
    confidence: NDArray[np.floating], drawn: DrawnLabels, rest: int, threshold: float
) -> float:
    """Return the accepted rows' error: the model's opinion, corrected by labels it has not seen."""
    doubt = 1 - confidence[confidence >= threshold]
    top = drawn.targets.confidence(drawn.proba)
    inside = drawn.random & (top >= threshold)
    opinion = float(doubt.mean()) if len(doubt) else 1.0
    if not inside.any():
        return opinion
    weights = lure_weights(drawn.q[inside], drawn.pool[inside], rest)
    n_eff = 1 / float(weights @ weights)
    wrong = drawn.targets.is_wrong(drawn.proba, drawn.y)[inside]
    off = float(weights @ (wrong - (1 - top[inside])))
    return _correct_opinion(opinion, n_eff, off)


def _correct_opinion(opinion: float, labels: float, off: float) -> float:
    """Return the model's opinion of its error, corrected as so many labels say that it is off."""
    return max(opinion + labels / (labels + ERROR_PRIOR) * off, 0.2 * opinion)


def labels_ahead(wrong: NDArray[np.bool_], plan: AuditPlan) -> int:
    """Return how many further labels certify if errors come as expected by now; all rows if none
    do."""
    left = plan.size - len(wrong)
    share = (wrong.sum() + ERROR_PRIOR * plan.expected_error) / (len(wrong) + ERROR_PRIOR)
    further = spread_evenly(float(share), min(left, _LOOKS[-1]))
    values = np.append(wrong, further).astype(float)
    stakes = log_stakes(values, plan.max_error * plan.size, plan.size, plan.bets)
    enough = stakes[len(wrong) :] >= np.log(1 / plan.alpha) - 1e-9
    return int(enough.argmax()) + 1 if enough.any() else left


def audit_order(rows: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """Return the accepted rows in a random order, so that any first part is a sample."""
    return np.random.default_rng([seed, len(rows)]).permutation(rows)


def judge_audit(wrong: Sequence[bool], plan: AuditPlan) -> AuditVerdict:
    """Judge an audit by which predictions were wrong, in the order of `audit_order`."""
    seen = np.array(wrong, dtype=bool)
    done = is_certified(seen, plan)
    return AuditVerdict(
        audited=len(seen),
        wrong=int(seen.sum()),
        certified=done,
        bound=_error_bound(seen, plan),
        more=None if done or is_futile(seen, plan) else _labels_to_certify(seen, plan),
    )


def is_futile(seen: NDArray[np.bool_], plan: AuditPlan) -> bool:
    """Return whether an audit will hardly succeed: with a chance below 1 %.

    The share of wrong rows among the rest has a beta distribution: the plan's expectation, with
    the weight of 20 labels, and the labels of the audit. The audit succeeds if that share is so
    small that the audit certifies while it still spares labels.
    """
    from scipy.special import betainc

    if not seen.any():
        return False
    wrong = seen.sum() + ERROR_PRIOR * plan.expected_error
    right = len(seen) + ERROR_PRIOR - wrong
    return bool(betainc(wrong, right, _reachable_error(seen, plan)) < MIN_CHANCE)


def _reachable_error(seen: NDArray[np.bool_], plan: AuditPlan) -> float:
    """Return the largest share of further errors, spread evenly, with which an audit certifies."""
    left = min(plan.size - MIN_SPARED, len(seen) + _LOOKS[-1]) - len(seen)
    low, high = 0.0, plan.max_error
    if left <= 0:
        return 0.0
    for _ in range(12):
        middle = (low + high) / 2
        further = spread_evenly(middle, left)
        reached = _is_refuted(np.append(seen, further), plan, plan.max_error)
        low, high = (middle, high) if reached else (low, middle)
    return low


def is_certified(wrong: NDArray[np.bool_], plan: AuditPlan) -> bool:
    """Return whether "at least max_error of the accepted rows are wrong" is refuted by now."""
    return _is_refuted(wrong, plan, plan.max_error)


def _is_refuted(seen: NDArray[np.bool_], plan: AuditPlan, limit: float) -> bool:
    """Return whether "at least `limit` of the accepted are wrong" was refuted at any time."""
    stakes = log_stakes(seen.astype(float), limit * plan.size, plan.size, plan.bets)
    return bool(len(stakes) and stakes.max() >= np.log(1 / plan.alpha) - 1e-9)


def log_stakes(
    values: NDArray[np.float64], total: float, size: int, bets: Sequence[float]
) -> NDArray[np.float64]:
    """Return the logarithm of the stake against "the values of `size` rows add up to `total`".

    The values, from 0 to 1, are those of the rows drawn so far; 1 is a wrong row. Under the claim
    the next one has a mean of at least (total − sum so far) / rows left, and each bet multiplies
    its part of the stake by a factor with a mean of at most 1: for values of 0 and 1, the
    likelihood ratio of an error of that share of the claim.
    """
    before = np.concatenate([[0.0], np.cumsum(values)[:-1]]) if len(values) else np.zeros(0)
    claimed = (total - before) / np.maximum(size - np.arange(len(values)), 1)
    claimed = claimed.clip(1e-12, 1 - 1e-12)
    odds = (claimed - values) / (1 - claimed)
    with np.errstate(divide="ignore"):
        parts = [np.cumsum(np.log(np.maximum(1 + (1 - bet) * odds, bet))) for bet in bets]
    return np.asarray(np.logaddexp.reduce(parts, axis=0) - np.log(len(parts)))


def _error_bound(seen: NDArray[np.bool_], plan: AuditPlan) -> float:
    low, high = 0.0, 1.0
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (low, middle) if _is_refuted(seen, plan, middle) else (middle, high)
    return high


def _labels_to_certify(seen: NDArray[np.bool_], plan: AuditPlan) -> int | None:
    """Return how many labels without an error would certify; None if all rows are not enough."""

    def enough(more: int) -> bool:
        return _is_refuted(np.append(seen, np.zeros(more, bool)), plan, plan.max_error)

    lost = seen.any() and max(plan.bets) == 0
    if lost or seen.sum() >= plan.max_error * plan.size:
        return None
    low, high, left = 0, 64, max(plan.size - len(seen), 0)
    while not enough(min(high, left)):
        if high >= left:
            return None
        low, high = high, 2 * high
    high = min(high, left)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle + 1, high)
    return low
