"""The attempts at a certificate, as finish.json stores them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from annotator.errors import ProjectError
from annotator.items.atomic import read_file, write_atomically
from annotator.items.json_text import parse_json
from annotator.items.refs import make_printable, shell_quoted
from annotator.learn.audit import AuditPlan
from annotator.learn.set_audit import AuditStep, ClassLimit, SetPlan
from annotator.log.entries import Entry, LogState, replay
from annotator.project.project import ProjectFolder


class EntrySource(Protocol):
    """A store to read entries from."""

    def entries(self, after: int = 0) -> Iterator[Entry]:
        """Yield the rows after a `seq`."""


@dataclass(frozen=True, slots=True)
class AuditAttempt:
    """An audit as finish.json stores it, complete enough to resume it later."""

    number: int
    seq: int
    """The last row of the log that the model was trained on."""
    level: float
    """The confidence level of the certificate."""
    plan: AuditPlan
    classes: tuple[str, ...] = ()
    """The classes that the model tells apart; empty in files of older versions."""
    pool: int | None = None
    """The number of items in the project when it was planned; those that came later are not
    audited."""

    @property
    def name(self) -> str:
        """The name that marks the audit's labels in the log."""
        return f"finish-{self.number}"

    def settled(self, project: ProjectFolder) -> ProjectFolder:
        """Return the project with the classes of this attempt: the model knows no later one.

        Raises `ProjectError` if a class is gone.
        """
        if not self.classes:
            return project
        infos = {info.name: info for info in project.settings.classes}
        if gone := [name for name in self.classes if name not in infos]:
            raise ProjectError(
                f"The audit {self.name} is about the class {make_printable(gone[0])}, which "
                "annotator.toml no longer has. Write the class back, or start a new audit: "
                f"rm {shell_quoted(attempts_file(project))}"
            )
        tops = (infos[name] for name in self.classes)
        classes = tuple(
            info if info.parent in self.classes else replace(info, parent=None) for info in tops
        )
        return replace(project, settings=replace(project.settings, classes=classes))

    def known_rows(self, open_: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return the rows of `open_` (n,) that the project had when the attempt was planned."""
        known = open_.copy()
        if self.pool is not None:
            known[self.pool :] = False
        return known


class AuditLog(NamedTuple):
    """The log as an audit reads it."""

    state: LogState
    audits: frozenset[str]
    """The names of all audits that have had an answer, also if it was taken back."""

    @classmethod
    def read(cls, store: EntrySource) -> AuditLog:
        """Read the log."""
        audits: set[str] = set()

        def watched() -> Iterator[Entry]:
            for entry in store.entries():
                if entry.audit:
                    audits.add(entry.audit)
                yield entry

        return cls(replay(watched()), frozenset(audits))

    def begun(self, project: ProjectFolder) -> list[AuditAttempt]:
        """Return the stored attempts that have had an answer, oldest first."""
        stored = _read_attempts(attempts_file(project))
        return [attempt for attempt in stored if attempt.name in self.audits]

    def next_number(self) -> int:
        """Return the number of the next attempt: each that had an answer has spent confidence."""
        found = (re.fullmatch(r"finish-(\d+)", name) for name in self.audits)
        return max((int(match[1]) for match in found if match), default=0) + 1


def attempts_file(project: ProjectFolder) -> Path:
    """Return the file of the attempts."""
    return project.folder / "finish.json"


def keep_attempt(
    project: ProjectFolder, begun: Sequence[AuditAttempt], attempt: AuditAttempt
) -> None:
    """Store an attempt beside those that have had an answer."""
    tables = [asdict(one) for one in (*begun, attempt)]
    write_atomically(
        attempts_file(project), json.dumps({"attempts": tables}, indent=1).encode()
    )  # fmt: skip


def _read_attempts(file: Path) -> list[AuditAttempt]:
    try:
        tables = parse_json(read_file(file))["attempts"]
        return [_parse_attempt(table) for table in tables]
    except FileNotFoundError:
        return []
    except OSError as error:
        why = str(error.strerror)
    except (ValueError, KeyError, TypeError, AttributeError):
        why = "it is not a list of audits"
    raise ProjectError(
        f"{make_printable(str(file))} cannot be read: {why}. Start a new audit: "
        f"mv {shell_quoted(file)} {shell_quoted(file)}.moved"
    )


def _parse_attempt(table: dict[str, Any]) -> AuditAttempt:
    found = {**table["plan"], "bets": tuple(table["plan"]["bets"])}
    kind: type[AuditPlan] = AuditPlan
    if "steps" in found:
        kind = SetPlan
        found["steps"] = tuple(AuditStep(**step) for step in found["steps"])
        found["classes"] = tuple(ClassLimit(**limit) for limit in found["classes"])
    return AuditAttempt(
        table["number"], table["seq"], table["level"], kind(**found),
        tuple(table.get("classes", ())), table.get("pool"),
    )  # fmt: skip
