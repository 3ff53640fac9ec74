"""What an import reads: items with labels, every fault with its place, and what was understood."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from annotator.errors import RefError
from annotator.formats.class_ids import format_class_ids
from annotator.items.boxes import arrange_box, parse_box
from annotator.items.refs import Box, Item, make_printable, plural
from annotator.project import label_sets

MAX_FAULTS = 1000
MAX_TEXT_LENGTH = 4096
_ROUNDING = 0.01
"""Pixels: what a box may lie over the edge because somebody rounded its numbers."""
_MAX_COORDINATE = 1e7
"""Pixels: no image is wider, and no number beyond it is a coordinate."""


class ImportedItem(NamedTuple):
    """One item of a file that is imported."""

    location: str
    """Its place in the file, for messages: "line 4", "annotations[3]"."""
    item: Item
    label: str | None = None
    skipped: bool = False
    flagged: bool = False
    machine: bool = False
    """Whether the file says that a machine gave the label."""
    labelled_by: str | None = None
    """Who labelled, where the file says so."""
    note: str | None = None
    shown_ms: int | None = None
    columns: Mapping[str, str] = {}


@dataclass
class ImportContext:
    """One import under way: where from, how to understand it, and what was wrong."""

    path: Path
    box_order: str = "xywh"
    """How a bbox is written where the format leaves it open."""
    given_box_order: str | None = None
    """The same, as the user gave it."""
    label: str | None = None
    """The class of every item, for formats that hold none."""
    multi: tuple[str, ...] = ()
    """The classes of a multi-label project, in order: labels of one item become one set."""
    images: Path | None = None
    """The folder of the images, as the user gave it."""
    free_paths: bool = False
    """Whether paths may be absolute or go up: in tables that people write themselves."""
    root: Path | None = None
    """The folder of the images, as the format knows it."""
    boxes: str = ""
    """How boxes were read, in words."""
    class_ids: dict[str, int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    fault_count: int = 0
    ignored_counts: Counter[str] = field(default_factory=Counter)
    """What was read and could not be kept, and how often; always said."""

    @property
    def name(self) -> str:
        return make_printable(self.path.name or str(self.path))

    def add_fault(self, location: str, text: str, file: str | None = None) -> None:
        """Something that forbids the import."""
        self.fault_count += 1
        if len(self.faults) < MAX_FAULTS:
            place = (
                f"{make_printable(file) if file else self.name}, {location}"
                if location
                else self.name
            )
            self.faults.append(f"{place}: {text}")

    def join_classes(self, names: Sequence[str]) -> str:
        """Several classes as one label of a multi-label project."""
        return label_sets.join_label(names, [*self.multi, *sorted(set(names) - {*self.multi})])

    def add_faults(self, problems: list[str]) -> None:
        """Faults that a reader of tables names with their place."""
        self.fault_count += len(problems)
        self.faults += problems[: max(0, MAX_FAULTS - len(self.faults))]
        problems.clear()

    def count_ignored(self, reason: str, count: int = 1) -> None:
        if count:
            self.ignored_counts[reason] += count

    def has_file(self, path: str) -> bool:
        """Whether the images' folder, as far as it is known, holds a file of this very name."""
        folders = (self.images, self.root, self.path.parent)
        # Of os.path: no name whatsoever makes it raise.
        return any(folder and os.path.isfile(folder / path) for folder in folders)  # noqa: PTH113

    def parse_path(self, value: object) -> str:
        """An image's path. Raises `RefError` for no text, or one that leads out of the folder."""
        path = require_text(value, "the path")
        if not path:
            raise RefError("names no file")
        if not self.free_paths:
            if "\\" in path and "/" not in path and not self.has_file(path):
                path = path.replace("\\", "/")  # written on Windows
            parts = PurePosixPath(path)
            if parts.is_absolute() or ".." in parts.parts or path[1:3] in (":/", ":\\"):
                raise RefError(
                    f"{make_printable(path)!r} leads out of the images' folder; paths are relative to "
                    "it and go down only"
                )
        return path


def require_text(value: object, field_name: str, *, plain: bool = False) -> str:
    """`value` as text that can stand in a table. Raises `RefError` for anything else."""
    if plain and isinstance(value, (int, float)):
        return str(value).lower() if isinstance(value, bool) else f"{value}"
    if not isinstance(value, str):
        raise RefError(f"{field_name} is {_kind(value)} and not text")
    if len(value) > MAX_TEXT_LENGTH:
        raise RefError(
            f"{field_name} has {len(value):,} characters; the limit is {MAX_TEXT_LENGTH:,}"
        )
    if "\n" in value or "\r" in value or "\0" in value:
        raise RefError(f"{field_name}, {make_printable(value[:80])!r}, holds a line break or a NUL")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise RefError(
            f"{field_name}, {make_printable(value[:80])!r}, is not text (a lone surrogate)"
        ) from None
    return value


