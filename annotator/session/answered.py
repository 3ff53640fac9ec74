"""The answers that a session may look back at, the newest first."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence

from annotator.log.agreement import is_repeat
from annotator.log.entries import Entry, LogState
from annotator.session.session import LabelSession


class AnswerHistory:
    """The answered items of a session: this annotator's, and before their first those of others.

    An item has the place of its first answer: a correction does not move it. Answers of models and
    of imports are left out, and so is the item that is asked. An audit and a session for second
    opinions have only their own answers. The search for places stops at the last one requested.
    """

    def __init__(self, session: LabelSession) -> None:
        """Search for nothing yet."""
        self._session = session
        self._found: list[Entry] = []
        self._rest: Iterator[Entry] = iter(())
        self._known: object = None

    def at(self, back: int) -> Entry | None:
        """Return the first answer of the item `back` places before the newest; None if none is."""
        current = self._session.current
        known = self._session.state.seq, current.ref if current else None
        if known != self._known:
            self._known, self._found, self._rest = known, [], self._search()
        while len(self._found) <= back:
            place = next(self._rest, None)
            if place is None:
                return None
            self._found.append(place)
        return self._found[back] if back >= 0 else None

    def back_to(self, place: Entry, expected: int) -> int | None:
        """Return how far back a place is now, which was at `expected`; None if it is gone."""
        if self.at(expected) == place:
            return expected
        back = 0
        while (found := self.at(back)) is not None and found != place:
            back += 1
        return None if found is None else back

    def _search(self) -> Iterator[Entry]:
        session, state = self._session, self._session.state
        # Copies: the state may grow before the search continues.
        own = [*state.history.get(session.annotator, {}).values()]
        current = session.current.ref if session.current else None
        yield from (e for e in reversed(own) if e.ref != current and self._is_own_place(e))
        if session.blind or session.mode.refines is not None:
            return
        others = [
            reversed([*rows.values()])
            for name, rows in state.history.items()
            if name != session.annotator
        ]
        for entry in heapq.merge(*others, key=lambda entry: -entry.seq):
            if entry.ref != current and self._is_others_place(entry):
                yield entry

    def _is_own_place(self, entry: Entry) -> bool:
        session = self._session
        given_here = session.may_undo(entry) and entry.annotator == session.annotator
        # Second opinions belong to sessions of their own; repeats are asked in plain ones.
        kind = entry.second and not is_repeat(entry)
        return given_here and kind == session.second and self._leads(entry, own=True)

    def _is_others_place(self, entry: Entry) -> bool:
        stack = self._session.state.standing.get(entry.ref, [])
        found = not entry.second and self._leads(entry, own=False)
        return found and not any(self._is_own_place(e) for e in stack)

    def _leads(self, entry: Entry, own: bool) -> bool:
        """Return whether a person gave this answer first: no correction, nor a later answer.

        With `own` only answers that this annotator gave in such a session count.
        """
        session = self._session
        stack = _answers_beside(session.state, entry)
        if not _by_hand(entry) or any(e.seq == entry.corrects for e in stack):
            return False
        if is_repeat(entry):
            return True  # each time that an item is asked again is a place of its own
        before = (e for e in stack if e.seq < entry.seq and _by_hand(e) and not is_repeat(e))
        return not any(
            not own or (e.annotator == session.annotator and session.may_undo(e)) for e in before
        )


def _answers_beside(state: LogState, entry: Entry) -> Sequence[Entry]:
    return (state.opinions if entry.second else state.standing).get(entry.ref, [])


def _by_hand(entry: Entry) -> bool:
    return not entry.by_machine and entry.picked_by != "import"
