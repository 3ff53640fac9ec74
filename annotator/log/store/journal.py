"""A team's log in a shared folder, without a server and without a lock on it.

Each writer has one file of its own: `WRITER.jsonl`. A line holds the rows of one
append and their checksum, so that all of them are there or none. It is opened, appended to, synced
and closed each time: a network file system shows it to whoever opens it after that.

Rows are ordered by Lamport's clock (Time, clocks, and the ordering of events in a distributed
system, 1978), and those of one time by their writer. The place of a row, its time and then its
writer in one number, stays as it is when rows of a writer who was away come in between.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import tempfile
import time
import uuid
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from annotator.items.atomic import Held, lock_file, write_atomically
from annotator.items.refs import make_printable
from annotator.log.store.protocol import Lease
from annotator.log.store.remote import RemoteAwayError, RemoteRefusedError, SharedRow
from annotator.log.store.row_checks import OddRow
from annotator.log.store.schema import LOG_COLUMNS, entry_to_row, row_to_entry

FORMAT = 1
TEAM_FILE = "team.json"
_FILES = "files"
_WRITER_BITS = 20
_WRITER = re.compile(r"[a-z0-9-]{1,64}")
_NAMES = [name.strip() for name in LOG_COLUMNS.split(",")]
_MOST_LINE = 1 << 26
_MOST_LEASE = 1 << 20
_REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS)


class _Group(NamedTuple):
    """The rows of one append."""

    rows: list[SharedRow]
    end: int
    """The place in the file after it, in bytes."""


class _HeldItems(NamedTuple):
    """The items on one screen."""

    holder: str
    annotator: str
    refs: tuple[str, ...]
    seconds: float


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    """Say what an error of a shared folder means."""
    try:
        yield
    except OSError as error:
        name = make_printable(str(folder))
        reason = f"{error.strerror or error} ({make_printable(str(error.filename or folder))})"
        if error.errno in _REFUSED:
            raise RemoteRefusedError(
                f"{name}: {reason}. Get write access to the folder and its files."
            ) from error
        raise RemoteAwayError(f"{name} cannot be used now: {reason}") from error


class FolderLog:
    """A `SharedLog` in a shared folder, as one writer reaches it."""

    def __init__(self, folder: Path, writer: str) -> None:
        """Set up the way to `folder`; `writer` is the id of the replica, and of no other one."""
        if not _WRITER.fullmatch(writer):
            raise RemoteRefusedError(f"{make_printable(writer)} cannot be the name of a journal.")
        self._folder, self._writer = folder, writer
        self._own = folder / f"{writer}.jsonl"
        self._places: dict[str, int] = {}
        self._own_end = 0
        self._time = 0
        self._seen: dict[str, tuple[bytes, float]] = {}
        self._checked = False

    def append(self, rows: Sequence[SharedRow]) -> dict[str, int]:
        """Write rows in one line, and return the place of each by its id."""
        with _explained(self._folder), self._alone():
            self._check()
            self._read_own()
            new = [row for row in rows if row.id not in self._places]
            if new:
                self._write(new)
            return {row.id: self._places[row.id] for row in rows}

    def _write(self, rows: Sequence[SharedRow]) -> None:
        for file in self._journals():
            self._time = max(self._time, _last_time(file))
        begin, number = self._time + 1, _journalof(self._writer)
        values = [{"id": row.id, **_as_json(row)} for row in rows]
        text = json.dumps({"time": begin, "rows": values}, ensure_ascii=False, allow_nan=False)
        line = _with_checksum(text.encode(), self._own_end)
        journal = os.open(self._own, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
        try:
            self._cut_torn_line(journal)
            view = memoryview(line)
            while view:
                view = view[os.write(journal, view) :]
            os.fsync(journal)
        finally:
            os.close(journal)
        self._own_end += len(line)
        self._time += len(rows)
        for at, row in enumerate(rows):
            self._places[row.id] = _place(begin + at, number)

    def _cut_torn_line(self, file: int) -> None:
        """Remove what a kill has left of a line: its rows are sent again."""
        if os.fstat(file).st_size > self._own_end:
            if b"\n" in self._own.read_bytes()[self._own_end :]:
                raise _damaged(self._own, self._own_end)
            os.ftruncate(file, self._own_end)

    def _read_own(self) -> None:
        """Read what this replica has written, also through another program."""
        for group in _read_groups(self._own, self._own_end, _journalof(self._writer)):
            self._own_end = group.end
            for row in group.rows:
                self._places[row.id] = row.entry.seq
                self._time = max(self._time, row.entry.seq >> _WRITER_BITS)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other programs of this replica, which are on this machine, from writing."""
        place = Path(tempfile.gettempdir()) / f"annotator-{os.getuid()}-{self._writer}.lock"
        until = time.monotonic() + 30
        while (lock := _try_lock(place)) is None:
            if time.monotonic() > until:
                raise RemoteAwayError(f"{make_printable(str(place))} is held by another program.")
            time.sleep(0.01)
        try:
            yield
        finally:
            os.close(lock)

    def read_new(self, cursor: str) -> Iterator[tuple[list[SharedRow], str]]:
        """Yield what has come since `cursor`, the ends of all journals as JSON, in batches."""
        ends: dict[str, int] = json.loads(cursor) if cursor else {}
        with _explained(self._folder):
            self._check()
            for file in self._journals():
                name = file.stem
                for group in _read_groups(file, ends.get(name, 0), _journalof(name)):
                    ends[name] = group.end
                    yield group.rows, json.dumps(ends)

    def _journals(self) -> list[Path]:
        found = sorted(
            file for file in self._folder.glob("*.jsonl") if _WRITER.fullmatch(file.stem)
        )
        numbers: dict[int, Path] = {}
        for file in found:
            other = numbers.setdefault(_journalof(file.stem), file)
            if other != file:
                raise RemoteRefusedError(
                    f"{make_printable(str(file))} and {make_printable(other.name)} have the same "
                    "number, one of a million. Join again under a new folder with one of them."
                )
        return found

    def _check(self) -> None:
        if not self._checked:
            _read_team(self._folder)
            self._checked = True

    # --- leases

    def hold(
        self, leases: Sequence[Lease], holder: str, annotator: str, seconds: float
    ) -> set[str]:
        """Hold `leases` and no others; return the refs granted.

        There is no lock: of two who ask for an item at the same moment, the holder whose name
        sorts first keeps it, once both have read the other's file.
        """
        with _explained(self._folder):
            self._check()
            wanted = [lease.ref for lease in leases]
            theirs = self._others(holder)
            taken = {ref for held in theirs for ref in held.refs}
            self._write_lease(holder, annotator, [r for r in wanted if r not in taken], seconds)
            first = [held for held in self._others(holder) if held.holder < holder]
            lost = {ref for held in first for ref in held.refs}
            if lost & set(wanted):
                kept = [ref for ref in wanted if ref not in taken | lost]
                self._write_lease(holder, annotator, kept, seconds)
            return set(wanted) - taken - lost

    def _write_lease(self, holder: str, annotator: str, refs: list[str], seconds: float) -> None:
        held = {
            "holder": holder, "annotator": annotator, "refs": refs, "seconds": seconds,
            "beat": uuid.uuid4().hex,
        }  # fmt: skip
        write_atomically(self._lease_file(holder), json.dumps(held).encode())

    def _lease_file(self, holder: str) -> Path:
        return self._folder / f"{hashlib.sha256(holder.encode()).hexdigest()[:32]}.lease"

    def let_go(self, holder: str) -> None:
        """End all leases of `holder`."""
        with _explained(self._folder):
            self._lease_file(holder).unlink(missing_ok=True)

    def held_by_others(self, holder: str) -> dict[str, str]:
        """Return the refs on the screens of others, each with the annotator's name."""
        with _explained(self._folder):
            return {ref: held.annotator for held in self._others(holder) for ref in held.refs}

    def present(self) -> list[str]:
        """Return the names of the annotators who hold a lease now, sorted."""
        with _explained(self._folder):
            return sorted({held.annotator for held in self._others("")})

    def _others(self, holder: str) -> list[_HeldItems]:
        """Return the leases of others that hold.

        No clock of another machine counts: a lease ends when its file has stayed as it is for its
        time by this machine's own clock, since this program first saw it.
        """
        now, found, seen = time.monotonic(), [], dict[str, tuple[bytes, float]]()
        for file in sorted(self._folder.glob("*.lease")):
            try:
                data = file.read_bytes()[:_MOST_LEASE]
                held = _parse_lease(data)
            except (FileNotFoundError, ValueError):
                continue  # let go a moment ago, or damaged: a lease is a courtesy
            before = self._seen.get(file.name)
            since = before[1] if before is not None and before[0] == data else now
            seen[file.name] = data, since
            if held.holder != holder and now - since < held.seconds:
                found.append(held)
        self._seen = seen
        return found

    def close(self) -> None:
        """Do nothing: no file stays open."""


