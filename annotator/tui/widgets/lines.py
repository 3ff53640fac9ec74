"""A widget of lines that sends only the pieces that changed, for slow lines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from annotator.tui.styled_text import Line

GAP = 8
"""Cells that cost less than moving the cursor and setting the colours again."""


class Lines(Widget):
    """A widget that shows the lines of `draw`. Call `update` after each change."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._lines: list[Line] = []
        self._styles_of_roles: dict[str, Style] = {}

    def on_mount(self) -> None:
        """Follow the theme of the app."""
        self.app.theme_changed_signal.subscribe(self, self._recolour)

    def _recolour(self, _: object) -> None:
        self._styles_of_roles.clear()
        self.refresh()

    def draw(self, width: int, height: int) -> Sequence[Line]:
        """Return the lines for this size."""
        raise NotImplementedError

    def update(self) -> None:
        """Draw again, and let the screen repaint the pieces that differ."""
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

    @property
    def text(self) -> str:
        """The lines as they stand on the screen."""
        return "\n".join("".join(text for text, _ in line) for line in self._lines)

    def on_resize(self) -> None:
        """Draw again for the new size."""
        self._lines = self._drawn()
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """Return a line in the colours of its roles."""
        line = self._lines[y] if y < len(self._lines) else []
        segments = [Segment(text, self._style(role)) for text, role in line if text]
        return Strip(segments).adjust_cell_length(self.size.width, self._style("text"))

    def _drawn(self) -> list[Line]:
        width, height = self.size
        return list(self.draw(width, height))[:height] if width and height else []

    def _style(self, role: str) -> Style:
        if role not in self._styles_of_roles:
            self._styles_of_roles[role] = role_style(self, role)
        return self._styles_of_roles[role]

    def notify_style_update(self) -> None:
        """Forget the styles: the ground under the lines may have changed."""
        self._styles_of_roles.clear()
        super().notify_style_update()


def role_style(widget: Widget, role: str) -> Style:
    """Return the style of a role of `ROLES` on the ground of a widget.

    The app holds the roles, and not each widget: a stylesheet takes as long for each of them as for
    a widget, at each change of a class.
    """
    styles = widget.app.get_component_styles(f"role--{role}")
    ground = widget.background_colors[1] + styles.background
    colours = Style.from_color((ground + styles.color).rich_color, ground.rich_color)
    return styles.text_style + colours


def _changes(old: Line, new: Line, y: int, width: int) -> list[Region]:
    """Return the runs of cells in which a line differs; runs with a short gap become one."""
    if old == new:
        return []
    cells = zip(_cells(old, width), _cells(new, width), strict=True)
    runs: list[tuple[int, int]] = []
    for x in (x for x, (before, now) in enumerate(cells) if before != now):
        if runs and x - runs[-1][1] <= GAP:
            runs[-1] = (runs[-1][0], x + 1)
        else:
            runs.append((x, x + 1))
    return [Region(start, y, end - start, 1) for start, end in runs]


def _cells(line: Line, width: int) -> list[tuple[str, str]]:
    """Return the character and the role of each cell; a wide character fills both its cells."""
    cells = [
        (character, role)
        for text, role in line
        for character in text
        for _ in range(cell_len(character))
    ]
    return (cells + [(" ", "text")] * width)[:width]
