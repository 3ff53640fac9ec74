"""The review of identities: each cluster is a page to confirm, name, merge, divide and clean."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from textual import on
from textual.message import Message

from annotator.errors import AnnotatorError
from annotator.items.refs import make_printable
from annotator.pages.identities import LOOSE, IdentitySource
from annotator.project.clusters import NOISE_CLASS
from annotator.project.settings import ClassInfo
from annotator.tui.label.class_list import class_choices
from annotator.tui.pages.dialogs import NameScreen
from annotator.tui.pages.keys import FOOTER, PAGE_COMMANDS, PageCommand
from annotator.tui.pages.screen import PageScreen
from annotator.tui.widgets.choices import ChoiceScreen
from annotator.tui.workers import make_poster

if TYPE_CHECKING:
    from annotator.proposals.identities import FaceGroups, RegroupedFaces

_EPS_STEP = 1.1
_TITLES = {"submit": "confirm", "toggle": "move out"}
IDENTITY_COMMANDS: tuple[PageCommand, ...] = (
    PageCommand(
        "name", lambda screen, _: screen.rename(), {"E": ""}, "E", "name",
        "Name this identity, or the selected loose items.",
    ),
    PageCommand(
        "merge", lambda screen, _: screen.merge(), {"M": ""}, "M", "merge",
        "Choose the named identity that this page belongs to.",
        works=lambda screen: bool(screen.source.names),
    ),
    PageCommand(
        "divide", lambda screen, _: screen.divide(), {"D": ""}, "D", "divide",
        "Name the selected items as another identity.",
    ),
    PageCommand(
        "noise", lambda screen, _: screen.move_to_noise(), {"X": ""}, "X", "noise",
        "Give the selected items, or else the tile, to no identity.",
    ),
    PageCommand(
        "eps", lambda screen, way: screen.change_eps(float(way)),
        {"[": str(1 / _EPS_STEP), "]": str(_EPS_STEP)}, "[ ]", "eps",
        "Group the faces without a name again: [ for smaller groups, ] for larger ones.",
        without_page=True,
        works=lambda screen: screen.faces is not None and screen.faces.has_eps,
    ),
    *(replace(c, title=_TITLES.get(c.name, c.title)) for c in PAGE_COMMANDS),
)  # fmt: skip
"""The commands of identities, then those of every page."""


class IdentitiesScreen(PageScreen):
    """Pages of identities. ⏎ confirms; a selected item moves out, or gets another name."""

    source: IdentitySource
    commands: ClassVar[Sequence[PageCommand]] = IDENTITY_COMMANDS
    footer: ClassVar[Sequence[str]] = (
        *FOOTER[:3], "name", "merge", "divide", "noise", "eps", *FOOTER[3:],
    )  # fmt: skip

    class Regrouped(Message):
        """Other groups of the faces were found, or none could be."""

        def __init__(self, found: RegroupedFaces | None, reason: str = "") -> None:
            super().__init__()
            self.found, self.reason = found, reason

    def __init__(self, *args: Any, faces: FaceGroups | None = None, **options: Any) -> None:
        """Show the pages of a source; `faces` are regrouped with another eps, None cannot be."""
        super().__init__(*args, **options)
        self.faces, self._is_grouping = faces, False

    def on_mount(self) -> None:
        """Show the nearest distances of the faces, which say what eps fits."""
        if self.faces is not None:
            self._run(lambda faces: self.Regrouped(None, faces.describe_eps()))

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
        choices = class_choices(infos, {}, counts, None)
        dialog = ChoiceScreen(choices, heading="Who is this?", does="enter merges with it")
        self.app.push_screen(dialog, take)

    def divide(self) -> None:
        """Ask for the name of the selected items, or else of the tile: another identity."""
        marks = self.require_page()[1].marks
        name = self.source.new_identity_label(marks)
        heading = f"Who {'are these' if len(marks) > 1 else 'is this'}?"
        self.app.push_screen(NameScreen(heading, name), self._assign)

    def move_to_noise(self) -> None:
        """Give the selected items, or else the tile, to no identity."""
        self._assign(NOISE_CLASS)

    def change_eps(self, factor: float) -> None:
        """Group the faces again with another eps; a page with a selection is finished first."""
        selection = self.selection
        if self.faces is None:
            self.say("these groups are not of faces: annotator cluster has --eps", "dim")
        elif self._is_grouping:
            self.say("grouping …", "dim")
        elif selection is not None and (selection.marks or self.source.is_renamed(selection.page)):
            self.say("⏎ confirms this page first, S skips it", "warn")
        else:
            self.say("grouping …", "dim", 60)
            self._run(lambda faces: self.Regrouped(faces.regroup(factor)))

    def _run(self, work: Callable[[FaceGroups], Regrouped]) -> None:
        """Do something with the faces on a thread of its own: many take seconds."""
        faces, post = self.faces, make_poster(self)
        assert faces is not None

        def run() -> None:
            try:
                message = work(faces)
            except (AnnotatorError, OSError) as error:
                message = self.Regrouped(None, str(error))
            post(message)

        self._is_grouping = True
        threading.Thread(target=run, name="identities", daemon=True).start()

    @on(Regrouped)
    def _show_groups(self, message: Regrouped) -> None:
        self._is_grouping = False
        if message.found is None:
            if message.reason:
                self.say(make_printable(message.reason), "dim", 20)
            return
        if self.selection is not None and self.selection.marks:
            self.say("the groups are old: ⏎ confirms this page first", "warn")
            return
        self._ahead.clear()
        self._show_text("New groups")  # a page of the same faces is drawn anew, too
        self.source.regroup(message.found.clusters, message.found.loose)
        self.advance()
        self.say(message.found.summary, "text", 30)

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
