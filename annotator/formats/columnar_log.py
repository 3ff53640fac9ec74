"""The decisions of a log in columns of numbers: some 70 bytes a decision, and no objects."""

from __future__ import annotations

import json
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotator.items.ref_table import RefTable
from annotator.log.entries import DECISIONS, Action, Entry

_BATCH = 1 << 14
_MACHINE, _SECOND = 1, 2


class Vocabulary(dict[str, int]):
    """Text to a small number, in the order seen."""

    def __missing__(self, name: str) -> int:
        self[name] = len(self)
        return self[name]

    def code(self, name: str | None) -> int:
        """Return the number of a text, -1 for None."""
        return -1 if name is None else self[name]

    @property
    def texts(self) -> list[str]:
        """The texts in the order of their numbers."""
        return list(self)


class ColumnarLog:
    """The fold of a log over the rows of a pool: `LogState` without an object for each label."""

    def __init__(self, refs: RefTable) -> None:
        self.refs = refs
        self.labels, self.annotators = Vocabulary(), Vocabulary()
        self.flagged: set[int] = set()
        self.notes: dict[int, str] = {}
        self.vanished = 0
        """The number of standing labels whose items the pool does not hold."""
        self.at = np.zeros(0)
        """(m,) the time of each decision; `label`, `who`, … have the same length."""
        self.label = self.who = self.seq = np.zeros(0, np.int64)
        self.kind = np.zeros(0, np.int8)
        self.row = np.zeros(0, np.int64)
        self.standing = np.full(len(refs), -1, np.int64)
        """(n,) the decision that counts for each row, -1 if the item is open."""
        self.probability = np.zeros(0)
        """(m,) the probability that a model gave its own label, else NaN."""
        self._details: Mapping[str, NDArray[Any]] = {}
        self._texts, self._proba = Vocabulary(), list[str]()

    @classmethod
    def read(
        cls, refs: RefTable, entries: Iterable[Entry], *, probabilities: bool = False
    ) -> ColumnarLog:
        """Fold `entries`; `probabilities` keeps the probabilities of the models, too."""
        ledger = cls(refs)
        columns = _ColumnBuilder(ledger, probabilities)
        remaining = iter(entries)
        while batch := list(islice(remaining, _BATCH)):
            columns.add(batch)
        columns.finish()
        return ledger

    def mask_rows(self, chosen: Callable[[NDArray[np.int64]], NDArray[np.bool_]]) -> Any:
        """Return (n,) True for the rows whose standing decision `chosen` picks."""
        mask = np.zeros(len(self.standing), bool)
        rows = np.flatnonzero(self.standing >= 0)
        mask[rows] = chosen(self.standing[rows])
        return mask

    def labelled(self) -> NDArray[np.bool_]:
        """Return (n,) True for the rows that have a label."""
        return np.asarray(self.mask_rows(lambda d: self.label[d] >= 0))

    def labelled_by_people(self) -> NDArray[np.bool_]:
        """Return (n,) True for the rows that a person labelled, not a machine."""
        return np.asarray(
            self.mask_rows(lambda d: (self.label[d] >= 0) & (self.kind[d] & _MACHINE == 0))
        )

    def label_codes(self) -> NDArray[np.int64]:
        """Return (n,) the number of each row's label in `labels`, -1 without a label."""
        found = np.full(len(self.standing), -1, np.int64)
        rows = np.flatnonzero(self.standing >= 0)
        found[rows] = self.label[self.standing[rows]]
        return found

    def label_of(self, row: int) -> str | None:
        """Return the label of a row, None if it is open or skipped."""
        decision = int(self.standing[row])
        code = int(self.label[decision]) if decision >= 0 else -1
        return self._label_texts[code] if code >= 0 else None

    def labels_of(self, refs: Sequence[str]) -> list[str | None]:
        """Return the label of each ref, None if it is open, skipped or not in the pool."""
        return [self.label_of(row) if row >= 0 else None for row in self.refs.rows(refs).tolist()]

    def skipped(self, row: int) -> bool:
        """Return True if the standing decision of a row is a skip."""
        decision = int(self.standing[row])
        return decision >= 0 and int(self.label[decision]) < 0

    def agreement(self) -> NDArray[np.float64]:
        """Return (n,) the share of annotators whose last label is the standing one.

        It is NaN for fewer than two annotators.
        """
        found = np.full(len(self.standing), np.nan)
        people = np.flatnonzero((self.kind & _MACHINE == 0) & (self.label >= 0) & (self.row >= 0))
        key = self.row[people] * (len(self.annotators) + 1) + self.who[people]
        # The last decision of each person on each item is the first one from behind.
        _, last = np.unique(key[::-1], return_index=True)
        last = people[len(people) - 1 - last]
        rows = self.row[last]
        counts = np.bincount(rows, minlength=len(found))
        agreeing = self.label[last] == self.label_codes()[rows]
        agreed = np.bincount(rows, weights=agreeing, minlength=len(found))
        several = (counts >= 2) & self.labelled()
        found[several] = agreed[several] / counts[several]
        return found

    def details(self, row: int) -> dict[str, Any]:
        """Return the annotator, the time and the rest of a decision; empty for an open item."""
        at = int(self.standing[row])
        if at < 0:
            return {}
        found: dict[str, Any] = {
            "annotator": self._texts_of["who"][int(self.who[at])], "at": float(self.at[at]),
        }  # fmt: skip
        for name in ("model", "picked_by"):
            code = int(self._details[name][at])
            found[name] = self._texts_of["other"][code] if code >= 0 else None
        q, pool, shown = (self._details[name][at] for name in ("q", "pool", "shown_ms"))
        found["q"] = None if np.isnan(q) else float(q)
        found["pool"] = int(pool) if pool >= 0 else None
        found["shown_ms"] = int(shown) if shown >= 0 else None
        return found | (self.machine_details(row) or {"machine": False})

    def machine_details(self, row: int) -> dict[str, Any]:
        """Return the model and the probability of a label that a machine gave, else nothing."""
        at = int(self.standing[row])
        if at < 0 or not self.kind[at] & _MACHINE:
            return {}
        code, sure = int(self._details["model"][at]), float(self.probability[at])
        return {
            "machine": True, "model": self._texts_of["other"][code] if code >= 0 else None,
            "probability": None if np.isnan(sure) else sure,
        }  # fmt: skip

    def proba(self, row: int) -> dict[str, float]:
        """Return the probabilities that a model gave before the label; empty without them."""
        at = int(self.standing[row])
        text = self._proba[at] if at >= 0 and self._proba else ""
        return dict(json.loads(text)) if text else {}

    def _list_texts(self) -> None:
        self._label_texts = self.labels.texts
        self._texts_of = {"who": self.annotators.texts, "other": self._texts.texts}


