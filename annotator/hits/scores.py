"""How far the HITs are, and how well their workers know the items whose answer is known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from annotator.hits.assignments import Assignment, replay_assignments
from annotator.hits.files import HitSet, load_hit_sets
from annotator.hits.traces import PageTrace, replay_traces
from annotator.log.store import ByproductStore
from annotator.project.project import ProjectFolder


@dataclass(frozen=True, slots=True)
class GoldAnswer:
    """What a worker said of an item whose answer is known."""

    ref: str
    asked: str
    """The class that the page asked for."""
    wanted: bool
    """Whether it is of that class."""
    selected: bool
    worker: str
    page: str
    at: int
    """When the page was submitted, in milliseconds since the epoch."""

    @property
    def right(self) -> bool:
        return self.wanted == self.selected


def gold_answers(project: ProjectFolder, records: ByproductStore) -> Iterator[GoldAnswer]:
    """Of all submitted pages, in the order shown; the failures are those not `right`."""
    for hits, one, trace in _submitted(project, records):
        yield from _gold(hits, one, trace)


def _gold(hits: HitSet, assignment: Assignment, trace: PageTrace) -> Iterator[GoldAnswer]:
    asked = hits.hit(assignment.hit).pages[trace.shown["pageno"] - 1]
    for image in trace.images:
        wanted = asked.gold.get(image.image)
        if wanted is not None and not image.broken:
            yield GoldAnswer(
                image.ref, asked.asks.name, wanted, image.selected, assignment.worker, trace.id,
                trace.ended_at or 0,
            )  # fmt: skip


def hits_status(project: ProjectFolder, records: ByproductStore) -> dict[str, Any]:
    """What `annotator hits status --json` prints: the sets, the assignments, the workers."""
    sets = load_hit_sets(project)
    given = [one for one in replay_assignments(records) if one.dataset in sets]
    pages: dict[str, list[PageTrace]] = {one.id: [] for one in given}
    gold: list[GoldAnswer] = []
    for hits, one, trace in _submitted(project, records):
        pages[one.id].append(trace)
        gold += _gold(hits, one, trace)
    workers = sorted({one.worker for one in given})
    return {
        "sets": [_set(hits, [one for one in given if one.dataset == name])
                 for name, hits in sets.items()],
        "assignments": [_assignment(one, sets[one.dataset], pages[one.id]) for one in given],
        "workers": [
            {"worker": worker, **score_gold([answer for answer in gold if answer.worker == worker])}
            for worker in workers
        ],
    }  # fmt: skip


def score_gold(answers: list[GoldAnswer]) -> dict[str, Any]:
    """Right answers on gold items, and apart: positives selected, negatives left alone."""

    def part(wanted: bool) -> list[bool]:
        return [answer.right for answer in answers if answer.wanted == wanted]

    return {
        "gold": len(answers),
        "right": sum(answer.right for answer in answers),
        "score": _share([answer.right for answer in answers]),
        "positives": _share(part(True)),
        "negatives": _share(part(False)),
    }


def _submitted(
    project: ProjectFolder, records: ByproductStore
) -> Iterator[tuple[HitSet, Assignment, PageTrace]]:
    sets = load_hit_sets(project)
    known = {one.id: one for one in replay_assignments(records) if one.dataset in sets}
    for trace in replay_traces(records):
        one = known.get(trace.shown["annotation"])
        if one is not None and trace.ended_at is not None:
            yield sets[one.dataset], one, trace


def _set(hits: HitSet, assignments: list[Assignment]) -> dict[str, Any]:
    return {
        "name": hits.name,
        "hits": len(hits.hits),
        "pages": sum(len(hit.pages) for hit in hits.hits),
        "workers": hits.workers,
        "assigned": len(assignments),
        "done": sum(one.done_at is not None for one in assignments),
    }


def _assignment(assignment: Assignment, hits: HitSet, pages: list[PageTrace]) -> dict[str, Any]:
    return {
        "id": assignment.id, "set": assignment.dataset, "hit": assignment.hit, "worker": assignment.worker,
        "assignment": assignment.external, "version": assignment.version,
        "pages": len(pages), "of": len(hits.hit(assignment.hit).pages),
        "seconds": round(sum(trace.open_ms for trace in pages) / 1000, 1),
        "code": assignment.code or None,
    }  # fmt: skip


def _share(right: list[bool]) -> float | None:
    return round(sum(right) / len(right), 4) if right else None


def format_hits_status(found: dict[str, Any]) -> str:
    """The same for a person."""
    lines = []
    for one in found["sets"]:
        most = f", {one['workers']} a HIT" if one["workers"] else ""
        lines.append(
            f"{one['name']}: {one['hits']} HITs of {one['pages']} pages in all{most}; "
            f"{one['assigned']} given out, {one['done']} completed"
        )
    for one in found["assignments"]:
        pages = f"{one['pages']} of {one['of']} pages"
        state = f"completed, code {one['code']}" if one["code"] else pages
        version = f", {one['version']}" if one["version"] else ""
        lines.append(
            f"  {one['hit']}  worker {one['worker']}  {state}, {one['seconds']:.0f} s{version}"
        )
    for one in found["workers"]:
        if one["gold"]:
            lines.append(
                f"worker {one['worker']}: gold {one['right']} of {one['gold']} right "
                f"({one['score']:.0%}); positives found {_percent(one['positives'])}, negatives "
                f"left alone {_percent(one['negatives'])}"
            )
        else:
            lines.append(f"worker {one['worker']}: no gold answers yet")
    return "\n".join(lines) or "no HITs yet: annotator hits make PROJECT --class NAME"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.0%}"
