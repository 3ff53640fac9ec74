"""The list of the classes: key, name, number of labels, and probability for the item.

And the choices of the dialog that finds one among hundreds by a few letters.
"""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len
from textual import events
from textual.geometry import Size
from textual.message import Message

from annotator.items.refs import make_printable
from annotator.project.class_tree import ClassTree
from annotator.tui.keymaps import LABEL, Action
from annotator.tui.styled_text import (
    Line,
    clip_end,
    draw_bar,
    format_chance,
    justify_line,
    line_width,
)
from annotator.tui.widgets.choices import Choice
from annotator.tui.widgets.lines import Lines

if TYPE_CHECKING:
    from annotator.project.settings import ClassInfo
    from annotator.session.session import LabelSession

INDENT = "  "
"""The indent of a class below another one."""


@dataclass(frozen=True, slots=True)
class ClassRow:
    """The state of one class."""

    name: str
    key: str
    """The key as shown; "" for a class without a key."""
    count: int
    share: float | None = None
    """The probability by the model; None if there is no model, or if it is hidden."""
    likeliest: bool = False
    chosen: bool | None = None
    """True if the class is chosen for the item; None in projects with one class an item."""
    depth: int = 0
    """The number of classes above it in the list, by which its name is indented."""
    path: str = ""
    """The name with the classes above it, for a class whose parent is not above it in the list."""

    def title(self, cells: int) -> str:
        """Return the name as the list shows it, within `cells`."""
        if self.path and cell_len(self.path) <= cells:
            return self.path
        return clip_end(INDENT * self.depth + self.name, cells)


LEAST = 12
"""Lines that a list too long for the screen keeps, at the expense of the numbers below."""


class ChosenClasses:
    """The classes chosen so far for one item, in a project whose items may have several.

    A choice for another item replaces them.
    """

    def __init__(self) -> None:
        self._ref: str | None = None
        self._names: frozenset[str] = frozenset()

    def has_choice(self, ref: str) -> bool:
        """Return whether something was chosen for an item."""
        return ref == self._ref

    def names(self, ref: str, before: Collection[str] = ()) -> frozenset[str]:
        """Return the chosen classes of an item; `before` if nothing was chosen for it."""
        return self._names if ref == self._ref else frozenset(before)

    def toggle(self, ref: str, name: str, before: Collection[str] = ()) -> None:
        """Choose a class for an item, or take the choice back."""
        self._ref, self._names = ref, self.names(ref, before) ^ {name}

    def clear(self) -> None:
        """Forget the choice."""
        self._ref, self._names = None, frozenset()


class ClassList(Lines):
    """The rows of the classes. A click labels with a class, the wheel shows further classes."""

    @dataclass
    class Chosen(Message):
        """A click on a class."""

        name: str

        @property
        def action(self) -> Action:
            """The action of the class's key."""
            return LABEL, self.name

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._rows: Sequence[ClassRow] = ()
        self._keyed: list[tuple[str, str]] = []
        self._pinned = self._first = 0
        self._room = self._most = 0
        self.painted_at = math.inf
        """The time since which the keys in the list are on the screen (`time.monotonic`)."""

    def show(self, rows: Sequence[ClassRow], pinned: int = 0) -> None:
        """Show these classes; the first `pinned` of them keep their places when others scroll."""
        changed = len(rows) != len(self._rows)
        keyed = [(row.key, row.name) for row in rows if row.key]
        if keyed != self._keyed:
            self._keyed, self.painted_at = keyed, math.inf
            self.call_after_refresh(self._painted, keyed)
        self._rows, self._pinned = rows, pinned
        if changed:
            self.refresh(layout=True)
        self.update()

    def _painted(self, keyed: object) -> None:
        if keyed is self._keyed:
            self.painted_at = time.monotonic()

    def allot_rows(self, roomy: int, most: int) -> None:
        """Set the lines of the list: at most `most`, and `roomy` if each class takes several."""
        self._room, self._most = roomy, max(1, most)
        self.styles.max_height = self._most
        self.refresh(layout=True)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """Return the lines that the classes need, within the limits."""
        needed = self._each * len(self._rows)
        return needed if needed <= self._most else min(self._most, max(LEAST, self._room))

    def draw(self, width: int, height: int) -> list[Line]:
        """Return the rows from the first one in view."""
        room = self._shown(height)
        self._first = max(0, min(self._first, len(self._rows) - room))
        shown = self._in_view(room)
        if self._each > 1:
            return [line for row in shown for line in (*two_lines(row, width), [])]
        lines = [one_line(row, width) for row in shown]
        hidden = len(self._rows) - room
        return [*lines, [(f"     … {hidden:,} more", "dim")]] if hidden > 0 else lines

    def _shown(self, height: int) -> int:
        """Return the number of classes in view; one line less if it must count the others."""
        fit = height // self._each
        return fit if fit >= len(self._rows) else max(1, fit - 1)

    def _in_view(self, room: int) -> Sequence[ClassRow]:
        """Return the classes in view: the pinned ones, then those from the first in view."""
        pinned = min(self._pinned, room)
        start = pinned + self._first
        return [*self._rows[:pinned], *self._rows[start : start + room - pinned]]

    @property
    def _each(self) -> int:
        return 3 if 3 * len(self._rows) <= self._room else 1

    def on_click(self, event: events.Click) -> None:
        """Choose the class under the pointer, if it was there when the button went down."""
        line, shown = event.y // self._each, self._in_view(self._shown(self.size.height))
        if line < len(shown) and (not self._pinned or event.time >= self.painted_at):
            self.post_message(self.Chosen(shown[line].name))

    def on_mouse_scroll_down(self) -> None:
        """Show the next class."""
        self._first += 1
        self.update()

    def on_mouse_scroll_up(self) -> None:
        """Show the previous class."""
        self._first -= 1
        self.update()


