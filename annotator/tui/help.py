"""The help screen: all keys, and an explanation of the terms that are on screen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from annotator.items.refs import make_printable

if TYPE_CHECKING:
    from annotator.project.settings import ClassInfo
    from annotator.tui.commands import Command
    from annotator.tui.keymaps import Keymap

_ABOUT = (
    "Every answer is on disk before the next image shows. You may quit, lose the connection or "
    "pull the plug: the same command resumes your work.",
    "On a Cyrillic, Greek, Hebrew or AZERTY keyboard the keys work by their place; text does not "
    "change.",
)


class HelpScreen(ModalScreen[None]):
    """A dialog that any key closes, except the keys that scroll."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,Q,h,H,question_mark,enter,space,ctrl+c", "leave", "close", priority=True)
    ]

    def __init__(
        self,
        keymap: Keymap,
        commands: Iterable[Command[Any]],
        classes: Sequence[ClassInfo],
        terms: Mapping[str, str],
    ) -> None:
        """Prepare the help; `terms` are the terms on the screen below, with their explanations."""
        super().__init__()
        self._keymap, self._commands = keymap, tuple(commands)
        self._infos, self._terms = classes, terms

    def compose(self) -> ComposeResult:
        """Lay out the keys, the terms and what is good to know."""
        with VerticalScroll(classes="dialog wide"):
            yield Static("Keys", classes="heading")
            yield Static(self._key_table())
            if self._terms:
                yield Static("On this screen", classes="heading below")
                yield Static(self._term_table())
            for paragraph in _ABOUT:
                yield Static(paragraph, classes="dim")
            yield Static("All terms are in docs/glossary.md. esc closes this.", classes="dim")

    def action_leave(self) -> None:
        """Close the dialog."""
        self.dismiss(None)

    def _key_table(self) -> Table:
        keymap = self._keymap
        keyed = [info for info in self._infos if keymap.class_keys(info.name)]
        rows = [(", ".join(keymap.class_keys(info.name)), _describe(info)) for info in keyed]
        if keymap.likeliest:
            digits = f"{keymap.digits[0]} – {keymap.digits[-1]}"
            rows.insert(0, (digits, "Label as the class beside it. They change with the picture."))
        if others := len(self._infos) - len(keyed):
            keys = (*keymap.keys("classes"), *keymap.keys("palette"))
            words = f"Label as one of {others:,} other classes, found by a few letters."
            rows.append((", ".join(keys), words))
        rows += [
            (", ".join(command.shown_keys(keymap)), command.help) for command in self._commands
        ]
        return _table(rows)

    def _term_table(self) -> Table:
        return _table(self._terms.items())


def _table(rows: Iterable[tuple[str, str]]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", justify="right", no_wrap=True)
    table.add_column()
    for head, words in rows:
        table.add_row(head, Text(words))
    return table


def _describe(info: ClassInfo) -> str:
    about = f": {make_printable(info.description)}" if info.description else ""
    return f"Label as {make_printable(info.name)}{about}"
