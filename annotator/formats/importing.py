"""The import of labels into the log of a project: all are understood before one is written."""

from __future__ import annotations

import contextlib
import os
import shlex
import time
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property, lru_cache
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from annotator.errors import ImageError, RefError
from annotator.formats.box_fit import BoxFitter
from annotator.formats.columnar_log import ColumnarLog
from annotator.formats.format import Format
from annotator.formats.reading import (
    ImportContext,
    ImportedItem,
    cut_box,
    describe_import,
    describe_left_out,
)
from annotator.formats.spool import ImportSpool
from annotator.images import ImageFolder
from annotator.items.ref_keys import RefIndex
from annotator.items.ref_table import RefTable
from annotator.items.refs import Item, make_printable, plural, shell_quoted
from annotator.log.entries import Action, Entry
from annotator.log.store.protocol import Store
from annotator.project import label_sets
from annotator.project.item_pool import load_refs
from annotator.project.project import ProjectFolder

_BATCH = 1 << 12


class ImportSummary(NamedTuple):
    """The numbers of labels that an import wrote."""

    new: int
    changed: int
    """The new labels that replace a label or a skip."""
    same: int
    """Labels that were there already."""

    def __str__(self) -> str:
        text = f"{plural(self.new, 'label')} imported"
        if self.changed:
            text += f", {self.changed:,} of them in place of another"
        return text + (f"; {self.same:,} were there already" if self.same else "")


def import_labels(
    project: ProjectFolder,
    store: Store,
    reading: ImportContext,
    format_: Format,
    say: Callable[[str], None],
    now: float | None = None,
) -> ImportSummary:
    """Write the labels that `reading` finds into the log, as "import:FORMAT".

    All or nothing: raises `RefError` that names every fault with its place, or `StoreError` for a
    full disk, and then nothing is written.
    """
    assert format_.read is not None
    refs = load_refs(project)

    def fitter(_: RefTable) -> BoxFitter:
        return _KnownBoxFitter(project, reading, refs)

    with ImportSpool(reading, format_.read, fitter) as spool:
        matched = _RowMatcher(project, reading, refs)
        labels = 0
        for found, row in matched.pairs(spool):
            faults = reading.fault_count
            brings = _check_item(reading, project, found, row)
            if reading.fault_count > faults:
                spool.leave_out(found)
                brings = brings and not reading.skip_faulty
            labels += brings
        spool.recount()
        reading.count_unused(project.settings.names)
        for line in describe_import(reading, spool.labels, len(spool), spool.boxes, spool.found):
            say(line)
        spool.raise_faults(f"{make_printable(str(reading.path))}: nothing was imported:")
        for line in describe_left_out(reading.faults, reading.fault_count):
            say(line)
        if not labels:
            hint = " Name one column annotation or label." if format_.name == "csv" else ""
            raise RefError(f"{make_printable(str(reading.path))} holds no label.{hint}")
        log = ColumnarLog.read(refs, store.entries())
        at = time.time() if now is None else now
        writing = _EntryWriter(log, f"import:{format_.name}", at)
        store.append_many(writing.entries(matched.pairs(spool)))
        return writing.summary()


def build_entries(
    item: ImportedItem, ref: str, annotator: str, timestamp: float
) -> Iterator[Entry]:
    """Yield the rows of the log for one item."""
    extra: dict[str, Any] = {"by": item.labelled_by} if item.labelled_by else {}
    if item.machine:
        extra["machine"] = True
    if item.label is not None or item.skipped:
        action = Action.SKIP if item.label is None else Action.LABEL
        yield Entry(
            0, timestamp, annotator, action, ref, item.label,
            picked_by="import", shown_ms=item.shown_ms, extra=extra or None,
        )  # fmt: skip
    if item.flagged:
        yield Entry(0, timestamp, annotator, Action.FLAG, ref, extra={"on": True})
    if item.note:
        yield Entry(0, timestamp, annotator, Action.NOTE, ref, note=item.note)


def _check_item(
    reading: ImportContext, project: ProjectFolder, item: ImportedItem, row: int
) -> bool:
    """Return True if an item brings something, and report its faults to `reading`."""
    brings = item.label is not None or item.skipped or item.flagged or bool(item.note)
    if not brings:
        return False
    settings = project.settings
    name = item.label
    if name is not None and not label_sets.is_known_label(
        name, settings.names, settings.multi_label
    ):
        names = make_printable(", ".join(settings.names))
        folder = shell_quoted(project.folder)
        parts = label_sets.ClassSet.from_text(name, settings.multi_label).names
        missing = next(part for part in parts if part not in settings.names)
        reading.add_fault(
            item.location,
            f"label: {make_printable(name)!r} is not a class; the classes are {names}. Add it: "
            f"`annotator add {folder} --class {make_printable(shlex.quote(missing))}`",
        )
    if row < 0:
        reading.add_fault(item.location, f"{make_printable(item.item.ref)} is not in the project")
    return True


