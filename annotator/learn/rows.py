"""Rows of a features matrix as unit vectors, read in pieces, each row checked once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotator.errors import FeatureError, bullet_list

CHUNK = 8_192  # rows of a piece: 12 MB at 384 numbers a row, about the size of a cache
MAX_KEPT_VALUES = 20_000_000  # kept as float32 (80 MB); a larger matrix is read again each time

Rows = NDArray[np.int64]
Matrix = NDArray[Any]


def normalize_rows(rows: Matrix, names: Rows | None = None) -> NDArray[np.float32]:
    """Divide each of the rows (m, d), of any float type, by its length; the result is float32.

    Raises `FeatureError` for rows that are all zeros or not finite; it names them by `names` (m,),
    or else by their place.
    """
    found = np.asarray(rows, dtype=np.float32)
    length = np.sqrt(np.einsum("ij,ij->i", found, found))
    usable = np.isfinite(length) & (length > 0)
    if not usable.all():
        bad = np.flatnonzero(~usable)
        raise _unusable_error(found, bad, bad if names is None else names[bad])
    return np.asarray(found / length[:, None])


def scale_to_unit(rows: Matrix) -> NDArray[np.float32]:
    """Return rows (m, d) divided by their lengths, as float32; a row of zeros stays as it is."""
    found = np.asarray(rows, np.float32)
    return np.asarray(found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-12))


def _unusable_error(rows: Matrix, bad: Rows, names: Rows) -> FeatureError:
    problems = [
        f"row {name}: {'all zeros' if not rows[i].any() else 'NaN or infinite numbers'}"
        for i, name in zip(bad, names, strict=True)
    ]
    heading = "Unusable features. Compute these rows again, or leave their items out:"
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
        """The length d of a row."""
        return int(self.matrix.shape[1])

    def take(self, rows: Rows) -> NDArray[np.float32]:
        """Return the unit rows (m, d) of matrix rows (m,). Raises `FeatureError` for bad rows."""
        if self._unit is not None:
            return self._load(rows)[rows]
        whole = len(rows) > 0 and rows[-1] - rows[0] == len(rows) - 1 and (np.diff(rows) == 1).all()
        found = self.matrix[rows[0] : rows[-1] + 1] if whole else self.matrix[rows]
        return normalize_rows(found, rows)

    @property
    def kept(self) -> bool:
        """True if the unit rows stay in memory."""
        return self._unit is not None

    def dense(self, rows: Rows) -> NDArray[np.float32] | None:
        """Return the kept matrix (N, d) with at least `rows` loaded, the others zeros; or None."""
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
        """Yield pieces of `rows`: the place of each in `rows`, and its unit rows."""
        for start in range(0, len(rows), CHUNK):
            place = slice(start, min(start + CHUNK, len(rows)))
            yield place, self.take(rows[place])


@lru_cache(maxsize=1)
def _pools() -> Any:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def one_thread() -> AbstractContextManager[Any]:
    """Limit BLAS to one thread for small solves: two threads made a 10 ms fit take 92 ms."""
    limit: AbstractContextManager[Any] = _pools().limit(limits=1, user_api="blas")
    return limit
