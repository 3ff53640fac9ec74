"""The results of a Label Studio task, joined to regions by their id: a shape and its classes."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from annotator.errors import RefError
from annotator.formats.reading import (
    ImportContext,
    cut_box,
    measure_box,
    require_number,
    require_text,
)
from annotator.items.refs import Box, make_printable

_LABEL_TYPES = ("rectanglelabels", "labels", "polygonlabels", "ellipselabels")
_SHAPE_TYPES = (*_LABEL_TYPES, "rectangle", "polygon", "ellipse")
_PLAIN_TYPES = {"textarea": "text", "number": "number", "rating": "rating"}
"""The results that become columns, and the members that hold their values."""


@dataclass(slots=True)
class Region:
    """The results that share an id: of a box, or of the whole image if `shape` is None."""

    index: int
    """The position of its first result."""
    shape: Mapping[str, Any] | None = None
    """The result that holds the shape."""
    names: dict[str, tuple[str, list[Any]]] = field(default_factory=dict)
    """Control to the type of its result and the names chosen there."""
    paths: list[list[str]] = field(default_factory=list)
    """The classes of a taxonomy, each with those above it."""
    cells: dict[str, Any] = field(default_factory=dict)
    """Control to a text or number."""
    meta: dict[str, Any] = field(default_factory=dict)
    score: Any = None
    unsupported: str = ""
    """The type of a result that cannot be read, such as a brush."""


@dataclass(slots=True)
class ControlCounts:
    """The controls of a file that give classes, counted by what they classify."""

    boxes: Counter[str] = field(default_factory=Counter)
    choices_of_boxes: Counter[str] = field(default_factory=Counter)
    images: Counter[str] = field(default_factory=Counter)

    def add(self, regions: Iterable[Region]) -> None:
        """Count the classes of a task's regions."""
        for region in regions:
            for control, (kind, names) in region.names.items():
                if region.unsupported or not names:
                    continue
                if kind != "choices":
                    self.boxes[control] += 1
                elif region.shape is None:
                    self.images[control] += 1
                else:
                    self.choices_of_boxes[control] += 1

    def choose(self, given: Sequence[str]) -> frozenset[str]:
        """Return the controls whose names are the classes; `given` are those the user named.

        Raises `RefError` if several controls fit, or if one that is given is not in the file.
        """
        every = self.boxes + self.choices_of_boxes + self.images
        if given:
            for name in given:
                if name not in every:
                    listed = make_printable(", ".join(every)) or "none"
                    raise RefError(
                        f"no result is from the control {make_printable(name)!r}. The controls "
                        f"with classes are: {listed}."
                    )
            return frozenset(given)
        chosen = set[str]()
        for what, counts in (
            ("boxes", self.boxes or self.choices_of_boxes),
            ("whole images", self.images),
        ):
            if len(counts) > 1:
                listed = ", ".join(f"{name} ({count:,})" for name, count in counts.items())
                raise RefError(
                    f"several controls give classes of {what}: {make_printable(listed)}. Name "
                    "the one that holds the classes with --control NAME; what the others say "
                    "becomes columns."
                )
            chosen |= counts.keys()
        return frozenset(chosen)


def join_results(results: Sequence[object]) -> tuple[list[Region], list[tuple[int, str]]]:
    """Return the regions of an annotation in order, and its faults with their positions."""
    regions: dict[object, Region] = {}
    faults = []
    for index, result in enumerate(results):
        if not isinstance(result, dict):
            faults.append((index, "a result should be an object"))
            continue
        value = result.get("value")
        key = _region_key(result, value, index)
        region = regions.setdefault(key, Region(index))
        known = (*_SHAPE_TYPES, "choices", "taxonomy", *_PLAIN_TYPES)
        if result.get("type") in known and not isinstance(value, dict):
            faults.append((index, "value should be an object"))
            region.unsupported = str(result.get("type"))
        else:
            _add_result(region, result, value if isinstance(value, dict) else {})
    return list(regions.values()), faults


def _region_key(result: Mapping[str, Any], value: object, index: int) -> object:
    """Return what the results of one region share: its id, else its shape."""
    if isinstance(result.get("id"), (str, int)):
        return result["id"]
    sides = ("x", "y", "width", "height", "rotation")
    if isinstance(value, dict) and "x" in value:
        return tuple(repr(value.get(side)) for side in sides)
    return ("", index)


