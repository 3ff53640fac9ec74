"""Kitty's graphics protocol, three ways: frames, placeholders, classic placements.

Protocol: https://sw.kovidgoyal.net/kitty/graphics-protocol/. Every command is silenced with
q=2: Textual would take an answer for key presses.
"""

from __future__ import annotations

import io
import random
from base64 import standard_b64encode
from collections.abc import Callable
from dataclasses import replace
from math import ceil

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
from annotator.terminal.fit import make_canvas
from annotator.terminal.placeholders import MARKS, PLACEHOLDER, placeholder_row
from annotator.terminal.probe import wrap_for_tmux
from annotator.terminal.redrawn import half_line, half_pixels

PIECE = 4096
"""Largest payload of one escape code that the protocol allows, in base64 characters."""
MEMORY = 160 << 20
"""Bytes of decoded pictures that the terminal keeps for us; kitty's own limit is 320 MB."""
LEAST, MOST = 8, 16
"""Bounds of the number of pictures kept: the current one, five to come, the one before ..."""

LADDER = (
    Quality("64 colours, half size", 64, 0.18, 2),
    Quality("256 colours, 3/4 size", 255, 0.35, 1.35),
    Quality("true colour", 0, 2.0),
)


def graphics_command(keys: str, payload: bytes = b"") -> bytes:
    """One graphics escape code."""
    return b"\x1b_G" + keys.encode() + (b";" + payload if payload else b"") + b"\x1b\\"


def as_png(image: Image.Image, level: int) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=level)
    return buffer.getvalue()


def encode(image: Image.Image, area: Area, quality: Quality) -> Payload:
    """A PNG of the whole canvas, transparent around the picture, in pieces of base64.

    The canvas is never much larger than the source: the terminal scales up by itself. A palette
    picture of 3/4 the size weighs half and is as near to the source (33.9 dB and 70 KB against
    34.9 dB and 110 KB, medians of ten photographs for 520x391 pixels).
    """
    level = quality.shrink * shrink_for(image.size, area)
    image = make_canvas(image, canvas_size(area, level), quality.colours)
    text = standard_b64encode(as_png(image, 6 if quality.colours else 1))
    parts = tuple(Part(text[i : i + PIECE]) for i in range(0, len(text), PIECE))
    return Payload(parts, len(text) + 40 * len(parts), level)


def canvas_size(area: Area, level: float) -> tuple[int, int]:
    """Width and height of the canvas of an area that is sent `level` times smaller."""
    return ceil(area.size[0] / level), ceil(area.size[1] / level)


def shrink_for(size: tuple[int, int], area: Area) -> int:
    """The smallest canvas, as a power of two, that still holds every pixel of the source."""
    room = min(area.size[0] / size[0], area.size[1] / size[1])
    level = 1
    while level < 8 and room >= 2 * level:
        level *= 2
    return level


