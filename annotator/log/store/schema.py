"""The SQLite side of labels.db: tables, migration of older files, and errors explained."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from annotator.errors import StoreError
from annotator.items.atomic import describe_dead_link
from annotator.items.file_system import describe_no_locks, find_lock_fault
from annotator.items.refs import make_printable, plural, shell_quoted
from annotator.log.entries import PENDING, Entry
from annotator.log.store.row_checks import (
    OddRow,
    check_extra,
    check_proba,
    check_row,
    check_sum,
    parse_action,
    parse_json_object,
    sum_values,
)

_LOCKING = re.compile("BUSY|LOCK|PROTOCOL")
WAL_ASIDE = "-wal-damaged"
"""The ending of a damaged write-ahead log that SQLite does not see, until it is repaired."""
SCHEMA_VERSION = 2
REPLICA_VERSION = 3
"""The format of a copy of a team's log: see `annotator.log.store.replica`."""
APPLICATION_ID = 0x616E6E6F  # "anno"
_LOG_TABLES = """
CREATE TABLE log (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, annotator TEXT NOT NULL,
    action TEXT NOT NULL, ref TEXT NOT NULL, label TEXT, proba TEXT, model TEXT, picked_by TEXT,
    q REAL, pool INTEGER, shown_ms INTEGER, note TEXT, extra TEXT
);
CREATE TABLE leases (
    ref TEXT PRIMARY KEY, holder TEXT NOT NULL, annotator TEXT NOT NULL, until REAL NOT NULL,
    place INTEGER NOT NULL, picked_by TEXT, q REAL, pool INTEGER
) WITHOUT ROWID;
"""
_BYPRODUCT_TABLES = """
CREATE TABLE byproducts (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, kind TEXT NOT NULL,
    page TEXT NOT NULL, data TEXT NOT NULL
);
CREATE INDEX byproducts_of_page ON byproducts (page, seq);
"""
_MIGRATIONS = (_LOG_TABLES, _BYPRODUCT_TABLES)
"""The statements that each version added; tables are only ever added."""
LOG_COLUMNS = (
    "at, annotator, action, ref, label, proba, model, picked_by, q, pool, shown_ms, note, extra"
)
COLUMNS = {"log": LOG_COLUMNS, "byproducts": "at, kind, page, data"}
"""The columns of each table that grows, between `seq` and `checksum`."""
INSERT_ROW = {
    table: f"INSERT INTO {table} (seq, {columns}, checksum) "  # noqa: S608
    f"VALUES ({','.join('?' * (columns.count(',') + 3))})"
    for table, columns in COLUMNS.items()
}
"""A statement for each table: it inserts `seq`, the columns and the checksum."""


def set_journal_mode(connection: sqlite3.Connection, mode: str, seconds: float) -> None:
    """Set the journal mode; wait up to `seconds` while another process does the same.

    SQLite does not call its busy handler here: two processes that both hold a shared lock would
    wait for each other (https://sqlite.org/c3ref/busy_handler.html).
    """
    end = time.monotonic() + seconds
    while True:
        try:
            connection.execute(f"PRAGMA journal_mode = {mode}")
            return
        except sqlite3.OperationalError as error:
            busy = error.sqlite_errorname.startswith("SQLITE_BUSY")
            if not busy or time.monotonic() >= end:
                raise
        time.sleep(0.01)


def prepare_tables(connection: sqlite3.Connection, path: Path, wanted: int) -> None:
    """Make the tables that are missing, in a file whose format is `wanted`.

    Raises `StoreError` for a file of another program or of a newer version, and leaves it as it is.
    """
    # One statement: between two, another process may make the tables.
    version, application, tables = connection.execute(
        "SELECT user_version, application_id, (SELECT count(*) FROM sqlite_master) "
        "FROM pragma_user_version, pragma_application_id"
    ).fetchone()
    if version > REPLICA_VERSION:
        raise StoreError(
            f"{path} was written by a newer annotator: its format is {version}, and this version "
            f"reads {REPLICA_VERSION}. Upgrade: pip install --upgrade annotator-tui"
        )
    if tables and application != APPLICATION_ID:
        raise StoreError(f"{path} is a database of another program. Name another project.")
    if version != wanted and REPLICA_VERSION in (version, wanted):
        raise ReplicaError(_describe_other_format(path, is_replica=version == REPLICA_VERSION))
    if version < SCHEMA_VERSION:
        _migrate(connection)
    if not has_checksums(connection):
        _add_checksums(connection)


