"""What a label says of a proposal, and a proposal of the labels to come."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from annotator.detection.proposal import UNNAMED

ACCEPT = ("yes", "positive", "accept")
REJECT = ("no", "none", "negative", "reject")
GENERAL = (UNNAMED, "face")
"""Names that any closer one agrees with: a face is right where the label says whose."""


class Verdict(NamedTuple):
    """What a person's label says of a proposal."""

    name: str | None
    """The class that the box holds; None where it is rejected."""
    right: bool
    """Whether it holds what the proposal said."""


def judge(label: str, proposed: str) -> Verdict:
    """`yes` accepts the proposed name, `no` and `none` reject it, any other class corrects it, or
    says more closely what was proposed as an object or a face."""
    if label == proposed:
        return Verdict(label, True)
    if label in REJECT:
        return Verdict(None, False)
    if label in ACCEPT:
        return Verdict(proposed, True)
    return Verdict(label, proposed in GENERAL)


def chances(name: str, score: float, classes: Sequence[str]) -> dict[str, float] | None:
    """A proposal as probabilities of the project's classes, summing to 1; None where it says
    nothing of them."""
    said = name if name in classes else next((word for word in ACCEPT if word in classes), None)
    if said is None:
        return None
    against = [word for word in REJECT if word in classes and word != said]
    rest = against or [other for other in classes if other != said]
    if not rest:
        return {said: 1.0}
    share = (1 - score) / len(rest)
    return {c: score if c == said else share if c in rest else 0.0 for c in classes}
