"""The keys of a page."""

from __future__ import annotations

from typing import ClassVar

from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Label, Static

from annotator.tui.pages.text import KEYS


class PageHelpScreen(ModalScreen[None]):
    """Closes with any of the keys that leave a dialog."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,h,H,question_mark,q,Q,enter,ctrl+c", "leave", "close", priority=True)
    ]

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="dialog wide"):
            yield Label("A page", classes="heading")
            yield Static(_table())

    def action_leave(self) -> None:
        self.dismiss()


def _table() -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    for keys, _, words in KEYS:
        table.add_row(Text(keys), Text(words))
    return table