def require_number(
    value: object, field_name: str, low: float = -_MAX_COORDINATE, high: float = _MAX_COORDINATE
) -> float:
    """A finite number in a range. Raises `RefError`."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise RefError(f"{field_name} is {_kind(value)} and not a number")
    if isinstance(value, float) and not math.isfinite(value):
        raise RefError(f"{field_name} is {value}, which is no number")
    if not low <= value <= high:
        raise RefError(f"{field_name} is {_short(value)}; it should be from {low:g} to {high:g}")
    return float(value)


def parse_bbox(
    values: object,
    order: str,
    size: tuple[float, float] | None = None,
    reading: ImportContext | None = None,
) -> Box:
    """Four numbers in `order` as a box; of an image of `size`, its part inside the image.

    Raises `RefError` for anything else, for boxes without area and for those outside.
    """
    if isinstance(values, str):
        return parse_box(values, order)
    if not isinstance(values, Sequence) or len(values) != 4:
        raise RefError(f"bbox is {_kind(values)}; it should be four numbers")
    a, b, c, d = (require_number(value, "bbox") for value in values)
    return validate_box(*arrange_box((a, b, c, d), order), size, order, reading)


def validate_box(
    x: float,
    y: float,
    w: float,
    h: float,
    size: tuple[float, float] | None,
    order: str = "",
    reading: ImportContext | None = None,
) -> Box:
    """A box in thousandths of a pixel, cut at the image's edges. Raises `RefError` for none."""
    read = f" (read as {order})" if order else ""
    if not (w > 0 and h > 0):
        raise RefError(f"the box {_format_numbers((x, y, w, h))} has no area{read}")
    if size is not None:
        left, top = max(0.0, x), max(0.0, y)
        right, bottom = min(size[0], x + w), min(size[1], y + h)
        if right <= left or bottom <= top:
            raise RefError(
                f"the box {_format_numbers((x, y, w, h))} lies outside its image of "
                f"{size[0]:g} x {size[1]:g}{read}"
            )
        if reading and max(left - x, top - y, x + w - right, y + h - bottom) > _ROUNDING:
            reading.count_ignored("part of a box that lay outside its image")
        x, y, w, h = left, top, right - left, bottom - top
    if x < 0 or y < 0:
        raise RefError(
            f"the box {_format_numbers((x, y, w, h))} begins outside the image (below 0){read}"
        )
    # Thousandths: what was divided by an image's size comes back as it was.
    x, y, w, h = (round(value, 3) for value in (x, y, w, h))
    if not (w > 0 and h > 0):
        raise RefError("the box is thinner than a thousandth of a pixel")
    return Box(x, y, w, h)


def describe_import(
    reading: ImportContext, counts: Mapping[str, int], items: int, boxes: int
) -> list[str]:
    """What an import understood, in a few lines, before anything is written."""
    labelled = sum(counts.values())
    lines = [f"{reading.name}: {plural(items, 'item')}, {labelled:,} labelled"]
    if counts:
        ids = reading.class_ids
        names = sorted(counts, key=lambda name: ids.get(name, len(ids)))
        told = ", ".join(f"{name} {counts[name]:,}" for name in names if counts[name])
        lines.append(f"classes: {make_printable(told)}")
        if ids:
            lines.append(format_class_ids(ids))
    if boxes:
        how = reading.boxes or f"read as {reading.box_order}"
        lines.append(f"{plural(boxes, 'box', 'boxes')}, {how}")
    lines += [
        f"not kept: {count:,} x {what}" for what, count in sorted(reading.ignored_counts.items())
    ]
    return lines


def _kind(value: object) -> str:
    names: Iterable[tuple[Any, str]] = (
        (bool, "true or false"), (dict, "an object"), (list, "a list"), (str, "text"),
        ((int, float), "a number"), (type(None), "null"),
    )  # fmt: skip
    kind = next((name for types, name in names if isinstance(value, types)), type(value).__name__)
    return f"{kind} of {len(value)}" if isinstance(value, (list, tuple)) else kind


def _short(value: float) -> str:
    try:
        return f"{value:g}"
    except OverflowError:
        return "a number of hundreds of digits"


def _format_numbers(values: Iterable[float]) -> str:
    return ",".join(f"{value:g}" for value in values)
