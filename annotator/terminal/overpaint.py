"""Whether text that goes to the terminal paints over the picture's cells."""

from __future__ import annotations

import re

from annotator.terminal.backend import Area

_MOVE = re.compile(r"\x1b\[(\d+);(\d+)H")
_CONTROL = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|[()].|[78=>])|[\x00-\x1f]")


def overpaints_area(text: str, area: Area) -> bool:
    """Whether output of a full-screen program writes into the area.

    Such a program moves the cursor (CUP) before each piece of text on a row. Text before the
    first move, and wide characters, are taken for what they are at most: two cells each.
    """
    if not area.usable:
        return False
    moves = list(_MOVE.finditer(text))
    ends = [*(move.start() for move in moves[1:]), len(text)]
    for move, end in zip(moves, ends, strict=False):
        row, column = int(move[1]) - 1, int(move[2]) - 1
        if not area.row <= row < area.row + area.rows or column >= area.column + area.columns:
            continue
        written = _CONTROL.sub("", text[move.end() : end])
        width = len(written) if written.isascii() else 2 * len(written)
        if written and column + width > area.column:
            return True
    return "\x1b[2J" in text
