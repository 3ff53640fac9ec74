"""A widget of lines that sends only the pieces that changed: a key costs bytes, not screens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from annotator.tui.text import ROLES, Line


class Lines(Widget):
    """Shows what `draw` gives; call `update` whenever that may have changed."""

    COMPONENT_CLASSES = {f"role--{role}" for role in ROLES}

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._lines: list[Line] = []

    def draw(self, width: int, height: int) -> Sequence[Line]:
        """The lines for this size."""
        raise NotImplementedError

    def update(self) -> None:
        """Draw anew, and have the screen repaint the pieces that differ."""
        before, self._lines = self._lines, self._drawn()
        if len(before) != len(self._lines):
            self.refresh()
            return
        regions = [
            region
            for y, (old, new) in enumerate(zip(before, self._lines, strict=True))
            for region in _changes(old, new, y, self.size.width)
        ]
        if regions:
            self.refresh(*regions)

    def on_resize(self) -> None:
        self._lines = self._drawn()
        self.refresh()

    def render_line(self, y: int) -> Strip:
        line = self._lines[y] if y < len(self._lines) else []
        segments = [Segment(text, self._style(role)) for text, role in line if text]
        return Strip(segments).adjust_cell_length(self.size.width, self._style("text"))

    def _drawn(self) -> list[Line]:
        width, height = self.size
        return list(self.draw(width, height))[:height] if width and height else []

    def _style(self, role: str) -> Style:
        return self.get_component_rich_style(f"role--{role}")


def _changes(old: Line, new: Line, y: int, width: int) -> list[Region]:
    """Where a line differs, piece by piece."""
    placed, before = _placed(new, width), set(_placed(old, width))
    return [
        Region(x, y, cells, 1)
        for x, cells, text, role in placed
        if cells and (x, cells, text, role) not in before
    ]


def _placed(line: Line, width: int) -> list[tuple[int, int, str, str]]:
    """Each piece with its column and its cells, and the rest of the line as one more piece."""
    placed = []
    x = 0
    for text, role in line:
        cells = cell_len(text)
        placed.append((x, cells, text, role))
        x += cells
    return [*placed, (x, max(0, width - x), "", "text")]
