"""The decisions of a log in columns of numbers: some 70 bytes a decision, and no objects."""

from __future__ import annotations

import json
from array import array
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotator.items.json_text import parse_json
from annotator.items.ref_table import RefTable
from annotator.log.entries import DECISIONS, Action, Entry, review_queue_of

_BATCH = 1 << 14
_MACHINE, _SECOND, _REVIEW = 1, 2, 4


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


class _Columns:
    """The columns of a log while they grow, a batch of entries at a time."""

    def __init__(self, refs: RefTable, keep_proba: bool) -> None:
        self.labels, self.annotators, self.texts = Vocabulary(), Vocabulary(), Vocabulary()
        self.flagged: set[int] = set()
        self.notes: dict[int, str] = {}
        self.undone: list[int] = []
        self.proba: list[str] = []
        self._refs, self._keep_proba = refs, keep_proba
        self._long = {name: array("q") for name in ("row", "seq", "pool")}
        self._int = {
            name: array("i") for name in ("label", "annotator", "model", "picked_by", "shown_ms")
        }
        self._real = {name: array("d") for name in ("at", "q", "probability")}
        self._kind = array("b")

    def add(self, batch: Sequence[Entry]) -> None:
        """Add entries: decisions to the columns, the rest to what they change."""
        rows = self._refs.rows([entry.ref for entry in batch]).tolist()
        decided = [at for at, entry in enumerate(batch) if entry.action in DECISIONS]
        self._add_decisions([batch[at] for at in decided], [rows[at] for at in decided])
        if len(decided) == len(batch):
            return
        for entry, row in zip(batch, rows, strict=True):
            if entry.action is Action.UNDO:
                self.undone.append(int((entry.extra or {}).get("undoes", -1)))
            elif entry.action is Action.FLAG:
                on = (entry.extra or {}).get("on", True)
                (self.flagged.add if on else self.flagged.discard)(row)
            elif entry.action is Action.NOTE and entry.note:
                self.notes[row] = entry.note

    def _add_decisions(self, batch: Sequence[Entry], rows: Sequence[int]) -> None:
        """Add decisions a column at a time: a million calls of a function take seconds."""
        long, small, real = self._long, self._int, self._real
        long["row"].extend(rows)
        long["seq"].extend([e.seq for e in batch])
        long["pool"].extend([-1 if e.pool is None else e.pool for e in batch])
        label, text = self.labels.code, self.texts.code
        small["label"].extend([label(e.label) if e.action is Action.LABEL else -1 for e in batch])
        small["annotator"].extend([self.annotators[e.annotator] for e in batch])
        small["model"].extend([text(e.model) for e in batch])
        small["picked_by"].extend([text(e.picked_by) for e in batch])
        shown = [-1 if e.shown_ms is None else min(e.shown_ms, 2**31 - 1) for e in batch]
        small["shown_ms"].extend(shown)
        real["at"].extend([e.at for e in batch])
        real["q"].extend([np.nan if e.q is None else e.q for e in batch])
        self._kind.extend([_kind_of(e) if e.extra else 0 for e in batch])
        sure = [
            (e.proba or {}).get(e.label or "") if e.extra and e.by_machine else None for e in batch
        ]
        real["probability"].extend([np.nan if p is None else p for p in sure])
        if self._keep_proba:
            self.proba += [json.dumps(e.proba) if e.proba else "" for e in batch]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the columns by name, each (m,), in the same memory."""
        columns: dict[str, array[Any]] = {
            **self._long,
            **self._int,
            **self._real,
            "kind": self._kind,
        }
        return {name: _as_array(column) for name, column in columns.items()}


def _kind_of(entry: Entry) -> int:
    is_review = review_queue_of(entry) is not None
    return _MACHINE * entry.by_machine + _SECOND * entry.second + _REVIEW * is_review


def _as_array(column: array[Any]) -> NDArray[Any]:
    return np.frombuffer(column, column.typecode) if column else np.zeros(0, column.typecode)


class ColumnarLog:
    """The state of a log as columns over the pool's rows: `LogState` without objects per label."""

    def __init__(self, refs: RefTable, columns: _Columns) -> None:
        self.refs = refs
        self.labels, self.flagged, self.notes = columns.labels, columns.flagged, columns.notes
        self._label_texts, self._annotators = columns.labels.texts, columns.annotators.texts
        self._texts, self._proba = columns.texts.texts, columns.proba
        self._column = columns.arrays()
        """(m,) each: one value for each decision."""
        self._label, self._kind = self._column["label"], self._column["kind"]
        undone = np.isin(self._column["seq"], np.array(columns.undone, np.int64))
        standing = np.flatnonzero(~undone & (self._kind & _SECOND == 0))
        self._row = self._column["row"]
        self._row[undone] = -1  # opinions that were taken back agree with no annotator
        rows = self._row[standing]
        held = rows >= 0
        self.vanished = int((~held).sum())
        """The number of standing labels whose items the pool does not hold."""
        self.standing = np.full(len(refs), -1, np.int64)
        """(n,) the decision that counts for each row, -1 if the item is open."""
        self.standing[rows[held]] = standing[held]  # the last decision counts
        self.reviewed_by = self._find_reviewers(standing[held])
        """Row to the annotators who confirmed its label in a review, joined by a bar."""

    def _find_reviewers(self, standing: NDArray[np.int64]) -> dict[int, str]:
        """Fold decisions that stand, in order, as `entries.find_confirmations` does."""
        rows = np.unique(self._row[standing[self._kind[standing] & _REVIEW > 0]])
        labels, names = dict[int, int](), dict[int, dict[str, None]]()
        for at in standing[np.isin(self._row[standing], rows)].tolist():
            row, label = int(self._row[at]), int(self._label[at])
            if labels.get(row) != label:
                labels[row], names[row] = label, {}
            if self._kind[at] & _REVIEW:
                names[row][self._annotators[int(self._column["annotator"][at])]] = None
        return {row: "|".join(found) for row, found in names.items() if found and labels[row] >= 0}

    @classmethod
    def read(
        cls, refs: RefTable, entries: Iterable[Entry], *, probabilities: bool = False
    ) -> ColumnarLog:
        """Fold `entries`; `probabilities` keeps the probabilities of the models, too."""
        columns = _Columns(refs, probabilities)
        remaining = iter(entries)
        while batch := list(islice(remaining, _BATCH)):
            columns.add(batch)
        return cls(refs, columns)

    def mask_rows(self, chosen: Callable[[NDArray[np.int64]], NDArray[np.bool_]]) -> Any:
        """Return (n,) True for the rows whose standing decision `chosen` picks."""
        mask = np.zeros(len(self.standing), bool)
        rows = np.flatnonzero(self.standing >= 0)
        mask[rows] = chosen(self.standing[rows])
        return mask

    def labelled(self) -> NDArray[np.bool_]:
        """Return (n,) True for the rows that have a label."""
        return np.asarray(self.mask_rows(lambda d: self._label[d] >= 0))

    def labelled_by_people(self) -> NDArray[np.bool_]:
        """Return (n,) True for the rows that a person labelled, not a machine."""
        return np.asarray(
            self.mask_rows(lambda d: (self._label[d] >= 0) & (self._kind[d] & _MACHINE == 0))
        )

    def is_flagged(self) -> NDArray[np.bool_]:
        """Return (n,) True for the rows that are flagged."""
        return self._mask_of(self.flagged)

    def is_reviewed(self) -> NDArray[np.bool_]:
        """Return (n,) True for the rows whose label a review confirmed."""
        return self._mask_of(self.reviewed_by)

    def _mask_of(self, rows: Iterable[int]) -> NDArray[np.bool_]:
        mask = np.zeros(len(self.standing), bool)
        mask[[row for row in rows if row >= 0]] = True
        return mask

    def label_codes(self) -> NDArray[np.int64]:
        """Return (n,) the number of each row's label in `labels`, -1 without a label."""
        found = np.full(len(self.standing), -1, np.int64)
        rows = np.flatnonzero(self.standing >= 0)
        found[rows] = self._label[self.standing[rows]]
        return found

    def label_of(self, row: int) -> str | None:
        """Return the label of a row, None if it is open or skipped."""
        decision = int(self.standing[row])
        code = int(self._label[decision]) if decision >= 0 else -1
        return self._label_texts[code] if code >= 0 else None

    def skipped(self, row: int) -> bool:
        """Return True if the standing decision of a row is a skip."""
        decision = int(self.standing[row])
        return decision >= 0 and int(self._label[decision]) < 0

    def rename_labels(self, to: Callable[[str], str | None]) -> None:
        """Replace each label by the one that `to` returns; None leaves it as it is."""
        renamed = Vocabulary()
        codes = np.array([renamed[to(text) or text] for text in self._label_texts], np.int64)
        self.labels, self._label_texts = renamed, renamed.texts
        held = self._label >= 0
        self._label = np.where(held, codes[self._label] if len(codes) else -1, -1)

    def labelled_as(self, chosen: Callable[[str], bool]) -> NDArray[np.bool_]:
        """Return (n,) True for the rows with a label that `chosen` picks."""
        codes = [code for label, code in self.labels.items() if chosen(label)]
        return np.isin(self.label_codes(), codes)

    def agreement(self, agree: Callable[[str, str], bool] | None = None) -> NDArray[np.float64]:
        """Return (n,) the share of annotators whose last label is the standing one.

        With `agree` two labels count as one if it returns True. The share is NaN for fewer than two
        annotators.
        """
        found = np.full(len(self.standing), np.nan)
        people = np.flatnonzero(
            (self._kind & _MACHINE == 0) & (self._label >= 0) & (self._row >= 0)
        )
        key = self._row[people] * (len(self._annotators) + 1) + self._column["annotator"][people]
        # The last decision of each person on each item is the first one from behind.
        _, last = np.unique(key[::-1], return_index=True)
        last = people[len(people) - 1 - last]
        rows = self._row[last]
        counts = np.bincount(rows, minlength=len(found))
        standing = self.label_codes()[rows]
        agreeing = self._label[last] == standing
        if agree is not None:
            texts = [*self._label_texts, ""]  # the last one is that of rows without a label
            equal = np.array([[agree(one, other) for other in texts] for one in texts])
            agreeing = equal[self._label[last], standing]
        agreed = np.bincount(rows, weights=agreeing, minlength=len(found))
        several = (counts >= 2) & self.labelled()
        found[several] = agreed[several] / counts[several]
        return found

    def details(self, row: int) -> dict[str, Any]:
        """Return the annotator, the time and the rest of a decision; empty for an open item."""
        at, column = int(self.standing[row]), self._column
        if at < 0:
            return {}
        found: dict[str, Any] = {
            "annotator": self._annotators[int(column["annotator"][at])],
            "at": float(column["at"][at]),
        }  # fmt: skip
        for name in ("model", "picked_by"):
            code = int(column[name][at])
            found[name] = self._texts[code] if code >= 0 else None
        q, pool, shown = (column[name][at] for name in ("q", "pool", "shown_ms"))
        found["q"] = None if np.isnan(q) else float(q)
        found["pool"] = int(pool) if pool >= 0 else None
        found["shown_ms"] = int(shown) if shown >= 0 else None
        if row in self.reviewed_by:
            found["reviewed_by"] = self.reviewed_by[row]
        return found | (self.machine_details(row) or {"machine": False})

    def machine_details(self, row: int) -> dict[str, Any]:
        """Return the model and the probability of a label that a machine gave, else nothing."""
        at = int(self.standing[row])
        if at < 0 or not self._kind[at] & _MACHINE:
            return {}
        code, sure = int(self._column["model"][at]), float(self._column["probability"][at])
        return {
            "machine": True, "model": self._texts[code] if code >= 0 else None,
            "probability": None if np.isnan(sure) else sure,
        }  # fmt: skip

    def proba(self, row: int) -> dict[str, float]:
        """Return the probabilities that a model gave before the label; empty without them."""
        at = int(self.standing[row])
        text = self._proba[at] if at >= 0 and self._proba else ""
        return dict(parse_json(text)) if text else {}
