"""Plain CSV and JSON Lines: one item a line, in columns that other programs understand.

A plain CSV (`ref,filename,bbox,label,…`) is safe to open in a spreadsheet: a cell that it would run
as a formula (it begins with =, +, -, @, tab or CR) gets an apostrophe in front, as spreadsheets
themselves write text; reading takes it off again. JSON Lines hold one object a line:
`{"filename": …, "bbox": [x, y, width, height], "label": …}`.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from annotator.errors import RefError
from annotator.formats import flat
from annotator.formats.format import Format
from annotator.formats.jsontext import dumps, iter_json_lines
from annotator.formats.reading import ImportContext, ImportedItem
from annotator.formats.source import ExportSource
from annotator.items.atomic import only_regular
from annotator.items.refs import format_number, make_printable
from annotator.items.text_files import iter_records

_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_ESCAPED_FORMULA = re.compile(r"'+[=+\-@\t\r]")
_PLAIN_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?")


def escape_formula(text: str) -> str:
    """Return `text`, with an apostrophe in front if a spreadsheet would run it."""
    return f"'{text}" if _FORMULA.match(text) and not _PLAIN_NUMBER.fullmatch(text) else text


def unescape_formula(text: str) -> str:
    """Return the text that `escape_formula` was given."""
    return text[1:] if _ESCAPED_FORMULA.match(text) else text


def write(source: ExportSource, place: Path) -> None:
    """Write the chosen items as CSV, safe for spreadsheets."""
    row = flat.RowSchema(source)
    with place.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["ref", *map(escape_formula, row.kinds)])
        for record in source.records():
            cells = row.cells(record)
            writer.writerow(
                [
                    escape_formula(source.refs[record.row]),
                    *(_format_cell(cells[name]) for name in row.kinds),
                ]
            )
            source.written += 1


def _format_cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        return ",".join(map(format_number, value))
    return escape_formula(str(value).lower() if isinstance(value, bool) else str(value))


def read(reading: ImportContext) -> Iterator[ImportedItem]:
    """Yield the items of a plain CSV. Raises `RefError` for a CSV that `write` did not make."""
    reading.free_paths = True
    records = iter_records(
        reading.path, lambda line, fault: reading.add_fault(f"line {line}", fault)
    )
    first, names = next(records, (0, list[str]()))
    if not first and reading.cut_short:
        return
    header = [unescape_formula(name) for name in names]
    if header[:1] != ["ref"]:
        raise RefError(
            f"{make_printable(str(reading.path))}, line 1: a plain CSV begins with the column "
            "ref. For a table of your own give --format csv."
        )
    for line, cells in records:
        if cells:
            yield from flat.parse_row(reading, f"line {line}", _parse_cells(header, cells))


def _parse_cells(header: list[str], cells: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {
        name: unescape_formula(cell) for name, cell in zip(header, cells, strict=False) if cell
    }
    found |= {name: "" for name in header if name not in found}
    for name in (*flat.PATH_COLUMNS, "bbox", *flat.LABEL_COLUMNS):
        found.pop(name, None) if not found.get(name) else None
    for name in (*flat.PATH_COLUMNS, "bbox"):
        found.pop(name, None)  # the ref holds them
    for name in ("skipped", "flagged", "machine"):
        found[name] = found.get(name) == "true"
    shown = found.get("shown_ms")
    found["shown_ms"] = int(shown) if shown and shown.isdecimal() else None
    return found


FORMAT = Format(
    "plain-csv", write, read,
    supported_options=frozenset({"split", "probabilities", "provenance", "predictions"}),
    preserved=frozenset({"boxes", "whole", "order", "columns", "unlabelled", "skips", "paths"}),
)  # fmt: skip


def write_jsonl(source: ExportSource, place: Path) -> None:
    """Write an object a line; cells without a value are absent."""
    row = flat.RowSchema(source)
    with place.open("w", encoding="utf-8") as file:
        for record in source.records():
            cells = {name: cell for name, cell in row.cells(record).items() if cell is not None}
            file.write(dumps(cells) + "\n")
            source.written += 1


def read_jsonl(reading: ImportContext) -> Iterator[ImportedItem]:
    """Yield the item of each line."""
    reading.free_paths = True
    lines = iter_json_lines(
        reading.path, lambda line, fault: reading.add_fault(f"line {line}", fault)
    )
    other_labels = not _names_label(reading.path)
    for line, cells in lines:
        yield from flat.parse_row(reading, f"line {line}", cells, other_labels)


def _names_label(file: Path) -> bool:
    signs = [f'"{name}"'.encode() for name in flat.LABEL_COLUMNS]
    with open(file, "rb", opener=only_regular) as lines:  # noqa: PTH123
        return any(sign in line for line in lines for sign in signs)


JSONL = Format(
    "jsonl", write_jsonl, read_jsonl,
    supported_options=frozenset({"split", "probabilities", "provenance", "predictions"}),
    preserved=frozenset({"boxes", "whole", "order", "columns", "unlabelled", "skips", "paths"}),
)  # fmt: skip
