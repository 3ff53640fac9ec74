"""The rows that can still be read of a damaged labels.db, and a new file made of them.

The rows are read through SQLite, past the places where it stops. Where SQLite cannot read the
file, the rows are found in its pages, one by one: https://sqlite.org/fileformat2.html.
"""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import struct
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from annotator.errors import StoreError
from annotator.items.atomic import read_file
from annotator.items.refs import make_printable
from annotator.log.store.last_row import read_last_row
from annotator.log.store.row_checks import OddRow
from annotator.log.store.schema import (
    COLUMNS,
    INSERT_ROW,
    REPLICA_VERSION,
    SCHEMA_VERSION,
    WAL_ASIDE,
    is_full_disk,
    prepare_tables,
    row_to_entry,
    select_rows,
)
from annotator.log.store.sqlite import row_to_byproduct

_PAGE_SIZE, _WAL_HEADER, _FRAME_HEADER = 4096, 32, 24
_REALS = {"log": (1, 9), "byproducts": ()}
_PARSERS: dict[str, Callable[[tuple[Any, ...]], object]] = {
    "log": row_to_entry,
    "byproducts": row_to_byproduct,
}
_UNREADABLE = (sqlite3.Error, OverflowError, UnicodeDecodeError)
Row = tuple[Any, ...]


@dataclass(slots=True)
class Recovered:
    """The rows of a damaged labels.db, by table and `seq`."""

    rows: dict[str, dict[int, Row]] = field(default_factory=lambda: {name: {} for name in COLUMNS})
    odd: list[tuple[str, Row, str]] = field(default_factory=list)
    """Rows that this version does not know: table, values, reason."""
    last: int = 0
    """The largest `seq` that the log ever gave; rows up to it that are absent are lost."""

    @property
    def lost(self) -> int:
        """The number of rows of the log that were written and cannot be read."""
        odd = sum(table == "log" for table, _, _ in self.odd)
        return max(0, self.last - len(self.rows["log"]) - odd)