def _add_result(region: Region, result: Mapping[str, Any], value: Mapping[str, Any]) -> None:
    kind, control = result.get("type"), str(result.get("from_name") or "")
    if kind in _SHAPE_TYPES or (kind == "choices" and "x" in value):
        region.shape = region.shape or result
    if kind in (*_LABEL_TYPES, "choices"):
        names = value.get(kind)
        region.names[control] = kind, names if isinstance(names, list) else [names]
        if names is None or names == []:
            region.names[control] = kind, []
    elif kind == "taxonomy":
        paths = [path for path in _listed(value.get(kind)) if isinstance(path, list) and path]
        region.names[control] = "choices", [path[-1] for path in paths]
        region.paths += paths
    elif kind in _PLAIN_TYPES:
        cell = value.get(_PLAIN_TYPES[kind])
        region.cells[control] = cell[0] if isinstance(cell, list) and len(cell) == 1 else cell
    elif kind not in _SHAPE_TYPES:
        region.unsupported = make_printable(str(kind)[:40])
    meta = result.get("meta")
    region.meta |= meta if isinstance(meta, dict) else {}
    region.score = result.get("score") if region.score is None else region.score


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def read_class(reading: ImportContext, region: Region, controls: frozenset[str]) -> str | None:
    """Return the class of a region; None if it has none. Raises `RefError` for several."""
    kind, names = "", list[Any]()
    for control, (type_, given) in region.names.items():
        if control in controls and given:
            kind, names = kind or type_, [*names, *given]
    if not names:
        return None
    if len(names) > 1 and not reading.multi:
        raise RefError(f"{kind} should be a list of one class, because an item has one label")
    texts = [require_text(name, "the class", plain=True) for name in names]
    for path in region.paths:
        above = [require_text(name, "the class", plain=True) for name in path]
        for parent, child in pairwise(above):
            reading.note_parent(child, parent)
    return (reading.join_classes(texts) if reading.multi else texts[0]) or None


def read_cells(reading: ImportContext, region: Region, controls: frozenset[str]) -> dict[str, str]:
    """Return the columns of a region: what other controls say of it, and its meta data."""
    others: dict[str, Any] = {
        control: names[0] if len(names) == 1 else names
        for control, (_, names) in region.names.items()
        if control not in controls and names
    }
    return reading.keep_columns({**others, **region.cells, **region.meta})


def read_shape(reading: ImportContext, region: Region) -> tuple[Box, tuple[float, float]]:
    """Return the box of a region, and the size of the image that it was drawn on.

    The box of a polygon, an ellipse and a turned rectangle is the one around it.
    """
    assert region.shape is not None
    shape, value = region.shape, region.shape["value"]
    if require_number(shape.get("image_rotation") or 0, "image_rotation") % 360:
        raise RefError("the image was turned in Label Studio; its boxes cannot be placed")
    size = tuple(
        require_number(shape.get(name), name, 1) for name in ("original_width", "original_height")
    )
    if "points" in value:
        corners = _read_points(value["points"], size)
        reading.count_ignored("polygon (the box around it is kept)")
    elif "radiusX" in value:
        corners = _ellipse_corners(value, size)
        reading.count_ignored("ellipse (the box around it is kept)")
    else:
        corners = _rectangle_corners(reading, value, size)
    left, top = (min(corner[axis] for corner in corners) for axis in (0, 1))
    right, bottom = (max(corner[axis] for corner in corners) for axis in (0, 1))
    # Percents give a millionth of a pixel more or less, which must not count as over the edge.
    box = measure_box(round(left, 4) + 0.0, round(top, 4) + 0.0, right - left, bottom - top)
    cut_box(box, (size[0], size[1]))  # a box outside the image is a fault whatever its size
    return box, (size[0], size[1])


Corners = list[tuple[float, float]]


def _read_sides(value: Mapping[str, Any], names: Sequence[str], size: Sequence[float]) -> list[Any]:
    sides = [require_number(value.get(name), name, -1000, 1000) for name in names]
    return [side * size[at % 2] / 100 for at, side in enumerate(sides)]


def _rectangle_corners(
    reading: ImportContext, value: Mapping[str, Any], size: Sequence[float]
) -> Corners:
    x, y, w, h = _read_sides(value, ("x", "y", "width", "height"), size)
    if (w < 0 or h < 0) and w and h:
        reading.count_ignored("direction in which a box was drawn (the box is kept)")
    turn = math.radians(require_number(value.get("rotation") or 0, "rotation") % 360)
    if not turn:
        return [(x, y), (x + w, y + h)]
    reading.count_ignored("rotation of a box (the box around it is kept)")
    cos, sin = math.cos(turn), math.sin(turn)
    return [(x + a * cos - b * sin, y + a * sin + b * cos) for a in (0, w) for b in (0, h)]


def _ellipse_corners(value: Mapping[str, Any], size: Sequence[float]) -> Corners:
    x, y, a, b = _read_sides(value, ("x", "y", "radiusX", "radiusY"), size)
    turn = math.radians(require_number(value.get("rotation") or 0, "rotation") % 360)
    across = math.hypot(a * math.cos(turn), b * math.sin(turn))
    down = math.hypot(a * math.sin(turn), b * math.cos(turn))
    return [(x - across, y - down), (x + across, y + down)]


def _read_points(points: object, size: Sequence[float]) -> Corners:
    if not isinstance(points, list) or len(points) < 3:
        raise RefError("points should be a list of three or more pairs")
    corners = []
    for point in points:
        if not isinstance(point, list) or len(point) != 2:
            raise RefError("points should be a list of pairs")
        x, y = (require_number(side, "a point", -1000, 1000) for side in point)
        corners.append((x * size[0] / 100, y * size[1] / 100))
    return corners
