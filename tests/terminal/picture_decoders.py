"""Decoders that the terminal in memory needs: sixel, and the marks of placeholder cells."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

# Written from the protocol, apart from the program's own table: class 230 marks of Unicode 6.0
# without decomposition, but for those that some character decomposes to.
_USED = {0x300, 0x301, 0x302, 0x303, 0x304, 0x306, 0x307, 0x308, 0x309, 0x30A, 0x30B, 0x30C}
_USED |= {0x30F, 0x311, 0x313, 0x314, 0x342, 0x653, 0x654}
_LATER = "898-8ff 9fe 1ab0-1aff 1cf4 1cf8-1cf9 1de7-1df5 1dfb a674-a67b a69e-a69f fe27-fe2f"
_LATER += " 10376-1037a 10a0d 10ae5 10d24-10d27 10d69-10d6d 10eab-10eac 10f46-10f4f 10f82-10f85"
_LATER += " 11100-11102 11366-11374 1145e 114c2 16af0-16b36 1e000-1e2ef 1e4ee-1e4ef 1e8d0-1e949"


def _later() -> set[int]:
    found: set[int] = set()
    for word in _LATER.split():
        first, _, last = word.partition("-")
        found.update(range(int(first, 16), int(last or first, 16) + 1))
    return found


def _table() -> dict[str, int]:
    skipped = _USED | _later()
    every = (chr(code) for code in range(0x300, 0x1E000) if code not in skipped)
    found = [
        character
        for character in every
        if unicodedata.combining(character) == 230
        and unicodedata.category(character) == "Mn"
        and not unicodedata.decomposition(character)
    ]
    return {character: index for index, character in enumerate(found)}


_MARKS = _table()


def marks(text: str) -> list[int]:
    """The numbers that a placeholder's marks stand for."""
    return [_MARKS[character] for character in text]


def palette(number: int) -> tuple[int, int, int]:
    """xterm's colours 16 to 255: a cube of six levels, then greys."""
    if number >= 232:
        grey = 8 + 10 * (number - 232)
        return grey, grey, grey
    red, green, blue = ((number - 16) // step % 6 for step in (36, 6, 1))
    return tuple(55 + 40 * level if level else 0 for level in (red, green, blue))  # type: ignore[return-value]


_SIXEL = re.compile(r"#(\d+)(?:;2;(\d+);(\d+);(\d+))?|!(\d+)([?-~])|([?-~])|([$-])")


@lru_cache(maxsize=400)
def sixel(text: str) -> NDArray[np.uint8]:
    """Decode a sixel picture of the size that its raster attributes give."""
    head, _, body = text.partition("q")
    size = re.match(r'"\d+;\d+;(\d+);(\d+)', body)
    assert size is not None, "no raster attributes"
    width, height = int(size[1]), int(size[2])
    pixels = np.zeros((height + 6, width, 3), np.uint8)
    palette: dict[int, tuple[int, ...]] = {}
    colour, x, y = 0, 0, 0
    for found in _SIXEL.finditer(body, size.end()):
        register, *levels, count, repeated, single, step = found.groups()
        if register is not None:
            colour = int(register)
            if levels[0] is not None:
                palette[colour] = tuple(round(int(level) * 255 / 100) for level in levels)
        elif step is not None:
            x, y = 0, y + 6 * (step == "-")
        else:
            n, bits = int(count or 1), ord(repeated or single) - 63
            for bit in range(6):
                if bits >> bit & 1:
                    pixels[y + bit, x : x + n] = palette[colour]
            x += n
    return pixels[:height]
