"""Backends for a page of pictures: text between pictures, and a window for each of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from PIL import Image

from annotator.terminal.backend import (
    Area,
    Backend,
    Cell,
    Colour,
    Payload,
    Quality,
    cursor_to,
    keep_cursor,
    synchronize_update,
)
from annotator.terminal.caps import Technique, TerminalCapabilities
from annotator.terminal.kitty import PLACEHOLDER, ClassicBackend


class TextRun(NamedTuple):
    """Text on one row of the area."""

    row: int
    column: int
    text: str
    """Narrow characters only: one cell each."""
    foreground: Colour
    background: Colour
    bare: bool = False
    """True for one cell that held text and shows the picture again.

    kitty draws each run of cells by itself: blanks between pictures would make ten times as many.
    """


TextOfRows = Callable[[int, int], list[TextRun]]
"""A function that returns the text on the rows from the first to before the second."""


def write_runs(runs: list[TextRun], area: Area) -> bytes:
    """Return the bytes that write `runs`, with the cursor as it was before."""
    pieces, colours = [], None
    for run in runs:
        if (run.foreground, run.background) != colours:
            colours = run.foreground, run.background
            numbers = *run.foreground, *run.background
            pieces.append(b"\x1b[0;38;2;%d;%d;%d;48;2;%d;%d;%dm" % numbers)
        pieces.append(cursor_to(area, run.row, run.column) + run.text.encode())
    return keep_cursor(b"".join(pieces)) if pieces else b""


class TextOverlay:
    """Another backend with `letters` on it: a drawing of the whole area rewrites all of them."""

    def __init__(self, backend: Backend, letters: TextOfRows, sync: bool = False) -> None:
        self._backend, self._letters, self._sync = backend, letters, sync

    @property
    def background(self) -> Colour:
        """The colour of the margins beside a picture."""
        return self._backend.background

    @background.setter
    def background(self, colour: Colour) -> None:
        self._backend.background = colour

    @property
    def technique(self) -> Technique:
        """The technique's name."""
        return self._backend.technique

    @property
    def ladder(self) -> tuple[Quality, ...]:
        """The qualities, from small to exact."""
        return self._backend.ladder

    @property
    def slots(self) -> int:
        """The number of pictures that the terminal keeps."""
        return self._backend.slots

    @property
    def composited(self) -> bool:
        """True if text cells carry the picture."""
        return self._backend.composited

    @property
    def named(self) -> int:
        """The image id that the text cells name; 0 if they name none."""
        return self._backend.named

    @property
    def clears_screen(self) -> bool:
        """True if `begin` in another place clears the screen."""
        return self._backend.clears_screen

    def slot_of(self, image: int) -> int | None:
        """Return the slot whose picture has the id `image` in the terminal; None if none has."""
        return self._backend.slot_of(image)

    def note_overwritten(self) -> None:
        """Note that text was written over the area."""
        self._backend.note_overwritten()

    def freed_by(self, slot: int | None) -> Sequence[int]:
        """Return the slots whose pictures the terminal loses if `slot` is shown now."""
        return self._backend.freed_by(slot)

    def encode(self, image: Image.Image, area: Area, quality: Quality) -> Payload:
        """Encode a picture for the area."""
        return self._backend.encode(image, area, quality)

    def begin(self, area: Area) -> bytes:
        """Prepare an area."""
        return self._backend.begin(area)

    def part(self, slot: int, payload: Payload, index: int, area: Area) -> bytes:
        """Return the bytes of one part, and the text on the rows that it draws over."""
        data = self._backend.part(slot, payload, index, area)
        if self._backend.slots:
            return data
        rows = [part.row for part in payload.parts] + [area.rows]
        letters = self._letters(rows[index], rows[index + 1])
        return synchronize_update(data + self.written(letters, area), self._sync)

    def may_show(self, slot: int | None, sending: Payload) -> bool:
        """Return whether `show` may come between the parts of a picture that is being sent."""
        return self._backend.may_show(slot, sending)

    def abort(self, slot: int, payload: Payload) -> bytes:
        """End a picture whose parts were sent only in part."""
        return self._backend.abort(slot, payload)

    def show(self, slot: int | None, area: Area, *, cells: bool = True) -> bytes:
        """Show a slot's picture, then all text."""
        data = self._backend.show(slot, area, cells=cells)
        if not cells:
            return data
        return synchronize_update(
            data + self.written(self._letters(0, area.rows), area), self._sync
        )

    def written(self, runs: list[TextRun], area: Area) -> bytes:
        """Return the bytes that write `runs` into the area."""
        bare = [self._own(run.row, run.column, area) or run for run in runs if run.bare]
        text = [run for run in runs if not run.bare]
        return write_runs([*bare, *text, *self._resumed(text, area)], area)

    def _own(self, row: int, column: int, area: Area) -> TextRun | None:
        """Return the picture's own cell, if cells name their place in it."""
        if not self._backend.named or column >= area.columns:
            return None
        cell = self._backend.row_cells(row, area, None)[0]
        marks = cell.text.split(PLACEHOLDER)[1:]
        if column >= len(marks) or cell.foreground is None:
            return None
        text = PLACEHOLDER + marks[column]
        return TextRun(row, column, text, cell.foreground, cell.background or self.background)

    def _resumed(self, runs: list[TextRun], area: Area) -> list[TextRun]:
        """Return the picture's cell after each piece of text, if cells name their place in it.

        A cell that does not name its place continues the one before it, which now is text.
        """
        if not self._backend.named:
            return []
        taken = {(run.row, run.column + x) for run in runs for x in range(len(run.text))}
        ends = [(run.row, run.column + len(run.text)) for run in runs]
        cells = [self._own(*end, area) for end in ends if end not in taken]
        return [cell for cell in cells if cell is not None]

    def end(self) -> bytes:
        """Free everything in the terminal."""
        return self._backend.end()

    def row_cells(self, row: int, area: Area, payload: Payload | None) -> list[Cell]:
        """Return a row of the area for the compositor."""
        return self._backend.row_cells(row, area, payload)


