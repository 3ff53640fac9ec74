"""The dialog that chooses one of many things: a list that is filtered as one types."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

from rich.cells import cell_len
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.geometry import Size
from textual.message import Message
from textual.screen import ModalScreen
from textual.widgets import Input, Label

from annotator.tui.styled_text import Line, clip_end, format_chance, justify_line, line_width
from annotator.tui.widgets.lines import Lines

Value = TypeVar("Value")
MOST_ROWS = 18
"""Rows of the list in a tall window."""
_OTHER_ROWS, _DETAIL_ROWS = 11, 3
"""Rows of the dialog beside its list, and those of the details."""
_NARROW = 70
"""Columns of a window below which the last line of the dialog is wrapped."""
_SHARE = 0.9
"""The share of the window's rows that a dialog may take: see app.tcss."""
_MOST_TITLE = 30
"""Cells of the column of titles; a longer title is cut."""
_SPACES = str.maketrans("_-/.", "    ")


@dataclass(frozen=True, slots=True)
class Choice(Generic[Value]):
    """One thing to choose: the result, what the list says about it, and what finds it."""

    value: Value
    title: str
    about: str = ""
    """A few words beside the title."""
    key: str = ""
    """The key that does the same without the dialog."""
    count: int | None = None
    """The labels of its class."""
    share: float | None = None
    """The probability of its class."""
    synonyms: tuple[str, ...] = ()
    """Other names that find it."""
    details: str = ""
    """Lines under the list while it is highlighted."""


def filter_choices(choices: Sequence[Choice[Value]], letters: str) -> list[Choice[Value]]:
    """Return the choices whose title or synonym has these letters in this order, best first.

    A whole name comes first, then the beginning of a name, of a word in it, and any other part.
    Words may stand for different parts. Choices that fit equally well keep their order.
    """
    wanted = _plain(letters).strip()
    if not wanted:
        return list(choices)
    fits = [(_fit(choice, wanted), choice) for choice in choices]
    found = [(fit, choice) for fit, choice in fits if fit is not None]
    return [choice for _, choice in sorted(found, key=lambda pair: pair[0])]


def _plain(text: str) -> str:
    return text.casefold().translate(_SPACES)


def _fit(choice: Choice[Any], wanted: str) -> int | None:
    """Return how far a choice is from what is wanted, 0 for its whole name; None if it is not."""
    names = [_plain(name).strip() for name in (choice.title, *choice.synonyms)]
    best = min((_distance(name, wanted) for name in names), default=_FAR)
    if best == _FAR and " " in wanted:
        best = max(min(_distance(name, word) for name in names) for word in wanted.split())
    return best if best < _FAR else None


_FAR = 5


def _distance(name: str, wanted: str) -> int:
    if wanted in name:
        if name.startswith(wanted):
            return 0 if name == wanted else 1
        return 2 if f" {wanted}" in name else 3
    rest = iter(name)
    return 4 if all(letter in rest for letter in wanted if letter != " ") else _FAR


