"""One replica's own side of a team's folder: the journals that it has written, and appending.

A replica writes one journal from each machine: a copy of its project on another machine never
writes into the same file. All of its journals tell which rows have been sent.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import socket
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from annotator.items.atomic import Held, lock_file
from annotator.items.refs import make_printable
from annotator.log.store.journal_folder import Journal, list_journals, share_file
from annotator.log.store.journal_lines import (
    MOST_TIME,
    WRITER_BITS,
    BadLine,
    JournalLine,
    encode_line,
    read_lines,
    shared_place,
)
from annotator.log.store.remote import RemoteAwayError, RemoteRefusedError, SharedRow

_PATIENCE = 30.0
"""Seconds to wait for another program of this replica; it writes for milliseconds."""
_PAUSE = 0.005
_REFERENCES = ("undoes", "corrects", "knew")
"""The keys in `extra` that name other rows by their places: these come before the row."""
_MOST_RECENT = 2000


class _Closable(Protocol):
    def close(self) -> None: ...


class _Run(NamedTuple):
    """Some ids as numbers of 128 bits, sorted by their second halves, which are random."""

    keys: npt.NDArray[np.uint64]
    """(n, 2)."""
    places: npt.NDArray[np.int64]
    """(n,)."""

    @classmethod
    def sort(cls, keys: npt.NDArray[np.uint64], places: npt.NDArray[np.int64]) -> _Run:
        """Make a run of ids in any order."""
        order = np.argsort(keys[:, 1])
        return cls(keys[order], places[order])

    def find(self, keys: npt.NDArray[np.uint64]) -> Iterator[tuple[int, int]]:
        """Yield the index and the place of each of the ids (n, 2) that is here."""
        ours = self.keys[:, 1]
        starts = np.searchsorted(ours, keys[:, 1])
        near = np.minimum(starts, len(ours) - 1)
        for index in np.flatnonzero(ours[near] == keys[:, 1]).tolist():
            at = int(starts[index])
            while at < len(ours) and ours[at] == keys[index, 1]:
                if self.keys[at, 0] == keys[index, 0]:
                    yield index, int(self.places[at])
                at += 1


class SentRows:
    """The ids of rows and their places, in 24 bytes each."""

    def __init__(self) -> None:
        self._runs: list[_Run] = []
        """Each is longer than the next one."""
        self._recent: dict[bytes, int] = {}

    def add(self, ids: Sequence[str], first: int) -> None:
        """Add rows whose places begin at `first`, and go up by one clock tick each."""
        for number, row_id in enumerate(ids):
            self._recent[_key_of(row_id)] = first + (number << WRITER_BITS)
        if len(self._recent) >= _MOST_RECENT:
            run = _Run.sort(
                _as_numbers(b"".join(self._recent)), np.fromiter(self._recent.values(), np.int64)
            )
            while self._runs and len(self._runs[-1].places) <= len(run.places):
                last = self._runs.pop()
                run = _Run.sort(
                    np.concatenate([last.keys, run.keys]), np.concatenate([last.places, run.places])
                )
            self._runs.append(run)
            self._recent.clear()

    def find(self, ids: Sequence[str]) -> dict[str, int]:
        """Return the places of the rows that have been sent, by their ids."""
        keys = [_key_of(row_id) for row_id in ids]
        found = {
            row_id: self._recent[key]
            for row_id, key in zip(ids, keys, strict=True) if key in self._recent
        }  # fmt: skip
        if self._runs:
            numbers = _as_numbers(b"".join(keys))
            for run in self._runs:
                found |= {ids[index]: place for index, place in run.find(numbers)}
        return found


def _as_numbers(keys: bytes) -> npt.NDArray[np.uint64]:
    return np.frombuffer(keys, ">u8").astype(np.uint64).reshape(-1, 2)


def _key_of(row_id: str) -> bytes:
    """Return 16 bytes for an id: those of a UUID, or a checksum of another one."""
    digits = row_id.replace("-", "")
    if len(row_id) == 36 and len(digits) == 32:
        with suppress(ValueError):
            return bytes.fromhex(digits)
    return hashlib.blake2b(row_id.encode(), digest_size=16).digest()


class _OwnJournal:
    """A journal of this replica, as far as it has been read."""

    def __init__(self, journal: Journal) -> None:
        self.journal, self.end, self.last_time = journal, 0, 0
        self.last: JournalLine | None = None

    def read_on(self, sent: SentRows) -> BadLine | None:
        """Note the rows that are new in the file; return a line that cannot be read.

        Raises `RemoteRefusedError` if the file is shorter than it was.
        """
        journal, size = self.journal, self.journal.size()
        if size < self.end:
            raise RemoteRefusedError(
                f"{make_printable(str(journal.path))} has {size:,} bytes, and had {self.end:,}: it "
                "was cut, or an older one was put in its place. Put a copy of it back."
            )
        for line in read_lines(journal.read_part, journal.name, self.end, size):
            if isinstance(line, BadLine):
                return line
            sent.add(line.ids(), shared_place(line.time, journal.number))
            self.end, self.last_time, self.last = line.end, line.last_time, line
        return None


class OwnJournals:
    """The journals of one replica, and the one that this machine appends to."""

    def __init__(self, folder: Path, writer: str) -> None:
        self._folder, self._writer = folder, writer
        self._place = _name_machine()
        self._sent, self._files = SentRows(), dict[str, _OwnJournal]()
        self._looked, self._settled = False, False

    def append(self, rows: Sequence[SharedRow], latest: int) -> dict[str, int]:
        """Write the rows that are new durably, all or none; return the place of each by its id.

        They come after the time `latest`. Raises `OSError` and `RemoteRefusedError`.
        """
        with _alone(self._writer):
            own = self._read_own(rows)
            known = self._sent.find([row.id for row in rows])
            new = {row.id: row for row in rows if row.id not in known}
            return known | (self._write(own, list(new.values()), latest) if new else {})

    def _read_own(self, rows: Sequence[SharedRow]) -> _OwnJournal:
        """Read what this replica has written, also by another program; return this machine's."""
        if not self._looked:
            for journal in list_journals(self._folder).values():
                if journal.fields()[0] == self._writer and journal.name not in self._files:
                    self._files[journal.name] = _OwnJournal(journal)
            if self._mine() is None:
                made = self._make(rows[0].entry.annotator)
                self._files[made.name] = _OwnJournal(made)
            self._looked = True
        mine = self._mine()
        assert mine is not None  # noqa: S101
        for own in self._files.values():
            bad = own.read_on(self._sent)
            if bad is not None and bad.damaged:
                raise RemoteRefusedError(describe_damage(own.journal, bad.at))
            if own is mine and (bad is not None or not self._settled):
                self._settle(own)
        return mine

    def _mine(self) -> _OwnJournal | None:
        for own in self._files.values():
            if own.journal.fields()[1][:8] == self._place:
                return own
        return None

    def _make(self, annotator: str) -> Journal:
        """Make a journal whose number no other one has."""
        safe = re.sub(r"[^a-z0-9]+", "-", annotator.lower())[:24].strip("-") or "writer"
        taken = {journal.number for journal in list_journals(self._folder).values()}
        for digit in "0123456789abcdef":
            path = self._folder / f"{safe}.{self._writer}.{self._place}{digit}.jsonl"
            if Journal(path).number in taken:
                continue
            number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
            try:
                share_file(number, self._folder)
            finally:
                os.close(number)
            _sync_folder(self._folder)
            try:
                list_journals(self._folder)  # another writer may have made one meanwhile
            except RemoteRefusedError:
                path.unlink()
                continue
            return Journal(path)
        raise RemoteRefusedError(
            f"{make_printable(str(self._folder))}: all numbers of this writer are taken. Make the "
            "project anew: annotator join STORE NEW_FOLDER"
        )

    def _settle(self, own: _OwnJournal) -> None:
        """Cut off what a kill has left of a line, and let the disk have the line before it.

        The sync of that line may have failed, and a second sync would not tell: so it is written
        again, as it is, since others may have read it.
        """
        number = os.open(own.journal.path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            os.ftruncate(number, own.end)
            if own.last is not None:
                _write_all(number, own.last.text + b"\n", own.last.at)
            os.fsync(number)
        finally:
            os.close(number)
        self._settled = True

    def _write(self, own: _OwnJournal, rows: Sequence[SharedRow], latest: int) -> dict[str, int]:
        named = [(row.entry.extra or {}).get(key) for row in rows for key in _REFERENCES]
        seen = max((place for place in named if isinstance(place, int)), default=0) >> WRITER_BITS
        time = 1 + max(latest, own.last_time, seen)
        if time + len(rows) > MOST_TIME:
            raise RemoteRefusedError(
                f"{make_printable(str(self._folder))}: its order has come to its end, which only a "
                "faulty journal can cause. Look for it: tail -n 1 *.jsonl"
            )
        line = encode_line(rows, own.journal.name, own.end, time)
        self._settled = False
        number = os.open(own.journal.path, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            if os.fstat(number).st_size != own.end:
                raise RemoteAwayError(f"{make_printable(str(own.journal.path))} has just changed.")
            _write_all(number, line)
            os.fsync(number)
        finally:
            os.close(number)  # a network file system may refuse here, too
        self._settled = True
        own.end, own.last_time = own.end + len(line), time + len(rows) - 1
        first, ids = shared_place(time, own.journal.number), [row.id for row in rows]
        self._sent.add(ids, first)
        return {row_id: first + (place << WRITER_BITS) for place, row_id in enumerate(ids)}


def describe_damage(journal: Journal, at: int) -> str:
    """Return the message for a line that was changed after it was written."""
    lines, place = 1, 0
    while place < at and (data := journal.read_part(place, min(1 << 20, at - place))):
        lines, place = lines + data.count(b"\n"), place + len(data)
    return (
        f"{make_printable(str(journal.path))}, line {lines}: its checksum does not fit, so it was "
        "changed after it was written. It and the lines after it cannot be read. Put a copy of the "
        "file back; all members keep the rows that they have read."
    )


def _write_all(number: int, data: bytes, at: int | None = None) -> None:
    """Write all bytes, at a place or at the end."""
    left = memoryview(data)
    while left:
        done = os.write(number, left) if at is None else os.pwrite(number, left, at)
        left, at = left[done:], None if at is None else at + done


def _sync_folder(folder: Path) -> None:
    """Let the disk have the names in a folder; some file systems cannot."""
    with suppress(OSError):
        number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(number)
        finally:
            os.close(number)


def _name_machine() -> str:
    """Return a name of this machine that no other one of a team has: 8 hexadecimal digits.

    The nodes of a cluster may share one `/etc/machine-id`, and containers a host's name.
    """
    identity = socket.gethostname()
    with suppress(OSError):
        identity += Path("/etc/machine-id").read_text(errors="replace").strip()
    return hashlib.sha256(identity.encode()).hexdigest()[:8]


@contextmanager
def _alone(writer: str) -> Iterator[None]:
    """Keep other programs of this replica on this machine from writing at the same time.

    The shared folder may have no locks, so the lock is this machine's: on Linux a name that only
    one socket can have, also of another user; elsewhere a file. Raises `RemoteAwayError` if another
    program holds it for long.
    """
    until = time.monotonic() + _PATIENCE
    while (lock := _take_lock(f"annotator-{writer}")) is None:
        if time.monotonic() > until:
            raise RemoteAwayError(
                f"Another program of this project has been sending for {_PATIENCE:.0f} s. Find "
                "it: ps aux | grep annotator"
            )
        time.sleep(_PAUSE)
    with lock:
        yield


def _take_lock(name: str) -> closing[_Closable] | None:
    """Return what holds a lock until it is closed; None if another program has it."""
    if sys.platform == "linux":
        with suppress(OSError):
            holder = socket.socket(socket.AF_UNIX)
            try:
                holder.bind(f"\0{name}")
            except OSError as error:
                holder.close()
                if error.errno == errno.EADDRINUSE:
                    return None
                raise
            return closing(holder)
    place = Path(tempfile.gettempdir()) / f"{name}.lock"
    try:
        return closing(os.fdopen(lock_file(place, 0o666, os.O_NOFOLLOW), "rb"))
    except Held:
        return None
