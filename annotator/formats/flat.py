"""One item as one flat row: the columns that plain CSV, JSON Lines and Parquet share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from annotator.errors import RefError
from annotator.formats.reading import (
    ImportContext,
    ImportedItem,
    parse_bbox,
    read_label,
    require_number,
    require_text,
)
from annotator.formats.source import ExportRecord, ExportSource
from annotator.items.refs import Box, Item, parse_box
from annotator.items.table_columns import RowNames, find_row_names, join_sides, parse_size

PATH_COLUMNS = ("filename", "file_name", "path")
LABEL_COLUMNS = ("label", "annotation")
NO_NAMES = find_row_names(())
_PROVENANCE_COLUMNS = ("annotator", "at", "model", "picked_by", "q", "pool", "shown_ms", "machine",
         "probability", "note")  # fmt: skip
_MACHINE_COLUMNS = ("machine", "model", "probability")
_PROPOSAL_COLUMNS = ("proposed", "proposed_by", "votes")
_REVIEW_COLUMN = "reviewed_by"
REAL, INTEGER, BOOLEAN, TEXT, BOX = "real", "whole", "truth", "text", "box"
_KINDS = {
    "bbox": BOX, "skipped": BOOLEAN, "flagged": BOOLEAN, "score": REAL, "q": REAL, "pool": INTEGER,
    "shown_ms": INTEGER, "machine": BOOLEAN, "probability": REAL, "votes": INTEGER,
}  # fmt: skip


class RowSchema:
    """The columns of an export, in order, and the cells of its records."""

    def __init__(self, source: ExportSource) -> None:
        options = source.options
        own = ["filename", "bbox", "label", "skipped", "flagged"]
        own += ["split"] if options.split else []
        own += ["prediction", "score"] if options.predictions else []
        own += (
            _PROVENANCE_COLUMNS
            if options.provenance
            else _MACHINE_COLUMNS
            if source.machine_labels
            else []
        )
        own += _PROPOSAL_COLUMNS if options.provenance and source.accepted else []
        own += [_REVIEW_COLUMN] if options.provenance and source.log.reviewed_by else []
        ours = (*_PROVENANCE_COLUMNS, *_PROPOSAL_COLUMNS, _REVIEW_COLUMN)
        self._provenance = [name for name in own if name in ours]
        self._proba = list(source.classes) if options.probabilities else []
        self.kinds = {name: _KINDS.get(name, TEXT) for name in own}
        self.kinds |= {f"p({name})": REAL for name in self._proba}
        # A user's column with one of these names keeps its cells under a similar name.
        self._columns = {name: self._free(name) for name in source.columns}
        self.kinds |= dict.fromkeys(self._columns.values(), TEXT)
        if _REVIEW_COLUMN in own:  # the last one: all others stay where they are without a review
            self.kinds[_REVIEW_COLUMN] = self.kinds.pop(_REVIEW_COLUMN)
        for name, other in self._columns.items():
            if name != other:
                source.note(
                    f"your column {name!r} is written as {other!r}, because the name is taken"
                )

    def _free(self, name: str) -> str:
        while name in self.kinds:
            name += "_"
        return name

    def cells(self, record: ExportRecord) -> dict[str, Any]:
        """Return the cell of each column, None for an empty one."""
        box = record.item.box
        found: dict[str, Any] = {
            "filename": record.item.path, "bbox": list(box) if box else None,
            "label": record.label, "skipped": record.skipped or None,
            "flagged": record.flagged or None,
        }  # fmt: skip
        if "split" in self.kinds:
            found["split"] = record.split
        if "prediction" in self.kinds:
            found["prediction"], found["score"] = record.predicted, record.score
        for name in self._provenance:
            found[name] = record.provenance.get(name) or None
        if found.get("at"):
            found["at"] = format_timestamp(found["at"])
        for name in self._proba:
            found[f"p({name})"] = record.proba.get(name)
        for name, other in self._columns.items():
            found[other] = record.columns.get(name, "")
        return found


def format_timestamp(seconds: float) -> str:
    """Return seconds since the epoch as ISO 8601, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def parse_row(
    reading: ImportContext, location: str, cells: Mapping[str, Any], other_labels: bool = False
) -> Iterator[ImportedItem]:
    """Yield the item of a row; a row with a fault is reported to `reading` instead.

    With `other_labels` the label may have a name that other programs give it, such as `class`.
    """
    others = NO_NAMES if "ref" in cells else find_row_names(tuple(cells))
    other_label = others.label if other_labels else None
    paths, labels = (*PATH_COLUMNS, others.path), (*LABEL_COLUMNS, other_label)
    path = next((cells[name] for name in paths if name and cells.get(name) is not None), None)
    try:
        if path is None and isinstance(cells.get("ref"), str):
            item = Item.parse(reading.parse_path(cells["ref"]))
        elif path is None:
            raise RefError(f"no file is named; give one of {', '.join(PATH_COLUMNS)}")
        else:
            item = Item(reading.parse_path(path), read_row_box(cells, others, reading.box_order))
        if any(cells.get(name) for name in _SAMPLING_COLUMNS):
            reading.count_ignored(
                "time, draw and review of a label (the log gets those of the import)"
            )
        label = next((cells[name] for name in labels if name and cells.get(name) is not None), None)
        path_name = None if {*PATH_COLUMNS} & cells.keys() else others.path
        used = [path_name, other_label, *others.sides]
        columns = _extra_columns(reading, cells, used)
        if "ref" not in cells:
            reading.note_columns(used, columns)
        yield ImportedItem(
            location, item, read_label(label), skipped=cells.get("skipped") is True,
            flagged=cells.get("flagged") is True, machine=cells.get("machine") is True,
            labelled_by=_read_text(cells.get("annotator")), note=_read_text(cells.get("note")),
            shown_ms=_read_integer(cells.get("shown_ms")), columns=columns,
            size=read_row_size(cells, others, item),
        )  # fmt: skip
    except RefError as error:
        reading.add_fault(location, str(error))


