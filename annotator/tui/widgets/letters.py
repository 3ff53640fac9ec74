"""Letters that stand on the tiles of a page, so that the hands stay on the home row."""

from __future__ import annotations

from itertools import product

HOME = "fjdkslagh"
"""The home row, strongest fingers first."""
ALL = HOME + "rueiwoqptyvmcnxbz"


def tags(count: int) -> list[str]:
    """A tag for each of `count` tiles; none is the beginning of another.

    One letter each while the alphabet lasts, then two letters of the home row, or of all.
    """
    if count <= len(ALL):
        return sorted(ALL[:count], key=_by_place)
    letters = HOME if count <= len(HOME) ** 2 else ALL
    pairs = ["".join(pair) for pair in product(letters, letters)]
    return pairs[:count]


def _by_place(letter: str) -> int:
    """From left to right on the keyboard, row by row: neighbours on the page stay neighbours."""
    return "qwertyuiopasdfghjklzxcvbnm".index(letter)
