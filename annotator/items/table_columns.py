"""The columns of a table of refs, by the names that we and other programs give them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from annotator.errors import RefError
from annotator.items.refs import make_printable
from annotator.items.text_files import describe_bad_utf8

PATH_COLUMNS = ("filename", "file_name", "path", "ref")
LABEL_COLUMNS = ("annotation", "label")
OTHER_PATHS = (
    "image_path", "img_path", "filepath", "file_path", "image", "img", "file", "image_name",
    "img_name", "imagename", "image_id", "imageid",
)  # fmt: skip
OTHER_LABELS = (
    "class", "class_name", "classname", "category", "category_name", "label_name", "labelname",
)  # fmt: skip
SIDES = (
    (("xmin", "ymin", "xmax", "ymax"), "xyxy"), (("x_min", "y_min", "x_max", "y_max"), "xyxy"),
    (("x1", "y1", "x2", "y2"), "xyxy"), (("left", "top", "right", "bottom"), "xyxy"),
    (("x", "y", "w", "h"), "xywh"), (("x", "y", "width", "height"), "xywh"),
    (("left", "top", "width", "height"), "xywh"), (("xmin", "ymin", "width", "height"), "xywh"),
)  # fmt: skip
"""The columns in which tables of others hold a box, and their order."""
SIZES = (("image_width", "image_height"), ("img_width", "img_height"), ("width", "height"))
"""The columns in which tables of others hold the size of an image."""
UTF8 = "utf-8-sig"
_DECIMAL_COMMA = re.compile(r"^(-?\d+),(\d{1,2}|\d{4,})$")


@dataclass(slots=True)
class TableShape:
    """The columns and the encoding of a table of others, found while it is read."""

    header: list[str] = field(default_factory=list)
    unused: list[int] = field(default_factory=list)
    """The columns that have no meaning here."""
    changed: bool = False
    """True if it cannot be a refs.csv as it is: other names of columns, UTF-16, or `sep=`."""
    has_features: bool = False
    notes: list[str] = field(default_factory=list)
    """Lines for the summary."""

    def describe(self, columns: RefColumns, encoding: str) -> None:
        """Note which columns were read as what, and which were not."""
        read = {columns.path: "the path", columns.label: "the label"}
        read |= dict.fromkeys(columns.sides, "the box")
        named = {
            what: ", ".join(self.header[at].strip() for at, w in read.items() if w == what)
            for at, what in read.items()
            if at >= 0
        }
        if self.changed:
            listed = ", ".join(f"{names} as {what}" for what, names in named.items())
            self.notes.append(f"columns read: {make_printable(listed)}")
        if encoding != UTF8:
            self.notes.append(f"read as {encoding.upper()}; refs.csv is written in UTF-8")
        if self.unused:
            names = ", ".join(self.header[at].strip() or "(no name)" for at in self.unused)
            self.notes.append(f"columns not used, but kept: {make_printable(names[:300])}")


@dataclass(frozen=True, slots=True)
class RefColumns:
    """The places of the columns that we read from a table; -1 for those that it lacks."""

    path: int
    bbox: int
    label: int
    feature: int
    sides: tuple[int, ...] = ()
    """The four columns of a box, if it has no column of its own."""
    order: str = ""
    """The order of `sides`."""
    size: tuple[int, ...] = ()
    """The columns of the width and height of the image, beside those of a box."""
    foreign: bool = False
    """True for a table of others, whose boxes are cut at the edges of their images later."""
    count: int = 0
    """The number of columns."""

    @property
    def used(self) -> set[int]:
        """The places of all columns that are read."""
        return {self.path, self.bbox, self.label, self.feature, *self.sides} - {-1}

    @classmethod
    def find(cls, header: Sequence[str], file: Path, foreign: bool = False) -> RefColumns:
        """Find the columns by their names in the header; `foreign` knows those of others, too.

        Raises `RefError` if none holds paths.
        """
        names = [name.strip().lower() for name in header]
        known = (*PATH_COLUMNS, *OTHER_PATHS) if foreign else PATH_COLUMNS
        path = next((names.index(name) for name in known if name in names), -1)
        if path < 0 and "\0" in "".join(header):  # UTF-16 without its mark is UTF-8 with NULs
            raise RefError(f"{make_printable(str(file))}, {describe_bad_utf8(file)}")
        if path < 0:
            raise RefError(
                f"{make_printable(str(file))}, line 1: no column named "
                f"{' or '.join(PATH_COLUMNS)}. "
                f"The columns are {make_printable(', '.join(header)) or '(none)'}. "
                f"Name the one with the paths of the images {PATH_COLUMNS[0]}."
            )
        labels = (*LABEL_COLUMNS, *OTHER_LABELS) if foreign else LABEL_COLUMNS
        label = next((names.index(name) for name in labels if name in names), -1)
        bbox = names.index("bbox") if "bbox" in names else -1
        feature = names.index("feat_idx") if "feat_idx" in names else -1
        sides, order = _find_sides(names if foreign and bbox < 0 else ())
        places = tuple(map(names.index, sides))
        boxed = foreign and (bbox >= 0 or places)
        size = tuple(map(names.index, find_size_columns(names, sides))) if boxed else ()
        return cls(path, bbox, label, feature, places, order, size, foreign, len(names))


def _find_sides(names: Collection[str]) -> tuple[tuple[str, ...], str]:
    """Return the four names of a box and their order; () without them."""
    return next((pair for pair in SIDES if {*pair[0]} <= {*names}), ((), ""))


def find_size_columns(names: Collection[str], sides: Collection[str] = ()) -> tuple[str, ...]:
    """Return the names of the width and height of an image, beside those of a box; () without."""
    return next((pair for pair in SIZES if {*pair} <= {*names} - {*sides}), ())


def parse_size(cells: Sequence[Any]) -> tuple[float, float] | None:
    """Return a width and a height in two cells; None for anything that is not a size."""
    try:
        width, height = map(float, cells)
    except (TypeError, ValueError):
        return None
    return (width, height) if 0 < width < 1e7 and 0 < height < 1e7 else None


def join_sides(cells: Sequence[object]) -> str:
    """Return the four cells of a box as the text of a bbox, "" if all are blank.

    A decimal comma becomes a point, unless it may as well be one between thousands.
    """
    texts = ["" if cell is None else str(cell).strip() for cell in cells]
    if not any(texts):
        return ""
    return ",".join(_DECIMAL_COMMA.sub(r"\1.\2", text) for text in texts)


def free_names(names: Iterable[str], taken: Collection[str]) -> list[str]:
    """Return names of columns, each with _ at its end until it is neither blank nor taken."""
    used, found = {*taken}, []
    for name in names:
        while not name.strip() or name.strip().lower() in used:
            name += "_"
        used.add(name.strip().lower())
        found.append(name)
    return found


class RowNames(NamedTuple):
    """The names that other programs give to the members of a row; None for one that it lacks."""

    path: str | None
    label: str | None
    sides: tuple[str, ...]
    """The four members of a box."""
    order: str
    """The order of `sides`."""
    size: tuple[str, ...]
    """The members with the width and height of the image."""


@lru_cache(1024)
def find_row_names(names: tuple[str, ...]) -> RowNames:
    """Find the members of a row of another program by their names, in any case."""
    places = {name.strip().lower(): name for name in reversed(names)}
    path, label = (
        next((places[name] for name in known if name in places), None)
        for known in (OTHER_PATHS, OTHER_LABELS)
    )
    sides, order = _find_sides(places)
    return RowNames(
        path, label, tuple(places[name] for name in sides), order,
        tuple(places[name] for name in find_size_columns(places, sides)),
    )  # fmt: skip
