"""From answers to labels: what was selected on a page of a HIT, as rows of the log."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from annotator.hits.assignments import Assignment, replay_assignments
from annotator.hits.model import Hit
from annotator.hits.sets import HitSet, load_hit_sets
from annotator.hits.traces import PageTrace, replay_traces
from annotator.log.entries import Entry
from annotator.log.store import SqliteStore
from annotator.pages import Page, SelectionMode, answers_of_page
from annotator.project.project import ProjectFolder
from annotator.session.session import LabelSession

PICKED_BY = "hit"
_SETTLED_MS = 60_000
"""Pages submitted this long ago are labelled by nobody else any more."""


@dataclass(frozen=True, slots=True)
class HitTask:
    """What a worker is to do."""

    hits: HitSet
    hit: Hit
    assignment: Assignment


def labels_from_trace(task: HitTask, trace: PageTrace) -> dict[str, str]:
    """What a submitted page says of its items. Those whose answer was known (gold) or that could
    not be shown get no label."""
    asked = task.hit.pages[trace.shown["pageno"] - 1]
    negative = task.hits.negative
    page = Page(
        refs=tuple(image.ref for image in trace.images),
        label=asked.asks.name,
        select=SelectionMode.POSITIVES if negative else SelectionMode.POSITIVES_ONLY,
        negative=negative,
    )
    left = [image.ref for image in trace.images if image.image in asked.gold or image.broken]
    return answers_of_page(page, {trace.images[i].ref: None for i in trace.selected}, left)


def write_labels(
    task: HitTask,
    page: str,
    labels: Mapping[str, str],
    session: LabelSession,
    shown_ms: int | None = None,
) -> list[Entry]:
    """Write the labels of a page as one group that one undo takes back.

    An item that has a label already gets a second opinion: two workers on one HIT are compared,
    and the first one counts.
    """
    session.refresh()  # others may have answered since the page was shown
    extra = {"group": page, "page": page, "hit": task.hit.id}
    known = {ref for ref in labels if session.is_answered(ref)}
    first = {ref: label for ref, label in labels.items() if ref not in known}
    again = {ref: label for ref, label in labels.items() if ref in known}
    entries = session.decide(first, picked_by=PICKED_BY, shown_ms=shown_ms, extra=extra)
    return entries + session.decide(
        again, picked_by=PICKED_BY, shown_ms=shown_ms, extra={**extra, "second": True}
    )


def write_missing_labels(project: ProjectFolder, store: SqliteStore, now: int) -> int:
    """Write the labels that submitted pages lack, where the program died between the two; how
    many those were. Labels of HITs train the model like all others; they carry no propensity."""
    written: dict[str, set[str]] = defaultdict(set)
    for entry in store.entries():
        if page := (entry.extra or {}).get("page"):
            written[page].add(entry.ref)
    sets = load_hit_sets(project)
    tasks = {
        one.id: HitTask(sets[one.dataset], sets[one.dataset].hit(one.hit), one)
        for one in replay_assignments(store)
        if one.dataset in sets
    }
    sessions: dict[str, LabelSession] = {}
    count = 0
    for trace in replay_traces(store):
        task = tasks.get(trace.shown["annotation"])
        if task is None or trace.ended_at is None or trace.ended_at > now - _SETTLED_MS:
            continue
        labels = labels_from_trace(task, trace)
        missing = {ref: labels[ref] for ref in labels if ref not in written[trace.id]}
        if missing:
            worker = task.assignment.worker
            if worker not in sessions:
                sessions[worker] = LabelSession(store, project.settings.names, annotator=worker)
            count += len(write_labels(task, trace.id, missing, sessions[worker]))
    return count
