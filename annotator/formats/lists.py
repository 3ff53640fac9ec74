"""Text lists: one path a line, or `path top left bottom right`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from annotator.formats.format import Format
from annotator.formats.reading import ImportContext, ImportedItem
from annotator.formats.source import ExportSource
from annotator.items.listing import read_list
from annotator.items.refs import Item


def write(source: ExportSource, place: Path) -> None:
    """The labelled items, one a line."""
    with place.open("w", encoding="utf-8", errors="surrogateescape") as file:
        for record in source.records():
            if record.label is None:
                source.leave_out("skipped" if record.skipped else "without a label")
                continue
            file.write(f"{format_line(record.item)}\n")
            source.written += 1


def format_line(item: Item) -> str:
    """An item as `path` or `path top left bottom right`, in whole pixels."""
    if item.box is None:
        return item.path
    x, y, w, h = item.box
    return f"{item.path} {round(y)} {round(x)} {round(y + h)} {round(x + w)}"


def read(reading: ImportContext) -> Iterator[ImportedItem]:
    """Every listed item, with the label that the reading was given for all of them."""
    problems: list[str] = []
    root = reading.images or Path.cwd()
    for row in read_list(reading.path, root, problems):
        yield ImportedItem(f"line {row.line}", row.item, reading.label)
        reading.take(problems)
    reading.take(problems)


FORMAT = Format("list", write, read, keeps=frozenset({"boxes", "whole", "order", "paths"}))
