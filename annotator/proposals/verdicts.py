"""What labels say of proposals, and proposals of the labels to come."""

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


# --- the labels to come


class ProposalPrior:
    """What the labelling screen shows while no model has learnt anything yet; blind, as in an
    audit, only what is to be judged."""

    def __init__(self, table: ProposalTable, classes: tuple[str, ...], blind: bool = False) -> None:
        self._table, self._classes, self._blind = table, classes, blind

    def prediction(self, ref: str) -> tuple[dict[str, float], str] | None:
        """Class to probability, and the model that says so; None without a proposal, or for a
        name that is no class where nothing stands for yes."""
        found = None if self._blind else self._table.find(ref)
        proba = proposal_probabilities(found.name, found.score, self._classes) if found else None
        return (proba, found.model) if found and proba else None

    def describe(self, ref: str, hidden: bool = False) -> str:
        """`person 0.87, 2 votes`: what is to be accepted or rejected; `hidden`, only the name."""
        found = self._table.find(ref)
        if found is None or self._blind or hidden:
            return found.name if found else ""
        votes = f", {found.votes} votes" if found.votes > 1 else ""
        return f"{found.name} {found.score:.2f}{votes}"


def load_proposal_prior(project: ProjectFolder, blind: bool = False) -> ProposalPrior | None:
    """What proposals say of a project's items; None where it has none."""
    if not has_proposals(project):
        return None
    return ProposalPrior(ProposalTable.load(project), project.settings.names, blind)


# --- accepted boxes


class AcceptedBox(NamedTuple):
    """A box that was accepted."""

    ref: str
    name: str
    """Its class: the proposed one, or that of the label where it is another one."""
    score: float
    provenance: dict[str, Any]
    """model, proposed (its name), votes, annotator, at, and machine where no person looked."""


def iter_accepted_boxes(project: ProjectFolder, state: LogState) -> Iterator[AcceptedBox]:
    """The proposals that the standing labels accept, in the order of proposals.csv, each item
    once: with its best proposal. Items without a proposal are not among them."""
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
    told = {
        "model": proposal.model, "proposed": proposal.name, "votes": proposal.votes,
        "annotator": decision.annotator, "at": decision.at,
    }  # fmt: skip
    return {**told, "machine": True} if decision.by_machine else told
