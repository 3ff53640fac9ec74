"""The log as one annotator's session reads and writes it, and the state after its rows."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from math import inf
from typing import Any

from annotator.log.entries import Action, Entry, LogState
from annotator.log.prequential import IsWithin, PrequentialScores, is_equal
from annotator.log.store.protocol import DecidedMeanwhile, Store

EntryCallback = Callable[[Entry], object]


class LogWriter:
    """The log of one session: every row passes here once, in order, whoever wrote it."""

    def __init__(
        self,
        store: Store,
        annotator: str,
        clock: Callable[[], float],
        on_written: EntryCallback | None = None,
        on_applied: EntryCallback | None = None,
        is_within: IsWithin = is_equal,
    ) -> None:
        """Read the log so far.

        `on_written` is called with each row that is written here, once it is on disk; `on_applied`
        with each row that comes after the start, own or not, once it is part of the state.
        `is_within` tells which predictions are right for a label.
        """
        self.state, self.prequential = LogState(), PrequentialScores(is_within)
        self._store, self._annotator, self._clock = store, annotator, clock
        self._on_written, self._on_applied = on_written, on_applied
        self._from_others: list[Entry] = []
        self._unnumbered: set[int] = set()  # rows written here that a team's log is to number
        self._known = store.last_arrival()
        for entry in store.entries():
            self._apply(entry)
        if not store.shared:  # rows may have come between
            self._known = max(self._known, self.state.seq)

    def entry(self, action: Action, ref: str, **fields: Any) -> Entry:
        """Make a row by this annotator at the current time; `write` writes it."""
        return Entry(0, self._clock(), self._annotator, action, ref, **fields)

    def answer(self, ref: str, name: str | None, **fields: Any) -> Entry:
        """Make the row of a label, or of a skip if `name` is None."""
        action = Action.SKIP if name is None else Action.LABEL
        return self.entry(action, ref, label=name, **fields)

    def flag(self, ref: str) -> bool:
        """Flag an item, or take its flag off; return whether it is flagged now."""
        on = ref not in self.state.flagged
        self.write(self.entry(Action.FLAG, ref, extra=None if on else {"on": False}))
        return on

    def write(self, *entries: Entry, last_seen: int | None = None) -> list[Entry]:
        """Write rows durably, all or none, and return them.

        Raises `StoreError`, and `DecidedMeanwhile` if a row after `last_seen` decides their refs.
        """
        written = self._store.append(*entries, last_seen=last_seen) if entries else []
        if self._store.shared:
            self._unnumbered.update(entry.seq for entry in written)
            self._replace({entry.ref for entry in written})
        elif written:
            if written[0].seq > self._known + 1:
                self.catch_up(before=written[0].seq)  # others were quicker: their rows come first
            self._known = written[-1].seq
        for entry in written:
            self._apply(entry, stands=self._store.shared)
            self._tell(entry)
            if self._on_written is not None:
                self._on_written(entry)
        return written

    def write_open(
        self, entries: Sequence[Entry], is_open: Callable[[str], bool]
    ) -> tuple[list[Entry], list[str]]:
        """Write the answers to items that are open, and return them with the other items.

        The check and the write are one transaction. Raises `StoreError`.
        """
        while True:
            wanted = [entry for entry in entries if is_open(entry.ref)]
            try:
                written = self.write(*wanted, last_seen=self._known)
            except DecidedMeanwhile:
                self.catch_up()
                continue
            kept = {entry.ref for entry in wanted}
            return written, [entry.ref for entry in entries if entry.ref not in kept]

    def undo_entries(self, entries: Sequence[Entry]) -> None:
        """Write an undo for each of these rows."""
        self.write(*(self.entry(Action.UNDO, e.ref, extra={"undoes": e.seq}) for e in entries))

    def catch_up(self, before: float = inf) -> None:
        """Apply the rows that others wrote, up to the place `before`."""
        fresh: list[Entry] = []
        again: set[str] = set()
        for place, entry, numbered in self._store.arrivals(self._known):
            if place >= before:
                break
            self._known = place
            if numbered is not None:
                self.prequential.renumber(numbered, entry.seq)
                self._unnumbered.discard(numbered)
                again.add(entry.ref)
            elif entry.seq not in self._unnumbered:
                stands = self._store.shared and (entry.ref in again or self.state.knows(entry.ref))
                again |= {entry.ref} if stands else set()
                fresh.append(entry)
                self._apply(entry, stands=stands)
        self._replace(again)
        for entry in fresh:
            self._tell(entry)
        self._from_others += fresh

    def drain_others_entries(self) -> list[Entry]:
        """Return the rows that others wrote since the last call."""
        entries, self._from_others = self._from_others, []
        return entries

    def _replace(self, refs: Collection[str]) -> None:
        """Read the rows on `refs` again: in a team's log, rows may have come between."""
        if refs:
            self.state.replace(self._store.entries_of(refs))

    def _apply(self, entry: Entry, *, stands: bool = False) -> None:
        """Add a row; if it `stands`, the state has it, or gets it with all rows on its ref."""
        if not stands:
            self.state.apply(entry)
        self.prequential.apply(entry)

    def _tell(self, entry: Entry) -> None:
        if self._on_applied is not None:
            self._on_applied(entry)
