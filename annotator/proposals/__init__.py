"""Proposed boxes in a project: written as items, judged by labels, counted into a precision.

`proposals.csv` in the project's folder holds one row for each proposal, plain text:
`ref,score,votes,name,model,extra`. `ref` is the item that it belongs to; two models that found
the same object share an item. `extra` is JSON.

What a label says of a proposal:

- `yes` (or positive, accept): the box holds what the proposal says.
- `no` (or none, negative, reject): it does not, or the box is useless.
- any other class: the box holds that class; the proposal is right if it said so, too.
"""

from __future__ import annotations

from annotator.proposals.done import ProcessedImages
from annotator.proposals.opening import open_proposal_project
from annotator.proposals.table import (
    PROPOSALS_FILE,
    ProposalRow,
    ProposalTable,
    has_proposals,
    read_proposals,
)
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
    "PROPOSALS_FILE",
    "AcceptedBox",
    "ProposalPrior",
    "ProcessedImages",
    "ProposalTable",
    "ProposalWriter",
    "ProposalRow",
    "ProposalVerdict",
    "iter_accepted_boxes",
    "load_proposal_prior",
    "has_proposals",
    "judge_proposal",
    "open_proposal_project",
    "read_proposals",
]
