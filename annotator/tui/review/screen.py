"""The review screen: one doubtful item, its label, and the evidence against the label."""

from __future__ import annotations

from collections.abc import Collection

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical

from annotator.curate.review import Review
from annotator.curate.review_case import ORDERS, QUEUES, ReviewCase
from annotator.items.refs import Item, make_printable
from annotator.project.label_sets import join_label, split_label
from annotator.project.project import ProjectFolder
from annotator.tui.commands import Command, class_hints, command_hints, command_table
from annotator.tui.help import HelpScreen
from annotator.tui.keymaps import LABEL, Action, Keymap
from annotator.tui.label.class_list import ChosenClasses, ClassList
from annotator.tui.label.glossary import terms_on_screen
from annotator.tui.label.question_screen import (
    QuestionScreen,
    contrast_commands,
    zoom_commands,
)
from annotator.tui.picture.picture import PictureView
from annotator.tui.review import text as review_text
from annotator.tui.review.text import ReviewPanel
from annotator.tui.widgets.bars import KeyBar, KeyHint
from annotator.tui.widgets.lines import Lines

WIDE = 110
"""Columns from which there is more room beside the picture."""
PANEL_ROWS = 20
"""Lines of the panel before a class gets more than one line."""


class ReviewScreen(QuestionScreen):
    """The screen that turns keys into changes and confirmations."""

    def __init__(
        self, project: ProjectFolder, review: Review, keymap: Keymap, picture: PictureView
    ) -> None:
        super().__init__(project, review.session, keymap, picture)
        self.review = review
        self._hides_prediction = False
        self._compared = -1
        """The place of the related item on screen; -1 for the case itself."""
        self._choice = ChosenClasses()
        self.class_list = ClassList(id="classes")
        self.panel = ReviewPanel(review, id="panel")

    def compose(self) -> ComposeResult:
        """Lay out the picture beside the classes and the panel."""
        yield self.header
        with Horizontal(id="middle"):
            yield self.stage
            with Vertical(id="sidebar"):
                yield self.class_list
                yield self.panel
        yield self.banner
        yield self.caption
        yield self.keys

    def on_mount(self) -> None:
        """Show the first case."""
        self.set_interval(1.0, self._each_second)
        self.sync()

    # --- what is on screen

    def sync(self) -> None:
        """Show the current case, or the item that is compared with it."""
        case = self.review.current
        self.header.badge("REVIEW")
        self.header.activity(QUEUES.get(self.review.queue, ""))
        if case is None:
            self.stage.show_notice(*review_text.review_notice(self.review))
        else:
            self.stage.show(self._item(case), review_text.items_ahead(case, self.review))
        chosen, hidden = self._chosen_for(case), self._hides_prediction
        self.class_list.show(
            review_text.review_class_rows(case, self.review, self.keymap, hidden, chosen)
        )
        self.panel.show(case, self._compared)
        self.caption.show(
            *(review_text.review_caption(case, self.review, self._compared) if case else ("",))
        )
        self.show_keys()

    def _item(self, case: ReviewCase) -> Item:
        if self._compared < 0:
            return Item.parse(case.ref)
        return Item.parse(review_text.related_items(case, self.review)[self._compared][0])

    def asked_ref(self) -> str | None:
        """Return the ref of the current case."""
        case = self.review.current
        return None if case is None else case.ref

    def live_hints(self) -> list[KeyHint]:
        """Return the live keys for the footer, the most needed first.

        The classes come after them: the list beside the picture has their keys, too.
        """
        found = class_hints(self.session.classes, self.keymap) if self.has_case else []
        offered = [
            command
            for command in COMMANDS.values()
            if command.is_listed(self) and command.is_offered(self)
        ]
        hints = command_hints(offered, self.keymap, _MOST_NEEDED, len(found))
        needed = [hint for hint in hints if hint.action[0] in _MOST_NEEDED]
        return needed + found + hints[len(needed) :]

    def _each_second(self) -> None:
        self.show_looks()

    def on_resize(self, event: events.Resize) -> None:
        """Fit the layout to the window."""
        self.set_class(event.size.width >= WIDE, "-wide")
        self.set_class(event.size.height < 30, "-flat")
        rows = event.size.height - 4
        self.class_list.allot_rows(rows - PANEL_ROWS, max(1, rows - PANEL_ROWS // 2))

    # --- keys and clicks

    def on_key(self, event: events.Key) -> None:
        """Perform the action of a key; keys of the labelling screen alone do nothing."""
        name, argument = self._action(event)
        pans = self.has_case and self.pans(event.key)
        if not name and not pans:
            return
        event.stop()
        event.prevent_default()
        if pans:
            return
        answers = name == LABEL or COMMANDS[name].answers
        if answers and self._held(event.key, event.time):
            self.say("key held down: one press, one answer", "dim", 1.5)
        else:
            self.perform(name, argument)

    def _action(self, event: events.Key) -> Action:
        for key in (event.character or "", event.key):
            if key in _FIXED_KEYS:
                return _FIXED_KEYS[key], ""
        action = self.keymap.action_of(event.key, event.character)
        return action if action[0] in (LABEL, *COMMANDS) else ("", "")

    def perform(self, name: str, argument: str = "") -> None:
        """Carry out a command, or label with the class `argument`, if that is live."""
        if name == LABEL:
            self.label_case(argument)
        elif COMMANDS[name].is_live(self):
            COMMANDS[name].handler(self)

    @on(ClassList.Chosen)
    @on(KeyBar.Chosen)
    def _clicked(self, message: ClassList.Chosen | KeyBar.Chosen) -> None:
        if message.action[0]:  # the key that closes a dialog is not a command
            self.perform(*message.action)

    # --- conditions

    @property
    def has_case(self) -> bool:
        """True while the queue has a case."""
        return self.review.current is not None

    @property
    def can_confirm(self) -> bool:
        """True if the label of the case may be confirmed."""
        case = self.review.current
        return case is not None and self.review.can_confirm(case)

    @property
    def can_compare(self) -> bool:
        """True if the case has near-duplicates or neighbours."""
        case = self.review.current
        return case is not None and len(review_text.related_items(case, self.review)) > 0

    # --- answers

    def label_case(self, name: str) -> None:
        """Give the case a class, or choose the class if items may have several."""
        if (case := self._visible_case()) is None:
            return
        if self.session.multi:
            self._choice.toggle(case.ref, name, self._chosen_for(case))
            self.sync()
        else:
            self._answer(case, name)

    def confirm(self) -> None:
        """Confirm the label of the case, or give it the classes that are chosen.

        While a detector's box is in view in the queue `misplaced`, it takes the place of the case.
        """
        if self._compared >= 0 and self.review.queue == "misplaced":
            self._take_other_box()
            return
        case = self._visible_case()
        if case is None:
            return
        chosen = join_label(self._chosen_for(case), self.session.classes)
        if self._choice.has_choice(case.ref) and chosen != case.label:
            self._answer(case, chosen)
        elif not self.review.can_confirm(case):
            why = "has no label yet" if case.label is None else "has a class of an older project"
            self.say(f"The item {why}: give it a class.", "warn")
        elif self.banner.run_saving(lambda: self.review.confirm(self.shown_ms)) is not None:
            self.say(f"confirmed: {make_printable(case.label or 'skipped')}")
            self._next_case()

    def _take_other_box(self) -> None:
        case = self.review.current
        if case is None or not self.picture.accepts(self._item(case)):
            self.say(self.picture.refusal, "warn", 2)
        elif not self.review.can_take_other_box(case):
            self.say("This box cannot be taken: it needs to be open, and a class none.", "warn")
        elif self.banner.run_saving(lambda: self.review.take_other_box(self.shown_ms)) is not None:
            self.say(f"taken: {make_printable(case.label or '')}")
            self._next_case()

    def _answer(self, case: ReviewCase, label: str) -> None:
        if self.banner.run_saving(lambda: self.review.answer(label, self.shown_ms)) is None:
            return
        change = f"{make_printable(case.label or 'no label')} → {make_printable(label)}"
        group = f", {len(case.group)} items" if case.group else ""
        self.say(f"confirmed: {make_printable(label)}" if label == case.label else change + group)
        self._next_case()

    def _chosen_for(self, case: ReviewCase | None) -> Collection[str]:
        """Return the classes of a case, or those that are chosen for it."""
        if case is None:
            return ()
        return self._choice.names(case.ref, split_label(case.label) if case.label else ())

    def postpone(self) -> None:
        """Put the case at the end of its queue."""
        self.review.postpone()
        self._next_case()

    def undo_answer(self) -> None:
        """Take the last answer of this session back."""
        case = self.banner.run_saving(self.review.undo)
        self.say("taken back" if case else "nothing of this session is left to take back", "dim")
        self._next_case()

    def _next_case(self) -> None:
        self._compared = -1
        self._choice.clear()
        self.sync()

    def _visible_case(self) -> ReviewCase | None:
        """Return the case if the annotator looks at it."""
        case = self.review.current
        if case is None:
            return None
        if self._compared >= 0:
            why = "esc goes back to the item under review, then answer"
        elif self._broken == (item := Item.parse(case.ref)):
            why = "no picture, no answer; leave it for later or flag it"
        elif not self.picture.accepts(item):
            why = self.picture.refusal
        else:
            return case
        self.say(why, "warn", 2)
        return None

    # --- views

    def compare(self, step: int) -> None:
        """Show the next near-duplicate or neighbour; after the last one the case itself."""
        case = self.review.current
        if case and (count := len(review_text.related_items(case, self.review))):
            self._compared = (self._compared + 1 + step) % (count + 1) - 1
            self.sync()

    def go_back(self) -> None:
        """Show the case itself, without what was chosen for it."""
        self.banner.dismiss()
        self._next_case()

    def turn_queue(self, step: int) -> None:
        """Go to the next queue that has cases, or to the previous one."""
        names = list(self.review.queues)
        place = names.index(self.review.queue) if self.review.queue in names else 0
        order = [names[(place + step * i) % len(names)] for i in range(1, len(names) + 1)]
        open_queue = next((name for name in order if self.review.queues[name]), self.review.queue)
        self.review.choose(open_queue)
        self._next_case()

    def turn_order(self) -> None:
        """Put the queue into its other order."""
        self.review.turn_order()
        self.say(ORDERS[self.review.order])
        self._next_case()

    def toggle_prediction(self) -> None:
        """Hide the model's prediction, or show it again."""
        self._hides_prediction = not self._hides_prediction
        self.sync()

    def show_help(self) -> None:
        """Show all keys, and the terms that are on screen."""
        terms = terms_on_screen("\n".join(lines.text for lines in self.query(Lines)))
        classes = self.project.settings.classes if self.has_case else ()
        commands = [command for command in COMMANDS.values() if command.is_listed(self)]
        self.app.push_screen(HelpScreen(self.keymap, commands, classes, terms))


_MOST_NEEDED = ("confirm", "next queue", "compare", "undo", "help", "quit", "skip", "strategy",
                "flag")  # fmt: skip
"""The commands that stay in the footer of a narrow window, the most needed first."""


def _has_case(screen: ReviewScreen) -> bool:
    return screen.has_case


def _can_compare(screen: ReviewScreen) -> bool:
    return screen.can_compare


def _never(_: ReviewScreen) -> bool:
    return False


COMMANDS: dict[str, Command[ReviewScreen]] = command_table(
    Command(
        "confirm", "confirm", "Confirm the label, or give the item the chosen classes.",
        ReviewScreen.confirm, _has_case, lambda screen: screen.can_confirm,
        answers=True, keys=("enter",),
    ),
    Command(
        "skip", "later", "Put the item at the end of its queue.",
        ReviewScreen.postpone, _has_case, answers=True,
    ),
    Command(
        "undo", "undo", "Take back the last answer.", ReviewScreen.undo_answer,
        works=lambda screen: screen.review.can_undo,
    ),
    Command(
        "compare", "compare", "Show the next near-duplicate or nearest labelled item.",
        lambda screen: screen.compare(1), _can_compare, keys=("]",),
    ),
    Command(
        "compare back", "compare back", "Show the previous near-duplicate or labelled item.",
        lambda screen: screen.compare(-1), _can_compare, _never, keys=("[",),
    ),
    Command(
        "back", "back", "Show the item under review again.", ReviewScreen.go_back,
        is_offered=_never, keys=("escape",),
    ),
    Command(
        "flag", "flag", "Flag the item for a second look, or take the flag off.",
        ReviewScreen.toggle_flag, _has_case,
    ),
    Command(
        "note", "note", "Write a note on the item.", ReviewScreen.write_note, _has_case, _never
    ),
    *zoom_commands(_has_case),
    *contrast_commands(_has_case),
    Command(
        "hide", "hide", "Hide the model's prediction, or show it.",
        ReviewScreen.toggle_prediction, _has_case,
    ),
    Command(
        "next queue", "queue", "Go to the next queue that has cases.",
        lambda screen: screen.turn_queue(1), keys=("tab",),
    ),
    Command(
        "queue before", "queue before", "Go to the previous queue that has cases.",
        lambda screen: screen.turn_queue(-1), is_offered=_never, keys=("shift+tab",),
    ),
    Command(
        "strategy", "order", "Order likely errors by probability, or those of alike classes first.",
        ReviewScreen.turn_order, lambda screen: screen.review.has_orders,
    ),
    Command("help", "help", "Show all keys, and explain the terms here.", ReviewScreen.show_help),
    Command(
        "quit", "quit", "Quit; every answer is on disk already.",
        lambda screen: screen.app.exit(),
    ),
)  # fmt: skip
"""The commands of the review screen, in their order in the footer and on the help screen."""

_FIXED_KEYS = {key: command.name for command in COMMANDS.values() for key in command.keys}
