"""The items that an import reads, its faults with their places, and the checks of values."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from annotator.errors import RefError
from annotator.formats.class_ids import format_class_ids
from annotator.items.atomic import read_file
from annotator.items.listing import SkippedFiles
from annotator.items.refs import Box, Item, arrange_box, make_printable, parse_box, plural
from annotator.items.text_files import FinalFault, describe_bad_utf8, name_encoding
from annotator.project import label_sets

SPLITS = frozenset(["train", "training", "val", "valid", "validation", "dev", "test", "testing",
    "train2017", "val2017", "test2017"])  # fmt: skip
"""Names, in lower case, of the parts of a data set."""
MAX_FAULTS = 1000
MAX_TEXT_LENGTH = 4096
_ROUNDING = 0.01
"""Pixels that a box may reach over the edge because its numbers were rounded."""
_MAX_COORDINATE = 1e7
"""Pixels: no image is wider, and no number beyond it is a coordinate."""


class ImportedItem(NamedTuple):
    """One item of a file that is imported."""

    location: str
    """The item's place in the file, for messages: "line 4", "annotations[3]"."""
    item: Item
    label: str | None = None
    skipped: bool = False
    flagged: bool = False
    machine: bool = False
    """True if the file says that a machine gave the label."""
    labelled_by: str | None = None
    """The annotator, if the file names one."""
    note: str | None = None
    shown_ms: int | None = None
    columns: Mapping[str, str] = {}
    size: tuple[float, float] | None = None
    """Width and height of the image that the file states; its box is in pixels of that size."""


@dataclass
class FoundImages:
    """The images of an import, and the parts of the data set that they are in."""

    images: set[int] = field(default_factory=set)
    """The hash of each path."""
    splits: set[str] = field(default_factory=set)

    def add(self, found: ImportedItem) -> None:
        """Count the image of an item."""
        path = found.item.path
        key = hash(path)
        if key not in self.images:
            self.images.add(key)
            names = (name.lower() for name in path.split("/")[:-1])
            split = found.columns.get("split") or next((n for n in names if n in SPLITS), "")
            if split:
                self.splits.add(split.lower())


