"""A page of many crops: select, submit, take back."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, replace
from functools import partial

from textual import events, on
from textual.app import ComposeResult
from textual.message import Message
from textual.screen import Screen

from annotator.images import ImageFolder
from annotator.items.refs import Item, make_printable
from annotator.pages import PER_PAGE, Page, PageSelection, PageSource
from annotator.pages.journal import PagePreferences
from annotator.project.project import ProjectFolder
from annotator.session.session import LabelSession
from annotator.terminal.caps import TerminalCapabilities
from annotator.terminal.pacing import Pacer
from annotator.terminal.sheet import HEAD, Sheet, SheetComposer, Spot
from annotator.tui.key_repeat import KeyRepeatFilter
from annotator.tui.label import text as label_text
from annotator.tui.pages import text as page_text
from annotator.tui.pages.header import PageHeader
from annotator.tui.pages.keys import ALWAYS, COMMANDS, ONCE, page_action
from annotator.tui.pages.mosaic import Mosaic, TileFrame, make_tags
from annotator.tui.pages.pointer_recorder import PointerRecorder
from annotator.tui.picture.picture import PictureView
from annotator.tui.picture.strips import TightCompositor
from annotator.tui.widgets.bars import CaptionBar, KeyBar, KeyHint
from annotator.tui.widgets.notice import Banner

FLAT = 30
"""Rows below which the head has two lines."""
AGAIN = 0.25
"""Seconds between looks for a page that is on its way."""


MESSAGE_SECONDS = 4.0


class PageView(Screen[int]):
    """Shows one page, and one tile of it at a time larger."""

    @dataclass
    class Submitted(Message):
        """Answers were written, or taken back: a model can learn from them."""

        change: int
        """By how many there are more of them now."""

    @dataclass
    class Similar(Message):
        """Pages of what looks like an item are asked for."""

        ref: str
        label: str

    def __init__(
        self,
        source: PageSource,
        project: ProjectFolder,
        session: LabelSession,
        caps: TerminalCapabilities,
        line: Pacer | None = None,
        *,
        per_page: int = PER_PAGE,
        prediction: bool = True,
    ) -> None:
        """`line` is the line to the terminal of the picture that is on screen already."""
        super().__init__()
        self._compositor = TightCompositor()
        self.source, self.project, self.session = source, project, session
        settings = project.settings
        folder = ImageFolder(project.images, settings.max_pixels)
        self.composer = SheetComposer(partial(folder.crop, context=settings.context))
        self.mosaic = Mosaic(self.composer, caps, line, guard=settings.seen_guard, id="mosaic")
        self.page: Page | None = None
        self.board: PageSelection | None = None
        self.prediction, self.per_page = prediction, per_page
        self.habits = PagePreferences(project)
        self.tags: list[str] = []
        self.typed = ""
        """The letters of a tag that were typed."""
        self.first = 0
        """The place of the first tile in view, where the page is larger than the window."""
        self.zoomed = 0
        """0 the page, 1 one tile in true pixels, 2 one tile as large as fits."""
        self.ranges = False
        """Whether the arrows select what they pass."""
        self.all_must_be_seen = True
        """Whether a page is submitted only when all its parts were on the screen."""
        self.pointer_recorder: PointerRecorder | None = None
        """Hears what the annotator does, where by-products are recorded."""
        self.submitted, self.shown_at = 0, 0.0
        self._ahead: deque[Page] = deque()
        self._sheet: Sheet | None = None
        self._refers = False
        self.shows = False
        """Whether the page was drawn on the screen since it was asked for."""
        self._seen: set[int] = set()
        self._held = KeyRepeatFilter(settings.seen_guard != "off")
        self.head = PageHeader(source.title, id="pagehead")
        self.banner, self.caption = Banner(id="banner"), CaptionBar(id="caption")
        self.keys = KeyBar(id="keys")

    def compose(self) -> ComposeResult:
        yield self.head
        yield self.mosaic
        yield self.banner
        yield self.caption
        yield self.keys

    # --- the page

    def deal(self) -> None:
        """Lay the page out and show its part in view."""
        if self.page is None or self.board is None:
            return
        self._sheet = self._sheet_of(self.page, self.first)
        if self._sheet is None:
            return
        self.shows = False
        self.tags = make_tags(len(self._sheet.items))
        rows = {spot.row for spot in self._sheet.spots}
        self.board.across = -(-len(self._sheet.spots) // max(1, len(rows)))
        self.zoomed, self._refers = 0, False
        if self.pointer_recorder is not None:
            self.pointer_recorder.zoomed(None)
        self.mosaic.deal(
            self._sheet,
            [self._look(i) for i in self._in_view()],
            page_text.describe_references(self.page),
        )
        self._expect()
        self._say_state()

    def _sheet_of(self, page: Page, first: int) -> Sheet | None:
        refs = page.refs[first:]
        count = min(self.per_page, len(refs))
        spots, aside = self.mosaic.lay_out(count), self._aside(page)
        if aside:
            below = self.mosaic.lay_out(count, HEAD + aside[0][1].rows)
            spots, aside = (below, aside) if len(below) == len(spots) else (spots, [])
        items = [Item.parse(ref) for ref in refs[: len(spots)]]
        return Sheet.of(items, spots, self.mosaic.size, aside=aside) if items else None

    def _aside(self, page: Page) -> list[tuple[Item, Spot]]:
        """The reference images of a page's class and their places on top of it."""
        info = self.source.describe(page) if self.habits.references else None
        examples = info.examples if info is not None else ()
        places = self.mosaic.strip(len(examples)) if examples else ()
        return [(Item.parse(ref), spot) for ref, spot in zip(examples, places, strict=False)]

    def _in_view(self) -> range:
        return range(self.first, self.first + (len(self._sheet.items) if self._sheet else 0))

    def in_view(self) -> range:
        """The places of the tiles that are in the window."""
        return self._in_view()

    def turn(self, way: int) -> None:
        """Show another part of a large page."""
        if self.page is None or self._sheet is None or self.board is None:
            return
        size = len(self._sheet.items)
        first = self.first + way * size
        if 0 <= first < len(self.page.refs):
            self.first = first
            self.board.go(first)
            self.deal()

    def show_cursor(self) -> None:
        """Keep the cursor in view, on the page or zoomed."""
        assert self.board is not None and self.page is not None
        if self.zoomed:
            self.zoom_to(Item.parse(self.page.refs[self.board.cursor]), self.zoomed)
        elif self.board.cursor not in self._in_view():
            cursor, size = self.board.cursor, max(1, len(self._in_view()))
            self.first = cursor // size * size
            self.deal()

    def zoom_to(self, item: Item, level: int) -> None:
        self.zoomed = level
        if self.pointer_recorder is not None and self.page is not None:
            self.pointer_recorder.zoomed(self.page.refs.index(item.ref))
        self.mosaic.show_alone(item)
        if level == 1:
            self.mosaic.zoom()

    def show_references_large(self, items: list[Item]) -> None:
        """The class's reference images, until the next key."""
        spots = self.mosaic.lay_out(len(items))
        self._refers = True
        self.mosaic.show_alone(Sheet.of(items[: len(spots)], spots, self.mosaic.size))

    @property
    def has_references(self) -> bool:
        """Whether reference images stand on top of the page."""
        return self._sheet is not None and bool(self._sheet.reference_tiles)

    def back(self, command: str) -> None:
        """From the reference images to the page; R once more takes them from its top."""
        if command == "reference" and self.has_references:
            self.habits.show_references(False)
            self.say("reference images: R shows them again", "dim")
        self.deal()

    def type(self, letters: str) -> None:
        self.typed = letters
        self.renew(set(self._in_view()), "letter")

    @property
    def shows_other_item(self) -> bool:
        """Whether something else is shown in place of the page."""
        return bool(self.zoomed) or self._refers

    def unseen(self) -> int:
        """How many tiles of the page were never on the screen."""
        return 0 if self.page is None else len(self.page.refs) - len(self._seen)

    def require_selection(self) -> PageSelection:
        assert self.board is not None
        return self.board

    def _expect(self) -> None:
        if self.page is None or self._sheet is None:
            return
        parts = [self._sheet_of(page, 0) for page in self._ahead]
        if self._in_view().stop < len(self.page.refs):
            parts.insert(0, self._sheet_of(self.page, self._in_view().stop))
        self.mosaic.expect([sheet for sheet in parts if sheet is not None])

    def _tell(self, heading: str, *words: str) -> None:
        self.shows, self._sheet = False, None
        self.mosaic.tell("\n".join([heading, *words]))

    # --- what is said

    def _look(self, place: int) -> TileFrame:
        assert self.page is not None and self.board is not None
        tag = self.tags[place - self.first]
        typed = len(self.typed) if tag.startswith(self.typed) else 0
        flagged = self.session.is_flagged(self.page.refs[place])
        return page_text.frame_tile(
            self.page, self.board, place, tag,
            typed=typed, prediction=self.prediction, flagged=flagged,
        )  # fmt: skip

    def renew(self, places: set[int], by: str, point: tuple[float, ...] = ()) -> None:
        """Draw some tiles anew, after whatever changed, and keep the selection.

        `by` says what did it: a key, a letter, the mouse at a point of the tile …
        """
        assert self.page is not None and self.board is not None
        self.source.mark(self.page, self.board.marks)
        if self._sheet is not None and not self.shows_other_item:
            seen = self._in_view()
            self.mosaic.change((i - seen.start, self._look(i)) for i in places if i in seen)
        if self.pointer_recorder is not None:
            self.pointer_recorder.changed(by, point)
        self._say_state()

    def _say_state(self) -> None:
        page, board = self.page, self.board
        if page is None or board is None:
            return
        counts = page_text.describe_outcome(page, board, self.broken(page))
        meant = page_text.describe_selection(page, multi=self.session.multi)
        how = page.note or page_text.describe_order(page, prediction=self.prediction)
        self.head.tell(page, self.source.describe(page), (meant, counts, how))
        item = Item.parse(page.refs[board.cursor])
        marks = ["✓ selected"] if board.selected(board.cursor) else []
        marks += (
            [make_printable(self.composer.broken[item])] if item in self.composer.broken else []
        )
        if len(self._in_view()) < len(page.refs):
            marks.append(f"{self.first + 1}–{self._in_view().stop} of {len(page.refs)}")
        words = label_text.item_marks(self.session, item)
        self.caption.show(item.path, label_text.box_text(item), "  ".join([*marks, words]).strip())

    def broken(self, page: Page) -> set[str]:
        return {ref for ref in page.refs if Item.parse(ref) in self.composer.broken}

    def say(self, text: str, role: str = "text", seconds: float = MESSAGE_SECONDS) -> None:
        self.head.say(text, role)
        self.set_timer(seconds, lambda: self.head.say(""))

    @on(PictureView.Shown)
    def _picture_shown(self, message: PictureView.Shown) -> None:
        if message.item == self._sheet:
            if not self._seen:
                self.shown_at = time.monotonic()
            self.shows = True
            self._seen.update(self._in_view())
            self._say_state()  # what is broken is known now
            self.seen()

    @on(PictureView.Broken)
    def _page_failed(self, message: PictureView.Broken) -> None:
        if message.item == self._sheet:  # one image alone is crossed out, and no failure
            self.banner.warn("list", f"this page cannot be shown: {make_printable(message.reason)}")

    def seen(self) -> None:
        """The part in view is on the screen."""
        if self.pointer_recorder is not None:
            self.pointer_recorder.shown()


