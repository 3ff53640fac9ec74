"""The log: one row for everything that an annotator did, and the state after all rows.

Rows are only ever appended. An undo is a row too, so it works across restarts and back to the first
decision; to resume is to replay.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from itertools import pairwise, takewhile
from typing import Any

_BREAK_SECONDS = 60.0


class Action(StrEnum):
    """The kind of a row."""

    LABEL = "label"
    SKIP = "skip"
    FLAG = "flag"
    """A flag on the item, or with `{"on": false}` in `extra` its removal."""
    NOTE = "note"
    UNDO = "undo"
    """The undo of one decision on its ref: of the row whose `seq` is `extra["undoes"]`."""


REVIEW = "review"
"""The `picked_by` of a review's rows, and the key in `extra` that names the queue."""

PREDICTED = "predicted"
"""The key in `extra` with the set of classes that the model predicted before the label."""

CORRECTION = "correction"
"""The `picked_by` of an answer that corrects one after a look back."""

RACE = "race"
"""The key in `extra` of a second opinion that was given as a label, by someone who could not know
of the label that counts: a team's log calls that a race."""

PENDING = 1 << 62
"""The first number of rows that a team's log has not numbered yet: they come after all others."""

DECISIONS = (Action.LABEL, Action.SKIP)
"""The actions that answer an item; an undo takes them back."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the log."""

    seq: int
    """The row's place in the log from 1; 0 until the store has written it."""
    at: float
    """Seconds since the epoch."""
    annotator: str
    action: Action
    ref: str
    label: str | None = None
    proba: Mapping[str, float] | None = None
    """The model's prediction before this label: class name to probability."""
    model: str | None = None
    """The name and version of that model."""
    picked_by: str | None = None
    """The part of the query strategy that picked the item ("random", "margin", "import" …)."""
    q: float | None = None
    """The propensity: the probability with which the item was drawn from the pool."""
    pool: int | None = None
    """The number of items in that pool (N)."""
    shown_ms: int | None = None
    """Milliseconds for which the picture had been on screen."""
    note: str | None = None
    extra: Mapping[str, Any] | None = None

    @property
    def audit(self) -> str | None:
        """The audit that drew the item for this decision, if one did."""
        return (self.extra or {}).get("audit")

    @property
    def second(self) -> bool:
        """True for a second opinion: it is compared, and is never the label that counts."""
        return bool((self.extra or {}).get("second"))

    @property
    def corrects(self) -> int | None:
        """The `seq` of the answer that this one corrects after a look back, if it does."""
        return (self.extra or {}).get("corrects")

    @property
    def predicted(self) -> str | None:
        """The label that the model predicted before this decision; None without a prediction.

        Where an item may have several classes, `extra` names the predicted set. Rows of older
        versions have the probabilities of whole sets: of these, as of classes, it is the likeliest.
        """
        if (found := (self.extra or {}).get(PREDICTED)) is not None:
            return str(found)
        return max(self.proba, key=self.proba.__getitem__) if self.proba else None

    @property
    def by_machine(self) -> bool:
        """True if a model gave this label and no person looked at the item."""
        return bool((self.extra or {}).get("machine"))


