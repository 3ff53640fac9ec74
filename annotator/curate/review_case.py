"""One item to look at again, and whether it has been looked at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from annotator.log.entries import Entry, LogState

REVIEW = "review"
"""picked_by of what a review writes, and the key in `extra` that names the queue."""

QUEUES: dict[str, str] = {
    "gold": "known answers that somebody missed",
    "disagreements": "labelled differently by two annotators, or twice by one",
    "duplicates": "near-duplicates with different labels",
    "errors": "likely label errors: the model, without this label, says otherwise",
    "neighbours": "labels that contradict their nearest labelled neighbours",
    "flagged": "flagged while labelling",
    "skipped": "skipped while labelling",
}
"""Name -> what is in it; in the order in which they are offered."""


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A labelled item, and how near it is."""

    ref: str
    label: str
    similarity: float
    """Cosine of the features."""


@dataclass(frozen=True, slots=True)
class ReviewCase:
    """An item with the reason for looking at it."""

    queue: str
    ref: str
    label: str | None
    """The label that it has; None for one that is skipped or open."""
    by: str
    """Who gave it, or who skipped it."""
    reason: str
    """In one line."""
    score: float = 0.0
    """The higher, the sooner it is offered."""
    suggestion: str | None = None
    """What the label might be instead."""
    proba: Mapping[str, float] | None = None
    """What the model says that does not know this label."""
    neighbours: tuple[Neighbour, ...] = ()
    """The nearest labelled items, nearest first."""
    group: tuple[str, ...] = ()
    """The labelled near-duplicates that an answer holds for, this one among them."""
    since: float = 0.0
    """When that happened which makes it doubtful, if the log itself does not say so."""

    def as_dict(self) -> dict[str, Any]:
        found = {key: value for key, value in asdict(self).items() if key != "since"}
        found["group"] = list(self.group)
        return found


def review_queue_of(entry: Entry) -> str | None:
    """The queue from which a review wrote this row."""
    found = (entry.extra or {}).get(REVIEW)
    return found if isinstance(found, str) else None


def is_settled(state: LogState, ref: str, queue: str, since: float = 0.0) -> bool:
    """Whether a review from this queue has decided on `ref`, and nothing has happened after it.

    A label, a second opinion or a flag of a later time brings the item back, or something
    outside of the log at `since` (seconds since the epoch).
    """
    stack = state.standing.get(ref, [])
    last = max((e for e in stack if review_queue_of(e) == queue), key=lambda e: e.seq, default=None)
    if last is None or last.at < since:
        return False
    others = [e for e in stack if review_queue_of(e) is None] + state.opinions.get(ref, [])
    if queue == "flagged" and ref in state.flagged:
        others.append(state.flagged[ref])
    return all(e.seq < last.seq for e in others)
