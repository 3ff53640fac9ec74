"""The estimated error of a project's model on its whole pool, from the log and the features."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import numpy as np

from annotator.errors import ProjectError
from annotator.items.ref_table import RefTable
from annotator.items.refs import (
    format_duration,
    format_interval,
    format_percent,
    make_printable,
)
from annotator.learn.error_estimate import ErrorEstimate
from annotator.learn.ranking import Snapshot
from annotator.learn.remaining_work import RemainingWork, estimate_time
from annotator.log.entries import LogState, label_seconds
from annotator.project.project import ProjectFolder
from annotator.session.check import find_check
from annotator.session.predict import FittedProject

_MOST_CLASSES = 20
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


def check_figures(project: ProjectFolder, state: LogState, refs: RefTable) -> dict[str, Any] | None:
    """Return the last check by now, the shares of at most 20 classes; None without a check."""
    try:
        check = find_check(project, refs)
    except ProjectError as error:
        return {"fault": str(error)}
    if check is None:
        return None
    return check.result(state).as_dict(check.class_shares(state, _MOST_CLASSES))


def check_lines(found: dict[str, Any] | None) -> list[str]:
    """Return `check_figures` as text."""
    if found is None:
        return []
    if "name" not in found:
        return [make_printable(found["fault"])]
    error = found["error"]
    words = f"{found['checked']:,} items checked"
    if found["checked"]:
        span = format_interval(error["low"], error["high"])
        words += f", error {format_percent(error['value'])} ({span}, valid at every look)"
    return [f"{found['name']} of {make_printable(found['model'])}: {words}"]


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
