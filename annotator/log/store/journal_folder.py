"""A team's shared folder: its mark, its journals, and its errors explained.

    team.json                the mark of a team's folder: format, uid and when it was made
    NAME.WRITER.PLACE.jsonl  a journal: only its writer appends to it, from one machine
    leases/*.lease           the items on one screen each, replaced by a rename
    files/                   annotator.toml and refs.csv for those who join

Whoever may write to the folder may write what they like: every file counts as untrusted.
"""

from __future__ import annotations

import errno
import json
import os
import re
import stat
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from annotator.items.atomic import only_regular, write_atomically
from annotator.items.json_text import parse_json
from annotator.items.refs import make_printable, shell_quoted
from annotator.log.store.journal_lines import writer_number
from annotator.log.store.remote import RemoteAwayError, RemoteRefusedError

FORMAT = 1
TEAM_FILE = "team.json"
LEASES = "leases"
FILES = "files"
MOST_JOURNALS = 4096
_MOST_BYTES = 1 << 34
"""The bytes of a journal: about 50 million rows."""
_MOST_MARK = 1 << 16
_STEM = re.compile(r"[a-z0-9-]{1,32}\.(?P<writer>[a-z0-9-]{1,64})\.(?P<place>[0-9a-f]{9})")
_REFUSED = (
    errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.EINVAL,
    errno.EFBIG,
)  # fmt: skip
"""Errors that do not end by themselves."""
_REMEDIES = {
    errno.ENOSPC: "Its disk is full. Free some space there: df -h {folder}",
    errno.EDQUOT: "Your quota there is used up. Free some space: quota -s",
    errno.EROFS: "It is mounted read-only. Ask its admin for write access.",
    errno.EACCES: "Get access to it and its files: ls -la {folder}",
    errno.EPERM: "Get access to it and its files: ls -la {folder}",
}
_OTHER_REMEDY = "It is tried again. To see whether the folder is there: ls {folder}"


@contextmanager
def explain_folder_errors(folder: Path) -> Iterator[None]:
    """Turn an error of the disk into one that says whether to wait, and what to do."""
    try:
        yield
    except OSError as error:
        place = make_printable(str(error.filename or folder))
        remedy = _REMEDIES.get(error.errno or 0, _OTHER_REMEDY)
        remedy = remedy.format(folder=shell_quoted(folder))
        kind = RemoteRefusedError if error.errno in _REFUSED else RemoteAwayError
        raise kind(
            f"{place} cannot be used: {error.strerror or error}. {remedy}. Labels stay on this "
            "disk until then.".replace("..", ".")
        ) from error


def read_mark(folder: Path) -> Mapping[str, Any]:
    """Return what `team.json` says, at least its `uid`.

    Raises `RemoteAwayError` if the folder is not there, `RemoteRefusedError` if it is not a team's.
    """
    name, quoted = make_printable(str(folder)), shell_quoted(folder)
    try:
        values = parse_json(read_limited(folder / TEAM_FILE, _MOST_MARK))
        version, _ = int(values["format"]), uuid.UUID(values["uid"])
    except FileNotFoundError as error:
        if not folder.is_dir() or not any(folder.iterdir()):
            raise RemoteAwayError(
                f"{name} is empty or not there. Is its file system mounted? df {quoted}"
            ) from error
        raise RemoteRefusedError(
            f"{name} is not a team's log: it has no {TEAM_FILE}. To make one in an empty folder: "
            "annotator team init PROJECT --store folder:FOLDER"
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RemoteRefusedError(
            f"{name}/{TEAM_FILE} is damaged. Put a copy of it back: ls -l {quoted}"
        ) from error
    if version > FORMAT:
        raise RemoteRefusedError(
            f"{name} was made by a newer annotator: its format is {version}, and this version "
            f"reads {FORMAT}. Upgrade: pip install --upgrade annotator-tui"
        )
    return dict(values)


def make_team_folder(folder: Path) -> None:
    """Make an empty or absent folder a team's; do nothing if it is one already.

    Raises `RemoteRefusedError` for a folder with other files. Who may use it is what its permission
    bits say, which all that is made in it gets, too.
    """
    with explain_folder_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / TEAM_FILE).exists():
            read_mark(folder)
            return
        if {part.name for part in folder.iterdir()} - {FILES, LEASES}:
            raise RemoteRefusedError(
                f"{make_printable(str(folder))} has other files. Name an empty folder."
            )
        for part in (folder / FILES, folder / LEASES):
            part.mkdir(exist_ok=True)
            part.chmod(stat.S_IMODE(folder.stat().st_mode))
        values = {"format": FORMAT, "uid": str(uuid.uuid4()), "made": time.time()}
        write_shared(folder / TEAM_FILE, json.dumps(values).encode())


