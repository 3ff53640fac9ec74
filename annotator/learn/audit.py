"""Which of the model's labels may be accepted, and a certificate that their error is small.

Predictions above a confidence threshold are accepted only after an audit: rows drawn uniformly
from the accepted ones, labelled without sight of the prediction. The audit is judged by betting
against "the error is at least max_error" (Waudby-Smith & Ramdas, "Estimating means of bounded
random variables by betting", JRSS-B 2024, and for draws without replacement NeurIPS 2020,
arXiv:2006.04347): once the stake has grown by 1/α, the claim is refuted, and it is so at any
time that one cares to look. One may therefore label on until it is certified. With no error
seen and one bet, this is the exact binomial rule: 299 labels for 1 % at 95 %.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from annotator.learn.error_estimate import DrawnLabels, lure_weights
from annotator.learn.stopping import EstimatePoint, forecast_labels

MAX_THRESHOLDS = 200
_LOOKS = (2_000, 20_000)  # labels of an audit; none is planned that takes more
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
ERROR_PRIOR = 20.0  # labels that the model's own opinion of its errors is worth
FIRST_ALPHA_SHARE = 0.9  # of α that the first attempt may spend; the others halve what is left


@dataclass(frozen=True, slots=True)
class AuditPlan:
    """What to accept, and how the audit will be judged; fixed before the audit begins."""

    threshold: float
    """Least probability of an accepted prediction."""
    size: int
    """Rows accepted."""
    expected_error: float
    expected_audit: int
    """Labels that the audit will take if the expectation is right."""
    max_error: float
    alpha: float
    bets: tuple[float, ...]
    """Errors bet on, as shares of max_error; the stake is spread evenly over them."""


@dataclass(frozen=True, slots=True)
class AuditVerdict:
    """What an audit shows so far."""

    audited: int
    wrong: int
    certified: bool
    bound: float
    """The error of the accepted rows is at most this, with the plan's confidence."""
    more: int | None
    """Labels still needed if no further error is found; None where it is certified or cannot be."""


def plan_audit(
    confidence: NDArray[np.floating],
    drawn: DrawnLabels,
    rest: int,
    *,
    max_error: float,
    level: float = 0.95,
    attempt: int = 1,
) -> AuditPlan | None:
    """The threshold that spares most labels, or None where none spares any.

    confidence (m,): the model's largest probability for each unlabelled row; `rest` of them
    exist (m may be a sample). Each attempt at a pool spends its part of α = 1 − level, so that
    all attempts together keep it.
    """
    alpha = spent_alpha(1 - level, attempt)
    parts = [
        (round(float((confidence >= threshold).mean()) * rest), float(threshold))
        for threshold in _thresholds(confidence)
    ]
    expected = [_expected_error(confidence, drawn, rest, threshold) for _, threshold in parts]
    for length in (_careful_audit, _expected_audit):
        plans = [
            AuditPlan(threshold, size, error, audit, max_error, alpha, _bets(error / max_error))
            for (size, threshold), error in zip(parts, expected, strict=True)
            if error < max_error
            and (audit := length(error, max_error, alpha, _bets(error / max_error), size)) < size
        ]
        if plans:
            best = max(plans, key=lambda found: found.size - found.expected_audit)
            likely = _expected_audit(best.expected_error, max_error, alpha, best.bets, best.size)
            return replace(best, expected_audit=likely)
    return None


@dataclass(frozen=True, slots=True)
class AuditShortfall:
    """Why there is no plan, and what it would take."""

    least_audit: int
    """Labels of an audit that finds no error; all rows where fewer would not do."""
    surest: int
    """Rows of the surest part that is twice its shortest audit; 0 if there is none."""
    error: float
    """Share of that part that is expected to be wrong."""
    labels: int | None
    """Labels in all at which the model might be good enough; None where it cannot be told."""
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
    """Where `plan_audit` found none for the same arguments."""
    alpha = spent_alpha(1 - level, attempt)
    parts = [
        (_expected_error(confidence, drawn, rest, float(threshold)), size)
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
            (one for one in others if one and one.size - one.expected_audit >= rest / 10), None
        ),
    )


def _thresholds(confidence: NDArray[np.floating]) -> NDArray[np.floating]:
    return np.unique(np.quantile(confidence, np.linspace(0, 0.995, MAX_THRESHOLDS)))


def spent_alpha(alpha: float, attempt: int) -> float:
    """The part of α that the n-th attempt may spend; over all attempts it adds up to α."""
    return alpha * (
        FIRST_ALPHA_SHARE if attempt == 1 else (1 - FIRST_ALPHA_SHARE) / 2 ** (attempt - 1)
    )


def _bets(ratio: float) -> tuple[float, ...]:
    """All on "no error at all" only where an error would be a surprise; else spread out."""
    if ratio < 1 / 30:
        return (0.0,)
    return (0.05, min(max(ratio, 0.1), 0.8), 0.5)


