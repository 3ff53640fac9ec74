"""The bars of a screen: header, caption of the picture, and live keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from rich.cells import cell_len
from textual import events
from textual.message import Message

from annotator.tui.styled_text import Line, clip_end, clip_start, justify_line, line_width
from annotator.tui.widgets.lines import Lines


class Header(Lines):
    """The header: the project, and at the right a message or the work in the background."""

    def __init__(self, project: str, **options: Any) -> None:
        super().__init__(**options)
        self._project = project
        self._said: tuple[str, str] = ("", "dim")
        self._activity = self._badge = ""

    def badge(self, text: str) -> None:
        """Show the mode that must not be overlooked; "" for none."""
        self._badge = text
        self.update()

    def say(self, text: str, role: str = "text") -> None:
        """Show a message; "" takes it away."""
        self._said = (text, role)
        self.update()

    def activity(self, text: str) -> None:
        """Show the work in the background."""
        self._activity = text
        self.update()

    def draw(self, cells: int, height: int) -> Sequence[Line]:
        """Return the line of the header."""
        name: Line = [(" annotator ", "title"), (clip_end(self._project, cells // 3), "dim")]
        if self._badge:
            name += [(" ", "text"), (f" {clip_end(self._badge, cells // 3)} ", "key")]
        text, role = self._said if self._said[0] else (self._activity, "dim")
        return [
            justify_line(name, [(clip_end(text, cells - line_width(name) - 3) + " ", role)], cells)
        ]


class CaptionBar(Lines):
    """The caption of the picture: file, box, marks, and the state of the line."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._file = self._detail = self._marks = self._link = self._near_duplicates = ""
        self._answer = ""

    def show(self, file: str, detail: str = "", marks: str = "", answer: str = "") -> None:
        """Show the file, the box and the marks of an item, and its answer in a look back."""
        self._file, self._detail, self._marks, self._answer = file, detail, marks, answer
        self.update()

    def show_near_duplicates(self, text: str) -> None:
        """Show how many near-duplicates the item has; "" for none."""
        if text != self._near_duplicates:
            self._near_duplicates = text
            self.update()

    def link(self, text: str) -> None:
        """Show the state of the line to the terminal."""
        self._link = text
        self.update()

    def draw(self, cells: int, height: int) -> Sequence[Line]:
        """Return the line of the caption."""
        detail: Line = [(f"  {self._detail}" if self._detail else "", "dim")]
        marks: Line = [(f"  {self._answer}" if self._answer else "", "strong")]
        marks += [(f"  {self._near_duplicates}" if self._near_duplicates else "", "curve")]
        # A long note leaves room for a third of the line: the file, or the end of its path.
        room = cells - cells // 3 - line_width(marks) - 4
        marks += [(f"  {clip_end(self._marks, room)}" if self._marks else "", "warn")]
        room = cells - line_width(detail) - line_width(marks) - 2
        if room < 12:
            detail, room = [], cells - line_width(marks) - 2
        left: Line = [(" " + clip_start(self._file, room), "text"), *detail, *marks]
        return [justify_line(left, [(f"{self._link} ", "dim")] if self._link else [], cells)]


class KeyHint(NamedTuple):
    """A live key and its action."""

    key: str
    title: str
    action: tuple[str, str]
    place: int
    """The place among the shown keys."""


class KeyBar(Lines):
    """The live keys; a click on one does what the key does.

    A narrow window leaves out the last ones, which are the least needed.
    """

    @dataclass
    class Chosen(Message):
        """A click on a key."""

        action: tuple[str, str]

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._hints: Sequence[KeyHint] = ()
        self._letters: Mapping[str, str] = {}

    def show(self, hints: Sequence[KeyHint]) -> None:
        """Show these keys, the most needed first."""
        self._hints = hints
        self.update()

    def draw(self, cells: int, height: int) -> Sequence[Line]:
        """Return the line of the keys that fit."""
        line: Line = [(" ", "text")]
        for hint, _ in self._places(cells):
            line += [(self._label(hint.key), "title"), (f" {hint.title}  ", "dim")]
        return [line]

    def on_click(self, event: events.Click) -> None:
        """Choose the key under the pointer."""
        for hint, (start, stop) in self._places(self.size.width):
            if start <= event.x < stop:
                self.post_message(self.Chosen(hint.action))

    def use_letters(self, letters: Mapping[str, str]) -> None:
        """Write the keys as they stand on the annotator's keyboard."""
        if letters != self._letters:
            self._letters = letters
            self.update()

    def _label(self, key: str) -> str:
        return self._letters.get(key.lower(), key).upper() if len(key) == 1 else key

    def _places(self, cells: int) -> list[tuple[KeyHint, tuple[int, int]]]:
        fitting, used = [], 1
        for hint in self._hints:
            needed = cell_len(f"{self._label(hint.key)} {hint.title}") + 2
            if used + needed <= cells + 1:
                fitting.append(hint)
                used += needed
        placed, x = [], 1
        for hint in sorted(fitting, key=lambda hint: hint.place):
            stop = x + cell_len(f"{self._label(hint.key)} {hint.title}")
            placed.append((hint, (x, stop)))
            x = stop + 2
        return placed