_SAMPLING_COLUMNS = ("at", "picked_by", "q", "pool", _REVIEW_COLUMN)
_KNOWN_COLUMNS = {
    *PATH_COLUMNS, *LABEL_COLUMNS, *_SAMPLING_COLUMNS,
    "ref", "bbox", "skipped", "flagged", "machine", "annotator", "note", "shown_ms",
}  # fmt: skip


def read_row_box(cells: Mapping[str, Any], others: RowNames, order: str) -> Box | None:
    """Return the box of a row, in `bbox` or in four members. Raises `RefError`."""
    if (bbox := cells.get("bbox")) is not None:
        return parse_bbox(bbox, order)
    sides = join_sides([cells.get(name) for name in others.sides])
    return parse_box(sides, others.order, may_be_outside=True) if sides else None


def read_row_size(
    cells: Mapping[str, Any], others: RowNames, item: Item
) -> tuple[float, float] | None:
    """Return the size of the image that a row states; None if it is that of the box."""
    size = parse_size([cells.get(name) for name in others.size])
    return None if item.box is None or size == (item.box.w, item.box.h) else size


def _extra_columns(
    reading: ImportContext, cells: Mapping[str, Any], used: Sequence[str | None]
) -> dict[str, str]:
    """Return the columns that refs.csv keeps."""
    # Without the column machine, one named model or probability is the user's own.
    marked = _MACHINE_COLUMNS if "machine" in cells else ()
    own = {
        name: value
        for name, value in cells.items()
        if name not in _KNOWN_COLUMNS and name not in marked and name not in used
    }
    return reading.keep_columns(own)


def _read_text(value: object) -> str | None:
    return require_text(value, "annotator or note") if value else None


def _read_integer(value: object) -> int | None:
    return None if value is None else int(require_number(value, "shown_ms", 0, 2**31 - 1))
