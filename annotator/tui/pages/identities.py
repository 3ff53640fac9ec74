"""Reviews identities: each cluster is a page to confirm, name, merge, divide and clean."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Label

from annotator.errors import ProjectError
from annotator.items.refs import make_printable
from annotator.pages.identities import LOOSE, IdentitySource
from annotator.project.clusters import NOISE_CLASS
from annotator.project.settings import ClassInfo, check_classes
from annotator.tui.label.find_class import FindClassScreen
from annotator.tui.pages.screen import PageScreen
from annotator.tui.widgets.bars import KeyHint

KEYS = {"E": "name", "M": "merge", "D": "divide", "X": "noise"}
"""Beside those of every page."""
WORDS = {
    "name": "Name this identity, or the selected loose ones.",
    "merge": "This is somebody who has a page already: choose whom.",
    "divide": "The selected are another identity: name it.",
    "noise": "The selected, else the tile, belong to nobody: the noise bin.",
}


class IdentitiesScreen(PageScreen):
    """Pages of identities. ⏎ confirms; what is selected is moved out, or has another name."""

    source: IdentitySource

    def hints(self) -> list[KeyHint]:
        titles = {"⏎": "confirm", "space": "move out"}
        hints = [hint._replace(title=titles.get(hint.key, hint.title)) for hint in super().hints()]
        own = [KeyHint(key, name, (name, ""), 2) for key, name in KEYS.items()]
        return [*hints[:3], *own, *hints[3:]]

    def on_key(self, event: events.Key) -> None:
        command = KEYS.get(event.character or "")
        if command is not None:
            event.stop()
            event.prevent_default()
            self.perform(command)

    def perform(self, command: str, argument: str = "") -> None:
        """Do what a key or a click asks for."""
        own: dict[str, Callable[[], None]] = {
            "name": self._rename, "merge": self._merge,
            "divide": self._divide, "noise": self._noise,
        }  # fmt: skip
        if command not in own:
            super().perform(command, argument)
        elif self.page is not None and self.board is not None:
            own[command]()

    # --- what the keys do

    def _rename(self) -> None:
        """Another name for the page; of loose ones, a name for what is selected."""
        if self.page is None or self._is_loose():
            self._divide()
            return
        page = self.page
        heading = f"Who is {make_printable(page.label)}?"
        self.app.push_screen(NameScreen(heading, page.label), self._renamed)

    def _merge(self) -> None:
        """Whose page this is, too: the name of an identity that is there already."""
        names = self.source.names
        counts = self.session.progress.classes
        if not names:
            self.say("nobody has a name yet: E names this identity", "dim")
            return
        infos = [ClassInfo(name) for name in names]
        take = self._given if self._is_loose() else self._renamed
        self.app.push_screen(FindClassScreen(infos, {}, counts, None), take)

    def _divide(self) -> None:
        """What is selected, else the tile, is an identity of its own."""
        name = self.source.new_identity_label(self.require_selection().marks)
        heading = f"Who {'are these' if len(self.require_selection().marks) > 1 else 'is this'}?"
        self.app.push_screen(NameScreen(heading, name), self._given)

    def _noise(self) -> None:
        self._given(NOISE_CLASS)

    def _given(self, name: str | None) -> None:
        if name is not None and self.page is not None:
            self.renew(self.require_selection().give(name), "class")

    def _renamed(self, name: str | None) -> None:
        page, board = self.page, self.board
        if name is None or page is None or board is None or name == page.label:
            return
        self.page = board.page = self.source.rename(page, name)
        # What had this name by a mark of its own belongs to the page now.
        for ref in [ref for ref, given in board.marks.items() if given == name]:
            del board.marks[ref]
        self.renew(set(range(len(board))), "class")

    def _is_loose(self) -> bool:
        return self.page is not None and self.page.order == LOOSE


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
            self.query_one("#fault", Label).update(
                make_printable(str(error).splitlines()[-1].strip())
            )
            return
        self.dismiss(name)

    def action_leave(self) -> None:
        self.dismiss(None)