class ChoiceList(Lines):
    """The rows of the choices that fit, one of them highlighted."""

    @dataclass
    class Clicked(Message):
        """A click on the choice that is highlighted now."""

    def __init__(self, total: int, **options: Any) -> None:
        super().__init__(**options)
        self._total = total
        self._choices: Sequence[Choice[Any]] = ()
        self._place = self._first = self._title = 0
        self._keyed = False

    def show(self, choices: Sequence[Choice[Any]], place: int = 0) -> None:
        """Show these choices, with the one at `place` highlighted."""
        self._choices, self._place, self._first = choices, place, 0
        self._title = min(_MOST_TITLE, max((cell_len(one.title) for one in choices), default=0))
        self._keyed = any(one.key for one in choices)
        self.update()

    @property
    def highlighted(self) -> Choice[Any] | None:
        """The choice that Enter takes; None if nothing fits."""
        return self._choices[self._place] if self._choices else None

    def move(self, by: int) -> None:
        """Move the highlight by some rows."""
        self._place = max(0, min(self._place + by, len(self._choices) - 1))
        self.update()

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """Return the lines that all choices need: fewer that fit do not move the dialog."""
        return max(1, self._total)

    def draw(self, width: int, height: int) -> list[Line]:
        """Return the rows around the highlighted one."""
        last = max(0, len(self._choices) - height)
        self._first = min(max(self._first, self._place - height + 1), self._place, last)
        shown = self._choices[self._first : self._first + height]
        return [
            self._row(choice, width, self._first + line == self._place)
            for line, choice in enumerate(shown)
        ]

    def _row(self, choice: Choice[Any], width: int, highlighted: bool) -> Line:
        share = f"{format_chance(choice.share):>5}" if choice.share is not None else ""
        count = f" {choice.count:>6,}" if choice.count is not None else ""
        right: Line = [(f" {share}{count} " if share or count else "", "dim")]
        key: Line = [(f"{choice.key:>3} " if self._keyed else " ", "title")]
        title = clip_end(choice.title, self._title)
        left: Line = [*key, (title + " " * (self._title - cell_len(title)), "strong")]
        about = clip_end(choice.about, width - line_width([*left, *right]) - 3)
        line = justify_line([*left, (f"  {about}" if about else "", "text")], right, width)
        return [(text, "key") for text, _ in line] if highlighted else line

    def on_click(self, event: events.Click) -> None:
        """Choose the row under the pointer."""
        if self._first + event.y < len(self._choices):
            self._place = self._first + event.y
            self.update()
            self.post_message(self.Clicked())

    def on_mouse_scroll_down(self) -> None:
        """Move the highlight down."""
        self.move(3)

    def on_mouse_scroll_up(self) -> None:
        """Move the highlight up."""
        self.move(-3)


class ChoiceScreen(ModalScreen[Value | None]):
    """A dialog that returns the value of the choice, or None. It filters as one types."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,ctrl+c", "leave", "cancel", priority=True),
        Binding("down,ctrl+n", "move(1)", priority=True),
        Binding("up,ctrl+p", "move(-1)", priority=True),
        Binding("pagedown", "move(8)", priority=True),
        Binding("pageup", "move(-8)", priority=True),
    ]

    def __init__(
        self, choices: Sequence[Choice[Value]], *, heading: str, does: str, place: int = 0
    ) -> None:
        """Offer choices, the one at `place` first; `does` says what Enter does."""
        super().__init__()
        self._choices, self._does, self._place = choices, does, place
        self._heading = heading
        self._detailed = any(choice.details for choice in choices)
        self._list = ChoiceList(len(choices))
        self._details = Label("", classes="line", markup=False)
        self._counted = Label("", classes="dim", markup=False)

    def compose(self) -> ComposeResult:
        """Lay out the letters, the choices and what is said about the highlighted one."""
        with Vertical(classes="dialog wide"):
            yield Label(self._heading, classes="heading", markup=False)
            yield Input(placeholder="type some letters of it", max_length=200)
            yield self._list
            if self._detailed:
                yield self._details
            yield self._counted

    def on_mount(self) -> None:
        """List all choices."""
        self._show(self._choices, self._place)

    def on_resize(self, event: events.Resize) -> None:
        """Show as many choices as the window has room for."""
        others = _OTHER_ROWS + (_DETAIL_ROWS if self._detailed else 0)
        others += event.size.width < _NARROW
        most = min(MOST_ROWS, int(_SHARE * event.size.height) - others)
        self._list.styles.max_height = max(1, most)

    def on_input_changed(self, event: Input.Changed) -> None:
        """List the choices that have the letters."""
        letters = event.value.strip()
        self._show(filter_choices(self._choices, letters), 0 if letters else self._place)

    def on_input_submitted(self) -> None:
        """Return what is highlighted."""
        self._choose()

    def on_choice_list_clicked(self) -> None:
        """Return what was clicked."""
        self._choose()

    def action_move(self, by: int) -> None:
        """Move the highlight by some choices."""
        self._list.move(by)
        self._describe()

    def action_leave(self) -> None:
        """Close the dialog without a choice."""
        self.dismiss(None)

    def _choose(self) -> None:
        if (choice := self._list.highlighted) is not None:
            self.dismiss(choice.value)

    def _show(self, choices: Sequence[Choice[Value]], place: int) -> None:
        self._list.show(choices, place)
        total = f"{len(choices):,} of {len(self._choices):,}"
        none = "Nothing here has these letters in this order · esc cancels"
        self._counted.update(f"{total} · {self._does} · esc cancels" if choices else none)
        self._describe()

    def _describe(self) -> None:
        choice = self._list.highlighted
        self._details.update(choice.details if choice is not None else "")
