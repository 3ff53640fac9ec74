"""The columns of refs.csv that have no meaning here, and the records of a table as text."""

from __future__ import annotations

import codecs
import csv
import io
from array import array
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from annotator.items.table_columns import RefColumns
from annotator.items.text_files import open_text, read_header

_NO_CELLS: Mapping[str, str] = {}


class ExtraColumns:
    """The unknown columns of a CSV, read from the file a record at a time by their offsets."""

    def __init__(self, file: Path) -> None:
        self._file, self._starts = file, array("q")
        header, self._delimiter = read_header(file)
        known = RefColumns.find(header, file)
        places = {known.path, known.bbox, known.label}
        self._places = [
            (place, name) for place, name in enumerate(header) if place not in places and name
        ]
        self.names = tuple(name for _, name in self._places)
        if self.names:
            self._scan()

    def rows(self, row_numbers: Iterable[int]) -> Iterator[Mapping[str, str]]:
        """Yield column to cell for each of these data rows, numbered from 0."""
        if not self.names:
            for _ in row_numbers:
                yield _NO_CELLS
            return
        with self._file.open("rb") as file:
            for row in row_numbers:
                start, stop = self._starts[row], self._starts[row + 1]
                file.seek(start)
                text = file.read(stop - start).decode()
                cells = next(csv.reader(io.StringIO(text, newline=""), delimiter=self._delimiter))
                yield {name: cells[at] if at < len(cells) else "" for at, name in self._places}

    def _scan(self) -> None:
        with self._file.open("rb") as raw:
            begin = 3 if raw.read(3) == codecs.BOM_UTF8 else 0
        with open_text(self._file) as lines:
            recorder = LineRecorder(lines)
            reader = csv.reader(recorder, delimiter=self._delimiter)
            next(reader)
            begin += len(recorder.take().encode())
            for cells in reader:
                if cells:
                    self._starts.append(begin)
                begin += len(recorder.take().encode())
            self._starts.append(begin)


class LineRecorder:
    """The lines that a csv reader takes, kept until the current record is complete."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines, self._taken = lines, list[str]()

    def __iter__(self) -> LineRecorder:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self._taken.append(line)
        return line

    def take(self) -> str:
        """Return the text of the current record, and begin a new one."""
        text = "".join(self._taken)
        self._taken.clear()
        return text
