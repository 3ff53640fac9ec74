"""The assignments of HITs to workers and their progress, as rows that are only appended."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import re
import secrets
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from annotator.errors import ProjectError
from annotator.hits.files import load_hit_sets
from annotator.hits.model import Hit, HitSet
from annotator.hits.traces import PageTrace, replay_traces
from annotator.items.atomic import read_file
from annotator.items.refs import make_printable
from annotator.log.store.protocol import Byproduct, ByproductStore
from annotator.project.project import ProjectFolder

ASSIGN, BEGIN, DONE, WITHDRAW = "assign", "begin", "done", "withdraw"
"""Kinds of rows of by-products."""


@dataclass(frozen=True, slots=True)
class SubmitChecks:
    """The checks that a page must pass before it is submitted; 0 and False turn one off."""

    min_seconds: float = 0.0
    """Minimum seconds on the screen, over all sessions."""
    unseen: bool = True
    """True if every image must have been on the screen; if images are blurred, the pointer or the
    cursor must have been on each."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """One worker's work on one HIT (in the words of Mechanical Turk)."""

    id: str
    """The tool's ImageNetAnnotation id."""
    dataset: str
    hit: str
    worker: str
    external: str = ""
    """assignmentID: the id of the platform that sent the worker."""
    assigned_at: int = 0
    """Milliseconds since the epoch, like all times here."""
    version: str = ""
    checks: SubmitChecks = SubmitChecks()
    started_at: int | None = None
    done_at: int | None = None
    code: str = ""
    """The completion code, once the assignment is done."""
    named: bool = False
    """True if `worker` is a real name, as the user asked, and not an anonymous id."""

    def assign_row(self) -> dict[str, Any]:
        """Return the row that gives the assignment out, in the tool's names."""
        return {
            "id": self.id, "hitDatasetName": self.dataset, "imageNetHitID": self.hit,
            "workerID": self.worker, "assignmentID": self.external,
            "named": self.named,
        }  # fmt: skip

    def begin_row(self) -> dict[str, Any]:
        """Return the row that begins the assignment."""
        return {
            "id": self.id, "version": self.version, "minSeconds": self.checks.min_seconds,
            "checkUnseen": self.checks.unseen, "startedAt": self.started_at,
        }  # fmt: skip

    def fields(self) -> dict[str, Any]:
        """Return the tool's ImageNetAnnotation, without its pages."""
        return {
            "hitDatasetName": self.dataset, "imageNetHitID": self.hit, "id": self.id,
            "annotatorID": "", "workerID": self.worker, "hitID": self.hit,
            "assignmentID": self.external, "version": self.version,
            "createdAt": self.assigned_at, "startedAt": self.started_at,
            "endedAt": self.done_at, "isDone": self.done_at is not None,
            "completionCode": self.code or None,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class HitTask:
    """A HIT of a set as the task of one worker."""

    hits: HitSet
    hit: Hit
    assignment: Assignment


def replay_assignments(records: ByproductStore) -> list[Assignment]:
    """Return the assignments that stand, in the order given out."""
    found: dict[str, Assignment] = {}
    for kind in (ASSIGN, BEGIN, DONE, WITHDRAW):
        for row in records.read_byproducts(kind):
            _apply(found, row)
    return list(found.values())


def _apply(found: dict[str, Assignment], row: Byproduct) -> None:
    data = row.data
    if row.kind == ASSIGN:
        found[data["id"]] = Assignment(
            data["id"], data["hitDatasetName"], data["imageNetHitID"], data["workerID"],
            data["assignmentID"], row.at, named=data["named"],
        )  # fmt: skip
    elif row.kind == WITHDRAW:
        found.pop(data["id"], None)
    elif data["id"] in found:
        change = (
            {"done_at": row.at, "code": data["code"]}
            if row.kind == DONE
            else {
                "version": data["version"], "started_at": row.at,
                "checks": SubmitChecks(data["minSeconds"], data["checkUnseen"]),
            }
        )  # fmt: skip
        found[data["id"]] = replace(found[data["id"]], **change)


class Assignments:
    """The assignments of a project. Every method may raise `StoreError`."""

    def __init__(self, records: ByproductStore, clock: Callable[[], int]) -> None:
        """Keep assignments in `records`; `clock` returns milliseconds since the epoch."""
        self._records, self._clock = records, clock

    def assignments(self, dataset: str | None = None) -> list[Assignment]:
        """Return the assignments that stand, all or those of one set, in the order given out."""
        return [a for a in replay_assignments(self._records) if dataset in (None, a.dataset)]

    def assign(
        self, hits: HitSet, worker: str, external: str = "", id_: str = "", named: bool = False
    ) -> Assignment:
        """Give this worker the HIT `id_`, or else the one that fewest workers have.

        An open assignment of the worker comes first. Raises `ProjectError` if no HIT is left, or if
        the worker may do no more (with the completion code).
        """
        held = [a for a in self.assignments(hits.name) if a.worker == worker]
        open_ = [a for a in held if a.done_at is None and id_ in ("", a.hit)]
        if open_:
            return open_[0]
        self._refuse_another(hits, held, id_)
        while True:
            hit = self._free(hits, worker, id_)
            assignment = Assignment(
                uuid.uuid4().hex, hits.name, hit.id, worker, external, self._clock(), named=named
            )
            self._write(ASSIGN, assignment.assigned_at, assignment.assign_row())
            if assignment.id in [other.id for other in self._on(hits, hit.id)[: hits.workers]]:
                return assignment
            self._write(
                WITHDRAW, self._clock(), {"id": assignment.id}
            )  # another worker was quicker

    def begin(self, assignment: Assignment, version: str, checks: SubmitChecks) -> Assignment:
        """Start an assignment in the interface `version`; one that was started stays as it is."""
        if assignment.started_at is not None:
            return assignment
        assignment = replace(assignment, version=version, checks=checks, started_at=self._clock())
        self._write(BEGIN, assignment.started_at or 0, assignment.begin_row())
        return assignment

    def finish(self, assignment: Assignment, salt: str) -> Assignment:
        """Complete an assignment whose pages are all submitted, with its completion code."""
        if assignment.done_at is not None:
            return assignment
        assignment = replace(
            assignment, done_at=self._clock(), code=completion_code(assignment.id, salt)
        )
        self._write(DONE, assignment.done_at or 0, {"id": assignment.id, "code": assignment.code})
        return assignment

    def _refuse_another(self, hits: HitSet, held: Iterable[Assignment], id_: str) -> None:
        """Raise `ProjectError` if this worker may not do another HIT, or not this one."""
        for assignment in held:
            if assignment.done_at is None:
                if hits.unique:
                    raise ProjectError(
                        f"You have HIT {make_printable(assignment.hit)} already, and each worker "
                        "does one. Leave --hit out to resume it"
                    )
            elif hits.unique or assignment.hit == id_:
                raise ProjectError(
                    f"You have completed HIT {make_printable(assignment.hit)}. A worker does "
                    f"{'one HIT of this set' if hits.unique else 'a HIT once'}. Your completion "
                    f"code is {assignment.code}"
                )

    def _free(self, hits: HitSet, worker: str, id_: str) -> Hit:
        standing = self.assignments(hits.name)
        taken = Counter(assignment.hit for assignment in standing)
        mine = {assignment.hit for assignment in standing if assignment.worker == worker}
        wanted = [hits.hit(id_)] if id_ else list(hits.hits)
        most = hits.workers
        free = [h for h in wanted if h.id not in mine and (most is None or taken[h.id] < most)]
        if not free:
            raise ProjectError(
                f"No HIT of {make_printable(hits.name)} is left for this worker. Make more with "
                "`annotator hits make`, or see `annotator hits status`"
            )
        return min(free, key=lambda hit: taken[hit.id])

    def _on(self, hits: HitSet, id_: str) -> list[Assignment]:
        return [assignment for assignment in self.assignments(hits.name) if assignment.hit == id_]

    def _write(self, kind: str, time_ms: int, data: dict[str, object]) -> None:
        self._records.append_byproducts(Byproduct(time_ms, kind, "", data))


def load_tasks(project: ProjectFolder, records: ByproductStore) -> dict[str, HitTask]:
    """Return assignment id to task, for all tasks that were given out."""
    sets = load_hit_sets(project)
    return {
        assignment.id: HitTask(
            sets[assignment.dataset], sets[assignment.dataset].hit(assignment.hit), assignment
        )
        for assignment in replay_assignments(records)
        if assignment.dataset in sets
    }


def submitted_pages(
    project: ProjectFolder, records: ByproductStore
) -> Iterator[tuple[HitTask, PageTrace]]:
    """Yield each submitted page with its task, in the order shown."""
    tasks = load_tasks(project, records)
    for trace in replay_traces(records):
        task = tasks.get(trace.shown["annotation"])
        if task is not None and trace.ended_at is not None:
            yield task, trace


def completion_code(id_: str, salt: str) -> str:
    """Return 8 characters that only the project can have made for this assignment."""
    return hmac.new(salt.encode(), f"code:{id_}".encode(), hashlib.sha256).hexdigest()[:8].upper()


def worker_id(project: ProjectFolder, name: str) -> str:
    """Return 10 hexadecimal digits that do not reveal `name`.

    They are HMAC-SHA-256 under the project's salt, which is made on the first call and stays in
    the project, readable by its owner only.

    The same name has the same id within a project, and another in every other project.
    """
    return hmac.new(project_salt(project).encode(), name.encode(), hashlib.sha256).hexdigest()[:10]


def project_salt(project: ProjectFolder) -> str:
    """Return the secret behind the workers' ids and the completion codes of a project.

    Raises `ProjectError` for a damaged file: with another secret, each worker has another id.
    """
    file = project.folder / "worker-salt.txt"
    if not os.path.lexists(file):
        _make_salt(file)
    salt = read_file(file).decode("ascii", "replace").strip()
    if not re.fullmatch("[0-9a-f]{32}", salt):
        raise ProjectError(
            f"{make_printable(str(file))} is damaged: it does not hold 32 hexadecimal digits. Put "
            "a copy back: with another one, all workers count as new."
        )
    return salt


def _make_salt(file: Path) -> None:
    """Make the salt file, whole at once: two programs that start together get the same salt."""
    draft = file.with_name(f".{file.name}.{uuid.uuid4().hex}")
    draft.touch(mode=0o600)
    try:
        draft.write_text(f"{secrets.token_hex(16)}\n", encoding="ascii")
        with contextlib.suppress(FileExistsError):
            file.hardlink_to(draft)
    finally:
        draft.unlink()
