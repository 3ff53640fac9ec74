"""A picture of points in the plane: a grid of dots, each in the colour of most of its points.

A grid has far fewer colours and edges than single points, so the picture of a million points is as
small as that of a thousand.
"""

from __future__ import annotations

import colorsys
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Colour = tuple[int, int, int]
Region = tuple[float, float, float, float]
"""Left, top, right and bottom of a part of the plane."""

_DOTS = (3, 12)
"""The least and the largest side of a dot in pixels, with the gap to the next."""
_ROOM = 8
"""Dots that a picture has room for, for each point: fewer points are larger dots."""
_MOST_DOTS = 50_000
"""The largest room: a picture of more dots is too large for a slow line."""
WHOLE: Region = (0.0, 0.0, 1.0, 1.0)
OPEN: Colour = (84, 90, 102)
_CLASSES: tuple[Colour, ...] = (
    (230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (0, 114, 178), (213, 94, 0),
    (204, 121, 167),
)  # fmt: skip
"""The colours of Okabe and Ito (2008), which the common colour blindnesses tell apart."""
_DOUBT: tuple[Colour, ...] = (
    (50, 62, 96), (92, 98, 110), (140, 134, 118), (200, 182, 96), (253, 231, 37),
)  # fmt: skip
"""From sure to unsure, brighter at each step: steps of cividis (Nuñez and others, 2018)."""


def points_inside(points: NDArray[np.float32], region: Region) -> NDArray[np.bool_]:
    """Return (n,) True for the points (n, 2) inside a region; its edges belong to it."""
    left, top, right, bottom = region
    x, y = points[:, 0], points[:, 1]
    return np.asarray((x >= left) & (x <= right) & (y >= top) & (y <= bottom))


def draw_points(
    points: NDArray[np.float32],
    groups: NDArray[np.int64],
    colours: Sequence[Colour],
    size: tuple[int, int],
    *,
    background: Colour = (16, 18, 22),
    view: Region = WHOLE,
    frame: Region | None = None,
    frame_colour: Colour = (255, 255, 255),
) -> Image.Image:
    """Return an image of `size` of the points (n, 2) inside `view`.

    `groups` (n,) numbers a point's colour. A dot shows the highest group of its points that makes
    up at least a third of them: later groups stand out. `frame` is drawn as a rectangle.
    """
    shown = np.flatnonzero(points_inside(points, view))
    room = min(_ROOM * max(1, len(shown)), _MOST_DOTS)
    wanted = math.ceil(math.sqrt(size[0] * size[1] / room))
    dot = min(max(wanted, _DOTS[0]), _DOTS[1], *size)
    columns, rows = size[0] // dot, size[1] // dot
    unit = (points[shown] - view[:2]) / (np.subtract(view[2:], view[:2]))
    place = (np.minimum(unit, 0.999999) * (columns, rows)).astype(np.int64)
    cells = _dominant(
        place[:, 1] * columns + place[:, 0], groups[shown], columns * rows, len(colours)
    )
    palette = np.array([background, *colours], np.uint8)
    grid = palette[cells + 1].reshape(rows, columns, 3)
    canvas = np.empty((rows * dot, columns * dot, 3), np.uint8)
    canvas[:] = background
    gap = int(dot > 2)
    for y in range(dot - gap):
        for x in range(dot - gap):
            canvas[y::dot, x::dot] = grid
    picture = Image.new("RGB", size, background)
    picture.paste(Image.fromarray(canvas), (0, 0))
    if frame is not None:
        _draw_frame(picture, frame, view, frame_colour)
    return picture


def _dominant(
    cells: NDArray[np.int64], groups: NDArray[np.int64], count: int, kinds: int
) -> NDArray[np.int64]:
    """Return (count,) the group that a cell shows, -1 for a cell without points."""
    totals = np.bincount(cells, minlength=count)
    found = np.full(count, -1, np.int64)
    for group in range(kinds):
        here = np.bincount(cells[groups == group], minlength=count)
        found[(here > 0) & (here * 3 >= totals)] = group
    rest = (found < 0) & (totals > 0)  # many groups, none of them with a third
    if rest.any():
        shown = rest[cells]
        found[cells[shown]] = groups[shown]
    return found


def _draw_frame(picture: Image.Image, frame: Region, view: Region, colour: Colour) -> None:
    width, height = picture.size
    scale = np.array([width, height]) / np.subtract(view[2:], view[:2])
    (left, top), (right, bottom) = (np.reshape(frame, (2, 2)) - view[:2]) * scale
    box = (
        int(left),
        int(top),
        max(int(left) + 3, int(right) - 1),
        max(int(top) + 3, int(bottom) - 1),
    )
    ImageDraw.Draw(picture).rectangle(box, outline=colour, width=2)


def group_colours(count: int, *, graded: bool = False) -> tuple[Colour, ...]:
    """Return the colours of `count` groups: grey and one for each class, or with `graded` steps."""
    if graded:
        return _DOUBT
    return (OPEN, *(_class_colour(place) for place in range(count - 1)))


def _class_colour(place: int) -> Colour:
    """Return the colour of a class; beyond the fixed ones, hues by the golden ratio."""
    if place < len(_CLASSES):
        return _CLASSES[place]
    red, green, blue = colorsys.hsv_to_rgb(place * 0.618034 % 1, 0.45 + 0.4 * (place % 2), 0.95)
    return int(red * 255), int(green * 255), int(blue * 255)
