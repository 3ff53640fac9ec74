"""The pictures of an image that a detector looks at: augmented, and in overlapping tiles.

Test-time augmentation adds the mirrored image and the one with stretched contrast. In tiles small
objects stay large enough to be found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from annotator.detection.detections import (
    Detections,
    FloatArray,
    compute_coverage,
    compute_ious,
    concatenate_detections,
)
from annotator.detection.detectors import SCORE_FLOOR

AUGMENTATIONS = ("plain", "flip", "min-max")
_EDGE = 2.0
"""Pixels: a box that ends this near to an edge of its tile may extend beyond it."""
_SAME_OBJECT_OVERLAP = 0.5


@dataclass(frozen=True, slots=True)
class DetectionPasses:
    """The passes of a detector over an image, and the tiles of each pass."""

    augment: tuple[str, ...] = ("plain",)
    tile: int | None = None
    """The side of square tiles in pixels of the image; None for whole images."""
    overlap: float = 0.2
    """Overlap of neighbouring tiles, as a share of their side."""

    def describe(self) -> dict[str, Any]:
        """Return all options, as plain JSON."""
        tiled = None if self.tile is None else [self.tile, self.overlap]
        return {"augment": list(self.augment), "tile": tiled, "floor": SCORE_FLOOR}

    def tiles(self, size: tuple[int, int]) -> list[ImageTile]:
        """Return the tiles of an image of (width, height)."""
        return make_tiles(size, self.tile or max(size), self.overlap)


# --- augmentation


def augment_image(picture: Image.Image, augmentation: str) -> Image.Image:
    """Return the picture that one pass sees: plain, mirrored or with its contrast stretched."""
    if augmentation == "flip":
        return ImageOps.mirror(picture)
    return stretch_contrast(picture) if augmentation == "min-max" else picture


def stretch_contrast(picture: Image.Image) -> Image.Image:
    """Stretch the darkest value of all channels to 0 and the brightest to 255.

    A picture of one colour stays as it is.
    """
    low, high = _value_range(picture)
    if high <= low or (low, high) == (0, 255):
        return picture
    scale = 255 / (high - low)
    table = [round(min(255.0, max(0.0, (value - low) * scale))) for value in range(256)]
    return picture.point(table * len(picture.getbands()))


def _value_range(picture: Image.Image) -> tuple[int, int]:
    ranges = np.array(picture.getextrema()).reshape(-1, 2)
    return int(ranges[:, 0].min()), int(ranges[:, 1].max())


def undo_augmentation(
    detections: Detections, augmentation: str, width: float, flip_indices: tuple[int, ...] = ()
) -> Detections:
    """Map the detections of a pass back to the plain picture, which is `width` pixels wide.

    `flip_indices` holds the landmark that each one becomes in a mirrored picture: the left eye of
    a mirrored face is its right one.
    """
    if augmentation != "flip":
        return detections
    boxes = detections.boxes.copy()
    boxes[:, [0, 2]] = width - detections.boxes[:, [2, 0]]
    if detections.points is None:
        return replace(detections, boxes=boxes)
    points = detections.points[:, list(flip_indices)] if flip_indices else detections.points.copy()
    points[:, :, 0] = width - points[:, :, 0]
    return replace(detections, boxes=boxes, points=points)


# --- tiles


@dataclass(frozen=True, slots=True)
class ImageTile:
    """A part of an image, in whole pixels; column `right` and row `bottom` lie outside it."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.right - self.left, self.bottom - self.top


def make_tiles(size: tuple[int, int], side: int, overlap: float) -> list[ImageTile]:
    """Return the whole image of (width, height), then square tiles that cover it.

    Neighbours share at least `overlap` of `side`. An image that is not larger than a tile is its
    only tile.
    """
    width, height = size
    whole = ImageTile(0, 0, width, height)
    if max(size) <= side:
        return [whole]
    return [whole] + [
        ImageTile(x, y, min(x + side, width), min(y + side, height))
        for y in _starts(height, side, overlap)
        for x in _starts(width, side, overlap)
    ]


def _starts(length: int, side: int, overlap: float) -> list[int]:
    """Return the evenly spaced starts of tiles along one axis; the last tile ends at the edge."""
    if length <= side:
        return [0]
    count = 1 + ceil((length - side) / max(1.0, side * (1 - overlap)))
    return [round(start) for start in np.linspace(0, length - side, count)]


def merge_tiles(parts: Sequence[tuple[ImageTile, Detections]], size: tuple[int, int]) -> Detections:
    """Merge the detections of all tiles of an image of (width, height), each object once.

    Of boxes of one class that overlap by half, the best stays. A box that its tile cuts off yields
    to any box that contains it, from a neighbour or from the whole image. If an object is larger
    than every overlap and was not found in the whole image, its pieces are joined.
    """
    shifted = [found.shift(tile.left, tile.top) for tile, found in parts]
    joined = concatenate_detections(shifted)
    if len(parts) == 1 or not len(joined):
        return joined
    cut = np.concatenate(
        [
            _touches_tile_edge(each, tile, size)
            for each, (tile, _) in zip(shifted, parts, strict=True)
        ]
    )
    order = np.lexsort((-joined.scores, cut))  # whole ones first, and the best of them
    kept: list[int] = []
    boxes = joined.boxes.copy()
    for row in order.tolist():
        rivals = [k for k in kept if joined.names[k] == joined.names[row]]
        shared = (compute_coverage if cut[row] else compute_ious)(boxes[rivals], boxes[row])
        if not (shared > _SAME_OBJECT_OVERLAP).any():
            kept.append(row)
    return _join_pieces(replace(joined, boxes=boxes), kept, cut)


def _join_pieces(detections: Detections, kept: list[int], cut: FloatArray) -> Detections:
    """Return the kept boxes, with the pieces of one object joined into one box."""
    boxes, gone = detections.boxes.copy(), set[int]()
    pieces = [row for row in kept if cut[row]]
    for place, row in enumerate(pieces):
        for other in pieces[place + 1 :]:
            alike = detections.names[row] == detections.names[other] and other not in gone
            if alike and _is_continuation(boxes[row], boxes[other]):
                boxes[row, :2] = np.minimum(boxes[row, :2], boxes[other, :2])
                boxes[row, 2:] = np.maximum(boxes[row, 2:], boxes[other, 2:])
                gone.add(other)
    rows = [row for row in kept if row not in gone]
    return replace(detections, boxes=boxes).take(
        sorted(rows, key=lambda row: -detections.scores[row])
    )


def _is_continuation(a: FloatArray, b: FloatArray) -> bool:
    """Return whether two boxes are pieces of one object: they overlap almost fully on one axis."""
    shared = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    smaller = np.minimum(a[2:] - a[:2], b[2:] - b[:2])
    return bool((shared > 0).all() and (shared / smaller).max() > 0.8)


def _touches_tile_edge(
    detections: Detections, tile: ImageTile, size: tuple[int, int]
) -> FloatArray:
    """Return 1 for each box (n,) that ends at an edge of its tile inside the image, else 0."""
    width, height = size
    boxes = detections.boxes
    return np.asarray(
        ((tile.left > 0) & (boxes[:, 0] < tile.left + _EDGE))
        | ((tile.top > 0) & (boxes[:, 1] < tile.top + _EDGE))
        | ((tile.right < width) & (boxes[:, 2] > tile.right - _EDGE))
        | ((tile.bottom < height) & (boxes[:, 3] > tile.bottom - _EDGE)),
        np.float64,
    )
