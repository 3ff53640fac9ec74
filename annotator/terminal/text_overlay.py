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
from annotator.terminal.kitty import ClassicBackend


class TextRun(NamedTuple):
    """Text on one row of the area."""

    row: int
    column: int
    text: str
    """Narrow characters only: one cell each."""
    foreground: Colour
    background: Colour
    bare: bool = False
    """One cell where text was and the picture is to be again. kitty draws each run of cells by
    itself: blanks between pictures would make ten times as many of them."""


TextOfRows = Callable[[int, int], list[TextRun]]
"""The text that belongs on the rows from the first to before the second."""


def write_runs(runs: list[TextRun], area: Area) -> bytes:
    """The bytes that write `runs` where they belong, with the cursor as it was before."""
    pieces, colours = [], None
    for run in runs:
        if (run.foreground, run.background) != colours:
            colours = run.foreground, run.background
            numbers = *run.foreground, *run.background
            pieces.append(b"\x1b[0;38;2;%d;%d;%d;48;2;%d;%d;%dm" % numbers)
        pieces.append(cursor_to(area, run.row, run.column) + run.text.encode())
    return keep_cursor(b"".join(pieces)) if pieces else b""


class TextOverlay:
    """`backend`, with `letters` on it. A drawing of the whole area is followed by all of them."""

    def __init__(self, backend: Backend, letters: TextOfRows, sync: bool = False) -> None:
        self._backend, self._letters, self._sync = backend, letters, sync

    @property
    def background(self) -> Colour:
        return self._backend.background

    @background.setter
    def background(self, colour: Colour) -> None:
        self._backend.background = colour

    @property
    def technique(self) -> Technique:
        return self._backend.technique

    @property
    def ladder(self) -> tuple[Quality, ...]:
        return self._backend.ladder

    @property
    def slots(self) -> int:
        return self._backend.slots

    @property
    def composited(self) -> bool:
        return self._backend.composited

    @property
    def named(self) -> int:
        return self._backend.named

    def encode(self, image: Image.Image, area: Area, quality: Quality) -> Payload:
        return self._backend.encode(image, area, quality)

    def begin(self, area: Area) -> bytes:
        return self._backend.begin(area)

    def part(self, slot: int, payload: Payload, index: int, area: Area) -> bytes:
        data = self._backend.part(slot, payload, index, area)
        if self._backend.slots:
            return data
        rows = [part.row for part in payload.parts] + [area.rows]
        letters = self._letters(rows[index], rows[index + 1])
        return synchronize_update(data + self.written(letters, area), self._sync)

    def may_show(self, slot: int | None, sending: Payload) -> bool:
        return self._backend.may_show(slot, sending)

    def abort(self, slot: int, payload: Payload) -> bytes:
        return self._backend.abort(slot, payload)

    def show(self, slot: int | None, area: Area, *, cells: bool = True) -> bytes:
        data = self._backend.show(slot, area, cells=cells)
        if not cells:
            return data
        return synchronize_update(
            data + self.written(self._letters(0, area.rows), area), self._sync
        )

    def written(self, runs: list[TextRun], area: Area) -> bytes:
        """The bytes that write `runs` into the area."""
        bare = [self._own(run.row, run.column, area) or run for run in runs if run.bare]
        text = [run for run in runs if not run.bare]
        return write_runs([*bare, *text, *self._resumed(text, area)], area)

    def _own(self, row: int, column: int, area: Area) -> TextRun | None:
        """The picture's own cell, where cells name their place in it."""
        if not self._backend.named or column >= area.columns:
            return None
        cell = self._backend.line(row, area, None)[0]
        text = cell.text[3 * column : 3 * column + 3]  # the character and its two marks
        if not text or cell.foreground is None:
            return None
        return TextRun(row, column, text, cell.foreground, cell.background or self.background)

    def _resumed(self, runs: list[TextRun], area: Area) -> list[TextRun]:
        """The cell of the picture after each piece of text, where cells name their place in it:
        a cell that does not say so follows the one before it, which now is text."""
        if not self._backend.named:
            return []
        taken = {(run.row, run.column + x) for run in runs for x in range(len(run.text))}
        ends = [(run.row, run.column + len(run.text)) for run in runs]
        cells = [self._own(*end, area) for end in ends if end not in taken]
        return [cell for cell in cells if cell is not None]

    def end(self) -> bytes:
        return self._backend.end()

    def line(self, row: int, area: Area, payload: Payload | None) -> list[Cell]:
        return self._backend.line(row, area, payload)


Windows = Callable[[], Sequence[tuple[int, int, int, int]]]
"""Column, row, columns and rows of each part of the area that shows its part of the picture."""


class TiledBackend(ClassicBackend):
    """One image a page, placed once for each of its `windows`; without any, as a whole."""

    def __init__(self, caps: TerminalCapabilities, background: Colour, windows: Windows) -> None:
        super().__init__(caps, background)
        self._windows = windows
        self._levels: dict[int, float] = {}

    def part(self, slot: int, payload: Payload, index: int, area: Area) -> bytes:
        self._levels[slot] = payload.level
        return super().part(slot, payload, index, area)

    def show(self, slot: int | None, area: Area, *, cells: bool = True) -> bytes:
        windows = self._windows()
        if slot is None or not windows:
            return super().show(slot, area, cells=cells)
        before, self._shown = self._shown, self._id(slot)
        removed = self._send(f"a=d,d=i,i={before},q=2") if before else b""
        across, down = (size / self._levels[slot] for size in area.cell)
        placed = []
        for number, (column, row, columns, rows) in enumerate(windows, 1):
            part = (
                f"x={round(column * across)},y={round(row * down)},"
                f"w={round(columns * across)},h={round(rows * down)}"
            )
            keys = f"a=p,i={self._shown},p={number},{part},c={columns},r={rows},C=1,q=2"
            placed.append(cursor_to(area, row, column) + self._send(keys))
        return synchronize_update(removed + keep_cursor(b"".join(placed)), self._sync)