@dataclass
class ImportContext:
    """One import under way: its source, the way to read it, and the faults so far."""

    path: Path
    box_order: str = "xywh"
    """The order of the numbers of a bbox, if the format leaves it open."""
    given_box_order: str | None = None
    """The order of a bbox that the user gave."""
    label: str | None = None
    """The class of every item, for formats that hold none."""
    multi: tuple[str, ...] = ()
    """The classes of a multi-label project, in order: labels of one item become one set."""
    images: Path | None = None
    """The folder of the images, as the user gave it."""
    free_paths: bool = False
    """True if paths may be absolute or go up, as in tables that users write themselves."""
    root: Path | None = None
    """The folder of the images, as the format knows it."""
    boxes: str = ""
    """The way boxes were read, for the summary."""
    box_pixels: str | None = None
    """The pixels that boxes count, one of `BOX_PIXELS`, as the user said."""
    boxes_in_shares: bool = False
    """True if the file gives boxes as shares of their image, so an image may have any size."""
    boxes_fit: bool = False
    """True if the reader itself compares boxes with their images."""
    notes: list[str] = field(default_factory=list)
    """Lines for the summary."""
    sign: str = ""
    """The format and the sign by which it was recognised, for the summary."""
    controls: tuple[str, ...] = ()
    """The controls of a labelling interface that give the classes, as the user named them."""
    class_ids: dict[str, int] = field(default_factory=dict)
    parents: dict[str, str] = field(default_factory=dict)
    """Each class to the class above it, as far as the file says so."""
    unused_classes: dict[str, str] = field(default_factory=dict)
    """Classes without a label that are only the parents of others, and how the format calls them.

    They become classes only of a new project that takes the parents.
    """
    skip_faulty: bool = False
    """True if rows with faults are left out and counted, so that they forbid nothing."""
    cut_short: bool = False
    """True if a fault ended the reading, so nothing after it is known."""
    faults: list[str] = field(default_factory=list)
    fault_count: int = 0
    columns_read: dict[str, None] = field(default_factory=dict)
    """The columns that were read under the names that other programs give them."""
    columns_kept: dict[str, None] = field(default_factory=dict)
    """The columns of rows that have no meaning here."""
    ignored_counts: Counter[str] = field(default_factory=Counter)
    """The kinds of things that were read and could not be kept, and their numbers."""

    @property
    def name(self) -> str:
        """The name of the file or folder, for messages."""
        return make_printable(self.path.name or str(self.path))

    def add_fault(self, location: str, text: str, file: str | None = None) -> None:
        """Add a fault, which forbids the import."""
        self.fault_count += 1
        self.cut_short |= isinstance(text, FinalFault)
        if len(self.faults) < MAX_FAULTS:
            place = make_printable(file) if file else self.name
            self.faults.append(f"{place}, {location}: {text}" if location else f"{place}: {text}")

    def join_classes(self, names: Sequence[str]) -> str:
        """Return several classes as one label of a multi-label project."""
        return label_sets.join_label(names, [*self.multi, *sorted(set(names) - {*self.multi})])

    def add_faults(self, problems: list[str]) -> None:
        """Add the faults that a reader of tables found; each names its place already."""
        self.fault_count += len(problems)
        self.cut_short |= any(isinstance(problem, FinalFault) for problem in problems)
        self.faults += problems[: max(0, MAX_FAULTS - len(self.faults))]
        problems.clear()

    def count_ignored(self, reason: str, count: int = 1) -> None:
        """Count things that were read and could not be kept; the summary lists them."""
        if count:
            self.ignored_counts[reason] += count

    def note_parent(self, name: str, parent: str) -> None:
        """Note the class above another one; a class below two others has no parent."""
        if self.parents.setdefault(name, parent) != parent:
            self.parents[name] = ""

    def count_unused(self, names: Collection[str]) -> None:
        """Count the unused parents that are not among the classes `names`."""
        for name, what in self.unused_classes.items():
            self.count_ignored(what, name not in names)

    def count_others(self, left_out: SkippedFiles) -> None:
        """Count the files of a folder whose ending is not one of an image, but for texts."""
        for ending, count in left_out.endings.items():
            if ending not in (".txt", ".yaml", ".yml", ".cache"):
                self.count_ignored(f"{ending} file (not an image by its ending)", count)

    def describe_ignored(self) -> list[str]:
        """Return the notes, and a line for each kind of thing that could not be kept."""
        counts = sorted(self.ignored_counts.items())
        lines = [*self._describe_columns(), *self.notes]
        return lines + [f"not kept: {count:,} x {kind}" for kind, count in counts]

    def note_columns(self, read: Iterable[str | None], kept: Iterable[str]) -> None:
        """Note for the summary which columns of a row were read, and which are only kept."""
        self.columns_read.update(dict.fromkeys(name for name in read if name and name != "label"))
        own = ("prediction", "score", "split")
        self.columns_kept.update(dict.fromkeys(name for name in kept if name not in own))

    def _describe_columns(self) -> Iterator[str]:
        pairs = (("read", self.columns_read), ("not used, but kept", self.columns_kept))
        for what, names in pairs:
            if names:
                yield f"columns {what}: {make_printable(', '.join(names)[:300])}"

    def has_file(self, path: str) -> bool:
        """Return True if one of the folders that images may be in holds a file of this name."""
        folders = (self.images, self.root, self.path.parent)
        # os.path.isfile raises for no name at all; Path.is_file does for some.
        return any(folder and os.path.isfile(folder / path) for folder in folders)  # noqa: PTH113

    def keep_columns(self, cells: Mapping[Any, Any]) -> dict[str, str]:
        """Return the cells that refs.csv can hold as text; count the others as ignored."""
        kept = {}
        for name, value in cells.items():
            shown = f"column {make_printable(repr(str(name)[:40]))}"
            if isinstance(value, (dict, list)):
                self.count_ignored(f"{shown} that holds a list or an object")
            elif isinstance(value, (bytes, bytearray)):
                self.count_ignored(f"{shown} that holds bytes")
            elif not is_cell_text(str(name)) or not is_cell_text(str(value)):
                self.count_ignored(
                    f"{shown} with more than {MAX_TEXT_LENGTH:,} characters, a NUL, or no text"
                )
            else:
                text = str(value).lower() if isinstance(value, bool) else str(value)
                kept[str(name)] = "" if value is None else text
        return kept

    def parse_path(self, value: object) -> str:
        """Return an image path. Raises `RefError` if it is not text or leads out of the folder."""
        path = require_text(value, "the path")
        if not path:
            raise RefError("no file is named")
        if not self.free_paths:
            if "\\" in path and not self.has_file(path):
                path = path.replace("\\", "/")  # written on Windows
            parts = PurePosixPath(path)
            if parts.is_absolute() or ".." in parts.parts or path[1:3] in (":/", ":\\"):
                raise RefError(
                    f"{make_printable(path)!r} leads out of the images' folder. Paths are relative "
                    "to that folder and only go down."
                )
        return path


