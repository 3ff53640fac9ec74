"""The labelling screen: one picture, the classes, the progress, and the table of its commands."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.geometry import Size

from annotator.items.refs import make_printable
from annotator.tui.commands import Command, class_hints, command_hints, command_table
from annotator.tui.keymaps import LABEL
from annotator.tui.label import openers
from annotator.tui.label import text as label_text
from annotator.tui.label.answer_screen import AnswerScreen
from annotator.tui.label.class_list import ClassList, count_labels
from annotator.tui.label.filmstrip import Filmstrip
from annotator.tui.label.question_screen import contrast_commands, zoom_commands
from annotator.tui.label.text import LabelPhase
from annotator.tui.widgets.bars import KeyBar, KeyHint
from annotator.tui.widgets.choices import Choice
from annotator.tui.widgets.notice import Notice

if TYPE_CHECKING:
    from annotator.learn.label_conflicts import Contradiction
    from annotator.log.entries import Entry


class LabelScreen(AnswerScreen):
    """The screen that turns keys into answers, and answers into the next picture."""

    listed = False
    """True once the whole pool is known."""
    phase: LabelPhase | None = None
    """The phase that is on screen; None before the first."""
    _ignored = False
    """True after the key of one of several classes that came before it was on screen."""

    def compose(self) -> ComposeResult:
        """Lay out the picture beside the sidebar, between header and footer."""
        # Before the children are there: each later change styles all of them anew.
        self.update_classes(self._size_classes(self.app.size), update=False)
        yield Notice(id="small")
        yield self.header
        with Horizontal(id="middle"):
            with Vertical(id="pictures"):
                yield self.stage
                yield self.filmstrip
            yield self.sidebar
        yield self.banner
        yield self.caption
        yield self.keys

    def on_mount(self) -> None:
        """Show the first item, and renew once a second what need not follow every key."""
        self.set_interval(1.0, self._each_second)
        self.sync()
        self._each_second()

    # --- what is on screen

    def sync(self) -> None:
        """Show what the session asks or the answer in view, and all around it that has changed."""
        self.phase = label_text.phase_of(self.session, self.listed)
        item = self.walk.item
        if item is not None:
            if self.stage.show(item, self.walk.items_near()):
                self._broken = None
        else:
            progress, within = self.session.progress, self.session.within
            notice = label_text.check_notice(self.session, self.phase, self.keymap)
            notice = notice or label_text.phase_notice(
                self.phase,
                self.project,
                progress,
                self.keymap,
                within,
                self.session.mode.refines,
            )
            self.stage.show_notice(*notice)
        self.refresh_words()

    def refresh_words(self) -> None:
        """Show the text around the picture; only what differs is sent."""
        if self.phase is None:
            return  # nothing has been shown yet
        item, hidden = self.walk.item, self.sidebar.hides_prediction
        self.sidebar.show_soon()
        self.keymap = self.sidebar.keymap
        words = label_text.item_caption(self.session, item, hidden) if item else ("", "", "")
        self.caption.show(*words, self.walk.words)
        self.filmstrip.show()
        self.show_keys()

    def show_contradictions(self, found: Sequence[Contradiction]) -> None:
        """Hint at a label of this annotator that its nearest neighbours contradict."""
        if words := label_text.contradiction_text(self.session, found):
            self.say(words, "warn", 6)

    def asked_ref(self) -> str | None:
        """Return the ref of the item in view."""
        item = self.picture.item
        return None if item is None else item.ref

    def live_hints(self) -> list[KeyHint]:
        """Return the live keys for the footer, the most needed first."""
        classes = self.session.classes
        found = class_hints(classes, self.keymap) if self.is_live(LABEL) else []
        # Most of many classes have no key: the way to find them comes first.
        needed = _MOST_NEEDED if len(classes) <= 9 else ("classes", *_MOST_NEEDED)
        return found + command_hints(self.live_commands(), self.keymap, needed, len(found))

    def palette_choices(self) -> Iterator[Choice[Callable[[], object]]]:
        """Yield every live command and every class for the palette."""
        for command in self.live_commands():
            if command.name != "palette":
                do, head = partial(self.perform, command.name), command.title.capitalize()
                key = next(iter(command.shown_keys(self.keymap)), "")
                yield Choice(do, head, command.help, key)
        counts, keys = count_labels(self.session), self.keymap.classes
        for name in self.session.classes if self.is_live(LABEL) else ():
            head, label = f"Label as {make_printable(name)}", partial(self.perform, LABEL, name)
            yield Choice(label, head, "", keys.get(name, ""), counts[name])

    def _each_second(self) -> None:
        self.sidebar.renew()
        self.show_looks()

    def on_other_entries(self, entries: list[Entry]) -> None:
        """Report an answer of another annotator to the item on screen."""
        if self.walk.active and self.walk.answer not in entries:
            return  # nothing on the screen has changed, or it was corrected since
        if words := label_text.answered_elsewhere(entries, self.walk.item):
            self.say(words, "warn")

    # --- keys and clicks

    def on_key(self, event: events.Key) -> None:
        """Perform the action of a key, if it is live."""
        if event.key == "escape":
            self.banner.dismiss()
        name, argument = self.keymap.action_of(event.key, event.character)
        held = self._held(event.key, event.time)
        pans = _in_view(self) and self.pans(event.key)
        if not name and not pans:
            return
        event.stop()
        event.prevent_default()
        if pans:
            return
        if not self.is_live(name):
            return
        answers = name == LABEL or COMMANDS[name].answers
        painted_at = self.sidebar.digit_painted_at(event.character or event.key)
        if answers and held:
            self.say("key held down: one press, one answer", "dim", 1.5)
        elif name == LABEL and not self.picture.typed_on(painted_at):
            self._ignored = self.session.multi
            self.say(self.picture.refusal, "dim", 1.5)
        elif name in _WRITES and self.walk.item and not self.picture.typed_on(-math.inf):
            self.say(self.picture.refusal, "dim", 1.5)
        elif name == "confirm" and self._ignored:  # that class would be missing from the label
            self._ignored = False
            self.say("a class key came too early: choose again, then confirm", "warn")
        else:
            self._ignored = False
            self.perform(name, argument)

    def is_live(self, name: str) -> bool:
        """Return whether a command, or labelling, does something now."""
        if name == LABEL:
            return _in_view(self)
        return self.phase is not None and COMMANDS[name].is_live(self)

    def live_commands(self) -> list[Command[LabelScreen]]:
        """Return the commands that do something now."""
        known = COMMANDS.values() if self.phase is not None else ()
        return [command for command in known if command.is_listed(self)]

    def perform(self, name: str, argument: str = "") -> None:
        """Carry out a command, or label with the class `argument`, if that is live."""
        small = self.has_class("small") and name != "quit"
        if small or not self.is_live(name):
            return
        if name == LABEL:
            self.label_item(argument)
        else:
            COMMANDS[name].handler(self)

    @on(Filmstrip.Chosen)
    def _answer_clicked(self, message: Filmstrip.Chosen) -> None:
        self.walk_to(message.back)

    @on(ClassList.Chosen)
    @on(KeyBar.Chosen)
    def _clicked(self, message: ClassList.Chosen | KeyBar.Chosen) -> None:
        if message.action[0]:  # the key that closes a dialog is not a command
            self.perform(*message.action)

    def on_resize(self, event: events.Resize) -> None:
        """Fit the layout to the window, or ask for a larger one."""
        self.update_classes(self._size_classes(event.size))
        if self.has_class("small"):
            self.query_one("#small", Notice).show(*label_text.too_small_notice(event.size))
        self.sidebar.allot_rows(event.size.height - (3 if self.has_class("-flat") else 4))

    def _size_classes(self, size: Size) -> dict[str, bool]:
        return {
            "small": label_text.is_too_small(size),
            "-flat": size.height < 30,
            "-wide": size.width >= label_text.WIDE,
            "-roomy": label_text.is_roomy(size) and self.filmstrip.is_possible,
        }

    # --- views

    def toggle_prediction(self) -> None:
        """Hide the model's prediction, or show it again."""
        hidden = self.sidebar.hides_prediction = not self.sidebar.hides_prediction
        self.refresh_words()
        self.say("prediction hidden" if hidden else "prediction shown", "dim", 2)

    def toggle_group(self) -> None:
        """Switch between answers for one item and answers for all its near-duplicates."""
        group = self.near_duplicates.answers_group = not self.near_duplicates.answers_group
        on = "from now on an answer holds for all near-duplicates of an item"
        self.say(on if group else "an answer holds for one item again")
        self.show_near_duplicates()
        self.host.show_activity()


