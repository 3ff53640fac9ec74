"""The lines of a journal: each holds the rows of one append, and a checksum that covers its place.

A line is JSON: `{"sum":"0a1b2c3d","time":12,"count":2,"rows":[{"id":"…", …}, …]}`. `time` is
Lamport's clock at its first row (Time, clocks, and the ordering of events in a distributed system,
1978), one more for each further row. `sum` is the CRC-32 of the journal's name, the place of the
line in its file in bytes, and the rest of the line: no line can stand elsewhere.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from annotator.items.refs import make_printable
from annotator.log.entries import Entry
from annotator.log.store.remote import RemoteRefusedError, SharedRow
from annotator.log.store.row_checks import OddRow
from annotator.log.store.schema import LOG_COLUMNS, entry_to_row, row_to_entry

MOST_ROWS = 10_000
"""The rows of a line."""
MOST_LINE = 1 << 26
"""The bytes of a line."""
WRITER_BITS = 20
"""The bits of a place that tell its writer from all others."""
MOST_TIME = (1 << 62 - WRITER_BITS) - 1
_CHUNK = 1 << 20
_COLUMNS = [name.strip() for name in LOG_COLUMNS.split(",")]
_HEAD = re.compile(
    rb'\{"sum":"([0-9a-f]{8})","time":([1-9]\d{0,12}),"count":([1-9]\d{0,4}),"rows":\['
)
_REST = len('{"sum":"01234567",')
_ROW_ID = re.compile(
    rb'[\[,]\{"id":"([0-9A-Za-z-]{1,64})"[,}]'
)  # a quote in a text has a backslash
_ID = re.compile("[0-9A-Za-z-]{1,64}")
_LONG_NUMBER = re.compile(rb"\d{19}")
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")

ReadPart = Callable[[int, int], bytes]
"""A way to the bytes of a file: from a place on, up to a number of them."""


class JournalLine(NamedTuple):
    """A line whose checksum fits."""

    at: int
    """The place of the line in its file, in bytes."""
    end: int
    """The place after it."""
    time: int
    """The time of its first row."""
    size: int
    """The number of its rows."""
    text: bytes
    """The whole line, without its end."""

    @property
    def last_time(self) -> int:
        """The time of its last row."""
        return self.time + self.size - 1

    def ids(self) -> list[str]:
        """Return the ids of its rows, in order."""
        return [found.decode() for found in _ROW_ID.findall(self.text)]


class BadLine(NamedTuple):
    """A line that cannot be read: not written to its end, or changed since."""

    at: int
    number: int
    """The number of the line among those that were looked at, from 1."""
    damaged: bool
    """True if it was whole once, so that rows are lost; False if more of it may come."""


def writer_number(name: str) -> int:
    """Return the number of a journal in the places of its rows; two of a team never share one."""
    return zlib.crc32(name.encode()) >> 32 - WRITER_BITS


def shared_place(time: int, number: int) -> int:
    """Return the place of a row in the order that all members share."""
    return time << WRITER_BITS | number


def encode_line(rows: Sequence[SharedRow], name: str, at: int, time: int) -> bytes:
    """Return the line of some rows at the byte `at` of the journal `name`.

    Raises `RemoteRefusedError` for rows that no journal can hold.
    """
    found = []
    for row in rows:
        values = zip(_COLUMNS, entry_to_row(row.entry), strict=True)
        document = {"id": row.id} | {key: value for key, value in values if value is not None}
        ref = make_printable(row.entry.ref)
        if not _ID.fullmatch(row.id):
            raise RemoteRefusedError(
                f"The row on {ref}: {make_printable(row.id[:80])} is not an id."
            )
        try:
            text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
            found.append(text.encode())
        except ValueError as error:  # half of a pair of surrogates, or an infinite number
            raise RemoteRefusedError(f"The row on {ref} cannot be written: {error}.") from error
    rest = b'"time":%d,"count":%d,"rows":[%b]}' % (time, len(found), b",".join(found))
    if len(found) > MOST_ROWS or len(rest) + _REST >= MOST_LINE:
        raise RemoteRefusedError(
            f"{len(found):,} rows of {len(rest):,} bytes are too many at once: a journal takes "
            f"{MOST_ROWS:,} of {MOST_LINE:,}. Shorten their notes."
        )
    return b'{"sum":"%08x",%b\n' % (_checksum(name, at, rest), rest)


def _checksum(name: str, at: int, rest: bytes) -> int:
    return zlib.crc32(rest, zlib.crc32(b"%b %d " % (name.encode(), at)))


def parse_line(text: bytes, name: str, at: int) -> JournalLine | None:
    """Return a line, given with its end; None if it has none, or its checksum does not fit."""
    found = _HEAD.match(text)
    if found is None or not text.endswith(b"\n"):
        return None
    checksum, time, count = (int(found[1], 16), int(found[2]), int(found[3]))
    if checksum != _checksum(name, at, text[_REST:-1]):
        return None
    return JournalLine(at, at + len(text), time, count, text[:-1])


def read_lines(read: ReadPart, name: str, start: int, end: int) -> Iterator[JournalLine | BadLine]:
    """Yield the lines of the journal `name` between two places; a bad one is the last.

    A line that has no end yet, or has zeros in it, is still on its way: over a network, the parts
    of a file may come in another order. It was whole once if a good line follows.
    """
    last = 0
    for number, (at, text) in enumerate(_split(read, start, end), 1):
        line = parse_line(text, name, at)
        if line is None or not last < line.time <= line.last_time <= MOST_TIME:
            whole = text.endswith(b"\n") and b"\0" not in text
            yield BadLine(at, number, whole or _has_lines(read, name, at + len(text), end))
            return
        yield line
        last = line.last_time


def _has_lines(read: ReadPart, name: str, start: int, end: int) -> bool:
    return any(parse_line(text, name, at) for at, text in _split(read, start, end))


def _split(read: ReadPart, start: int, end: int) -> Iterator[tuple[int, bytes]]:
    """Yield the lines between two places, each with its place, the last one also without an end."""
    at, place, parts, length = start, start, list[bytes](), 0
    while place < end and (data := read(place, min(_CHUNK, end - place))):
        place += len(data)
        first, *others = data.split(b"\n")
        parts.append(first)
        length += len(first)
        for other in others:
            text = b"".join(parts) + b"\n"
            yield at, text
            at, parts, length = at + len(text), [other], len(other)
        if length > MOST_LINE:
            break
    if length:
        yield at, b"".join(parts)


def decode_rows(line: JournalLine, number: int) -> list[SharedRow]:
    """Return the rows of a line of the writer `number`, with their places.

    Raises `OddRow` for a line that this version cannot read.
    """
    try:
        rows = _decode(line.text.decode())["rows"]
        if len(rows) != line.size:
            raise OddRow(f"it has {len(rows)} rows, not {line.size}")
        odd = _SURROGATE.search(line.text) or _LONG_NUMBER.search(line.text)
        return [
            SharedRow(_check_id(row["id"]), _parse_row(row, shared_place(time, number), odd))
            for time, row in enumerate(rows, line.time)
        ]
    except OddRow:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise OddRow("it does not hold rows of the log") from error


def _refuse_constant(text: str) -> None:
    raise ValueError(text)


_decode = json.JSONDecoder(parse_constant=_refuse_constant).decode


def _check_id(value: Any) -> str:
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise OddRow("a row has no id")
    return value


def _parse_row(row: dict[str, Any], seq: int, odd: object) -> Entry:
    """Make an entry of a row; with `odd`, its line may hold values that no replica could keep."""
    values = [row.get(column) for column in _COLUMNS]
    for value in values if odd else ():
        if isinstance(value, str):
            value.encode()  # half of a pair of surrogates raises a ValueError
        elif isinstance(value, int) and abs(value) >= 1 << 63:
            raise OddRow("a number is larger than the log can hold")
    return row_to_entry((seq, *values, None))
