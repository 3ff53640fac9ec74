"""One member's copy of a team's log: the screen's side, which never waits for the line.

A label is on this disk before `append` returns. `annotator.log.store.sync` sends it to the team's
log, and brings the rows of the others. An answer that could not know of another one on its item
becomes an opinion: see `find_lost_races`.
"""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing
from pathlib import Path

from annotator.errors import StoreError
from annotator.items.refs import make_printable, shell_quoted
from annotator.log.entries import PENDING, Entry
from annotator.log.store import schema
from annotator.log.store.last_row import LastRow
from annotator.log.store.protocol import (
    Arrival,
    DecidedMeanwhile,
    Lease,
    OthersItems,
    SyncState,
)
from annotator.log.store.replica_tables import TABLES, ReplicaTables
from annotator.log.store.schema import (
    LOG_COLUMNS,
    explain_sqlite_errors,
    row_to_entry,
    written_at_once,
)
from annotator.log.store.sqlite import SqliteStore
from annotator.log.store.sync import LeaseRequest, Reach, SyncThread

_CLOSE_SECONDS = 5.0
"""Seconds to wait at the end for rows that are still to be sent."""
_FIRST_LEASE_SECONDS = 3.0
"""The same while a screen opens, before the first item."""
_LEASE_SECONDS = 0.3
"""Seconds to wait until the item that is to be shown is known to be on no other screen."""
_STRICT_SECONDS = 60.0
"""Seconds without the team's log during which the items of other shares are left to others."""
_SERVER_SECONDS = 20.0
"""Seconds to wait for the team's log where a label is to be there before it counts."""


class Replica(SqliteStore):
    """A `Store` in a labels.db that is one member's copy of a team's log."""

    shared = True
    version = schema.REPLICA_VERSION

    def __init__(self, path: Path, reach: Reach, *, waits: bool = False) -> None:
        """Open the copy; the team's log is reached by `reach` once there is something to send.

        With `waits`, a label counts once the team's log has it. Raises `StoreError`.
        """
        self._holder = self._annotator = ""
        self._sync = SyncThread(path, reach)
        super().__init__(path)
        self._tables = ReplicaTables(self._log)
        self._waits, self._member = waits, self._tables.member
        self._others: OthersItems | None = None

    def append(self, *entries: Entry, last_seen: int | None = None) -> list[Entry]:
        """Write `entries` durably on this disk, all or none; they are sent a moment later.

        Raises `DecidedMeanwhile` if an arrival after `last_seen` decides one of their refs, and
        `StoreError` if nothing was written, or if the team's log is waited for and does not come.
        """
        written = super().append(*entries, last_seen=last_seen)
        if written:
            self._sync.wake()
        if written and self._waits and not self.wait_until_sent(_SERVER_SECONDS):
            raise StoreError(
                "The label is on this disk, and the team's log did not take it in "
                f"{_SERVER_SECONDS:.0f} s: {self.sync_state().problem or 'no answer'}. It is sent "
                'as soon as possible. To label without waiting: durable = "disk".'
            )
        return written

    def arrivals(self, after: int) -> Iterator[Arrival]:
        """Yield the rows that became known here after the place `after`, or got a number."""
        query = (
            f"SELECT place, before, seq, {LOG_COLUMNS}, checksum FROM arrivals "  # noqa: S608
            "JOIN log USING (seq) WHERE place > ? ORDER BY place LIMIT 1000"
        )
        with explain_sqlite_errors(self.path):
            while rows := self._log.execute(query, (after,)).fetchall():
                for place, before, *row in rows:
                    yield Arrival(place, row_to_entry(tuple(row)), before)
                after = rows[-1][0]

    def last_arrival(self) -> int:
        """Return the place of the last arrival, 0 without rows."""
        with explain_sqlite_errors(self.path):
            found = self._log.execute("SELECT coalesce(max(place), 0) FROM arrivals").fetchone()
        return int(found[0])

    def entries_of(self, refs: Collection[str]) -> dict[str, list[Entry]]:
        """Return all rows on `refs`, each with its rows in order."""
        with explain_sqlite_errors(self.path):
            return self._tables.rows_of(refs)

    def lease(
        self, leases: Sequence[Lease], holder: str, annotator: str, now: float, until: float
    ) -> set[str]:
        """Hold `leases` here, and ask the team's log for them; return the refs not refused."""
        granted = super().lease(leases, holder, annotator, now, until)
        self._holder, self._annotator = holder, annotator
        self._sync.ask(LeaseRequest(tuple(leases), holder, annotator, until - now))
        if leases and self._others is None:  # a screen opens, and does not know who is there
            self._sync.wait_for_lease(leases[0].ref, _FIRST_LEASE_SECONDS)
        elif leases and self._others is not None and not self._others.is_own(leases[0].ref):
            self._sync.wait_for_lease(leases[0].ref, _LEASE_SECONDS)
        return granted - self.elsewhere().keys() - self._sync.refused

    def leased_by_others(self, now: float, holder: str) -> OthersItems:
        """Return the refs on the screens of others, as far as the team's log has told."""
        theirs = self.elsewhere()
        refs = super().leased_by_others(now, holder) | theirs.keys()
        away = self._sync.away_seconds()
        self._others = OthersItems(
            refs, self._annotator, theirs.values(), strict=0 < away < _STRICT_SECONDS
        )
        return self._others

    def elsewhere(self) -> dict[str, str]:
        """Return the refs on screens of other members, each with the annotator's name."""
        with explain_sqlite_errors(self.path):
            return self._tables.elsewhere()

    def release(self, holder: str, now: float) -> None:
        """End all leases of `holder`, here at once and in the team's log a moment later."""
        super().release(holder, now)
        self._sync.release(holder)

    def sync_state(self) -> SyncState:
        """Return how far this copy is with the team's log."""
        with explain_sqlite_errors(self.path):
            return self._tables.sync_state()

    def wait_until_sent(self, seconds: float) -> bool:
        """Wait until all rows are sent and those of others are read; return False if in vain."""
        return self._sync.drain(seconds)

    def close(self) -> None:
        """Wait a little until all rows are sent, then close the file."""
        if self._holder:
            self._sync.release(self._holder)
        self._sync.close(_CLOSE_SECONDS)
        super().close()

    def _next_seq(self) -> int:
        return max(PENDING, super()._next_seq())

    def _complete(self, entry: Entry) -> Entry:
        if self._member is not None and entry.annotator != self._member:
            raise StoreError(
                f"The team's log takes labels of {make_printable(self._member)} from this login, "
                f"not of {make_printable(entry.annotator)}. Run it with --annotator "
                f"{make_printable(self._member)}."
            )
        if self._member is not None and (entry.by_machine or entry.picked_by == "import"):
            raise StoreError(
                "Only an admin of the team writes labels of a model or imports some, and "
                f"{make_printable(self._member)} is not one. Nothing was written."
            )
        return self._tables.complete(entry)

    def _note_written(self, first: int, last: int) -> None:
        self._tables.own_rows(first, last)

    def _check_undecided(self, entries: Sequence[Entry], last_seen: int) -> None:
        query = (
            "SELECT ref FROM arrivals JOIN log USING (seq) "
            "WHERE place > ? AND action IN ('label', 'skip', 'undo')"
        )
        later = {ref for (ref,) in self._log.execute(query, (last_seen,))}
        if not later.isdisjoint(entry.ref for entry in entries):
            raise DecidedMeanwhile


