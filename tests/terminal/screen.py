"""A terminal in memory: parses what a program writes back into cells, images and pixels.

It speaks kitty's graphics protocol, sixel and iTerm2's inline images as the terminal that it is
told to be, answers questions, and keeps a list of everything that breaks a protocol.
"""

from __future__ import annotations

import base64
import io
import re
import unicodedata
import zlib
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests.terminal.decode import marks, palette, sixel

TOKEN = re.compile(
    rb"\x1b_(?P<apc>.*?)\x1b\\"
    rb"|\x1bP(?P<dcs>.*?)\x1b\\"
    rb"|\x1b\](?P<osc>.*?)(?:\x07|\x1b\\)"
    rb"|\x1b\[(?P<csi>[0-9;:?<>=]*[ -/]*[@-~])"
    rb"|\x1b(?P<esc>[()].|[0-9=>A-OQ-WYZc])"
    rb"|(?P<text>[^\x1b]+)",
    re.S,
)
PLACEHOLDER = "\U0010eeee"
NAMES = {
    "kitty": b"kitty(0.41.1)",
    "kitty-old": b"kitty(0.26.5)",
    "ghostty": b"ghostty 1.1.3",
    "xterm": b"XTerm(398)",
    "wezterm": b"WezTerm 20240203",
    "plain": b"",
}
Pixels = NDArray[np.uint8]


@dataclass
class Stored:
    """An image that the program gave the terminal to keep."""

    frames: list[Image.Image]
    current: int = 0
    cells: tuple[int, int] | None = None
    """Columns and rows of its virtual placement."""
    placed: dict[int, tuple[int, int, int, int]] = field(default_factory=dict)
    """Placement number → column, row, columns, rows."""


@dataclass
class Cell:
    text: str = " "
    foreground: tuple[int, int, int] = (255, 255, 255)
    background: tuple[int, int, int] = (0, 0, 0)


