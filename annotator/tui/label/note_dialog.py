"""Asks for a note on the item."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Label


class NoteScreen(ModalScreen[str | None]):
    """Returns the text, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,ctrl+c", "leave", "cancel", priority=True)
    ]

    def __init__(self, earlier: Sequence[str]) -> None:
        super().__init__()
        self._earlier = earlier

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Label("Note", classes="heading")
            for note in self._earlier[-3:]:
                yield Label(note, classes="dim", markup=False)
            yield Input(placeholder="what is to be remembered of this item", max_length=1000)
            yield Label("enter keeps it · esc leaves it", classes="dim")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        self.dismiss(event.value.strip() or None)

    def action_leave(self) -> None:
        self.dismiss(None)
