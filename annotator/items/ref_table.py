"""A table of many refs in little memory: one buffer of lines instead of a million strings.

A million Python strings take some 100 MB and half a second; the same refs as the bytes of a file,
with the offset of each line, take the file's size and one read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from annotator.errors import RefError
from annotator.items.atomic import read_file
from annotator.items.refs import make_printable

_CHUNK = 1 << 16
_BOM = b"\xef\xbb\xbf"


class RefTable(Sequence[str]):
    """An append-only sequence of refs over one buffer of UTF-8 lines.

    Names that are not UTF-8 pass through unharmed (surrogate escapes, as the file system's own
    names do). The first look-up of a ref builds an index of 12 bytes a ref.
    """

    __hash__ = None  # type: ignore[assignment]  # it grows
    __slots__ = ("_count", "_data", "_hashes", "_is_shared", "_offsets", "_order")

    def __init__(self, refs: Iterable[str] = ()) -> None:
        """Append `refs`. Raises `RefError` for a ref with a line break in it."""
        self._data: bytes | bytearray = bytearray()
        self._offsets = np.zeros(1, np.int64)
        self._count = 0
        self._is_shared = False
        self._forget_index()
        self.extend(refs)

    @classmethod
    def load(cls, path: Path) -> RefTable:
        """Read the lines of a UTF-8 file, one ref a line; LF or CRLF. Raises `OSError`."""
        return cls.from_bytes(read_file(path))

    @classmethod
    def from_bytes(cls, data: bytes) -> RefTable:
        """Make a table of the lines of `data`; the last may lack its line break."""
        data = data.removeprefix(_BOM)
        # The first line tells at once that most files have no CRLF; a name may end in CR, too.
        windows = data[: data.find(b"\n") + 1].endswith(b"\r\n")
        if windows and data.count(b"\r\n") == data.count(b"\n"):
            data = data.replace(b"\r\n", b"\n")
        if data and not data.endswith(b"\n"):
            data += b"\n"
        table = cls()
        table._data, table._is_shared = data, True  # not copied before it grows
        table._offsets = _line_ends(data, [np.zeros(1, np.int64)])
        table._count = len(table._offsets) - 1
        return table

    def extend(self, refs: Iterable[str]) -> None:
        """Append `refs`. Raises `RefError`, and appends none, if one holds a line break."""
        batch = refs if isinstance(refs, (list, tuple)) else list(refs)
        if not batch:
            return
        data = ("\n".join(batch) + "\n").encode("utf-8", "surrogateescape")
        if data.count(b"\n") != len(batch):
            culprit = next(ref for ref in batch if "\n" in ref)
            raise RefError(
                f"{make_printable(culprit)} has a line break in its name. Rename the file."
            )
        self._append(data)

    def _append(self, data: bytes) -> None:
        if self._is_shared:
            self._data, self._offsets = bytearray(self._data), self._offsets.copy()
            self._is_shared = False
        ends = _line_ends(data) + len(self._data)
        count = self._count + len(ends)
        if count >= len(self._offsets):
            # Doubling keeps a streamed listing linear in its length.
            room = np.zeros(max(count + 1, 2 * self._count), np.int64)
            room[: self._count + 1] = self._offsets[: self._count + 1]
            self._offsets = room
        self._offsets[self._count + 1 : count + 1] = ends
        self._data += data
        self._count = count

    def share(self, other: RefTable) -> None:
        """Use the memory of `other` if it holds the same refs; whichever grows takes a copy."""
        if self is not other and self._count == other._count and self._data == other._data:
            self._data, self._offsets = other._data, other._offsets
            self._is_shared = other._is_shared = True

    def has_bytes(self, lines: NDArray[np.uint8]) -> bool:
        """Return whether `lines` (n,) are what `to_bytes` returns."""
        held: object = lines.data  # compared in place
        return len(lines) == len(self._data) and bool(self._data == held)

    def save(self, path: Path) -> None:
        """Write the lines to `path`, as `load` reads them."""
        path.write_bytes(self._data)

    def to_bytes(self) -> bytes:
        """Return the lines, as `from_bytes` reads them."""
        return bytes(self._data)

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return [self[row] for row in range(*index.indices(self._count))]
        row = range(self._count)[index]
        return self._line(row).decode("utf-8", "surrogateescape")

    def __iter__(self) -> Iterator[str]:
        for start in range(0, self._count, _CHUNK):
            yield from (
                line.decode("utf-8", "surrogateescape") for line in self._lines(start, self._count)
            )

    def __contains__(self, ref: object) -> bool:
        return isinstance(ref, str) and "\n" not in ref and int(self.rows([ref])[0]) >= 0

    def __eq__(self, other: object) -> bool:
        return self._data == other._data if isinstance(other, RefTable) else NotImplemented

    def __repr__(self) -> str:
        return f"RefTable({self._count} refs)"

    def take(self, rows: Iterable[int]) -> RefTable:
        """Return a table of the refs in `rows`, in that order."""
        table = RefTable()
        table._append(b"".join(self._line(int(row)) + b"\n" for row in rows))
        return table

    def find(self, ref: str) -> int:
        """Return the first row that holds `ref`, or -1.

        Without an index this reads through the buffer: tens of
        milliseconds for a few refs among a million, while an index takes half a second to build.
        """
        if "\n" in ref:
            return -1
        if len(self._hashes) == self._count:
            return int(self.rows([ref])[0])
        line = ref.encode("utf-8", "surrogateescape") + b"\n"
        if self._data.startswith(line):
            return 0
        at = self._data.find(b"\n" + line) + 1
        return int(np.searchsorted(self._offsets[: self._count + 1], at)) if at else -1

    def rows(self, refs: Sequence[str]) -> NDArray[np.int64]:
        """Return the first row that holds each of `refs`, (m,), -1 for one that no row holds.

        Equal tables, or one that continues the other, cost one comparison of their bytes.
        """
        wanted = refs if isinstance(refs, RefTable) else RefTable(refs)
        rows = np.full(len(wanted), -1, np.int64)
        shared = self._shared_start(wanted)
        rows[:shared] = np.arange(shared)
        for start in range(shared, len(wanted), _CHUNK):
            lines = wanted._lines(start, len(wanted))
            rows[start : start + len(lines)] = self._lookup(lines)
        return rows

    def matching(self, pattern: re.Pattern[bytes], *, lower: bool = False) -> NDArray[np.int64]:
        """Return the rows whose line matches, ascending; `lower` matches lines in lower case.

        The pattern is searched for in all lines at once, so it must not match a line break.
        """
        data = self._data.lower() if lower else self._data
        starts = np.fromiter((found.start() for found in pattern.finditer(data)), np.int64)
        rows = np.searchsorted(self._offsets[: self._count + 1], starts, side="right") - 1
        return np.unique(rows)

    def captures(self, pattern: re.Pattern[bytes]) -> tuple[NDArray[np.int64], list[Any]]:
        """Return the rows whose line matches, ascending, and the groups of each match."""
        groups = pattern.findall(self._data)
        if len(groups) == self._count:  # finding the places takes three times as long
            return np.arange(self._count), groups
        starts = np.fromiter((found.start() for found in pattern.finditer(self._data)), np.int64)
        rows = np.searchsorted(self._offsets[: self._count + 1], starts, side="right") - 1
        return rows, groups

    def count(self, part: bytes) -> int:
        """Count how often `part` stands in the lower case of the lines."""
        return self._data.lower().count(part)

    def repeated(self) -> NDArray[np.int64]:
        """Return the rows whose ref an earlier row holds already, ascending."""
        hashes, order = self._index()
        runs = np.flatnonzero(hashes[1:] == hashes[:-1]) + 1
        # `order` is stable, so a run of equal hashes has its rows in ascending order.
        rows = (int(row) for row in order[runs])
        return np.array(sorted(row for row in rows if self._first(self._line(row)) < row), np.int64)

    def _shared_start(self, other: RefTable) -> int:
        """Return the number of first rows that both tables share, if one continues the other; else
        0."""
        short, long = sorted((self, other), key=len)
        return len(short) if long._data.startswith(short._data) else 0

    def _line(self, row: int) -> bytes:
        return bytes(self._data[self._offsets[row] : self._offsets[row + 1] - 1])

    def _lines(self, start: int, stop: int) -> list[bytes]:
        """Return up to `_CHUNK` lines from `start`."""
        stop = min(start + _CHUNK, stop)
        data = bytes(self._data[self._offsets[start] : self._offsets[stop]])
        return data.split(b"\n")[:-1]

    def _forget_index(self) -> None:
        self._hashes = np.zeros(0, np.int64)
        self._order = np.zeros(0, np.int32)

    def _index(self) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """Return the hash of each line, ascending, and the row of each hash; made at
        the first use."""
        if len(self._hashes) != self._count:
            parts = [
                np.fromiter(map(hash, self._lines(start, self._count)), np.int64)
                for start in range(0, self._count, _CHUNK)
            ]
            hashes = np.concatenate(parts)
            self._order = np.argsort(hashes, kind="stable").astype(np.int32)
            self._hashes = hashes[self._order]
        return self._hashes, self._order

    def _lookup(self, lines: Sequence[bytes]) -> NDArray[np.int64]:
        """Return the row of each line, -1 for one that is absent."""
        hashes, order = self._index()
        rows = np.full(len(lines), -1, np.int64)
        if not len(order):
            return rows
        wanted = np.fromiter(map(hash, lines), np.int64, len(lines))
        at = np.minimum(np.searchsorted(hashes, wanted), len(hashes) - 1)
        hits = np.flatnonzero(hashes[at] == wanted)
        rows[hits] = order[at[hits]]
        for hit in hits.tolist():
            if self._line(rows[hit]) != lines[hit]:
                rows[hit] = self._first(lines[hit])
        return rows

    def _first(self, line: bytes) -> int:
        """Return the first row that holds `line`, among those of its hash; -1 if none does."""
        hashes, order = self._index()
        start, stop = (
            np.searchsorted(hashes, hash(line)),
            np.searchsorted(hashes, hash(line), "right"),
        )
        return next((int(row) for row in order[start:stop] if self._line(row) == line), -1)


def _line_ends(data: bytes, before: Sequence[NDArray[np.int64]] = ()) -> NDArray[np.int64]:
    """Return the numbers of `before`, and the offset after each line break.

    A piece at a time stays in the processor's cache.
    """
    piece = 1 << 20
    found = [
        np.flatnonzero(np.frombuffer(data[start : start + piece], np.uint8) == 10) + (start + 1)
        for start in range(0, len(data), piece)
    ]
    return np.concatenate([*before, np.zeros(0, np.int64), *found])
