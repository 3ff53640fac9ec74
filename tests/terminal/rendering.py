"""The picture on the screen of the terminal in memory, as pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests.terminal.kitty_store import StoredImage
from tests.terminal.picture_decoders import marks

if TYPE_CHECKING:
    from tests.terminal.memory_terminal import Cell, Screen

PLACEHOLDER = "\U0010eeee"
Pixels = NDArray[np.uint8]
Place = tuple[int, int, int]
"""Image, row and column that a placeholder cell stands for."""


def render(screen: Screen, box: tuple[int, int, int, int]) -> Pixels:
    """The cells (column, row, columns, rows) of a screen as RGB."""
    left, top, columns, rows = box
    width, height = screen.cell
    whole = np.zeros((rows * height, columns * width, 3), np.uint8)
    scaled: dict[int, Pixels] = {}
    for y in range(rows):
        before = None
        for x in range(left):
            before = _place(screen, x, top + y, before)
        for x in range(columns):
            before = _place(screen, left + x, top + y, before)
            part = whole[y * height : (y + 1) * height, x * width : (x + 1) * width]
            part[:] = _cell(screen, screen.cells[top + y][left + x], before, scaled)
    drawn = screen.drawn[top * height :, left * width :][: rows * height, : columns * width]
    whole[drawn[..., 3] > 0] = drawn[drawn[..., 3] > 0][:, :3]
    for stored in screen.images.values():
        _paste_placed(whole, stored, (left, top), screen.cell)
    return whole


def _place(screen: Screen, x: int, y: int, before: Place | None) -> Place | None:
    cell = screen.cells[y][x]
    if not cell.text.startswith(PLACEHOLDER) or not screen.knows_placeholders:
        return None
    red, green, blue = cell.foreground
    number = red << 16 | green << 8 | blue
    told = marks(cell.text[1:])
    if screen.traits.third_mark and len(told) < 3:
        return None
    if len(told) >= 2:
        return number, told[0], told[1]
    if before is not None and before[0] == number:
        return number, before[1], before[2] + 1
    return None


def _cell(screen: Screen, cell: Cell, place: Place | None, scaled: dict[int, Pixels]) -> Pixels:
    width, height = screen.cell
    block = np.empty((height, width, 3), np.uint8)
    block[:] = cell.background
    if cell.text == "▀":
        block[: height // 2] = cell.foreground
    stored = screen.images.get(place[0]) if place else None
    if stored is None or stored.cells is None or place is None:
        return block
    if place[0] not in scaled:
        size = stored.cells[0] * width, stored.cells[1] * height
        scaled[place[0]] = np.asarray(_scaled(stored.frames[stored.current], size))
    top, left = place[1] * height, place[2] * width
    part = scaled[place[0]][top : top + height, left : left + width]
    if part.shape[:2] == (height, width):
        seen = part[..., 3] > 127
        block[seen] = part[seen][:, :3]
    return block


def _paste_placed(
    whole: Pixels, stored: StoredImage, corner: tuple[int, int], cell: tuple[int, int]
) -> None:
    for column, row, columns, rows in stored.placed.values():
        size = columns * cell[0], rows * cell[1]
        image = np.asarray(_scaled(stored.frames[0], size))
        y, x = (row - corner[1]) * cell[1], (column - corner[0]) * cell[0]
        place = whole[max(y, 0) : y + size[1], max(x, 0) : x + size[0]]
        image = image[max(-y, 0) :, max(-x, 0) :]
        part = image[: place.shape[0], : place.shape[1]]
        place[part[..., 3] > 127] = part[part[..., 3] > 127][:, :3]


def _scaled(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    return image.convert("RGBA").resize(size, Image.Resampling.BILINEAR)