class _EntryWriter:
    """The entries of an import that are new to the log, counted while they are written."""

    def __init__(self, log: ColumnarLog, annotator: str, timestamp: float) -> None:
        self._log, self._annotator, self._at = log, annotator, timestamp
        self._new = self._changed = self._same = 0

    def entries(self, pairs: Iterable[tuple[ImportedItem, int]]) -> Iterator[Entry]:
        log = self._log
        for found, row in pairs:
            if row < 0:
                continue  # nothing to import; faults are already reported
            alike = self._count(found, row)
            for entry in build_entries(found, log.refs[row], self._annotator, self._at):
                is_decision = entry.action in (Action.LABEL, Action.SKIP)
                known = (entry.action is Action.FLAG and row in log.flagged) or (
                    entry.action is Action.NOTE and log.notes.get(row) == entry.note
                )
                if not (known or (is_decision and alike)):
                    yield entry

    def _count(self, item: ImportedItem, row: int) -> bool:
        """Return True if the item's decision is in the log already, and count it."""
        stands, skipped = self._log.label_of(row), self._log.skipped(row)
        alike = (stands, skipped) == (item.label, item.skipped)
        if item.label is not None or item.skipped:
            self._same += alike
            self._new += not alike
            self._changed += not alike and (stands is not None or skipped)
        return alike

    def summary(self) -> ImportSummary:
        return ImportSummary(self._new, self._changed, self._same)


class _KnownBoxFitter(BoxFitter):
    """The boxes of an import; those that the project holds already stay as they are."""

    def __init__(self, project: ProjectFolder, reading: ImportContext, refs: RefTable) -> None:
        folders = [project.images.resolve()]
        folders += [folder for folder in (reading.root, reading.path.parent) if folder]
        super().__init__(reading, folders, project.settings.max_pixels)
        self._refs = refs

    def fit(self, found: ImportedItem) -> ImportedItem | None:
        """Return an item with its box fitted, or as it is if the project holds it."""
        known = found.size is None and self._refs.find(found.item.ref) >= 0
        return found if known else super().fit(found)


class _RowMatcher:
    """The rows of a project that imported items are."""

    def __init__(self, project: ProjectFolder, reading: ImportContext, refs: RefTable) -> None:
        self._refs, self._root = refs, reading.root
        self._index = RefIndex(refs, project.images)
        self._images = project.images.resolve()
        self._folder = ImageFolder(project.images, project.settings.max_pixels)

    def pairs(self, items: Iterable[ImportedItem]) -> Iterator[tuple[ImportedItem, int]]:
        """Yield each item with its row, -1 if the project does not hold it."""
        remaining = iter(items)
        while batch := list(islice(remaining, _BATCH)):
            rows = self._index.rows([found.item.ref for found in batch]).tolist()
            for found, row in zip(batch, rows, strict=True):
                if row < 0 and self._root is not None:
                    row = self._find_by_file(found.item)
                if row < 0 and found.item.box:
                    row = self._cut.get(self._index.key(found.item.ref), -1)
                yield found, row

    @cached_property
    def _cut(self) -> dict[str, int]:
        """The rows whose boxes reach over the edge, by their refs as exports cut them."""
        found, measure = {}, lru_cache(1 << 16)(self._measure)
        for row, ref in enumerate(self._refs):
            item = Item.parse(ref)
            size = item.box and measure(item.path)
            if item.box and size and (item.box.right > size[0] or item.box.bottom > size[1]):
                with contextlib.suppress(RefError):  # it lies outside the image
                    found[self._index.key(Item(item.path, cut_box(item.box, size)).ref)] = row
        return found

    def _measure(self, path: str) -> tuple[int, int] | None:
        try:
            return self._folder.size(Item(path))
        except ImageError:
            return None

    def _find_by_file(self, item: Item) -> int:
        """Return the row of the same file under another name, such as a link's target."""
        assert self._root is not None
        file = Path(os.path.realpath(self._root / item.path))
        if file.is_relative_to(self._images):
            row = self._refs.find(Item(file.relative_to(self._images).as_posix(), item.box).ref)
            if row >= 0:
                return row
        return self._refs.find(Item(str(file), item.box).ref)
