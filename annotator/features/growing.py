"""The features of a folder while they are being computed: rows come in any order, and survive a
kill.

Beside the finished files lie `partial.npy`, `partial.done` (one byte a row), `partial.txt` (the
refs) and `partial.json`. A row's byte is set after the row is on disk, so marked rows can be
trusted after a crash. Finishing renames the files; if that is cut short, readers find the whole
set all the same, and the next writer ends it (`annotator.features.swap`).
"""

from __future__ import annotations

import errno
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotator.errors import FeatureError
from annotator.features.store import (
    MATRIX_FILE,
    META_FORMAT,
    REFS_FILE,
    FeatureStore,
    map_matrix,
    missing_ranges,
    read_meta,
    write_meta,
)
from annotator.features.swap import (
    DONE,
    FINISHED,
    JOURNAL,
    NPY,
    REFS,
    STARTED,
    finish_start,
    partial_path,
    read_unchanged,
    remove_leftovers,
)
from annotator.items.atomic import Held, NoLocks, lock_file, write_atomically
from annotator.items.file_system import describe_no_locks
from annotator.items.ref_table import RefTable
from annotator.items.refs import shell_quoted

_LOCK = "partial.lock"
BUSY_MESSAGE = "another process is computing these features"
"""The problem when another process writes the folder; the screen looks for this text."""
_SYNC_EVERY = 2.0
_COPIED_AT_ONCE = 1 << 14


def open_partial_features(folder: Path) -> FeatureStore | None:
    """Open the features of a folder that this or another process is still computing.

    The matrix and the marks of its finished rows grow while they are read. Returns None if
    nothing is being computed, or if the features have just been finished.
    """
    faults = OSError, ValueError, FeatureError
    if not (folder / JOURNAL).exists():
        return None
    try:
        return read_unchanged(folder, lambda: _open_partial(folder), *faults)
    except faults:
        return None


def _open_partial(folder: Path) -> FeatureStore | None:
    meta = read_meta(folder / JOURNAL)
    refs = RefTable.load(partial_path(folder, REFS, meta))
    matrix = map_matrix(partial_path(folder, NPY, meta))
    done = np.memmap(partial_path(folder, DONE, meta), np.uint8, mode="r")
    whole = len(refs) == len(matrix) == len(done)
    return FeatureStore(refs, matrix, meta["extractor"], done) if whole else None


open_growing = open_partial_features
"""The name of 0.1.0."""


