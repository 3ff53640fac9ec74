"""What every technique offers to the stage: encode a picture, send it, show it, free it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from annotator.terminal.caps import Technique

Colour = tuple[int, int, int]


class Area(NamedTuple):
    """Where the picture goes: its left upper cell on the screen, its cells, a cell's pixels."""

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
        return self.columns > 0 and self.rows > 0


class Quality(NamedTuple):
    """One rung of a technique's ladder from small to exact."""

    name: str
    colours: int
    """Size of the palette, or JPEG's quality; 0 is every colour."""
    density: float
    """Bytes a pixel of the area, measured with photographs; pictures seen later correct it."""
    shrink: float = 1.0
    """How many times smaller than the area the picture is sent."""


class Part(NamedTuple):
    """A piece of a picture. Other output may go before and after it, never inside."""

    data: bytes
    row: int = 0
    """Row of the area where it starts, for techniques that draw at the cursor."""
    column: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Payload:
    """An encoded picture; each is only itself."""

    parts: tuple[Part, ...]
    size: int
    """Bytes that it costs to send, near enough."""
    level: float = 1.0
    """How many times smaller than the area its canvas is."""
    picture: NDArray[np.uint8] | None = None
    """Its pixels as half cells, (2 rows, columns, 3), where text cells must stand in for it."""


class Cell(NamedTuple):
    """Cells of text that share their colours, as the compositor needs them.

    None leaves a colour alone.
    """

    text: str
    foreground: Colour | None = None
    background: Colour | None = None


class Backend(Protocol):
    """One technique. Methods return bytes for the terminal and touch nothing else."""

    background: Colour
    """Fills the margins beside a picture."""

    @property
    def technique(self) -> Technique: ...

    @property
    def ladder(self) -> tuple[Quality, ...]: ...

    @property
    def slots(self) -> int:
        """How many pictures the terminal keeps; 0 where each is drawn anew."""

    @property
    def composited(self) -> bool:
        """Whether text cells carry the picture, so that overlays cut it as they cut text."""

    @property
    def named(self) -> int:
        """The image that the text cells name; 0 where they name none."""

    def encode(self, image: Image.Image, area: Area, quality: Quality) -> Payload:
        """Encode a picture for the area. Called in a worker thread."""

    def begin(self, area: Area) -> bytes:
        """Prepare an area; frees everything that was sent before."""

    def part(self, slot: int, payload: Payload, index: int, area: Area) -> bytes:
        """The bytes of one part."""

    def may_show(self, slot: int | None, sending: Payload) -> bool:
        """Whether `show` may come between the parts of a picture that is being sent."""

    def abort(self, slot: int, payload: Payload) -> bytes:
        """End a picture of which only some parts were sent."""

    def show(self, slot: int | None, area: Area, *, cells: bool = True) -> bytes:
        """Show what a slot holds; None shows nothing. `cells=False` leaves text cells alone."""

    def end(self) -> bytes:
        """Free everything in the terminal."""

    def line(self, row: int, area: Area, payload: Payload | None) -> list[Cell]:
        """One row of the area for the compositor; with a payload, the picture as half cells."""


def cursor_to(area: Area, row: int = 0, column: int = 0) -> bytes:
    """Put the cursor on a cell of the area."""
    return b"\x1b[%d;%dH" % (area.row + row + 1, area.column + column + 1)


def keep_cursor(data: bytes) -> bytes:
    """`data` with the cursor and its colours as they were before."""
    return b"\x1b7" + data + b"\x1b8"


def synchronize_update(data: bytes, sync: bool) -> bytes:
    """One update of the screen, where the terminal can hold its drawing back."""
    return b"\x1b[?2026h" + data + b"\x1b[?2026l" if sync else data
