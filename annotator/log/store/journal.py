"""A team's log in a shared folder, without a server and without a lock on it.

Each writer has a file of its own, a journal. A line holds the rows of one append and their
checksum, so that all of them are there or none. The file is opened, appended to, synced and closed
each time: a network file system shows it to whoever opens it after that.

Rows are ordered by Lamport's clock, and those of one time by their writer. The place of a row, its
time and its writer in one number, stays as it is when rows of a writer who was away come later.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from heapq import merge
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from annotator.items.refs import make_printable
from annotator.log.store.journal_folder import (
    FILES,
    TEAM_FILE,
    Journal,
    explain_folder_errors,
    list_journals,
    make_team_folder,
    read_limited,
    read_mark,
    write_shared,
)
from annotator.log.store.journal_leases import FolderLeases, names_of_refs
from annotator.log.store.journal_lines import (
    WRITER_BITS,
    BadLine,
    JournalLine,
    decode_rows,
    read_lines,
)
from annotator.log.store.journal_writer import OwnJournals, describe_damage
from annotator.log.store.protocol import Lease
from annotator.log.store.remote import RemoteAwayError, RemoteRefusedError, SharedRow
from annotator.log.store.row_checks import OddRow

_WRITER = re.compile(r"[a-z0-9-]{1,64}")
_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_MOST_FILE = 1 << 32
_BATCH = 2000
_LOOK_AGAIN = 0.05
"""Seconds after which a line that seems damaged is read again: its writer may be replacing it."""


class FolderLog:
    """A `SharedLog` in a shared folder, as one writer reaches it."""

    def __init__(self, folder: Path, writer: str) -> None:
        """Set up the way to `folder`; `writer` is the id of the replica, and of no other one."""
        if not _WRITER.fullmatch(writer):
            raise RemoteRefusedError(f"{make_printable(writer)} cannot be the name of a journal.")
        self._folder, self._uid = folder, ""
        self._own = OwnJournals(folder, writer)
        self._leases = FolderLeases(folder)
        self._latest: int | None = None
        """The latest time of a row that has been seen; None before the first look."""

    def append(self, rows: Sequence[SharedRow]) -> dict[str, int]:
        """Write rows in one line, and return the place of each by its id.

        A row whose id is known already keeps its place.
        """
        if not rows:
            return {}
        with explain_folder_errors(self._folder):
            self._check()
            if self._latest is None:
                journals = list_journals(self._folder).values()
                self._latest = max(map(_last_time, journals), default=0)
            places = self._own.append(rows, self._latest)
        self._latest = max(self._latest, *(place >> WRITER_BITS for place in places.values()))
        return places

    def append_all(self, rows: Iterable[SharedRow]) -> int:
        """Write any number of rows, in parts that are all there or not; return their number.

        After a failure, the same call continues: rows that are known are not written again.
        """
        count, left = 0, iter(rows)
        while part := list(islice(left, _BATCH)):
            count += len(self.append(part))
        return count

    def read_new(self, cursor: str) -> Iterator[tuple[list[SharedRow], str]]:
        """Yield what has come since `cursor`, the ends of all journals as JSON, in batches.

        A journal that cannot be read holds up no other one: its error is raised at the end.
        """
        with explain_folder_errors(self._folder):
            uid = self._check()
            ends = _parse_cursor(cursor, uid)
            journals, problems = list_journals(self._folder), list[Exception]()
            gone = [name for name in ends if name not in journals]
            streams = [
                self._stream(journal, ends.get(journal.name, 0), problems)
                for journal in journals.values()
            ]
            batch: list[SharedRow] = []
            for part in merge(*streams, key=_first_place):
                batch += part.rows
                ends[part.name] = part.end
                if len(batch) >= _BATCH:
                    yield _in_order(batch), json.dumps({"team": uid, "ends": ends})
                    batch = []
            if batch:
                yield _in_order(batch), json.dumps({"team": uid, "ends": ends})
            if gone:
                read_mark(self._folder)  # it may have been unmounted meanwhile
                name = make_printable(str(self._folder / gone[0]))
                raise RemoteRefusedError(f"{name}.jsonl is gone. Put a copy of it back.")
            if problems:
                raise problems[0]

    def _stream(self, journal: Journal, start: int, problems: list[Exception]) -> Iterator[_Part]:
        """Yield the parts of one journal, and note why it cannot be read further."""
        try:
            with explain_folder_errors(self._folder):
                for line in _lines_after(journal, start):
                    rows = _decode(journal, line)
                    if self._latest is not None:
                        self._latest = max(self._latest, line.last_time)
                    yield _Part(journal.name, rows, line.end)
        except (RemoteAwayError, RemoteRefusedError) as error:
            problems.append(error)

    def _check(self) -> str:
        """Return the id of the team; the folder may have been unmounted since the last time."""
        if not self._uid or not (self._folder / TEAM_FILE).is_file():
            self._uid = str(read_mark(self._folder)["uid"])
        return self._uid

    # --- leases

    def hold(
        self, leases: Sequence[Lease], holder: str, annotator: str, seconds: float
    ) -> set[str]:
        """Hold `leases` and no others for some seconds; return the refs granted.

        See `annotator.log.store.journal_leases` for what this promises.
        """
        with explain_folder_errors(self._folder):
            self._check()
            return self._leases.hold(leases, holder, annotator, seconds)

    def let_go(self, holder: str) -> None:
        """End all leases of `holder`."""
        with explain_folder_errors(self._folder):
            self._leases.let_go(holder)

    def held_by_others(self, holder: str) -> dict[str, str]:
        """Return the refs on the screens of others, each with the annotator's name."""
        with explain_folder_errors(self._folder):
            return names_of_refs(self._leases.living(holder))

    def present(self) -> list[str]:
        """Return the names of the annotators who hold a lease now, sorted."""
        with explain_folder_errors(self._folder):
            return sorted({lease.annotator for lease in self._leases.living()})

    def close(self) -> None:
        """Do nothing: no file stays open."""