class FeatureWriter:
    """The only writer of a folder's features; `close` it, or use it as a context.

    Rows that the same extractor computed before, finished or not, are adopted. Nothing is written
    to the folder before the first new row. Raises `FeatureError` if another process is at work or
    the disk is full.
    """

    def __init__(
        self,
        folder: Path,
        refs: RefTable,
        extractor: dict[str, Any],
        dim: int,
        dtype: str = "float16",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder, self._refs, self._extractor = folder, refs, extractor
        self._shape, self._dtype, self._clock = (len(refs), dim), np.dtype(dtype), clock
        self._matrix = self._map = -1
        self._pending: list[NDArray[np.int64]] = []
        self._synced_at = clock()
        with _explain_disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
        self._lock = _lock_folder(folder / _LOCK)
        self.done = np.zeros(len(refs), bool)
        """(n,) True for the rows that are computed."""
        try:
            with _explain_disk_errors(folder):
                _finish_interrupted(folder)
                remove_leftovers(folder)
            self._take_over()
        except BaseException:
            os.close(self._lock)
            raise

    def __enter__(self) -> FeatureWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def write(self, rows: NDArray[np.int64], vectors: NDArray[np.floating[Any]]) -> None:
        """Store (m, d) vectors as `rows`; a reader sees them within seconds."""
        if not len(rows):
            return
        with _explain_disk_errors(self._folder):
            if self._matrix < 0:
                self._create()
            self._put(rows, vectors)
            if self._clock() - self._synced_at >= _SYNC_EVERY:
                self.sync()

    def sync(self) -> None:
        """Sync all rows to the disk, then mark them as done."""
        if self._pending:
            rows = np.sort(np.concatenate(self._pending))
            os.fsync(self._matrix)
            for first, last in _row_ranges(rows):
                os.pwrite(self._map, b"\1" * (last - first), first)
            self._pending.clear()
        self._synced_at = self._clock()

    def finish(self) -> None:
        """Put the new features in the place of the folder's old ones."""
        if self._matrix < 0:
            return
        with _explain_disk_errors(self._folder):
            self.sync()
            self._write_journal({FINISHED: True})
            _finish_interrupted(self._folder)

    def close(self) -> None:
        """Release the folder; the rows so far are kept for the next run."""
        try:
            if self._matrix >= 0:
                with _explain_disk_errors(self._folder):
                    self.sync()
        finally:
            self._close_files()
            os.close(self._lock)

    def _close_files(self) -> None:
        self._pending.clear()
        for number in (self._matrix, self._map):
            if number >= 0:
                os.close(number)
        self._matrix = self._map = -1

    def _take_over(self) -> None:
        """Find what was computed before."""
        self._earlier = [store for store in self._stores() if self._is_ours(store)]
        for store in self._earlier:
            rows, _ = self._taken_over(store)
            self.done[rows] = True
        self._continue_in_place()

    def _stores(self) -> Iterator[FeatureStore]:
        growing = open_partial_features(self._folder)
        if growing is not None:
            yield growing
        try:
            yield FeatureStore.open(self._folder)
        except FeatureError:
            return  # there are none, or they are of no use

    def _is_ours(self, store: FeatureStore) -> bool:
        same = json.dumps(store.extractor, sort_keys=True) == json.dumps(
            self._extractor, sort_keys=True
        )
        return same and store.matrix.shape[1] == self._shape[1]

    def _taken_over(self, store: FeatureStore) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return our rows that a store has, and its rows for them."""
        theirs = np.flatnonzero(np.array(store.done))  # a copy: it may grow meanwhile
        ours = self._refs.rows(store.refs)[theirs]
        return ours[ours >= 0], theirs[ours >= 0]

    def _continue_in_place(self) -> None:
        growing = open_partial_features(self._folder)
        if growing and self._is_ours(growing) and growing.refs == self._refs:
            self._dtype = growing.matrix.dtype
            self.done = growing.done != 0
            self._open()

    def _create(self) -> None:
        """Begin the partial files, with the rows of earlier ones, and only then name them."""
        new = {name: self._folder / f"{name}.new" for name in (NPY, DONE, REFS)}
        try:
            self._allocate(new)
            self._open(".new")
            for store in self._earlier:
                self._copy(store)
            self.sync()
        except OSError:
            self._close_files()
            for path in new.values():
                path.unlink(missing_ok=True)
            raise
        self._write_journal({STARTED: True})
        finish_start(self._folder, {STARTED: True})
        self._write_journal({})

    def _write_journal(self, phase: dict[str, bool]) -> None:
        meta = {"format": META_FORMAT, "extractor": self._extractor, **phase}
        write_atomically(self._folder / JOURNAL, json.dumps(meta).encode())

    def _allocate(self, new: dict[str, Path]) -> None:
        with new[NPY].open("wb") as file:
            np.lib.format.write_array_header_1_0(file, self._header())
            size = self._shape[0] * self._shape[1] * self._dtype.itemsize
            # Reserve now, so that a full disk shows before the work begins.
            os.posix_fallocate(file.fileno(), 0, file.tell() + size)
        for name, data in ((DONE, bytes(self._shape[0])), (REFS, self._refs.to_bytes())):
            with new[name].open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())

    def _header(self) -> dict[str, Any]:
        return {"descr": self._dtype.str, "fortran_order": False, "shape": self._shape}

    def _open(self, ending: str = "") -> None:
        self._matrix = os.open(self._folder / (NPY + ending), os.O_RDWR | os.O_CLOEXEC)
        self._map = os.open(self._folder / (DONE + ending), os.O_RDWR | os.O_CLOEXEC)
        width = self._shape[1] * self._dtype.itemsize
        self._start = os.fstat(self._matrix).st_size - self._shape[0] * width

    def _copy(self, store: FeatureStore) -> None:
        ours, theirs = self._taken_over(store)
        for at in range(0, len(ours), _COPIED_AT_ONCE):
            piece = slice(at, at + _COPIED_AT_ONCE)
            self._put(ours[piece], store.matrix[theirs[piece]])

    def _put(self, rows: NDArray[np.int64], vectors: NDArray[np.floating[Any]]) -> None:
        order = np.argsort(rows)
        data = np.ascontiguousarray(vectors[order], self._dtype)
        width, at = self._shape[1] * self._dtype.itemsize, 0
        for first, last in _row_ranges(rows[order]):
            # Not through a map: a write that finds no room there would kill the process.
            os.pwrite(self._matrix, data[at : at + last - first].data, self._start + first * width)
            at += last - first
        self.done[rows] = True
        self._pending.append(rows)


def _row_ranges(rows: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Yield the ranges (first, last + 1) of ascending rows."""
    cuts = np.flatnonzero(np.diff(rows) != 1) + 1
    for run in np.split(rows, cuts):
        if len(run):
            yield int(run[0]), int(run[-1]) + 1


@contextmanager
def _explain_disk_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        in_the_way = error.filename2 or error.filename
        if error.errno in (errno.EISDIR, errno.EEXIST, errno.ENOTDIR, errno.ELOOP) and in_the_way:
            place = shell_quoted(in_the_way)
            raise FeatureError(
                f"{folder}: features cannot be written ({error.strerror}). Move what is in their "
                f"place aside: mv {place} {place}.moved"
            ) from error
        raise FeatureError(
            f"{folder}: features cannot be written ({error.strerror}). Free some space there, and "
            "run the same command to resume: what is done is kept."
        ) from error


def _lock_folder(path: Path) -> int:
    try:
        return lock_file(path)
    except Held:
        raise FeatureError(
            f"{path.parent}: {BUSY_MESSAGE}. Wait until it ends, or stop it."
        ) from None
    except NoLocks as error:
        raise FeatureError(describe_no_locks(path.parent, error)) from error
    except OSError as error:
        raise FeatureError(
            f"{path.parent}: cannot lock {path.name} ({error.strerror}). "
            "Free some space or change its permissions."
        ) from error


def _finish_interrupted(folder: Path) -> None:
    """Rename partial files that are started or finished, wherever an earlier attempt ended."""
    try:
        meta = read_meta(folder / JOURNAL)
    except FeatureError:
        return
    finish_start(folder, meta)
    if not meta.get(FINISHED):
        return
    try:
        done = np.fromfile(folder / DONE, np.uint8)
    except OSError:  # damaged: nothing tells which rows are computed
        (folder / JOURNAL).unlink()
        return
    for partial, name in ((NPY, MATRIX_FILE), (REFS, REFS_FILE)):
        if (folder / partial).exists():
            (folder / partial).replace(folder / name)
    gaps = missing_ranges(done)
    write_meta(folder, {"extractor": meta["extractor"], **({"missing": gaps} if gaps else {})})
    (folder / JOURNAL).unlink()
    (folder / DONE).unlink()