def _parse_lease(data: bytes) -> _HeldItems:
    values = json.loads(data)
    refs = tuple(map(str, values["refs"])) if isinstance(values, dict) else ()
    if not isinstance(values, dict) or not 0 < float(values["seconds"]) <= 86400:
        raise ValueError("not a lease")
    return _HeldItems(
        str(values["holder"]), str(values["annotator"]), refs, float(values["seconds"])
    )


def _try_lock(place: Path) -> int | None:
    try:
        return lock_file(place)
    except Held:
        return None


def _journalof(writer: str) -> int:
    """Return the number of a writer, of 20 bits."""
    return int(hashlib.sha256(writer.encode()).hexdigest()[:5], 16)


def _place(at: int, number: int) -> int:
    return at << _WRITER_BITS | number


def _as_json(row: SharedRow) -> dict[str, Any]:
    values = dict(zip(_NAMES, entry_to_row(row.entry), strict=True))
    return {key: value for key, value in values.items() if value is not None}


def _with_checksum(text: bytes, offset: int) -> bytes:
    """Return a line: the checksum covers the place, too, so that no line can stand elsewhere."""
    return b"%08x " % zlib.crc32(text, offset) + text + b"\n"


def _read_groups(file: Path, start: int, number: int) -> Iterator[_Group]:
    """Yield the groups of a journal from the byte `start` on, up to one that is not whole yet.

    Raises `RemoteRefusedError` for a damaged line that others follow.
    """
    try:
        journal = file.open("rb")
    except FileNotFoundError:
        return
    with journal:
        journal.seek(start)
        while line := journal.readline(_MOST_LINE):
            group = _parse_line(line, start, number)
            if group is None:
                if journal.read(1):
                    raise _damaged(file, start)
                return
            start = group.end
            yield group


