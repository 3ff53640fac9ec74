"""The boxes that were accepted, for the formats that detectors are trained from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from annotator.log.entries import Entry, LogState
from annotator.project.project import ProjectFolder
from annotator.proposals.table import ProposalRow, ProposalTable
from annotator.proposals.verdict import judge_proposal


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
