"""A new project that is there whole, or not at all.

It is made in a hidden folder beside its place, and moved there by one rename. If its place holds
files already, the parts move one by one, annotator.toml last; the next attempt takes back what a
killed one has moved.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from annotator.errors import AnnotatorError, ProjectError
from annotator.items.atomic import read_file, read_umask, write_atomically
from annotator.items.json_text import parse_json
from annotator.items.refs import make_printable
from annotator.project.project import SETTINGS_FILE

_PREFIX = ".{}.init-"
_PARTS_FILE = "annotator-init.json"
"""In the hidden folder: the inode of each part, from the moment that parts begin to move."""


@contextmanager
def stage_project(folder: Path, *, keep: Collection[str] = ()) -> Iterator[Path]:
    """Yield a hidden folder to make a project in; it becomes `folder` if all goes well.

    Files of `folder` that are named in `keep` stay as they are. Errors of writing name `folder`.
    Raises `ProjectError` for a folder that cannot be written.
    """
    made, lock = folder, -1
    try:
        folder.absolute().parent.mkdir(parents=True, exist_ok=True)
        remove_unfinished(folder)
        prefix = _PREFIX.format(folder.absolute().name)
        made = Path(tempfile.mkdtemp(dir=folder.absolute().parent, prefix=prefix))
        made.chmod(0o777 & ~read_umask())
        lock = _lock(made)
        yield made
        _install(made, folder, keep)
    except OSError as error:
        raise ProjectError(
            f"Cannot make a project in {make_printable(str(folder))}: {error.strerror}. Nothing "
            "was left there. Name another folder, or allow writing to this one."
        ) from error
    except AnnotatorError as error:
        text = str(error).replace(make_printable(str(made)), make_printable(str(folder)))
        raise type(error)(text) from error
    finally:
        try:
            if made != folder and made.exists():
                _take_back(made, folder)
        finally:
            if lock >= 0:
                os.close(lock)


def remove_unfinished(folder: Path) -> None:
    """Remove what killed attempts to make a project in `folder` left."""
    prefix = _PREFIX.format(folder.absolute().name)
    with suppress(OSError):
        for place in list(folder.absolute().parent.iterdir()):
            if place.name.startswith(prefix) and place.is_dir():
                lock = _lock(place)
                if lock >= 0:
                    try:
                        _take_back(place, folder)
                    finally:
                        os.close(lock)


def _lock(place: Path) -> int:
    """Lock a folder; return the descriptor, or -1 if a living process has it."""
    number = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(number)
        return -1
    return number


def _install(made: Path, folder: Path, keep: Collection[str]) -> None:
    for name in keep:
        (made / name).unlink(missing_ok=True)
    try:
        made.rename(folder)  # there is nothing, or an empty folder
    except OSError:
        if not folder.is_dir() or not any(folder.iterdir()):
            raise
    else:
        return
    names = sorted(entry.name for entry in made.iterdir() if entry.name != SETTINGS_FILE)
    names.append(SETTINGS_FILE)  # the settings go last: they make it a project
    ours = [name for name in names if not (folder / name).exists()]
    parts = {name: (made / name).stat().st_ino for name in ours}
    write_atomically(made / _PARTS_FILE, json.dumps(parts).encode())
    for name in names:
        (made / name).rename(folder / name)
    (made / _PARTS_FILE).unlink()


def _take_back(made: Path, folder: Path) -> None:
    """Remove the hidden folder, and the parts of it that have moved without the settings."""
    parts: Any = {}
    with suppress(OSError, ValueError):
        parts = parse_json(read_file(made / _PARTS_FILE))
    if not (folder / SETTINGS_FILE).exists() and isinstance(parts, dict):
        for name, inode in parts.items():
            part = folder / Path(name).name
            if part.exists() and part.stat().st_ino == inode:
                part.rename(made / part.name)
    shutil.rmtree(made, ignore_errors=True)