def two_lines(row: ClassRow, cells: int) -> tuple[Line, Line]:
    """Return the key, the name and the count; under them the probability as a bar."""
    count = f"{row.count:,} "
    name = row.title(cells - 6 - len(count))
    head = justify_line([*_key(row), (name, _weight(row))], [(count, "dim")], cells)
    if row.share is None:
        return head, []
    number = f" {format_chance(row.share):>5} "
    track = draw_bar(row.share, cells - 5 - len(number), "best" if row.likeliest else "bar")
    return head, [("     ", "text"), *track, (number, "strong" if row.likeliest else "dim")]


def one_line(row: ClassRow, cells: int) -> Line:
    """Return a class on one line: a number replaces the bar."""
    right: Line = [(f"{row.count:,} ", "dim")]
    if row.share is not None:
        right.append((f"{format_chance(row.share):>5} ", "best" if row.likeliest else "dim"))
    name = row.title(cells - 6 - line_width(right))
    return justify_line([*_key(row), (name, _weight(row))], right, cells)


def _weight(row: ClassRow) -> str:
    """Return the role of a name: chosen classes stand out, else the most probable one."""
    outstanding = row.likeliest if row.chosen is None else row.chosen
    return "strong" if outstanding else "text"


def _key(row: ClassRow) -> Line:
    """Return the key, and a mark beside the most probable class: colour alone does not tell it."""
    if row.chosen is not None:
        # Not a block: next to the key it would look like a part of the key.
        box: Line = [("✓" if row.chosen else "·", "strong" if row.chosen else "dim")]
        return [(" ", "text"), (f" {row.key or ' '} ", "key" if row.key else "text"), *box]
    mark: Line = [("▸" if row.likeliest else " ", "best" if row.likeliest else "text")]
    if not row.key:
        return [("    ", "text"), *mark]
    return [(" ", "text"), (f" {row.key} ", "key"), *mark]


def count_labels(session: LabelSession) -> dict[str, int]:
    """Return the labels of each class on offer, those of the classes below it included."""
    sums = session.learner.tree.counts(session.class_counts)
    return {name: sums[name] for name in session.classes}


def class_choices(
    classes: Sequence[ClassInfo],
    keys: Mapping[str, str],
    counts: Mapping[str, int],
    shares: Mapping[str, float] | None,
) -> list[Choice[str]]:
    """Return the classes, the most probable first; `keys`, `counts` and `shares` go by name.

    If only some have a key, they come after the others: they need no search. In a hierarchy each
    class is below its parent, and is found by its parents' names, too.
    """
    tree = ClassTree.of(classes)
    some = any(not keys.get(info.name) for info in classes)
    likely = shares or {}
    ranked = sorted(
        classes, key=lambda info: (some and bool(keys.get(info.name)), -likely.get(info.name, 0.0))
    )
    if not tree.is_flat:
        places = {name: place for place, name in enumerate(tree.order)}
        ranked = sorted(classes, key=lambda info: places[info.name])
        counts, likely = tree.counts(counts), tree.sum_up(likely) if shares else {}
    return [
        Choice(
            info.name,
            INDENT * (tree.level(info.name) - 1) + make_printable(info.name),
            key=keys.get(info.name, ""),
            count=counts.get(info.name, 0),
            share=likely.get(info.name),
            synonyms=(*info.synonyms, *tree.line(info.name)[:-1]),
            details=describe_class(info),
        )
        for info in ranked
    ]


def describe_class(info: ClassInfo) -> str:
    """Return the description of a class in annotator.toml."""
    lines = [info.description, ", ".join(info.synonyms), info.link]
    if info.examples:
        lines.append(f"{len(info.examples)} reference pictures")
    return "\n".join(make_printable(line) for line in lines if line)
