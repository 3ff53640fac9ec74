"""Who works on which HIT: assignments, and how far each one is.

Rows of by-products, appended like all else; what stands is what they add up to.
"""

from __future__ import annotations

import hashlib
import hmac
import uuid
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace

from annotator.errors import ProjectError
from annotator.hits.assignments import (
    ASSIGN,
    BEGIN,
    DONE,
    WITHDRAW,
    Assignment,
    SubmitChecks,
    replay_assignments,
)
from annotator.hits.model import Hit
from annotator.hits.sets import HitSet
from annotator.items.refs import make_printable
from annotator.log.store import Byproduct, ByproductStore


class Assignments:
    """The assignments of a project. Raises `StoreError` where nothing can be read or written."""

    def __init__(self, records: ByproductStore, clock: Callable[[], int]) -> None:
        """`clock` gives milliseconds since the epoch."""
        self._records, self._clock = records, clock

    def assignments(self, dataset: str | None = None) -> list[Assignment]:
        """Those that stand, in the order given out."""
        return [one for one in replay_assignments(self._records) if dataset in (None, one.dataset)]

    def assign(
        self, hits: HitSet, worker: str, external: str = "", id_: str = "", named: bool = False
    ) -> Assignment:
        """Give this worker a HIT: the one named, else the one that fewest have.

        The one that they hold already comes first. Raises `ProjectError` where they have done
        all that they may, with their completion code, or where no HIT is left.
        """
        held = [one for one in self.assignments(hits.name) if one.worker == worker]
        open_ = [one for one in held if one.done_at is None and id_ in ("", one.hit)]
        if open_:
            return open_[0]
        self._refuse_another(hits, held, id_)
        while True:
            hit = self._free(hits, worker, id_)
            one = Assignment(
                uuid.uuid4().hex, hits.name, hit.id, worker, external, self._clock(), named=named
            )
            self._write(ASSIGN, one.assigned_at, one.given())
            if one.id in [other.id for other in self._on(hits, hit.id)[: hits.workers]]:
                return one
            self._write(WITHDRAW, self._clock(), {"id": one.id})  # somebody was quicker

    def begin(self, assignment: Assignment, version: str, checks: SubmitChecks) -> Assignment:
        """The worker starts, in this interface. Nothing is changed where they had started."""
        if assignment.started_at is not None:
            return assignment
        assignment = replace(assignment, version=version, checks=checks, started_at=self._clock())
        self._write(BEGIN, assignment.started_at or 0, assignment.begun())
        return assignment

    def finish(self, assignment: Assignment, salt: str) -> Assignment:
        """All pages are submitted: the assignment gets its completion code."""
        if assignment.done_at is not None:
            return assignment
        assignment = replace(
            assignment, done_at=self._clock(), code=completion_code(assignment.id, salt)
        )
        self._write(DONE, assignment.done_at or 0, {"id": assignment.id, "code": assignment.code})
        return assignment

    def _refuse_another(self, hits: HitSet, held: Iterable[Assignment], id_: str) -> None:
        """Raise `ProjectError` where this worker may not do another HIT, or not this one."""
        for one in held:
            if one.done_at is None:
                if hits.unique:
                    raise ProjectError(
                        f"HIT {make_printable(one.hit)} is yours already, and each worker does one; "
                        "leave --hit out to go on with it"
                    )
            elif hits.unique or one.hit == id_:
                raise ProjectError(
                    f"you have completed HIT {make_printable(one.hit)}, and nobody does "
                    f"{'another of these' if hits.unique else 'one twice'}; your completion code "
                    f"is {one.code}"
                )

    def _free(self, hits: HitSet, worker: str, id_: str) -> Hit:
        standing = self.assignments(hits.name)
        taken = Counter(one.hit for one in standing)
        mine = {one.hit for one in standing if one.worker == worker}
        wanted = [hits.hit(id_)] if id_ else list(hits.hits)
        most = hits.workers
        free = [h for h in wanted if h.id not in mine and (most is None or taken[h.id] < most)]
        if not free:
            raise ProjectError(
                f"no HIT of {make_printable(hits.name)} is left for this worker: make more with "
                "`annotator hits make`, or see `annotator hits status`"
            )
        return min(free, key=lambda hit: taken[hit.id])

    def _on(self, hits: HitSet, id_: str) -> list[Assignment]:
        return [one for one in self.assignments(hits.name) if one.hit == id_]

    def _write(self, kind: str, time_ms: int, data: dict[str, object]) -> None:
        self._records.record(Byproduct(time_ms, kind, "", data))


def completion_code(id_: str, salt: str) -> str:
    """8 characters that only the project can have made for this assignment."""
    return hmac.new(salt.encode(), f"code:{id_}".encode(), hashlib.sha256).hexdigest()[:8].upper()
