"""How far a session is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from annotator.log.entries import Entry, LogState
from annotator.project.label_sets import count_classes


@dataclass(frozen=True, slots=True)
class Progress:
    """Counts for a status line. `labelled + skipped + remaining == items`, as long as no item
    that was answered has left the pool."""

    items: int
    labelled: int
    skipped: int
    flagged: int
    remaining: int
    """Neither labelled nor skipped."""
    elsewhere: int
    """Of the remaining, those on the screens of others."""
    classes: dict[str, int]
    """Labels per class: the project's classes, then any that the log alone knows."""


def count_progress(
    state: LogState,
    classes: Sequence[str],
    refs: Sequence[str],
    remaining: int,
    elsewhere: int,
    decision_of: Callable[[str], Entry | None] | None = None,
    multi: bool = False,
) -> Progress:
    """The counts of a pool. `of` gives the decision on a ref where the log's own counts do not
    say: in an audit, or for second opinions, on hundreds of refs and not millions. With `multi` an
    item counts for each of its classes."""
    counts = state.counts
    if decision_of is not None:
        decisions = map(decision_of, refs)
        counts = Counter(decision.label for decision in decisions if decision is not None)
    labelled = counts.total() - counts[None]
    counts = count_classes(counts) if multi else counts
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
