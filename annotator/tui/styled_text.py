"""Lines of text in roles: the text of the widgets before it has a colour."""

from __future__ import annotations

import math
import re

import numpy as np
from numpy.typing import NDArray
from rich.cells import cell_len, chop_cells, set_cell_size

from annotator.items.refs import make_printable

Span = tuple[str, str]
"""A piece of text, and its role from `ROLES`."""
Line = list[Span]

ROLES = (
    "text", "strong", "dim", "key", "title", "bar", "best", "track", "curve", "good", "warn", "bad",
    "code",
)  # fmt: skip

_SPACES = re.compile(r"\s+(?!%)")
_LEVELS = "▁▂▃▄▅▆▇█"


def line_width(line: Line) -> int:
    """Return the cells that a line takes."""
    return sum(cell_len(text) for text, _ in line)


def clip_end(text: str, cells: int) -> str:
    """Return the start of a name in at most `cells` cells, control characters made visible."""
    text = make_printable(text)
    if cell_len(text) <= cells:
        return text
    return set_cell_size(text, cells - 1) + "…" if cells > 0 else ""


def clip_start(text: str, cells: int) -> str:
    """Return the end of a path in at most `cells` cells: the end tells files apart."""
    text = make_printable(text)
    while cell_len(text) > cells and text:
        text = "…" + text.lstrip("…")[max(1, cell_len(text) - cells) :]
        if text == "…":
            break
    return text if cells > 0 else ""


def justify_line(left: Line, right: Line, cells: int) -> Line:
    """Put `left` and `right` at the ends of a line; without room for both, drop `right`."""
    room = cells - line_width(left) - line_width(right)
    if room < 1 and right:
        return justify_line(left, [], cells)
    return [*left, (" " * max(0, room), "text"), *right]


def wrap_text(text: str, cells: int) -> list[str]:
    """Wrap a text into lines of at most `cells` cells; longer words are broken.

    A per cent sign stays with its number.
    """
    lines: list[str] = []
    for paragraph in text.splitlines() or [""]:
        line = ""
        for word in _SPACES.split(paragraph.strip()):
            for piece in chop_cells(word, cells) if cell_len(word) > cells else [word]:
                joined = f"{line} {piece}" if line else piece
                if cell_len(joined) > cells:
                    lines.append(line)
                    joined = piece
                line = joined
        lines.append(line)
    return lines


def draw_bar(share: float, cells: int, role: str = "bar") -> Line:
    """Draw a share of 0 to 1 as a line of `cells` cells, to half a cell."""
    halves = round(min(1.0, max(0.0, share)) * cells * 2)
    full, half = divmod(halves, 2)
    return [("━" * full + "╸" * half, role), ("─" * (cells - full - half), "track")]


def draw_sparkline(values: NDArray[np.float64], cells: int, top: float) -> str:
    """Draw values as blocks of eight heights, oldest first, padded on the right.

    Each cell stands for 1, 2, 4 … values, as many as it takes to have all of them on the line:
    so a new value changes only the last cell.
    """
    if not len(values) or cells < 1:
        return " " * max(0, cells)
    per = 2 ** max(0, math.ceil(math.log2(len(values) / cells)))
    starts = np.arange(0, len(values), per)
    means = np.add.reduceat(values, starts) / np.diff(np.append(starts, len(values)))
    heights = np.clip(8 * means / top, 0, 7).astype(int)
    return "".join(_LEVELS[height] for height in heights).ljust(cells)


def format_chance(share: float) -> str:
    """Format a probability in four characters, never as 0 or 100 %: no model is certain."""
    if share < 0.005:
        return "<1 %"
    return ">99 %" if share > 0.995 else f"{100 * share:.0f} %"
