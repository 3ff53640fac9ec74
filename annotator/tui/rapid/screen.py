"""Rapid mode: a stream of pictures and one key; items in doubt come back one at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from textual import events, on
from textual.app import ComposeResult
from textual.screen import Screen

from annotator.errors import StoreError
from annotator.items.refs import Item, make_printable, plural
from annotator.pages import BrowseSource, Page, PageOrder
from annotator.pages.key_delay import MAX_RATE, MIN_RATE, KeyDelay, measure_delays
from annotator.session.late import describe_beaten
from annotator.session.session import LabelSession
from annotator.tui.key_repeat import KeyRepeatFilter
from annotator.tui.picture.key_reader import comes_pasted
from annotator.tui.picture.picture import PictureArea, PictureView
from annotator.tui.picture.strips import TightCompositor
from annotator.tui.rapid import text as rapid_text
from annotator.tui.rapid.outcome import StreamOutcome
from annotator.tui.rapid.player import StreamPlayer
from annotator.tui.rapid.text import RapidMode, StreamQuestion
from annotator.tui.widgets.bars import CaptionBar, Header, KeyBar, KeyHint

SECONDS = 10.0
"""The length of a stream of `FEWEST` to `MOST` items."""
FEWEST, MOST = 20, 60
CALM = 1.5
"""Pictures a second while the key delay is measured."""


class RapidScreen(Screen[int]):
    """Streams of open items. Its result is the number of labels given."""

    def __init__(
        self,
        session: LabelSession,
        picture: PictureView,
        source: Callable[[StreamQuestion, int], BrowseSource],
        known: Callable[[StreamQuestion], tuple[list[Item], set[Item]]],
        label: str,
    ) -> None:
        """Ask about `label` first.

        `source(asked, n)` draws open items. `known(asked)` returns items of a known class in
        random order, and those of them to be marked, to measure the delay with.
        """
        super().__init__()
        self.session, self.asked, self.rate = session, StreamQuestion(label), 3.0
        self.mode, self.given = RapidMode.READY, 0
        self.delay, self.measured = KeyDelay(), False
        self._source, self._known = source, known
        self._drawn: BrowseSource | None = None
        self._page: Page | None = None
        self._targets: set[Item] = set()
        self._whole = True
        """True if no item of the stream is in doubt any more: unmarked items are answered."""
        self._player: StreamPlayer | None = None
        self._outcome: StreamOutcome | None = None
        self._repeats = KeyRepeatFilter()
        self._compositor = TightCompositor()
        self.picture = picture
        self.header = Header("rapid", id="header")
        self.stage = PictureArea(picture, id="stage")
        self.caption, self.keys = CaptionBar(id="caption"), KeyBar(id="keys")

    def compose(self) -> ComposeResult:
        """Lay out the header, the picture, and the lines below."""
        yield self.header
        yield self.stage
        yield self.caption
        yield self.keys

    def show_choices(self) -> None:
        """Offer the choices before a stream."""
        self.mode = RapidMode.READY
        self.stage.show_notice(*rapid_text.ready_notice(self.asked, self.rate, self.delay))
        self.show_state()

    def show_state(self) -> None:
        """Show the live keys, and where the stream is."""
        classes = self.session.classes
        self.keys.show(rapid_hints(self.mode, self.asked, classes, self.can_undo))
        self.show_progress()

    def show_progress(self) -> None:
        """Show where the stream is, and how the line to the terminal does."""
        player = self._player
        text = f"{self.asked.marks} · {self.rate:g} a second"
        if self.mode in (RapidMode.STREAMING, RapidMode.CALIBRATING) and player is not None:
            text = rapid_text.stream_progress_line(player, self.asked.marks, self.mode)
        elif self.mode is RapidMode.DOUBT and self._outcome is not None:
            text = f"in doubt: {len(self._outcome.doubtful)}"
        elif self.mode is RapidMode.NAMING and self._outcome is not None:
            text = f"{self.asked.marks}, but what? {len(self._outcome.without_class)} left"
        self.caption.show(text)
        self.caption.link(self.picture.status if player is not None else "")

    def say(self, text: str, role: str = "text") -> None:
        """Show a message at the top for some seconds."""
        self.header.say(text, role)
        self.set_timer(4.0, lambda: self.header.say(""))

    def on_mount(self) -> None:
        """Offer the choices, and watch the clock."""
        self.set_interval(0.5, self._each_half_second)
        self.show_choices()

    def _each_half_second(self) -> None:
        if self._drawn is not None:
            self._drawn.tick()
        self.show_progress()

    # --- keys

    def on_key(self, event: events.Key) -> None:
        """Do what a key asks for; a key held down marks once."""
        event.stop()
        event.prevent_default()
        found = find_rapid_command(self.mode, event.key, event.character, self.session.classes)
        if found is None:
            return
        command, label = found
        if command.name == "mark" and comes_pasted(event):
            self._whole = False  # without them it is not known which items are the rest
            self.say("pasted, or typed all at once: ignored", "dim")
        elif command.name == "mark" and self._repeats(event.key, event.time):
            self.say("key held down: one press, one mark", "dim")
        else:
            command.handler(self, label, event.time)

    @on(KeyBar.Chosen)
    def _key_clicked(self, message: KeyBar.Chosen) -> None:
        name, label = message.action
        command = next(c for c in RAPID_COMMANDS if c.name == name and self.mode in c.modes)
        command.handler(self, label, time.monotonic())

    def mark(self, seconds: float) -> None:
        """Mark what is on screen now."""
        if self._player is not None:
            self._player.mark(seconds)

    def toggle_pause(self, seconds: float) -> None:
        """Pause the stream, or resume it."""
        player = self._player
        if player is not None:
            (player.resume if player.paused else player.pause)(seconds)
            self._each_half_second()

    def change_rate(self, factor: float) -> None:
        """Make streams faster or slower."""
        self.rate = round(max(MIN_RATE, min(MAX_RATE, self.rate * factor)), 1)
        if self._player is not None and self.mode is RapidMode.STREAMING:
            self._player.rate = self.rate
        if self.mode is RapidMode.READY:
            self.show_choices()
        self._each_half_second()

    def ask_next_class(self) -> None:
        """Ask about the next class."""
        names = self.session.classes
        label = names[(names.index(self.asked.label) + 1) % len(names)]
        self.asked, self.measured, self.delay = StreamQuestion(label), False, KeyDelay()
        self._close()
        self.show_choices()

    def turn_question(self) -> None:
        """Change what becomes of the unmarked items."""
        ranking = self.session.ranking
        knows = ranking is not None and ranking.model is not None
        self.asked = self.asked.next_question(self.session.classes, knows)
        self._close()
        self.show_choices()

    def leave(self) -> None:
        """Leave; what a stream has marked for sure is kept, what is in doubt stays open."""
        if self.mode is RapidMode.STREAMING:
            self._judge()
        if self.mode in (RapidMode.DOUBT, RapidMode.NAMING, RapidMode.UNSAVED):
            self._whole = self._whole and self.mode is not RapidMode.DOUBT
            if not self._write():
                return
        self._close()
        self.dismiss(self.given)

    @property
    def can_undo(self) -> bool:
        """True if `undo` has something to take back."""
        if self.mode in LOOKS and self._outcome is not None:
            return self._outcome.can_undo
        return self.session.last_decision is not None

    def undo(self) -> None:
        """Take back the last second look, or the labels written last."""
        if self.mode in LOOKS and self._outcome is not None:
            self._outcome.undo_last()
            self._ask()
            return
        try:
            taken = self.session.undo()
        except StoreError as error:
            self.say(f"NOT SAVED: {make_printable(str(error))}", "bad")
            return
        self.given -= len(taken)
        if taken and self.mode is RapidMode.DONE:
            self.show_choices()
        self.show_state()
        self.say(
            f"taken back: {plural(len(taken), 'item')}" if taken else "nothing left to take back"
        )

    # --- the stream

    def begin(self) -> None:
        """Measure the delay if enough items are known, once for each class; then stream."""
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
            self.mode = RapidMode.DONE
            self.stage.show_notice(*rapid_text.empty_notice(self.asked))
            self.show_state()
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
        self.show_state()

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
        """Judge each item by the times of the pictures and the keys."""
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
            self.show_state()
        else:
            self.finish()

    def resolve_doubt(self, positive: bool | None) -> None:
        """Answer the item in doubt on screen; None leaves it open."""
        assert self._outcome is not None
        if self._is_seen(self._outcome.doubtful[0]):
            self._outcome.resolve_doubt(positive)
            self._ask()

    def assign_label(self, label: str | None) -> None:
        """Give a class of its own to the marked item on screen; None skips it."""
        assert self._outcome is not None
        if self._is_seen(self._outcome.without_class[0]):
            self._outcome.name(label)
            self._ask()

    def _is_seen(self, item: Item) -> bool:
        seen = self.picture.seen == item and self.picture.accepts(item)
        if not seen:
            self.say(self.picture.refusal, "dim")
        return seen

    # --- the labels

    def finish(self) -> None:
        """Write the labels of the stream."""
        if self._write():
            self.mode = RapidMode.DONE
            self.show_state()

    def _write(self) -> bool:
        """Write the labels of the stream as one group; return whether that went well."""
        outcome = self._outcome
        assert outcome is not None
        marked, rest = self.asked.answers
        answers = outcome.answers(marked, rest if self._whole else None)
        late = ""
        try:
            if answers:
                extra = {"rapid": outcome.summary}
                self.session.decide(answers, picked_by="rapid", extra=extra, only_open=answers)
                late = describe_beaten(self.session.beaten_by)
        except StoreError as error:
            self.mode = RapidMode.UNSAVED
            self.stage.show_notice(
                "NOT SAVED", [(make_printable(str(error)), "bad"), ("Enter tries again.", "text")]
            )
            self.show_state()
            return False
        self.given += len(answers) - len(self.session.beaten_by if late else ())
        if self._drawn is not None and self._page is not None:
            self._drawn.submit(self._page, {}, broken=self._page.refs)
        heading, lines = rapid_text.result_notice(self.asked, outcome, answers)
        self.stage.show_notice(heading, [(late, "warn"), *lines] if late else lines)
        return True

    def _close(self) -> None:
        if self._drawn is not None:
            self._drawn.close()
            self._drawn = None


STREAMS = (RapidMode.CALIBRATING, RapidMode.STREAMING)
BETWEEN = (RapidMode.READY, RapidMode.DONE)
LOOKS = (RapidMode.DOUBT, RapidMode.NAMING)
_LEAVE = ("q", "escape", "ctrl+c")


@dataclass(frozen=True, slots=True)
class RapidCommand:
    """One command of rapid mode: when it is live, its keys, its words and its handler."""

    name: str
    handler: Callable[[RapidScreen, str, float], None]
    """Called with the screen, a class name or "", and the time of the key in seconds."""
    modes: tuple[RapidMode, ...]
    keys: tuple[str, ...]
    shown: str = ""
    """The key as the footer writes it; "" for a command that is not in it."""
    title: str = ""
    """Words for the footer, with {marks} for what is marked and {rest} for the other items."""


RAPID_COMMANDS: tuple[RapidCommand, ...] = (
    RapidCommand(
        "begin", lambda screen, *_: screen.begin(), BETWEEN, ("enter", "space"), "⏎", "stream",
    ),
    RapidCommand(
        "finish", lambda screen, *_: screen.finish(), (RapidMode.UNSAVED,), ("enter",), "⏎",
        "try again",
    ),
    RapidCommand(
        "mark", lambda screen, _, seconds: screen.mark(seconds), STREAMS,
        ("space", "d", "right", "enter"), "space", "{marks}",
    ),
    RapidCommand(
        "yes", lambda screen, *_: screen.resolve_doubt(True), (RapidMode.DOUBT,),
        ("d", "y", "right"), "D", "{marks}",
    ),
    RapidCommand(
        "no", lambda screen, *_: screen.resolve_doubt(False), (RapidMode.DOUBT,),
        ("a", "n", "left"), "A", "no",
    ),
    RapidCommand(
        "skip", lambda screen, *_: screen.resolve_doubt(None), (RapidMode.DOUBT,), ("s",), "S",
        "skip",
    ),
    RapidCommand(
        "name", lambda screen, label, _: screen.assign_label(label), (RapidMode.NAMING,), (),
    ),
    RapidCommand(
        "skip", lambda screen, *_: screen.assign_label(None), (RapidMode.NAMING,), ("s",), "S",
        "leave it open",
    ),
    RapidCommand(
        "class", lambda screen, *_: screen.ask_next_class(), (RapidMode.READY,), ("tab",), "tab",
        "class",
    ),
    RapidCommand(
        "rest", lambda screen, *_: screen.turn_question(), (RapidMode.READY,), ("o",), "O",
        "rest: {rest}",
    ),
    RapidCommand(
        "change", lambda screen, *_: screen.show_choices(), (RapidMode.DONE,), ("o", "tab"), "O",
        "change",
    ),
    RapidCommand(
        "faster", lambda screen, *_: screen.change_rate(1.25), (*BETWEEN, RapidMode.STREAMING),
        ("+", "=", "up"), "+ −", "speed",
    ),
    RapidCommand(
        "slower", lambda screen, *_: screen.change_rate(0.8), (*BETWEEN, RapidMode.STREAMING),
        ("-", "down"),
    ),
    RapidCommand(
        "pause", lambda screen, _, seconds: screen.toggle_pause(seconds), STREAMS, ("p",), "P",
        "pause",
    ),
    RapidCommand(
        "undo", lambda screen, *_: screen.undo(), BETWEEN, ("backspace",), "⌫", "undo",
    ),
    RapidCommand(
        "undo", lambda screen, *_: screen.undo(), LOOKS, ("backspace",), "⌫", "back one",
    ),
    RapidCommand(
        "leave", lambda screen, *_: screen.leave(),
        (*BETWEEN, RapidMode.CALIBRATING, RapidMode.UNSAVED), _LEAVE, "Q", "back",
    ),
    RapidCommand(
        "leave", lambda screen, *_: screen.leave(), (RapidMode.STREAMING, *LOOKS), _LEAVE, "Q",
        "end here",
    ),
)  # fmt: skip
"""All commands; a key has one at most in each mode. The footer shows them in this order."""


def find_rapid_command(
    mode: RapidMode, key: str, character: str | None, classes: Sequence[str] = ()
) -> tuple[RapidCommand, str] | None:
    """Return the command of a key and the class that it names; None if the key does nothing."""
    live = [command for command in RAPID_COMMANDS if mode in command.modes]
    if mode is RapidMode.NAMING and character and character.isdecimal():
        if not 0 < int(character) <= len(classes):
            return None
        name = next(command for command in live if command.name == "name")
        return name, classes[int(character) - 1]
    for pressed in (key, character, (character or "").lower()):
        for command in live:
            if pressed in command.keys:
                return command, ""
    return None


def rapid_hints(
    mode: RapidMode, asked: StreamQuestion, classes: Sequence[str], can_undo: bool
) -> list[KeyHint]:
    """Return the live keys for the footer, most needed first."""
    shown = []
    if mode is RapidMode.NAMING:
        for number, name in enumerate(classes[:9], 1):
            shown.append((str(number), make_printable(name), ("name", name)))
    marks, rest = asked.marks, make_printable(asked.answers[1] or "open")
    for command in RAPID_COMMANDS:
        works = can_undo or command.name != "undo"
        if mode in command.modes and command.shown and works:
            title = command.title.replace("{marks}", marks).replace("{rest}", rest)
            shown.append((command.shown, title, (command.name, "")))
    return [KeyHint(key, title, action, n) for n, (key, title, action) in enumerate(shown)]
