"""The progress of a session: counts of items and labels for a status line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from annotator.project.label_sets import count_classes

if TYPE_CHECKING:
    from annotator.log.entries import Entry, LogState


@dataclass(frozen=True, slots=True)
class Progress:
    """Counts for a status line.

    `labelled + skipped + remaining == items` while no answered item has left the pool.
    """

    items: int
    labelled: int
    skipped: int
    flagged: int
    remaining: int
    """Neither labelled nor skipped."""
    elsewhere: int
    """Remaining items on the screens of other annotators."""
    classes: dict[str, int]
    """Labels per class: the project's classes, then classes that only the log has."""


def count_progress(
    state: LogState,
    classes: Sequence[str],
    refs: Sequence[str],
    remaining: int,
    elsewhere: int,
    decision_of: Callable[[str], Entry | None] | None = None,
    multi: bool = False,
) -> Progress:
    """Count the items and labels of a pool.

    `decision_of` returns the decision on a ref if the log's own counts do not hold: in an audit or
    for second opinions, where the pool has hundreds of refs and not millions. With `multi` an item
    counts for each of its classes.
    """
    counts = state.counts
    if decision_of is not None:
        decisions = map(decision_of, refs)
        counts = Counter(decision.label for decision in decisions if decision is not None)
    labelled = counts.total() - counts[None]
    counts = count_classes(counts, multi)
    gone = {name for name in counts if name is not None and counts[name]} - set(classes)
    shown = {name: counts[name] for name in [*classes, *sorted(gone)]}
    skipped = counts[None]
    return Progress(
        items=len(refs),
        labelled=labelled,
        skipped=skipped,
        flagged=len(state.flagged),
        remaining=remaining,
        elsewhere=elsewhere,
        classes=shown,
    )
