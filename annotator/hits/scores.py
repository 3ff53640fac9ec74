"""The progress of the HITs, and the workers' scores on gold items, whose answer is known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from annotator.hits.assignments import Assignment, HitTask, load_tasks, submitted_pages
from annotator.hits.files import load_hit_sets
from annotator.hits.model import HitSet
from annotator.hits.traces import PageTrace
from annotator.items.refs import format_share, make_printable, plural
from annotator.log.store.protocol import ByproductStore
from annotator.project.project import ProjectFolder


@dataclass(frozen=True, slots=True)
class GoldAnswer:
    """A worker's answer on a gold item."""

    ref: str
    asked: str
    """The class that the page asked for."""
    wanted: bool
    """True if the item is of that class."""
    selected: bool
    worker: str
    page: str
    at: int
    """The time of the submission, in milliseconds since the epoch."""

    @property
    def right(self) -> bool:
        """True for the right answer."""
        return self.wanted == self.selected


def gold_answers(project: ProjectFolder, records: ByproductStore) -> Iterator[GoldAnswer]:
    """Yield the answers on gold items of all submitted pages, in the order shown."""
    for task, trace in submitted_pages(project, records):
        yield from _gold(task, trace)


def _gold(task: HitTask, trace: PageTrace) -> Iterator[GoldAnswer]:
    asked = task.hit.pages[trace.shown["pageno"] - 1]
    for image in trace.images:
        wanted = asked.gold.get(image.image)
        if wanted is not None and not image.broken:
            yield GoldAnswer(
                image.ref, asked.asks.name, wanted, image.selected, task.assignment.worker,
                trace.id, trace.ended_at or 0,
            )  # fmt: skip


def hits_status(project: ProjectFolder, records: ByproductStore) -> dict[str, Any]:
    """Return the sets, assignments and workers, as `annotator hits status --json` prints them."""
    sets = load_hit_sets(project)
    tasks = load_tasks(project, records)
    assignments = [task.assignment for task in tasks.values()]
    pages: dict[str, list[PageTrace]] = {id_: [] for id_ in tasks}
    gold: list[GoldAnswer] = []
    for task, trace in submitted_pages(project, records):
        pages[task.assignment.id].append(trace)
        gold += _gold(task, trace)
    workers = sorted({assignment.worker for assignment in assignments})
    return {
        "sets": [_set(hits, [a for a in assignments if a.dataset == name])
                 for name, hits in sets.items()],
        "assignments": [_assignment(task, pages[id_]) for id_, task in tasks.items()],
        "workers": [
            {"worker": worker, **score_gold([answer for answer in gold if answer.worker == worker])}
            for worker in workers
        ],
    }  # fmt: skip


def score_gold(answers: list[GoldAnswer]) -> dict[str, Any]:
    """Return the share of right answers: all, positives selected, negatives left alone."""

    def part(wanted: bool) -> list[bool]:
        return [answer.right for answer in answers if answer.wanted == wanted]

    return {
        "gold": len(answers),
        "right": sum(answer.right for answer in answers),
        "score": _share([answer.right for answer in answers]),
        "positives": _share(part(True)),
        "negatives": _share(part(False)),
    }


class Decision(NamedTuple):
    """A completed assignment of Mechanical Turk, to be approved or rejected.

    The fields are columns of the file that its website takes; one of the last two is filled.
    """

    AssignmentId: str
    Approve: str
    Reject: str
    """The reason, which the worker reads."""


def decide_assignments(
    project: ProjectFolder, records: ByproductStore, min_gold: float
) -> tuple[list[Decision], int]:
    """Return what to approve and reject by the share of right gold answers of each assignment.

    Also return the number of completed assignments without an id of the platform. An assignment
    without gold answers is approved.
    """
    tasks = load_tasks(project, records)
    gold: dict[str, list[GoldAnswer]] = {id_: [] for id_ in tasks}
    for task, trace in submitted_pages(project, records):
        gold[task.assignment.id] += _gold(task, trace)
    done = [task.assignment for task in tasks.values() if task.assignment.done_at is not None]
    decisions = []
    for work in (work for work in done if work.external):
        score = score_gold(gold[work.id])
        fails = score["score"] is not None and score["score"] < min_gold
        reason = f"{score['right']} of {score['gold']} known images answered right"
        decisions.append(Decision(work.external, "" if fails else "X", reason if fails else ""))
    return decisions, sum(not work.external for work in done)


def _set(hits: HitSet, assignments: list[Assignment]) -> dict[str, Any]:
    return {
        "name": hits.name,
        "hits": len(hits.hits),
        "pages": sum(len(hit.pages) for hit in hits.hits),
        "workers": hits.workers,
        "assigned": len(assignments),
        "done": sum(assignment.done_at is not None for assignment in assignments),
    }


def _assignment(task: HitTask, pages: list[PageTrace]) -> dict[str, Any]:
    assignment = task.assignment
    return {
        "id": assignment.id, "set": assignment.dataset, "hit": assignment.hit,
        "worker": assignment.worker,
        "assignment": assignment.external, "version": assignment.version,
        "pages": len(pages), "of": len(task.hit.pages),
        "seconds": round(sum(trace.open_ms for trace in pages) / 1000, 1),
        "code": assignment.code or None,
    }  # fmt: skip


def _share(right: list[bool]) -> float | None:
    return round(sum(right) / len(right), 4) if right else None


def format_hits_status(found: dict[str, Any]) -> str:
    """Return the status as text."""
    lines = []
    for hits in found["sets"]:
        most = f", {hits['workers']} a HIT" if hits["workers"] else ""
        lines.append(
            f"{hits['name']}: {plural(hits['hits'], 'HIT')} of {plural(hits['pages'], 'page')} in "
            f"all{most}; {hits['assigned']} given out, {hits['done']} completed"
        )
    for work in found["assignments"]:
        pages = f"{work['pages']} of {plural(work['of'], 'page')}"
        state = f"completed, code {work['code']}" if work["code"] else pages
        version = f", {work['version']}" if work["version"] else ""
        lines.append(
            f"  {work['hit']}  worker {work['worker']}  {state}, {work['seconds']:.0f} s{version}"
        )
    for worker in found["workers"]:
        if worker["gold"]:
            lines.append(
                f"worker {worker['worker']}: gold {worker['right']} of {worker['gold']} "
                f"right ({format_share(worker['score'])}); "
                f"positives found {_percent(worker['positives'])}, "
                f"negatives left alone {_percent(worker['negatives'])}"
            )
        else:
            lines.append(f"worker {worker['worker']}: no gold answers yet")
    if not lines:
        return "No HITs yet. Make some: annotator hits make PROJECT --class NAME"
    return "\n".join(map(make_printable, lines))


def _percent(share: float | None) -> str:
    return "-" if share is None else format_share(share)
