"""Files and folders that appear whole or not at all."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from annotator.errors import ProjectError
from annotator.items.atomic import read_umask
from annotator.items.refs import make_printable

EXPORT_MARKER = ".annotator-export"
"""Stands in every folder that an export made: only such a folder is ever replaced."""


@contextmanager
def open_output(path: Path, folder: bool, overwrite: bool) -> Iterator[Path]:
    """A new file or folder to write to, which takes the place of `path` when all went well.

    `-` stands for standard output. Raises `ProjectError` where something is there already and
    `overwrite` does not hold, where it is a folder of somebody's own, and for a full disk.
    """
    if str(path) == "-":
        if folder:
            raise ProjectError("this format is a folder of files: name one instead of -")
        with _stdout_file() as place:
            yield place
        return
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
            f"{make_printable(str(path))} cannot be written: {error.strerror or error}; nothing of it "
            "was left there"
        ) from error


def _check_output(path: Path, folder: bool, overwrite: bool) -> None:
    name = make_printable(str(path))
    if not (path.exists() or path.is_symlink()):
        if not path.absolute().parent.is_dir():
            raise ProjectError(
                f"{name} cannot be written: its folder does not exist; make it first"
            )
        return
    if not overwrite:
        raise ProjectError(f"{name} is there already; give --overwrite to replace it")
    if path.is_dir() and not folder:
        raise ProjectError(f"{name} is a folder; name a file in it")
    if path.is_dir() and any(path.iterdir()) and not (path / EXPORT_MARKER).is_file():
        raise ProjectError(
            f"{name} holds files that no export made: it is not replaced; name another folder, or "
            "remove it yourself"
        )
    if folder and not path.is_dir():
        raise ProjectError(f"{name} is a file, and this format is a folder: name another place")


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


def _move_into_place(place: Path, path: Path) -> None:
    if not path.is_dir() or path.is_symlink():
        place.replace(path)
        return
    # A folder that holds something cannot be replaced at once: it steps aside, and comes back
    # if the new one cannot take its place.
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
    """A line for a terminal: what could steer it in a file's or a class's name is made visible."""
    text = line.decode("utf-8", "backslashreplace").rstrip("\r\n")
    return "\t".join(map(make_printable, text.split("\t"))) + "\n"
