"""Asks for a name."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Label

from annotator.errors import ProjectError
from annotator.refs import printable
from annotator.settings import check_classes


class NameScreen(ModalScreen[str | None]):
    """Returns a name that a class can have, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,ctrl+c", "leave", "cancel", priority=True)
    ]

    def __init__(self, heading: str, name: str) -> None:
        super().__init__()
        self._heading, self._name_before = heading, name

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Label(self._heading, classes="heading", markup=False)
            yield Input(self._name_before, max_length=100, select_on_focus=True)
            yield Label("", classes="dim", id="fault", markup=False)
            yield Label("enter takes it · esc leaves it as it was", classes="dim")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        name = event.value.strip()
        try:
            check_classes((name,))
        except ProjectError as error:
            self.query_one("#fault", Label).update(printable(str(error).splitlines()[-1].strip()))
            return
        self.dismiss(name)

    def action_leave(self) -> None:
        self.dismiss(None)
