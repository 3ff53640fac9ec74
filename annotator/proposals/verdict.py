"""What a label says of a proposal, and a proposal of the labels to come."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

ACCEPT = ("yes", "positive", "accept")
REJECT = ("no", "none", "negative", "reject")


class Verdict(NamedTuple):
    """What a person's label says of a proposal."""

    name: str | None
    """The class that the box holds; None where it is rejected."""
    right: bool
    """Whether it holds what the proposal said."""


def judge(label: str, proposed: str) -> Verdict:
    """`yes` accepts the proposed name, `no` and `none` reject it, any other class corrects it."""
    if label == proposed:
        return Verdict(label, True)
    if label in REJECT:
        return Verdict(None, False)
    return Verdict(proposed, True) if label in ACCEPT else Verdict(label, False)


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
