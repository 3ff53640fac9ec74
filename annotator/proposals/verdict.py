"""What a label says of a proposal, and a proposal of the labels to come."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from annotator.detection.proposal import UNNAMED

ACCEPT_LABELS = ("yes", "positive", "accept")
REJECT_LABELS = ("no", "none", "negative", "reject")
GENERIC_NAMES = (UNNAMED, "face")
"""Names that any closer one agrees with: a face is right where the label says whose."""


class ProposalVerdict(NamedTuple):
    """What a person's label says of a proposal."""

    name: str | None
    """The class that the box holds; None where it is rejected."""
    right: bool
    """Whether it holds what the proposal said."""


def judge_proposal(label: str, proposed: str) -> ProposalVerdict:
    """`yes` accepts the proposed name, `no` and `none` reject it, any other class corrects it, or
    says more closely what was proposed as an object or a face."""
    if label == proposed:
        return ProposalVerdict(label, True)
    if label in REJECT_LABELS:
        return ProposalVerdict(None, False)
    if label in ACCEPT_LABELS:
        return ProposalVerdict(proposed, True)
    return ProposalVerdict(label, proposed in GENERIC_NAMES)


def proposal_probabilities(
    name: str, score: float, classes: Sequence[str]
) -> dict[str, float] | None:
    """A proposal as probabilities of the project's classes, summing to 1; None where it says
    nothing of them."""
    said = (
        name if name in classes else next((word for word in ACCEPT_LABELS if word in classes), None)
    )
    if said is None:
        return None
    against = [word for word in REJECT_LABELS if word in classes and word != said]
    rest = against or [other for other in classes if other != said]
    if not rest:
        return {said: 1.0}
    share = (1 - score) / len(rest)
    return {c: score if c == said else share if c in rest else 0.0 for c in classes}
