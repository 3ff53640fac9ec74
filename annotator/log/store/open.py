"""The only way to a project's log, whatever keeps it."""

from __future__ import annotations

import os
from collections.abc import Container
from pathlib import Path
from typing import Protocol

from annotator.log.entries import LogState, replay
from annotator.log.store.protocol import ProjectStore
from annotator.log.store.sqlite import SqliteStore


class LoggedProject(Protocol):
    """The parts of a project that lead to its log: see `annotator.project.project`."""

    @property
    def labels_file(self) -> Path:
        """The place of labels.db."""
        ...


def open_store(project: LoggedProject) -> ProjectStore:
    """Open the log of a project. Raises `StoreError` for one that cannot be opened."""
    return SqliteStore(project.labels_file)


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