class PageScreen(PageView):
    """Shows the pages of a source one after the other. Returns how many were submitted."""

    def on_mount(self) -> None:
        self.set_class(self.app.size.height < FLAT, "-flat")  # before the first page is laid out
        self.set_interval(1.0, self._keep)
        self.watch(self.app, "app_focus", self._focused, init=False)

    def hints(self) -> list[KeyHint]:
        """The live keys, for the footer."""
        return page_text.page_hints()

    def _say_keys(self) -> None:
        """Without a page in the window only some keys do anything."""
        there = self.page is not None and self._sheet is not None
        self.keys.show([one for one in self.hints() if there or one.action[0] in ALWAYS])

    def deal(self) -> None:
        super().deal()
        self._say_keys()

    def _tell(self, heading: str, *words: str) -> None:
        super()._tell(heading, *words)
        self._say_keys()

    def on_resize(self, event: events.Resize) -> None:
        self.set_class(event.size.height < FLAT, "-flat")

    def _keep(self) -> None:
        self.source.tick()
        if self.pointer_recorder is not None:
            self.pointer_recorder.tick()

    def _focused(self, on: bool) -> None:
        if self.pointer_recorder is not None:
            self.pointer_recorder.focused(on)

    def on_mouse_move(self, event: events.MouseMove) -> None:
        self.pointed(event.pointer_screen_x, event.pointer_screen_y)

    def pointed(self, x: float, y: float) -> None:
        """The pointer is at this point of the screen, in cells."""
        if self.pointer_recorder is not None:
            self.pointer_recorder.moved(x, y)

    def on_unmount(self) -> None:
        if self.pointer_recorder is not None:
            self.pointer_recorder.recorder.flush()
        self.source.close()

    # --- pages

    @on(Mosaic.AreaResized)
    def _laid(self) -> None:
        """The window has another size: lay the page out anew."""
        room = len(self.mosaic.lay_out(self.per_page))
        self.source.fit(max(1, room))
        if not room:
            self._tell("This window is too small for a page")
        elif self.page is None:
            self.advance()
        else:
            self.deal()

    def advance(self) -> None:
        """Show the next page, or say why there is none."""
        page = self._ahead.popleft() if self._ahead else self.source.next()
        if page is not None:
            self._begin(page)
            return
        self.page = self.board = None
        self.head.forget()
        self.caption.show("")
        if words := self.source.waiting:
            self._tell(f"{words} …")
            self.set_timer(AGAIN, self._retry)
        else:
            words = self.source.no_pages_message or "Nothing is left to show here."
            self._tell("No more pages", words, "Q leaves; ⌫ undoes.")

    def _retry(self) -> None:
        if self.page is None:
            self.advance()

    def _begin(self, page: Page) -> None:
        self.page, self.board = page, PageSelection(page)
        self.first, self.typed, self.ranges = 0, "", False
        self._seen.clear()
        self.source.mark(page, self.board.marks)
        self.deal()
        self.call_after_refresh(self._look_ahead)

    def _look_ahead(self) -> None:
        """Have the next page made and sent while this one is looked at."""
        if self.page is not None and not self._ahead:
            page = self.source.next()
            if page is not None:
                self._ahead.append(page)
                self._expect()

    def put_back(self, page: Page) -> None:
        """A page that was taken back comes again; the one on screen comes after it."""
        if self.page is not None and self.board is not None:
            self._ahead.appendleft(replace(self.page, selected=dict(self.board.marks)))
        self._begin(page)

    def pass_over(self) -> None:
        """The next page; this one is written as unanswered, and so is not shown again soon."""
        assert self.page is not None
        self.require_selection().none()
        self.source.submit(self.page, {}, broken=self.page.refs)
        self.advance()

    # --- keys and clicks

    def on_key(self, event: events.Key) -> None:
        event.stop()
        event.prevent_default()
        if self.pointer_recorder is not None:
            self.pointer_recorder.key(event.key)
        command, argument = page_action(event.key, event.character, self.session.classes)
        if self._held(event.key, event.time) and command in ONCE:
            self.say("key held down: one press, one page", "dim", 1.5)
        elif command:
            self.perform(command, argument)

    @on(KeyBar.Chosen)
    def _key_clicked(self, message: KeyBar.Chosen) -> None:
        self.perform(message.action[0])

    def perform(self, command: str, argument: str = "") -> None:
        """Do what a key or a click asks for."""
        if command in ALWAYS:
            COMMANDS[command](self)
        elif self.page is None or command not in COMMANDS:
            return
        elif not self.shows or not self._accepts():
            self.say("not on screen yet: key ignored", "dim", 1.5)
        elif self._refers:
            self.back(command)
        else:
            COMMANDS[command](self, *([argument] if argument else []))

    def _accepts(self) -> bool:
        """Whether what the annotator sees is what a key would be taken for."""
        return self.shows_other_item or (
            self._sheet is not None and self.mosaic.accepts(self._sheet)
        )

    def on_mouse_scroll_down(self) -> None:
        self.turn(1)

    def on_mouse_scroll_up(self) -> None:
        self.turn(-1)

    def on_click(self, event: events.Click) -> None:
        found = self.mosaic.tile_at(event.pointer_screen_x, event.pointer_screen_y)
        if self.mosaic.on_strip(event.pointer_screen_y):
            self.perform("reference")
        if found is None or self.board is None or not self.shows:
            return
        place = self.first + found[0]
        if event.button == 3:
            self.renew(self.board.go(place), "mouse")
            self.perform("zoom")
        elif event.shift or event.ctrl:
            self.renew(self.board.extend(place), "range")
        else:
            self.renew(self.board.toggle(place), "mouse", found[1:])
            self.board.anchor = place
