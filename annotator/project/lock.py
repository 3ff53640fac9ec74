"""The lock of a project's text files, for whatever is read, changed and written again."""

from __future__ import annotations

import contextlib
import os
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from annotator.errors import ProjectError
from annotator.items.atomic import Held, lock_file
from annotator.items.refs import make_printable

LOCK_FILE = "lock"
_PATIENCE = 60.0
"""Seconds to wait for another process; each holds the lock for as long as one file takes."""
_PAUSE = 0.02
_END = r"\.[a-z0-9_]{8}"
_LEFTOVER = re.compile(
    r"\.((searches|refs|first|clusters)\.csv|annotator\.toml|refs\.txt"
    rf"|(class-ids|faces|finish|meta|partial)\.json|check-\d+\.npz){_END}"
)
"""A temporary file beside one of the project's own; other files there may be the user's."""
_CACHE_LEFTOVER = re.compile(rf"\..+{_END}")
_OLD = 3600.0
"""Seconds after which a temporary file counts as left by a killed process."""
_threads = threading.RLock()
_held: dict[Path, int] = {}


@contextlib.contextmanager
def lock_project(folder: Path) -> Iterator[None]:
    """Hold the lock of a project; one thread may take it again inside.

    Without it, two processes that read a file, change it and write it lose one of the changes. A
    disk without file locks, and a folder that cannot be written, have no lock. Raises
    `ProjectError` if another process holds it for a minute.
    """
    key = folder.resolve()
    with _threads:
        number = None if _held.get(key) else _wait(key)
        _held[key] = _held.get(key, 0) + 1
        try:
            yield
        finally:
            _held[key] -= 1
            if number is not None:
                os.close(number)


def _wait(folder: Path) -> int | None:
    file = folder / ".cache" / LOCK_FILE
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            file.parent.mkdir(exist_ok=True)
            number = lock_file(file)
            _remove_leftovers(folder)
            return number
        except Held:
            if time.monotonic() > until:
                raise ProjectError(
                    f"{make_printable(str(folder))} is being changed by another process. "
                    "Wait until it ends, or stop it, then run the same command again."
                ) from None
            time.sleep(_PAUSE)
        except OSError:
            return None


def _remove_leftovers(folder: Path) -> None:
    """Remove the temporary files of processes that were killed while they wrote."""
    places = ("", _LEFTOVER), (".cache", _CACHE_LEFTOVER), ("features", _LEFTOVER)
    for place, leftover in places:
        with contextlib.suppress(OSError), os.scandir(folder / place) as entries:
            for entry in entries:
                if leftover.fullmatch(entry.name) and entry.stat().st_mtime < time.time() - _OLD:
                    os.unlink(entry.path)  # noqa: PTH108
