"""The price of an audit: what it would spare for several errors, and the rare classes at risk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annotator.items.refs import format_duration, make_printable, plural
from annotator.learn.audit import ERROR_PRIOR, AuditPlan, plan_audit
from annotator.learn.error_estimate import DrawnLabels, lure_weights
from annotator.learn.stopping import rare_share

OFFERED_ERRORS = (0.01, 0.02, 0.05, 0.1)
USUAL_SECONDS = 2.0  # a label, while no pace is known
MIN_SHARE_AT_RISK = 0.1  # of a rare class, before its risk is reported


@dataclass(frozen=True, slots=True)
class AuditOffer:
    """The result of an audit for one error; all three numbers are 0 if it is not worthwhile."""

    max_error: float
    items: int = 0
    """The items that the model would label or the audit ask."""
    audited: int = 0
    """The labels that the audit takes if the expectation is right."""
    spared: int = 0


@dataclass(frozen=True, slots=True)
class ClassRisk:
    """A rare class that the model may lawfully lose a large part of."""

    name: str
    items: int | None
    """The expected number among the open items; None for a class without a label."""
    lost: int | None
    """The expected number of these that the model writes as another class."""
    most: int
    """The number of them that the certificate allows to be wrong."""


def list_offers(
    confidence: NDArray[np.floating],
    drawn: DrawnLabels,
    rest: int,
    *,
    max_error: float,
    level: float,
    attempt: int,
) -> list[AuditOffer]:
    """Return the offers for 1, 2, 5 and 10 % error, and for `max_error`."""
    offers = []
    for limit in sorted({*OFFERED_ERRORS, max_error}):
        plan = plan_audit(
            confidence, drawn, rest, max_error=limit, level=level, attempt=attempt
        )  # fmt: skip
        offers.append(
            AuditOffer(limit)
            if plan is None
            else AuditOffer(limit, plan.size, plan.expected_audit, plan.size - plan.expected_audit)
        )
    return offers


def offer_lines(offers: Sequence[AuditOffer], seconds: float | None) -> list[str]:
    """Return the price list, one line for each error; without a known pace at 2 s a label."""
    seconds = seconds or USUAL_SECONDS
    lines = [f"At {seconds:.1f} s a label:"]
    for offer in offers:
        head = f"  {100 * offer.max_error:>4g} % error"
        if not offer.spared:
            lines.append(f"{head}: not worthwhile")
            continue
        lines.append(
            f"{head}: {offer.spared:,} labels spared ({format_duration(offer.spared * seconds)}) "
            f"for {offer.audited:,} in the audit ({format_duration(offer.audited * seconds)}), "
            f"of {offer.items:,} items"
        )
    return lines


def classes_at_risk(
    names: Sequence[str],
    drawn: DrawnLabels,
    plan: AuditPlan,
    rest: int,
    expected: NDArray[np.float64],
    lost: NDArray[np.float64],
) -> tuple[ClassRisk, ...]:
    """Return the rare classes that may lose a tenth of their items or more.

    expected (C,): the model's expected number of each class among the `rest` open rows; lost (C,):
    the expected number of these that it accepts as another class, corrected here by the labels
    that it has not seen. A class without a label is always at risk.
    """
    allowed = int(plan.max_error * plan.size)
    found = []
    inner = drawn.targets.inner(len(names))
    for c, name in enumerate(names):
        if inner[c]:
            continue  # its items are those of the classes below it
        if not drawn.targets.having(drawn.y, c).any():
            found.append(ClassRisk(name, None, None, allowed))
            continue
        items = max(round(float(expected[c])), 1)
        most = min(items, allowed)
        if expected[c] < rare_share(len(names)) * rest and most >= MIN_SHARE_AT_RISK * items:
            rate = _correct_rate(float(lost[c] / max(expected[c], 1e-9)), drawn, plan, rest, c)
            found.append(ClassRisk(name, items, round(items * rate), most))
    return tuple(found)


def _correct_rate(rate: float, drawn: DrawnLabels, plan: AuditPlan, rest: int, c: int) -> float:
    """Correct the share of class c that the model expects to lose by its labels of the class."""
    of = drawn.random & drawn.targets.having(drawn.y, c)
    if not of.any():
        return rate
    weights = lure_weights(drawn.q[of], drawn.pool[of], rest)
    sure = drawn.targets.confidence(drawn.proba[of]) >= plan.threshold
    missed = float(weights @ (~drawn.targets.predicted_as(drawn.proba[of], c) & sure))
    n = 1 / float(weights @ weights)
    return (n * missed + ERROR_PRIOR * rate) / (n + ERROR_PRIOR)


def risk_lines(risks: Sequence[ClassRisk]) -> list[str]:
    """Return a warning for each class at risk."""
    lines = []
    for risk in risks:
        name = make_printable(risk.name)
        if risk.items is None or risk.lost is None:
            lines.append(f"No label of {name} yet: the model writes all of it as other classes.")
            continue
        lines.append(
            f"{name} is rare: of about {plural(risk.items, 'open item')}, the model is expected "
            f"to write {risk.lost:,} as another class; the certificate allows {risk.most:,}."
        )
    return lines
