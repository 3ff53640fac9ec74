"""A notice while something is computed in another thread."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, ClassVar, Generic, TypeVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.message import Message
from textual.screen import ModalScreen
from textual.widgets import Label

from annotator.errors import AnnotatorError
from annotator.tui.workers import make_poster

Result = TypeVar("Result")


class WaitScreen(ModalScreen[Result | AnnotatorError | None], Generic[Result]):
    """A notice until a function returns; its result is that of the function, its error, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,ctrl+c", "leave", "cancel", priority=True)
    ]

    class Computed(Message):
        """The result of the function."""

        def __init__(self, result: Any) -> None:
            super().__init__()
            self.result = result

    def __init__(self, words: str, compute: Callable[[], Result]) -> None:
        """Show `words` until `compute` has returned."""
        super().__init__()
        self._words, self._compute, self._post = words, compute, make_poster(self)

    def compose(self) -> ComposeResult:
        """Lay out the notice."""
        with Vertical(classes="dialog"):
            yield Label(self._words, classes="heading", markup=False)
            yield Label("esc cancels", classes="dim")

    def on_mount(self) -> None:
        """Begin to compute."""
        threading.Thread(target=self._run, name="wait", daemon=True).start()

    def _run(self) -> None:
        result: Result | AnnotatorError
        try:
            result = self._compute()
        except AnnotatorError as error:
            result = error
        self._post(self.Computed(result))

    def on_wait_screen_computed(self, message: Computed) -> None:
        """Return the result."""
        if self.is_current:
            self.dismiss(message.result)

    def action_leave(self) -> None:
        """Leave without a result."""
        self.dismiss(None)
