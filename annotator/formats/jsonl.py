"""JSON Lines: one item a line, `{"filename": …, "bbox": [x, y, width, height], "label": …}`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from annotator.formats import flat
from annotator.formats.format import Format
from annotator.formats.jsontext import dumps, loads_strict
from annotator.formats.reading import ImportContext, ImportedItem
from annotator.formats.source import ExportSource


def write(source: ExportSource, place: Path) -> None:
    row = flat.RowSchema(source)
    with place.open("w", encoding="utf-8") as file:
        for record in source.records():
            cells = {name: cell for name, cell in row.cells(record).items() if cell is not None}
            file.write(dumps(cells) + "\n")
            source.written += 1


def read(reading: ImportContext) -> Iterator[ImportedItem]:
    reading.free_paths = True
    with reading.path.open("rb") as file:
        for line, data in enumerate(file, 1):
            where = f"line {line}"
            data = data.removeprefix(b"\xef\xbb\xbf") if line == 1 else data
            if not data.strip():
                continue
            try:
                cells = loads_strict(data.decode())
            except (ValueError, RecursionError) as error:
                reading.fault(where, _reason(error))
                continue
            if isinstance(cells, dict):
                yield from flat.parse_row(reading, where, cells)
            else:
                reading.fault(where, 'should be an object such as {"filename": "a.jpg"}')


def _reason(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "is not UTF-8; convert it, say `iconv -f latin1 -t utf-8`"
    if isinstance(error, json.JSONDecodeError):
        return f"is no JSON: {error.msg} (column {error.colno})"
    return "is nested too deeply" if isinstance(error, RecursionError) else f"is no JSON: {error}"


FORMAT = Format(
    "jsonl", write, read,
    supported_options=frozenset({"split", "probabilities", "provenance", "predictions"}),
    keeps=frozenset({"boxes", "whole", "order", "columns", "unlabelled", "skips", "paths"}),
)  # fmt: skip
