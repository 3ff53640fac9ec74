"""The words for answers that came too late: others had answered the items meanwhile."""

from __future__ import annotations

from collections.abc import Sequence

from annotator.items.refs import make_printable
from annotator.log.entries import Entry


def describe_beaten(decisions: Sequence[Entry]) -> str:
    """Return a line about answers that others gave first; "" for none."""
    if not decisions:
        return ""
    first = decisions[0]
    names = make_printable(", ".join(sorted({entry.annotator for entry in decisions})))
    if len(decisions) == 1:
        answer = make_printable(first.label or "skipped")
        return f"{names} answered {make_printable(first.ref)} meanwhile ({answer}): yours not taken"
    return f"{names} answered {len(decisions)} of the items meanwhile: yours not taken"