class _ColumnBuilder:
    """The columns of a log while they grow."""

    def __init__(self, ledger: ColumnarLog, probabilities: bool) -> None:
        self._ledger, self._with_proba = ledger, probabilities
        self._whole = {name: array("q") for name in ("row", "seq", "pool")}
        self._small = {n: array("i") for n in ("label", "who", "model", "picked_by", "shown_ms")}
        self._real = {name: array("d") for name in ("at", "q", "probability")}
        self._kind = array("b")
        self._undone: list[int] = []

    def add(self, batch: Sequence[Entry]) -> None:
        ledger = self._ledger
        rows = ledger.refs.rows([entry.ref for entry in batch]).tolist()
        decided = [at for at, entry in enumerate(batch) if entry.action in DECISIONS]
        self._decide([batch[at] for at in decided], [rows[at] for at in decided])
        if len(decided) == len(batch):
            return
        for entry, row in zip(batch, rows, strict=True):
            if entry.action is Action.UNDO:
                self._undone.append(int((entry.extra or {}).get("undoes", -1)))
            elif entry.action is Action.FLAG:
                on = (entry.extra or {}).get("on", True)
                (ledger.flagged.add if on else ledger.flagged.discard)(row)
            elif entry.action is Action.NOTE and entry.note:
                ledger.notes[row] = entry.note

    def _decide(self, batch: Sequence[Entry], rows: Sequence[int]) -> None:
        """Add a column at a time: a million calls of a function take seconds."""
        ledger, texts = self._ledger, self._ledger._texts
        whole, small, real = self._whole, self._small, self._real
        whole["row"].extend(rows)
        whole["seq"].extend([e.seq for e in batch])
        whole["pool"].extend([-1 if e.pool is None else e.pool for e in batch])
        label = ledger.labels.code
        small["label"].extend([label(e.label) if e.action is Action.LABEL else -1 for e in batch])
        small["who"].extend([ledger.annotators[e.annotator] for e in batch])
        small["model"].extend([texts.code(e.model) for e in batch])
        small["picked_by"].extend([texts.code(e.picked_by) for e in batch])
        shown = [-1 if e.shown_ms is None else min(e.shown_ms, 2**31 - 1) for e in batch]
        small["shown_ms"].extend(shown)
        real["at"].extend([e.at for e in batch])
        real["q"].extend([np.nan if e.q is None else e.q for e in batch])
        self._kind.extend(
            [_MACHINE * e.by_machine + _SECOND * e.second if e.extra else 0 for e in batch]
        )
        sure = [
            (e.proba or {}).get(e.label or "") if e.extra and e.by_machine else None for e in batch
        ]
        real["probability"].extend([np.nan if p is None else p for p in sure])
        if self._with_proba:
            ledger._proba += [json.dumps(e.proba) if e.proba else "" for e in batch]

    def finish(self) -> None:
        ledger = self._ledger
        ledger.row, ledger.seq = _as_array(self._whole["row"]), _as_array(self._whole["seq"])
        ledger.label, ledger.who = _as_array(self._small["label"]), _as_array(self._small["who"])
        ledger.at, ledger.kind = _as_array(self._real["at"]), _as_array(self._kind)
        ledger.probability = _as_array(self._real["probability"])
        undone = np.isin(ledger.seq, np.array(self._undone, np.int64))
        standing = np.flatnonzero(~undone & (ledger.kind & _SECOND == 0))
        ledger.row[undone] = -1  # opinions that were taken back agree with no annotator
        rows = ledger.row[standing]
        ledger.vanished = int((rows < 0).sum())
        held = rows >= 0
        ledger.standing[rows[held]] = standing[held]  # the last decision counts
        ledger._details = {
            "pool": _as_array(self._whole["pool"]),
            "q": _as_array(self._real["q"]),
            **{name: _as_array(self._small[name]) for name in ("model", "picked_by", "shown_ms")},
        }
        ledger._list_texts()


def _as_array(column: array[Any]) -> NDArray[Any]:
    """Return the same numbers in the same memory."""
    return np.frombuffer(column, column.typecode) if column else np.zeros(0, column.typecode)
