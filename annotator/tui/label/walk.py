"""The walk back through the answered items: where it is, and the words about what it shows."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, NamedTuple

from annotator.items.refs import Item, make_printable
from annotator.log.agreement import latest_answer
from annotator.project.label_sets import class_probabilities, split_label
from annotator.session.answered import AnswerHistory
from annotator.tui.label.class_list import ChosenClasses

if TYPE_CHECKING:
    from annotator.log.entries import Entry
    from annotator.session.session import LabelSession


class PastAnswer(NamedTuple):
    """An answered item in the filmstrip."""

    item: Item
    label: str
    in_view: bool


class Walk:
    """A walk through the answers of a session; it is over while the open question is in view.

    To walk writes nothing.
    """

    def __init__(self, session: LabelSession) -> None:
        self._session, self._history = session, AnswerHistory(session)
        self._place: Entry | None = None
        self._back = self._step = -1
        self._corrected: set[int] = set()
        self.choice = ChosenClasses()
        """The classes chosen for the item in view, if items may have several."""

    @property
    def active(self) -> bool:
        """True while an answered item is in view."""
        return self._place is not None

    @property
    def item(self) -> Item | None:
        """The answered item in view, else the item that is asked."""
        return Item.parse(self._place.ref) if self._place is not None else self._session.current

    @property
    def answer(self) -> Entry | None:
        """The answer that counts for the answered item in view; None if it was taken back."""
        return None if self._place is None else latest_answer(self._session.state, self._place)

    @property
    def back(self) -> int:
        """The number of answers back: 1 for the last answer, 0 for the open question."""
        if self._place is not None:
            found = self._history.back_to(self._place, self._back)
            self._back = self._back if found is None else found
        return self._back + 1

    @property
    def words(self) -> str:
        """The label of the answered item in view, its time and who gave it; else ""."""
        return answer_words(self.answer, self._session.clock()) if self.active else ""

    @property
    def badge(self) -> str:
        """The number of answers back, for the header; "" at the open question."""
        return f"LOOKING BACK {self.back:,}" if self.active else ""

    @property
    def begins(self) -> bool:
        """True if there is an answer further back."""
        return self._history.at(self.back) is not None

    def step(self, by: int) -> bool:
        """Go `by` answers back, forward if it is negative; return whether there was one."""
        target = self.back - 1 + by
        if by > 0 and self._place is not None and self._history.at(self._back) != self._place:
            target -= 1  # it was taken back, and the answer before it has its place
        if target < -1 or (target >= 0 and self._history.at(target) is None):
            return False
        self._back, self._step = target, by
        self._place = self._history.at(target) if target >= 0 else None
        self.choice.clear()
        if self._place is None:
            self._corrected.clear()
        return True

    def items_near(self) -> list[Item]:
        """Return the items that the next keys may ask for, most urgent first."""
        back, way = self.back - 1, 1 if self._step > 0 else -1
        session = self._session
        if self._place is None:
            return [*session.upcoming(session.queue.ahead), *self._items([0])]
        near = self._items([back + way, back - way, back + 2 * way])
        asked = [session.current] if session.current is not None else []
        return [*near, *asked, *self._items([back + 3 * way, back - 2 * way])]

    def past(self, newest: int, count: int) -> list[PastAnswer]:
        """Return up to `count` answers, the newest first, from the one `newest` places back."""
        found = [self._history.at(newest + place) for place in range(count)]
        return [self._past(place) for place in found if place is not None]

    def _past(self, place: Entry) -> PastAnswer:
        answer = latest_answer(self._session.state, place) or place
        return PastAnswer(Item.parse(place.ref), answer.label or "skipped", place == self._place)

    def _items(self, places: Collection[int]) -> list[Item]:
        found = [self._history.at(place) for place in places if place >= 0]
        return [Item.parse(entry.ref) for entry in found if entry is not None]

    def correct(self, name: str | None, shown_ms: int | None) -> Entry | None:
        """Answer the item in view anew; None if its answer has changed meanwhile."""
        answer = self.answer
        row = None if answer is None else self._session.correct(answer, name, shown_ms)
        if row is not None:
            self._corrected.add(row.seq)
            self.choice.clear()
        return row

    @property
    def may_undo(self) -> bool:
        """True if an undo takes back only what this walk wrote on the item in view."""
        last, answer = self._session.last_decision, self.answer
        return last is not None and last == answer and last.seq in self._corrected

    @property
    def chosen(self) -> frozenset[str]:
        """The classes of the answered item in view, as chosen since."""
        answer = self.answer
        if answer is None:
            return frozenset()
        if not self._session.multi:
            return frozenset(filter(None, [answer.label]))
        return self.choice.names(answer.ref, split_label(answer.label) if answer.label else ())

    def toggle(self, name: str) -> None:
        """Choose a class for the answered item in view, or take the choice back."""
        if self._place is not None:
            self.choice.toggle(self._place.ref, name, self.chosen)

    @property
    def prediction(self) -> Mapping[str, float] | None:
        """The prediction for the open question; for an answered item that of before its answer.

        None without any, and for an answered item in a blind session.
        """
        first = self._place
        if first is None:
            return self._session.prediction
        if first.proba is None or self._session.blind:
            return None
        multi = self._session.multi
        return class_probabilities(first.proba, self._session.classes) if multi else first.proba


def answer_words(entry: Entry | None, now: float) -> str:
    """Return the label, the time and who gave it: `crack · 14:02 · ann`."""
    if entry is None:
        return "taken back meanwhile"
    today = time.localtime(now)[:3]
    at = time.localtime(entry.at)
    clock = time.strftime("%H:%M" if at[:3] == today else "%Y-%m-%d %H:%M", at)
    words = make_printable(entry.label or "skipped"), clock, make_printable(entry.annotator)
    return " · ".join(words)
