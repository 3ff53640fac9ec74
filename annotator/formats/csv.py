"""The project's own table with the labels in it: the columns that came in, in the same order.

What did not change goes out byte for byte as it was: line ends, quotes, columns that we do not
know and the byte order mark included.
"""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from annotator.errors import RefError, several
from annotator.listing import Columns, Row, delimiter_of, open_text, parse_box, read_table
from annotator.log import Action, Entry, State
from annotator.project import Project
from annotator.refs import Item, printable
from annotator.store import Store

_BOM = b"\xef\xbb\xbf"


def export(project: Project, state: State) -> Iterator[bytes]:
    """refs.csv with the standing labels, a record at a time.

    The labels go into its `annotation` (or `label`) column; where it has none, into a new last
    column named `annotation`.
    """
    file = project.refs_file
    with file.open("rb") as raw:
        if raw.read(3) == _BOM:
            yield _BOM
    with open_text(file) as lines:
        recorder = _Recorder(lines)
        delimiter = delimiter_of(lines)
        reader = csv.reader(recorder, delimiter=delimiter)
        header = next(reader)
        columns = Columns.find(header, file)
        text = recorder.take()
        yield (_set_cell(text, -1, "annotation", delimiter) if columns.label < 0 else text).encode()
        for cells in reader:
            text = recorder.take()
            if columns.path < len(cells):
                label = state.label(_ref(cells, columns, project.settings.box_order)) or ""
                before = cells[columns.label] if 0 <= columns.label < len(cells) else ""
                if columns.label < 0 or label != before:
                    text = _set_cell(text, columns.label, label, delimiter)
            yield text.encode()


def _ref(cells: Sequence[str], columns: Columns, box_order: str) -> str:
    box = cells[columns.bbox].strip() if 0 <= columns.bbox < len(cells) else ""
    path = cells[columns.path]
    return (Item(path, parse_box(box, box_order)) if box else Item.parse(path)).ref


class _Recorder:
    """Hands lines to a csv reader and remembers those of the current record."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines, self._taken = lines, list[str]()

    def __iter__(self) -> _Recorder:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self._taken.append(line)
        return line

    def take(self) -> str:
        text = "".join(self._taken)
        self._taken.clear()
        return text


def _set_cell(record: str, index: int, value: str, delimiter: str) -> str:
    """`record` with one cell replaced, or with one more at the end for index -1."""
    body = record.rstrip("\r\n")
    end = record[len(body) :]
    written = _quoted(value, delimiter)
    if index < 0:
        return f"{body}{delimiter}{written}{end}"
    spans = _spans(body, delimiter)
    if index >= len(spans):
        return body + delimiter * (index - len(spans) + 1) + written + end
    start, stop = spans[index]
    return body[:start] + written + body[stop:] + end


def _spans(body: str, delimiter: str) -> list[tuple[int, int]]:
    """Where each cell of a record stands, its quotes included."""
    spans: list[tuple[int, int]] = []
    start = 0
    while True:
        stop = start
        if body[start : start + 1] == '"':
            stop = body.find('"', start + 1)
            while body[stop + 1 : stop + 2] == '"':
                stop = body.find('"', stop + 2)
        stop = body.find(delimiter, stop)
        if stop < 0:
            return [*spans, (start, len(body))]
        spans.append((start, stop))
        start = stop + 1


def _quoted(value: str, delimiter: str) -> str:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator="").writerow([value, ""])
    return text.getvalue()[:-1]


def import_labels(
    project: Project,
    store: Store,
    state: State,
    refs: Mapping[str, int] | Sequence[str],
    file: Path,
    box_order: str,
    now: float | None = None,
) -> int:
    """Write the labels of a table into the log, as "import:csv"; how many were new.

    Raises `RefError` naming every row that fits no item or class, and then writes nothing.
    """
    problems: list[str] = []
    rows = [row for row in read_table(file, box_order, problems) if row.label]
    problems += _unknown(rows, refs, project.settings.names, file.name)
    if problems:
        raise RefError(several(problems, f"{printable(str(file))}: nothing was imported:"))
    if not rows:
        raise RefError(
            f"{printable(str(file))} holds no label: name one column annotation or label"
        )
    at = time.time() if now is None else now
    return len(store.append(*label_entries(rows, state, "import:csv", at)))


def label_entries(rows: Sequence[Row], state: State, annotator: str, at: float) -> list[Entry]:
    """One label entry for each row whose label is not the one that stands already."""
    return [
        Entry(0, at, annotator, Action.LABEL, row.item.ref, row.label, picked_by="import")
        for row in rows
        if row.label and state.label(row.item.ref) != row.label
    ]


def _unknown(
    rows: Sequence[Row], refs: Mapping[str, int] | Sequence[str], names: Sequence[str], file: str
) -> list[str]:
    problems = []
    for row in rows:
        if row.label not in names:
            problems.append(
                f"{printable(file)}, line {row.line}, label: {printable(row.label)!r} is not a "
                f"class; the classes are {printable(', '.join(names))}"
            )
        if row.item.ref not in refs:
            place = f"{printable(file)}, line {row.line}"
            problems.append(f"{place}: {printable(row.item.ref)} is not in the project")
    return problems
