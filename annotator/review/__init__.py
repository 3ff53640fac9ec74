"""A second look at labels: queues of doubtful items, each changed or confirmed by a person."""

from __future__ import annotations

from annotator.review.case import QUEUES, Case, Neighbour, is_settled
from annotator.review.evidence import Evidence, gather
from annotator.review.queues import Found, find
from annotator.review.sitting import Review

__all__ = [
    "QUEUES", "Case", "Evidence", "Found", "Neighbour", "Review", "find", "gather", "is_settled",
]  # fmt: skip