def find_damage(file: Path) -> str:
    """Return what is wrong with the pages of a labels.db; "" if nothing is."""
    try:
        with contextlib.closing(sqlite3.connect(file)) as connection:
            (answer,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            return "" if answer == "ok" else str(answer)
    except _UNREADABLE as error:
        return "" if is_full_disk(error) else make_printable(str(error))


def is_replica(file: Path) -> bool:
    """Return whether a labels.db, damaged or not, is a copy of a team's log."""
    with contextlib.suppress(OSError), file.open("rb") as data:
        header = data.read(64)
        return header[60:64] == REPLICA_VERSION.to_bytes(4, "big")  # the user_version
    return False


def count_lost_rows(file: Path) -> int:
    """Return the number of rows of the log that were written once and are not in the file.

    Rows are only ever appended, so that each number up to the last one has its row. A copy of a
    team's log has numbers of its own kind.
    """
    if is_replica(file):
        return 0
    query = "SELECT seq - (SELECT count(*) FROM log) FROM sqlite_sequence WHERE name = 'log'"
    try:
        with contextlib.closing(sqlite3.connect(file)) as connection:
            (lost,) = connection.execute(query).fetchone() or (0,)
    except _UNREADABLE:
        return 0
    return max(0, lost) if isinstance(lost, int) else 0


def recover_rows(file: Path) -> Recovered:
    """Read all that can be read of a labels.db; the file itself is not touched."""
    found = Recovered()
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / file.name
        for part, suffix in ((file, ""), (_find_wal(file), "-wal")):
            if part.is_file():
                shutil.copyfile(part, copy.with_name(copy.name + suffix))
        whole = _read_with_sqlite(copy, found)
    if not whole:
        _keep_new(_scan_pages(file.read_bytes()), found)
    if found.last < (told := read_last_row(file)):
        found.last = told
        _keep_new(_scan_log(file, told), found)
    for table, rows in found.rows.items():
        for seq in sorted(rows):
            try:
                _check(table, rows[seq])
            except (OddRow, UnicodeEncodeError) as odd:
                found.odd.append((table, rows.pop(seq), str(odd)))
    moved = [row[0] for table, row, _ in found.odd if table == "log"]
    found.last = max([found.last, *found.rows["log"], *moved])
    return found


def _keep_new(rows: Iterable[tuple[str, Row]], found: Recovered) -> None:
    for table, row in rows:
        found.rows[table].setdefault(row[0], row)


def write_recovered(found: Recovered, file: Path) -> None:
    """Write a new labels.db of the rows that are known; `file` must not exist."""
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as connection:
        prepare_tables(connection, file, SCHEMA_VERSION)
        connection.execute("BEGIN")
        for table, statement in INSERT_ROW.items():
            connection.executemany(statement, [row for _, row in sorted(found.rows[table].items())])
        connection.execute("DELETE FROM sqlite_sequence WHERE name = 'log'")
        connection.execute("INSERT INTO sqlite_sequence VALUES ('log', ?)", (found.last,))
        connection.execute("COMMIT")
        if connection.execute("PRAGMA integrity_check").fetchone() != ("ok",):
            raise StoreError(f"{file} could not be written whole. Check the disk.")


def _check(table: str, row: Row) -> None:
    for value in row:
        if isinstance(value, str):
            value.encode()
    _PARSERS[table](row)


def _read_with_sqlite(copy: Path, found: Recovered) -> bool:
    """Read the rows through SQLite; return whether it could read the whole file."""
    try:
        with contextlib.closing(sqlite3.connect(copy)) as connection:
            connection.text_factory = lambda data: data.decode("utf-8", "surrogateescape")
            whole = bool(connection.execute("PRAGMA quick_check").fetchone() == ("ok",))
            numbers = dict(connection.execute("SELECT name, seq FROM sqlite_sequence"))
            last = numbers.get("log")
            found.last = last if isinstance(last, int) else 0
            for table in COLUMNS:
                whole &= _read_table(connection, table, found)
            return whole
    except _UNREADABLE:
        return False


def _read_table(connection: sqlite3.Connection, table: str, found: Recovered) -> bool:
    """Read the rows of a table from its beginning, and from its end down to the damage."""
    whole = True
    for order in ("ASC", "DESC"):
        try:
            query = f"{select_rows(connection, table)} ORDER BY seq {order}"
            for row in connection.execute(query):
                found.rows[table][row[0]] = row
            return whole
        except _UNREADABLE:
            whole = False
    return whole


def _scan_pages(data: bytes) -> Iterator[tuple[str, Row]]:
    """Yield the rows in the leaf pages of a file, whatever its header and its tree say."""
    for start in range(0, len(data), _PAGE_SIZE):
        page = data[start : start + _PAGE_SIZE]
        head = 100 if start == 0 else 0
        if len(page) < _PAGE_SIZE or page[head] != 0x0D:
            continue
        (cells,) = struct.unpack_from(">H", page, head + 3)
        for place in range(min(cells, (_PAGE_SIZE - head - 8) // 2)):
            (offset,) = struct.unpack_from(">H", page, head + 8 + 2 * place)
            try:
                seq, values = _parse_cell(page, offset)
            except (IndexError, struct.error, ValueError):
                continue
            # Rows that 0.1.0 wrote end without a checksum.
            for table, columns in COLUMNS.items():
                width = columns.count(",") + 3
                if len(values) in (width - 1, width) and isinstance(values[1], float | int):
                    for place in _REALS[table]:  # SQLite writes 1.0 as 1
                        if type(values[place]) is int:
                            values[place] = float(values[place])
                    yield table, (seq, *values[1:], None)[:width]


def _find_wal(file: Path) -> Path:
    """Return the write-ahead log, or the one that a killed repair put aside."""
    log = file.with_name(f"{file.name}-wal")
    return log if log.is_file() else file.with_name(file.name + WAL_ASIDE)


def _scan_log(file: Path, last: int) -> Iterator[tuple[str, Row]]:
    """Yield rows that a damaged write-ahead log has, if their checksums tell that they are whole.

    Rows above `last` may have been refused to their writer, so they are left out.
    """
    try:
        data = read_file(_find_wal(file))[_WAL_HEADER:]
    except OSError:
        return
    step = _FRAME_HEADER + _PAGE_SIZE
    pages = (data[at + _FRAME_HEADER : at + step] for at in range(0, len(data), step))
    for table, row in _scan_pages(b"".join([bytes(_PAGE_SIZE), *pages])):
        if row[-1] is not None and row[0] <= last:
            with contextlib.suppress(OddRow, UnicodeEncodeError):
                _check(table, row)
                yield table, row


def _parse_cell(page: bytes, offset: int) -> tuple[int, list[Any]]:
    """Return rowid and values of a cell. Raises `ValueError` for one that is not whole."""
    size, offset = _varint(page, offset)
    seq, offset = _varint(page, offset)
    if not (0 < seq < 2**53) or size > _PAGE_SIZE - 35 or offset + size > len(page):
        raise ValueError("not a row, or one that other pages continue")
    header_size, place = _varint(page, offset)
    kinds, body = [], offset + header_size
    while place < offset + header_size:
        kind, place = _varint(page, place)
        kinds.append(kind)
    values = []
    for kind in kinds:
        value, body = _parse_value(page, body, kind)
        values.append(value)
    if body != offset + size or (values and values[0] is not None):
        raise ValueError("its parts do not add up")
    return seq, values


def _parse_value(page: bytes, place: int, kind: int) -> tuple[Any, int]:
    if kind == 0:
        return None, place
    if kind in (8, 9):
        return kind - 8, place
    if kind == 7:
        return struct.unpack_from(">d", page, place)[0], place + 8
    if kind < 7:
        size = (0, 1, 2, 3, 4, 6, 8)[kind]
        return int.from_bytes(page[place : place + size], "big", signed=True), place + size
    if kind < 12:
        raise ValueError("a type that SQLite does not use")
    end = place + (kind - 12) // 2
    piece = page[place:end]
    return (piece.decode("utf-8", "surrogateescape") if kind % 2 else piece), end


def _varint(data: bytes, place: int) -> tuple[int, int]:
    value = 0
    for count in range(9):
        byte = data[place + count]
        if count == 8:
            return value << 8 | byte, place + 9
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, place + count + 1
    raise ValueError("not a number")
