"""The features on disk: a plain array, the refs of its rows, and their origin.

A folder holds `refs.txt` (one ref a line; line i names row i, an empty line a row without an item),
`features.npy` (n, d) and `meta.json`. An array from elsewhere is used where it lies: `meta.json`
then names its path, and it is never copied or written.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from annotator.errors import FeatureError, bullet_list
from annotator.features.own_array import check_unchanged, describe_array
from annotator.features.swap import (
    DONE,
    FINISHED,
    JOURNAL,
    NPY,
    REFS,
    finished_path,
    read_unchanged,
)
from annotator.items.atomic import read_file, write_atomically
from annotator.items.ref_table import RefTable
from annotator.items.refs import make_printable, plural

META_FORMAT = 1
MATRIX_FILE, REFS_FILE, META_FILE = "features.npy", "refs.txt", "meta.json"
_CHECKED_AT_ONCE = 1 << 26
_LARGEST_VALUE = 1e15
"""Sums of squares of larger values overflow, and those below its inverse vanish."""
HEADER_FAULTS = (
    OSError, ValueError, EOFError, SyntaxError, TypeError, KeyError, AttributeError,
    ArithmeticError, MemoryError, RecursionError, BadZipFile, TokenError,
)  # fmt: skip
"""The errors of NumPy for a file that is cut, damaged or made to mislead."""
_LARGEST_META = 1 << 26
_RECOMPUTE_HINT = "Compute them again with `annotator features`"


@dataclass(frozen=True, slots=True)
class FeatureStore:
    """Features by ref. The matrix is mapped, not read: opening a million rows is quick."""

    refs: RefTable
    """(n,) the ref of each row."""
    matrix: NDArray[np.floating[Any]]
    """(n, d) memory-mapped, read-only."""
    extractor: dict[str, Any]
    """The extractor that computed the features: `name` at least."""
    done: NDArray[np.uint8]
    """(n,) 1 if the row has features; memory-mapped while features are being computed."""

    @classmethod
    def open(cls, folder: Path) -> FeatureStore:
        """Open the finished features of a folder.

        Raises `FeatureError` for anything but a whole two-dimensional array of real numbers with
        one row for each ref; a small array is `check`ed as well.
        """
        store, path = read_unchanged(folder, lambda: cls._open(folder), FeatureError)
        if store.matrix.nbytes <= _CHECKED_AT_ONCE:
            store.check(path)
        return store

    @classmethod
    def _open(cls, folder: Path) -> tuple[FeatureStore, Path]:
        meta, path, refs_file = _find_files(folder)
        matrix = map_matrix(path)
        check_unchanged(meta, path, matrix, folder / META_FILE)
        refs = _read_refs(refs_file)
        if len(refs) != len(matrix):
            raise FeatureError(
                f"{path} has {len(matrix)} rows, but {refs_file} names {len(refs)}. "
                f"{_RECOMPUTE_HINT}, or give the array and the refs that belong together."
            )
        done = np.ones(len(refs), np.uint8)
        for first, stop in meta.get("missing", ()):
            done[first:stop] = 0
        return cls(refs, matrix, meta["extractor"], done), path

    @classmethod
    def adopt(cls, folder: Path, matrix: Path, refs: RefTable) -> FeatureStore:
        """Use an array from elsewhere for a folder; row i belongs to `refs[i]`.

        An empty ref leaves its row unused. Raises `FeatureError` if the array does not fit; then
        nothing has changed.
        """
        mapped = map_matrix(matrix)
        if len(refs) != len(mapped):
            raise FeatureError(
                f"{matrix} has {len(mapped)} rows for {len(refs)} refs. Give the array that "
                "belongs to these refs."
            )
        extractor = {"name": matrix.name, "external": True}
        done = np.ones(len(refs), np.uint8)
        cls(refs, mapped, extractor, done).check(matrix)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / META_FILE).unlink(missing_ok=True)  # it would join the old array to the new refs
        write_refs(folder, refs)
        seen = describe_array(matrix, mapped)
        place = str(matrix.resolve())
        write_meta(folder, {"extractor": extractor, "matrix": place, "seen": seen})
        return cls.open(folder)

    @property
    def name(self) -> str:
        """The extractor's name."""
        return str(self.extractor["name"])

    def rows(self, refs: Sequence[str]) -> NDArray[np.int64]:
        """Return the row that belongs to each ref, (m,), -1 for one without a row.

        `available` says whether the row has its features yet.
        """
        return self.refs.rows(refs)

    def available(self) -> NDArray[np.bool_] | None:
        """Return which rows have features by now, (n,); None if all have."""
        return None if self.done.all() else self.done != 0

    def check(self, path: Path) -> None:
        """Check all rows. Raises `FeatureError` that names those with NaN, infinity or
        only zeros."""
        bad = [f"row {row}, {make_printable(self.refs[row])}: {what}" for row, what in self._bad()]
        if bad:
            raise FeatureError(
                bullet_list(bad, f"{path}: {plural(len(bad), 'row')} cannot be used as features:")
                + f"\n{_RECOMPUTE_HINT}, or make the lines of these rows in {REFS_FILE} empty "
                "(in a table of your own, their feat_idx)."
            )

    def _bad(self) -> Iterator[tuple[int, str]]:
        step = max(1, (1 << 22) // max(1, self.matrix.shape[1]))
        for start in range(0, len(self.matrix), step):
            block = np.asarray(self.matrix[start : start + step], np.float32)
            # The largest of a row is not finite if one is not; NaN compares as false.
            largest = np.maximum(block.max(axis=1), -block.min(axis=1))
            fits = (largest >= 1 / _LARGEST_VALUE) & (largest <= _LARGEST_VALUE)
            for at in np.flatnonzero(~fits & (self.done[start : start + step] != 0)).tolist():
                if self.refs[start + at]:
                    yield start + at, _describe_size(float(largest[at]))


def _find_files(folder: Path) -> tuple[dict[str, Any], Path, Path]:
    """Return the meta data of finished features, their array and the refs of its rows."""
    with suppress(FeatureError):
        journal = read_meta(folder / JOURNAL)
        if journal.get(FINISHED):
            done = _read_done(folder / DONE)
            array = finished_path(folder, NPY, MATRIX_FILE)
            meta = {"extractor": journal["extractor"], "missing": missing_ranges(done)}
            return meta, array, finished_path(folder, REFS, REFS_FILE)
    meta = read_meta(folder / META_FILE)
    return meta, folder / str(meta.get("matrix") or MATRIX_FILE), folder / REFS_FILE


def _read_done(path: Path) -> NDArray[np.uint8]:
    try:
        return np.fromfile(path, np.uint8)
    except OSError as error:
        raise FeatureError(f"{path} cannot be read ({error.strerror}).") from error


def _describe_size(largest: float) -> str:
    """Return what is wrong with a row whose largest value is not a sound feature."""
    if not np.isfinite(largest):
        return "not a number or infinite"
    if not largest:
        return "all zeros"
    return f"values of absurd size (up to {largest:.2g}); scale the array"


def map_matrix(path: Path) -> NDArray[np.floating[Any]]:
    """Map a .npy file into memory. Raises `FeatureError` with the fault of the file."""
    name = make_printable(str(path))
    try:
        if path.exists() and not path.is_file():  # reading a pipe could wait for ever
            raise ValueError("it is not a file")
        with path.open("rb") as file:
            head = file.read(6)
        is_archive = head[:2] == b"PK"
        if head and not is_archive and head != b"\x93NUMPY":
            raise ValueError("it does not begin like one; write it with `numpy.save`")
        matrix = None if is_archive else np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise FeatureError(f"{name} does not exist. {_RECOMPUTE_HINT}, or put it back.") from None
    except HEADER_FAULTS as error:
        why = make_printable(" ".join(str(error).split())[:200]) or type(error).__name__
        raise FeatureError(
            f"{name} is not a whole .npy file ({why}). {_RECOMPUTE_HINT}."
        ) from error
    if not isinstance(matrix, np.ndarray):
        raise FeatureError(f"{name} holds several arrays. Save the one with the features as .npy.")
    if matrix.dtype.kind != "f" or matrix.ndim != 2 or not matrix.shape[1]:
        change = "astype('float32')" if matrix.ndim == 2 else "reshape(len(array), -1)"
        raise FeatureError(
            f"{name} holds {matrix.dtype} numbers of shape {matrix.shape}. Features are an array "
            f"of float16 or float32 with one row for each item: use `array.{change}`."
        )
    return matrix


def _read_refs(path: Path) -> RefTable:
    try:
        return RefTable.load(path)
    except OSError as error:
        raise FeatureError(
            f"{path} cannot be read ({error.strerror}). {_RECOMPUTE_HINT}."
        ) from error


def read_meta(path: Path) -> dict[str, Any]:
    """Read meta.json. Raises `FeatureError`."""
    try:
        if path.stat().st_size > _LARGEST_META:
            raise ValueError("it is too large")
        meta = json.loads(read_file(path))
        if meta["format"] > META_FORMAT:
            raise FeatureError(
                f"{path} was written by a newer annotator. "
                "Upgrade: pip install --upgrade annotator-tui"
            )
        if isinstance(meta["extractor"]["name"], str):
            _check_meta(meta)
            return dict(meta)
    except FileNotFoundError:
        raise FeatureError(
            f"{path.parent} has no features. Compute them: `{_features_command(path.parent)}`."
        ) from None
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        why = _describe_fault(error)
        raise FeatureError(f"{path} cannot be read ({why}). {_replace_hint(path)}.") from error
    raise FeatureError(f"{path} does not name an extractor. {_replace_hint(path)}.")


def _describe_fault(error: Exception) -> str:
    if isinstance(error, OSError):
        return str(error.strerror)
    if isinstance(error, KeyError):
        return f"it has no {error}"
    if isinstance(error, TypeError):
        return "a value has the wrong type"
    return make_printable(str(error)[:200])


def _replace_hint(path: Path) -> str:
    """Return the hint for a file without which features are not known to be annotator's own."""
    return f"Compute them again: `{_features_command(path.parent)} --replace`"


def _check_meta(meta: Mapping[str, Any]) -> None:
    """Raise `ValueError` for values that no writer of meta.json writes."""
    if not isinstance(meta.get("matrix") or "", str):
        raise ValueError("matrix is not a path")
    for first, stop in meta.get("missing", ()):
        whole = type(first) is int and type(stop) is int
        if not (whole and 0 <= first <= stop):
            raise ValueError(f"missing has {first!r} to {stop!r}")


def _features_command(folder: Path) -> str:
    """Return the command that computes the features of `folder`, exact if it is a project's own."""
    if folder.name != "features" or not (folder.parent / "annotator.toml").exists():
        return "annotator features"
    return f"annotator features {shlex.quote(make_printable(str(folder.parent)))}"


def write_meta(folder: Path, meta: dict[str, Any]) -> None:
    """Write meta.json atomically."""
    write_atomically(
        folder / META_FILE, json.dumps({"format": META_FORMAT, **meta}, indent=1).encode()
    )


def write_refs(folder: Path, refs: RefTable) -> None:
    """Write the refs of the rows atomically."""
    write_atomically(folder / REFS_FILE, refs.to_bytes())


def missing_ranges(done: NDArray[np.uint8]) -> list[list[int]]:
    """Return the ranges of rows that are not done, as `meta.json` keeps them."""
    edges = np.flatnonzero(np.diff(done != 0, prepend=True, append=True))
    return edges.reshape(-1, 2).tolist()