def has_checksums(connection: sqlite3.Connection) -> bool:
    """Return whether the tables have their column of checksums; those of 0.1.0 have none."""
    query = "SELECT count(*) FROM pragma_table_info('byproducts') WHERE name = 'checksum'"
    return bool(connection.execute(query).fetchone()[0])


def _add_checksums(connection: sqlite3.Connection) -> None:
    """Add the columns of checksums; 0.1.0 reads and writes the tables as before."""
    with written_at_once(connection):
        if not has_checksums(connection):  # another process may have been quicker
            for table in COLUMNS:
                connection.execute(f"ALTER TABLE {table} ADD COLUMN checksum INTEGER")


def select_rows(connection: sqlite3.Connection, table: str) -> str:
    """Return the start of a query for `seq`, the columns and the checksum of a table."""
    checksum = "checksum" if has_checksums(connection) else "NULL"
    return f"SELECT seq, {COLUMNS[table]}, {checksum} FROM {table}"  # noqa: S608


def last_seq(connection: sqlite3.Connection, table: str) -> int:
    """Return the largest number that a table ever gave to a row, 0 without rows."""
    query = (
        f"SELECT max(coalesce((SELECT max(seq) FROM {table}), 0), "  # noqa: S608
        "coalesce((SELECT seq FROM sqlite_sequence WHERE name = ?), 0))"
    )
    return int(connection.execute(query, (table,)).fetchone()[0])


def _migrate(connection: sqlite3.Connection) -> None:
    with written_at_once(connection):
        # Read again under the lock: another process may have been quicker.
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        for step in _MIGRATIONS[version:]:
            for statement in filter(str.strip, step.split(";")):
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