@dataclass(slots=True)
class LogState:
    """The state after the rows of a log: made by `replay`, kept current by `apply`."""

    seq: int = 0
    """The last row applied; after rows of a team's log that have no number yet, one more each."""
    standing: dict[str, list[Entry]] = field(default_factory=dict)
    """Ref to its decisions that were not taken back, oldest first; the last one counts."""
    opinions: dict[str, list[Entry]] = field(default_factory=dict)
    """Ref to its second opinions that were not taken back, oldest first."""
    flagged: dict[str, Entry] = field(default_factory=dict)
    notes: dict[str, list[Entry]] = field(default_factory=dict)
    history: dict[str, dict[int, Entry]] = field(default_factory=dict)
    """Annotator to their decisions that were not taken back, by `seq`, oldest first."""
    counts: Counter[str | None] = field(default_factory=Counter)
    """Items per label; skipped ones under None."""
    edits: int = 0
    """The number of decisions changed or taken back; otherwise `standing` only grows."""

    def apply(self, entry: Entry) -> None:
        """Add one row."""
        self.seq = max(self.seq + 1, entry.seq if entry.seq < PENDING else 0)
        if entry.action in (*DECISIONS, Action.UNDO):
            self._count(entry.ref, -1)
            self._decide(entry)
            self._count(entry.ref, +1)
        elif entry.action is Action.FLAG:
            self._flag(entry)
        else:
            self.notes.setdefault(entry.ref, []).append(entry)

    def knows(self, ref: str) -> bool:
        """Return whether any row on `ref` has been applied that still says something."""
        kept = (self.standing, self.opinions, self.flagged, self.notes)
        return any(ref in refs for refs in kept)

    def replace(self, rows: Mapping[str, Sequence[Entry]]) -> None:
        """Replace all rows on some refs, after a team's log has numbered or ordered them anew.

        `rows` maps each ref to all its rows, in order.
        """
        touched: set[str] = set()
        for ref, entries in rows.items():
            self._count(ref, -1)
            for kept in (self.standing, self.opinions):
                for entry in kept.get(ref, ()):
                    self.history[entry.annotator].pop(entry.seq, None)
            touched |= self._put(ref, replay(entries))
            self._count(ref, +1)
        for name in touched:
            self.history[name] = dict(sorted(self.history[name].items()))
        self.seq += bool(rows)

    def _put(self, ref: str, fresh: LogState) -> set[str]:
        """Take the state of one ref from `fresh`; return the annotators with decisions on it."""
        decided = [*map(_meaning, self.standing.get(ref, ()))]
        for mine, theirs in (
            (self.standing, fresh.standing), (self.opinions, fresh.opinions),
            (self.flagged, fresh.flagged), (self.notes, fresh.notes),
        ):  # fmt: skip
            _copy_item(mine, theirs, ref)
        now = [*map(_meaning, self.standing.get(ref, ()))]
        self.edits += bool(decided) and decided != now
        for name, entries in fresh.history.items():
            self.history.setdefault(name, {}).update(entries)
        return {*fresh.history}

    def decision(self, ref: str) -> Entry | None:
        """Return the standing decision on `ref`, or None if the item is open."""
        stack = self.standing.get(ref)
        return stack[-1] if stack else None

    def label(self, ref: str) -> str | None:
        """Return the label of `ref`, or None if it is open or skipped."""
        decision = self.decision(ref)
        return decision.label if decision and decision.action is Action.LABEL else None

    def labels(self) -> Iterable[tuple[Entry, Entry]]:
        """Yield for each labelled item, in the order asked, its first decision and its last.

        The first holds the draw of the item (q, pool), the last the label that counts.
        """
        for stack in sorted(self.standing.values(), key=lambda stack: stack[0].seq):
            if stack[-1].action is Action.LABEL:
                yield stack[0], stack[-1]

    def skips(self) -> list[Entry]:
        """Return the skips that keep items from being asked.

        An item that was skipped twice, by two annotators at once or in a review, has two.
        """
        found: list[Entry] = []
        for stack in self.standing.values():
            found += takewhile(lambda entry: entry.action is Action.SKIP, reversed(stack))
        return found

    def undoable_by(self, annotator: str) -> list[Entry]:
        """Return what this annotator's next undo takes back: a decision, or a group of them."""
        last = self.last_by(annotator)
        group = _group_of(last) if last else None
        if last is None or group is None:
            return [last] if last else []
        return [e for e in self.history[annotator].values() if _group_of(e) == group]

    def last_by(self, annotator: str) -> Entry | None:
        """Return this annotator's last decision; None if nothing is left to take back."""
        return next(reversed(self.history.get(annotator, {}).values()), None)

    def _count(self, ref: str, change: int) -> None:
        decision = self.decision(ref)
        if decision is not None:
            self.counts[decision.label] += change

    def _decide(self, entry: Entry) -> None:
        if entry.action is Action.UNDO:
            self._take_back(entry)
        else:
            kept = self.opinions if entry.second else self.standing
            stack = kept.setdefault(entry.ref, [])
            self.edits += bool(stack)
            stack.append(entry)
            self.history.setdefault(entry.annotator, {})[entry.seq] = entry

    def _flag(self, entry: Entry) -> None:
        if (entry.extra or {}).get("on", True):
            self.flagged[entry.ref] = entry
        else:
            self.flagged.pop(entry.ref, None)

    def _take_back(self, undo: Entry) -> None:
        seq = (undo.extra or {}).get("undoes")
        for kept in (self.standing, self.opinions):
            stack = kept.get(undo.ref, [])
            taken = next((entry for entry in stack if entry.seq == seq), None)
            if taken is not None:
                break
        else:
            return  # taken back already, from another terminal
        stack.remove(taken)
        self.edits += 1
        if not stack:
            del kept[undo.ref]
        del self.history[taken.annotator][taken.seq]