class KittyBackend:
    """What the three ways have in common: ids, chunks, placeholder cells."""

    technique = Technique.PLACEHOLDERS
    ladder: tuple[Quality, ...] = LADDER
    composited = True
    slots = MOST

    def __init__(
        self,
        caps: TerminalCapabilities,
        background: Colour = (0, 0, 0),
        first_id: int | None = None,
    ) -> None:
        self.background = background
        # 24 bits fit in a colour; a random start keeps two programs in one terminal apart.
        self._first = first_id if first_id is not None else random.randrange(1 << 8, 1 << 23)
        self._sync = caps.sync and not caps.wrapped
        self._wrap: Callable[[bytes], bytes] = wrap_for_tmux if caps.wrapped else bytes
        # tmux 3.3 loses the marks of repeated cells; it expands them since 3.4.
        self._repeat = not caps.wrapped or caps.tmux.number >= (3, 4)
        self._alive: dict[int, None] = {}
        self._shown = 0

    def encode(self, image: Image.Image, area: Area, quality: Quality) -> Payload:
        return encode(image, area, quality)

    def begin(self, area: Area) -> bytes:
        freed = self.end()
        # Fewer pictures where they are large; a second canvas size adds half as much again.
        fit = MEMORY // (area.size[0] * area.size[1] * 4 * 3 // 2)
        self.slots = min(MOST, max(LEAST, fit))
        self._first += 64
        self._shown = 0
        return freed

    def end(self) -> bytes:
        freed = [self._send(f"a=d,d=I,i={number},q=2") for number in self._alive]
        self._alive.clear()
        return b"".join(freed)

    def part(self, slot: int, payload: Payload, index: int, area: Area) -> bytes:
        number = self._id(slot)
        more = int(index + 1 < len(payload.parts))
        if index:
            return self._send(f"m={more},q=2", payload.parts[index].data)
        self._alive[number] = None
        keys = f"a=t,i={number},f=100,m={more},q=2"
        return self._send(keys, payload.parts[0].data) + (b"" if more else self._done(number, area))

    def may_show(self, slot: int | None, sending: Payload) -> bool:
        return True

    def abort(self, slot: int, payload: Payload) -> bytes:
        return self._send("m=0,q=2")

    def show(self, slot: int | None, area: Area, *, cells: bool = True) -> bytes:
        self._shown = 0 if slot is None else self._id(slot)
        return synchronize_update(keep_cursor(self._rewrite(area)), self._sync) if cells else b""

    def line(self, row: int, area: Area, payload: Payload | None) -> list[Cell]:
        if not self._shown or row >= min(area.rows, len(MARKS)):
            return [Cell(" " * area.columns, None, self.background)]
        width = min(area.columns, len(MARKS))
        placed = Cell(placeholder_row(row, width), self._colour(), self.background)
        rest = Cell(" " * (area.columns - width), None, self.background)
        return [placed, rest] if rest.text else [placed]

    @property
    def named(self) -> int:
        return self._shown

    def _send(self, keys: str, payload: bytes = b"") -> bytes:
        return self._wrap(graphics_command(keys, payload))

    def _id(self, slot: int) -> int:
        return self._first + slot

    def _colour(self) -> tuple[int, int, int]:
        return self._shown >> 16 & 255, self._shown >> 8 & 255, self._shown & 255

    def _done(self, number: int, area: Area) -> bytes:
        """What must follow the last part of a picture."""
        return self._send(f"a=p,U=1,i={number},c={area.columns},r={area.rows},q=2")

    def _rewrite(self, area: Area) -> bytes:
        """All placeholder cells anew: the first of a row with its marks, the rest repeated."""
        back = b"\x1b[0;48;2;%d;%d;%dm" % self.background
        if not self._shown:
            blank = b" " * area.columns
            return back + b"".join(cursor_to(area, row) + blank for row in range(area.rows))
        rows = min(area.rows, len(MARKS))
        colour = b"\x1b[38;2;%d;%d;%dm" % self._colour()
        return (
            back
            + colour
            + b"".join(cursor_to(area, row) + self._row(row, area) for row in range(rows))
        )

    def _row(self, row: int, area: Area) -> bytes:
        width = min(area.columns, len(MARKS))
        text = PLACEHOLDER + MARKS[row] + MARKS[0]
        if not self._repeat or width < 4:
            return (text + PLACEHOLDER * (width - 1)).encode()
        return (text + PLACEHOLDER).encode() + b"\x1b[%db" % (width - 2)


class PlaceholderBackend(KittyBackend):
    """One image a picture; showing one rewrites the cells (563 bytes at 65x23)."""

    def part(self, slot: int, payload: Payload, index: int, area: Area) -> bytes:
        sent = super().part(slot, payload, index, area)
        last = index + 1 == len(payload.parts)
        return sent + self._done(self._id(slot), area) if last and index else sent


