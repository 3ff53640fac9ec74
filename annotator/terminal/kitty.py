"""Kitty's graphics protocol in four ways: frames, frames in shared memory, placeholders,
placements.

Protocol: https://sw.kovidgoyal.net/kitty/graphics-protocol/. Each command is silenced with q=2:
Textual would take an answer for key presses.
"""

from __future__ import annotations

import io
import random
from base64 import standard_b64encode
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
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
from annotator.terminal.redrawn import half_line, half_pixels
from annotator.terminal.transport import unlink_shared_memory, wrap_for_tmux, write_shared_memory

PLACEHOLDER = "\U0010eeee"

# Unicode's combining marks of class 230 that kitty counts rows and columns with, in order.
_RANGES = """
305 30d-30e 310 312 33d-33f 346 34a-34c 350-352 357 35b 363-36f 483-487 592-595 597-599 59c-5a1
5a8-5a9 5ab-5ac 5af 5c4 610-617 657-65b 65d-65e 6d6-6dc 6df-6e2 6e4 6e7-6e8 6eb-6ec 730 732-733
735-736 73a 73d 73f-741 743 745 747 749-74a 7eb-7f1 7f3 816-819 81b-823 825-827 829-82d 951
953-954 f82-f83 f86-f87 135d-135f 17dd 193a 1a17 1a75-1a7c 1b6b 1b6d-1b73 1cd0-1cd2 1cda-1cdb
1ce0 1dc0-1dc1 1dc3-1dc9 1dcb-1dcc 1dd1-1de6 1dfe 20d0-20d1 20d4-20d7 20db-20dc 20e1 20e7 20e9
20f0 2cef-2cf1 2de0-2dff a66f a67c-a67d a6f0-a6f1 a8e0-a8f1 aab0 aab2-aab3 aab7-aab8 aabe-aabf
aac1 fe20-fe26 10a0f 10a38 1d185-1d189 1d1aa-1d1ad 1d242-1d244
"""


def _marks() -> Iterator[str]:
    for word in _RANGES.split():
        first, _, last = word.partition("-")
        yield from map(chr, range(int(first, 16), int(last or first, 16) + 1))


MARKS = tuple(_marks())


@lru_cache(maxsize=512)
def placeholder_row(row: int, width: int, third: bool = False) -> str:
    """Return a row of placeholder cells, each with the marks of its place in the picture.

    The last has one more mark, the highest byte of the image's id (0); with `third` each has it. If
    a dialog cuts a row, Rich estimates the place from the number of characters.
    """
    high = MARKS[0]
    cells = (PLACEHOLDER + MARKS[row] + MARKS[x] for x in range(width))
    return (high if third else "").join(cells) + high


OVERWRITE = "X=1,C=1"
"""A frame replaces what was there, its transparent margins too: kitty 0.45 to 0.48 read `C` in
place of `X` (https://github.com/kovidgoyal/kitty/issues/10379); the others ignore it."""
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
    """Return one graphics escape code."""
    return b"\x1b_G" + keys.encode() + (b";" + payload if payload else b"") + b"\x1b\\"


def as_png(image: Image.Image, level: int) -> bytes:
    """Return the image as PNG at a compression level."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=level)
    return buffer.getvalue()


def encode(image: Image.Image, area: Area, quality: Quality) -> Payload:
    """Encode a PNG of the whole canvas, transparent around the picture, in pieces of base64.

    The canvas is never much larger than the source: the terminal scales up by itself. A palette
    picture of 3/4 the size weighs half and is as near to the source (33.9 dB and 70 KB against 34.9
    dB and 110 KB, medians of ten photographs for 520x391 pixels).
    """
    level = quality.shrink * shrink_for(image.size, area)
    image = make_canvas(image, canvas_size(area, level), quality.colours)
    text = standard_b64encode(as_png(image, 6 if quality.colours else 1))
    parts = tuple(Part(text[i : i + PIECE]) for i in range(0, len(text), PIECE))
    return Payload(parts, len(text) + 40 * len(parts), level)


def canvas_size(area: Area, level: float) -> tuple[int, int]:
    """Return width and height of an area's canvas that is sent `level` times smaller."""
    return ceil(area.size[0] / level), ceil(area.size[1] / level)


