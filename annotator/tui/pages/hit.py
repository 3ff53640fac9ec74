"""The pages of a HIT: the four interfaces of the ImageNet tool, and images from the reserve."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from annotator.hits.work import HitSource
from annotator.items.refs import Item, plural
from annotator.pages import Page
from annotator.project.project import ProjectFolder
from annotator.session.session import LabelSession
from annotator.terminal.caps import TerminalCapabilities
from annotator.terminal.pacing import Pacer
from annotator.terminal.sheet import PointerDot, Sheet
from annotator.tui.pages.keys import FOOTER, PAGE_COMMANDS, PageCommand
from annotator.tui.pages.screen import PageScreen

STEP = 1 / 32
"""The step of a dot, as a share of the picture: each step sends the page anew."""


class HitScreen(PageScreen):
    """A page screen that blurs, marks the pointer and replaces what is broken, as the HIT says."""

    # A worker sees the pages of the task, and no others.
    commands: ClassVar[Sequence[PageCommand]] = tuple(
        replace(command, help="") if command.name == "skip" else command
        for command in PAGE_COMMANDS
        if command.name != "similar"
    )
    footer: ClassVar[Sequence[str]] = tuple(name for name in FOOTER if name != "skip")

    def __init__(
        self,
        source: HitSource,
        project: ProjectFolder,
        session: LabelSession,
        caps: TerminalCapabilities,
        pacer: Pacer,
    ) -> None:
        """Show the pages of an assignment in its interface; the source's recorder follows."""
        task = source.task
        super().__init__(
            source, project, session, caps, pacer,
            per_page=max(len(page.images) for page in task.hit.pages), prediction=False,
            recorder=source.recorder, image_id=source.image_id,
        )  # fmt: skip
        version = task.assignment.version
        self.blurred = version.endswith("NO_ORIGINAL")
        """True if images are blurred until they are hovered, under the cursor or selected."""
        self.dotted = not version.startswith("NO_POINTER")
        """True if a dot stands where the pointer was last on each image, for good if selected."""
        self.all_must_be_seen = task.assignment.checks.unseen
        self._hits = source
        self._dots: dict[int, PointerDot] = {}
        self._lost: set[str] = set()

    def _begin(self, page: Page) -> None:
        self._dots.clear()
        super()._begin(page)

    def note_seen(self) -> None:
        """Record the part in view, and replace its broken images."""
        super().note_seen()
        self._replace_broken()

    def refresh_tiles(self, places: set[int], by: str, point: tuple[float, ...] = ()) -> None:
        """Draw tiles anew, and the page if its blur or its dots have changed."""
        super().refresh_tiles(places, by, point)
        self._redraw_if_changed()

    def follow_pointer(self, x: float, y: float) -> None:
        """Record the pointer, and move the dot of its image."""
        super().follow_pointer(x, y)
        last = self.pointer.last
        if self.dotted and last is not None and not self.require_page()[1].selected(last[0]):
            place = last[0]
            self._dots[place] = PointerDot(
                place, *(round(value / STEP) * STEP for value in last[1:])
            )
        self._redraw_if_changed()

    def skip_page(self) -> None:
        """Refuse: a worker answers every page of a HIT, or leaves it for later."""
        self.say("No page of a HIT can be skipped: submit it, or press Q to do it later", "warn")

    # --- the interface of the version

    def _make_sheet(self, page: Page, first: int) -> Sheet | None:
        sheet = super()._make_sheet(page, first)
        if sheet is None or not (self.blurred or self.dotted):
            return sheet
        shown, view = page is self.page, range(first, first + len(sheet.items))
        dots = (d._replace(place=d.place - first) for d in self._dots.values() if d.place in view)
        clear = self._clear() if shown else {page.refs.index(ref) for ref in page.selected}
        return replace(
            sheet,
            blurred_out=self.blurred,
            unblurred=frozenset(place - first for place in clear if place in view),
            dots=frozenset(dots) if shown else frozenset(),
        )

    def _clear(self) -> set[int]:
        """Return the places of the images that are not blurred."""
        selection = self.selection
        if selection is None:
            return set()
        on = {place for place in (self.pointer.hovered, self.pointer.cursor) if place is not None}
        return on | {place for place in range(len(selection)) if selection.selected(place)}

    def _redraw_if_changed(self) -> None:
        """Show the page as the hand left it, if that looks different now."""
        if self.page is None or self.shows_other_item or not (self.blurred or self.dotted):
            return
        sheet = self._make_sheet(self.page, self.first)
        if sheet is not None and sheet != self._sheet:
            self._sheet = sheet
            self._show_sheet(sheet)

    # --- broken images

    def _replace_broken(self) -> None:
        """Replace the images that cannot be read, as far as the reserve goes, and say so."""
        page, selection = self.page, self.selection
        if page is None or selection is None:
            return
        gone = [ref for ref in self.broken(page) if ref not in self._lost]
        for ref in gone:
            place = page.refs.index(ref)
            better = self._hits.replace_image(page, ref)
            self.pointer.replaced(place, self.composer.broken[Item.parse(ref)], better)
            self._lost.add(ref)
            if better is not None:
                selection.marks.pop(ref, None)
                self.page = selection.page = page = better
        if gone:
            self.say(
                f"cannot be read: {plural(len(gone), 'image')}. Others take their places", "warn"
            )
            self.show_page()