def read_limited(path: Path, most: int) -> bytes:
    """Return the bytes of a regular file. Raises `OSError`, also for more than `most` bytes."""
    with open(path, "rb", opener=only_regular) as file:  # noqa: PTH123
        data = file.read(most + 1)
    if len(data) > most:
        raise OSError(errno.EFBIG, f"it has more than {most:,} bytes", str(path))
    return data


def share_file(number: int, folder: Path) -> None:
    """Let all read an open file of ours who may read its folder, whatever our umask."""
    os.fchmod(number, _shared_mode(folder))


def write_shared(path: Path, data: bytes) -> None:
    """Write a file whole or not at all, and let all read it who may read its folder."""
    write_atomically(path, data)
    path.chmod(_shared_mode(path.parent))


def _shared_mode(folder: Path) -> int:
    return 0o600 | stat.S_IMODE(folder.stat().st_mode) & 0o044


@dataclass(frozen=True, slots=True)
class Journal:
    """The file of one writer."""

    path: Path

    @property
    def name(self) -> str:
        """The name of the file without its ending: the writer's name, id and place."""
        return self.path.stem

    @property
    def number(self) -> int:
        """The number of the writer in the places of its rows."""
        return writer_number(self.name)

    def fields(self) -> tuple[str, str]:
        """Return the id of the writer, and its place."""
        _, writer, place = self.name.split(".")
        return writer, place

    def size(self) -> int:
        """Return the size in bytes. The file is opened: only this asks a network file system anew.

        Raises `RemoteRefusedError` for a file that is too large.
        """
        number = only_regular(str(self.path), os.O_RDONLY | os.O_NOFOLLOW)
        try:
            size = os.fstat(number).st_size
        finally:
            os.close(number)
        if size > _MOST_BYTES:
            raise RemoteRefusedError(
                f"{make_printable(str(self.path))} has {size:,} bytes, more than a journal may. "
                f"Move it aside: mv {shell_quoted(self.path)} ELSEWHERE"
            )
        return size

    def read_part(self, start: int, length: int) -> bytes:
        """Return up to `length` bytes from a place on."""
        number = only_regular(str(self.path), os.O_RDONLY | os.O_NOFOLLOW)
        try:
            return os.pread(number, length, start)
        finally:
            os.close(number)


def list_journals(folder: Path) -> dict[str, Journal]:
    """Return all journals by name, in order of their names.

    Raises `RemoteRefusedError` for too many, or for two whose rows could have the same place.
    """
    names = sorted(
        path.name for path in folder.iterdir()
        if path.suffix == ".jsonl" and _STEM.fullmatch(path.stem)
    )  # fmt: skip
    quoted = shell_quoted(folder)
    if len(names) > MOST_JOURNALS:
        raise RemoteRefusedError(
            f"{make_printable(str(folder))} has {len(names):,} journals, and {MOST_JOURNALS:,} are "
            f"the most. Remove those that are not the team's: ls {quoted}"
        )
    found = {name.removesuffix(".jsonl"): Journal(folder / name) for name in names}
    numbers: dict[int, Journal] = {}
    for journal in found.values():
        other = numbers.setdefault(journal.number, journal)
        if other is not journal:
            raise RemoteRefusedError(
                f"{make_printable(str(journal.path))} and {make_printable(other.path.name)} have "
                f"the same number, one of a million. Remove the one that is empty: ls -l {quoted}"
            )
    return found