@contextmanager
def written_at_once(connection: sqlite3.Connection) -> Iterator[None]:
    """Write all or nothing, alone."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


class ReplicaError(StoreError):
    """The error for a log of one's own where a copy of a team's log should be, or the reverse."""


def _describe_other_format(path: Path, *, is_replica: bool) -> str:
    name, project = make_printable(str(path)), shell_quoted(path.parent)
    if is_replica:
        return (
            f"{name} is a copy of a team's log, and annotator.toml names no team. Put its line "
            f"`store = …` back. To work without the team: annotator team leave {project}"
        )
    return (
        f"annotator.toml names a team's log, and {name} is a log of its own. To make a team of "
        f"this project: annotator team init {project} --store …. To work for that team: "
        "annotator join STORE NEW_FOLDER"
    )


class OddFileError(StoreError):
    """The error for a file of a log that is a folder, a pipe, or a link to nothing."""


def refuse_odd_files(path: Path) -> None:
    """Raise `OddFileError` for what is not a file: SQLite would wait for a pipe, or blame the disk.

    SQLite follows a link to labels.db, but none to the two files beside it.
    """
    name = make_printable(str(path))
    if path.is_symlink() and not path.exists():
        raise OddFileError(describe_dead_link(path))
    if path.exists() and not path.is_file():
        raise OddFileError(f"{name} is not a file. Put labels.db back.")
    for suffix in ("-wal", "-shm"):
        part = path.with_name(path.name + suffix)
        if part.is_symlink() or (part.exists() and not part.is_file()):
            raise OddFileError(
                f"{name}{suffix} is not a file. Move it aside: {repair_command(path)}"
            )


def open_read_only(path: Path, wanted: int) -> sqlite3.Connection | None:
    """Return a read-only connection if this user may not write the file; else None.

    The format of the file is to be `wanted`.

    On a disk that is read-only no process writes to a file that is complete. Otherwise the file
    may have a write-ahead log, which can be read only with write access: a copy is read.
    """
    if not path.is_file() or (_may_write(path) and _may_write(path.parent)):
        return None
    return open_snapshot(path, wanted)


def open_snapshot(path: Path, wanted: int, *, alone: bool = False) -> sqlite3.Connection | None:
    """Return a read-only connection to a file; None if its format is not `wanted`.

    If this process is `alone`, no other one needs an empty write-ahead log.
    """
    with explain_sqlite_errors(path):
        log = path.with_name(path.name + "-wal")
        if log.exists() and not (alone and not log.stat().st_size):
            connection = _read_copy(path)
        else:
            place = f"{path.resolve().as_uri()}?immutable=1"
            connection = sqlite3.connect(place, uri=True, isolation_level=None)
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        connection.execute("PRAGMA query_only = ON")
    if version == wanted:
        return connection
    connection.close()  # of another version: `prepare_tables` reports it
    return None


def _may_write(path: Path) -> bool:
    return os.access(path, os.W_OK) and not os.statvfs(path).f_flag & os.ST_RDONLY


def _read_copy(path: Path) -> sqlite3.Connection:
    """Return a connection to a copy in memory of a file and its write-ahead log."""
    memory = sqlite3.connect(":memory:", isolation_level=None)
    with tempfile.TemporaryDirectory() as folder:
        for suffix in ("", "-wal"):
            shutil.copyfile(path.with_name(path.name + suffix), Path(folder) / f"copy.db{suffix}")
        with contextlib.closing(sqlite3.connect(Path(folder) / "copy.db")) as copy:
            copy.backup(memory)
    return memory


@contextmanager
def explain_sqlite_errors(path: Path) -> Iterator[None]:
    """Turn an error of SQLite into a `StoreError` that says what to do."""
    try:
        yield
    except UnicodeEncodeError as error:
        text = make_printable(str(error.object))
        raise StoreError(f"{text} is not UTF-8 and cannot be kept. Rename the file.") from error
    except UnicodeDecodeError as error:  # SQLite's own message quotes the damaged bytes
        problem = f"{make_printable(str(path))} is damaged: its tables cannot be read"
        raise StoreError(f"{problem}. Keep what can be read: {repair_command(path)}") from error
    except sqlite3.Error as error:
        raise StoreError(_describe_sqlite_error(path, error)) from error


def describe_odd_row(path: Path, table: str, seq: Any, odd: OddRow) -> str:
    """Return the message for a row that this version cannot read: place, cause and command."""
    return (
        f"{make_printable(str(path))}, row {seq} of {table}: {odd}. The other rows can be read. "
        f"Move this one aside: {repair_command(path)}"
    )


def describe_lost_end(path: Path, last: int, told: int) -> str:
    """Return the message for a log that ends before a row that it has told."""
    lost = f"{plural(told - last, 'row')} after it {'is' if told - last == 1 else 'are'} gone"
    if told >= PENDING:  # not a number of rows: those of a copy of a team's log have none yet
        lost = "rows after it are gone"
    return (
        f"{make_printable(str(path))} ends with row {last}, and {lost}: the file was cut, or an "
        f"older one was put in its place. Keep what can be read: {repair_command(path)}"
    )


def repair_command(path: Path) -> str:
    """Return the command that repairs a labels.db."""
    return f"annotator doctor {shell_quoted(path.parent)} --repair"


def is_full_disk(error: BaseException | None) -> bool:
    """Return whether a disk has no room for the files that SQLite needs to open a log."""
    name = getattr(error, "sqlite_errorname", "")
    return name in ("SQLITE_FULL", "SQLITE_IOERR_SHMSIZE")


def _describe_sqlite_error(path: Path, error: sqlite3.Error) -> str:
    name = getattr(error, "sqlite_errorname", "") or ""
    # SQLite takes ENOLCK for a lock that another program holds, and ENOSYS for a faulty disk.
    if _LOCKING.search(name) and (fault := find_lock_fault(path.parent)):
        return describe_no_locks(path.parent, fault)
    if name == "SQLITE_FULL":
        return f"The disk is full. No label was written to {path}. Free some space and try again."
    if name.startswith("SQLITE_IOERR"):
        return (
            f"The disk refused to write {path} ({name}). Free some space or check the disk, "
            "then try again."
        )
    if name.startswith("SQLITE_BUSY") or name.startswith("SQLITE_LOCKED"):
        return f"{path} is locked by another program. `fuser {path}` names it: close it."
    if name.startswith("SQLITE_READONLY"):
        if not os.statvfs(path.parent).f_bavail:
            return f"{path} cannot be written: the disk is full. Free some: df -h {path.parent}"
        return (
            f"{path} cannot be written, so nothing can be asked or labelled. Get write access to "
            f"its folder. What is open can be read: annotator search {shell_quoted(path.parent)} "
            "open"
        )
    if name.startswith(("SQLITE_CANTOPEN", "SQLITE_PERM")):
        return (
            f"{path} cannot be written. Check that its folder exists and that you may write to it."
        )
    if name in ("SQLITE_NOTADB", "SQLITE_CORRUPT"):
        return f"{path} is damaged: {error}. Keep what can be read: {repair_command(path)}"
    if "Could not decode" in str(error) or name == "SQLITE_ERROR":
        problem = make_printable(str(error))
        return f"{path} is damaged: {problem}. Keep what can be read: {repair_command(path)}"
    return f"{path}: {error}"


def entry_to_row(entry: Entry) -> tuple[Any, ...]:
    """Return the values of `LOG_COLUMNS` for an entry, as SQLite gives them back."""
    return (
        float(entry.at), entry.annotator, str(entry.action), entry.ref, entry.label,
        to_json(entry.proba), entry.model, entry.picked_by,
        entry.q if entry.q is None else float(entry.q), _whole(entry.pool),
        _whole(entry.shown_ms), entry.note, to_json(entry.extra),
    )  # fmt: skip


def _whole(number: float | None) -> float | None:
    return int(number) if number is not None and number == int(number) else number


def add_checksum(seq: int, values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return a row to insert: `seq`, the values and their checksum."""
    return seq, *values, sum_values(values) + seq


