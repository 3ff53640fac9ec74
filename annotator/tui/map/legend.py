"""The colours of the map, and the words beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.style import Style

from annotator.images.scatter import Colour
from annotator.tui.styled_text import Line, clip_end, justify_line, wrap_text
from annotator.tui.widgets.lines import Lines


class MapLegend(Lines):
    """The colouring, the groups with their colours and counts, and what the frame holds."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._groups: Sequence[tuple[str, Colour, int]] = ()
        self._heading = self._framed = ""

    def show_groups(self, heading: str, groups: Sequence[tuple[str, Colour, int]]) -> None:
        """Show the groups (name, colour, points)."""
        self._heading, self._groups = heading, groups
        self.update()

    def show_frame(self, framed: str) -> None:
        """Show what the frame holds."""
        self._framed = framed
        self.update()

    def draw(self, width: int, height: int) -> list[Line]:
        """Return the lines; the least of many groups are counted, not listed."""
        below: list[Line] = [
            [], [(" in the frame", "title")],
            *([(f" {line}", "text")] for line in wrap_text(self._framed, width - 2)),
        ]  # fmt: skip
        room = max(1, height - len(below) - 2)
        shown = self._groups if len(self._groups) <= room else self._groups[: room - 1]
        lines: list[Line] = [[(f" {clip_end(self._heading, width - 2)}", "title")], []]
        lines += [self._row(*group, width) for group in shown]
        if hidden := len(self._groups) - len(shown):
            lines.append([(f"   … {hidden:,} more", "dim")])
        return [*lines, *below]

    def _row(self, name: str, colour: Colour, count: int, width: int) -> Line:
        number = f"{count:,} "
        title = clip_end(name, width - 4 - len(number))
        swatch = (" ● ", "#{:02x}{:02x}{:02x}".format(*colour))
        return justify_line([swatch, (title, "text")], [(number, "dim")], width)

    def _style(self, role: str) -> Style:
        if role.startswith("#"):
            return super()._style("text") + Style(color=role)
        return super()._style(role)
