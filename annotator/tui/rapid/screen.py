"""Rapid mode: a stream of pictures, one key; what is in doubt comes back one at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np
from textual import events, on
from textual.app import ComposeResult
from textual.screen import Screen

from annotator.errors import StoreError
from annotator.items.refs import Item, make_printable, plural
from annotator.pages import BrowseSource, Page, PageOrder
from annotator.pages.key_delay import MAX_RATE, MIN_RATE, KeyDelay, measure_delays
from annotator.session.session import LabelSession
from annotator.tui.key_repeat import KeyRepeatFilter
from annotator.tui.picture.area import PictureArea
from annotator.tui.picture.picture import PictureView
from annotator.tui.picture.strips import TightCompositor
from annotator.tui.rapid import text as rapid_text
from annotator.tui.rapid.outcome import StreamOutcome
from annotator.tui.rapid.player import StreamPlayer
from annotator.tui.rapid.text import RapidMode, StreamQuestion
from annotator.tui.widgets.bars import CaptionBar, Header, KeyBar

SECONDS = 10.0
"""Length of a stream, within the bounds of `FEWEST` and `MOST` items."""
FEWEST, MOST = 20, 60
CALM = 1.5
"""Pictures a second while the key delay is measured."""


SECOND_LOOK = {"yes": True, "no": False, "skip": None}


class RapidView(Screen[int]):
    """Its parts, and what they say."""

    def __init__(self, session: LabelSession, picture: PictureView, label: str) -> None:
        super().__init__()
        self.session, self.asked, self.rate = session, StreamQuestion(label), 3.0
        self.mode, self.given = RapidMode.READY, 0
        self.delay, self.measured = KeyDelay(), False
        self._player: StreamPlayer | None = None
        self._outcome: StreamOutcome | None = None
        self._compositor = TightCompositor()
        self.picture = picture
        self.header = Header("rapid", id="header")
        self.stage = PictureArea(picture, id="stage")
        self.caption, self.keys = CaptionBar(id="caption"), KeyBar(id="keys")

    def compose(self) -> ComposeResult:
        yield self.header
        yield self.stage
        yield self.caption
        yield self.keys

    def do_ready(self) -> None:
        """Offer the choices."""
        self.mode = RapidMode.READY
        self.stage.tell(*rapid_text.ready_notice(self.asked, self.rate, self.delay))
        self.say_state()

    def say_state(self) -> None:
        """The live keys, and where the stream is."""
        self.keys.show(rapid_text.rapid_hints(self.mode, self.asked, self.session.classes))
        self.say_where()

    def say_where(self) -> None:
        player = self._player
        words = f"{self.asked.marks} · {self.rate:g} a second"
        if self.mode in (RapidMode.STREAMING, RapidMode.CALIBRATING) and player is not None:
            words = rapid_text.stream_progress_line(player, self.asked.marks, self.mode)
        elif self.mode is RapidMode.DOUBT and self._outcome is not None:
            words = f"in doubt: {len(self._outcome.doubtful)}"
        elif self.mode is RapidMode.NAMING and self._outcome is not None:
            words = f"{self.asked.marks}, but what? {len(self._outcome.without_class)} left"
        self.caption.show(words)
        self.caption.link(self.picture.status if player is not None else "")

    def say(self, text: str, role: str = "text") -> None:
        self.header.say(text, role)
        self.set_timer(4.0, lambda: self.header.say(""))


class RapidScreen(RapidView):
    """Streams of open items. Returns how many labels it gave."""

    def __init__(
        self,
        session: LabelSession,
        picture: PictureView,
        source: Callable[[StreamQuestion, int], BrowseSource],
        known: Callable[[StreamQuestion], tuple[list[Item], set[Item]]],
        label: str,
    ) -> None:
        """`source(asked, n)` draws open items; `known(asked)` gives items of a known class in
        random order, and which of them are to be marked, to measure the delay with."""
        super().__init__(session, picture, label)
        self._source, self._known = source, known
        self._drawn: BrowseSource | None = None
        self._page: Page | None = None
        self._targets: set[Item] = set()
        self._whole = True
        """Whether nothing of the stream is in doubt any more: what is not marked is answered."""
        self._held = KeyRepeatFilter()

    def on_mount(self) -> None:
        self.set_interval(0.5, self._each_half_second)
        self.do_ready()

    def _each_half_second(self) -> None:
        if self._drawn is not None:
            self._drawn.tick()
        self.say_where()

    # --- keys

    def on_key(self, event: events.Key) -> None:
        event.stop()
        event.prevent_default()
        action = rapid_text.rapid_action(
            self.mode, event.key, event.character, self.session.classes
        )
        if action == "mark" and self._held(event.key, event.time):
            return
        if action:
            self.perform(action, event.time)

    @on(KeyBar.Chosen)
    def _key_clicked(self, message: KeyBar.Chosen) -> None:
        self.perform(message.action[0], time.monotonic())

    def perform(self, action: str, seconds: float) -> None:
        """Do what a key or a click asks for; `at` is when, in seconds."""
        if action == "mark" and self._player is not None:
            self._player.mark(seconds)
        elif action == "pause" and self._player is not None:
            player = self._player
            (player.resume if player.paused else player.pause)(seconds)
            self._each_half_second()
        elif action in ("faster", "slower"):
            self._change_rate(1.25 if action == "faster" else 0.8)
        elif action.startswith("name:") or (action == "skip" and self.mode is RapidMode.NAMING):
            self._give(action.partition(":")[2] or None)
        elif action in SECOND_LOOK:
            self._settle(SECOND_LOOK[action])
        else:
            getattr(self, f"do_{action}")()

    def _change_rate(self, by: float) -> None:
        self.rate = round(max(MIN_RATE, min(MAX_RATE, self.rate * by)), 1)
        if self._player is not None and self.mode is RapidMode.STREAMING:
            self._player.rate = self.rate
        if self.mode is RapidMode.READY:
            self.do_ready()
        self._each_half_second()

    def do_class(self) -> None:
        names = self.session.classes
        label = names[(names.index(self.asked.label) + 1) % len(names)]
        self.asked, self.measured, self.delay = StreamQuestion(label), False, KeyDelay()
        self._close()
        self.do_ready()

    def do_rest(self) -> None:
        ranking = self.session.ranking
        knows = ranking is not None and ranking.model is not None
        self.asked = self.asked.turned(self.session.classes, knows)
        self._close()
        self.do_ready()

    def do_leave(self) -> None:
        """End; what a stream has marked for sure is kept, what is in doubt stays open."""
        if self.mode is RapidMode.STREAMING:
            self._judge()
        if self.mode in (RapidMode.DOUBT, RapidMode.NAMING, RapidMode.UNSAVED):
            self._whole = self._whole and self.mode is not RapidMode.DOUBT
            if not self._write():
                return
        self._close()
        self.dismiss(self.given)

    def do_undo(self) -> None:
        if self.mode in (RapidMode.DOUBT, RapidMode.NAMING) and self._outcome is not None:
            self._outcome.back()
            self._ask()
            return
        try:
            taken = self.session.undo()
        except StoreError as error:
            self.say(f"NOT SAVED: {make_printable(str(error))}", "bad")
            return
        self.given -= len(taken)
        if taken and self.mode is RapidMode.TOLD:
            self.do_ready()  # what was told holds no more
        self.say(
            f"taken back: {plural(len(taken), 'item')}" if taken else "nothing left to take back"
        )

    # --- the stream

    def do_begin(self) -> None:
        """Measure the delay where enough is known, once for each class; then stream."""
        if not self.measured:
            items, self._targets = self._known(self.asked)
            self.measured = True
            if items:
                self._play(RapidMode.CALIBRATING, items, CALM)
                return
        self._begin_stream()

    def _begin_stream(self) -> None:
        count = max(FEWEST, min(MOST, round(self.rate * SECONDS)))
        if self._drawn is None:
            self._drawn = self._source(self.asked, count)
        self._drawn.fit(count)
        page = self._drawn.next()
        if page is None or (self.asked.excepts and page.order != PageOrder.NEEDED):
            self.mode = RapidMode.TOLD
            self.stage.tell(*rapid_text.empty_notice(self.asked))
            self.say_state()
            return
        self._page, self._whole = page, True
        refs = np.random.default_rng([self.session.seed, self.session.state.seq]).permutation(
            page.refs
        )
        self._play(RapidMode.STREAMING, [Item.parse(str(ref)) for ref in refs], self.rate)

    def _play(self, mode: RapidMode, items: Sequence[Item], rate: float) -> None:
        self.mode, self._outcome = mode, None
        self._player = StreamPlayer(self, self.stage, items, self._played)
        self._player.begin(rate)
        self.say_state()

    @on(PictureView.Seen)
    def _seen(self, message: PictureView.Seen) -> None:
        if self._player is not None:
            self._player.seen(message.item, message.time)

    @on(PictureView.Broken)
    def _broken(self, message: PictureView.Broken) -> None:
        if self._player is not None:
            self._player.broken(message.item)

    def _played(self) -> None:
        player = self._player
        assert player is not None
        if self.mode is RapidMode.CALIBRATING:
            at = [t for i, t in player.onsets.items() if player.items[i] in self._targets]
            measured = measure_delays(at, player.marks)
            self.delay = KeyDelay().updated(measured)
            self.say(rapid_text.calibration_line(self.delay, len(measured)))
            self._begin_stream()
        else:
            self._judge()
            self._ask()

    def _judge(self) -> None:
        """From what was shown and pressed to what each item is."""
        player = self._player
        assert player is not None
        player.stop()
        self._outcome, self.mode = StreamOutcome(player, self.delay), RapidMode.DOUBT

    # --- what is in doubt

    def _ask(self) -> None:
        """Show the next item in doubt, or end."""
        assert self._outcome is not None
        items, self.mode = self._outcome.doubtful, RapidMode.DOUBT
        if not items and self.asked.excepts:
            items, self.mode = self._outcome.without_class, RapidMode.NAMING
        if items:
            self.stage.show(items[0], items[1:])
            self.say_state()
        else:
            self.do_finish()

    def _settle(self, positive: bool | None) -> None:
        assert self._outcome is not None
        if self._is_seen(self._outcome.doubtful[0]):
            self._outcome.settle(positive)
            self._ask()

    def _give(self, label: str | None) -> None:
        """Give a class to what is none of that which was streamed."""
        assert self._outcome is not None
        if self._is_seen(self._outcome.without_class[0]):
            self._outcome.name(label)
            self._ask()

    def _is_seen(self, item: Item) -> bool:
        if self.picture.seen != item:
            self.say("not on screen yet: key ignored", "dim")
        return self.picture.seen == item

    # --- the labels

    def do_finish(self) -> None:
        if self._write():
            self.mode = RapidMode.TOLD
            self.say_state()

    def _write(self) -> bool:
        """Write the labels of the stream as one group; whether that went well."""
        outcome = self._outcome
        assert outcome is not None
        marked, rest = self.asked.answers
        answers = outcome.answers(marked, rest if self._whole else None)
        try:
            if answers:
                self.session.decide(answers, picked_by="rapid", extra={"rapid": outcome.told})
        except StoreError as error:
            self.mode = RapidMode.UNSAVED
            self.stage.tell(
                "NOT SAVED", [(make_printable(str(error)), "bad"), ("Enter tries again.", "text")]
            )
            self.say_state()
            return False
        self.given += len(answers)
        if self._drawn is not None and self._page is not None:
            self._drawn.submit(self._page, {}, broken=self._page.refs)
        self.stage.tell(*rapid_text.result_notice(self.asked, outcome, answers))
        return True

    def _close(self) -> None:
        if self._drawn is not None:
            self._drawn.close()
            self._drawn = None
