"""The lines at the top and the bottom: what goes on, what is shown, which keys are live."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from rich.cells import cell_len
from textual import events
from textual.message import Message

from annotator.tui.styled_text import Line, clip_end, clip_start, justify_line, line_width
from annotator.tui.widgets.lines import Lines


class Header(Lines):
    """The project; at the right a message for some seconds, else what goes on behind."""

    def __init__(self, project: str, **options: Any) -> None:
        super().__init__(**options)
        self._project = project
        self._said: tuple[str, str] = ("", "dim")
        self._activity = self._badge = ""

    def badge(self, text: str) -> None:
        """What must not be overlooked while it holds; "" for nothing."""
        self._badge = text
        self.update()

    def say(self, text: str, role: str = "text") -> None:
        """A message; "" takes it away."""
        self._said = (text, role)
        self.update()

    def activity(self, text: str) -> None:
        self._activity = text
        self.update()

    def draw(self, cells: int, height: int) -> Sequence[Line]:
        name: Line = [(" annotator ", "title"), (clip_end(self._project, cells // 3), "dim")]
        if self._badge:
            name += [(" ", "text"), (f" {clip_end(self._badge, cells // 3)} ", "key")]
        text, role = self._said if self._said[0] else (self._activity, "dim")
        return [
            justify_line(name, [(clip_end(text, cells - line_width(name) - 3) + " ", role)], cells)
        ]


class CaptionBar(Lines):
    """Under the picture: its file and box, marks on it, and how pictures travel."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._file = self._detail = self._marks = self._link = self._near_duplicates = ""

    def show(self, file: str, detail: str = "", marks: str = "") -> None:
        self._file, self._detail, self._marks = file, detail, marks
        self.update()

    def show_near_duplicates(self, text: str) -> None:
        """Show how many near-duplicates the item has; "" for none."""
        if text != self._near_duplicates:
            self._near_duplicates = text
            self.update()

    def link(self, text: str) -> None:
        self._link = text
        self.update()

    def draw(self, cells: int, height: int) -> Sequence[Line]:
        detail: Line = [(f"  {self._detail}" if self._detail else "", "dim")]
        marks: Line = [(f"  {self._near_duplicates}" if self._near_duplicates else "", "curve")]
        # A long note leaves room for a third of the line: the file, or the end of its path.
        room = cells - cells // 3 - line_width(marks) - 4
        marks += [(f"  {clip_end(self._marks, room)}" if self._marks else "", "warn")]
        room = cells - line_width(detail) - line_width(marks) - 2
        if room < 12:
            detail, room = [], cells - line_width(marks) - 2
        left: Line = [(" " + clip_start(self._file, room), "text"), *detail, *marks]
        return [justify_line(left, [(f"{self._link} ", "dim")] if self._link else [], cells)]


class KeyHint(NamedTuple):
    """A live key and what it does."""

    key: str
    title: str
    action: tuple[str, str]
    place: int
    """Its place among those that are shown."""


class KeyBar(Lines):
    """The live keys; a click on one is as good as the key.

    They are given most needed first: where it is narrow, the last ones are left out.
    """

    @dataclass
    class Chosen(Message):
        """A key was clicked."""

        action: tuple[str, str]

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._hints: Sequence[KeyHint] = ()

    def show(self, hints: Sequence[KeyHint]) -> None:
        self._hints = hints
        self.update()

    def draw(self, cells: int, height: int) -> Sequence[Line]:
        line: Line = [(" ", "text")]
        for hint, _ in self._places(cells):
            line += [(hint.key, "title"), (f" {hint.title}  ", "dim")]
        return [line]

    def on_click(self, event: events.Click) -> None:
        for hint, (start, stop) in self._places(self.size.width):
            if start <= event.x < stop:
                self.post_message(self.Chosen(hint.action))

    def _places(self, cells: int) -> list[tuple[KeyHint, tuple[int, int]]]:
        fitting, used = [], 1
        for hint in self._hints:
            needed = cell_len(f"{hint.key} {hint.title}") + 2
            if used + needed <= cells + 1:
                fitting.append(hint)
                used += needed
        placed, x = [], 1
        for hint in sorted(fitting, key=lambda hint: hint.place):
            stop = x + cell_len(f"{hint.key} {hint.title}")
            placed.append((hint, (x, stop)))
            x = stop + 2
        return placed