class FrameBackend(KittyBackend):
    """Pictures are frames of one image behind constant cells; a switch is 20 bytes.

    One image (a ring of frames) for each canvas size in use: pools of mixed sizes switch the
    cells as well, all others only the frame.
    """

    technique = Technique.FRAMES

    def __init__(
        self,
        caps: TerminalCapabilities,
        background: Colour = (0, 0, 0),
        first_id: int | None = None,
    ) -> None:
        super().__init__(caps, background, first_id)
        self._rings: dict[float, int] = {}
        self._level = dict.fromkeys(range(self.slots), 1.0)

    def begin(self, area: Area) -> bytes:
        freed = super().begin(area)
        self._rings.clear()
        # Until pictures arrive the cells show the empty root frame of the full canvas.
        opened = self._open(1, area)
        self._shown = self._rings[1]
        return freed + opened

    def part(self, slot: int, payload: Payload, index: int, area: Area) -> bytes:
        opened, more = self._open(payload.level, area), int(index + 1 < len(payload.parts))
        self._level[slot] = payload.level
        # A frame is edited, not added: r and a belong in every piece of it.
        keys = f"{self._frame(slot)},m={more},q=2"
        if index == 0:
            keys += ",f=100,X=1"
        return opened + self._send(keys, payload.parts[index].data)

    def may_show(self, slot: int | None, sending: Payload) -> bool:
        # Until a frame is whole kitty takes every animation command for its image, whatever `i` is.
        return self._level_of(slot) == sending.level

    def abort(self, slot: int, payload: Payload) -> bytes:
        return self._send(f"{self._frame(slot)},m=0,q=2")

    def show(self, slot: int | None, area: Area, *, cells: bool = True) -> bytes:
        number = self._rings[self._level_of(slot)]
        switch = self._send(f"a=a,i={number},c={1 if slot is None else self._place(slot)},q=2")
        if number == self._shown:
            return switch
        self._shown = number
        if not cells:
            return switch
        return synchronize_update(switch + keep_cursor(self._rewrite(area)), self._sync)

    def _level_of(self, slot: int | None) -> float:
        return 1.0 if slot is None else self._level[slot]

    def _place(self, slot: int) -> int:
        """The number of a slot's frame in its ring."""
        return slot + 2  # the root has 1

    def _frame(self, slot: int) -> str:
        return f"a=f,i={self._rings[self._level[slot]]},r={self._place(slot)}"

    def _open(self, level: float, area: Area) -> bytes:
        """A ring: a transparent root of the canvas' size, its placement, and empty frames."""
        if level in self._rings:
            return b""
        number = self._rings[level] = self._first + len(self._rings)
        self._alive[number] = None
        root = Image.new("P", canvas_size(area, level))
        root.info["transparency"] = 0
        opened = self._send(
            f"a=t,i={number},f=100,q=2", standard_b64encode(as_png(root, 9))
        ) + self._done(number, area)
        return opened + self._empty(number) * self.slots

    def _empty(self, number: int) -> bytes:
        """A frame for later. Made in advance, a picture that gets lost moves no other's number."""
        return self._send(f"a=f,i={number},s=1,v=1,f=32,q=2", b"AAAAAA==")


class ClassicBackend(KittyBackend):
    """Placements at the cursor, for terminals without placeholders. They lie over all text."""

    technique = Technique.CLASSIC
    composited = False

    def show(self, slot: int | None, area: Area, *, cells: bool = True) -> bytes:
        before, self._shown = self._shown, 0 if slot is None else self._id(slot)
        removed = self._send(f"a=d,d=i,i={before},q=2") if before else b""
        if not self._shown:
            return removed
        keys = f"a=p,i={self._shown},p=1,c={area.columns},r={area.rows},C=1,q=2"
        placed = keep_cursor(cursor_to(area) + self._send(keys))
        return synchronize_update(placed + (removed if before != self._shown else b""), self._sync)

    def encode(self, image: Image.Image, area: Area, quality: Quality) -> Payload:
        payload = encode(image, area, quality)
        return replace(payload, picture=half_pixels(image, area, self.background))

    def line(self, row: int, area: Area, payload: Payload | None) -> list[Cell]:
        return half_line(row, area, payload) or [Cell(" " * area.columns, None, self.background)]

    def _done(self, number: int, area: Area) -> bytes:
        return b""