def shrink_for(size: tuple[int, int], area: Area) -> int:
    """Return the largest shrink factor, a power of two, that keeps every pixel of the source."""
    room = min(area.size[0] / size[0], area.size[1] / size[1])
    level = 1
    while level < 8 and room >= 2 * level:
        level *= 2
    return level


class KittyBackend:
    """The base of all four: ids, pieces, placeholder cells."""

    technique = Technique.PLACEHOLDERS
    ladder: tuple[Quality, ...] = LADDER
    composited = True
    slots = MOST
    clears_screen = False
    quiet = "q=2"
    """The key that asks for no answer at all."""

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
        self._variant = caps.variant
        self._usage = ",N=1" if caps.variant.transient else ""
        self._alive: dict[int, None] = {}
        self._shown = 0

    def encode(self, image: Image.Image, area: Area, quality: Quality) -> Payload:
        """Encode a picture as PNG for the area."""
        return encode(image, area, quality)

    def begin(self, area: Area) -> bytes:
        """Free all pictures, and set how many the terminal keeps for this area."""
        freed = self.end()
        # Fewer pictures if they are large; a second canvas size adds half as much again.
        fit = MEMORY // (area.size[0] * area.size[1] * 4 * 3 // 2)
        self.slots = min(MOST, max(LEAST, fit))
        if not self._variant.retains:
            self._first += 64
        self._shown = 0
        return freed

    def end(self) -> bytes:
        """Free all pictures."""
        freed = [self._send(f"a=d,d=I,i={number},q=2") for number in self._alive]
        if self._variant.retains:  # a single pixel takes the place of each
            small = "s=1,v=1,f=24,q=2"
            freed += [self._send(f"a=t,i={number},{small}", b"AAAA") for number in self._alive]
        self._alive.clear()
        return b"".join(freed)

    def part(self, slot: int, payload: Payload, index: int, area: Area) -> bytes:
        """Return the command that sends one part."""
        number = self._id(slot)
        more = int(index + 1 < len(payload.parts))
        if index:
            return self._send(f"m={more},{self.quiet}", payload.parts[index].data)
        self._alive[number] = None
        keys = f"a=t,i={number},f=100,m={more},{self.quiet}{self._usage}"
        return self._send(keys, payload.parts[0].data) + (b"" if more else self._done(number, area))

    def may_show(self, slot: int | None, sending: Payload) -> bool:
        """Return whether `show` may come between parts: always."""
        return True

    def abort(self, slot: int, payload: Payload) -> bytes:
        """End the command whose parts were sent only in part."""
        return self._send("m=0,q=2")

    def show(self, slot: int | None, area: Area, *, cells: bool = True) -> bytes:
        """Show a slot's picture by rewriting the placeholder cells."""
        self._shown = 0 if slot is None else self._id(slot)
        return synchronize_update(keep_cursor(self._rewrite(area)), self._sync) if cells else b""

    def row_cells(self, row: int, area: Area, payload: Payload | None) -> list[Cell]:
        """Return a row of placeholder cells."""
        if not self._shown or row >= min(area.rows, len(MARKS)):
            return [Cell(" " * area.columns, None, self.background)]
        width = min(area.columns, len(MARKS))
        text = placeholder_row(row, width, self._variant.third_mark)
        placed = Cell(text, self._colour(), self.background)
        rest = Cell(" " * (area.columns - width), None, self.background)
        return [placed, rest] if rest.text else [placed]

    @property
    def named(self) -> int:
        """The id of the image on the screen; 0 if there is none."""
        return self._shown

    def slot_of(self, image: int) -> int | None:
        """Return the slot whose picture has this id; None if none has."""
        return image - self._first if image in self._alive else None

    def note_overwritten(self) -> None:
        """Note that text was written over the area: no picture is lost by it."""

    def freed_by(self, slot: int | None) -> Sequence[int]:
        """Return the slots whose pictures are lost when `slot` is shown: none."""
        return ()

    def _send(self, keys: str, payload: bytes = b"") -> bytes:
        return self._wrap(graphics_command(keys, payload))

    def _id(self, slot: int) -> int:
        return self._first + slot

    def _colour(self) -> tuple[int, int, int]:
        return self._shown >> 16 & 255, self._shown >> 8 & 255, self._shown & 255

    def _done(self, number: int, area: Area) -> bytes:
        """Return what must follow the last part of a picture."""
        return self._send(f"a=p,U=1,i={number},c={area.columns},r={area.rows},q=2")

    def _rewrite(self, area: Area) -> bytes:
        """Return all placeholder cells: the first of a row with its marks, the others repeated."""
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
        if self._variant.third_mark:
            return placeholder_row(row, width, third=True).encode()
        text = PLACEHOLDER + MARKS[row] + MARKS[0]
        if not self._repeat or width < 4:
            return (text + PLACEHOLDER * (width - 1)).encode()
        return (text + PLACEHOLDER).encode() + b"\x1b[%db" % (width - 2)