class _Part(NamedTuple):
    """The rows of one line of a journal."""

    name: str
    rows: list[SharedRow]
    end: int
    """The place in the file after it, in bytes."""


def _first_place(part: _Part) -> int:
    return part.rows[0].entry.seq


def _in_order(rows: list[SharedRow]) -> list[SharedRow]:
    return sorted(rows, key=lambda row: row.entry.seq)


def _lines_after(journal: Journal, start: int) -> Iterator[JournalLine]:
    """Yield the lines after a place, up to one that is not whole yet.

    Raises `RemoteRefusedError` for a file that was cut, or a line that was changed.
    """
    for attempt in range(2):
        size = journal.size()
        if size < start:
            raise RemoteRefusedError(
                f"{make_printable(str(journal.path))} has {size:,} bytes, and {start:,} have been "
                "read: it was cut, or an older one was put in its place. Put a copy of it back."
            )
        for line in read_lines(journal.read_part, journal.name, start, size):
            if not isinstance(line, BadLine):
                yield line
                start = line.end
            elif not line.damaged:
                return
            elif attempt:
                raise RemoteRefusedError(describe_damage(journal, line.at))
            else:
                time.sleep(_LOOK_AGAIN)
                break
        else:
            return


def _decode(journal: Journal, line: JournalLine) -> list[SharedRow]:
    try:
        return decode_rows(line, journal.number)
    except OddRow as odd:
        raise RemoteRefusedError(
            f"{make_printable(str(journal.path))}, byte {line.at}: this version cannot read the "
            f"line: {odd}. Upgrade: pip install --upgrade annotator-tui"
        ) from odd


def _parse_cursor(cursor: str, uid: str) -> dict[str, int]:
    """Return the ends of the journals. Raises `RemoteRefusedError` for those of another team."""
    if not cursor:
        return {}
    values = json.loads(cursor)
    if values.get("team") != uid:
        raise RemoteRefusedError(
            f"The folder belongs to the team {uid}, and this copy to {values.get('team')}. Name "
            "the folder of its team in `store` of annotator.toml."
        )
    return dict(values["ends"])


def _last_time(journal: Journal) -> int:
    """Return the time of the last row of a journal; 0 without one."""
    size, length = journal.size(), 1 << 14
    while True:
        start = max(0, size - length)
        data = journal.read_part(start, length)
        begin = start if start == 0 else start + data.find(b"\n") + 1
        found = 0
        if start == 0 or b"\n" in data:
            for line in read_lines(journal.read_part, journal.name, begin, size):
                found = line.last_time if isinstance(line, JournalLine) else found
        if found or start == 0:
            return found
        length *= 8


class FolderTeam:
    """The files of a team's log in a shared folder: its `TeamFiles`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def create(self) -> None:
        """Make the folder a team's; do nothing if it is one already."""
        make_team_folder(self._folder)

    def uid(self) -> str:
        """Return the id of the team's log."""
        return str(self._mark()["uid"])

    def member_name(self) -> str | None:
        """Return None: a folder has no logins, so that any name may be used."""
        return None

    def read_file(self, name: str) -> bytes:
        """Return a file; b"" if the team has none of that name."""
        self._mark()
        with explain_folder_errors(self._folder):
            try:
                return read_limited(self._place(name), _MOST_FILE)
            except FileNotFoundError:
                return b""

    def write_file(self, name: str, data: bytes) -> None:
        """Keep a file in place of an older one."""
        self._mark()
        with explain_folder_errors(self._folder):
            write_shared(self._place(name), data)

    def _mark(self) -> Mapping[str, object]:
        with explain_folder_errors(self._folder):
            return read_mark(self._folder)

    def _place(self, name: str) -> Path:
        if not _FILE.fullmatch(name):
            raise RemoteRefusedError(f"{make_printable(name)} cannot be the name of a team's file.")
        return self._folder / FILES / name
