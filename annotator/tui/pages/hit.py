"""The pages of a HIT: the four interfaces of the ImageNet tool, and images from the reserve."""

from __future__ import annotations

from dataclasses import replace

from annotator.hits.work import HitSource
from annotator.items.refs import Item
from annotator.pages import Page
from annotator.terminal.sheet import PointerDot, Sheet
from annotator.tui.pages import text as page_text
from annotator.tui.pages.screen import PageScreen
from annotator.tui.widgets.bars import KeyHint

STEP = 1 / 32
"""A dot moves in steps of this share of the picture: each is a page sent anew."""


class HitScreen(PageScreen):
    """A page screen that blurs, marks the pointer and replaces what is broken, as the HIT says."""

    blurred = pointer = False
    """NO_ORIGINAL: images are blurred until they are hovered, under the cursor or selected.
    POINTER: a dot where the pointer was last on each image; it stays where one is selected."""
    _dots: dict[int, PointerDot]

    def use(self, source: HitSource) -> None:
        """Take over what the assignment asks for; before the screen is mounted."""
        version = source.task.assignment.version
        self.blurred = version.endswith("NO_ORIGINAL")
        self.pointer = not version.startswith("NO_POINTER")
        self.all_must_be_seen = source.task.assignment.checks.unseen
        self._hits, self._dots, self._lost = source, {}, set[str]()

    def _begin(self, page: Page) -> None:
        self._dots.clear()
        super()._begin(page)

    def seen(self) -> None:
        super().seen()
        self._replace_broken()

    def renew(self, places: set[int], by: str, point: tuple[float, ...] = ()) -> None:
        super().renew(places, by, point)
        self._follow_up()

    def pointed(self, x: float, y: float) -> None:
        super().pointed(x, y)
        last = self.pointer_recorder.last if self.pointer_recorder is not None else None
        if self.pointer and last is not None and not self.require_selection().selected(last[0]):
            place = last[0]
            self._dots[place] = PointerDot(
                place, *(round(value / STEP) * STEP for value in last[1:])
            )
        self._follow_up()

    def pass_over(self) -> None:
        """A worker answers every page of a HIT, or leaves it for later."""
        self.say("a HIT has no page to skip: submit it, or Q leaves it for later", "warn")

    def hints(self) -> list[KeyHint]:
        return [hint for hint in super().hints() if hint.action[0] != "skip"]

    # --- what the version asks for

    def _sheet_of(self, page: Page, first: int) -> Sheet | None:
        sheet = super()._sheet_of(page, first)
        if sheet is None or not (self.blurred or self.pointer):
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
        """The places of the images that are not blurred."""
        board, hand = self.board, self.pointer_recorder
        if board is None or hand is None:
            return set()
        on = {place for place in (hand.hovered, hand.cursor) if place is not None}
        return on | {place for place in range(len(board)) if board.selected(place)}

    def _follow_up(self) -> None:
        """Show the page as the hand left it, if that looks different now."""
        if self.page is None or self.shows_other_item or not (self.blurred or self.pointer):
            return
        sheet = self._sheet_of(self.page, self.first)
        if sheet is not None and sheet != self._sheet:
            self._sheet = sheet
            self.mosaic.deal(
                sheet,
                [self._look(i) for i in self.in_view()],
                page_text.describe_references(self.page),
            )

    # --- broken images

    def _replace_broken(self) -> None:
        """Take what cannot be shown off the page, as far as its reserve goes, and say so."""
        page, board, hand = self.page, self.board, self.pointer_recorder
        if page is None or board is None or hand is None:
            return
        gone = [ref for ref in self.broken(page) if ref not in self._lost]
        for ref in gone:
            place = page.refs.index(ref)
            better = self._hits.replace_image(page, ref)
            hand.replaced(place, self.composer.broken[Item.parse(ref)], better)
            self._lost.add(ref)
            if better is not None:
                board.marks.pop(ref, None)
                self.page = board.page = page = better
        if gone:
            self.say(f"{len(gone)} images cannot be read: others take their places", "warn")
            self.deal()