class PlaceholderBackend(KittyBackend):
    """One image for each picture; a switch rewrites the cells (563 bytes at 65x23)."""

    def part(self, slot: int, payload: Payload, index: int, area: Area) -> bytes:
        """Return the command that sends one part; the last one also places the image."""
        sent = super().part(slot, payload, index, area)
        last = index + 1 == len(payload.parts)
        return sent + self._done(self._id(slot), area) if last and index else sent


class FrameBackend(KittyBackend):
    """Pictures as frames of one image behind constant cells; a switch is 20 bytes.

    One image (a ring of frames) for each canvas size in use: in a pool of mixed sizes a switch
    between rings rewrites the cells too.
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
        """Free all pictures, and open the ring of the full canvas."""
        freed = super().begin(area)
        self._rings.clear()
        return freed + self._open(1, area)

    def part(self, slot: int, payload: Payload, index: int, area: Area) -> bytes:
        """Return the command that edits a slot's frame; it opens the frame's ring first."""
        opened, more = self._open(payload.level, area), int(index + 1 < len(payload.parts))
        self._level[slot] = payload.level
        # A frame is edited, not added: r and a belong in every piece of it.
        keys = f"{self._frame(slot)},m={more},q=2"
        if index == 0:
            keys += f",f=100,{OVERWRITE}{self._usage}"
        return opened + self._send(keys, payload.parts[index].data)

    def may_show(self, slot: int | None, sending: Payload) -> bool:
        """Return whether both pictures are of one ring."""
        # Until a frame is whole kitty takes every animation command for its image, whatever `i` is.
        return self._level_of(slot) == sending.level

    def abort(self, slot: int, payload: Payload) -> bytes:
        """End the frame whose parts were sent only in part."""
        return self._send(f"{self._frame(slot)},m=0,q=2")

    def show(self, slot: int | None, area: Area, *, cells: bool = True) -> bytes:
        """Switch to a slot's frame; rewrite the cells if it is of another ring."""
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
        """Return the number of a slot's frame in its ring."""
        return slot + 2  # the root has 1

    def _frame(self, slot: int) -> str:
        return f"a=f,i={self._rings[self._level[slot]]},r={self._place(slot)}"

    def _open(self, level: float, area: Area) -> bytes:
        """Open a ring: a transparent root of the canvas' size, its placement, and empty frames."""
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
        """Return an empty frame for later.

        Made in advance: so a picture that gets lost changes no other frame's number.
        """
        return self._send(f"a=f,i={number},s=1,v=1,f=32,q=2", b"AAAAAA==")