def _careful_audit(
    error: float, limit: float, alpha: float, bets: tuple[float, ...], size: int
) -> int:
    """Labels of an audit by the growth that the best single bet has in an endless set.

    In a small one it takes fewer, but the expected error is itself an estimate: to choose by
    the shorter length lowers the threshold, and in simulated runs more audits failed.
    """
    growth = max(
        (1 - error) * np.log((1 - bet * limit) / (1 - limit))
        + (error * np.log(bet) if bet > 0 else (-np.inf if error > limit / 30 else 0.0))
        for bet in bets
    )
    found = int(np.ceil(np.log(len(bets) / alpha) / growth)) if growth > 0 else size
    return min(found, size)


def _expected_audit(
    error: float, limit: float, alpha: float, bets: tuple[float, ...], size: int
) -> int:
    """Labels until an audit of `size` rows certifies, errors coming evenly; `size` if it does not.

    Drawn without replacement, a small set takes fewer than a large one.
    """
    judged = AuditPlan(0.0, size, error, 0, limit, alpha, bets)
    for most in _LOOKS:
        n = min(most, size)
        count = np.floor(error * np.arange(n + 1) + 0.5) if max(bets) > 0 else np.zeros(n + 1)
        enough = _log_stakes(np.diff(count) > 0, judged, limit) >= np.log(1 / alpha) - 1e-9
        if enough.any():
            return int(enough.argmax()) + 1
    return size


def _expected_error(
    confidence: NDArray[np.floating], drawn: DrawnLabels, rest: int, threshold: float
) -> float:
    """The error of the accepted rows: the model's opinion, corrected by labels it has not seen."""
    said = 1 - confidence[confidence >= threshold]
    top = drawn.proba.max(axis=1)
    inside = drawn.random & (top >= threshold)
    opinion = float(said.mean()) if len(said) else 1.0
    if not inside.any():
        return opinion
    weights = lure_weights(drawn.q[inside], drawn.pool[inside], rest)
    n_eff = 1 / float(weights @ weights)
    wrong = (drawn.proba.argmax(axis=1) != drawn.y)[inside]
    off = float(weights @ (wrong - (1 - top[inside])))
    return max(opinion + n_eff / (n_eff + ERROR_PRIOR) * off, 0.2 * opinion)


def audit_order(rows: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """Accepted rows in the random order in which to audit them: any first part is a sample."""
    return np.random.default_rng([seed, len(rows)]).permutation(rows)


def judge_audit(wrong: Sequence[bool], plan: AuditPlan) -> AuditVerdict:
    """Judge an audit: whether each prediction was wrong, in the order of `audit_order`."""
    seen = np.array(wrong, dtype=bool)
    done = is_certified(seen, plan)
    return AuditVerdict(
        audited=len(seen),
        wrong=int(seen.sum()),
        certified=done,
        bound=_error_bound(seen, plan),
        more=None if done else _labels_to_certify(seen, plan),
    )


def is_certified(wrong: NDArray[np.bool_], plan: AuditPlan) -> bool:
    """Whether "at least max_error of the accepted rows are wrong" is refuted by now."""
    return _is_refuted(wrong, plan, plan.max_error)


def _is_refuted(seen: NDArray[np.bool_], plan: AuditPlan, limit: float) -> bool:
    """Whether "at least `limit` of the accepted are wrong" has been refuted at any time."""
    stakes = _log_stakes(seen, plan, limit)
    return bool(len(stakes) and stakes.max() >= np.log(1 / plan.alpha) - 1e-9)


def _log_stakes(seen: NDArray[np.bool_], plan: AuditPlan, limit: float) -> NDArray[np.float64]:
    """The logarithm of the stake after each label.

    Under the claim the next row is wrong with probability (limit · size − wrong so far) / rows
    left, at least; the bet multiplies the stake by the likelihood ratio of a smaller error.
    """
    before = np.concatenate([[0], np.cumsum(seen)[:-1]]) if len(seen) else np.zeros(0)
    left = plan.size - np.arange(len(seen))
    claimed = (limit * plan.size - before) / np.maximum(left, 1)
    claimed = claimed.clip(1e-12, 1 - 1e-12)
    with np.errstate(divide="ignore"):
        parts = [
            np.cumsum(np.where(seen, np.log(bet), np.log((1 - bet * claimed) / (1 - claimed))))
            for bet in plan.bets
        ]
    return np.asarray(np.logaddexp.reduce(parts, axis=0) - np.log(len(parts)))


def _error_bound(seen: NDArray[np.bool_], plan: AuditPlan) -> float:
    low, high = 0.0, 1.0
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (low, middle) if _is_refuted(seen, plan, middle) else (middle, high)
    return high


def _labels_to_certify(seen: NDArray[np.bool_], plan: AuditPlan) -> int | None:
    """Labels without an error that would certify; None where all rows would not do."""

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
