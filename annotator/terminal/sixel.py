"""Sixel: every picture is drawn anew, in a few bands, so that a key never waits behind all."""

from __future__ import annotations

import re
from collections.abc import Iterator
from math import gcd

from PIL import Image

from annotator.terminal.backend import Area, Colour, Part, Payload, Quality
from annotator.terminal.caps import Technique, TerminalCapabilities
from annotator.terminal.fit import pad_image
from annotator.terminal.redrawn import RedrawnBackend, half_pixels

LADDER = (
    Quality("16 colours", 16, 0.27),
    Quality("32 colours", 32, 0.33),
    Quality("64 colours", 64, 0.55),
    Quality("256 colours", 256, 0.86),
)
BANDS = 5
"""xterm keeps 16 graphics: two pictures' bands and some room."""


_HEAD = re.compile(r'\x1bP[0-9;]*q"[0-9;]*')
_COLOUR = re.compile(r"#(\d+);2;\d+;\d+;\d+")


class SixelBackend(RedrawnBackend):
    """The whole area as one picture with margins, so that nothing of the last one stays."""

    technique = Technique.SIXEL

    def __init__(self, caps: TerminalCapabilities, background: Colour = (0, 0, 0)) -> None:
        super().__init__(caps, background)
        self.ladder = tuple(rung for rung in LADDER if rung.colours <= max(16, caps.registers))

    def encode(self, image: Image.Image, area: Area, quality: Quality) -> Payload:
        columns, rows = self._cells(area)
        whole = pad_image(image, (columns * area.cell[0], rows * area.cell[1]), self.background)
        whole = whole.quantize(quality.colours, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
        row, column = (area.rows - rows) // 2, (area.columns - columns) // 2
        parts = tuple(
            Part(_band(whole, top * area.cell[1], bottom * area.cell[1]), row + top, column)
            for top, bottom in _bands(rows, area.cell[1])
        )
        size = sum(len(part.data) for part in parts)
        return Payload(parts, size, picture=half_pixels(image, area, self.background))

    def _cells(self, area: Area) -> tuple[int, int]:
        """Columns and rows that the terminal's largest sixel picture covers."""
        width, height = self._caps.sixel_size
        return (
            max(1, min(area.columns, width // area.cell[0])),
            max(1, min(area.rows, height // area.cell[1])),
        )


def _bands(rows: int, height: int) -> Iterator[tuple[int, int]]:
    """First and last row of each band: whole cells and whole sixels high."""
    unit = 6 // gcd(6, height)
    step = -(-rows // (BANDS * unit)) * unit
    return ((top, min(top + step, rows)) for top in range(0, rows, step))


def _band(image: Image.Image, top: int, bottom: int) -> bytes:
    """Some rows of a picture with a palette, as sixel; what lies below them stays as it is."""
    from textual_image._sixel import image_to_sixels

    text: str = image_to_sixels(image.crop((0, top, image.width, bottom)))
    head = _HEAD.match(text)
    if head is None:
        return text.encode("ascii")
    # Every colour before the first pixel: xterm 379 paints the first sixels in others otherwise.
    colours = "".join(found[0] for found in _COLOUR.finditer(text))
    return (head[0] + colours + _COLOUR.sub(r"#\1", text[head.end() :])).encode("ascii")
