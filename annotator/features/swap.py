"""The step from partial to finished features, safe against a kill and against readers.

`partial.json` is a journal. Its one rename makes a set of files valid, before they get their final
names: while it says "started", a file is `NAME.new` if that exists, else `NAME`; while it says
"finished", the features are the partial files if they exist, else the finished ones. Readers look
at the journal before and after, and read again if it has changed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

NPY, DONE, REFS, JOURNAL = "partial.npy", "partial.done", "partial.txt", "partial.json"
STARTED, FINISHED = "started", "finished"
_ATTEMPTS, _PAUSE = 20, 0.005

T = TypeVar("T")


def partial_path(folder: Path, name: str, journal: Mapping[str, Any]) -> Path:
    """Return where a partial file lies now."""
    new = folder / f"{name}.new"
    return new if journal.get(STARTED) and new.exists() else folder / name


def finished_path(folder: Path, partial: str, name: str) -> Path:
    """Return where a file lies that is being renamed from `partial` to `name`."""
    return folder / (partial if (folder / partial).exists() else name)


def finish_start(folder: Path, journal: Mapping[str, Any]) -> None:
    """Give the files of a start their names, wherever an earlier attempt ended."""
    if journal.get(STARTED):
        for name in (NPY, DONE, REFS):
            new = folder / f"{name}.new"
            if new.exists():
                new.replace(folder / name)


def read_unchanged(folder: Path, read: Callable[[], T], *faults: type[Exception]) -> T:
    """Return what `read` returns while no other process renames the files of `folder`.

    Raises the last of `faults` that `read` raised, if nothing has changed meanwhile.
    """
    for attempt in range(_ATTEMPTS):
        before = _state(folder)
        try:
            found = read()
        except faults:
            # A journal on disk means that files may be renamed at this moment.
            if attempt == _ATTEMPTS - 1 or (before[0] is None and _state(folder) == before):
                raise
        else:
            if _state(folder) == before or attempt == _ATTEMPTS - 1:
                return found
        time.sleep(_PAUSE)
    raise AssertionError("the loop returns or raises")


def _state(folder: Path) -> tuple[object, object]:
    return _stamp(folder / JOURNAL), _stamp(folder / "meta.json")


def _stamp(file: Path) -> tuple[int, int, int] | None:
    try:
        stat = os.stat(file)  # noqa: PTH116
    except OSError:
        return None
    return stat.st_ino, stat.st_mtime_ns, stat.st_size


def remove_leftovers(folder: Path) -> None:
    """Remove what killed writers left; the caller holds the folder's lock, after `finish_start`."""
    temporary = [folder.glob(f".{name}.????????") for name in (JOURNAL, "meta.json")]
    new = [folder / f"{name}.new" for name in (NPY, DONE, REFS)]
    # Without a journal, partial files are those of features that were just finished.
    partial = [] if (folder / JOURNAL).exists() else [folder / name for name in (NPY, DONE, REFS)]
    for path in [*new, *partial, *chain(*temporary)]:
        path.unlink(missing_ok=True)
