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

from annotator.proposals.boxes import Accepted, accepted
from annotator.proposals.done import Done
from annotator.proposals.opening import open_or_make
from annotator.proposals.table import (
    FILE,
    Before,
    ProposalTable,
    Proposed,
    before,
    has_proposals,
    read,
)
from annotator.proposals.verdict import Verdict, judge
from annotator.proposals.writing import ProposalWriter

__all__ = [
    "FILE", "Accepted", "Before", "Done", "ProposalTable", "ProposalWriter", "Proposed",
    "Verdict", "accepted", "before", "has_proposals", "judge", "open_or_make", "read",
]  # fmt: skip
