"""A case to review: an item with a doubtful label, the reason and the evidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

ORDERS: dict[str, str] = {
    "likely": "the least probable labels first",
    "ambiguous": "errors between classes that are alike first",
}
"""The order of the queue `errors` to its description; the first is the default."""

QUEUES: dict[str, str] = {
    "gold": "known answers that a worker missed",
    "disagreements": "labelled differently by two annotators, or twice by one",
    "disputed": "labels that annotators changed back, or that two or more want each way",
    "duplicates": "near-duplicates with different labels",
    "errors": "likely label errors: a model fitted without this label contradicts it",
    "neighbours": "labels that contradict their nearest labelled neighbours",
    "outliers": "items that are far from everything",
    "overlooked": "objects that a detector sees, and that have no box",
    "misplaced": "boxes in the wrong place, by a detector",
    "swapped": "boxes of the wrong class, by a detector",
    "flagged": "flagged while labelling",
    "skipped": "skipped while labelling",
    "unreviewed": "labels that no review has confirmed, the least probable first",
}
"""Queue to its description, in the order in which they are offered."""
DOUBTFUL_QUEUES = tuple(queue for queue in QUEUES if queue != "unreviewed")
"""The queues that are offered without a request."""


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A labelled item near another item."""

    ref: str
    label: str
    similarity: float
    """The cosine of the features."""


@dataclass(frozen=True, slots=True)
class ReviewCase:
    """An item with the reason for its review."""

    queue: str
    ref: str
    label: str | None
    """The label of the item; None if it is skipped or open."""
    by: str
    """The annotator who labelled or skipped it."""
    reason: str
    """The reason in one line."""
    score: float = 0.0
    """The doubt; cases with a higher score come first."""
    ambiguity: float | None = None
    """The doubt in the order `ambiguous`; None in a queue with one order."""
    suggestion: str | None = None
    """The class that is likelier than the label."""
    proba: Mapping[str, float] | None = None
    """The probabilities of a model fitted without this label."""
    neighbours: tuple[Neighbour, ...] = ()
    """The nearest labelled items, nearest first."""
    group: tuple[str, ...] = ()
    """The labelled near-duplicates that get the same answer, this item included."""
    has_own_item: bool = False
    """True if the detector's box, in `neighbours`, is an item of its own."""
    since: float = 0.0
    """The time at which the item became doubtful, if the log does not hold it."""

    def as_dict(self) -> dict[str, Any]:
        """Return the case as `annotator review --json` prints it."""
        found = {key: value for key, value in asdict(self).items() if key != "since"}
        found["group"] = list(self.group)
        return found
