"""The review screen: one doubtful item, its label, and what speaks against it."""

from __future__ import annotations

from collections.abc import Callable, Collection

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical

from annotator.curate.review import Review
from annotator.curate.review_case import QUEUES, ReviewCase
from annotator.items.refs import Item, make_printable
from annotator.project.label_sets import join_label, split_label
from annotator.project.project import ProjectFolder
from annotator.tui.keymaps import Keymap
from annotator.tui.label.class_list import ClassList
from annotator.tui.label.note_dialog import NoteScreen
from annotator.tui.label.question_screen import QuestionScreen
from annotator.tui.label.text import CLOSE
from annotator.tui.picture.picture import PictureView
from annotator.tui.review import text as review_text
from annotator.tui.review.text import ReviewPanel
from annotator.tui.widgets.bars import KeyBar

WIDE = 110
PANEL_ROWS = 20
_KEYS = {
    "enter": ("confirm", ""), "tab": ("turn", "1"), "shift+tab": ("turn", "-1"),
    "]": ("compare", "1"), "[": ("compare", "-1"), "escape": ("back", ""),
}  # fmt: skip


class ReviewScreen(QuestionScreen):
    """Turns keys into changes and confirmations."""

    def __init__(
        self, project: ProjectFolder, review: Review, keymap: Keymap, picture: PictureView
    ) -> None:
        super().__init__(project, picture)
        self.review, self.keymap = review, keymap
        self._hidden = False
        self._compared = -1
        """Which of the related items is on screen; -1 for the case itself."""
        self._chosen: tuple[str, frozenset[str]] | None = None
        """The classes chosen for a ref, where an item may have several."""
        self.classes_ = ClassList(id="classes")
        self.panel = ReviewPanel(review, id="panel")

    def compose(self) -> ComposeResult:
        yield self.header
        with Horizontal(id="middle"):
            yield self.stage
            with Vertical(id="sidebar"):
                yield self.classes_
                yield self.panel
        yield self.banner
        yield self.caption
        yield self.keys

    def on_mount(self) -> None:
        self.set_interval(1.0, self._each_second)
        self.sync()

    # --- what is on screen

    def sync(self) -> None:
        """Show the current case, or what is compared with it."""
        case = self.review.current
        self.header.badge("REVIEW")
        self.header.activity(QUEUES.get(self.review.queue, ""))
        if case is None:
            self.stage.tell(*review_text.review_notice(self.review))
        else:
            self.stage.show(self._item(case), review_text.items_ahead(case, self.review))
        chosen = self._chosen_for(case)
        self.classes_.show(
            review_text.review_class_rows(case, self.review, self.keymap, self._hidden, chosen)
        )
        self.panel.show(case, self._compared)
        self.caption.show(
            *(review_text.review_caption(case, self.review, self._compared) if case else ("",))
        )
        self._show_keys()

    def _item(self, case: ReviewCase) -> Item:
        if self._compared < 0:
            return Item.parse(case.ref)
        return Item.parse(review_text.related_items(case, self.review)[self._compared][0])

    def _show_keys(self) -> None:
        case = self.review.current
        live = (
            [CLOSE] if self._covered else review_text.review_hints(case, self.review, self.keymap)
        )
        self.keys.show(live)

    def on_screen_suspend(self) -> None:
        self._covered = True
        self._show_keys()

    def on_screen_resume(self) -> None:
        self._covered = False
        self._show_keys()

    def _each_second(self) -> None:
        self.caption.link(self.picture.status if self.review.current else "")

    def on_resize(self, event: events.Resize) -> None:
        self.set_class(event.size.width >= WIDE, "-wide")
        self.set_class(event.size.height < 30, "-flat")
        rows = event.size.height - 4
        self.classes_.give(rows - PANEL_ROWS, max(1, rows - PANEL_ROWS // 2))

    # --- keys and clicks

    def on_key(self, event: events.Key) -> None:
        action = _KEYS.get(event.character or event.key) or _KEYS.get(event.key)
        action = action or self.keymap.action(event.key, event.character)
        if action is None:
            return
        event.stop()
        event.prevent_default()
        if action[0] in ("label", "confirm", "skip") and self._held(event.key, event.time):
            self.say("key held down: one press, one answer", "dim", 1.5)
            return
        self.perform(*action)

    def perform(self, command: str, argument: str = "") -> None:
        """Do what a key or a click asks for; keys of the labelling screen alone do nothing."""
        own: Callable[..., None] | None = getattr(self, f"do_{command}", None)
        if own is not None:
            own(*([argument] if argument else []))

    @on(ClassList.Chosen)
    @on(KeyBar.Chosen)
    def _clicked(self, message: ClassList.Chosen | KeyBar.Chosen) -> None:
        self.perform(*message.action)

    # --- answers

    def do_label(self, name: str) -> None:
        if (case := self._visible_case()) is None:
            return
        if self.review.session.multi:  # chosen or no longer; enter answers
            self._chosen = (case.ref, frozenset(self._chosen_for(case)) ^ {name})
            self.sync()
        else:
            self._answer(case, name)

    def do_confirm(self) -> None:
        case = self._visible_case()
        if case is None:
            return
        chosen = join_label(self._chosen_for(case), self.review.session.classes)
        if self._chosen is not None and chosen != case.label:
            self._answer(case, chosen)
        elif not self.review.can_confirm(case):
            why = "has no label yet" if case.label is None else "has a class of an older project"
            self.say(f"it {why}: give it one", "warn")
        elif self.banner.run_saving(lambda: self.review.confirm(self.shown_ms)) is not None:
            self.say(f"confirmed: {make_printable(case.label or 'skipped')}")
            self._next_case()

    def _answer(self, case: ReviewCase, label: str) -> None:
        if self.banner.run_saving(lambda: self.review.answer(label, self.shown_ms)) is None:
            return
        what = f"{make_printable(case.label or 'no label')} → {make_printable(label)}"
        many = f", {len(case.group)} items" if case.group else ""
        self.say(f"confirmed: {make_printable(label)}" if label == case.label else what + many)
        self._next_case()

    def _chosen_for(self, case: ReviewCase | None) -> Collection[str]:
        """The classes of a case, or those that it is about to be given."""
        if case is None:
            return ()
        if self._chosen is not None and self._chosen[0] == case.ref:
            return self._chosen[1]
        return split_label(case.label) if case.label else ()

    def do_skip(self) -> None:
        """Later: the case comes back at the end of its queue."""
        self.review.postpone()
        self._next_case()

    def do_undo(self) -> None:
        case = self.banner.run_saving(self.review.undo)
        self.say("taken back" if case else "nothing of this sitting is left to take back", "dim")
        self._next_case()

    def do_flag(self) -> None:
        case = self.review.current
        if (
            case is not None
            and self.banner.run_saving(lambda: self.review.session.flag(case.ref)) is not None
        ):
            self.sync()

    def do_note(self) -> None:
        case = self.review.current
        if case is not None:
            notes = [make_printable(note) for note in self.review.session.notes(case.ref)]
            self.app.push_screen(NoteScreen(notes), lambda text: self._note(case, text))

    def _note(self, case: ReviewCase, text: str | None) -> None:
        if text:
            self.banner.run_saving(lambda: self.review.session.note(case.ref, text))
            self.sync()

    def _next_case(self) -> None:
        self._compared, self._chosen = -1, None
        self.sync()

    def _visible_case(self) -> ReviewCase | None:
        """The case, if it is what the annotator looks at."""
        case = self.review.current
        if case is None:
            return None
        if self._compared >= 0:
            why = "esc goes back to the item under review, then answer"
        elif self._broken == (item := Item.parse(case.ref)):
            why = "no picture, no answer; leave it for later or flag it"
        elif not self.picture.accepts(item):
            why = "not on screen yet: key ignored"
        else:
            return case
        self.say(why, "warn", 2)
        return None

    # --- views

    def do_compare(self, step: str) -> None:
        """Look at the next near-duplicate or neighbour; after the last the case itself."""
        case = self.review.current
        if case and (count := len(review_text.related_items(case, self.review))):
            self._compared = (self._compared + 1 + int(step)) % (count + 1) - 1
            self.sync()

    def do_back(self) -> None:
        self.banner.dismiss()
        self._next_case()

    def do_turn(self, step: str) -> None:
        """The next queue that has cases, or the last one before."""
        names = list(self.review.queues)
        at = names.index(self.review.queue) if self.review.queue in names else 0
        order = [names[(at + int(step) * i) % len(names)] for i in range(1, len(names) + 1)]
        self.review.choose(next((n for n in order if self.review.queues[n]), self.review.queue))
        self._next_case()

    def do_hide(self) -> None:
        self._hidden ^= True
        self.sync()

    def do_zoom(self) -> None:
        self.say("true pixels" if self.picture.zoom() else "the whole picture", "dim", 2)

    def do_quit(self) -> None:
        self.app.exit()
