"""Which of the files that a table or a data set names are there."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path


def is_file(path: Path) -> bool:
    """Whether there is such a file. A name that no file can have, or one in a folder that may not
    be looked into, is of none; `Path.is_file` raises for both."""
    return os.path.isfile(path)  # noqa: PTH113


def exists(path: Path) -> bool:
    """Whether there is such a file or folder; as `is_file`, it raises nothing."""
    return os.path.exists(path)  # noqa: PTH110


def missing_files(items: Iterable[tuple[str, int]], root: Path) -> list[tuple[str, int]]:
    """Those (path, line) whose file does not exist; one look at each folder, not at each file."""
    known: dict[str, set[str]] = {}
    absent = []
    for path, line in items:
        folder, _, base = path.rpartition("/")
        if folder not in known:
            known[folder] = _names(root / (folder + "/" if path.startswith("/") else folder))
        if base not in known[folder]:
            absent.append((path, line))
    return absent


def _names(folder: Path) -> set[str]:
    with contextlib.suppress(OSError, ValueError), os.scandir(folder) as entries:
        return {entry.name for entry in entries}
    return set()
