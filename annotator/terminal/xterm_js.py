"""Kitty's graphics as xterm.js (VS Code's terminal) has them: tiles in the cells of the text.

https://github.com/xtermjs/xterm.js, addons/addon-image/src/kitty. A cell has a tile of one picture,
the last that was placed there. The terminal frees a picture when its placement is deleted, and when
another picture is placed and the last placement of this one has no tile left. From February to
September 2026 text did not remove tiles.
"""

from __future__ import annotations

import random
from base64 import standard_b64encode
from collections.abc import Sequence
from dataclasses import replace
from functools import cache

from PIL import Image

from annotator.terminal.backend import Area, Colour, Part, Payload, Quality, cursor_to, keep_cursor
from annotator.terminal.caps import TerminalCapabilities
from annotator.terminal.fit import make_canvas
from annotator.terminal.kitty import (
    PIECE,
    ClassicBackend,
    as_png,
    canvas_size,
    graphics_command,
    shrink_for,
)
from annotator.terminal.redrawn import half_pixels
from annotator.terminal.text_overlay import TiledBackend, Window, Windows


class XtermJsBackend(ClassicBackend):
    """Placements over the area without its first column, where each picture keeps a tile.

    That tile shows one transparent pixel, from a row below the picture. It is the picture's last
    placement, so the picture stays in the terminal while others cover it. To hide a picture, a
    transparent one is placed over it, which works in all versions.
    """

    clears_screen = True

    def __init__(
        self,
        caps: TerminalCapabilities,
        background: Colour = (0, 0, 0),
        first_id: int | None = None,
    ) -> None:
        # Short ids: they are sent with every key.
        super().__init__(caps, background, first_id or random.randrange(1, 9) * 1000)
        self._sizes: dict[int, tuple[int, int]] = {}
        self._placed: Area | None = None
        self._tiled: set[int] = set()
        self._bare: set[int] = set()
        """Slots with a tile, and those that text may have taken it from."""

    def encode(self, image: Image.Image, area: Area, quality: Quality) -> Payload:
        """Encode a PNG with a transparent row below it, and half cells that may replace it."""
        inner = _inner(area)
        level = quality.shrink * shrink_for(image.size, inner)
        canvas = _with_clear_row(make_canvas(image, canvas_size(inner, level), quality.colours))
        text = standard_b64encode(as_png(canvas, 6 if quality.colours else 1))
        parts = tuple(Part(text[i : i + PIECE]) for i in range(0, len(text), PIECE))
        payload = Payload(parts, len(text) + 40 * len(parts), level)
        return replace(payload, picture=half_pixels(image, area, self.background))

    def begin(self, area: Area) -> bytes:
        """Free all pictures; in another area clear the screen, for tiles outlive the text there."""
        moved = self._placed is not None and self._placed != area
        if moved:
            self._placed = None
        return (b"\x1b[2J" if moved else b"") + super().begin(area)

    def end(self) -> bytes:
        """Free all pictures, below a transparent one: a tile without a picture shows a pattern."""
        erased = self._erase(self._placed) if self._placed is not None else b""
        self._placed, self._shown = None, 0
        self._tiled.clear()
        self._bare.clear()
        return erased + super().end()

    def part(self, slot: int, payload: Payload, index: int, area: Area) -> bytes:
        """Return the command that sends one part."""
        if index == 0:
            self._tiled.discard(slot)
            self._bare.discard(slot)
            self._sizes[slot] = canvas_size(_inner(area), payload.level)
        return super().part(slot, payload, index, area)

    def abort(self, slot: int, payload: Payload) -> bytes:
        """End the command whose parts were sent only in part; else the next would be added."""
        number = self._id(slot)
        self._alive.pop(number, None)
        return super().abort(slot, payload) + self._send(f"a=d,d=I,i={number},q=2")

    def note_overwritten(self) -> None:
        """Note that text was written over the area, and over the tiles in its first column."""
        self._bare |= self._tiled
        self._tiled.clear()

    def freed_by(self, slot: int | None) -> Sequence[int]:
        """Return the slots without a tile: a placement of another picture frees them."""
        return sorted(self._bare - {slot})

    def show(self, slot: int | None, area: Area, *, cells: bool = True) -> bytes:
        """Place a slot's picture over the one before, and then its tile in the first column."""
        self._bare.clear()
        if slot is None:
            erased = self._erase(area) if self._shown else b""
            self._shown = 0
            return erased
        self._tiled.add(slot)
        self._shown, self._placed = self._id(slot), area
        inner, (width, height) = _inner(area), self._sizes[slot]
        source = f"a=p,i={self._shown},w={width},h={height}"
        place = self._send(f"{source},c={inner.columns},r={inner.rows},C=1,{self.quiet}")
        # Where this fails the placement has failed, too: one error is enough.
        tile = self._send(f"a=p,i={self._shown},y={height},w=1,h=1,C=1,q=2")
        return keep_cursor(cursor_to(inner) + place + cursor_to(area, slot % area.rows) + tile)

    def _erase(self, area: Area) -> bytes:
        """Return the commands that place a transparent picture over the area's pictures."""
        return keep_cursor(_erase([_inner(area)], self._first + 63))


