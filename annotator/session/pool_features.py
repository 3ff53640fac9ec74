"""The features of a pool: the rows of a feature store by the rows of a project's refs.

Mostly the two are the same. A features file that the user made may have another order, or lack
some items.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from annotator.features.store import FeatureStore
    from annotator.items.ref_table import RefTable
    from annotator.learn.strategies import Pick


class PoolFeatures:
    """A feature store for the pool `refs`.

    "Pool rows" number the refs, "feature rows" the rows of the matrix.
    """

    def __init__(
        self, store: FeatureStore, refs: RefTable, available: NDArray[np.bool_] | None = None
    ) -> None:
        """Match the rows of both; `available` (n,) marks the feature rows that exist yet."""
        self.store = store
        self._refs = refs
        store.refs.share(refs)
        self.available = available
        """(n,) True for feature rows that exist yet; None if all do."""
        rows = store.rows(refs)
        count = len(store.matrix)
        self._same = len(rows) == count and bool((rows == np.arange(count)).all())
        self._feature_row = rows if not self._same else np.zeros(0, np.int64)
        self._pool_row = np.full(0 if self._same else count, -1, np.int64)
        if not self._same:
            held = np.flatnonzero(rows >= 0)
            self._pool_row[rows[held]] = held

    @property
    def size(self) -> int:
        """The number of items in the pool by now."""
        return len(self._refs)

    def rows(self, pool_rows: Sequence[int] | NDArray[np.integer[Any]]) -> NDArray[np.int64]:
        """Return the feature row of each pool row, -1 if there is none (or no pool row)."""
        wanted = np.asarray(pool_rows, np.int64)
        if self._same:
            return np.where(wanted < len(self.store.matrix), wanted, -1)
        found = np.full(len(wanted), -1, np.int64)
        known = (wanted >= 0) & (wanted < len(self._feature_row))
        found[known] = self._feature_row[wanted[known]]  # a table that was cut may hold no item
        return found

    def pool_rows(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the pool row of each feature row, -1 for one outside of the pool."""
        return rows if self._same else self._pool_row[rows]

    def usable(self, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return (n,) True for feature rows that exist."""
        there = np.asarray(rows >= 0)
        if self.available is not None:
            there[there] = self.available[rows[there]]
        return there

    def vector(self, pool_row: int) -> NDArray[Any] | None:
        """Return the features (d,) of one pool row, or None."""
        row = self.rows([pool_row])
        return self.store.matrix[row[0]] if self.usable(row)[0] else None

    def closed(self, closed: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Turn a mask (N,) of pool rows into one (n,) of feature rows; rows outside the pool are
        closed."""
        if self._same:
            return closed[: len(self.store.matrix)]
        result = np.ones(len(self.store.matrix), bool)
        held = np.flatnonzero(self._pool_row >= 0)
        result[held] = closed[self._pool_row[held]]
        return result

    def pool_picks(self, picks: Iterable[Pick]) -> list[Pick]:
        """Turn picks of feature rows into picks of pool rows."""
        if self._same:
            return list(picks)
        return [pick._replace(row=int(self._pool_row[pick.row])) for pick in picks]