def is_cell_text(text: str) -> bool:
    """Return True if a cell of refs.csv can hold `text`; line breaks are allowed there."""
    try:
        return len(text) <= MAX_TEXT_LENGTH and "\0" not in text and text.encode() is not None
    except UnicodeEncodeError:
        return False


def require_text(value: object, field_name: str, *, plain: bool = False) -> str:
    """Return `value` as text for a cell of a table. Raises `RefError` for anything else."""
    if plain and isinstance(value, (int, float, date, Decimal)):
        return str(value).lower() if isinstance(value, bool) else f"{value}"
    if not isinstance(value, str):
        raise RefError(f"{field_name} is {_describe_kind(value)} and not text")
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
    """Return a finite number in a range. Raises `RefError` for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise RefError(f"{field_name} is {_describe_kind(value)} and not a number")
    if isinstance(value, float) and not math.isfinite(value):
        raise RefError(f"{field_name} is {value}, which is not a number")
    if not low <= value <= high:
        raise RefError(f"{field_name} is {_shorten(value)}; it should be from {low:g} to {high:g}")
    return float(value)


def parse_bbox(values: object, order: str) -> Box:
    """Return four numbers in `order` as a box, which `BoxFitter` cuts at the image's edges.

    Raises `RefError` for anything else, and for a box without area.
    """
    if isinstance(values, str):
        return parse_box(values, order, may_be_outside=True)
    if not isinstance(values, Sequence) or len(values) != 4:
        raise RefError(f"bbox is {_describe_kind(values)}; it should be four numbers")
    a, b, c, d = (require_number(value, "bbox") for value in values)
    return measure_box(*arrange_box((a, b, c, d), order), order)


def validate_box(
    x: float,
    y: float,
    w: float,
    h: float,
    size: tuple[float, float] | None,
    order: str = "",
    reading: ImportContext | None = None,
) -> Box:
    """Return a box in thousandths of a pixel, cut at the image's edges.

    Raises `RefError` for a box without area, or outside the image.
    """
    box = measure_box(x, y, w, h, order)
    return cut_box(box, size, reading, order)


def measure_box(x: float, y: float, w: float, h: float, order: str = "") -> Box:
    """Return a box that `BoxFitter` cuts at the image's edges. Raises `RefError` without area."""
    if not (w > 0 and h > 0):
        read = f" (read as {order})" if order else ""
        raise RefError(f"the box {_format_numbers((x, y, w, h))} has no area{read}")
    return Box(x, y, w, h)


def box_around(points: Iterable[tuple[float, float]]) -> Box:
    """Return the box around points. Raises `RefError` if it has no area."""
    across, down = zip(*points, strict=True)
    left, top = min(across), min(down)
    return measure_box(left, top, max(across) - left, max(down) - top)


