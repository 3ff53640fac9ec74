"""Classic placements of a page: a window for each picture, so that no text lies under one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from annotator.terminal.backend import (
    Area,
    Colour,
    Payload,
    cursor_to,
    keep_cursor,
    synchronize_update,
)
from annotator.terminal.caps import TerminalCapabilities
from annotator.terminal.kitty import ClassicBackend

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
