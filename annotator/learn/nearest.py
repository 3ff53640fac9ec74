"""The nearest rows of a features matrix by cosine: exact, in one pass over the mapped file.

A million rows of half precision are read at the speed of memory. numpy has no product of half
floats, and its conversion of them is slow. So three vector instructions shift their bits to the
places of the bits of single floats; the result is exact.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from annotator.learn.rows import one_thread

Scores = NDArray[np.float32]
Mask = NDArray[np.bool_]

_PIECE = 1 << 18
"""The count of numbers converted at once: as many as a processor's own cache holds."""
_THREADS = 8
_SHIFT = 13
_SIGN_AND_VALUE = np.array(0x8FFFE000, np.uint32).view(np.int32)[()]
_EXPONENT = np.int16(0x7C00)  # all ones in infinity and NaN
# The shifted half floats have exponents that are 112 too low. The query is scaled up by 2^100, so
# that no product is too small for a float, and the result by the remaining 2^12.
_UP, _REST = np.float32(2.0**100), np.float32(2.0**12)


class NearestRows(NamedTuple):
    """The best rows, best first."""

    rows: NDArray[np.int64]
    """(k,)"""
    scores: Scores
    """(k,) cosines."""


class CosineIndex:
    """Cosines with every row of a matrix (N, d) of any float type, mapped or not.

    The lengths of the rows are computed in the first pass and kept (4 bytes a row). Rows that are
    zero or not finite never count as near.
    """

    def __init__(self, matrix: NDArray[Any], *, grows: bool = False) -> None:
        """Index a matrix; with `grows` rows may still change, so no length is kept."""
        self.matrix, self._grows = matrix, grows
        self._lengths: Scores | None = None
        self._odd = np.zeros(0, np.int64)

    def scores(self, query: NDArray[Any]) -> Scores:
        """Return the cosines (N,) of the rows with `query` (d,); -inf for rows without one."""
        unit = np.asarray(query, np.float32)
        unit = unit / np.sqrt(unit @ unit)
        found = np.empty(len(self.matrix), np.float32)
        lengths = self._lengths
        fresh = lengths is None
        if lengths is None:
            lengths = np.empty_like(found)
        threads = max(1, min(_THREADS, len(os.sched_getaffinity(0))))
        starts = np.linspace(0, len(found), threads + 1).astype(int)
        parts = [slice(a, b) for a, b in zip(starts, starts[1:], strict=False)]
        with one_thread(), ThreadPoolExecutor(threads) as pool:
            list(
                pool.map(lambda p: _score_part(self.matrix, unit, p, found, lengths, fresh), parts)
            )
        if fresh:
            self._odd = np.flatnonzero(~(np.isfinite(lengths) & (lengths > 0)))
            self._lengths = None if self._grows else lengths
        found[self._odd] = -np.inf
        return found

    def best(self, query: NDArray[Any], n: int, among: Mask | None = None) -> NearestRows:
        """Return the `n` rows nearest to `query` (d,), among the rows of the mask `among` (N,)."""
        scores = self.scores(query)
        if among is not None:
            scores[~among] = -np.inf
        return top_rows(scores, n)


def top_rows(scores: Scores, n: int) -> NearestRows:
    """Return the `n` highest of `scores` (N,) without those of -inf; row order breaks ties."""
    n = min(n, len(scores))
    if n <= 0:
        return NearestRows(np.zeros(0, np.int64), np.zeros(0, np.float32))
    rows = np.argpartition(scores, len(scores) - n)[len(scores) - n :]
    rows = rows[np.isfinite(scores[rows])]
    rows = rows[np.lexsort((rows, -scores[rows]))]
    return NearestRows(rows, scores[rows])


def _score_part(
    matrix: NDArray[Any], query: Scores, part: slice, found: Scores, lengths: Scores, fresh: bool
) -> None:
    """Compute the cosines with the rows of `part`, and with `fresh` also the rows' lengths."""
    step = max(1, _PIECE // max(1, matrix.shape[1]))
    half = matrix.dtype == np.float16
    source = matrix.view(np.int16) if half else matrix
    buffer = np.empty((step, matrix.shape[1]), np.int32 if half else np.float32)
    scaled, rest = (query * _UP, _REST) if half else (query, np.float32(1))
    for start in range(part.start, part.stop, step):
        stop = min(start + step, part.stop)
        rows = buffer[: stop - start]
        np.copyto(rows, source[start:stop], casting="same_kind")
        if half:
            np.left_shift(rows, _SHIFT, out=rows)
            np.bitwise_and(rows, _SIGN_AND_VALUE, out=rows)
        values = rows.view(np.float32)
        with np.errstate(all="ignore"):
            np.dot(values, scaled, out=found[start:stop])
        if fresh:
            lengths[start:stop] = _row_lengths(values, _UP if half else np.float32(1)) * rest
            if half:  # shifted, infinite values look like numbers
                odd = (source[start:stop] & _EXPONENT) == _EXPONENT
                lengths[start:stop][odd.any(axis=1)] = np.nan
    with np.errstate(all="ignore"):
        found[part] *= rest / lengths[part]


def _row_lengths(rows: Scores, scale: np.float32) -> Scores:
    with np.errstate(all="ignore"):
        scaled = rows * scale
        return np.asarray(np.sqrt(np.vecdot(scaled, scaled)))