_ASKED = (LabelPhase.ASKING, LabelPhase.AUDITING)
_WRITES = ("undo", "flag", "note")
"""The commands that write to the log and are not answers to the picture in view."""
_DONE = (LabelPhase.FINISHED, LabelPhase.WAITING)
_MOST_NEEDED = (
    "return", "confirm", "skip", "undo", "again", "help", "quit", "pages", "back", "forward",
    "flag", "hide", "strategy",
)  # fmt: skip
"""The commands that stay in the footer of a narrow window, the most needed first."""


def _during(*phases: LabelPhase) -> Callable[[LabelScreen], bool]:
    """Return the condition that no answer is in view and the screen is in one of these phases."""
    return lambda screen: screen.phase in phases and not screen.walk.active


_asked = _during(*_ASKED)
_asking = _during(LabelPhase.ASKING)
_asking_or_done = _during(LabelPhase.ASKING, *_DONE)


def _asking_or_within(screen: LabelScreen) -> bool:
    return _asking(screen) or (bool(screen.session.within) and _asking_or_done(screen))


_answered = _during(*_ASKED, LabelPhase.AUDITED, LabelPhase.LOST, *_DONE)


def _walks(screen: LabelScreen) -> bool:
    return screen.walk.active


def _in_view(screen: LabelScreen) -> bool:
    """Return whether a picture is in view: the open question, or an answered one."""
    return screen.walk.active or _asked(screen)