def cut_box(
    box: Box,
    size: tuple[float, float] | None,
    reading: ImportContext | None = None,
    order: str = "",
) -> Box:
    """Return a box in thousandths of a pixel, cut at the image's edges.

    Raises `RefError` for a box outside the image.
    """
    x, y, w, h = box
    read = f" (read as {order})" if order else ""
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
    # In thousandths, a number that was divided by an image's size comes back as it was.
    x, y, w, h = (round(value, 3) for value in (x, y, w, h))
    if not (w > 0 and h > 0):
        raise RefError("the box is thinner than a thousandth of a pixel")
    return Box(x, y, w, h)


def read_text(file: Path) -> str:
    """Return the text of a file in UTF-8, or as its byte order mark says, without that mark.

    Raises `RefError` with the line that cannot be decoded.
    """
    try:
        data = read_file(file)
        return data.decode(name_encoding(data))
    except OSError as error:
        raise RefError(f"{make_printable(str(file))} cannot be read: {error.strerror}") from error
    except UnicodeError:
        raise RefError(f"{make_printable(str(file))}, {describe_bad_utf8(file)}") from None


def describe_import(
    reading: ImportContext, counts: Mapping[str, int], items: int, boxes: int, found: FoundImages
) -> list[str]:
    """Return a summary of an import in a few lines, shown before anything is written."""
    labelled = sum(counts.values())
    lines = [f"{reading.name}: {plural(items, 'item')}, {labelled:,} labelled"]
    if reading.sign:
        parts = [plural(len(found.splits), "split")] if found.splits else []
        parts.append(plural(len(found.images), "image"))
        known = len(reading.class_ids) or len(counts)
        parts += [plural(known, "class", "classes")] if known else []
        lines.insert(0, f"{reading.sign}, {', '.join(parts)}")
    if counts:
        ids = reading.class_ids
        names = sorted(counts, key=lambda name: ids.get(name, len(ids)))
        listed = ", ".join(f"{name} {counts[name]:,}" for name in names if counts[name])
        lines.append(f"classes: {make_printable(listed)}")
        if ids:
            lines.append(format_class_ids(ids))
    if boxes:
        how = reading.boxes or f"read as {reading.box_order}"
        lines.append(f"{plural(boxes, 'box', 'boxes')}, {how}")
    return lines + reading.describe_ignored()


def describe_left_out(faults: Sequence[str], count: int) -> list[str]:
    """Return lines on the rows that --skip-faulty left out."""
    if not count:
        return []
    shown = list(faults[:10])
    more = [f"  … and {count - len(shown):,} more"] if count > len(shown) else []
    heading = f"left out, for {plural(count, 'fault')}:"
    return [heading, *(f"  {fault}" for fault in shown), *more]


def read_label(value: object, field_name: str = "label") -> str | None:
    """Return a label as text; None for null, "" and NaN, which tables write for no label.

    A number, a date or a truth value is the name of a class, as in a CSV file: 7 is "7". Raises
    `RefError` for a list, an object, infinity, and text that no class can have.
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, float) and math.isinf(value):
        raise RefError(f"{field_name} is an infinite number, which no class is")
    return require_text(value, field_name, plain=True) or None


def _describe_kind(value: object) -> str:
    names: Iterable[tuple[Any, str]] = (
        (bool, "true or false"), (dict, "an object"), (list, "a list"), (str, "text"),
        ((int, float), "a number"), (type(None), "null"),
    )  # fmt: skip
    kind = next((name for types, name in names if isinstance(value, types)), type(value).__name__)
    return f"{kind} of {len(value)}" if isinstance(value, (list, tuple)) else kind


def _shorten(value: float) -> str:
    try:
        return f"{value:g}"
    except OverflowError:
        return "a number of hundreds of digits"


def _format_numbers(values: Iterable[float]) -> str:
    return ",".join(f"{value:g}" for value in values)
