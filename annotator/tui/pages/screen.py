"""A page of many crops: select, submit, take back."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.message import Message
from textual.screen import Screen

from annotator.hits.recorder import NoByproducts, Recorder
from annotator.items.refs import Item, make_printable
from annotator.pages import PER_PAGE, Page, PageSelection, PageSource
from annotator.pages.journal import PagePreferences
from annotator.project.project import ProjectFolder
from annotator.session.session import LabelSession
from annotator.terminal.caps import TerminalCapabilities
from annotator.terminal.pacing import Pacer
from annotator.terminal.sheet import HEAD, Sheet, SheetComposer, Spot
from annotator.tui.host import crop_loader
from annotator.tui.key_repeat import KeyRepeatFilter
from annotator.tui.label import text as label_text
from annotator.tui.pages import text as page_text
from annotator.tui.pages.dialogs import PageHelpScreen
from annotator.tui.pages.header import PageHeader
from annotator.tui.pages.keys import FOOTER, PAGE_COMMANDS, PageCommand, find_command, page_hints
from annotator.tui.pages.mosaic import Mosaic, TileFrame, make_tags
from annotator.tui.pages.pointer_recorder import PointerRecorder, ref_of_place
from annotator.tui.picture.picture import PictureView
from annotator.tui.picture.strips import TightCompositor
from annotator.tui.widgets.bars import CaptionBar, KeyBar, KeyHint
from annotator.tui.widgets.notice import Banner

FLAT = 30
"""Window height in rows below which the header has only two lines."""
RETRY_SECONDS = 0.25
"""Seconds between looks for a page that is on its way."""
MESSAGE_SECONDS = 4.0


class PageScreen(Screen[int]):
    """The pages of a source, one after the other. Its result is the number of pages submitted."""

    commands: ClassVar[Sequence[PageCommand]] = PAGE_COMMANDS
    footer: ClassVar[Sequence[str]] = FOOTER
    """The commands in the footer, most needed first."""

    @dataclass
    class Submitted(Message):
        """The news that answers were written or taken back, which a model can learn from."""

        change: int
        """The number of answers that were added; negative after an undo."""

    @dataclass
    class Similar(Message):
        """A request for pages of what looks like an item."""

        ref: str
        label: str

    def __init__(
        self,
        source: PageSource,
        project: ProjectFolder,
        session: LabelSession,
        caps: TerminalCapabilities,
        pacer: Pacer | None = None,
        *,
        per_page: int = PER_PAGE,
        prediction: bool = True,
        recorder: Recorder | None = None,
        image_id: Callable[[Page, int], str] = ref_of_place,
    ) -> None:
        """Show the pages of `source`; `pacer` is that of the picture on screen already.

        `recorder` takes by-products, None for none; `image_id` names an image in them.
        """
        super().__init__()
        self._compositor = TightCompositor()
        self.source, self.project, self.session = source, project, session
        settings = project.settings
        self.composer = SheetComposer(crop_loader(project))
        self.mosaic = Mosaic(self.composer, caps, pacer, guard=settings.seen_guard, id="mosaic")
        self.page: Page | None = None
        self.selection: PageSelection | None = None
        self.prediction, self.per_page = prediction, per_page
        self.preferences = PagePreferences(project)
        self.tags: list[str] = []
        """The tags of the tiles in view."""
        self.typed = ""
        """The letters of a tag that were typed."""
        self.first = 0
        """The place of the first tile in view; above 0 for a page larger than the window."""
        self.zoomed = 0
        """0 for the page, 1 for a tile in true pixels, 2 for a tile as large as fits."""
        self.all_must_be_seen = True
        """True if a page is submitted only when all its parts were on the screen."""
        self.pointer = PointerRecorder(recorder or Recorder(NoByproducts(), ""), self, image_id)
        self.submitted, self.shown_at = 0, 0.0
        self.shows = False
        """True if the page was drawn on the screen since it was asked for."""
        self._ahead: deque[Page] = deque()
        self._sheet: Sheet | None = None
        self._shows_references = False
        self._seen: set[int] = set()
        self._repeats = KeyRepeatFilter(settings.seen_guard != "off")
        self.header = PageHeader(source.title, id="pagehead")
        self.banner, self.caption = Banner(id="banner"), CaptionBar(id="caption")
        self.keys = KeyBar(id="keys")

    def compose(self) -> ComposeResult:
        """Lay out the header, the page, and the lines below."""
        yield self.header
        yield self.mosaic
        yield self.banner
        yield self.caption
        yield self.keys

    def on_mount(self) -> None:
        """Watch the window, the clock and the focus."""
        self.set_class(self.app.size.height < FLAT, "-flat")  # before the first page is laid out
        self.set_interval(1.0, self._tick)
        self.watch(self.app, "app_focus", self.pointer.focused, init=False)

    def on_unmount(self) -> None:
        """Write what waits, and free the pages."""
        self.pointer.recorder.flush()
        self.source.close()

    def on_resize(self, event: events.Resize) -> None:
        """Give a low window a flat header."""
        self.set_class(event.size.height < FLAT, "-flat")

    def _tick(self) -> None:
        self.source.tick()
        self.pointer.tick()

    # --- from page to page

    @on(Mosaic.AreaResized)
    def _lay_out_anew(self) -> None:
        room = len(self.mosaic.lay_out(self.per_page))
        self.source.fit(max(1, room))
        if not room:
            self._show_text("This window is too small for a page")
        elif self.page is None:
            self.advance()
        else:
            self.show_page()

    def advance(self) -> None:
        """Show the next page, or say why there is none."""
        page = self._ahead.popleft() if self._ahead else self.source.next()
        if page is not None:
            self._begin(page)
            return
        self.page = self.selection = None
        self.typed = ""
        self.header.forget()
        self.caption.show("")
        if reason := self.source.waiting:
            self._show_text(f"{reason} …")
            self.set_timer(RETRY_SECONDS, self._retry)
        else:
            reason = self.source.no_pages_message or "Nothing is left to show here."
            undoes = "; ⌫ undoes" if self.source.can_undo else ""
            self._show_text("No more pages", reason, f"Q or Esc leaves{undoes}.")

    def _retry(self) -> None:
        if self.page is None:
            self.advance()

    def _begin(self, page: Page) -> None:
        self.page, self.selection = page, PageSelection(page)
        self.first, self.typed = 0, ""
        self._seen.clear()
        self.source.mark(page, self.selection.marks)
        self.show_page()
        self.call_after_refresh(self._look_ahead)

    def _look_ahead(self) -> None:
        """Have the next page made and sent while this one is looked at."""
        if self.page is not None and not self._ahead:
            page = self.source.next()
            if page is not None:
                self._ahead.append(page)
                self._expect()

    def put_back(self, page: Page) -> None:
        """Show a page that was taken back; the one on screen comes after it."""
        if self.page is not None and self.selection is not None:
            self._ahead.appendleft(replace(self.page, selected=dict(self.selection.marks)))
        self._begin(page)

    def skip_page(self) -> None:
        """Show the next page; this one is written as unanswered, so it does not come again soon."""
        page, selection = self.require_page()
        selection.select_none()
        self.source.submit(page, {}, broken=page.refs)
        self.advance()

    def note_answers(self, count: int) -> None:
        """Count a page with answers, and announce them; negative after an undo."""
        self.submitted += (count > 0) - (count < 0)
        self.post_message(self.Submitted(count))

    def request_similar(self, ref: str, label: str) -> None:
        """Ask the app for pages of items similar to one."""
        self.post_message(self.Similar(ref, label))

    def leave(self) -> None:
        """Leave the pages."""
        self.dismiss(self.submitted)

    # --- one page

    def require_page(self) -> tuple[Page, PageSelection]:
        """Return the page on screen and its selection."""
        assert self.page is not None and self.selection is not None
        return self.page, self.selection

    def show_page(self) -> None:
        """Lay the page out and show its part in view."""
        if self.page is None or self.selection is None:
            return
        self._sheet = self._make_sheet(self.page, self.first)
        if self._sheet is not None:
            self.shows = False
            self.tags = make_tags(len(self._sheet.items))
            rows = {spot.row for spot in self._sheet.spots}
            self.selection.across = -(-len(self._sheet.spots) // max(1, len(rows)))
            self.zoomed, self._shows_references = 0, False
            self.pointer.zoomed(None)
            self._show_sheet(self._sheet)
            self._expect()
        self._show_state()

    def _show_sheet(self, sheet: Sheet) -> None:
        page, _ = self.require_page()
        frames = [self._frame_tile(place) for place in self.in_view()]
        self.mosaic.show_sheet(sheet, frames, page_text.describe_references(page))

    def _make_sheet(self, page: Page, first: int) -> Sheet | None:
        refs = page.refs[first:]
        count = min(self.per_page, len(refs))
        spots, references = self.mosaic.lay_out(count), self._place_references(page)
        if references:
            below = self.mosaic.lay_out(count, HEAD + references[0][1].rows)
            spots, references = (below, references) if len(below) == len(spots) else (spots, [])
        items = [Item.parse(ref) for ref in refs[: len(spots)]]
        return Sheet.of(items, spots, self.mosaic.size, aside=references) if items else None

    def _place_references(self, page: Page) -> list[tuple[Item, Spot]]:
        """Return the reference images of a page's class and their places on top of it."""
        info = self.source.describe(page) if self.preferences.references else None
        examples = info.examples if info is not None else ()
        places = self.mosaic.strip(len(examples)) if examples else ()
        return [(Item.parse(ref), spot) for ref, spot in zip(examples, places, strict=False)]

    def _expect(self) -> None:
        """Have the sheets that come next encoded and sent."""
        if self.page is None or self._sheet is None:
            return
        parts = [self._make_sheet(page, 0) for page in self._ahead]
        if self.in_view().stop < len(self.page.refs):
            parts.insert(0, self._make_sheet(self.page, self.in_view().stop))
        self.mosaic.expect([sheet for sheet in parts if sheet is not None])

    def in_view(self) -> range:
        """Return the places of the tiles that are in the window."""
        return range(self.first, self.first + (len(self._sheet.items) if self._sheet else 0))

    def turn(self, way: int) -> None:
        """Show another part of a large page."""
        if self.page is None or self._sheet is None or self.selection is None:
            return
        first = self.first + way * len(self._sheet.items)
        if 0 <= first < len(self.page.refs):
            self.first = first
            self.selection.move_cursor_to(first)
            self.show_page()

    def show_cursor(self) -> None:
        """Bring the cursor's tile into view, on the page or zoomed."""
        page, selection = self.require_page()
        if self.zoomed:
            self.zoom_to(Item.parse(page.refs[selection.cursor]), self.zoomed)
        elif selection.cursor not in self.in_view():
            size = max(1, len(self.in_view()))
            self.first = selection.cursor // size * size
            self.show_page()

    def count_unseen(self) -> int:
        """Return the number of tiles that were never on the screen."""
        return 0 if self.page is None else len(self.page.refs) - len(self._seen)

    def broken(self, page: Page) -> set[str]:
        """Return the refs of a page's images that cannot be read."""
        return {ref for ref in page.refs if Item.parse(ref) in self.composer.broken}

    # --- in place of the page

    @property
    def shows_other_item(self) -> bool:
        """True if something else is shown in place of the page."""
        return bool(self.zoomed) or self._shows_references

    @property
    def has_references(self) -> bool:
        """True if reference images stand on top of the page."""
        return self._sheet is not None and bool(self._sheet.reference_tiles)

    def zoom_to(self, item: Item, level: int) -> None:
        """Show one item alone; see `zoomed` for the levels."""
        page, _ = self.require_page()
        self.zoomed = level
        self.pointer.zoomed(page.refs.index(item.ref))
        self.mosaic.show_alone(item)
        if level == 1:
            self.mosaic.zoom()

    def show_references_large(self, items: list[Item]) -> None:
        """Show the class's reference images, until the next key."""
        spots = self.mosaic.lay_out(len(items))
        self._shows_references = True
        self.mosaic.show_alone(Sheet.of(items[: len(spots)], spots, self.mosaic.size))

    def _leave_references(self, command: str) -> None:
        """Show the page again; E once more takes the reference images from its top."""
        if command == "reference" and self.has_references:
            self.preferences.show_references(False)
            self.say("reference images: E shows them again", "dim")
        self.show_page()

    def _show_text(self, heading: str, *lines: str) -> None:
        self.shows, self._sheet = False, None
        self.mosaic.show_text("\n".join([heading, *lines]))
        self._show_keys()

    def show_help(self) -> None:
        """Show the keys."""
        rows = [(c.shown, c.help) for c in self.commands if c.help and c.works(self)]
        self.app.push_screen(PageHelpScreen(rows))

    # --- frames, lines and messages

    def _frame_tile(self, place: int) -> TileFrame:
        page, selection = self.require_page()
        tag = self.tags[place - self.first]
        return page_text.frame_tile(
            page, selection, place, tag,
            typed=len(self.typed) if tag.startswith(self.typed) else 0,
            prediction=self.prediction, flagged=self.session.is_flagged(page.refs[place]),
        )  # fmt: skip

    def refresh_tiles(self, places: set[int], by: str, point: tuple[float, ...] = ()) -> None:
        """Draw tiles anew that something has changed, and keep the selection.

        `by` names the cause: a key, a letter, the mouse at a point of the tile …
        """
        page, selection = self.require_page()
        self.source.mark(page, selection.marks)
        if self._sheet is not None and not self.shows_other_item:
            view = self.in_view()
            self.mosaic.change_frames(
                (place - view.start, self._frame_tile(place)) for place in places if place in view
            )
        self.pointer.changed(by, point)
        self._show_state()

    def _show_state(self) -> None:
        page, selection = self.page, self.selection
        if page is None or selection is None:
            return
        outcome = page_text.describe_outcome(page, selection, self.broken(page))
        meaning = page_text.describe_selection(page, multi=self.session.multi)
        order = self.source.note(page) or page_text.describe_order(page, prediction=self.prediction)
        self.header.show(page, self.source.describe(page), (meaning, outcome, order))
        item, view = Item.parse(page.refs[selection.cursor]), self.in_view()
        marks = ["✓ selected"] if selection.selected(selection.cursor) else []
        if item in self.composer.broken:
            marks.append(make_printable(self.composer.broken[item]))
        if 0 < len(view) < len(page.refs):
            marks.append(f"{self.first + 1}–{view.stop} of {len(page.refs)}")
        marks.append(label_text.item_marks(self.session, item))
        self.caption.show(item.path, label_text.box_text(item), "  ".join(marks).strip())
        self._show_keys()

    def hints(self) -> list[KeyHint]:
        """Return the live keys for the footer."""
        return page_hints((c for c in self.commands if c.works(self)), self.footer)

    def _show_keys(self) -> None:
        """Show the live keys; without a page in the window they are few."""
        there = self.page is not None and self._sheet is not None
        live = {command.name for command in self.commands if there or command.without_page}
        self.keys.show([hint for hint in self.hints() if hint.action[0] in live])

    def say(self, text: str, role: str = "text", seconds: float = MESSAGE_SECONDS) -> None:
        """Show a message at the top for some seconds."""
        self.header.say(text, role)
        self.set_timer(seconds, lambda: self.header.say(""))

    @on(PictureView.Shown)
    def _picture_shown(self, message: PictureView.Shown) -> None:
        if self.mosaic.holds(message.item):
            if not self._seen:
                self.shown_at = time.monotonic()
            self.shows = True
            self._seen.update(self.in_view())
            self._show_state()  # what is broken is known now
            self.note_seen()

    @on(PictureView.Broken)
    def _page_failed(self, message: PictureView.Broken) -> None:
        if self.mosaic.holds(message.item):  # one image alone is crossed out, and no failure
            self.banner.warn("list", f"this page cannot be shown: {make_printable(message.reason)}")

    def note_seen(self) -> None:
        """Record that the part in view is on the screen."""
        self.pointer.shown()

    # --- keys and clicks

    def on_key(self, event: events.Key) -> None:
        """Do what a key asks for; a key held down submits one page."""
        event.stop()
        event.prevent_default()
        self.pointer.key(event.key)
        # Without a page, a small q names no tile.
        key = "Q" if self.page is None and event.key == "q" else event.key
        name, argument = find_command(self.commands, key, event.character, self.session.classes)
        repeated = self._repeats(event.key, event.time)
        if repeated and any(command.once and command.name == name for command in self.commands):
            self.say("key held down: one press, one page", "dim", 1.5)
        elif name:
            self.perform(name, argument)

    @on(KeyBar.Chosen)
    def _key_clicked(self, message: KeyBar.Chosen) -> None:
        self.perform(*message.action)

    def perform(self, name: str, argument: str = "") -> None:
        """Do the command that a key or a click asks for."""
        command = next(command for command in self.commands if command.name == name)
        if command.without_page:
            command.handler(self, argument)
        elif self.page is None:
            return
        elif not self.shows or not self._accepts():
            self.say(self.mosaic.refusal, "dim", 1.5)
        elif self._shows_references:
            self._leave_references(name)
        else:
            command.handler(self, argument)

    def _accepts(self) -> bool:
        """Return whether a key now means what the annotator sees."""
        return self.shows_other_item or (
            self._sheet is not None and self.mosaic.accepts(self._sheet)
        )

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """Follow the pointer."""
        self.follow_pointer(event.pointer_screen_x, event.pointer_screen_y)

    def follow_pointer(self, x: float, y: float) -> None:
        """Record the pointer at a point of the screen, in cells."""
        self.pointer.moved(x, y)

    def on_mouse_scroll_down(self) -> None:
        """Show the next part of a large page."""
        self.turn(1)

    def on_mouse_scroll_up(self) -> None:
        """Show the previous part of a large page."""
        self.turn(-1)

    def on_click(self, event: events.Click) -> None:
        """Select the tile under the pointer, extend the range to it, or zoom it."""
        found = self.mosaic.tile_at(event.pointer_screen_x, event.pointer_screen_y)
        if self.mosaic.on_strip(event.pointer_screen_y):
            self.perform("reference")
        if found is None or self.selection is None or not self.shows:
            return
        place = self.first + found[0]
        if event.button == 3:
            self.refresh_tiles(self.selection.move_cursor_to(place), "mouse")
            self.perform("zoom")
        elif event.shift or event.ctrl:
            self.refresh_tiles(self.selection.extend(place), "range")
        else:
            self.refresh_tiles(self.selection.toggle(place), "mouse", found[1:])
            self.selection.anchor = place
