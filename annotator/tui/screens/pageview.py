"""One page on the screen: its parts, the frames of its tiles, and what is said of it."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from functools import partial

from textual import on
from textual.app import ComposeResult
from textual.message import Message
from textual.screen import Screen

from annotator.images import Folder
from annotator.pages import PER_PAGE, Board, Page, PageSource
from annotator.pages.habits import Habits
from annotator.project import Project
from annotator.refs import Item, printable
from annotator.session import Session
from annotator.terminal.caps import Caps
from annotator.terminal.line import Line
from annotator.terminal.sheet import HEAD, Composer, Sheet, Spot
from annotator.tui import pagewords, view
from annotator.tui.hand import Hand
from annotator.tui.pace import Held
from annotator.tui.widgets.bars import Caption, KeyBar
from annotator.tui.widgets.letters import tags
from annotator.tui.widgets.mosaic import Look, Mosaic
from annotator.tui.widgets.notice import Banner
from annotator.tui.widgets.pagehead import PageHead
from annotator.tui.widgets.picture import Picture
from annotator.tui.widgets.tight import TightCompositor

SAID_SECONDS = 4.0


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
        project: Project,
        session: Session,
        caps: Caps,
        line: Line | None = None,
        *,
        per_page: int = PER_PAGE,
        prediction: bool = True,
    ) -> None:
        """`line` is the line to the terminal of the picture that is on screen already."""
        super().__init__()
        self._compositor = TightCompositor()
        self.source, self.project, self.session = source, project, session
        settings = project.settings
        folder = Folder(project.images, settings.max_pixels)
        self.composer = Composer(partial(folder.crop, context=settings.context))
        self.mosaic = Mosaic(self.composer, caps, line, guard=settings.seen_guard, id="mosaic")
        self.page: Page | None = None
        self.board: Board | None = None
        self.prediction, self.per_page = prediction, per_page
        self.habits = Habits(project)
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
        self.hand: Hand | None = None
        """Hears what the annotator does, where by-products are recorded."""
        self.submitted, self.shown_at = 0, 0.0
        self._ahead: deque[Page] = deque()
        self._sheet: Sheet | None = None
        self._refers = False
        self.shows = False
        """Whether the page was drawn on the screen since it was asked for."""
        self._seen: set[int] = set()
        self._held = Held(settings.seen_guard != "off")
        self.head = PageHead(source.title, id="pagehead")
        self.banner, self.caption = Banner(id="banner"), Caption(id="caption")
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
        self.tags = tags(len(self._sheet.items))
        rows = {spot.row for spot in self._sheet.spots}
        self.board.across = -(-len(self._sheet.spots) // max(1, len(rows)))
        self.zoomed, self._refers = 0, False
        if self.hand is not None:
            self.hand.zoomed(None)
        self.mosaic.deal(
            self._sheet, [self._look(i) for i in self._in_view()], pagewords.above(self.page)
        )
        self._expect()
        self._say_state()

    def _sheet_of(self, page: Page, first: int) -> Sheet | None:
        refs = page.refs[first:]
        count = min(self.per_page, len(refs))
        spots, aside = self.mosaic.lay(count), self._aside(page)
        if aside:
            below = self.mosaic.lay(count, HEAD + aside[0][1].rows)
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

    def follow(self) -> None:
        """Keep the cursor in view, on the page or zoomed."""
        assert self.board is not None and self.page is not None
        if self.zoomed:
            self.zoom_to(Item.parse(self.page.refs[self.board.cursor]), self.zoomed)
        elif self.board.cursor not in self._in_view():
            cursor, size = self.board.cursor, max(1, len(self._in_view()))
            self.first = cursor // size * size
            self.deal()

    def zoom_to(self, item: Item, how: int) -> None:
        self.zoomed = how
        if self.hand is not None and self.page is not None:
            self.hand.zoomed(self.page.refs.index(item.ref))
        self.mosaic.alone(item)
        if how == 1:
            self.mosaic.zoom()

    def refer(self, items: list[Item]) -> None:
        """The class's reference images, until the next key."""
        spots = self.mosaic.lay(len(items))
        self._refers = True
        self.mosaic.alone(Sheet.of(items[: len(spots)], spots, self.mosaic.size))

    @property
    def has_references(self) -> bool:
        """Whether reference images stand on top of the page."""
        return self._sheet is not None and bool(self._sheet.aside)

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
    def apart(self) -> bool:
        """Whether something else is shown in place of the page."""
        return bool(self.zoomed) or self._refers

    def unseen(self) -> int:
        """How many tiles of the page were never on the screen."""
        return 0 if self.page is None else len(self.page.refs) - len(self._seen)

    def on_board(self) -> Board:
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

    def _look(self, place: int) -> Look:
        assert self.page is not None and self.board is not None
        tag = self.tags[place - self.first]
        typed = len(self.typed) if tag.startswith(self.typed) else 0
        flagged = self.session.is_flagged(self.page.refs[place])
        return pagewords.look(
            self.page, self.board, place, tag,
            typed=typed, prediction=self.prediction, flagged=flagged,
        )  # fmt: skip

    def renew(self, places: set[int], by: str, at: tuple[float, ...] = ()) -> None:
        """Draw some tiles anew, after whatever changed, and keep the selection.

        `by` says what did it: a key, a letter, the mouse at a point of the tile …
        """
        assert self.page is not None and self.board is not None
        self.source.mark(self.page, self.board.marks)
        if self._sheet is not None and not self.apart:
            seen = self._in_view()
            self.mosaic.change((i - seen.start, self._look(i)) for i in places if i in seen)
        if self.hand is not None:
            self.hand.changed(by, at)
        self._say_state()

    def _say_state(self) -> None:
        page, board = self.page, self.board
        if page is None or board is None:
            return
        counts = pagewords.outcome(page, board, self.broken(page))
        meant = pagewords.meaning(page, multi=self.session.multi)
        how = page.note or pagewords.order(page, prediction=self.prediction)
        self.head.tell(page, self.source.describe(page), (meant, counts, how))
        item = Item.parse(page.refs[board.cursor])
        marks = ["✓ selected"] if board.selected(board.cursor) else []
        marks += [printable(self.composer.broken[item])] if item in self.composer.broken else []
        if len(self._in_view()) < len(page.refs):
            marks.append(f"{self.first + 1}–{self._in_view().stop} of {len(page.refs)}")
        words = view.marks(self.session, item)
        self.caption.show(item.path, view.box_text(item), "  ".join([*marks, words]).strip())

    def broken(self, page: Page) -> set[str]:
        return {ref for ref in page.refs if Item.parse(ref) in self.composer.broken}

    def say(self, text: str, role: str = "text", seconds: float = SAID_SECONDS) -> None:
        self.head.say(text, role)
        self.set_timer(seconds, lambda: self.head.say(""))

    @on(Picture.Shown)
    def _picture_shown(self, message: Picture.Shown) -> None:
        if message.item == self._sheet:
            if not self._seen:
                self.shown_at = time.monotonic()
            self.shows = True
            self._seen.update(self._in_view())
            self._say_state()  # what is broken is known now
            self.seen()

    @on(Picture.Broken)
    def _page_failed(self, message: Picture.Broken) -> None:
        if message.item == self._sheet:  # one image alone is crossed out, and no failure
            self.banner.warn("list", f"this page cannot be shown: {printable(message.reason)}")

    def seen(self) -> None:
        """The part in view is on the screen."""
        if self.hand is not None:
            self.hand.shown()