def to_json(value: Any) -> str | None:
    """Return a mapping as JSON; None for None."""
    return None if value is None else _encode(dict(value))


_encode = json.JSONEncoder(ensure_ascii=False).encode  # json.dumps would make one for each value


def row_to_entry(row: tuple[Any, ...]) -> Entry:
    """Make an entry from `seq`, the values of `LOG_COLUMNS` and the checksum.

    Equal texts share one object: this halves the memory of a million labels by a model. Raises
    `OddRow` for a row that this version cannot read.
    """
    check_row(row)
    fields = list(row[:-1])
    fields[3] = parse_action(fields[3], row[5])
    for place in _INTERNED_COLUMNS:
        fields[place] = sys.intern(row[place]) if row[place] else row[place]
    fields[6] = _parse_proba(row[6]) if row[6] is not None else None
    fields[13] = _parse_extra(row[13]) if row[13] is not None else None
    check_sum(row)
    return Entry(*fields)


_INTERNED_COLUMNS = (2, 5, 7, 8)  # annotator, label, model, picked_by


def _parse_proba(text: Any) -> dict[str, Any]:
    found = parse_json_object(text, "proba")
    check_proba(found)
    return {sys.intern(name): value for name, value in found.items()}


@lru_cache(maxsize=256)
def _parse_extra(text: Any) -> dict[str, Any]:
    """Parse `extra`; many rows share the result, so it must not be changed."""
    found = parse_json_object(text, "extra")
    check_extra(found)
    return found
