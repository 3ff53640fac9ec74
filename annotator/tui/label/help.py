"""All keys, and the few things that one should know."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from annotator.items.refs import make_printable
from annotator.project.project import ProjectFolder
from annotator.tui.keymaps import COMMANDS, Keymap

_ABOUT = (
    "Every answer is on disk before the next picture shows: quit, lose the line or pull the plug, "
    "and go on where you were with the same command.",
    "The estimated pool error is that of the current model on all items, with its 90 % interval. "
    "It rests on the labels whose probability of being drawn is known; n_eff is how many evenly "
    "drawn labels they are worth, and from 8 on the estimate is shown.",
    "The difficulty of what you are shown is how often the model was wrong on each item just "
    "before you labelled it. Items are picked for being hard, so this is no estimate of the error "
    "on the whole pool.",
)


class HelpScreen(ModalScreen[None]):
    """Any key closes it, except those that scroll."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,Q,h,H,question_mark,enter,space,ctrl+c", "leave", "close", priority=True)
    ]

    def __init__(self, keymap: Keymap, classes: Sequence[str], project: ProjectFolder) -> None:
        super().__init__()
        self._keys_of, self._labels, self._project = keymap, classes, project

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="dialog wide"):
            yield Static("Keys", classes="heading")
            yield Static(self._table())
            for paragraph in _ABOUT:
                yield Static(paragraph, classes="dim")
            yield Static("esc closes this", classes="dim")

    def action_leave(self) -> None:
        self.dismiss(None)

    def _table(self) -> Table:
        keyed = [name for name in self._labels if self._keys_of.class_keys(name)]
        rows = [(", ".join(self._keys_of.class_keys(name)), self._describe(name)) for name in keyed]
        if others := len(self._labels) - len(keyed):
            ways = (*self._keys_of.keys("classes"), *self._keys_of.keys("palette"))
            words = f"Label as one of {others:,} other classes, found by a few letters"
            rows.append((", ".join(ways), words))
        several = self._project.settings.multi_label
        rows += [
            (", ".join(self._keys_of.keys(c.name)), c.help)
            for c in COMMANDS
            if c.name != "confirm" or several
        ]
        table = Table.grid(padding=(0, 2))
        table.add_column(style="bold", justify="right", no_wrap=True)
        table.add_column()
        for keys, words in rows:
            table.add_row(keys, Text(words))
        return table

    def _describe(self, name: str) -> str:
        info = next(info for info in self._project.settings.classes if info.name == name)
        about = f": {make_printable(info.description)}" if info.description else ""
        return f"Label as {make_printable(name)}{about}"
