"""The labels of people as arrays that grow with the log.

A session makes a snapshot after every label, in the thread of the screen. To read ten thousand
labels anew takes about 8 ms, to read a million labels of a model a second. So only new rows are
read; all are read again if a decision changed or was taken back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from annotator.log.entries import PENDING, Action, Entry, LogState
from annotator.log.prequential import IsWithin, is_equal
from annotator.project.label_sets import split_label

RowLookup = Callable[[list[str]], Sequence[int] | NDArray[np.int64]]


@dataclass(frozen=True, slots=True)
class LoggedLabels:
    """(n,) labels of people in the order asked, without those that a model gave."""

    rows: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    """Pool rows; -1 if the pool lacks the item."""
    y: NDArray[Any] = field(default_factory=lambda: np.zeros(0, np.int64))
    """(n,) classes; (n, C) True for each class if an item may have several."""
    q: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    """The propensity of the first decision on the item; NaN if the draw was not random."""
    pool: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    component: tuple[str, ...] = ()
    """The part of the strategy that picked the item, or the name of an audit."""
    missed: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    """1 if the prediction before the first decision was wrong, 0 if right, NaN without one."""
    tags_missed: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    """The share of the classes that this prediction had wrong, NaN without one."""
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
            np.concatenate([self.tags_missed, more.tags_missed]),
            np.concatenate([self.accepted, more.accepted]),
            self.certified | more.certified,
        )


class LabelArrays:
    """The labels of one log state as arrays; belongs to the session of that state."""

    def __init__(self, is_within: IsWithin = is_equal, *, multi: bool = False) -> None:
        """Begin without labels; `is_within` tells which predictions are right for a label.

        With `multi` a label is a set of classes.
        """
        self._mark: object = None
        self._is_within, self._multi = is_within, multi
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
            self._forget(mark, classes)
        fresh = [*islice(reversed(state.standing.values()), len(state.standing) - self._read)]
        fresh.sort(key=_first_seq)
        if fresh and fresh[0][0].seq < self._last:  # of another terminal: older, but read later
            self._forget(mark, classes)
            fresh = sorted(state.standing.values(), key=_first_seq)
        if fresh:
            collect = _collect_sets if self._multi else _collect_classes
            labels = collect(fresh, classes, self._is_within)
            self._labels += _collect_labels(fresh, labels, rows_of)
            numbered = (stack[0].seq for stack in reversed(fresh) if stack[0].seq < PENDING)
            self._read, self._last = len(state.standing), next(numbered, self._last)
        return self._labels

    def _forget(self, mark: object, classes: tuple[str, ...]) -> None:
        none = LoggedLabels(y=np.zeros((0, len(classes)), bool)) if self._multi else LoggedLabels()
        self._mark, self._labels, self._read, self._last = mark, none, 0, 0


def _first_seq(stack: list[Entry]) -> int:
    return stack[0].seq


class _Given(NamedTuple):
    """Labels of people: their first decisions, and what `LoggedLabels` says of each label."""

    first: list[Entry]
    y: NDArray[Any]
    missed: list[float]
    tags_missed: list[float]


def _labelled(stacks: list[list[Entry]]) -> list[list[Entry]]:
    return [
        stack for stack in stacks if stack[-1].action is Action.LABEL and not stack[-1].by_machine
    ]


def _collect_classes(
    stacks: list[list[Entry]], classes: tuple[str, ...], is_within: IsWithin
) -> _Given:
    known = {name: index for index, name in enumerate(classes)}
    kept = [stack for stack in _labelled(stacks) if stack[-1].label in known]
    first, labels = [stack[0] for stack in kept], [str(stack[-1].label) for stack in kept]
    missed = [
        float(not is_within(entry.predicted, label)) if entry.predicted else np.nan
        for entry, label in zip(first, labels, strict=True)
    ]
    y = np.array([known[label] for label in labels], np.int64)
    return _Given(first, y, missed, [np.nan] * len(first))


def _collect_sets(
    stacks: list[list[Entry]], classes: tuple[str, ...], is_within: IsWithin
) -> _Given:
    """Collect sets of classes; those that the project no longer has are left out of them."""
    kept = _labelled(stacks)
    first, known = [stack[0] for stack in kept], {name: i for i, name in enumerate(classes)}

    def mark(y: NDArray[np.bool_], label: str) -> NDArray[np.bool_]:
        y[[known[name] for name in split_label(label) if name in known]] = True
        return y

    y, missed, tags_missed = np.zeros((len(kept), len(classes)), bool), [], []
    for row, stack in zip(y, kept, strict=True):
        mark(row, str(stack[-1].label))
        predicted = stack[0].predicted
        if predicted is None:
            wrong = np.full(1, np.nan)
        else:
            wrong = (mark(np.zeros(len(classes), bool), predicted) != row).astype(float)
        missed.append(float(wrong.max()))
        tags_missed.append(float(wrong.mean()))
    return _Given(first, y, missed, tags_missed)


def _collect_labels(stacks: list[list[Entry]], given: _Given, rows_of: RowLookup) -> LoggedLabels:
    first = given.first
    last = [stack[-1] for stack in stacks]
    accepted = [entry for entry in last if entry.by_machine and entry.audit and entry.label]
    return LoggedLabels(
        np.asarray(rows_of([entry.ref for entry in first]), np.int64),
        given.y,
        np.array([np.nan if entry.q is None else entry.q for entry in first], np.float64),
        np.array([entry.pool or 0 for entry in first], np.int64),
        tuple(entry.audit or entry.picked_by or "" for entry in first),
        np.array(given.missed, np.float64),
        np.array(given.tags_missed, np.float64),
        np.asarray(rows_of([entry.ref for entry in accepted]), np.int64),
        frozenset(str(entry.audit) for entry in accepted),
    )
