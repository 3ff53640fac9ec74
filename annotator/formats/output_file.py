"""Files and folders that appear whole or not at all."""

from __future__ import annotations

import ctypes
import glob
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from annotator.errors import ProjectError
from annotator.items.atomic import read_umask
from annotator.items.listing import EXPORT_MARKER as EXPORT_MARKER
from annotator.items.refs import make_printable

"""A file in every folder that an export made: only such a folder is ever replaced."""

_HERE, _EXCHANGE = -100, 2  # AT_FDCWD and RENAME_EXCHANGE of Linux
_OLD = 3600.0


@contextmanager
def open_output(path: Path, folder: bool, overwrite: bool) -> Iterator[Path]:
    """Yield a new file or folder to write to, which takes the place of `path` if all goes well.

    `-` is standard output. Raises `ProjectError` for a full disk, if something is there already
    and `overwrite` is False, and if it is a folder that no export made.
    """
    if str(path) == "-":
        if folder:
            raise ProjectError("This format is a folder of files. Name a folder instead of -.")
        with _stdout_file() as place:
            yield place
        return
    if folder and overwrite:
        _recover(path)
    _check_output(path, folder, overwrite)
    try:
        with _temporary_sibling(path, folder) as place:
            yield place
            if folder:
                (place / EXPORT_MARKER).write_text(
                    "Made by annotator export; --overwrite replaces it.\n"
                )
            _sync_to_disk(place)
            _move_into_place(place, path)
    except OSError as error:
        raise ProjectError(
            f"{make_printable(str(path))} cannot be written: {error.strerror or error}. Nothing "
            "was left there."
        ) from error


def _check_output(path: Path, folder: bool, overwrite: bool) -> None:
    name = make_printable(str(path))
    if not (path.exists() or path.is_symlink()):
        if not path.absolute().parent.is_dir():
            raise ProjectError(
                f"{name} cannot be written: its folder does not exist. Make it first."
            )
        return
    if not overwrite:
        raise ProjectError(f"{name} exists already. Give --overwrite to replace it.")
    if path.is_dir() and not folder:
        raise ProjectError(f"{name} is a folder. Name a file in it.")
    if path.is_dir() and any(path.iterdir()) and not (path / EXPORT_MARKER).is_file():
        raise ProjectError(
            f"{name} holds files that no export made, so it is not replaced. Name another folder, "
            "or remove it yourself."
        )
    if folder and not path.is_dir():
        raise ProjectError(f"{name} is a file, and this format is a folder. Name another place.")


@contextmanager
def _temporary_sibling(path: Path, folder: bool) -> Iterator[Path]:
    parent = path.absolute().parent
    prefix = f".{path.name[:80]}."
    mask = read_umask()
    if folder:
        place = Path(tempfile.mkdtemp(dir=parent, prefix=prefix))
        place.chmod(0o777 & ~mask)
    else:
        handle, name = tempfile.mkstemp(dir=parent, prefix=prefix)
        os.close(handle)
        place = Path(name)
        place.chmod(0o666 & ~mask)
    try:
        yield place
    finally:
        if place.is_dir():
            shutil.rmtree(place, ignore_errors=True)
        else:
            place.unlink(missing_ok=True)


def _sync_to_disk(place: Path) -> None:
    if place.is_dir():
        os.sync()  # one call for all its files
        return
    with place.open("rb") as file:
        os.fsync(file.fileno())


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two folders in one step; return False if the system cannot do that."""
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):
        return False
    return bool(rename(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE) == 0)


def _recover(path: Path) -> None:
    """Put an old folder back, and remove finished ones, that killed exports left aside."""
    prefix = f".{path.name[:80]}."
    with suppress(OSError):
        for left in list(path.absolute().parent.glob(f"{glob.escape(prefix)}*")):
            if left.name.startswith(f"{prefix}old.") and (left / "it").is_dir():
                if not path.exists():
                    (left / "it").rename(path)
                    left.rmdir()
            elif (left / EXPORT_MARKER).is_file() and left.stat().st_mtime < time.time() - _OLD:
                shutil.rmtree(left, ignore_errors=True)


def _move_into_place(place: Path, path: Path) -> None:
    if not path.is_dir() or path.is_symlink():
        place.replace(path)
        return
    if _exchange(place, path):  # one step; the old folder is the temporary one now
        return
    # Without that, a folder with files cannot be replaced at once: it is moved aside, and moved
    # back if the new one cannot take its place, or by the next export after a kill.
    aside = Path(tempfile.mkdtemp(dir=path.absolute().parent, prefix=f".{path.name[:80]}.old."))
    path.rename(aside / "it")
    try:
        place.rename(path)
    except OSError:
        (aside / "it").rename(path)
        raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)


@contextmanager
def _stdout_file() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "export"
        yield place
        with place.open("rb") as file:
            if sys.stdout.isatty():
                sys.stdout.writelines(_printable_line(line) for line in file)
            else:
                shutil.copyfileobj(file, sys.stdout.buffer)
        sys.stdout.flush()


def _printable_line(line: bytes) -> str:
    """Return a line for a terminal, with the control characters of its names made visible."""
    text = line.decode("utf-8", "backslashreplace").rstrip("\r\n")
    return "\t".join(map(make_printable, text.split("\t"))) + "\n"
