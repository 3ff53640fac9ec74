"""The review of identities: each cluster is a page to confirm, name, merge, divide and clean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from annotator.items.refs import make_printable
from annotator.pages.identities import LOOSE, IdentitySource
from annotator.project.clusters import NOISE_CLASS
from annotator.project.settings import ClassInfo
from annotator.tui.label.find_class import FindClassScreen
from annotator.tui.pages.dialogs import NameScreen
from annotator.tui.pages.keys import FOOTER, PAGE_COMMANDS, PageCommand
from annotator.tui.pages.screen import PageScreen

_TITLES = {"submit": "confirm", "toggle": "move out"}
IDENTITY_COMMANDS: tuple[PageCommand, ...] = (
    PageCommand(
        "name", lambda screen, _: screen.rename(), {"E": ""}, "E", "name",
        "Name this identity, or the selected loose items.",
    ),
    PageCommand(
        "merge", lambda screen, _: screen.merge(), {"M": ""}, "M", "merge",
        "Choose the named identity that this page belongs to.",
    ),
    PageCommand(
        "divide", lambda screen, _: screen.divide(), {"D": ""}, "D", "divide",
        "Name the selected items as another identity.",
    ),
    PageCommand(
        "noise", lambda screen, _: screen.move_to_noise(), {"X": ""}, "X", "noise",
        "Give the selected items, or else the tile, to no identity.",
    ),
    *(replace(c, title=_TITLES.get(c.name, c.title)) for c in PAGE_COMMANDS),
)  # fmt: skip
"""The commands of identities, then those of every page."""


class IdentitiesScreen(PageScreen):
    """Pages of identities. ⏎ confirms; a selected item moves out, or gets another name."""

    source: IdentitySource
    commands: ClassVar[Sequence[PageCommand]] = IDENTITY_COMMANDS
    footer: ClassVar[Sequence[str]] = (
        *FOOTER[:3], "name", "merge", "divide", "noise", *FOOTER[3:],
    )  # fmt: skip

    # --- commands

    def rename(self) -> None:
        """Ask for another name of the page; of loose items, for a name of the selected ones."""
        if self.page is None or self._is_loose():
            self.divide()
            return
        page = self.page
        heading = f"Who is {make_printable(page.label)}?"
        self.app.push_screen(NameScreen(heading, page.label), self._take_name)

    def merge(self) -> None:
        """Ask which named identity this page belongs to."""
        names = self.source.names
        counts = self.session.progress.classes
        if not names:
            self.say("no identity has a name yet: E names this one", "dim")
            return
        infos = [ClassInfo(name) for name in names]
        take = self._assign if self._is_loose() else self._take_name
        self.app.push_screen(FindClassScreen(infos, {}, counts, None), take)

    def divide(self) -> None:
        """Ask for the name of the selected items, or else of the tile: another identity."""
        marks = self.require_page()[1].marks
        name = self.source.new_identity_label(marks)
        heading = f"Who {'are these' if len(marks) > 1 else 'is this'}?"
        self.app.push_screen(NameScreen(heading, name), self._assign)

    def move_to_noise(self) -> None:
        """Give the selected items, or else the tile, to no identity."""
        self._assign(NOISE_CLASS)

    def _assign(self, name: str | None) -> None:
        if name is not None and self.page is not None:
            _, selection = self.require_page()
            self.refresh_tiles(selection.assign_label(name), "class")

    def _take_name(self, name: str | None) -> None:
        page, selection = self.page, self.selection
        if name is None or page is None or selection is None or name == page.label:
            return
        self.page = selection.page = self.source.rename(page, name)
        # Items with this name as a mark of their own belong to the page now.
        for ref in [ref for ref, label in selection.marks.items() if label == name]:
            del selection.marks[ref]
        self.refresh_tiles(set(range(len(selection))), "class")

    def _is_loose(self) -> bool:
        return self.page is not None and self.page.order == LOOSE
