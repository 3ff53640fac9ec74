"""The only way to a project's log, whatever keeps it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Container
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from annotator.items.atomic import read_file
from annotator.items.refs import make_printable, shell_quoted
from annotator.log.entries import LogState, replay
from annotator.log.store.protocol import ProjectStore
from annotator.log.store.remote import RemoteRefusedError, SharedLog, TeamFiles
from annotator.log.store.replica import Replica
from annotator.log.store.sqlite import SqliteStore

REFS_SUM = "refs-sum"
"""The team's file with the checksum of its refs.csv."""


class StoreSettings(Protocol):
    """The settings that lead to a team's log: see `annotator.project.settings`."""

    @property
    def store(self) -> str | None:
        """The place of the team's log; None for a log of one's own."""
        ...

    @property
    def schema(self) -> str:
        """The schema of the team's log in a database."""
        ...

    @property
    def durable(self) -> str:
        """The place that a label has to reach: "disk" or "server"."""
        ...


class LoggedProject(Protocol):
    """The parts of a project that lead to its log: see `annotator.project.project`."""

    @property
    def folder(self) -> Path:
        """The folder of the project."""
        ...

    @property
    def settings(self) -> StoreSettings:
        """The settings of the project."""
        ...

    @property
    def labels_file(self) -> Path:
        """The place of labels.db."""
        ...

    @property
    def refs_file(self) -> Path:
        """The table of the items."""
        ...


@dataclass(frozen=True, slots=True)
class Team:
    """A team's log, and its files for those who join."""

    files: TeamFiles
    open_log: Callable[[str], SharedLog]
    """A function that makes a connection to the log for one thread and a writer of that id."""


def open_store(project: LoggedProject) -> ProjectStore:
    """Open the log of a project. Raises `StoreError` for one that cannot be opened."""
    if project.settings.store is None:
        return SqliteStore(project.labels_file)
    return open_replica(project)


def open_replica(project: LoggedProject) -> Replica:
    """Open a member's copy of a team's log. Raises `StoreError` for one that cannot be opened."""
    waits = project.settings.durable == "server"
    return Replica(project.labels_file, partial(reach_checked, project), waits=waits)


def reach_checked(project: LoggedProject, writer: str) -> SharedLog:
    """Reach the team's log of a member's project.

    Raises `RemoteAwayError`, and `RemoteRefusedError` if the team has other items than the project.
    """
    store = project.settings.store or ""
    team = find_team(store, project.settings.schema, project.folder)
    theirs = team.files.read_file(REFS_SUM)
    if theirs and theirs != sum_refs(read_file(project.refs_file)):
        raise RemoteRefusedError(
            f"{make_printable(str(project.refs_file))} lists other items than the team's. Take the "
            f"team's: annotator sync {shell_quoted(project.folder)} --take-refs. An admin gives "
            "theirs to the team with --give-refs."
        )
    return team.open_log(writer)


def sum_refs(data: bytes) -> bytes:
    """Return the checksum of a refs.csv, as the team keeps it."""
    return hashlib.sha256(data).hexdigest().encode()


def find_team(store: str, schema: str, start: Path) -> Team:
    """Return the team's log at `store`, a folder from `start` on; nothing is opened yet."""
    if store.startswith("folder:"):
        from annotator.log.store.journal import FolderLog, FolderTeam

        folder = start / store.removeprefix("folder:")
        return Team(FolderTeam(folder), partial(FolderLog, folder))
    from annotator.log.store.postgres import PostgresLog, PostgresTeam, ServerAddress

    address = ServerAddress.parse(store, schema)
    return Team(PostgresTeam(address), lambda _: PostgresLog(address))


def load_log_state(project: LoggedProject, only: Container[str] | None = None) -> LogState:
    """Return the state of a project's log, of all refs or `only` of some.

    Before the first row it is empty.
    """
    if not os.path.lexists(project.labels_file):
        return LogState()
    store = open_store(project)
    try:
        return replay(e for e in store.entries() if only is None or e.ref in only)
    finally:
        store.close()
