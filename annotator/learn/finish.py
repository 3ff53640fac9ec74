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
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annotator.learn.honest import Drawn, lure_weights

THRESHOLDS = 200
PRIOR = 20.0  # labels that the model's own opinion of its errors is worth
FIRST_SHARE = 0.9  # of α that the first attempt may spend; the others halve what is left


@dataclass(frozen=True, slots=True)
class Plan:
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
class Verdict:
    """What an audit shows so far."""

    audited: int
    wrong: int
    certified: bool
    bound: float
    """The error of the accepted rows is at most this, with the plan's confidence."""
    more: int | None
    """Labels still needed if no further error is found; None where it is certified or cannot be."""


def plan(
    confidence: NDArray[np.floating],
    drawn: Drawn,
    rest: int,
    *,
    max_error: float,
    level: float = 0.95,
    attempt: int = 1,
) -> Plan | None:
    """The threshold that spares most labels, or None where none spares any.

    confidence (m,): the model's largest probability for each unlabelled row; `rest` of them
    exist (m may be a sample). Each attempt at a pool spends its part of α = 1 − level, so that
    all attempts together keep it.
    """
    alpha = spent(1 - level, attempt)
    best: Plan | None = None
    for threshold in np.unique(np.quantile(confidence, np.linspace(0, 0.995, THRESHOLDS))):
        size = round(float((confidence >= threshold).mean()) * rest)
        error = _expected_error(confidence, drawn, rest, float(threshold))
        found = _plan(float(threshold), size, error, max_error, alpha)
        if found is not None and (best is None or _spared(found) > _spared(best)):
            best = found
    return best


def spent(alpha: float, attempt: int) -> float:
    """The part of α that the n-th attempt may spend; over all attempts it adds up to α."""
    return alpha * (FIRST_SHARE if attempt == 1 else (1 - FIRST_SHARE) / 2 ** (attempt - 1))


def _spared(plan: Plan) -> int:
    return plan.size - plan.expected_audit


def _plan(threshold: float, size: int, error: float, limit: float, alpha: float) -> Plan | None:
    if error >= limit or size == 0:
        return None
    bets = _bets(error / limit)
    audit = _expected_audit(error, limit, alpha, bets)
    if audit >= size:
        return None
    return Plan(threshold, size, error, audit, limit, alpha, bets)


def _bets(ratio: float) -> tuple[float, ...]:
    """All on "no error at all" only where an error would be a surprise; else spread out."""
    if ratio < 1 / 30:
        return (0.0,)
    return (0.05, min(max(ratio, 0.1), 0.8), 0.5)


def _expected_audit(error: float, limit: float, alpha: float, bets: tuple[float, ...]) -> int:
    growth = max(
        (1 - error) * np.log((1 - bet * limit) / (1 - limit))
        + (error * np.log(bet) if bet > 0 else (-np.inf if error > limit / 30 else 0.0))
        for bet in bets
    )
    return int(np.ceil(np.log(len(bets) / alpha) / growth)) if growth > 0 else 10**9


def _expected_error(
    confidence: NDArray[np.floating], drawn: Drawn, rest: int, threshold: float
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
    return max(opinion + n_eff / (n_eff + PRIOR) * off, 0.2 * opinion)


def audit_order(rows: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """Accepted rows in the random order in which to audit them: any first part is a sample."""
    return np.random.default_rng([seed, len(rows)]).permutation(rows)


def verdict(wrong: Sequence[bool], plan: Plan) -> Verdict:
    """Judge an audit: whether each prediction was wrong, in the order of `audit_order`."""
    seen = np.array(wrong, dtype=bool)
    done = certified(seen, plan)
    return Verdict(
        audited=len(seen),
        wrong=int(seen.sum()),
        certified=done,
        bound=_bound(seen, plan),
        more=None if done else _more(seen, plan),
    )


def certified(wrong: NDArray[np.bool_], plan: Plan) -> bool:
    """Whether "at least max_error of the accepted rows are wrong" is refuted by now."""
    return _refuted(wrong, plan, plan.max_error)


def _refuted(seen: NDArray[np.bool_], plan: Plan, limit: float) -> bool:
    """Whether "at least `limit` of the accepted are wrong" has been refuted at any time."""
    stakes = _stakes(seen, plan, limit)
    return bool(len(stakes) and stakes.max() >= np.log(1 / plan.alpha) - 1e-9)


def _stakes(seen: NDArray[np.bool_], plan: Plan, limit: float) -> NDArray[np.float64]:
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


def _bound(seen: NDArray[np.bool_], plan: Plan) -> float:
    low, high = 0.0, 1.0
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (low, middle) if _refuted(seen, plan, middle) else (middle, high)
    return high


def _more(seen: NDArray[np.bool_], plan: Plan) -> int | None:
    """Labels without an error that would certify; None where all rows would not do."""

    def enough(more: int) -> bool:
        return _refuted(np.append(seen, np.zeros(more, bool)), plan, plan.max_error)

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
