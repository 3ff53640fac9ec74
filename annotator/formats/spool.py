"""The items of an import, read once, checked, and kept on disk until all are understood."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import IO, Any

from annotator.errors import RefError, StoreError, bullet_list
from annotator.formats.box_fit import BoxFitter
from annotator.formats.format import Read
from annotator.formats.reading import FoundImages, ImportContext, ImportedItem
from annotator.items.ref_keys import ODD_SPELLING, is_same_file, respell_alike
from annotator.items.ref_table import RefTable
from annotator.items.refs import Box, Item, make_printable, plural
from annotator.project import label_sets

_BATCH = 1 << 12
_REPEATED_ITEM = "item that is listed before, with the same label"
_UNLABELLED_IMAGE = "image without an annotation, so not an item"


class ImportSpool:
    """The items of an import, each once, in order. Iterating reads them from a temporary file."""

    def __init__(
        self,
        reading: ImportContext,
        read: Read,
        fitter: Callable[[RefTable], BoxFitter] | None = None,
    ) -> None:
        """Read everything; `fitter` makes, from the refs as the file has them, what fits boxes.

        Raises `RefError` for a file that is not in the format at all.
        """
        self.reading = reading
        self._root = reading.images or reading.path.parent
        self._fill(read(reading))
        if fitter is not None:
            fitting = fitter(self.refs)
            self._root = fitting.root
            odd = bool(len(self.refs) and len(self.refs.matching(ODD_SPELLING)))
            if odd or (self.boxes and not reading.boxes_fit):
                self._refill(fitting)
        self._faulty: set[tuple[str, str]] = set()
        self._kept: int | None = None
        self._dropped = self._repeated()
        self._without_bare = bool(self._bare and self.boxes and not reading.free_paths)
        if self._without_bare:
            reading.count_ignored(_UNLABELLED_IMAGE, self._bare)

    def _refill(self, fitting: BoxFitter) -> None:
        """Replace the items by what `fitting` returns for them."""
        before = self._spool
        if self._all_small:
            fitting.find_shares(found.item.box for _, found in self._all(before))
        with contextlib.closing(before):
            fitted = (fitting.fit(found) for _, found in self._all(before))
            self._fill(found for found in fitted if found is not None)
        fitting.report()

    def _fill(self, items: Iterable[ImportedItem]) -> None:
        """Keep items in a new temporary file, and count them."""
        reading = self.reading
        self.refs = RefTable()
        """The ref of every item found, repeated ones included."""
        self.labels: Counter[str] = Counter()
        self.columns: dict[str, None] = {}
        self.found = FoundImages()
        self.boxes, self._all_small = 0, True
        self._spool = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115
        self._bare = 0
        self._sets: dict[int, str] = {}
        """The labels of rows whose item is listed several times, each time with another class."""
        batch: list[str] = []
        try:
            for found in items:
                if reading.multi and found.label is not None:
                    # In the order of the classes, whatever the order in the file.
                    found = found._replace(
                        label=reading.join_classes(label_sets.split_label(found.label))
                    )
                self._count(found)
                batch.append(found.item.ref)
                self._keep(_pack_item(found))
                if len(batch) >= _BATCH:
                    self.refs.extend(batch)
                    batch = []
            self.refs.extend(batch)
            self._keep("", flush=True)
        except BaseException:
            with contextlib.suppress(OSError):  # a full disk refuses the last bytes once more
                self._spool.close()
            raise

    def __enter__(self) -> ImportSpool:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):  # the file ends here, written or not
            self._spool.close()

    def __len__(self) -> int:
        if self._kept is not None:
            return self._kept
        return len(self.refs) - len(self._dropped) - self._without_bare * self._bare

    def __iter__(self) -> Iterator[ImportedItem]:
        for row, found in self._all():
            if row in self._sets:
                found = found._replace(label=self._sets[row])
            faulty = self._faulty and (found.location, found.item.ref) in self._faulty
            if faulty or row in self._dropped or (self._without_bare and _is_bare(found)):
                continue
            yield found

    def leave_out(self, found: ImportedItem) -> None:
        """Leave an item with a fault out of the iteration from now on."""
        if self.reading.skip_faulty:
            self._faulty.add((found.location, found.item.ref))

    def recount(self) -> None:
        """Count again what the iteration yields, once faulty items are left out."""
        if not self._faulty:
            return
        self.labels, self.boxes, self._kept = Counter(), 0, 0
        for found in self:
            self._kept += 1
            self.boxes += found.item.box is not None
            if found.label is not None:
                self.labels[found.label] += 1

    def raise_faults(self, heading: str) -> None:
        """Raise `RefError` if the import has faults that are not left out."""
        reading = self.reading
        if reading.faults and not (reading.skip_faulty and not reading.cut_short):
            text = bullet_list(reading.faults, heading)
            more = reading.fault_count - len(reading.faults)
            raise RefError(f"{text}\n  … and {plural(more, 'more fault')}" if more else text)

    def _all(self, spool: IO[str] | None = None) -> Iterator[tuple[int, ImportedItem]]:
        spool = spool or self._spool
        spool.seek(0)
        for row, line in enumerate(spool):
            yield row, _unpack_item(line)

    def _keep(self, line: str, flush: bool = False) -> None:
        try:
            self._spool.write(line)
            if flush:
                self._spool.flush()
        except OSError as error:
            raise StoreError(
                f"{make_printable(tempfile.gettempdir())} has no room for the items "
                f"({error.strerror}). Nothing was imported. Free some space there, or name another "
                "folder: `TMPDIR=DIR annotator …`."
            ) from error

    def _count(self, item: ImportedItem) -> None:
        if item.label is not None:
            self.labels[item.label] += 1
        self.found.add(item)
        if (box := item.item.box) is not None:
            self.boxes += 1
            self._all_small &= max(box.right, box.bottom) <= 1.1
        self._bare += _is_bare(item)
        if item.columns:
            self.columns.update(dict.fromkeys(item.columns))

    def _repeated(self) -> set[int]:
        """Return the rows whose item came before, and report those with another label as faults."""
        keys = respell_alike(self.refs, self._root)
        first = {row: keys.find(keys[row]) for row in keys.repeated().tolist()}
        first = {row: before for row, before in first.items() if self._is_one_item(row, before)}
        if not first:
            return set()
        wanted = {*first, *first.values()}
        held = {row: found for row, found in self._all() if row in wanted}
        for row, before in first.items():
            now, then = held[row], held[before]
            if self.reading.multi and now.label and then.label:
                known = self._sets.get(before, then.label)
                names = label_sets.split_label(now.label) + label_sets.split_label(known)
                self._sets[before] = self.reading.join_classes(names)
            elif (now.label, now.skipped) != (then.label, then.skipped):
                self.reading.add_fault(
                    now.location,
                    f"{make_printable(now.item.ref)} is {_describe_label(now)} here and "
                    f"{_describe_label(then)} in {then.location}",
                )
                self.leave_out(now)
                self.leave_out(then)
            else:
                self.reading.count_ignored(_REPEATED_ITEM)
            if now.label is not None:
                self.labels[now.label] -= 1
            self.boxes -= now.item.box is not None
            self._bare -= _is_bare(now)
        return set(first)

    def _is_one_item(self, row: int, before: int) -> bool:
        now, then = (Item.parse(self.refs[at]).path for at in (row, before))
        return is_same_file(self._root, then, now)


def _is_bare(item: ImportedItem) -> bool:
    return item.item.box is None and item.label is None and not item.skipped


def _describe_label(item: ImportedItem) -> str:
    return "skipped" if item.skipped else make_printable(repr(item.label or ""))


def _pack_item(imported: ImportedItem) -> str:
    item = imported.item
    cells: list[Any] = list(imported)
    cells[1] = [item.path, item.box]
    return json.dumps(cells) + "\n"


def _unpack_item(line: str) -> ImportedItem:
    cells = json.loads(line)
    path, box = cells[1]
    cells[1] = Item(path, Box(*box) if box else None)
    cells[-1] = tuple(cells[-1]) if cells[-1] else None
    return ImportedItem(*cells)