def _may_undo(screen: LabelScreen) -> bool:
    return screen.walk.may_undo if screen.walk.active else _answered(screen)


def _chooses(screen: LabelScreen) -> bool:
    return _in_view(screen) and screen.session.multi


def _has_skipped(screen: LabelScreen) -> bool:
    over = _during(LabelPhase.AUDITED, *_DONE)
    return over(screen) and screen.session.progress.skipped > 0


COMMANDS: dict[str, Command[LabelScreen]] = command_table(
    Command(
        "confirm", "confirm", "Label with the chosen classes, or with none.",
        LabelScreen.confirm_classes, _chooses, answers=True,
    ),
    Command(
        "skip", "skip", "Leave the item unlabelled; it is not asked again.",
        LabelScreen.skip_item, _in_view, answers=True,
    ),
    Command(
        "undo", "undo", "Take back your last answer; press again for the one before.",
        LabelScreen.undo_answer, _may_undo,
        works=lambda screen: screen.session.last_decision is not None,
    ),
    Command(
        "back", "look back", "Look at the answer before; a class key corrects it.",
        LabelScreen.walk_back, lambda screen: _walks(screen) or _answered(screen),
        works=lambda screen: screen.walk.begins,
    ),
    Command(
        "forward", "forward", "Look at the answer after it; after the last, the question.",
        LabelScreen.walk_forward, _in_view, works=_walks,
    ),
    Command(
        "return", "return", "Return to the open question.", LabelScreen.return_to_question, _walks
    ),
    Command(
        "flag", "flag", "Flag the item for a second look, or take the flag off.",
        LabelScreen.toggle_flag, _in_view,
    ),
    Command("note", "note", "Write a note on the item.", LabelScreen.write_note, _in_view),
    Command(
        "hide", "hide", "Hide the model's prediction, or show it.",
        LabelScreen.toggle_prediction, _asking,
    ),
    *zoom_commands(_in_view),
    Command(
        "pages", "pages", "Label pages of many items: accept predictions, find a class.",
        openers.offer_pages, _asking,
    ),
    Command(
        "rapid", "rapid", "See a fast stream of items; one key marks one class.",
        openers.show_rapid, _asking,
        works=lambda screen: not label_text.rapid_refusal(screen.host.caps, screen.session),
    ),
    Command(
        "similar", "similar", "Show a page of the items most similar to this one.",
        openers.show_similar,
        lambda screen: _asking(screen) or (_walks(screen) and not screen.session.blind),
        works=lambda screen: screen.session.has_features,
    ),
    Command(
        "search", "search", "Find items by name, class, state, similarity or words.",
        openers.show_search, _asking_or_done,
    ),
    Command(
        "map", "map", "Show all items as a map, near each other if they look alike.",
        openers.show_map, _asking_or_done,
        works=lambda screen: screen.session.has_features,
    ),
    Command(
        "group", "whole group", "Let an answer hold for all near-duplicates, or for one item.",
        LabelScreen.toggle_group, _asking,
    ),
    Command(
        "check", "check", "Check the model on random items, however often you look.",
        openers.offer_check, _asking,
        works=lambda screen: screen.session.has_features and not screen.session.within,
    ),
    Command(
        "strategy", "strategy", "Choose how items are picked, hunt a class or in a query.",
        openers.choose_strategy, _asking_or_within,
    ),
    Command(
        "curves", "curves", "Show the curves at full size: error, difficulty, classes.",
        openers.show_curves, _asking_or_done,
    ),
    Command(
        "prices", "prices", "Show what each promise of finish would cost and spare.",
        openers.show_prices, _asking_or_done,
        works=lambda screen: screen.session.has_features,
    ),
    Command(
        "classes", "find class", "Find a class by a few letters, and label with it.",
        openers.find_class, _in_view,
    ),
    Command(
        "meaning", "meaning", "Show what each class means, with its reference pictures.",
        openers.show_class_info, _in_view,
    ),
    *contrast_commands(_in_view),
    Command(
        "again", "ask skipped", "Ask the skipped items again, once all others are answered.",
        LabelScreen.ask_skipped, _has_skipped,
    ),
    Command("help", "help", "Show all keys, and explain the terms here.", openers.show_help),
    Command(
        "palette", "palette", "Find any command or class by its name.",
        lambda screen: screen.host.action_command_palette(),
    ),
    Command(
        "quit", "quit", "Quit; every label is on disk already.", lambda screen: screen.host.exit()
    ),
)  # fmt: skip
"""The commands of the labelling screen, in their order in the footer and on the help screen."""
