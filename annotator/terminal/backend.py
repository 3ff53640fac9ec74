"""The interface of every technique: encode a picture, send it, show it, free it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from annotator.terminal.caps import Technique

Colour = tuple[int, int, int]


class Area(NamedTuple):
    """The place of the picture: its upper left cell on the screen, its cells, a cell's pixels."""

    column: int
    row: int
    columns: int
    rows: int
    cell: tuple[int, int]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.columns * self.cell[0], self.rows * self.cell[1]

    @property
    def usable(self) -> bool:
        """True if the area has at least one cell."""
        return self.columns > 0 and self.rows > 0


class Quality(NamedTuple):
    """A rung of a technique's ladder from small to exact."""

    name: str
    colours: int
    """Size of the palette, or JPEG's quality; 0 is every colour."""
    density: float
    """Bytes per pixel of the area, measured with photographs; pictures seen later correct it."""
    shrink: float = 1.0
    """The factor by which the picture that is sent is smaller than the area."""


class Part(NamedTuple):
    """A piece of a picture. Other output may go before and after it, never inside."""

    data: bytes
    row: int = 0
    """Row of the area where the part starts, for techniques that draw at the cursor."""
    column: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Payload:
    """An encoded picture. Two of them are equal only if they are the same object."""

    parts: tuple[Part, ...]
    size: int
    """Bytes that the terminal is sent, approximately."""
    level: float = 1.0
    """The factor by which the canvas is smaller than the area."""
    picture: NDArray[np.uint8] | None = None
    """The pixels as half cells, (2 rows, columns, 3), if text cells may replace it."""


class Cell(NamedTuple):
    """Cells of text with the same colours, for the compositor. None leaves a colour as it is."""

    text: str
    foreground: Colour | None = None
    background: Colour | None = None


class Backend(Protocol):
    """A technique. Its methods return bytes for the terminal and change nothing else."""

    background: Colour
    """The colour of the margins beside a picture."""

    @property
    def technique(self) -> Technique:
        """The technique's name."""

    @property
    def ladder(self) -> tuple[Quality, ...]:
        """The qualities, from small to exact."""

    @property
    def slots(self) -> int:
        """The number of pictures that the terminal keeps; 0 if each is drawn anew."""

    @property
    def composited(self) -> bool:
        """True if text cells carry the picture, so that overlays cut it as they cut text."""

    @property
    def named(self) -> int:
        """The image id that the text cells name; 0 if they name none."""

    @property
    def clears_screen(self) -> bool:
        """True if `begin` in another place clears the screen, which is to be painted again."""

    def slot_of(self, image: int) -> int | None:
        """Return the slot whose picture has the id `image` in the terminal; None if none has."""

    def note_overwritten(self) -> None:
        """Note that text was written over the area."""

    def freed_by(self, slot: int | None) -> Sequence[int]:
        """Return the slots whose pictures the terminal loses if `slot` is shown now."""

    def encode(self, image: Image.Image, area: Area, quality: Quality) -> Payload:
        """Encode a picture for the area. Called in a worker thread."""

    def begin(self, area: Area) -> bytes:
        """Prepare an area; frees everything that was sent before."""

    def part(self, slot: int, payload: Payload, index: int, area: Area) -> bytes:
        """Return the bytes that send or draw one part."""

    def may_show(self, slot: int | None, sending: Payload) -> bool:
        """Return whether `show` may come between the parts of a picture that is being sent."""

    def abort(self, slot: int, payload: Payload) -> bytes:
        """End a picture whose parts were sent only in part."""

    def show(self, slot: int | None, area: Area, *, cells: bool = True) -> bytes:
        """Show what a slot holds; None shows nothing. `cells=False` leaves text cells alone."""

    def end(self) -> bytes:
        """Free everything in the terminal."""

    def row_cells(self, row: int, area: Area, payload: Payload | None) -> list[Cell]:
        """Return a row of the area for the compositor; with a payload, as half cells."""


def cursor_to(area: Area, row: int = 0, column: int = 0) -> bytes:
    """Put the cursor on a cell of the area."""
    return b"\x1b[%d;%dH" % (area.row + row + 1, area.column + column + 1)


def keep_cursor(data: bytes) -> bytes:
    """Return `data` between codes that save and restore the cursor and its colours."""
    return b"\x1b7" + data + b"\x1b8"


def synchronize_update(data: bytes, sync: bool) -> bytes:
    """Return `data` as one update of the screen, if the terminal can delay its drawing."""
    return b"\x1b[?2026h" + data + b"\x1b[?2026l" if sync else data
