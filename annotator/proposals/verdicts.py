"""The verdict of a label on a proposal, and the prior of a proposal for a label.

- `yes` (or positive, accept): the box holds the proposed class.
- `no` (or none, negative, reject): it does not, or the box is useless.
- any other class: the box holds that class; the proposal is right if it is the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from annotator.detection.proposal import UNNAMED
from annotator.log.entries import Entry, LogState
from annotator.project.project import ProjectFolder
from annotator.proposals.table import ProposalRow, ProposalTable, has_proposals

ACCEPT_LABELS = ("yes", "positive", "accept")
REJECT_LABELS = ("no", "none", "negative", "reject")
GENERIC_NAMES = (UNNAMED, "face")
"""Names that agree with any closer one: a face is right if the label names the person."""


class ProposalVerdict(NamedTuple):
    """The verdict of a label on a proposal."""

    name: str | None
    """The class that the box holds; None if the label rejects it."""
    right: bool
    """True if the box holds the proposed class."""


def judge_proposal(label: str, proposed: str) -> ProposalVerdict:
    """Judge a proposal by a label: `yes` accepts it, `no` and `none` reject it.

    Any other class corrects it, or names more closely what was proposed as an object or a face.
    """
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
    """Return a proposal as probabilities of the project's classes, which sum to 1.

    Return None if the name is not a class and no class stands for yes.
    """
    favoured = (
        name if name in classes else next((word for word in ACCEPT_LABELS if word in classes), None)
    )
    if favoured is None:
        return None
    against = [word for word in REJECT_LABELS if word in classes and word != favoured]
    rest = against or [other for other in classes if other != favoured]
    if not rest:
        return {favoured: 1.0}
    share = (1 - score) / len(rest)
    return {c: score if c == favoured else share if c in rest else 0.0 for c in classes}


# --- the labels to come


class ProposalPrior:
    """The predictions of the labelling screen until a model has learnt; none in a blind audit."""

    def __init__(self, table: ProposalTable, classes: tuple[str, ...], blind: bool = False) -> None:
        self._table, self._classes, self._blind = table, classes, blind

    def prediction(self, ref: str) -> tuple[dict[str, float], str] | None:
        """Return the probability of each class, and the model; None without a usable proposal."""
        found = None if self._blind else self._table.find(ref)
        proba = proposal_probabilities(found.name, found.score, self._classes) if found else None
        return (proba, found.model) if found and proba else None

    def describe(self, ref: str, hidden: bool = False) -> str:
        """Describe an item's proposal: `person 0.87, 2 votes`; with `hidden`, only its name."""
        found = self._table.find(ref)
        if found is None or self._blind or hidden:
            return found.name if found else ""
        votes = f", {found.votes} votes" if found.votes > 1 else ""
        return f"{found.name} {found.score:.2f}{votes}"


def load_proposal_prior(project: ProjectFolder, blind: bool = False) -> ProposalPrior | None:
    """Load the prior of a project's proposals; None if it has none."""
    if not has_proposals(project):
        return None
    return ProposalPrior(ProposalTable.load(project), project.settings.names, blind)


# --- accepted boxes


class AcceptedBox(NamedTuple):
    """A box that was accepted."""

    ref: str
    name: str
    """The class of its label, or the proposed one if the label only accepts it."""
    score: float
    provenance: dict[str, Any]
    """model, proposed (the class), votes, annotator, at; also machine for a machine's label."""


def iter_accepted_boxes(project: ProjectFolder, state: LogState) -> Iterator[AcceptedBox]:
    """Yield the boxes that the current labels accept, in the order of proposals.csv.

    Each item comes once, with its best proposal. Items without a proposal are left out.
    """
    table = ProposalTable.load(project)
    again = set(table.refs.repeated().tolist())
    for row, ref in enumerate(table.refs):
        decision = state.decision(ref) if row not in again else None
        if decision is None or decision.label is None:
            continue
        found = table[int(table.best[row])]
        name = judge_proposal(decision.label, found.name).name
        if name is not None:
            yield AcceptedBox(ref, name, found.score, _provenance(found, decision))


def _provenance(proposal: ProposalRow, decision: Entry) -> dict[str, Any]:
    provenance = {
        "model": proposal.model, "proposed": proposal.name, "votes": proposal.votes,
        "annotator": decision.annotator, "at": decision.at,
    }  # fmt: skip
    return {**provenance, "machine": True} if decision.by_machine else provenance
