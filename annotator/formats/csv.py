"""Tables and lists that users write: the project's own CSV with the labels in it, and text lists.

A CSV keeps its columns in their order. Whatever did not change is written byte for byte as it was
read: line ends, quotes, unknown columns and the byte order mark included. A list holds one path a
line, or `path top left bottom right`.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np

from annotator.errors import ProjectError
from annotator.formats.csv_jsonl import escape_formula
from annotator.formats.extra_columns import LineRecorder
from annotator.formats.format import Format
from annotator.formats.reading import ImportContext, ImportedItem
from annotator.formats.source import ExportSource
from annotator.items.atomic import only_regular
from annotator.items.listing import read_list, read_table
from annotator.items.refs import Item, make_printable, parse_box
from annotator.items.table_columns import RefColumns, TableShape
from annotator.items.text_files import find_delimiter, open_text
from annotator.project.project import ProjectFolder

_BATCH = 1 << 12


def write(source: ExportSource, place: Path) -> None:
    """Write refs.csv with the labels; items that the options leave out keep a row without one.

    Raises `ProjectError` if there is no table yet.
    """
    if not source.project.refs_file.exists():
        folder = make_printable(str(source.project.images.resolve()))
        raise ProjectError(f"There is no table yet: {folder} holds no image.")
    if runs := [name for name in source.classes if escape_formula(name) != name]:
        source.note(
            f"a spreadsheet would run {make_printable(repr(runs[0]))} as a formula; for a table "
            "that is safe to open in one give --format plain-csv"
        )
    chosen = np.zeros(len(source.refs), bool)
    chosen[source.rows] = True

    def label_of(refs: Sequence[str]) -> list[str | None]:
        rows = source.refs.rows(refs).tolist()
        return [source.log.label_of(r) if r >= 0 and chosen[r] else None for r in rows]

    with place.open("wb") as file:
        for record in relabel_refs_csv(source.project, label_of):
            file.write(record)
    source.written += int((source.log.label_codes()[source.rows] >= 0).sum())


def relabel_refs_csv(
    project: ProjectFolder, label_of: Callable[[Sequence[str]], Sequence[str | None]]
) -> Iterator[bytes]:
    """Yield refs.csv, a record at a time, with the labels that `label_of` gives to refs.

    The labels go into its `annotation` (or `label`) column; without one, into a new last column
    named `annotation`.
    """
    file = project.refs_file
    with open(file, "rb", opener=only_regular) as raw:  # noqa: PTH123
        if raw.read(3) == codecs.BOM_UTF8:
            yield codecs.BOM_UTF8
    with open_text(file) as lines:
        recorder = LineRecorder(lines)
        delimiter = find_delimiter(lines)
        reader = csv.reader(recorder, delimiter=delimiter)
        header = next(reader)
        columns = RefColumns.find(header, file)
        text = recorder.take()
        yield (_set_cell(text, -1, "annotation", delimiter) if columns.label < 0 else text).encode()
        records = ((cells, recorder.take()) for cells in reader)
        while batch := list(islice(records, _BATCH)):
            order = project.settings.box_order
            refs = [
                _read_ref(cells, columns, order) for cells, _ in batch if columns.path < len(cells)
            ]
            labels = iter(label_of(refs))
            for cells, text in batch:
                if columns.path < len(cells):
                    text = _relabel_record(cells, text, columns, next(labels) or "", delimiter)
                yield text.encode()


def _relabel_record(
    cells: Sequence[str], text: str, columns: RefColumns, label: str, delimiter: str
) -> str:
    before = cells[columns.label] if 0 <= columns.label < len(cells) else ""
    if columns.label >= 0 and label == before:
        return text
    return _set_cell(text, columns.label, label, delimiter)


def _read_ref(cells: Sequence[str], columns: RefColumns, box_order: str) -> str:
    box = cells[columns.bbox].strip() if 0 <= columns.bbox < len(cells) else ""
    path = cells[columns.path]
    return (Item(path, parse_box(box, box_order)) if box else Item.parse(path)).ref


def _set_cell(record: str, index: int, value: str, delimiter: str) -> str:
    """Return `record` with one cell replaced, or with one more at the end for index -1."""
    body = record.rstrip("\r\n")
    end = record[len(body) :]
    written = _quote_cell(value, delimiter)
    if body.count('"') % 2 and _is_cut_short(body, delimiter):
        body += '"'
    if index < 0:
        return f"{body}{delimiter}{written}{end}"
    spans = _cell_spans(body, delimiter)
    if index >= len(spans):
        return body + delimiter * (index - len(spans) + 1) + written + end
    start, stop = spans[index]
    return body[:start] + written + body[stop:] + end


def _is_cut_short(body: str, delimiter: str) -> bool:
    """Return True if the file ends within the quotes of the last cell, which csv reads as whole."""
    start, stop = _cell_spans(body, delimiter)[-1]
    return body[start:].startswith('"') and body.count('"', start, stop) % 2 == 1


def _cell_spans(body: str, delimiter: str) -> list[tuple[int, int]]:
    """Return the start and the end of each cell of a record, its quotes included."""
    spans: list[tuple[int, int]] = []
    start = 0
    while True:
        stop = start
        if body[start : start + 1] == '"':
            stop = body.find('"', start + 1)
            while stop >= 0 and body[stop + 1 : stop + 2] == '"':
                stop = body.find('"', stop + 2)
        stop = body.find(delimiter, stop) if stop >= 0 else -1
        if stop < 0:
            return [*spans, (start, len(body))]
        spans.append((start, stop))
        start = stop + 1


def _quote_cell(value: str, delimiter: str) -> str:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator="").writerow([value, ""])
    return text.getvalue()[:-1]


def read(reading: ImportContext) -> Iterator[ImportedItem]:
    """Yield the labelled rows of a table that a user made."""
    problems: list[str] = []
    about = TableShape()
    for row in read_table(reading.path, reading.box_order, problems, about):
        if row.label:
            yield ImportedItem(f"line {row.line}", row.item, row.label)
        reading.add_faults(problems)
    reading.add_faults(problems)


FORMAT = Format(
    "csv", write, read,
    preserved=frozenset({"boxes", "whole", "order", "columns", "unlabelled", "paths"}),
)  # fmt: skip


def write_list(source: ExportSource, place: Path) -> None:
    """Write the labelled items, one a line."""
    with place.open("w", encoding="utf-8", errors="surrogateescape") as file:
        for record in source.records():
            if record.label is None:
                source.leave_out(record.reason_without_label)
                continue
            file.write(f"{format_list_line(record.item)}\n")
            source.written += 1


def format_list_line(item: Item) -> str:
    """Return an item as `path` or `path top left bottom right`, in whole pixels."""
    if item.box is None:
        return item.path
    x, y, w, h = item.box
    return f"{item.path} {round(y)} {round(x)} {round(y + h)} {round(x + w)}"


def read_paths(reading: ImportContext) -> Iterator[ImportedItem]:
    """Yield every listed item, with the one label that the import was given."""
    problems: list[str] = []
    root = reading.images or Path.cwd()
    for row in read_list(reading.path, root, problems):
        yield ImportedItem(f"line {row.line}", row.item, reading.label)
        reading.add_faults(problems)
    reading.add_faults(problems)


LIST = Format(
    "list", write_list, read_paths, preserved=frozenset({"boxes", "whole", "order", "paths"})
)