class ClassicBackend(KittyBackend):
    """Placements at the cursor, for terminals without placeholders. They cover all text."""

    technique = Technique.CLASSIC
    composited = False
    quiet = "q=1"
    """An error is answered: the picture is sent again. `q=2` lets OK through in VS Code of 2026."""

    def show(self, slot: int | None, area: Area, *, cells: bool = True) -> bytes:
        """Place a slot's picture, then remove the one before."""
        before, self._shown = self._shown, 0 if slot is None else self._id(slot)
        removed = self._send(f"a=d,d=i,i={before},q=2") if before else b""
        if not self._shown:
            return removed
        keys = f"a=p,i={self._shown},p=1,c={area.columns},r={area.rows},C=1,{self.quiet}"
        placed = keep_cursor(cursor_to(area) + self._send(keys))
        return synchronize_update(placed + (removed if before != self._shown else b""), self._sync)

    def encode(self, image: Image.Image, area: Area, quality: Quality) -> Payload:
        """Encode a picture as PNG, with half cells that may replace it."""
        payload = encode(image, area, quality)
        return replace(payload, picture=half_pixels(image, area, self.background))

    def row_cells(self, row: int, area: Area, payload: Payload | None) -> list[Cell]:
        """Return a row of half cells, or blank cells."""
        return half_line(row, area, payload) or [Cell(" " * area.columns, None, self.background)]

    def _done(self, number: int, area: Area) -> bytes:
        return b""


SHARED_LADDER = (Quality("true colour", 0, 4.0),)
UNREAD = 64
"""Number of names kept in case the terminal never reads them; it removes those that it has read."""


class SharedFrameBackend(FrameBackend):
    """Frames of one image, handed over uncompressed in the memory of this machine.

    Only their names travel down the line. This halves the processor's time for a picture (python -m
    benchmarks.terminal --only fresh); the key that shows it costs the same. All frames of a ring
    have the same number of bytes, and none is made before its picture: kitty (seen in 0.41) writes
    frames to a file, and if a frame grows while it is written, kitty reserves too little room for
    it, so that the next picture there overwrites others.
    """

    ladder = SHARED_LADDER

    def __init__(
        self,
        caps: TerminalCapabilities,
        background: Colour = (0, 0, 0),
        first_id: int | None = None,
    ) -> None:
        super().__init__(caps, background, first_id)
        self._names: deque[str] = deque()
        self._places: dict[tuple[float, int], int] = {}

    def encode(self, image: Image.Image, area: Area, quality: Quality) -> Payload:
        """Encode a picture as RGBA pixels."""
        level = quality.shrink * shrink_for(image.size, area)
        whole = make_canvas(image, canvas_size(area, level), quality.colours)
        pixels = whole.convert("RGBA").tobytes()
        return Payload((Part(pixels),), len(pixels), level)

    def begin(self, area: Area) -> bytes:
        """Free all pictures, and open the ring of the full canvas."""
        self._places.clear()
        return super().begin(area)

    def end(self) -> bytes:
        """Free all pictures, and the memory of those that were never read."""
        while self._names:
            unlink_shared_memory(self._names.popleft())
        return super().end()

    def part(self, slot: int, payload: Payload, index: int, area: Area) -> bytes:
        """Return the command that reads a slot's frame from shared memory."""
        opened = self._open(payload.level, area)
        self._level[slot] = payload.level
        pixels, (width, height) = payload.parts[0].data, canvas_size(area, payload.level)
        frame = f"{self._frame(slot)},q=2"
        keys = f"{frame},f=32,s={width},v={height},{OVERWRITE}{self._usage}"
        try:
            name = write_shared_memory(pixels)
        except OSError:
            return opened + self._in_band(frame, keys, pixels)
        self._names.append(name)
        if len(self._names) > UNREAD:
            unlink_shared_memory(self._names.popleft())
        return opened + self._send(f"{keys},t=s", standard_b64encode(name.encode()))

    def _place(self, slot: int) -> int:
        """Return the number of a slot's frame in its ring.

        A frame is added with its first picture, and edited from then on.
        """
        level = self._level[slot]
        before = sum(ring == level for ring, _ in self._places)
        return self._places.setdefault((level, slot), before + 2)

    def _empty(self, number: int) -> bytes:
        return b""

    def _in_band(self, frame: str, keys: str, pixels: bytes) -> bytes:
        """Return the commands that send the pixels down the line: the memory is full."""
        text = standard_b64encode(pixels)
        pieces = [text[i : i + PIECE] for i in range(0, len(text), PIECE)]
        last = len(pieces) - 1
        return b"".join(
            self._send(f"{frame if index else keys},m={int(index < last)}", piece)
            for index, piece in enumerate(pieces)
        )
