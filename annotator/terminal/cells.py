"""Half cells: two pixels a character, for terminals that know no pictures."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from annotator.terminal.backend import Area, Part, Payload, Quality
from annotator.terminal.caps import Technique
from annotator.terminal.redrawn import UPPER, RedrawnBackend, half_pixels

Colours = Callable[[NDArray[np.uint8]], list[bytes]]
LADDER = (Quality("4 bits a colour", 16, 0.16), Quality("true colour", 0, 0.26))


class HalfCellBackend(RedrawnBackend):
    """Text cells whose upper half is one pixel and whose lower half, the background, another."""

    technique = Technique.HALFCELL
    ladder = LADDER
    composited = True

    def encode(self, image: Image.Image, area: Area, quality: Quality) -> Payload:
        pixels = half_pixels(image, area, self.background)
        if quality.colours:
            pixels = pixels // 16 * 17
        colours = truecolor_codes if self._caps.truecolor else palette_codes
        parts = tuple(Part(row_bytes(pixels, row, colours), row) for row in range(area.rows))
        return Payload(parts, sum(len(part.data) for part in parts), picture=pixels)


def row_bytes(pixels: NDArray[np.uint8], row: int, colours: Colours) -> bytes:
    """One row of half cells with no colour said twice; a cell of one colour is a space."""
    text, fore, back = bytearray(), b"", b""
    above, below = colours(pixels[2 * row]), colours(pixels[2 * row + 1])
    for upper, lower in zip(above, below, strict=True):
        codes = []
        if upper not in (lower, fore):
            codes.append(b"38;" + upper)
            fore = upper
        if lower != back:
            codes.append(b"48;" + lower)
            back = lower
        if codes:
            text += b"\x1b[" + b";".join(codes) + b"m"
        text += b" " if upper == lower else UPPER.encode()
    return bytes(text)


def truecolor_codes(pixels: NDArray[np.uint8]) -> list[bytes]:
    """The colours of a row, for terminals of true colour."""
    return [b"2;%d;%d;%d" % (red, green, blue) for red, green, blue in pixels.tolist()]


def palette_codes(pixels: NDArray[np.uint8]) -> list[bytes]:
    """The nearest of xterm's 216 colours (a cube of the levels 0, 95, 135 ... 255)."""
    levels = np.where(pixels < 48, 0, np.where(pixels < 115, 1, (pixels.astype(int) - 35) // 40))
    return [b"5;%d" % number for number in (16 + levels @ np.array([36, 6, 1])).tolist()]