Window = tuple[int, int, int, int]
Windows = Callable[[], Sequence[Window]]
"""A function that returns column, row, columns and rows of each visible part of the picture."""


class TiledBackend(ClassicBackend):
    """Classic placements, one for each of a page's `windows`, so that no text lies under one.

    Without windows the page is placed as a whole.
    """

    def __init__(self, caps: TerminalCapabilities, background: Colour, windows: Windows) -> None:
        super().__init__(caps, background)
        self._windows = windows
        self._levels: dict[int, float] = {}

    def part(self, slot: int, payload: Payload, index: int, area: Area) -> bytes:
        """Return the command that sends one part."""
        self._levels[slot] = payload.level
        return super().part(slot, payload, index, area)

    def show(self, slot: int | None, area: Area, *, cells: bool = True) -> bytes:
        """Place a slot's picture in all windows."""
        windows = self._windows()
        if slot is None or not windows:
            return super().show(slot, area, cells=cells)
        before, self._shown = self._shown, self._id(slot)
        removed = self._send(f"a=d,d=i,i={before},q=2") if before not in (0, self._shown) else b""
        placed = self._place(slot, windows, area)
        return synchronize_update(keep_cursor(placed) + removed, self._sync)

    def _place(self, slot: int, windows: Sequence[Window], area: Area) -> bytes:
        """Return the commands that place a slot's picture in the windows."""
        across, down = (size / self._levels[slot] for size in area.cell)
        placed = []
        for number, (column, row, columns, rows) in enumerate(windows, 1):
            part = (
                f"x={round(column * across)},y={round(row * down)},"
                f"w={round(columns * across)},h={round(rows * down)}"
            )
            keys = f"a=p,i={self._shown},p={number},{part},c={columns},r={rows},C=1,{self.quiet}"
            placed.append(cursor_to(area, row, column) + self._send(keys))
        return b"".join(placed)