class Screen:
    def __init__(
        self,
        columns: int = 80,
        rows: int = 24,
        cell: tuple[int, int] = (8, 16),
        kind: str = "kitty",
        mute: bool = False,
    ) -> None:
        self.cell, self.kind, self.mute = cell, kind, mute
        self.images: dict[int, Stored] = {}
        self.problems: list[str] = []
        self.overflows = 0
        """Pictures drawn past the screen's edge; without a resize under way there are none."""
        self.alternate = False
        self._chunks: tuple[dict[str, str], bytes] | None = None
        self._pending = b""
        self.resize(columns, rows)

    def resize(self, columns: int, rows: int) -> None:
        self.columns, self.rows = columns, rows
        self.cells = [[Cell() for _ in range(columns)] for _ in range(rows)]
        self._drawn = np.zeros((rows * self.cell[1], columns * self.cell[0], 4), np.uint8)
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
        elif kind == "apc" and body[:1] == b"G":
            return self._graphics(body[1:])
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
            return b"\x1b[?62;4;22c" if self.kind == "xterm" else b"\x1b[?62;22c"
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
        self._drawn[y * height : (y + 1) * height, x * width : (x + 1) * width] = 0

    def _erase(self) -> None:
        self.cells = [[Cell() for _ in range(self.columns)] for _ in range(self.rows)]
        self._drawn[:] = 0

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

    # -- images that are kept ---------------------------------------------------------------

    def _graphics(self, body: bytes) -> bytes:
        if self.kind in ("xterm", "plain"):
            return b""
        head, _, payload = body.partition(b";")
        keys = dict(pair.split("=", 1) for pair in head.decode().split(",") if pair)
        if len(payload) > 4096:
            self.problems.append(f"a chunk of {len(payload)} characters")
        if keys.get("a") == "q":
            return b"\x1b_Gi=" + keys["i"].encode() + b";OK\x1b\\" if keys.get("t") != "s" else b""
        if keys.get("q") != "2":
            self.problems.append(f"not silenced: {head!r}")
        if keys.get("a", "t") in ("t", "f"):
            self._chunk(keys, payload)
        else:
            self._command(keys)
        return b""

    def _chunk(self, keys: dict[str, str], payload: bytes) -> None:
        first, before = self._chunks or (keys, b"")
        if self._chunks and first.get("a") == "f" and keys.get("r") != first.get("r"):
            self.problems.append(f"a chunk of {keys} inside {first}")
        data = before + payload
        if keys.get("m") == "1":
            self._chunks = first, data
            return
        self._chunks = None
        image = _picture(first, data)
        if image is None:
            return  # as terminals do: a picture that ends early is thrown away
        self._store(first, image)

    def _store(self, keys: dict[str, str], image: Image.Image) -> None:
        number = int(keys["i"])
        if keys.get("a", "t") == "t":
            self.images[number] = Stored([image])
            return
        if self.kind not in ("kitty", "kitty-old") or number not in self.images:
            self.problems.append(f"a frame for image {number}")
            return
        frames = self.images[number].frames
        canvas = Image.new("RGBA", frames[0].size)
        if image.width > canvas.width or image.height > canvas.height:
            self.problems.append("a frame larger than its image")
        canvas.paste(image, (0, 0))
        place = int(keys.get("r", len(frames) + 1)) - 1
        if place > len(frames):
            self.problems.append(f"frame {place + 1} of {len(frames)}")
        elif place == len(frames):
            frames.append(canvas)
        else:
            frames[place] = canvas

    def _command(self, keys: dict[str, str]) -> None:
        number = int(keys.get("i", 0))
        stored = self.images.get(number)
        if keys["a"] == "d":
            self._delete(keys, number)
        elif stored is None:
            self.problems.append(f"{keys} names no image")
        elif keys["a"] == "a":
            stored.current = int(keys["c"]) - 1
            if stored.current >= len(stored.frames):
                self.problems.append(f"{keys} shows no frame")
        elif keys["a"] == "p" and keys.get("U") == "1":
            stored.cells = int(keys["c"]), int(keys["r"])
        elif keys["a"] == "p":
            place = self._x, self._y, int(keys["c"]), int(keys["r"])
            stored.placed[int(keys["p"])] = place

    def _delete(self, keys: dict[str, str], number: int) -> None:
        if keys.get("d") == "I":
            self.images.pop(number, None)
        elif keys.get("d") == "i" and number in self.images:
            self.images[number].placed.clear()

    # -- images that are drawn --------------------------------------------------------------

    def _sixel(self, body: bytes) -> None:
        if self.kind == "xterm":
            self._draw(sixel(body.decode("ascii")))

    def _inline(self, body: bytes) -> None:
        if self.kind != "wezterm":
            return
        head, _, data = body.partition(b":")
        keys = dict(pair.split("=", 1) for pair in head.decode()[10:].split(";"))
        image = Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB")
        size = int(keys["width"]) * self.cell[0], int(keys["height"]) * self.cell[1]
        self._draw(np.asarray(image.resize(size)))

    def _draw(self, pixels: Pixels) -> None:
        left, top = self._x * self.cell[0], self._y * self.cell[1]
        place = self._drawn[top : top + pixels.shape[0], left : left + pixels.shape[1]]
        if place.shape[:2] != pixels.shape[:2]:
            self.overflows += 1
            pixels = pixels[: place.shape[0], : place.shape[1]]
        place[..., :3], place[..., 3] = pixels, 255

    # -- output ----------------------------------------------------------------------------

    def pixels(self, box: tuple[int, int, int, int] | None = None) -> Pixels:
        """The screen as RGB, or the cells (column, row, columns, rows) of it."""
        left, top, columns, rows = box or (0, 0, self.columns, self.rows)
        width, height = self.cell
        whole = np.zeros((rows * height, columns * width, 3), np.uint8)
        scaled: dict[int, Pixels] = {}
        for y in range(rows):
            before = None
            for x in range(left):
                before = self._at(x, top + y, before)
            for x in range(columns):
                before = self._at(left + x, top + y, before)
                place = whole[y * height : (y + 1) * height, x * width : (x + 1) * width]
                place[:] = self._cell_pixels(self.cells[top + y][left + x], before, scaled)
        drawn = self._drawn[top * height :, left * width :][: rows * height, : columns * width]
        whole[drawn[..., 3] > 0] = drawn[drawn[..., 3] > 0][:, :3]
        self._paste_placed(whole, left, top)
        return whole

    def _at(
        self, x: int, y: int, before: tuple[int, int, int] | None
    ) -> tuple[int, int, int] | None:
        """Image, row and column that a placeholder cell stands for."""
        cell = self.cells[y][x]
        if not cell.text.startswith(PLACEHOLDER) or self.kind not in ("kitty", "ghostty"):
            return None
        red, green, blue = cell.foreground
        number = red << 16 | green << 8 | blue
        told = marks(cell.text[1:])
        if len(told) >= 2:
            return number, told[0], told[1]
        if before is not None and before[0] == number:
            return number, before[1], before[2] + 1
        return None

    def _cell_pixels(
        self, cell: Cell, place: tuple[int, int, int] | None, scaled: dict[int, Pixels]
    ) -> Pixels:
        width, height = self.cell
        block = np.empty((height, width, 3), np.uint8)
        block[:] = cell.background
        if cell.text == "▀":
            block[: height // 2] = cell.foreground
        stored = self.images.get(place[0]) if place else None
        if stored is None or stored.cells is None or place is None:
            return block
        if place[0] not in scaled:
            size = stored.cells[0] * width, stored.cells[1] * height
            scaled[place[0]] = np.asarray(_scaled(stored.frames[stored.current], size))
        top, left = place[1] * height, place[2] * width
        part = scaled[place[0]][top : top + height, left : left + width]
        if part.shape[:2] == (height, width):
            seen = part[..., 3] > 127
            block[seen] = part[seen][:, :3]
        return block

    def _paste_placed(self, whole: Pixels, left: int, top: int) -> None:
        for stored in self.images.values():
            for column, row, columns, rows in stored.placed.values():
                size = columns * self.cell[0], rows * self.cell[1]
                image = np.asarray(_scaled(stored.frames[0], size))
                y, x = (row - top) * self.cell[1], (column - left) * self.cell[0]
                place = whole[max(y, 0) : y + size[1], max(x, 0) : x + size[0]]
                image = image[max(-y, 0) :, max(-x, 0) :]
                part = image[: place.shape[0], : place.shape[1]]
                place[part[..., 3] > 127] = part[part[..., 3] > 127][:, :3]

    def text(self) -> str:
        """The characters on the screen, row by row."""
        return "\n".join("".join(cell.text[0] for cell in row) for row in self.cells)


def _scaled(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    return image.convert("RGBA").resize(size, Image.Resampling.BILINEAR)


def _picture(keys: dict[str, str], data: bytes) -> Image.Image | None:
    try:
        raw = base64.b64decode(data)
        if keys.get("o") == "z":
            raw = zlib.decompress(raw)
        if keys.get("f") == "100":
            return Image.open(io.BytesIO(raw)).convert("RGBA")
        return Image.frombytes("RGBA", (int(keys["s"]), int(keys["v"])), raw)
    except (OSError, ValueError, KeyError, zlib.error):
        return None


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