class XtermJsPageBackend(TiledBackend):
    """A page's placements: the picture before is lost with its tiles, and sent again for undo."""

    clears_screen = True

    def __init__(self, caps: TerminalCapabilities, background: Colour, windows: Windows) -> None:
        super().__init__(caps, background, windows)
        self._area: Area | None = None
        self._covered: tuple[Window, ...] = ()

    def begin(self, area: Area) -> bytes:
        """Free all pictures; in another area clear the screen, for tiles outlive the text there."""
        moved = bool(self._covered) and self._area != area
        if moved:
            self._covered = ()
        return (b"\x1b[2J" if moved else b"") + super().begin(area)

    def end(self) -> bytes:
        """Free all pictures, below transparent ones."""
        erased, self._shown = self._erase_windows(), 0
        return erased + super().end()

    def abort(self, slot: int, payload: Payload) -> bytes:
        """End the command whose parts were sent only in part; else the next would be added."""
        number = self._id(slot)
        self._alive.pop(number, None)
        return super().abort(slot, payload) + self._send(f"a=d,d=I,i={number},q=2")

    def freed_by(self, slot: int | None) -> Sequence[int]:
        """Return the slot on the screen, if another is to be shown."""
        before = self.slot_of(self._shown) if self._shown else None
        return () if before in (None, slot) else (before,)

    def show(self, slot: int | None, area: Area, *, cells: bool = True) -> bytes:
        """Place a slot's picture in all windows; windows that are no more become transparent."""
        windows = tuple(self._windows()) or ((0, 0, area.columns, area.rows),)
        erased = b"" if slot is not None and windows == self._covered else self._erase_windows()
        self._shown = 0 if slot is None else self._id(slot)
        if slot is None:
            return erased
        self._area, self._covered = area, windows
        return erased + keep_cursor(self._place(slot, windows, area))

    def _erase_windows(self) -> bytes:
        """Return the commands that place transparent pictures over the page's."""
        covered, self._covered = self._covered, ()
        if self._area is None or not covered:
            return b""
        column, row = self._area[:2]
        areas = [
            Area(column + left, row + top, columns, rows, self._area.cell)
            for left, top, columns, rows in covered
        ]
        return keep_cursor(_erase(areas, self._first + 63))


def page_backend(caps: TerminalCapabilities, windows: Windows) -> TiledBackend:
    """Return the backend of a page whose pictures lie over all text."""
    named = caps.terminal.lower().startswith("xterm.js")
    return (XtermJsPageBackend if named else TiledBackend)(caps, (0, 0, 0), windows)


@cache
def _clear_pixel() -> bytes:
    clear = Image.new("P", (1, 1))
    clear.info["transparency"] = 0
    return standard_b64encode(as_png(clear, 9))


def _erase(areas: Sequence[Area], number: int) -> bytes:
    """Return the commands that place a transparent picture over areas."""
    # Sent once: if it were sent again, the terminal would free it where it was placed before.
    sent = graphics_command(f"a=t,i={number},f=100,q=1", _clear_pixel())
    placed = (
        cursor_to(area) + graphics_command(f"a=p,i={number},c={area.columns},r={area.rows},C=1,q=1")
        for area in areas
    )
    return sent + b"".join(placed)


def _inner(area: Area) -> Area:
    """Return the area without its first column.

    Its last one would not do: where a cell is not a whole number of pixels wide, a placement may
    have one more column of tiles than was asked for.
    """
    return area._replace(column=area.column + 1, columns=max(1, area.columns - 1))


def _with_clear_row(canvas: Image.Image) -> Image.Image:
    """Return the canvas with a row of transparent pixels below it."""
    size = canvas.width, canvas.height + 1
    if canvas.mode != "P":
        whole = Image.new("RGBA", size)
        whole.paste(canvas, (0, 0))
        return whole
    palette = canvas.getpalette() or []
    clear = canvas.info.get("transparency", len(palette) // 3)
    whole = Image.new("P", size, clear)
    whole.putpalette(palette[: 3 * clear] + [0, 0, 0])
    whole.paste(canvas, (0, 0))
    whole.info["transparency"] = clear
    return whole
