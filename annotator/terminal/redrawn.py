"""Techniques whose pictures the terminal does not keep: half cells, sixel, iTerm2's images."""

from __future__ import annotations

import io
import re
from base64 import standard_b64encode
from collections.abc import Callable, Iterator, Sequence
from math import ceil, gcd

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
    """A technique that draws a picture over blank cells, part by part, at the cursor."""

    technique = Technique.NONE
    ladder: tuple[Quality, ...] = (Quality("none", 0, 0.0),)
    slots = 0
    named = 0
    composited = False
    clears_screen = False

    def __init__(self, caps: TerminalCapabilities, background: Colour = (0, 0, 0)) -> None:
        self._caps = caps
        self.background = background

    def begin(self, area: Area) -> bytes:
        """Prepare nothing: the terminal keeps no pictures."""
        return b""

    def end(self) -> bytes:
        """Free nothing: the terminal keeps no pictures."""
        return b""

    def may_show(self, slot: int | None, sending: Payload) -> bool:
        """Return whether `show` may come between parts: always."""
        return True

    def abort(self, slot: int, payload: Payload) -> bytes:
        """End nothing: each part is complete."""
        return b""

    def slot_of(self, image: int) -> int | None:
        """Return None: the terminal keeps no pictures."""
        return None

    def note_overwritten(self) -> None:
        """Note that text was written over the area: no picture is kept that could be lost."""

    def freed_by(self, slot: int | None) -> Sequence[int]:
        """Return no slots: the terminal keeps no pictures."""
        return ()

    def part(self, slot: int, payload: Payload, index: int, area: Area) -> bytes:
        """Return the bytes that draw one part."""
        part = payload.parts[index]
        return synchronize_update(
            keep_cursor(cursor_to(area, part.row, part.column) + part.data), self._caps.sync
        )

    def show(self, slot: int | None, area: Area, *, cells: bool = True) -> bytes:
        """Erase every cell of the area in the background's colour."""
        if not cells:
            return b""
        colour = b"\x1b[48;2;%d;%d;%dm" % self.background
        blank = b"\x1b[%dX" % area.columns
        return keep_cursor(
            colour + b"".join(cursor_to(area, row) + blank for row in range(area.rows))
        )

    def row_cells(self, row: int, area: Area, payload: Payload | None) -> list[Cell]:
        """Return a row of half cells, or blank cells."""
        return half_line(row, area, payload) or [Cell(" " * area.columns, None, self.background)]


class NoPictureBackend(RedrawnBackend):
    """The technique without pictures: names and boxes in words remain."""

    composited = True

    def encode(self, image: Image.Image, area: Area, quality: Quality) -> Payload:
        """Return an empty payload."""
        return Payload((Part(b""),), 0)

    def part(self, slot: int, payload: Payload, index: int, area: Area) -> bytes:
        """Return no bytes."""
        return b""

    def show(self, slot: int | None, area: Area, *, cells: bool = True) -> bytes:
        """Return no bytes."""
        return b""


def half_pixels(image: Image.Image, area: Area, background: Colour) -> NDArray[np.uint8]:
    """Return the picture as half cells, (2 rows, columns, 3), in its true proportions."""
    small = pad_image(image, area.size, background)
    small = small.resize((area.columns, 2 * area.rows), Image.Resampling.BOX)
    return np.asarray(small, dtype=np.uint8)


def half_line(row: int, area: Area, payload: Payload | None) -> list[Cell]:
    """Return a row of half cells; an empty list if the payload has none of this area."""
    pixels = None if payload is None else payload.picture
    if pixels is None or pixels.shape != (2 * area.rows, area.columns, 3):
        return []
    upper, lower = pixels[2 * row].tolist(), pixels[2 * row + 1].tolist()
    return [Cell(UPPER, tuple(a), tuple(b)) for a, b in zip(upper, lower, strict=True)]


Colours = Callable[[NDArray[np.uint8]], list[bytes]]
HALF_CELL_LADDER = (Quality("4 bits a colour", 16, 0.16), Quality("true colour", 0, 0.26))


class HalfCellBackend(RedrawnBackend):
    """Text cells whose upper half is one pixel and whose lower half, the background, another."""

    technique = Technique.HALFCELL
    ladder = HALF_CELL_LADDER
    composited = True

    def encode(self, image: Image.Image, area: Area, quality: Quality) -> Payload:
        """Encode a picture as one part for each row of half cells."""
        pixels = half_pixels(image, area, self.background)
        if quality.colours:
            pixels = pixels // 16 * 17
        colours = truecolor_codes if self._caps.truecolor else palette_codes
        parts = tuple(Part(row_bytes(pixels, row, colours), row) for row in range(area.rows))
        return Payload(parts, sum(len(part.data) for part in parts), picture=pixels)


def row_bytes(pixels: NDArray[np.uint8], row: int, colours: Colours) -> bytes:
    """Return a row of half cells that sets no colour twice; a cell of one colour is a space."""
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
    """Return the colour codes of a row, for terminals with true colour."""
    return [b"2;%d;%d;%d" % (red, green, blue) for red, green, blue in pixels.tolist()]


