"""How far a session is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Progress:
    """Counts for a status line. `labelled + skipped + remaining == items`."""

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
