"""JSON Lines: one item a line, `{"filename": …, "bbox": [x, y, width, height], "label": …}`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from annotator.formats import flat
from annotator.formats.format import Format
from annotator.formats.jsontext import dumps, plain_loads
from annotator.formats.reading import Found, Reading
from annotator.formats.source import Source


def write(source: Source, place: Path) -> None:
    row = flat.Row(source)
    with place.open("w", encoding="utf-8") as file:
        for record in source.records():
            cells = {name: cell for name, cell in row.cells(record).items() if cell is not None}
            file.write(dumps(cells) + "\n")
            source.written += 1


def read(reading: Reading) -> Iterator[Found]:
    reading.free_paths = True
    with reading.path.open("rb") as file:
        for line, data in enumerate(file, 1):
            where = f"line {line}"
            data = data.removeprefix(b"\xef\xbb\xbf") if line == 1 else data
            if not data.strip():
                continue
            try:
                cells = plain_loads(data.decode())
            except (ValueError, RecursionError) as error:
                reading.fault(where, _reason(error))
                continue
            if isinstance(cells, dict):
                yield from flat.found(reading, where, cells)
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
    takes=frozenset({"split", "probabilities", "provenance", "predictions"}),
    keeps=frozenset({"boxes", "whole", "order", "columns", "unlabelled", "skips", "paths"}),
)  # fmt: skip