class OwnOpinions(Collection[str]):
    """The refs of one annotator's own second opinions in a state: a live view."""

    def __init__(self, state: LogState, annotator: str) -> None:
        self._opinions, self._annotator = state.opinions, annotator

    def decision(self, ref: str) -> Entry | None:
        """Return this annotator's last second opinion on `ref`, or None."""
        found = [e for e in self._opinions.get(ref, ()) if e.annotator == self._annotator]
        return found[-1] if found else None

    def __contains__(self, ref: object) -> bool:
        return isinstance(ref, str) and self.decision(ref) is not None

    def __iter__(self) -> Iterator[str]:
        return (ref for ref in self._opinions if ref in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _meaning(entry: Entry) -> tuple[str, Action, str | None]:
    return entry.annotator, entry.action, entry.label


def _copy_item(mine: dict[str, Any], theirs: Mapping[str, Any], ref: str) -> None:
    if ref in theirs:
        mine[ref] = theirs[ref]  # a ref that was there keeps its place
    else:
        mine.pop(ref, None)


def entry_as_dict(entry: Entry) -> dict[str, Any]:
    """Return the fields of a row that are not None, for JSON."""
    return {key: value for key, value in asdict(entry).items() if value is not None}


def replay(entries: Iterable[Entry]) -> LogState:
    """Return the state after `entries`, in order."""
    state = LogState()
    for entry in entries:
        state.apply(entry)
    return state


_LEAST_SECONDS = 0.05
"""Least time between labels that is a pace, and not one write of many labels."""


def label_seconds(state: LogState) -> float | None:
    """Return the median time between labels of people, without pauses of a minute or more.

    The labels of a page are written at one time: then it is the mean. None if that is 0, too. What
    a review gave has another pace, and stays out.
    """
    from statistics import median

    last = [_last_before_review(stack) for stack in state.standing.values()]
    times = sorted(
        entry.at for entry in last
        if entry.action is Action.LABEL and not entry.by_machine
        and entry.picked_by not in ("import", REVIEW)
    )  # fmt: skip
    gaps = [b - a for a, b in pairwise(times) if b - a < _BREAK_SECONDS]
    usual = median(gaps) if gaps else 0.0
    seconds = usual if usual >= _LEAST_SECONDS else sum(gaps) / max(1, len(gaps))
    return seconds if seconds >= _LEAST_SECONDS else None


def _last_before_review(stack: Sequence[Entry]) -> Entry:
    """Return the last decision outside a review; without one, the last."""
    if stack[-1].picked_by != REVIEW:
        return stack[-1]
    return next((entry for entry in reversed(stack) if entry.picked_by != REVIEW), stack[-1])


def review_queue_of(entry: Entry) -> str | None:
    """Return the queue of the review that wrote this row; None for other rows."""
    found = (entry.extra or {}).get(REVIEW)
    return found if isinstance(found, str) else None


def find_confirmations(stack: Sequence[Entry]) -> list[Entry]:
    """Return the rows of reviews that confirmed the decision that stands, oldest first.

    `stack` holds the decisions on an item. A review that gave the label confirms it, too. A later
    change of the label ends the confirmations before it; the same label given again does not.
    """
    found: list[Entry] = []
    for entry in reversed(stack):
        if (entry.action, entry.label) != (stack[-1].action, stack[-1].label):
            break
        if review_queue_of(entry) is not None:
            found.append(entry)
    return found[::-1]


def reviewed_labels(state: LogState) -> Iterator[tuple[str, list[str]]]:
    """Yield the ref of each item with a reviewed label, and who confirmed it, each name once."""
    for ref, stack in state.standing.items():
        if stack[-1].action is Action.LABEL and (rows := find_confirmations(stack)):
            yield ref, list(dict.fromkeys(entry.annotator for entry in rows))


def is_settled(state: LogState, ref: str, queue: str, since: float = 0.0) -> bool:
    """Return True if a review of this queue has decided on `ref`, and nothing changed since.

    A later label, second opinion or flag brings the item back, and so does an event outside the
    log at `since` (seconds since the epoch).
    """
    stack = state.standing.get(ref, [])
    last = max((e for e in stack if review_queue_of(e) == queue), key=lambda e: e.seq, default=None)
    if last is None or last.at < since:
        return False
    others = [e for e in stack if review_queue_of(e) is None] + state.opinions.get(ref, [])
    if queue == "flagged" and ref in state.flagged:
        others.append(state.flagged[ref])
    return all(e.seq < last.seq for e in others)


def _group_of(entry: Entry) -> str | None:
    return (entry.extra or {}).get("group")
