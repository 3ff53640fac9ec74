"""The labelling screen: one picture, the classes, the progress, and the table of its commands."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from textual import events, on
from textual.app import ComposeResult, SystemCommand
from textual.containers import Horizontal
from textual.message import Message

from annotator.items.refs import make_printable
from annotator.learn.label_conflicts import Contradiction
from annotator.log.entries import Entry
from annotator.project.label_sets import join_label
from annotator.session.late import describe_beaten
from annotator.session.learner import StrategyChoice
from annotator.tui.commands import Command, class_hints, command_hints, command_table
from annotator.tui.curves.screen import CurvesScreen
from annotator.tui.help import HelpScreen
from annotator.tui.host import ScreenHost
from annotator.tui.key_repeat import Pace
from annotator.tui.keymaps import LABEL, Keymap
from annotator.tui.label import text as label_text
from annotator.tui.label.class_info import ClassInfoScreen
from annotator.tui.label.class_list import ClassList
from annotator.tui.label.find_class import FindClassScreen
from annotator.tui.label.glossary import terms_on_screen
from annotator.tui.label.near_duplicates import NearDuplicates
from annotator.tui.label.question_screen import QuestionScreen
from annotator.tui.label.sidebar import Sidebar
from annotator.tui.label.strategy_dialog import StrategyScreen, strategy_title
from annotator.tui.label.text import LabelPhase
from annotator.tui.map.open import open_map
from annotator.tui.pages.open import choose_pages, open_similar
from annotator.tui.pages.search_dialog import open_search
from annotator.tui.picture.picture import PictureView
from annotator.tui.rapid.open import open_rapid, rapid_refusal
from annotator.tui.widgets.bars import KeyBar, KeyHint
from annotator.tui.widgets.lines import Lines
from annotator.tui.widgets.notice import Notice


class LabelScreen(QuestionScreen):
    """The screen that turns keys into answers, and answers into the next picture."""

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
        self.listed = False
        """True once the whole pool is known."""
        self.phase: LabelPhase | None = None
        """The phase that is on screen; None before the first."""
        target = self.project.settings.target_error
        self.sidebar = Sidebar(self.session, keymap, pace, target, id="sidebar")

    def compose(self) -> ComposeResult:
        """Lay out the picture beside the sidebar, between header and footer."""
        yield Notice(id="small")
        yield self.header
        with Horizontal(id="middle"):
            yield self.stage
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
        """Show what the session asks, and everything around it that has changed."""
        self.phase = label_text.phase_of(self.session, self.listed)
        item = self.session.current
        if item is not None:
            ahead = self.session.upcoming(self.session.queue.ahead)
            if self.stage.show(item, ahead):
                self._broken = None
        else:
            progress = self.session.progress
            notice = label_text.phase_notice(self.phase, self.project, progress, self.keymap)
            self.stage.show_notice(*notice)
        self.refresh_words()

    def refresh_words(self) -> None:
        """Show the text around the picture; only what differs is sent."""
        if self.phase is None:
            return  # nothing has been shown yet
        item, hidden = self.session.current, self.sidebar.hides_prediction
        self.sidebar.show_soon()
        self.caption.show(*(label_text.item_caption(self.session, item, hidden) if item else ("",)))
        self.show_keys()

    def show_near_duplicates(self) -> None:
        """Show under the picture how many near-duplicates of the item are open."""
        self.caption.show_near_duplicates(self.near_duplicates.caption())

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

    def palette_commands(self) -> Iterator[SystemCommand]:
        """Yield every class and every live command for the palette."""
        for name in self.session.classes if self.is_live(LABEL) else ():
            words = f"Label as {make_printable(name)}"
            yield SystemCommand(words, "the item on screen", partial(self.perform, LABEL, name))
        for command in self.live_commands():
            if command.name != "palette":
                head = command.title.capitalize()
                yield SystemCommand(head, command.help, partial(self.perform, command.name))

    def _each_second(self) -> None:
        self.sidebar.renew()
        self.caption.link(self.picture.status if self.session.current else "")

    def on_other_entries(self, entries: list[Entry]) -> None:
        """Report an answer of another annotator to the item on screen."""
        if words := label_text.answered_elsewhere(entries, self.session.current):
            self.say(words, "warn")

    # --- keys and clicks

    def on_key(self, event: events.Key) -> None:
        """Perform the live action of a key."""
        if event.key == "escape":
            self.banner.dismiss()
        actions = self.keymap.actions_of(event.key, event.character)
        if not actions:
            return
        event.stop()
        event.prevent_default()
        name, argument = next((a for a in actions if self.is_live(a[0])), ("", ""))
        answers = name == LABEL or (name in COMMANDS and COMMANDS[name].answers)
        if answers and self._held(event.key, event.time):
            self.say("key held down: one press, one answer", "dim", 1.5)
        elif name:
            self.perform(name, argument)

    def is_live(self, name: str) -> bool:
        """Return whether a command, or labelling, does something now."""
        if name == LABEL:
            return self.phase in _ASKED
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

    @on(ClassList.Chosen)
    @on(KeyBar.Chosen)
    def _clicked(self, message: ClassList.Chosen | KeyBar.Chosen) -> None:
        if message.action[0]:  # the key that closes a dialog is not a command
            self.perform(*message.action)

    def on_resize(self, event: events.Resize) -> None:
        """Fit the layout to the window, or ask for a larger one."""
        small = label_text.is_too_small(event.size)
        self.set_class(small, "small")
        if small:
            self.query_one("#small", Notice).show(*label_text.too_small_notice(event.size))
        flat = event.size.height < 30
        self.set_class(flat, "-flat")
        self.set_class(event.size.width >= label_text.WIDE, "-wide")
        self.sidebar.allot_rows(event.size.height - (3 if flat else 4))

    # --- answers

    def label_item(self, name: str) -> None:
        """Label the item with a class, or choose the class if items may have several."""
        if name not in self.session.classes:
            return  # a class of an older project, which is shown for its count
        if self._broken is not None:
            self.say("no picture, no label; skip it or flag it", "warn")
        elif self.session.multi:
            self.sidebar.toggle_choice(name)
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
        self._answer(lambda ref: self.session.label(label, ref, self.shown_ms))

    def skip_item(self) -> None:
        """Leave the item unlabelled, and show the next."""
        self._answer(lambda ref: self.session.skip(ref, self.shown_ms))

    def undo_answer(self) -> None:
        """Take the last answer back, and show its item again."""
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
        if item is None:
            return
        if self._broken != item and not self.picture.accepts(item):
            self.say("not on screen yet: key ignored", "dim", 1.5)
            return
        if self.banner.run_saving(lambda: give(item.ref)) is not None:
            self.pace.answer()
            self._show_next()
        elif late := describe_beaten(self.session.beaten_by):
            self._show_next()
            self.say(late, "warn", 8)

    def _show_next(self) -> None:
        self.sync()
        self.post_message(self.Answered())

    # --- views and dialogs

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

    def choose_strategy(self) -> None:
        """Ask how items are picked, and pick them so from the next on."""
        session = self.session
        rare = session.ranking.suggestion if session.ranking and not session.multi else None

        def choose(strategy: StrategyChoice | None) -> None:
            if strategy is not None and strategy != session.strategy:
                session.choose_strategy(strategy)
                self.say(f"from the next item on: {strategy_title(strategy)}")
                self.host.learn()
                self.host.show_activity()

        self.host.push_screen(StrategyScreen(session.classes, session.strategy, rare), choose)

    def show_curves(self) -> None:
        """Show the curves at full size."""
        target = self.project.settings.target_error
        self.host.push_screen(CurvesScreen(self.session, self.keymap, self.pace, target))

    def find_class(self) -> None:
        """Ask for a class by a few letters, and label with it."""
        session, hidden = self.session, self.sidebar.hides_prediction
        asked = session.current

        def label(name: str | None) -> None:
            if name is not None and session.current == asked:
                self.perform(LABEL, name)

        infos, keys = self.project.settings.classes, self.keymap.classes
        shares = None if hidden else session.prediction
        self.host.push_screen(FindClassScreen(infos, keys, session.progress.classes, shares), label)

    def show_class_info(self) -> None:
        """Show what the classes mean, the most probable class of the item first."""
        shares = (None if self.sidebar.hides_prediction else self.session.prediction) or {}
        first = max(shares, key=shares.__getitem__) if shares else ""
        host = self.host
        host.push_screen(ClassInfoScreen(self.project, host.caps, host.pacer, first))

    def show_help(self) -> None:
        """Show all keys, and the terms that are on screen."""
        terms = terms_on_screen("\n".join(lines.text for lines in self.query(Lines)))
        classes = self.project.settings.classes if self.is_live(LABEL) else ()
        self.host.push_screen(HelpScreen(self.keymap, self.live_commands(), classes, terms))


_ASKED = (LabelPhase.ASKING, LabelPhase.AUDITING)
_DONE = (LabelPhase.FINISHED, LabelPhase.WAITING)
_MOST_NEEDED = (
    "confirm", "skip", "undo", "again", "help", "quit", "flag", "hide", "strategy",
)  # fmt: skip
"""The commands that stay in the footer of a narrow window, the most needed first."""


def _during(*phases: LabelPhase) -> Callable[[LabelScreen], bool]:
    """Return the condition that the screen is in one of these phases."""
    return lambda screen: screen.phase in phases


_asked = _during(*_ASKED)
_asking = _during(LabelPhase.ASKING)
_asking_or_done = _during(LabelPhase.ASKING, *_DONE)
_answered = _during(*_ASKED, LabelPhase.AUDITED, LabelPhase.LOST, *_DONE)


def _chooses(screen: LabelScreen) -> bool:
    return _asked(screen) and screen.session.multi


def _has_skipped(screen: LabelScreen) -> bool:
    over = screen.phase in (LabelPhase.AUDITED, *_DONE)
    return over and screen.session.progress.skipped > 0


COMMANDS: dict[str, Command[LabelScreen]] = command_table(
    Command(
        "confirm", "confirm", "Label with the chosen classes, or with none.",
        LabelScreen.confirm_classes, _chooses, answers=True,
    ),
    Command(
        "skip", "skip", "Leave the item unlabelled; it is not asked again.",
        LabelScreen.skip_item, _asked, answers=True,
    ),
    Command(
        "undo", "undo", "Take back your last answer; press again for the one before.",
        LabelScreen.undo_answer, _answered,
        works=lambda screen: screen.session.last_decision is not None,
    ),
    Command(
        "flag", "flag", "Flag the item for a second look, or take the flag off.",
        LabelScreen.toggle_flag, _asked,
    ),
    Command("note", "note", "Write a note on the item.", LabelScreen.write_note, _asked),
    Command(
        "hide", "hide", "Hide the model's prediction, or show it.",
        LabelScreen.toggle_prediction, _asking,
    ),
    Command(
        "zoom", "zoom", "Show the true pixels; press again for the whole picture.",
        LabelScreen.toggle_zoom, _asked,
    ),
    Command(
        "pages", "pages", "Label pages of many items: accept predictions, find a class.",
        lambda screen: choose_pages(screen.host), _asking,
    ),
    Command(
        "rapid", "rapid", "See a fast stream of items; one key marks one class.",
        lambda screen: open_rapid(screen.host), _asking,
        works=lambda screen: not rapid_refusal(screen.host.caps, screen.session),
    ),
    Command(
        "similar", "similar", "Show a page of the items most similar to this one.",
        lambda screen: open_similar(screen.host), _asking,
        works=lambda screen: screen.session.has_features,
    ),
    Command(
        "search", "search", "Find items by name, class, state, similarity or words.",
        lambda screen: open_search(screen.host), _asking_or_done,
    ),
    Command(
        "map", "map", "Show all items as a map, near each other if they look alike.",
        lambda screen: open_map(screen.host), _asking_or_done,
        works=lambda screen: screen.session.has_features,
    ),
    Command(
        "group", "whole group", "Let an answer hold for all near-duplicates, or for one item.",
        LabelScreen.toggle_group, _asking,
    ),
    Command(
        "strategy", "strategy", "Choose how items are picked, or hunt for one class.",
        LabelScreen.choose_strategy, _asking,
    ),
    Command(
        "curves", "curves", "Show the curves at full size: error, difficulty, classes.",
        LabelScreen.show_curves, _asking_or_done,
    ),
    Command(
        "classes", "find class", "Find a class by a few letters, and label with it.",
        LabelScreen.find_class, _asked,
    ),
    Command(
        "meaning", "meaning", "Show what each class means, with its reference pictures.",
        LabelScreen.show_class_info, _asked,
    ),
    Command(
        "again", "ask skipped", "Ask the skipped items again, once all others are answered.",
        LabelScreen.ask_skipped, _has_skipped,
    ),
    Command("help", "help", "Show all keys, and explain the terms here.", LabelScreen.show_help),
    Command(
        "palette", "palette", "Find any command or class by its name.",
        lambda screen: screen.host.action_command_palette(),
    ),
    Command(
        "quit", "quit", "Quit; every label is on disk already.", lambda screen: screen.host.exit()
    ),
)  # fmt: skip
"""The commands of the labelling screen, in their order in the footer and on the help screen."""
