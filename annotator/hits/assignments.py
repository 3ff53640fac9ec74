"""Assignments: who works on which HIT, and how far; rows of by-products that only add up."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from annotator.log.store import Byproduct, ByproductStore

ASSIGN, BEGIN, DONE, WITHDRAW = "assign", "begin", "done", "withdraw"
"""Kinds of rows of by-products."""


@dataclass(frozen=True, slots=True)
class SubmitChecks:
    """What a page must meet before it is submitted; 0 and False turn one off."""

    min_seconds: float = 0.0
    """How long it must have been on the screen, all sittings together."""
    unseen: bool = True
    """Whether every image must have been on the screen; where images are blurred, the pointer or
    the cursor must have been on each."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """One worker's work on one HIT (in the words of Mechanical Turk)."""

    id: str
    """The tool's ImageNetAnnotation id."""
    dataset: str
    hit: str
    worker: str
    external: str = ""
    """assignmentID: the id that whoever sent the worker knows it by."""
    assigned_at: int = 0
    """Milliseconds since the epoch, as are the others."""
    version: str = ""
    checks: SubmitChecks = SubmitChecks()
    started_at: int | None = None
    done_at: int | None = None
    code: str = ""
    """The completion code, once it is done."""
    named: bool = False
    """Whether `worker` is a name, on purpose, and no anonymous id."""

    def given(self) -> dict[str, Any]:
        """The row that gives it out, in the tool's names."""
        return {
            "id": self.id, "hitDatasetName": self.dataset, "imageNetHitID": self.hit,
            "workerID": self.worker, "assignmentID": self.external,
            "named": self.named,
        }  # fmt: skip

    def begun(self) -> dict[str, Any]:
        """The row that begins it."""
        return {
            "id": self.id, "version": self.version, "minSeconds": self.checks.min_seconds,
            "checkUnseen": self.checks.unseen, "startedAt": self.started_at,
        }  # fmt: skip

    def fields(self) -> dict[str, Any]:
        """The tool's ImageNetAnnotation, without its pages."""
        return {
            "hitDatasetName": self.dataset, "imageNetHitID": self.hit, "id": self.id,
            "annotatorID": "", "workerID": self.worker, "hitID": self.hit,
            "assignmentID": self.external, "version": self.version,
            "createdAt": self.assigned_at, "startedAt": self.started_at,
            "endedAt": self.done_at, "isDone": self.done_at is not None,
            "completionCode": self.code or None,
        }  # fmt: skip


def replay_assignments(records: ByproductStore) -> list[Assignment]:
    """Those that stand, in the order given out."""
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
