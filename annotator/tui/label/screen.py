"""The labelling screen: one picture, the classes, and what is known so far."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.message import Message

from annotator.items.refs import Item, make_printable
from annotator.log.entries import Entry
from annotator.project.project import ProjectFolder
from annotator.session.session import LabelSession
from annotator.tui.key_repeat import Pace
from annotator.tui.keymaps import Keymap
from annotator.tui.label import text as label_text
from annotator.tui.label.class_list import ClassList
from annotator.tui.label.help import HelpScreen
from annotator.tui.label.note_dialog import NoteScreen
from annotator.tui.label.question_screen import QuestionScreen
from annotator.tui.label.sidebar import Sidebar
from annotator.tui.label.text import LabelPhase
from annotator.tui.picture.picture import PictureView
from annotator.tui.widgets.bars import KeyBar
from annotator.tui.widgets.notice import Notice


class LabelScreen(QuestionScreen):
    """Turns keys into answers, and answers into the next picture."""

    @dataclass
    class Answered(Message):
        """Something was written to the log that a model can learn from."""

    @dataclass
    class CommandRequested(Message):
        """A command that is the app's to carry out."""

        command: str

    def __init__(
        self,
        project: ProjectFolder,
        session: LabelSession,
        keymap: Keymap,
        pace: Pace,
        picture: PictureView,
    ) -> None:
        super().__init__(project, picture)
        self.session, self.keymap, self.pace = session, keymap, pace
        self.listed = False
        """Whether all of the pool is known."""
        self._state: LabelPhase | None = None
        self.give: Callable[[str, str, int | None], Entry | None] = session.label
        self.sidebar = Sidebar(session, keymap, pace, project.settings.target_error, id="sidebar")

    def compose(self) -> ComposeResult:
        yield Notice(id="small")
        yield self.header
        with Horizontal(id="middle"):
            yield self.stage
            yield self.sidebar
        yield self.banner
        yield self.caption
        yield self.keys

    def on_mount(self) -> None:
        self.set_interval(1.0, self._each_second)
        self.sync()
        self._each_second()

    # --- what is on screen

    def sync(self) -> None:
        """Show what the session asks, and all that has changed beside it."""
        state = self._state = label_text.phase_of(self.session, self.listed)
        item = self.session.current
        if item is not None:
            ahead = self.session.upcoming(self.session.queue.ahead)
            if self.stage.show(item, ahead):
                self._broken = None
        else:
            progress = self.session.progress
            self.stage.tell(*label_text.phase_notice(state, self.project, progress, self.keymap))
        self.refresh_words()

    def refresh_words(self) -> None:
        """The text around the picture; only what differs is sent."""
        if self._state is None:
            return  # nothing has been shown yet
        item, hidden = self.session.current, self.sidebar.hides_prediction
        self.sidebar.show_soon()
        self.caption.show(*(label_text.item_caption(self.session, item, hidden) if item else ("",)))
        self._show_keys()

    def _show_keys(self) -> None:
        assert self._state is not None
        if not self._covered:
            self.keys.show(label_text.label_hints(self._state, self.keymap, self.session))
        else:
            self.keys.show([label_text.CLOSE])  # a dialog has the keys

    def on_screen_suspend(self) -> None:
        self._covered = True
        self._show_keys()

    def on_screen_resume(self) -> None:
        self._covered = False
        if self._state is not None:
            self._show_keys()

    def _each_second(self) -> None:
        """What need not be exact at every key."""
        self.sidebar.renew()
        self.caption.link(self.picture.status if self.session.current else "")

    def on_other_entries(self, entries: list[Entry]) -> None:
        """Somebody else wrote these."""
        if words := label_text.answered_elsewhere(entries, self.session.current):
            self.say(words, "warn")

    # --- keys and clicks

    def on_key(self, event: events.Key) -> None:
        action = self.keymap.action(event.key, event.character)
        if event.key == "escape":
            self.banner.dismiss()
        if action is not None:
            event.stop()
            event.prevent_default()
            if action[0] in ("label", "skip", "confirm") and self._held(event.key, event.time):
                self.say("key held down: one press, one answer", "dim", 1.5)
                return
            self.perform(*action)

    @property
    def live(self) -> set[str]:
        """The commands that do something now."""
        return set() if self._state is None else label_text.live_commands(self._state, self.session)

    def perform(self, command: str, argument: str = "") -> None:
        """Do what a key, a click or the palette asks for."""
        able = self.live
        if command not in able:
            command = label_text.SAME_KEY.get(command, command)
        small = self.has_class("small") and command != "quit"
        if small or command not in able:
            return
        own = getattr(self, f"do_{command}", None)
        if own is None:
            self.post_message(self.CommandRequested(command))
        elif argument:
            own(argument)
        else:
            own()

    @on(ClassList.Chosen)
    @on(KeyBar.Chosen)
    def _clicked(self, message: ClassList.Chosen | KeyBar.Chosen) -> None:
        self.perform(*message.action)

    def on_resize(self, event: events.Resize) -> None:
        small = label_text.is_too_small(event.size)
        self.set_class(small, "small")
        if small:
            self.query_one("#small", Notice).show(*label_text.too_small_notice(event.size))
        flat = event.size.height < 30
        self.set_class(flat, "-flat")
        self.set_class(event.size.width >= label_text.WIDE, "-wide")
        self.sidebar.give(event.size.height - (3 if flat else 4))

    # --- answers

    def do_label(self, name: str) -> None:
        if name not in self.session.classes:
            return  # of an older project: shown for its count
        if self._broken is not None:
            self.say("no picture, no label; skip it or flag it", "warn")
            return
        if self.session.multi:
            self.sidebar.toggle(name)
        else:
            self._answer(lambda ref: self.give(name, ref, self.shown_ms))

    def do_confirm(self) -> None:
        label = self.sidebar.choice.label
        self._answer(lambda ref: self.session.label(label, ref, self.shown_ms))

    def do_skip(self) -> None:
        self._answer(lambda ref: self.session.skip(ref, self.shown_ms))

    def do_undo(self) -> None:
        taken = self.banner.run_saving(self.session.undo)
        if taken is None:
            return
        self.pace.take_back(len(taken))
        if taken:
            last = taken[-1]
            answer = make_printable(last.label or "skip")
            self.say(f"taken back: {answer}" + (f", {len(taken)} items" if taken[1:] else ""))
        else:
            self.say("nothing left to take back", "dim")
        self._went_on()

    def do_again(self) -> None:
        if count := self.banner.run_saving(self.session.reopen_skipped):
            items = "item is" if count == 1 else "items are"
            self.say(f"{count:,} skipped {items} asked once more")
        self._went_on()

    def do_flag(self) -> None:
        item = self.picture.item
        if item is not None:
            flagged = self.banner.run_saving(lambda: self.session.flag(item.ref))
            if flagged is not None:
                self.refresh_words()

    def do_note(self) -> None:
        item = self.picture.item
        if item is not None:
            notes = [make_printable(note) for note in self.session.notes(item.ref)]
            self.app.push_screen(NoteScreen(notes), lambda text: self._note(item, text))

    def _note(self, item: Item, text: str | None) -> None:
        if text:
            self.banner.run_saving(lambda: self.session.note(item.ref, text))
            self.refresh_words()

    def _answer(self, give: Callable[[str], Entry | None]) -> None:
        """Answer the item that the annotator sees, and only that; then show the next."""
        item = self.session.current
        if item is None:
            return
        if self._broken != item and not self.picture.accepts(item):
            self.say("not on screen yet: key ignored", "dim", 1.5)
            return
        if self.banner.run_saving(lambda: give(item.ref)) is not None:
            self.pace.answer()
            self._went_on()

    def _went_on(self) -> None:
        self.sync()
        self.post_message(self.Answered())

    # --- views

    def do_hide(self) -> None:
        hidden = self.sidebar.hides_prediction = not self.sidebar.hides_prediction
        self.refresh_words()
        self.say("prediction hidden" if hidden else "prediction shown", "dim", 2)

    def do_zoom(self) -> None:
        self.say("true pixels" if self.picture.zoom() else "the whole picture", "dim", 2)

    def do_help(self) -> None:
        self.app.push_screen(HelpScreen(self.keymap, self.session.classes, self.project))
