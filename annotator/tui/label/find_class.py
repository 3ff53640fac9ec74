"""The dialog that finds a class among hundreds by a few letters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.fuzzy import Matcher
from textual.screen import ModalScreen
from textual.widgets import Input, Label, OptionList
from textual.widgets.option_list import Option

from annotator.items.refs import make_printable
from annotator.project.settings import ClassInfo
from annotator.tui.styled_text import format_chance

MOST = 200
"""Classes in the list; more letters find the others."""


class FindClassScreen(ModalScreen[str | None]):
    """A dialog that returns the name of the class to label with, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,ctrl+c", "leave", "cancel", priority=True),
        Binding("down,ctrl+n", "move(1)", priority=True),
        Binding("up,ctrl+p", "move(-1)", priority=True),
        Binding("pagedown", "move(8)", priority=True),
        Binding("pageup", "move(-8)", priority=True),
    ]

    def __init__(
        self,
        classes: Sequence[ClassInfo],
        keys: Mapping[str, str],
        counts: Mapping[str, int],
        shares: Mapping[str, float] | None,
    ) -> None:
        """Prepare the list; `keys`, `counts` of labels and `shares` go by class name."""
        super().__init__()
        self._infos, self._keys_of, self._counts = classes, keys, counts
        self._shares = shares or {}
        self._found: list[ClassInfo] = []
        self._options = OptionList()
        self._about = Label("", classes="dim", id="about", markup=False)

    def compose(self) -> ComposeResult:
        """Lay out the input, the classes and the description."""
        with Vertical(classes="dialog wide"):
            yield Input(placeholder="some letters of the class or of a synonym")
            yield self._options
            yield self._about
            yield Label("enter labels with it · esc cancels", classes="dim")

    def on_mount(self) -> None:
        """List all classes."""
        self._list("")

    def on_input_changed(self, event: Input.Changed) -> None:
        """List the classes that match the letters."""
        self._list(event.value.strip())

    def on_input_submitted(self) -> None:
        """Return the highlighted class."""
        place = self._options.highlighted
        known = place is not None and place < len(self._found)
        self.dismiss(self._found[place].name if known and place is not None else None)

    @on(OptionList.OptionSelected)
    def _clicked(self, event: OptionList.OptionSelected) -> None:
        if event.option_index < len(self._found):
            self.dismiss(self._found[event.option_index].name)

    @on(OptionList.OptionHighlighted)
    def _describe(self, event: OptionList.OptionHighlighted) -> None:
        if event.option_index < len(self._found):  # else it is of the list before
            self._about.update(describe_class(self._found[event.option_index]))

    def action_move(self, by: int) -> None:
        """Move the highlight by some classes."""
        options = self._options
        if self._found:
            now = options.highlighted or 0
            options.highlighted = max(0, min(now + by, len(self._found) - 1))

    def action_leave(self) -> None:
        """Close the dialog without a class."""
        self.dismiss(None)

    def _list(self, letters: str) -> None:
        self._found = search_classes(self._infos, letters, self._shares)[:MOST]
        options = self._options
        options.clear_options()
        options.add_options([Option(self._prompt(info)) for info in self._found])
        options.highlighted = 0 if self._found else None
        if not self._found:
            self._about.update("No class has these letters in this order.")

    def _prompt(self, info: ClassInfo) -> Text:
        share = self._shares.get(info.name)
        likely = f"  {format_chance(share)}" if share is not None else ""
        key = self._keys_of.get(info.name, "")
        return Text.assemble(
            (f"{key:>3} ", "bold"), (make_printable(info.name), "bold"),
            f"  {self._counts.get(info.name, 0):,}{likely}", no_wrap=True, overflow="ellipsis",
        )  # fmt: skip


def search_classes(
    classes: Sequence[ClassInfo], letters: str, shares: Mapping[str, float]
) -> list[ClassInfo]:
    """Return the classes whose name or synonym has these letters in this order, best first.

    Without letters the most probable classes come first.
    """
    if not letters:
        return sorted(classes, key=lambda info: -shares.get(info.name, 0.0))
    matcher = Matcher(letters)
    scored = [
        (max(matcher.match(name) for name in (info.name, *info.synonyms)), info)
        for info in classes
    ]  # fmt: skip
    found = [(score, info) for score, info in scored if score > 0]
    return [info for _, info in sorted(found, key=lambda pair: -pair[0])]


def describe_class(info: ClassInfo) -> str:
    """Return the description of a class in annotator.toml."""
    lines = [info.description, ", ".join(info.synonyms), info.link]
    if info.examples:
        lines.append(f"{len(info.examples)} reference pictures")
    return "\n".join(make_printable(line) for line in lines if line)
