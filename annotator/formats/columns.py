"""The columns of refs.csv that the program does not know, row by row, in any order."""

from __future__ import annotations

import csv
import io
from array import array
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from annotator.listing import Columns, delimiter_of, open_text

_BOM = b"\xef\xbb\xbf"
_NONE: Mapping[str, str] = {}


class Unknown:
    """Reads one record at a time from the file; keeps only where each record begins."""

    def __init__(self, file: Path) -> None:
        self._file, self._starts = file, array("q")
        with open_text(file) as lines:
            self._delimiter = delimiter_of(lines)
            reader = csv.reader(lines, delimiter=self._delimiter)
            header = next(reader, [])
            known = Columns.find(header, file)
        places = {known.path, known.bbox, known.label}
        self._places = [
            (place, name) for place, name in enumerate(header) if place not in places and name
        ]
        self.names = tuple(name for _, name in self._places)
        if self.names:
            self._scan()

    def rows(self, wanted: Iterable[int]) -> Iterator[Mapping[str, str]]:
        """Column to cell for each of these data rows, numbered from 0."""
        if not self.names:
            for _ in wanted:
                yield _NONE
            return
        with self._file.open("rb") as file:
            for row in wanted:
                start, stop = self._starts[row], self._starts[row + 1]
                file.seek(start)
                text = file.read(stop - start).decode()
                cells = next(csv.reader(io.StringIO(text, newline=""), delimiter=self._delimiter))
                yield {name: cells[at] if at < len(cells) else "" for at, name in self._places}

    def _scan(self) -> None:
        with self._file.open("rb") as raw:
            begin = 3 if raw.read(3) == _BOM else 0
        with open_text(self._file) as lines:
            counter = _Counter(lines, begin)
            reader = csv.reader(counter, delimiter=self._delimiter)
            next(reader)
            before = counter.at
            for cells in reader:
                if cells:
                    self._starts.append(before)
                before = counter.at
            self._starts.append(before)


class _Counter:
    """Hands lines on and counts their bytes."""

    def __init__(self, lines: Iterator[str], begin: int) -> None:
        self._lines, self.at = lines, begin

    def __iter__(self) -> _Counter:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self.at += len(line.encode())
        return line