def palette_codes(pixels: NDArray[np.uint8]) -> list[bytes]:
    """Return the nearest of xterm's 216 colours (a cube of the levels 0, 95, 135 ... 255)."""
    levels = np.where(pixels < 48, 0, np.where(pixels < 115, 1, (pixels.astype(int) - 35) // 40))
    return [b"5;%d" % number for number in (16 + levels @ np.array([36, 6, 1])).tolist()]


SIXEL_LADDER = (
    Quality("16 colours", 16, 0.27),
    Quality("32 colours", 32, 0.33),
    Quality("64 colours", 64, 0.55),
    Quality("256 colours", 256, 0.86),
)
BANDS = 5
"""Number of bands of a picture: xterm keeps 16 graphics, enough for two pictures' bands."""


_SIXEL_HEAD = re.compile(r'\x1bP[0-9;]*q"[0-9;]*')
_SIXEL_COLOUR = re.compile(r"#(\d+);2;\d+;\d+;\d+")


class SixelBackend(RedrawnBackend):
    """The whole area as one picture with margins, so that nothing of the last one stays.

    It is drawn in a few bands, so that a key never waits behind all of them.
    """

    technique = Technique.SIXEL

    def __init__(self, caps: TerminalCapabilities, background: Colour = (0, 0, 0)) -> None:
        super().__init__(caps, background)
        self.ladder = tuple(
            rung for rung in SIXEL_LADDER if rung.colours <= max(16, caps.registers)
        )

    def encode(self, image: Image.Image, area: Area, quality: Quality) -> Payload:
        """Encode a picture as bands of sixels."""
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
        """Return the columns and rows that the terminal's largest sixel picture covers."""
        width, height = self._caps.sixel_size
        return (
            max(1, min(area.columns, width // area.cell[0])),
            max(1, min(area.rows, height // area.cell[1])),
        )


def _bands(rows: int, height: int) -> Iterator[tuple[int, int]]:
    """Return first and last row of each band: whole cells and whole sixels high."""
    unit = 6 // gcd(6, height)
    step = -(-rows // (BANDS * unit)) * unit
    return ((top, min(top + step, rows)) for top in range(0, rows, step))


def _band(image: Image.Image, top: int, bottom: int) -> bytes:
    """Return some rows of a palette picture as sixels; the rows below them are not touched."""
    from textual_image._sixel import image_to_sixels

    text: str = image_to_sixels(image.crop((0, top, image.width, bottom)))
    head = _SIXEL_HEAD.match(text)
    if head is None:
        return text.encode("ascii")
    # All colours before the first pixel: else xterm 379 paints the first sixels in others.
    colours = "".join(found[0] for found in _SIXEL_COLOUR.finditer(text))
    return (head[0] + colours + _SIXEL_COLOUR.sub(r"#\1", text[head.end() :])).encode("ascii")


ITERM_LADDER = (
    Quality("JPEG 60, half size", 60, 0.05, 2),
    Quality("JPEG 80", 80, 0.21),
    Quality("true colour", 0, 2.0),
)


class ItermBackend(RedrawnBackend):
    """iTerm2's inline image with margins for the whole area; the terminal scales it.

    Protocol: https://iterm2.com/documentation-images.html.
    """

    technique = Technique.ITERM
    ladder = ITERM_LADDER

    def encode(self, image: Image.Image, area: Area, quality: Quality) -> Payload:
        """Encode a picture as JPEG, or as PNG for the exact quality."""
        size = ceil(area.size[0] / quality.shrink), ceil(area.size[1] / quality.shrink)
        whole = pad_image(image, size, self.background)
        buffer = io.BytesIO()
        if quality.colours:
            whole.save(buffer, "JPEG", quality=quality.colours)
        else:
            whole.save(buffer, "PNG", compress_level=1)
        data = buffer.getvalue()
        head = b"\x1b]1337;File=inline=1;size=%d;width=%d;height=%d;preserveAspectRatio=0:"
        text = head % (len(data), area.columns, area.rows) + standard_b64encode(data) + b"\x07"
        return Payload((Part(text),), len(text), picture=half_pixels(image, area, self.background))


_MOVE = re.compile(r"\x1b\[(\d+);(\d+)H")
_CONTROL = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|[()].|[78=>])|[\x00-\x1f]")


def overpaints_area(text: str, area: Area) -> bool:
    """Return whether output of a full-screen program writes into the area.

    Such a program moves the cursor (CUP) before each piece of text on a row. Text before the first
    move is ignored; in a piece that is not ASCII each character counts as two cells.
    """
    if not area.usable:
        return False
    moves = list(_MOVE.finditer(text))
    ends = [*(move.start() for move in moves[1:]), len(text)]
    for move, end in zip(moves, ends, strict=False):
        row, column = int(move[1]) - 1, int(move[2]) - 1
        if not area.row <= row < area.row + area.rows or column >= area.column + area.columns:
            continue
        written = _CONTROL.sub("", text[move.end() : end])
        width = len(written) if written.isascii() else 2 * len(written)
        if written and column + width > area.column:
            return True
    return "\x1b[2J" in text
