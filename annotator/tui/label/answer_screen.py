"""The answers of the labelling screen: to the open question, and anew to those in a look back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from textual.message import Message

from annotator.items.refs import Item, make_printable
from annotator.project.label_sets import join_label
from annotator.session.late import describe_beaten
from annotator.tui.host import ScreenHost, crop_loader
from annotator.tui.label.filmstrip import Filmstrip
from annotator.tui.label.question_screen import QuestionScreen
from annotator.tui.label.sidebar import Sidebar
from annotator.tui.label.walk import Walk

if TYPE_CHECKING:
    from annotator.log.entries import Entry
    from annotator.tui.commands import Command
    from annotator.tui.key_repeat import Pace
    from annotator.tui.keymaps import Keymap
    from annotator.tui.label.near_duplicates import NearDuplicates
    from annotator.tui.picture.picture import PictureView


class AnswerScreen(QuestionScreen):
    """The base of the labelling screen: answers, their undo, and the walk back through them."""

    @dataclass
    class Answered(Message):
        """A new entry in the log from which a model can learn."""

    def __init__(
        self,
        host: ScreenHost,
        keymap: Keymap,
        pace: Pace,
        picture: PictureView,
        near_duplicates: NearDuplicates,
    ) -> None:
        """Prepare the screen for the session of `host`, which opens other screens over it."""
        super().__init__(host.project, host.session, keymap, picture)
        self.host, self.pace, self.near_duplicates = host, pace, near_duplicates
        self.walk = Walk(self.session)
        target = self.project.settings.target_error
        load = crop_loader(self.project)
        self.filmstrip = Filmstrip(self.walk, picture, load, id="filmstrip")
        self.sidebar = Sidebar(self.session, self.walk, keymap, pace, target, id="sidebar")

    def perform(self, name: str, argument: str = "") -> None:
        """Carry out a command, or label with the class `argument`, if that is live."""
        raise NotImplementedError

    def is_live(self, name: str) -> bool:
        """Return whether a command, or labelling, does something now."""
        raise NotImplementedError

    def live_commands(self) -> Sequence[Command[Any]]:
        """Return the commands that do something now."""
        raise NotImplementedError

    def show_near_duplicates(self) -> None:
        """Show under the picture how many near-duplicates of the item are open."""
        walks = self.walk.active
        self.caption.show_near_duplicates("" if walks else self.near_duplicates.caption())

    # --- answers

    def label_item(self, name: str) -> None:
        """Label the item with a class, or choose the class if items may have several."""
        if name not in self.session.classes:
            return  # a class of an older project, which is shown for its count
        if self._broken is not None:
            self.say("no picture, no label; skip it or flag it", "warn")
        elif self.session.multi:
            item = self.walk.item
            if not self.walk.active or (item is not None and self._is_seen(item)):
                self.sidebar.toggle_choice(name)
        elif self.walk.active:
            self._correct(name)
        else:
            self._answer(lambda ref: self._label(name, ref))

    def _label(self, name: str, ref: str) -> Entry | None:
        entries = self.near_duplicates.label(name, ref, self.shown_ms)
        if len(entries) > 1:
            self.pace.answers += len(entries) - 1
            self.say(f"{make_printable(name)}: {len(entries)} near-duplicates at once, one undo")
        return entries[0] if entries else None

    def confirm_classes(self) -> None:
        """Label the item with the classes that are chosen, or with none."""
        label = join_label(self.sidebar.chosen, self.session.classes)
        if self.walk.active:
            self._correct(label)
        else:
            self._answer(lambda ref: self.session.label(label, ref, self.shown_ms))

    def skip_item(self) -> None:
        """Leave the item unlabelled, and show the next; an answer in view becomes a skip."""
        if self.walk.active:
            self._correct(None)
        else:
            self._answer(lambda ref: self.session.skip(ref, self.shown_ms))

    def undo_answer(self) -> None:
        """Take the last answer back, and show its item again; of an answer in view a correction."""
        undone = self.banner.run_saving(self.session.undo)
        if undone is None:
            return
        self.pace.take_back(len(undone))
        if undone:
            last = undone[-1]
            answer = make_printable(last.label or "skip")
            self.say(f"taken back: {answer}" + (f", {len(undone)} items" if undone[1:] else ""))
        else:
            self.say("nothing left to take back", "dim")
        self._show_next()

    def ask_skipped(self) -> None:
        """Ask all skipped items again."""
        if count := self.banner.run_saving(self.session.reopen_skipped):
            items = "item is" if count == 1 else "items are"
            self.say(f"{count:,} skipped {items} asked once more")
        self._show_next()

    def _answer(self, give: Callable[[str], Entry | None]) -> None:
        """Answer the item that the annotator sees, and no other; then show the next."""
        item = self.session.current
        if item is None or not self._is_seen(item):
            return
        if self.banner.run_saving(lambda: give(item.ref)) is not None:
            self.pace.answer()
            self._show_next()
        elif late := describe_beaten(self.session.beaten_by):
            self._show_next()
            self.say(late, "warn", 8)

    def _is_seen(self, item: Item) -> bool:
        """Return whether the key can be meant for an item; say so if it cannot."""
        seen = self.picture.accepts(item)
        if not seen:
            self.say(self.picture.refusal, "dim", 1.5)
        return seen

    def _correct(self, name: str | None) -> None:
        """Answer the answered item in view anew, and stay there."""
        before, item = self.walk.answer, self.walk.item
        if item is None or not self._is_seen(item):
            return
        old, new = (make_printable(label or "skipped") for label in (before and before.label, name))
        if before is not None and before.label == name:
            self.say(f"it is {new} already", "dim", 2)
        elif self.banner.run_saving(lambda: self.walk.correct(name, self.shown_ms)) is not None:
            self.pace.answer()
            self._show_next()
            self.say(f"corrected: {old} → {new}")
        elif not self.banner.has("store"):
            self.sync()
            late = describe_beaten(self.session.beaten_by)
            self.say(late or "that answer was taken back meanwhile", "warn", 8)

    def _show_next(self) -> None:
        self.sync()
        self.post_message(self.Answered())

    # --- the walk through the answers

    def walk_back(self) -> None:
        """Show the answer before the one in view; nothing is undone."""
        self._walk(1, "this is the first answer" if self.walk.active else "nothing is answered yet")

    def walk_forward(self) -> None:
        """Show the answer after the one in view, and after the last one the open question."""
        self._walk(-1, "this is the open question: answer it, or skip it")

    def return_to_question(self) -> None:
        """Show the open question again."""
        self.walk_to(0)

    def walk_to(self, back: int) -> None:
        """Show the answer that is `back` answers ago, from 1; 0 for the open question."""
        self._walk(back - self.walk.back, "")

    def _walk(self, by: int, end: str) -> None:
        if not self.walk.step(by):
            self.say(end, "dim", 2)
            return
        self.sync()
        self.show_near_duplicates()
        self.host.show_activity()
