"""A page of many crops: select, submit, take back."""

from __future__ import annotations

from dataclasses import replace

from textual import events, on

from annotator.pages import Board, Page
from annotator.tui import pagewords
from annotator.tui.pagekeys import ALWAYS, COMMANDS, ONCE, action_of
from annotator.tui.screens.pageview import PageView
from annotator.tui.widgets.bars import Hint, KeyBar
from annotator.tui.widgets.mosaic import Mosaic

FLAT = 30
"""Rows below which the head has two lines."""
AGAIN = 0.25
"""Seconds between looks for a page that is on its way."""


class PageScreen(PageView):
    """Shows the pages of a source one after the other. Returns how many were submitted."""

    def on_mount(self) -> None:
        self.set_class(self.app.size.height < FLAT, "-flat")  # before the first page is laid out
        self.set_interval(1.0, self._keep)
        self.watch(self.app, "app_focus", self._focused, init=False)

    def hints(self) -> list[Hint]:
        """The live keys, for the footer."""
        return pagewords.hints()

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
        self.source.keep()
        if self.hand is not None:
            self.hand.tick()

    def _focused(self, on: bool) -> None:
        if self.hand is not None:
            self.hand.focused(on)

    def on_mouse_move(self, event: events.MouseMove) -> None:
        self.pointed(event.pointer_screen_x, event.pointer_screen_y)

    def pointed(self, x: float, y: float) -> None:
        """The pointer is at this point of the screen, in cells."""
        if self.hand is not None:
            self.hand.moved(x, y)

    def on_unmount(self) -> None:
        if self.hand is not None:
            self.hand.recorder.flush()
        self.source.close()

    # --- pages

    @on(Mosaic.Laid)
    def _laid(self) -> None:
        """The window has another size: lay the page out anew."""
        room = len(self.mosaic.lay(self.per_page))
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
            words = self.source.farewell or "Nothing is left to show here."
            self._tell("No more pages", words, "Q leaves; ⌫ undoes.")

    def _retry(self) -> None:
        if self.page is None:
            self.advance()

    def _begin(self, page: Page) -> None:
        self.page, self.board = page, Board(page)
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
        self.on_board().none()
        self.source.submit(self.page, {}, broken=self.page.refs)
        self.advance()

    # --- keys and clicks

    def on_key(self, event: events.Key) -> None:
        event.stop()
        event.prevent_default()
        if self.hand is not None:
            self.hand.key(event.key)
        command, argument = action_of(event.key, event.character, self.session.classes)
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
        return self.apart or (self._sheet is not None and self.mosaic.accepts(self._sheet))

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
