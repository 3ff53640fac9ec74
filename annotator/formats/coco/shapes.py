"""The boxes around the shapes of COCO annotations: polygons and run-length masks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from annotator.errors import RefError
from annotator.formats.reading import box_around, require_number
from annotator.items.refs import Box

_MAX_RUNS = 1 << 22


def read_box_around(segmentation: object) -> Box:
    """Return the box around a segmentation. Raises `RefError` for one that is none."""
    if isinstance(segmentation, list):
        return box_around(_read_polygons(segmentation))
    if isinstance(segmentation, dict):
        return _read_mask_box(segmentation)
    raise RefError("segmentation should be a list of polygons or a mask")


def _read_polygons(polygons: Sequence[Any]) -> Iterator[tuple[float, float]]:
    # A polygon may be a list of pairs, as some tools write it, or one flat list without another.
    if all(isinstance(value, (int, float)) for value in polygons):
        polygons = [polygons]
    for polygon in polygons:
        if not isinstance(polygon, list):
            raise RefError("segmentation should be a list of polygons")
        flat = polygon
        if all(isinstance(point, list) and len(point) == 2 for point in polygon):
            flat = list(chain.from_iterable(polygon))
        if len(flat) < 6 or len(flat) % 2:
            raise RefError(f"a polygon of {len(flat)} numbers; it should be x, y of three or more")
        sides = [require_number(side, "segmentation") for side in flat]
        yield from zip(sides[0::2], sides[1::2], strict=True)


def _read_mask_box(mask: Mapping[str, Any]) -> Box:
    """Return the box around a mask of runs: column by column, the first run is outside."""
    size, counts = mask.get("size"), mask.get("counts")
    if not isinstance(size, list) or len(size) != 2:
        raise RefError("segmentation.size should be height and width")
    height, width = (int(require_number(side, "segmentation.size", 1, 1e6)) for side in size)
    if isinstance(counts, str):
        counts = list(_decode_runs(counts))
    if not isinstance(counts, list) or len(counts) > _MAX_RUNS:
        raise RefError("segmentation.counts should be a list of runs or a text")
    runs = [int(require_number(count, "segmentation.counts", 0, 1e12)) for count in counts]
    if sum(runs) != height * width:
        raise RefError(f"segmentation.counts covers {sum(runs)} pixels of {height * width}")
    points = [*_mask_corners(runs, height)]
    if not points:
        raise RefError("segmentation is a mask without a pixel")
    return box_around(points)


def _mask_corners(runs: Sequence[int], height: int) -> Iterator[tuple[float, float]]:
    start = 0
    for place, length in enumerate(runs):
        if place % 2 and length:
            first, last = start, start + length - 1
            tall = first // height != last // height  # it continues in the next column
            top, bottom = (0, height - 1) if tall else (first % height, last % height)
            yield first // height, top
            yield last // height + 1, bottom + 1
        start += length


def _decode_runs(text: str) -> Iterator[int]:
    """Yield the runs that pycocotools packs into a text, six bits a letter."""
    runs: list[int] = []
    value = shift = 0
    for letter in text:
        bits = ord(letter) - 48
        if not 0 <= bits < 64 or shift > 50:
            raise RefError("segmentation.counts is not a packed mask")
        value |= (bits & 0x1F) << shift
        shift += 5
        if bits & 0x20:
            continue
        if bits & 0x10:
            value -= 1 << shift
        if len(runs) > 2:
            value += runs[-2]
        runs.append(value)
        yield value
        value = shift = 0
