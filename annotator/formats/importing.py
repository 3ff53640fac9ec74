"""Labels of a file into the log of a project: all understood before the first is written."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from annotator.errors import RefError
from annotator.formats.columnar_log import Ledger
from annotator.formats.format import Format
from annotator.formats.reading import Found, Reading, understood
from annotator.formats.spool import Gathered
from annotator.items.ref_table import RefTable
from annotator.items.refs import Item, many, printable, typed
from annotator.log.entries import Action, Entry
from annotator.log.store import Store
from annotator.project import label_sets
from annotator.project.item_pool import load
from annotator.project.project import Project

_BATCH = 1 << 12


class Imported(NamedTuple):
    """What an import wrote."""

    new: int
    changed: int
    """Of these, how many replace a label or a skip."""
    same: int
    """Labels that stood already."""

    def __str__(self) -> str:
        text = f"{many(self.new, 'label')} imported"
        if self.changed:
            text += f", {self.changed:,} of them in place of another one"
        return text + (f"; {self.same:,} stood already" if self.same else "")


def import_labels(
    project: Project,
    store: Store,
    reading: Reading,
    format_: Format,
    say: Callable[[str], None],
    now: float | None = None,
) -> Imported:
    """Write what `reading` finds into the log, as "import:FORMAT".

    All or nothing: raises `RefError` naming every fault with its place, or `StoreError` for a full
    disk, and then nothing is written.
    """
    assert format_.read is not None
    refs = load(project)
    with Gathered(reading, format_.read) as gathered:
        matched = _Matched(project, reading, refs)
        labels = 0
        for found, row in matched.pairs(gathered):
            labels += _checked(reading, project, found, row)
        for line in understood(reading, gathered.labels, len(gathered), gathered.boxes):
            say(line)
        gathered.refuse(f"{printable(str(reading.path))}: nothing was imported:")
        if not labels:
            hint = ": name one column annotation or label" if format_.name == "csv" else ""
            raise RefError(f"{printable(str(reading.path))} holds no label{hint}")
        ledger = Ledger.read(refs, store.entries())
        at = time.time() if now is None else now
        writing = _Writing(ledger, f"import:{format_.name}", at)
        store.append_many(writing.entries(matched.pairs(gathered)))
        return writing.done()


def entries_of(found: Found, ref: str, annotator: str, at: float) -> Iterator[Entry]:
    """The rows of the log for one item."""
    told: dict[str, Any] = {"by": found.by} if found.by else {}
    if found.machine:
        told["machine"] = True
    if found.label is not None or found.skipped:
        action = Action.SKIP if found.label is None else Action.LABEL
        yield Entry(
            0, at, annotator, action, ref, found.label,
            picked_by="import", shown_ms=found.shown_ms, extra=told or None,
        )  # fmt: skip
    if found.flagged:
        yield Entry(0, at, annotator, Action.FLAG, ref, extra={"on": True})
    if found.note:
        yield Entry(0, at, annotator, Action.NOTE, ref, note=found.note)


def _checked(reading: Reading, project: Project, found: Found, row: int) -> bool:
    """Whether an item brings something; its faults go to the reading."""
    brings = found.label is not None or found.skipped or found.flagged or bool(found.note)
    if not brings:
        return False
    settings = project.settings
    name = found.label
    if name is not None and not label_sets.known(name, settings.names, settings.multi_label):
        names = printable(", ".join(settings.names))
        folder = typed(project.folder)
        parts = label_sets.parts(name) if settings.multi_label else (name,)
        missing = next(part for part in parts if part not in settings.names)
        reading.fault(
            found.where,
            f"label: {printable(name)!r} is not a class; the classes are {names}; one more: "
            f"annotator add {folder} --class {printable(shlex.quote(missing))}",
        )
    if row < 0:
        reading.fault(found.where, f"{printable(found.item.ref)} is not in the project")
    return True


class _Writing:
    """What of an import is new to the log, counted while it is handed over."""

    def __init__(self, ledger: Ledger, annotator: str, at: float) -> None:
        self._ledger, self._annotator, self._at = ledger, annotator, at
        self._new = self._changed = self._same = 0

    def entries(self, pairs: Iterable[tuple[Found, int]]) -> Iterator[Entry]:
        ledger = self._ledger
        for found, row in pairs:
            if row < 0:
                continue  # it brings nothing, or it were a fault
            alike = self._count(found, row)
            for entry in entries_of(found, ledger.refs[row], self._annotator, self._at):
                is_decision = entry.action in (Action.LABEL, Action.SKIP)
                known = (entry.action is Action.FLAG and row in ledger.flagged) or (
                    entry.action is Action.NOTE and ledger.notes.get(row) == entry.note
                )
                if not (known or (is_decision and alike)):
                    yield entry

    def _count(self, found: Found, row: int) -> bool:
        """Whether the item's decision stands already."""
        stands, skipped = self._ledger.label_of(row), self._ledger.skipped(row)
        alike = (stands, skipped) == (found.label, found.skipped)
        if found.label is not None or found.skipped:
            self._same += alike
            self._new += not alike
            self._changed += not alike and (stands is not None or skipped)
        return alike

    def done(self) -> Imported:
        return Imported(self._new, self._changed, self._same)


class _Matched:
    """Which row of the project each item is."""

    def __init__(self, project: Project, reading: Reading, refs: RefTable) -> None:
        self._refs, self._root = refs, reading.root
        self._images = project.images.resolve()

    def pairs(self, items: Iterable[Found]) -> Iterator[tuple[Found, int]]:
        """Each item with its row, -1 for one that the project does not hold."""
        batch: list[Found] = []
        for found in items:
            batch.append(found)
            if len(batch) >= _BATCH:
                yield from self._matched(batch)
                batch = []
        yield from self._matched(batch)

    def _matched(self, batch: Sequence[Found]) -> Iterator[tuple[Found, int]]:
        rows = self._refs.rows([found.item.ref for found in batch]).tolist() if batch else []
        for found, row in zip(batch, rows, strict=True):
            yield found, row if row >= 0 or self._root is None else self._by_file(found.item)

    def _by_file(self, item: Item) -> int:
        """The row of the same file under another name: a folder of links leads to its images."""
        assert self._root is not None
        file = Path(os.path.realpath(self._root / item.path))
        if file.is_relative_to(self._images):
            row = self._refs.find(Item(file.relative_to(self._images).as_posix(), item.box).ref)
            if row >= 0:
                return row
        return self._refs.find(Item(str(file), item.box).ref)
