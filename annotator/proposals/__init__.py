"""Proposed boxes in a project: written as items, judged by labels, counted into a precision.

`table.py` describes proposals.csv, `verdicts.py` what a label says of a proposal.
"""

from __future__ import annotations

from annotator.proposals.opening import open_proposal_project
from annotator.proposals.table import ProposalRow, ProposalTable, has_proposals, read_proposals
from annotator.proposals.verdicts import (
    AcceptedBox,
    ProposalPrior,
    ProposalVerdict,
    iter_accepted_boxes,
    judge_proposal,
    load_proposal_prior,
)
from annotator.proposals.writing import ProposalWriter

__all__ = [
    "AcceptedBox", "ProposalPrior", "ProposalRow", "ProposalTable",
    "ProposalVerdict", "ProposalWriter", "has_proposals", "iter_accepted_boxes", "judge_proposal",
    "load_proposal_prior", "open_proposal_project", "read_proposals",
]  # fmt: skip
