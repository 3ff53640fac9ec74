"""A terminal in memory: parses what a program writes back into cells, images and pixels.

It speaks kitty's graphics protocol, sixel and iTerm2's inline images like the terminal of its
`kind`, answers questions, and keeps a list of everything that breaks a protocol.
"""

from __future__ import annotations

import base64
import io
import re
import unicodedata
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests.terminal.kitty_store import KittyStore, KittyTraits
from tests.terminal.picture_decoders import palette, sixel
from tests.terminal.rendering import render

TOKEN = re.compile(
    rb"\x1b_(?P<apc>.*?)\x1b\\"
    rb"|\x1bPtmux;(?P<tmux>(?:\x1b\x1b|[^\x1b])*)\x1b\\"
    rb"|\x1bP(?P<dcs>.*?)\x1b\\"
    rb"|\x1b\](?P<osc>.*?)(?:\x07|\x1b\\)"
    rb"|\x1b\[(?P<csi>[0-9;:?<>=]*[ -/]*[@-~])"
    rb"|\x1b(?P<esc>[()].|[0-9=>A-OQ-WYZc])"
    rb"|(?P<text>[^\x1b]+)",
    re.S,
)
NAMES = {
    "kitty": b"kitty(0.41.1)",
    "kitty-shared": b"kitty(0.41.1)",
    "kitty-old": b"kitty(0.26.5)",
    "kitty-0.48": b"kitty(0.48.2)",
    "ghostty": b"ghostty 1.1.3",
    "ghostty-frames": b"ghostty 1.4.0",
    "iterm2": b"iTerm2 3.7.3",
    "konsole": b"Konsole 25.04.2",
    "xterm.js": b"xterm.js(6.1.0-beta.301)",
    "xterm.js-leaky": b"xterm.js(6.1.0-beta.150)",
    "xterm.js-first": b"xterm.js(6.1.0-beta.120)",
    "unknown": b"",
    "xterm": b"XTerm(398)",
    "wezterm": b"WezTerm 20240203",
    "tmux-3.7": b"tmux 3.7c",
    "plain": b"",
}
KITTY = {
    "kitty": KittyTraits(b"OK"),
    "kitty-shared": KittyTraits(b"OK", shared=True),
    "kitty-old": KittyTraits(b"OK"),
    "kitty-0.48": KittyTraits(b"OK", transient=True, overwrites="C"),
    "ghostty": KittyTraits(),
    "ghostty-frames": KittyTraits(b"OK"),
    "iterm2": KittyTraits(third_mark=True),
    "konsole": KittyTraits(loud_queries=True),
    "xterm.js": KittyTraits(b"EINVAL:unsupported action", replaces=True),
    "xterm.js-leaky": KittyTraits(b"EINVAL:unsupported action", replaces=True, leaks=True),
    "xterm.js-first": KittyTraits(b"EINVAL:unsupported action", replaces=True, places=False),
    "unknown": KittyTraits(),
    "wezterm": KittyTraits(),
}
"""The terminals that know kitty's graphics protocol."""
SIXEL = ("xterm", "xterm.js", "xterm.js-leaky", "xterm.js-first", "konsole")
INLINE = ("wezterm", "xterm.js", "xterm.js-leaky", "xterm.js-first", "konsole", "iterm2")
Pixels = NDArray[np.uint8]


@dataclass
class Cell:
    text: str = " "
    foreground: tuple[int, int, int] = (255, 255, 255)
    background: tuple[int, int, int] = (0, 0, 0)


