"""The rare classes that the labels of an audit may lose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annotator.items.refs import make_printable, plural
from annotator.learn.audit import ERROR_PRIOR, AuditPlan
from annotator.learn.error_estimate import DrawnLabels, lure_weights
from annotator.learn.stopping import rare_share

MIN_SHARE_AT_RISK = 0.1  # of a rare class, before its risk is reported


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
    allowed = plan.allowed
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
