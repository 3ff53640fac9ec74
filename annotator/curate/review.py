"""A review session without a screen: one case after the other, changed or confirmed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import NamedTuple

from annotator.curate.review_case import ORDERS, ReviewCase
from annotator.curate.review_evidence import Evidence
from annotator.curate.review_queues import ReviewQueues, sort_cases
from annotator.log.entries import REVIEW, Entry, is_settled
from annotator.project.label_sets import is_known_label, set_probability
from annotator.proposals.verdicts import REJECT_LABELS
from annotator.session.session import LabelSession


class AnsweredCase(NamedTuple):
    """A decided case and the rows of the log that its decision wrote."""

    case: ReviewCase
    entries: list[Entry]


class Review:
    """A review of one queue at a time; it belongs to its session's thread."""

    def __init__(
        self,
        session: LabelSession,
        found: ReviewQueues,
        evidence: Evidence,
        queue: str | None = None,
    ) -> None:
        """Start with `queue`, or with the first queue that has cases."""
        self.session, self.found, self._evidence = session, found, evidence
        self._shown: ReviewCase | None = None
        self.order = found.order
        self._left = {name: list(cases) for name, cases in found.cases.items()}
        self._done: list[AnsweredCase] = []
        self._counted: tuple[int, int] | None = None
        self._counts: dict[str, int] = {}
        self.queue = queue or next((name for name, some in self._left.items() if some), "")
        self.queue = self.queue or next(iter(self._left), "")

    @property
    def queues(self) -> dict[str, int]:
        """Queue to the number of cases left in it."""
        moment = self.session.state.seq, sum(map(len, self._left.values()))
        if moment != self._counted:  # counting takes long for a queue of all labels
            counts = {name: sum(1 for _ in self._cases(name)) for name in self._left}
            self._counts, self._counted = counts, moment
        return dict(self._counts)

    @property
    def current(self) -> ReviewCase | None:
        """The case to decide, with its evidence; None at the end of the queue."""
        case = self._first_case()
        if case is None:
            return None
        if self._shown is None or (self._shown.queue, self._shown.ref) != (case.queue, case.ref):
            self._shown = self._evidence.with_evidence(case)
        return self._shown

    def upcoming(self, n: int) -> list[ReviewCase]:
        """Return the `n` cases after the current one."""
        return list(islice(self._cases(self.queue), 1, n + 1))

    @property
    def has_orders(self) -> bool:
        """True if the queue has a second order."""
        case = self._first_case()
        return case is not None and case.ambiguity is not None

    def turn_order(self) -> None:
        """Put the cases into the other order of `ORDERS`."""
        names = list(ORDERS)
        self.order = names[(names.index(self.order) + 1) % len(names)]
        self._left[self.queue] = sort_cases(self._left[self.queue], self.order)

    @property
    def done(self) -> int:
        """The number of cases decided in this session."""
        return len(self._done)

    def choose(self, queue: str) -> None:
        """Continue with another queue."""
        self.queue = queue

    def answer(self, label: str, shown_ms: int | None = None) -> list[Entry]:
        """Label the current case, or all of its group.

        Raises `StoreError` if it cannot be written; the case then stays current.
        """
        case = self.current
        if case is None:
            return []
        return self._decide(case, dict.fromkeys(case.group or (case.ref,), label), shown_ms)

    def confirm(self, shown_ms: int | None = None) -> list[Entry]:
        """Confirm the current case: its label stands, or it stays skipped.

        Nothing is written for an open item, or one whose class the project no longer has.
        """
        case = self.current
        if case is None or not self.can_confirm(case):
            return []
        label = self.session.state.label
        return self._decide(case, {ref: label(ref) for ref in case.group or (case.ref,)}, shown_ms)

    def take_other_box(self, shown_ms: int | None = None) -> list[Entry]:
        """Give the label to the detector's box, and reject the box of the case; one undo undoes it.

        Nothing is written unless `can_take_other_box`.
        """
        case = self.current
        if case is None or not self.can_take_other_box(case):
            return []
        label, rejection = self.session.state.label(case.ref), self._rejection
        return self._decide(case, {case.ref: rejection, case.neighbours[0].ref: label}, shown_ms)

    def can_take_other_box(self, case: ReviewCase) -> bool:
        """Return True if the detector's box is an open item, and a class rejects the other one."""
        if case.queue != "misplaced" or not case.has_own_item or self._rejection is None:
            return False
        return self.session.state.decision(case.neighbours[0].ref) is None

    @property
    def _rejection(self) -> str | None:
        return next((name for name in REJECT_LABELS if name in self.session.classes), None)

    def can_confirm(self, case: ReviewCase) -> bool:
        """Return True if the case has a decision to confirm."""
        session = self.session
        if case.label is None:
            return session.state.decision(case.ref) is not None
        labels = (session.state.label(ref) for ref in case.group or (case.ref,))
        return all(
            label and is_known_label(label, session.classes, session.multi) for label in labels
        )

    def postpone(self) -> None:
        """Put the current case at the end of its queue."""
        if case := self._first_case():
            self._left[self.queue].remove(case)
            self._left[self.queue].append(case)

    @property
    def can_undo(self) -> bool:
        """True if the last decision of this annotator is one of this session."""
        last = self.session.last_decision  # a later one may come from another terminal
        done = self._done[-1].entries if self._done else []
        return last is not None and last.seq in [entry.seq for entry in done]

    def undo(self) -> ReviewCase | None:
        """Undo the last decision of this session; its case is current again."""
        if not self.can_undo:
            return None
        last = self._done.pop()
        self.session.undo()
        self.queue = last.case.queue
        self._left[self.queue].insert(0, last.case)
        return last.case

    def _decide(
        self, case: ReviewCase, answers: Mapping[str, str | None], shown_ms: int | None
    ) -> list[Entry]:
        chance = self._chance(case)
        extra = {REVIEW: case.queue} | ({} if chance is None else {"chance": chance})
        bare = next(self._cases(case.queue))
        entries = self.session.decide(answers, picked_by=REVIEW, shown_ms=shown_ms, extra=extra)
        self._left[case.queue].remove(bare)
        self._done.append(AnsweredCase(bare, entries))
        return entries

    def _chance(self, case: ReviewCase) -> float | None:
        """Return the probability of the label of a case; None without a model or a label."""
        if case.proba and case.label and self.session.multi:
            return round(set_probability(case.proba, case.label, self.session.classes), 4)
        return (case.proba or {}).get(case.label or "")

    def _first_case(self) -> ReviewCase | None:
        return next(self._cases(self.queue), None)

    def _cases(self, queue: str) -> Iterator[ReviewCase]:
        """Yield the cases of a queue that stand unchanged and unsettled since they were found."""
        return filter(self._stands, self._left.get(queue, ()))

    def _stands(self, case: ReviewCase) -> bool:
        state = self.session.state
        if state.label(case.ref) != case.label:
            return False
        if case.group and len({state.label(ref) for ref in case.group}) == 1:
            return False
        return not is_settled(state, case.ref, case.queue, case.since)