class Screen:
    """A terminal of one `kind` (see `NAMES`); a `mute` one answers nothing."""

    def __init__(
        self,
        columns: int = 80,
        rows: int = 24,
        cell: tuple[int, int] = (8, 16),
        kind: str = "kitty",
        mute: bool = False,
    ) -> None:
        self.cell, self.kind, self.mute = cell, kind, mute
        self.traits = KITTY.get(kind, KittyTraits())
        self._kept = KittyStore(self.traits)
        self.images, self.problems = self._kept.images, self._kept.problems
        if kind.startswith("tmux"):
            self._around = Screen(columns, rows, cell, "kitty-0.48")
        self.overflows = 0
        """Pictures drawn past the screen's edge; without a resize under way there are none."""
        self.alternate = False
        self._pending = b""
        self.resize(columns, rows)

    def resize(self, columns: int, rows: int) -> None:
        self.columns, self.rows = columns, rows
        self.cells = [[Cell() for _ in range(columns)] for _ in range(rows)]
        self.drawn = np.zeros((rows * self.cell[1], columns * self.cell[0], 4), np.uint8)
        self._owners = np.zeros((rows, columns), np.int64)
        self._serial = 0
        self._last_placed: dict[int, int] = {}
        """Each cell's placement, and each picture's last one."""
        self._x = self._y = 0
        self._pen = Cell()
        self._saved = (0, 0, Cell())
        self._last = " "

    # -- input -----------------------------------------------------------------------------

    def feed(self, data: bytes) -> bytes:
        """Take output of the program; returns what the terminal answers."""
        data, answers, end = self._pending + data, b"", 0
        while end < len(data):
            token = TOKEN.match(data, end)
            if token is None:
                break
            text = token.group()
            if token.lastgroup == "text" and token.end() == len(data):
                keep = len(text) - len(_whole(text))
                text = text[: len(text) - keep]
                end = token.end() - keep
                self._text(text.decode())
                break
            end = token.end()
            answers += self._take(token)
        self._pending = data[end:]
        return b"" if self.mute else answers

    def _take(self, token: re.Match[bytes]) -> bytes:
        kind = token.lastgroup
        body = token[kind]
        if kind == "text":
            self._text(body.decode("utf-8", "replace"))
        elif kind == "tmux":
            return self._around.feed(body.replace(b"\x1b\x1b", b"\x1b"))
        elif kind == "apc" and body[:1] == b"G":
            if self.kind in KITTY:
                answer = self._kept.take(body[1:], (self._x, self._y))
                if self.traits.replaces:
                    self._draw_placed()
                return answer
        elif kind == "dcs" and re.match(rb"[0-9;]*q", body):
            self._sixel(body)
        elif kind == "osc" and body.startswith(b"1337;File="):
            self._inline(body)
        elif kind == "csi":
            return self._control(body.decode())
        elif body == b"7":
            self._saved = (self._x, self._y, Cell(**vars(self._pen)))
        elif body == b"8":
            x, y, pen = self._saved
            self._x, self._y = min(x, self.columns - 1), min(y, self.rows - 1)
            self._pen = Cell(**vars(pen))
        return b""

    def _control(self, body: str) -> bytes:
        final, numbers = (
            body[-1],
            [
                int(n) if n else 0
                for n in re.split("[;:]", body[:-1] or "0")
                if n.isdigit() or not n
            ],
        )
        first = numbers[0] if numbers else 0
        if final == "H":
            self._y = min(max(first, 1), self.rows) - 1
            self._x = min(max(numbers[1] if len(numbers) > 1 else 1, 1), self.columns) - 1
        elif final == "m" and body[0] not in ">?":
            self._colours(numbers)
        elif final == "b":
            self._text(self._last * first)
        elif final == "X":
            for x in range(self._x, min(self._x + max(first, 1), self.columns)):
                self._set(x, self._y, " ")
        elif final == "J" and first == 2:
            self._erase()
        elif body in ("?1049h", "?1049l"):
            self.alternate = body[-1] == "h"
            self._erase()
        else:
            return self._answer(body)
        return b""

    def _answer(self, body: str) -> bytes:
        if body == "6n":
            return b"\x1b[%d;%dR" % (self._y + 1, self._x + 1)
        if body == "c":
            return b"\x1b[?62;4;22c" if self.kind in SIXEL else b"\x1b[?62;22c"
        if body == ">q" and NAMES[self.kind]:
            return b"\x1bP>|" + NAMES[self.kind] + b"\x1b\\"
        if body == "16t":
            return b"\x1b[6;%d;%dt" % (self.cell[1], self.cell[0])
        if body == "?2026$p":
            return b"\x1b[?2026;2$y"
        return b""

    # -- cells -----------------------------------------------------------------------------

    def _text(self, text: str) -> None:
        for character in text:
            if character == "\r":
                self._x = 0
            elif character == "\n":
                self._y = min(self._y + 1, self.rows - 1)
            elif unicodedata.combining(character):
                before = min(max(0, self._x - 1), self.columns - 1)
                self.cells[self._y][before].text += character
            elif character >= " ":
                if self._x < self.columns:
                    self._set(self._x, self._y, character)
                self._x += 1
                self._last = character

    def _set(self, x: int, y: int, character: str) -> None:
        self.cells[y][x] = Cell(character, self._pen.foreground, self._pen.background)
        width, height = self.cell
        self._owners[y, x] = 0
        self.drawn[y * height : (y + 1) * height, x * width : (x + 1) * width] = 0

    def _erase(self) -> None:
        self.cells = [[Cell() for _ in range(self.columns)] for _ in range(self.rows)]
        self.drawn[:] = 0
        self._owners[:] = 0

    def _colours(self, numbers: list[int]) -> None:
        while numbers:
            code = numbers.pop(0)
            if code == 0:
                self._pen = Cell()
            elif code in (38, 48) and numbers and numbers.pop(0) == 2:
                colour, numbers = tuple(numbers[:3]), numbers[3:]
                setattr(self._pen, "foreground" if code == 38 else "background", colour)
            elif code in (38, 48) and numbers:
                # After `pop` above the 5 is gone: a place in the palette of 256.
                colour = palette(numbers.pop(0))
                setattr(self._pen, "foreground" if code == 38 else "background", colour)

    @property
    def knows_placeholders(self) -> bool:
        return self.kind in (
            "kitty", "kitty-shared", "kitty-0.48", "ghostty", "ghostty-frames", "iterm2"
        )  # fmt: skip

    # -- images that are drawn --------------------------------------------------------------

    def _sixel(self, body: bytes) -> None:
        if self.kind in SIXEL:
            self._draw(sixel(body.decode("ascii")))

    def _inline(self, body: bytes) -> None:
        if self.kind not in INLINE:
            return
        head, _, data = body.partition(b":")
        keys = dict(pair.split("=", 1) for pair in head.decode()[10:].split(";"))
        image = Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB")
        size = int(keys["width"]) * self.cell[0], int(keys["height"]) * self.cell[1]
        self._draw(np.asarray(image.resize(size)))

    def _draw_placed(self) -> None:
        """Put placed pictures into their cells; forget those whose last placement has none."""
        added = [
            (number, place, stored.crops[key], stored.frames[0])
            for number, stored in self.images.items()
            for key, place in stored.placed.items()
        ]
        for number, (column, row, columns, rows), crop, frame in added:
            size = columns * self.cell[0], rows * self.cell[1]
            x, y = column * self.cell[0], row * self.cell[1]
            place = self.drawn[y : y + size[1], x : x + size[0]]
            pixels = np.asarray(frame.convert("RGBA").crop(crop).resize(size))
            place[:] = pixels[: place.shape[0], : place.shape[1]]
            self._serial += 1
            self._owners[row : row + rows, column : column + columns] = self._serial
            self._last_placed[number] = self._serial
            self.images[number].placed.clear()
        if added:
            there = set(self._owners.flat)
            for number in [n for n, serial in self._last_placed.items() if serial not in there]:
                self._kept.drop(number)
                del self._last_placed[number]

    def _draw(self, pixels: Pixels) -> None:
        left, top = self._x * self.cell[0], self._y * self.cell[1]
        place = self.drawn[top : top + pixels.shape[0], left : left + pixels.shape[1]]
        if place.shape[:2] != pixels.shape[:2]:
            self.overflows += 1
            pixels = pixels[: place.shape[0], : place.shape[1]]
        place[..., :3], place[..., 3] = pixels, 255

    # -- output ----------------------------------------------------------------------------

    def pixels(self, box: tuple[int, int, int, int] | None = None) -> Pixels:
        """The screen as RGB, or the cells (column, row, columns, rows) of it."""
        return render(self, box or (0, 0, self.columns, self.rows))

    def text(self) -> str:
        """The characters on the screen, row by row."""
        return "\n".join("".join(cell.text[0] for cell in row) for row in self.cells)


def _whole(text: bytes) -> bytes:
    """`text` without an unfinished UTF-8 character at its end."""
    for back in range(1, min(4, len(text)) + 1):
        byte = text[-back]
        if byte & 0xC0 == 0xC0:
            length = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return text if back >= length else text[:-back]
        if byte < 0x80:
            break
    return text