def leave_team(path: Path) -> None:
    """Make a log of one's own of a copy; its rows keep their numbers, and rows not sent get some.

    Raises `StoreError` while another program has it open.
    """
    with explain_sqlite_errors(path), closing(open_alone(path)) as file:
        tables = ReplicaTables(file)
        with written_at_once(file):
            tables.number_unsent()
            for kind, name in _OBJECTS:
                file.execute(f"DROP {kind} {name}")
            last = "(SELECT coalesce(max(seq), 0) FROM log)"
            file.execute(f"UPDATE sqlite_sequence SET seq = {last} WHERE name = 'log'")
            file.execute(f"PRAGMA user_version = {schema.SCHEMA_VERSION}")
        end = file.execute(f"SELECT {last}").fetchone()[0]
    with closing(LastRow(path)) as told:
        told.write(end)


def open_alone(path: Path) -> sqlite3.Connection:
    """Open a labels.db that no other program has open, and keep all others out.

    Its write-ahead log is merged into it. Raises `StoreError` if another program has it open.
    """
    file = sqlite3.connect(path, isolation_level=None, timeout=2)
    try:
        file.execute("PRAGMA locking_mode = EXCLUSIVE")
        # SQLite leaves the write-ahead log only for a program that is alone with the file.
        file.execute("PRAGMA journal_mode = DELETE")
        file.execute("BEGIN EXCLUSIVE")
        file.execute("COMMIT")
    except sqlite3.OperationalError as error:
        file.close()
        raise StoreError(
            f"{make_printable(str(path))} is open in another program. Close all screens of the "
            f"project, then run the command again. `fuser {shell_quoted(path)}` names them."
        ) from error
    return file


_OBJECTS = (
    ("INDEX", "log_of_ref"), ("TABLE", "own"), ("TABLE", "arrivals"), ("TABLE", "elsewhere"),
    ("TABLE", "team"),
)  # fmt: skip
"""The tables and the index of `TABLES`."""


def make_replica(path: Path, uid: str, moved_in: int = 0, member: str | None = None) -> None:
    """Make a labels.db that is an empty copy of the team's log `uid`.

    `moved_in` is the last row that was written before there was a team, `member` the only name
    that rows may carry. Raises `StoreError` if there is a labels.db already.
    """
    if path.exists():
        raise StoreError(f"{path} exists. Name a new folder.")
    SqliteStore(path).close()
    with explain_sqlite_errors(path), closing(sqlite3.connect(path, isolation_level=None)) as file:
        _turn_into_replica(file, uid, moved_in, member)


def _turn_into_replica(
    file: sqlite3.Connection, uid: str, moved_in: int, member: str | None
) -> None:
    with written_at_once(file):
        for statement in filter(str.strip, TABLES.split(";")):
            file.execute(statement)
        file.execute(
            "INSERT INTO team (one, uid, writer, moved_in, member) VALUES (1, ?, ?, ?, ?)",
            (uid, uuid.uuid4().hex, moved_in, member),
        )
        file.execute(f"PRAGMA user_version = {schema.REPLICA_VERSION}")
