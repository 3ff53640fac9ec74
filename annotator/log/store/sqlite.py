"""The store of the log: one SQLite file; every append is on disk before it returns.

The file also holds the leases: the items on an annotator's screen or next in their queue. So two
annotators are never asked the same item at once, and a killed session resumes with the same
picture. A lease is a convenience, not a label: losing one loses nothing.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from annotator.errors import StoreError
from annotator.items.file_system import NETWORK_FILE_SYSTEMS, file_system_type
from annotator.log.entries import Entry
from annotator.log.store import schema
from annotator.log.store.holders import is_dead
from annotator.log.store.last_row import LastRow, read_last_row
from annotator.log.store.protocol import (
    Arrival,
    Byproduct,
    DecidedMeanwhile,
    Lease,
    LostRowsError,
    OthersItems,
    SyncState,
)
from annotator.log.store.row_checks import OddRow, check_sum, parse_json_object, sum_values
from annotator.log.store.schema import (
    INSERT_ROW,
    LOG_COLUMNS,
    add_checksum,
    entry_to_row,
    explain_sqlite_errors,
    last_seq,
    row_to_entry,
    select_rows,
    to_json,
)

_BUSY_MS = {"wal": 5000, "delete": 20_000}
"""Milliseconds to wait for other programs: in WAL mode, and with a rollback journal."""
_SHORT_READ = 1000
"""Rows that are read at once where an open reader keeps writers out."""
LONGEST_LEASE = 30 * 86400.0
"""Seconds. A lease that runs longer has a wrong clock or is damaged, and counts for nothing."""
_ODD_LEASES = (
    "FROM leases WHERE typeof(ref) <> 'text' OR typeof(holder) <> 'text' OR until > ? "
    "OR typeof(until) NOT IN ('real', 'integer') OR typeof(picked_by) NOT IN ('text', 'null') "
    "OR typeof(q) NOT IN ('real', 'null') OR typeof(pool) NOT IN ('integer', 'null')"
)


class SqliteStore:
    """A `Store` in one SQLite file, in WAL mode, with a sync of the disk for every append.

    On a network file system, on which WAL does not work, a rollback journal takes its place.
    A store belongs to the thread that made it; several processes may use one file.
    """

    shared = False
    version = schema.SCHEMA_VERSION
    """The format of its file."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._data_version = -1
        self._readers_block = False
        schema.refuse_odd_files(self.path)
        told = read_last_row(self.path) if self.path.exists() else 0
        if told and not self.path.stat().st_size:
            raise LostRowsError(schema.describe_lost_end(self.path, 0, told))
        self._last_row = LastRow(self.path)
        reading = schema.open_read_only(self.path, self.version)
        if reading is not None:  # labels can be read, and writing raises an error
            self._log = self._leases = self._records = reading
            self._check_end(told)
            return
        try:
            with explain_sqlite_errors(self.path):
                self._open_for_writing(in_memory=str(path) == ":memory:")
        except StoreError as error:
            full = schema.is_full_disk(error.__cause__)
            if (
                not full
                or (reading := schema.open_snapshot(self.path, self.version, alone=True)) is None
            ):
                raise
            self._log = self._leases = self._records = reading
            self._check_end(told)
            return
        self._last_row.write(self._check_end(told))

    def _open_for_writing(self, *, in_memory: bool) -> None:
        self._log = self._connect("FULL")
        schema.prepare_tables(self._log, self.path, self.version)
        # Leases need no sync: after a power cut no screen shows anything any more.
        self._leases = self._log if in_memory else self._connect("OFF")
        # By-products survive a killed process without a sync; only labels need more.
        self._records = self._log if in_memory else self._connect("NORMAL")

    def append(self, *entries: Entry, last_seen: int | None = None) -> list[Entry]:
        """Write `entries` durably, all or none, and return them with their `seq`.

        Raises `DecidedMeanwhile` if a row after `last_seen` decides one of their refs.
        """
        with explain_sqlite_errors(self.path):
            written = []
            self._log.execute("BEGIN IMMEDIATE")
            try:
                if last_seen is not None:
                    self._check_undecided(entries, last_seen)
                for seq, entry in enumerate(entries, self._next_seq()):
                    entry = self._complete(entry)
                    self._log.execute(INSERT_ROW["log"], add_checksum(seq, entry_to_row(entry)))
                    written.append(replace(entry, seq=seq))
                if written:
                    self._note_written(written[0].seq, written[-1].seq)
                self._commit()
                if written:
                    self._last_row.write(written[-1].seq)
            except BaseException:
                if self._log.in_transaction:
                    self._log.execute("ROLLBACK")
                raise
            return written

    def append_many(self, entries: Iterable[Entry]) -> int:
        """Write any number of entries, all or none, without holding them; return their number.

        They wait in a temporary table, so that others can label until the last moment.
        """
        log = self._log
        with explain_sqlite_errors(self.path):
            columns = f"{LOG_COLUMNS}, checksum"
            rows = (entry_to_row(self._complete(entry)) for entry in entries)
            log.execute(f"CREATE TEMP TABLE waiting AS SELECT {columns} FROM log WHERE 0")
            try:
                log.execute("BEGIN")
                places = ",".join("?" * (columns.count(",") + 1))
                log.executemany(
                    f"INSERT INTO waiting VALUES ({places})",
                    ((*values, sum_values(values)) for values in rows),
                )
                log.execute("COMMIT")
                log.execute("BEGIN IMMEDIATE")
                before = self._next_seq() - 1
                written = log.execute(
                    f"INSERT INTO log (seq, {columns}) SELECT rowid + :before, {LOG_COLUMNS}, "
                    "checksum + rowid + :before FROM waiting ORDER BY rowid",
                    {"before": before},
                ).rowcount
                self._note_written(before + 1, before + written)
                self._commit()
                self._last_row.write(before + written)
            finally:
                if log.in_transaction:
                    log.execute("ROLLBACK")
                log.execute("DROP TABLE waiting")
        return written

    def entries(self, after: int = 0) -> Iterator[Entry]:
        """Yield the rows with `seq` above `after`, in order."""
        with explain_sqlite_errors(self.path):
            query = f"{select_rows(self._log, 'log')} WHERE seq > :after ORDER BY seq"
            for row in self._read_rows(query, {"after": after}):
                try:
                    entry = row_to_entry(row)
                except OddRow as odd:
                    problem = schema.describe_odd_row(self.path, "the log", row[0], odd)
                    raise StoreError(problem) from odd
                yield entry

    def last_arrival(self) -> int:
        """Return the number of the last row, 0 without rows: rows arrive in their order."""
        with explain_sqlite_errors(self.path):
            return last_seq(self._log, "log")

    def arrivals(self, after: int) -> Iterator[Arrival]:
        """Yield the rows with `seq` above `after`, in order."""
        for entry in self.entries(after):
            yield Arrival(entry.seq, entry)

    def entries_of(self, refs: Collection[str]) -> dict[str, list[Entry]]:
        """Return all rows on `refs`, each with its rows in order."""
        found: dict[str, list[Entry]] = {ref: [] for ref in refs}
        for entry in self.entries():
            if entry.ref in found:
                found[entry.ref].append(entry)
        return found

    def lease(
        self, leases: Sequence[Lease], holder: str, annotator: str, now: float, until: float
    ) -> set[str]:
        """Hold `leases` and no others; return the refs granted: those that no other holder has."""
        until = min(until, now + LONGEST_LEASE)
        rows = [
            (lease.ref, holder, annotator, until, place, lease.picked_by, lease.q, lease.pool)
            for place, lease in enumerate(leases)
        ]
        with explain_sqlite_errors(self.path), self._leases as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("DELETE FROM leases WHERE holder = ?", (holder,))
            connection.executemany(
                "INSERT INTO leases VALUES (?,?,?,?,?,?,?,?) ON CONFLICT (ref) DO UPDATE SET "
                "holder=excluded.holder, annotator=excluded.annotator, until=excluded.until, "
                "place=excluded.place, picked_by=excluded.picked_by, q=excluded.q, "
                f"pool=excluded.pool WHERE leases.until <= {float(now)!r}",
                rows,
            )
            held = connection.execute("SELECT ref FROM leases WHERE holder = ?", (holder,))
            return {ref for (ref,) in held}

    def leased_by_others(self, now: float, holder: str) -> OthersItems:
        """Return the refs on the screens of others."""
        query = "SELECT ref FROM leases WHERE until > ? AND holder <> ?"
        with explain_sqlite_errors(self.path):
            return OthersItems(ref for (ref,) in self._leases.execute(query, (now, holder)))

    def abandoned(self, annotator: str, now: float) -> list[Lease]:
        """Return the items on screen and queued when this annotator's last session ended."""
        query = (
            "SELECT ref, picked_by, q, pool FROM leases "
            "WHERE annotator = ? AND until <= ? ORDER BY until DESC, place"
        )
        with explain_sqlite_errors(self.path):
            self._expire_dead(now)
            return [Lease(*row) for row in self._leases.execute(query, (annotator, now))]

    def release(self, holder: str, now: float) -> None:
        """End all leases of `holder`; `abandoned` still returns them."""
        with explain_sqlite_errors(self.path):
            self._leases.execute("UPDATE leases SET until = ? WHERE holder = ?", (now, holder))

    def append_byproducts(self, *rows: Byproduct) -> None:
        """Append `rows`, all or none. They survive the process at once, and a power cut soon."""
        values = [(int(row.at), row.kind, row.page, to_json(row.data)) for row in rows]
        with explain_sqlite_errors(self.path), self._records as connection:
            connection.execute("BEGIN IMMEDIATE")
            first = last_seq(connection, "byproducts") + 1
            checked = (add_checksum(seq, value) for seq, value in enumerate(values, first))
            connection.executemany(INSERT_ROW["byproducts"], checked)

    def read_byproducts(
        self, kind: str | None = None, page: str | None = None
    ) -> Iterator[Byproduct]:
        """Yield the rows of a kind and of a page (all for None), in the order written."""
        with explain_sqlite_errors(self.path):
            query = (
                f"{select_rows(self._log, 'byproducts')} WHERE seq > :after "
                "AND (:kind IS NULL OR kind = :kind) "
                f"{'AND page = :page' if page is not None else ''} ORDER BY seq"
            )
            for row in self._read_rows(query, {"kind": kind, "page": page, "after": 0}):
                try:
                    byproduct = row_to_byproduct(row)
                except OddRow as odd:
                    problem = schema.describe_odd_row(self.path, "byproducts", row[0], odd)
                    raise StoreError(problem) from odd
                yield byproduct

    def changed(self) -> bool:
        """Return whether another connection has written since the last call; takes microseconds."""
        with explain_sqlite_errors(self.path):
            (version,) = self._log.execute("PRAGMA data_version").fetchone()
        before, self._data_version = self._data_version, version
        return bool(before != version)

    def sync_state(self) -> SyncState | None:
        """Return None: this log is one's own."""
        return None

    def close(self) -> None:
        """Close the file."""
        self._leases.close()
        self._records.close()
        self._log.close()
        self._last_row.close()

    def _connect(self, synchronous: str) -> sqlite3.Connection:
        mode = "delete" if file_system_type(self.path.parent) in NETWORK_FILE_SYSTEMS else "wal"
        self._readers_block, seconds = mode == "delete", _BUSY_MS[mode] / 1000
        connection = sqlite3.connect(self.path, isolation_level=None, timeout=seconds)
        schema.set_journal_mode(connection, mode, seconds=seconds)
        connection.execute(f"PRAGMA synchronous = {synchronous}")
        return connection

    def _read_rows(self, query: str, values: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of a query for rows after `:after`, in order.

        With a rollback journal, a query that is not at its end keeps all writers out. So the rows
        come in short reads, or in one where rows change their numbers meanwhile.
        """
        if not self._readers_block:
            yield from self._log.execute(query, values)
            return
        most = -1 if self.shared else _SHORT_READ
        while rows := self._log.execute(f"{query} LIMIT {most}", values).fetchall():
            yield from rows
            if most < 0 or len(rows) < most:
                return
            values = {**values, "after": rows[-1][0]}

    def _check_end(self, told: int) -> int:
        """Return the last row. Raises `StoreError` if rows that were `told` are gone."""
        with explain_sqlite_errors(self.path):
            last = last_seq(self._log, "log")
        if last >= told:
            return last
        with _kept_write_ahead_log(self.path):
            self.close()
        raise LostRowsError(schema.describe_lost_end(self.path, last, told))

    def _next_seq(self) -> int:
        """Return the number of the next row; called in its transaction."""
        return last_seq(self._log, "log") + 1

    def _complete(self, entry: Entry) -> Entry:
        """Return a row as it is to be written; called in its transaction."""
        return entry

    def _note_written(self, first: int, last: int) -> None:
        """Do what belongs to the rows from `first` to `last`; called in their transaction."""

    def _check_undecided(self, entries: Sequence[Entry], last_seen: int) -> None:
        query = "SELECT ref FROM log WHERE seq > ? AND action IN ('label', 'skip', 'undo')"
        later = {ref for (ref,) in self._log.execute(query, (last_seen,))}
        if not later.isdisjoint(entry.ref for entry in entries):
            raise DecidedMeanwhile

    def _commit(self) -> None:
        """Commit; after a failure no process ever finds what was refused."""
        try:
            self._log.execute("COMMIT")
        except sqlite3.Error:
            if self._log.in_transaction:
                self._log.execute("ROLLBACK")
            with suppress(sqlite3.Error):
                self._overwrite_refused()
            raise

    def _overwrite_refused(self) -> None:
        """Overwrite the frames of a failed commit, which the next process would take for whole.

        They stand in the WAL, and only the sync failed. The next commit overwrites the first of
        them, and the checksums of the others continue from the first. This one changes nothing,
        and needs no sync.
        """
        (version,) = self._log.execute("PRAGMA user_version").fetchone()
        self._log.execute("PRAGMA synchronous = OFF")
        try:
            self._log.execute("BEGIN IMMEDIATE")
            self._log.execute(f"PRAGMA user_version = {int(version)}")
            self._log.execute("COMMIT")
        finally:
            if self._log.in_transaction:
                self._log.execute("ROLLBACK")
            self._log.execute("PRAGMA synchronous = FULL")

    def _expire_dead(self, now: float) -> None:
        """End the leases of programs that have ended, and drop rows that are not leases."""
        latest = (now + LONGEST_LEASE,)
        if self._leases.execute(f"SELECT 1 {_ODD_LEASES} LIMIT 1", latest).fetchone():
            self._leases.execute(f"DELETE {_ODD_LEASES}", latest)
        holders = self._leases.execute("SELECT DISTINCT holder FROM leases WHERE until > ?", (now,))
        for (holder,) in holders.fetchall():
            if is_dead(holder):
                self.release(holder, now)


@contextmanager
def _kept_write_ahead_log(path: Path) -> Iterator[None]:
    """Keep a damaged write-ahead log, which SQLite removes at the end, for the repair."""
    log, link = (path.with_name(path.name + ending) for ending in ("-wal", schema.WAL_ASIDE))
    with suppress(OSError):
        link.unlink(missing_ok=True)
        os.link(log, link)
    yield
    with suppress(OSError):
        if log.exists():
            link.unlink()
        else:
            link.rename(log)


def row_to_byproduct(row: tuple[Any, ...]) -> Byproduct:
    """Make a by-product from a row. Raises `OddRow` for one that this version cannot read."""
    check_sum(row)
    _, at, kind, page, data, _ = row
    if not (isinstance(at, int) and isinstance(kind, str) and isinstance(page, str)):
        raise OddRow(f"its time, kind and page are {at!r}, {kind!r} and {page!r}")
    return Byproduct(at, kind, page, parse_json_object(data, "data"))
