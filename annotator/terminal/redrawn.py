"""What the techniques share whose pictures the terminal does not keep: each is drawn anew."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from annotator.terminal.backend import (
    Area,
    Cell,
    Colour,
    Part,
    Payload,
    Quality,
    cursor_to,
    keep_cursor,
    synchronize_update,
)
from annotator.terminal.caps import Technique, TerminalCapabilities
from annotator.terminal.fit import pad_image

UPPER = "▀"


class RedrawnBackend:
    """A picture is drawn over blank cells, part by part, at the cursor."""

    technique = Technique.NONE
    ladder: tuple[Quality, ...] = (Quality("none", 0, 0.0),)
    slots = 0
    named = 0
    composited = False

    def __init__(self, caps: TerminalCapabilities, background: Colour = (0, 0, 0)) -> None:
        self._caps = caps
        self.background = background

    def begin(self, area: Area) -> bytes:
        return b""

    def end(self) -> bytes:
        return b""

    def may_show(self, slot: int | None, sending: Payload) -> bool:
        return True

    def abort(self, slot: int, payload: Payload) -> bytes:
        return b""

    def part(self, slot: int, payload: Payload, index: int, area: Area) -> bytes:
        part = payload.parts[index]
        return synchronize_update(
            keep_cursor(cursor_to(area, part.row, part.column) + part.data), self._caps.sync
        )

    def show(self, slot: int | None, area: Area, *, cells: bool = True) -> bytes:
        """Every cell of the area erased in the background's colour."""
        if not cells:
            return b""
        colour = b"\x1b[48;2;%d;%d;%dm" % self.background
        blank = b"\x1b[%dX" % area.columns
        return keep_cursor(
            colour + b"".join(cursor_to(area, row) + blank for row in range(area.rows))
        )

    def line(self, row: int, area: Area, payload: Payload | None) -> list[Cell]:
        return half_line(row, area, payload) or [Cell(" " * area.columns, None, self.background)]


class NoPictureBackend(RedrawnBackend):
    """No picture at all: names and boxes in words remain."""

    composited = True

    def encode(self, image: Image.Image, area: Area, quality: Quality) -> Payload:
        return Payload((Part(b""),), 0)

    def part(self, slot: int, payload: Payload, index: int, area: Area) -> bytes:
        return b""

    def show(self, slot: int | None, area: Area, *, cells: bool = True) -> bytes:
        return b""


def half_pixels(image: Image.Image, area: Area, background: Colour) -> NDArray[np.uint8]:
    """The area in half cells: (2 rows, columns, 3). The shape of a cell's pixels is minded."""
    small = pad_image(image, area.size, background)
    small = small.resize((area.columns, 2 * area.rows), Image.Resampling.BOX)
    return np.asarray(small, dtype=np.uint8)


def half_line(row: int, area: Area, payload: Payload | None) -> list[Cell]:
    """One row of half cells; nothing where the payload has none of this area."""
    pixels = None if payload is None else payload.picture
    if pixels is None or pixels.shape != (2 * area.rows, area.columns, 3):
        return []
    upper, lower = pixels[2 * row].tolist(), pixels[2 * row + 1].tolist()
    return [Cell(UPPER, tuple(a), tuple(b)) for a, b in zip(upper, lower, strict=True)]
