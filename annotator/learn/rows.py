"""Rows of a features matrix as unit vectors, read in pieces, each row checked once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotator.errors import FeatureError, bullet_list

CHUNK = 8_192  # rows a piece: at 384 numbers 12 MB, near what a cache can serve
MAX_KEPT_VALUES = (
    20_000_000  # numbers kept as float32 (80 MB); a larger matrix is read again each time
)

Rows = NDArray[np.int64]
Matrix = NDArray[Any]


def normalize_rows(rows: Matrix, names: Rows | None = None) -> NDArray[np.float32]:
    """Rows (m, d) of any float type, each divided by its length, as float32.

    Raises FeatureError where a row is all zeros or not finite, named by `names` (m,) or
    else by its place.
    """
    found = np.asarray(rows, dtype=np.float32)
    length = np.sqrt(np.einsum("ij,ij->i", found, found))
    usable = np.isfinite(length) & (length > 0)
    if not usable.all():
        bad = np.flatnonzero(~usable)
        raise _raise_unusable(found, bad, bad if names is None else names[bad])
    return np.asarray(found / length[:, None])


def scale_to_unit(rows: Matrix) -> NDArray[np.float32]:
    """Return rows (m, d) divided by their lengths, as float32; a row of zeros stays as it is."""
    found = np.asarray(rows, np.float32)
    return np.asarray(found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-12))


def _raise_unusable(rows: Matrix, bad: Rows, names: Rows) -> FeatureError:
    problems = [
        f"row {name}: {'all zeros' if not rows[i].any() else 'holds NaN or infinite numbers'}"
        for i, name in zip(bad, names, strict=True)
    ]
    heading = "features that cannot be used (compute these rows again, or leave the items out):"
    return FeatureError(bullet_list(problems, heading))


class UnitRows:
    """Unit rows of one features matrix (N, d); small matrices are kept in memory as float32."""

    def __init__(self, matrix: Matrix) -> None:
        self.matrix = matrix
        kept = matrix.size <= MAX_KEPT_VALUES
        self._unit = np.zeros(matrix.shape, dtype=np.float32) if kept else None
        self._known = np.zeros(len(matrix), dtype=bool)

    @property
    def dim(self) -> int:
        return int(self.matrix.shape[1])

    def take(self, rows: Rows) -> NDArray[np.float32]:
        """Unit rows (m, d) of the matrix rows (m,). Raises FeatureError, naming the row."""
        if self._unit is not None:
            return self._load(rows)[rows]
        whole = len(rows) > 0 and rows[-1] - rows[0] == len(rows) - 1 and (np.diff(rows) == 1).all()
        found = self.matrix[rows[0] : rows[-1] + 1] if whole else self.matrix[rows]
        return normalize_rows(found, rows)

    @property
    def kept(self) -> bool:
        """Whether the unit rows stay in memory."""
        return self._unit is not None

    def dense(self, rows: Rows) -> NDArray[np.float32] | None:
        """The whole matrix (N, d), where it is kept, with at least `rows` loaded; else zeros."""
        return None if self._unit is None else self._load(rows)

    def _load(self, rows: Rows) -> NDArray[np.float32]:
        assert self._unit is not None
        missing = rows[~self._known[rows]]
        for start in range(0, len(missing), CHUNK):
            piece = missing[start : start + CHUNK]
            self._unit[piece] = normalize_rows(self.matrix[piece], piece)
            self._known[piece] = True
        return self._unit

    def chunks(self, rows: Rows) -> Iterator[tuple[slice, NDArray[np.float32]]]:
        """Pieces of `rows`: where each lies in `rows`, and its unit rows."""
        for start in range(0, len(rows), CHUNK):
            place = slice(start, min(start + CHUNK, len(rows)))
            yield place, self.take(rows[place])


@lru_cache(maxsize=1)
def _pools() -> Any:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def one_thread() -> AbstractContextManager[Any]:
    """Small solves on one thread: two threads made a 10 ms fit take 92 ms."""
    limit: AbstractContextManager[Any] = _pools().limit(limits=1, user_api="blas")
    return limit
