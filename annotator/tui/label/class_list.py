"""The classes: key, name, how many labels, and what the model expects of the picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from textual import events
from textual.geometry import Size
from textual.message import Message

from annotator.tui.styled_text import (
    Line,
    clip_end,
    draw_bar,
    format_chance,
    justify_line,
    line_width,
)
from annotator.tui.widgets.lines import Lines


@dataclass(frozen=True, slots=True)
class ClassRow:
    """One class as it stands."""

    name: str
    key: str
    """Its key as shown; "" where it has none."""
    count: int
    share: float | None = None
    """Probability by the model; None where there is none, or it is hidden."""
    likeliest: bool = False
    chosen: bool | None = None
    """Whether it is chosen for the item; None where a key labels at once."""


LEAST = 12
"""Lines of classes that cannot all be shown, however little room that leaves for the numbers."""


class ClassList(Lines):
    """The rows of the classes; a click on one labels with it, the wheel shows the others."""

    @dataclass
    class Chosen(Message):
        """A class was clicked."""

        name: str

        @property
        def action(self) -> tuple[str, str]:
            return "label", self.name

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._rows: Sequence[ClassRow] = ()
        self._first = 0
        self._room = self._most = 0

    def show(self, rows: Sequence[ClassRow]) -> None:
        changed = len(rows) != len(self._rows)
        self._rows = rows
        if changed:
            self.refresh(layout=True)
        self.update()

    def give(self, roomy: int, most: int) -> None:
        """Say how many lines are too many for two lines a class, and how many there are at all."""
        self._room, self._most = roomy, max(1, most)
        self.styles.max_height = self._most
        self.refresh(layout=True)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        needed = self._each * len(self._rows)
        return needed if needed <= self._most else min(self._most, max(LEAST, self._room))

    def draw(self, width: int, height: int) -> list[Line]:
        room = self._shown(height)
        self._first = max(0, min(self._first, len(self._rows) - room))
        shown = self._rows[self._first : self._first + room]
        if self._each > 1:
            return [line for row in shown for line in (*two_lines(row, width), [])]
        lines = [one_line(row, width) for row in shown]
        hidden = len(self._rows) - room
        return [*lines, [(f"     … {hidden:,} more", "dim")]] if hidden > 0 else lines

    def _shown(self, height: int) -> int:
        """How many classes have a place; where some have none, a line says how many."""
        fit = height // self._each
        return fit if fit >= len(self._rows) else max(1, fit - 1)

    @property
    def _each(self) -> int:
        return 3 if 3 * len(self._rows) <= self._room else 1

    def on_click(self, event: events.Click) -> None:
        line = event.y // self._each
        place = self._first + line
        if line < self._shown(self.size.height) and place < len(self._rows):
            self.post_message(self.Chosen(self._rows[place].name))

    def on_mouse_scroll_down(self) -> None:
        self._first += 1
        self.update()

    def on_mouse_scroll_up(self) -> None:
        self._first -= 1
        self.update()


def two_lines(row: ClassRow, cells: int) -> tuple[Line, Line]:
    """Key, name and count; under them the probability as a bar."""
    count = f"{row.count:,} "
    name = clip_end(row.name, cells - 6 - len(count))
    head = justify_line([*_key(row), (name, _weight(row))], [(count, "dim")], cells)
    if row.share is None:
        return head, []
    number = f" {format_chance(row.share):>5} "
    track = draw_bar(row.share, cells - 5 - len(number), "best" if row.likeliest else "bar")
    return head, [("     ", "text"), *track, (number, "strong" if row.likeliest else "dim")]


def one_line(row: ClassRow, cells: int) -> Line:
    """The same where there are many: the number stands for the bar."""
    right: Line = [(f"{row.count:,} ", "dim")]
    if row.share is not None:
        right.append((f"{format_chance(row.share):>5} ", "best" if row.likeliest else "dim"))
    name = clip_end(row.name, cells - 6 - line_width(right))
    return justify_line([*_key(row), (name, _weight(row))], right, cells)


def _weight(row: ClassRow) -> str:
    """How a name is written: what is chosen stands out, or else what is likeliest."""
    outstanding = row.likeliest if row.chosen is None else row.chosen
    return "strong" if outstanding else "text"


def _key(row: ClassRow) -> Line:
    """Its key, and a mark beside the likeliest class: it is not told by colour alone."""
    if row.chosen is not None:
        # No block: next to the key it would look like a part of it.
        box: Line = [("✓" if row.chosen else "·", "strong" if row.chosen else "dim")]
        return [(" ", "text"), (f" {row.key or ' '} ", "key" if row.key else "text"), *box]
    mark: Line = [("▸" if row.likeliest else " ", "best" if row.likeliest else "text")]
    if not row.key:
        return [("    ", "text"), *mark]
    return [(" ", "text"), (f" {row.key} ", "key"), *mark]