def _damaged(file: Path, start: int) -> RemoteRefusedError:
    return RemoteRefusedError(
        f"{make_printable(str(file))} is damaged at byte {start}: the rows of one append cannot be "
        "read. Put the file back from a backup; the copies of all members keep what they have."
    )


def _parse_line(line: bytes, offset: int, number: int) -> _Group | None:
    """Return the rows of a line; None if it is not whole, or damaged."""
    text = line[9:-1]
    if not line.endswith(b"\n") or line[:9] != b"%08x " % zlib.crc32(text, offset):
        return None
    try:
        values = json.loads(text)
        begin, found = int(values["time"]), []
        for at, row in enumerate(values["rows"]):
            columns = [row.get(name) for name in _NAMES]
            entry = row_to_entry((_place(begin + at, number), *columns, None))
            found.append(SharedRow(str(row["id"]), entry))
    except (OddRow, ValueError, KeyError, TypeError, AttributeError):
        return None
    return _Group(found, offset + len(line))


def _last_time(file: Path) -> int:
    """Return the time of the last row of a journal, 0 without one; a torn line is left out."""
    with file.open("rb") as journal:
        size = os.fstat(journal.fileno()).st_size
        length = 1 << 12
        while True:
            start = max(0, size - length)
            journal.seek(start)
            lines = journal.read(size - start).split(b"\n")
            whole = [line for line in lines[0 if start == 0 else 1 : -1] if line]
            if whole:
                return _end_time(whole[-1][9:])
            if start == 0:
                return 0
            length *= 4


def _end_time(text: bytes) -> int:
    try:
        values = json.loads(text)
        return int(values["time"]) + len(values["rows"]) - 1
    except (ValueError, KeyError, TypeError):
        return 0


class FolderTeam:
    """The files of a team's log in a shared folder: its `TeamFiles`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def create(self) -> None:
        """Make the folder a team's; do nothing if it is one already."""
        with _explained(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
            if (self._folder / TEAM_FILE).exists():
                _read_team(self._folder)
                return
            if any(self._folder.iterdir()):
                raise RemoteRefusedError(
                    f"{make_printable(str(self._folder))} has other files. Name an empty folder."
                )
            (self._folder / _FILES).mkdir()
            values = {"format": FORMAT, "uid": str(uuid.uuid4()), "made": time.time()}
            write_atomically(self._folder / TEAM_FILE, json.dumps(values).encode())

    def uid(self) -> str:
        """Return the id of the team's log."""
        with _explained(self._folder):
            return str(_read_team(self._folder)["uid"])

    def member_name(self) -> str | None:
        """Return None: a folder has no logins, so that any name may be used."""
        return None

    def read_file(self, name: str) -> bytes:
        """Return a file; b"" if the team has none of that name."""
        with _explained(self._folder):
            _read_team(self._folder)
            try:
                return (self._folder / _FILES / name).read_bytes()
            except FileNotFoundError:
                return b""

    def write_file(self, name: str, data: bytes) -> None:
        """Keep a file in place of an older one."""
        with _explained(self._folder):
            _read_team(self._folder)
            write_atomically(self._folder / _FILES / name, data)


def _read_team(folder: Path) -> Mapping[str, Any]:
    """Return what `team.json` says. Raises `RemoteRefusedError` for one that is not a team's."""
    name = make_printable(str(folder))
    try:
        values = json.loads((folder / TEAM_FILE).read_bytes()[:_MOST_LEASE])
        version, _ = int(values["format"]), uuid.UUID(values["uid"])
    except FileNotFoundError as error:
        if not folder.is_dir():
            raise RemoteAwayError(f"{name} is not there. Is its file system mounted?") from error
        raise RemoteRefusedError(
            f"{name} is not a team's log: it has no {TEAM_FILE}. Its admin makes one: annotator "
            f"team init PROJECT --store folder:{name}"
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise RemoteRefusedError(f"{name}/{TEAM_FILE} is damaged: put it back.") from error
    if version > FORMAT:
        raise RemoteRefusedError(
            f"{name} was made by a newer annotator: its format is {version}, and this version "
            f"reads {FORMAT}. Upgrade: pip install --upgrade annotator-tui"
        )
    return values  # type: ignore[no-any-return]
