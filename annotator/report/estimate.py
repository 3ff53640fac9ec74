"""The estimated error of a project's model on its whole pool, from the log and the features."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import numpy as np

from annotator.items.refs import format_duration
from annotator.learn.error_estimate import ErrorEstimate
from annotator.learn.ranking import Snapshot
from annotator.learn.remaining_work import RemainingWork, estimate_time
from annotator.log.entries import LogState, label_seconds
from annotator.session.predict import FittedProject

_FIELDS = ("error", "low", "high", "n_eff", "labels")


def with_open_rows(fitted: FittedProject) -> Snapshot:
    """Return the snapshot with its unlabelled rows open: the estimate covers them, too."""
    labelled = np.zeros(len(fitted.refs), bool)
    labelled[fitted.features.pool_rows(fitted.snapshot.rows)] = True
    return replace(fitted.snapshot, closed=fitted.features.closed(labelled), want=1)


def estimate_as_dict(estimate: ErrorEstimate | None) -> dict[str, Any] | None:
    """Return an estimate as shares; None while it rests on too few labels."""
    if estimate is None or not estimate.shown:
        return None
    found = {name: getattr(estimate, name) for name in _FIELDS}
    return found if estimate.tags is None else {**found, "each_class": asdict(estimate.tags)}


def minutes_left(
    work: RemainingWork | None, remaining: int, state: LogState
) -> dict[str, float | None] | None:
    """Return the minutes left by each way, and the share of wrong labels that pages and an audit
    aim at; None while the pace of the annotators is not known."""
    seconds = label_seconds(state)
    if seconds is None:
        return None
    aims = {"page_target": work.page_target if work else None,
            "audit_target": work.audit_target if work else None}  # fmt: skip
    return {**estimate_time(work, remaining, seconds).as_dict(), **aims}


def time_lines(left: dict[str, float | None] | None) -> list[str]:
    """Return `minutes_left` as a line of text."""
    if left is None or not left["one_by_one"]:
        return []
    ways = (("one_by_one", "one by one", None), ("pages", "pages", "page_target"),
            ("finish", "finish", "audit_target"))  # fmt: skip
    words = []
    for key, name, aim in ways:
        if (minutes := left[key]) is not None:
            to = f" to {100 * (left[aim] or 0):g} % error" if aim else ""
            words.append(f"{name}{to} {format_duration(60 * minutes)}")
    return ["left at this pace: " + ", ".join(words)]
