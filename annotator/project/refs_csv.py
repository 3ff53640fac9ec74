"""New items at the end of a project's refs.csv; the rows before them stay byte for byte."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

from annotator.errors import ProjectError, RefError
from annotator.items.atomic import FileState, file_state, write_atomically
from annotator.items.listing import read_table
from annotator.items.ref_table import RefTable
from annotator.items.refs import Item, format_box, make_printable
from annotator.items.table_columns import PATH_COLUMNS
from annotator.items.text_files import open_text, read_header
from annotator.project.item_pool import load_refs
from annotator.project.lock import lock_project
from annotator.project.metadata import MetadataColumns
from annotator.project.project import ProjectFolder
from annotator.project.refs_sum import note_written

_NO_CELLS: Mapping[str, str] = {}
_written: dict[str, tuple[FileState | None, RefTable]] = {}
"""Each refs.csv: its state after this process wrote it, and the items that others had written."""


class NewItem(NamedTuple):
    """An item to append, with cells for further columns of the table."""

    item: Item
    cells: Mapping[str, str] = _NO_CELLS
    """Column to cell; columns that the table does not have are ignored."""


def append_items(
    project: ProjectFolder, rows: Iterable[NewItem], *, removed: Collection[str] = ()
) -> None:
    """Append the items of `rows`; a column without a cell stays empty. Take out those `removed`.

    Items that another process has added meanwhile are skipped.
    Raises `ProjectError` if refs.csv cannot be written, `RefError` if it has no column of paths.
    """
    with lock_project(project.folder):
        new = list(rows)
        known = _known_items(project) if new else None
        if known is not None and len(known):
            places = known.rows([row.item.ref for row in new]).tolist()
            new = [row for row, at in zip(new, places, strict=True) if at < 0]
        _replace_table(project, new, removed)
        if removed:
            _written.pop(str(project.refs_file), None)
        elif known is not None:
            _written[str(project.refs_file)] = file_state(project.refs_file), known


def _known_items(project: ProjectFolder) -> RefTable:
    """Return the items that other processes have written; read again if the file has changed."""
    state, known = _written.get(str(project.refs_file), (None, RefTable()))
    return known if state and state == file_state(project.refs_file) else load_refs(project)


def _replace_table(
    project: ProjectFolder, rows: Iterable[NewItem], removed: Collection[str]
) -> None:
    file = project.refs_file
    header, delimiter = read_header(file)
    names = [name.strip().lower() for name in header]
    if not any(name in names for name in PATH_COLUMNS):
        raise RefError(
            f"{make_printable(str(file))}, line 1: no column named {' or '.join(PATH_COLUMNS)}"
        )
    whole = file.read_bytes()
    before = _remove_rows(project, removed) if removed else whole
    end = "\r\n" if before.split(b"\n", 1)[0].endswith(b"\r") else "\n"
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator=end)
    for row in rows:
        writer.writerow(_cells(row, names, project.settings.box_order))
    glue = b"" if not before or before.endswith(b"\n") else end.encode()
    data = before + glue + text.getvalue().encode("utf-8", "surrogateescape")
    try:
        note_written(file, whole, data)
        write_atomically(file, data)
    except OSError as error:
        raise ProjectError(
            f"{make_printable(str(file))} cannot be written: {error.strerror}. "
            "Run the same command to resume."
        ) from error


def _remove_rows(project: ProjectFolder, removed: Collection[str]) -> bytes:
    """Return refs.csv without the rows of some items; the others stay byte for byte."""
    file = project.refs_file
    rows = list(read_table(file, project.settings.box_order, []))
    with open_text(file) as text:
        lines = list(text)
    starts = [row.line for row in rows]
    for row, end in zip(rows, [*starts[1:], len(lines) + 1], strict=True):
        if row.item.ref in removed:
            lines[row.line - 1 : end - 1] = [""] * (end - row.line)
    mark = codecs.BOM_UTF8 if file.read_bytes()[:3] == codecs.BOM_UTF8 else b""
    return mark + "".join(lines).encode()


def has_model_column(project: ProjectFolder) -> bool:
    """Return whether there is a refs.csv that names the model that proposed an item."""
    return _model_column(MetadataColumns(project.refs_file)) is not None


def _model_column(columns: MetadataColumns) -> str | None:
    return next((name for name in columns.names if name.lower() == "model"), None)


def read_born_items(project: ProjectFolder) -> Iterator[tuple[str, str]]:
    """Yield each item that a model proposed, and the model, from the column `model` of refs.csv."""
    columns = MetadataColumns(project.refs_file)
    if (name := _model_column(columns)) is None:
        return
    column = columns.column(name)
    rows = read_table(project.refs_file, project.settings.box_order, [])
    for row, code in zip(rows, column.codes.tolist(), strict=False):
        if model := column.texts[code]:
            yield row.item.ref, model


def _cells(row: NewItem, names: list[str], box_order: str) -> list[str]:
    item = row.item
    path = next(names.index(name) for name in PATH_COLUMNS if name in names)
    cells = [""] * len(names)
    for name, cell in row.cells.items():
        if name in names:
            cells[names.index(name)] = cell
    if "bbox" in names and item.box is not None:
        # The path of an item without a box may need escaping: Item(path).ref.
        cells[path], cells[names.index("bbox")] = item.path, format_box(item.box, box_order)
    else:
        cells[path] = item.ref
    return cells
