"""The labels of people as arrays that grow with the log.

A session makes a snapshot after every label, in the thread of the screen. To read ten thousand
labels anew takes about 8 ms, to read a million labels of a model a second. So only new rows are
read; all are read again if a decision changed or was taken back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from annotator.log.entries import Action, Entry, LogState

RowLookup = Callable[[list[str]], Sequence[int] | NDArray[np.int64]]


@dataclass(frozen=True, slots=True)
class LoggedLabels:
    """(n,) labels of people in the order asked, without those that a model gave."""

    rows: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    """Pool rows; -1 if the pool lacks the item."""
    y: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    q: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    """The propensity of the first decision on the item; NaN if the draw was not random."""
    pool: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    component: tuple[str, ...] = ()
    """The part of the strategy that picked the item, or the name of an audit."""
    missed: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    """1 if the prediction before the first decision was wrong, 0 if right, NaN without one."""
    accepted: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    """(k,) pool rows that a model labelled after an audit."""
    certified: frozenset[str] = frozenset()
    """The audits after which these rows were accepted."""

    def __add__(self, more: LoggedLabels) -> LoggedLabels:
        return LoggedLabels(
            np.concatenate([self.rows, more.rows]),
            np.concatenate([self.y, more.y]),
            np.concatenate([self.q, more.q]),
            np.concatenate([self.pool, more.pool]),
            self.component + more.component,
            np.concatenate([self.missed, more.missed]),
            np.concatenate([self.accepted, more.accepted]),
            self.certified | more.certified,
        )


class LabelArrays:
    """The labels of one log state as arrays; belongs to the session of that state."""

    def __init__(self) -> None:
        self._mark: object = None
        self._labels = LoggedLabels()
        self._read, self._last = 0, 0  # items of the state, and the newest row of the log in them

    def labels(
        self, state: LogState, classes: tuple[str, ...], rows_of: RowLookup, size: int
    ) -> LoggedLabels:
        """Return the labels of these classes, reading only what is new in `state`.

        `size` is that of the pool: after it has grown, all rows are looked up again.
        """
        mark = (state.edits, classes, size)
        if mark != self._mark:
            self._forget(mark)
        fresh = [*islice(reversed(state.standing.values()), len(state.standing) - self._read)]
        fresh.sort(key=_first_seq)
        if fresh and fresh[0][0].seq < self._last:  # of another terminal: older, but read later
            self._forget(mark)
            fresh = sorted(state.standing.values(), key=_first_seq)
        if fresh:
            self._labels += _collect_labels(fresh, classes, rows_of)
            self._read, self._last = len(state.standing), fresh[-1][0].seq
        return self._labels

    def _forget(self, mark: object) -> None:
        self._mark, self._labels, self._read, self._last = mark, LoggedLabels(), 0, 0


def _first_seq(stack: list[Entry]) -> int:
    return stack[0].seq


def _collect_labels(
    stacks: list[list[Entry]], classes: tuple[str, ...], rows_of: RowLookup
) -> LoggedLabels:
    known = {name: index for index, name in enumerate(classes)}
    pairs = [
        (stack[0], known[str(stack[-1].label)])
        for stack in stacks
        if stack[-1].action is Action.LABEL
        and stack[-1].label in known
        and not stack[-1].by_machine
    ]
    first = [entry for entry, _ in pairs]
    last = [stack[-1] for stack in stacks]
    accepted = [entry for entry in last if entry.by_machine and entry.audit and entry.label]
    return LoggedLabels(
        np.asarray(rows_of([entry.ref for entry in first]), np.int64),
        np.array([y for _, y in pairs], np.int64),
        np.array([np.nan if entry.q is None else entry.q for entry in first], np.float64),
        np.array([entry.pool or 0 for entry in first], np.int64),
        tuple(entry.audit or entry.picked_by or "" for entry in first),
        np.array([_missed(entry, classes[y]) for entry, y in pairs], np.float64),
        np.asarray(rows_of([entry.ref for entry in accepted]), np.int64),
        frozenset(str(entry.audit) for entry in accepted),
    )


def _missed(first: Entry, label: str) -> float:
    """Return 1 if the prediction that was logged with a decision differs from the label, else 0;
    NaN without a prediction."""
    proba = first.proba
    return float(max(proba, key=proba.__getitem__) != label) if proba else np.nan
