"""Features by pool row: other orders, missing items, and a pool without items."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from annotator.features.store import FeatureStore
from annotator.items.ref_table import RefTable
from annotator.session.pool_features import PoolFeatures


def _features(tmp_path: Path, pool: list[str], available: np.ndarray | None = None) -> PoolFeatures:
    np.save(tmp_path / "own.npy", np.arange(1, 9, dtype=np.float32).reshape(4, 2))
    names = RefTable(["a.png", "b.png", "c.png", "d.png"])
    store = FeatureStore.adopt(tmp_path / "features", tmp_path / "own.npy", names)
    return PoolFeatures(store, RefTable(pool), available)


def test_rows_follow_the_refs(tmp_path: Path) -> None:
    features = _features(tmp_path, ["c.png", "new.png", "a.png"])
    assert features.rows([0, 1, 2, 3, -1]).tolist() == [2, -1, 0, -1, -1]
    assert features.usable(features.rows([0, 1, 2])).tolist() == [True, False, True]
    vector = features.vector(0)
    assert vector is not None and vector.tolist() == [5, 6] and features.vector(1) is None


def test_rows_that_do_not_exist_yet_are_not_usable(tmp_path: Path) -> None:
    available = np.array([True, False, True, True])
    features = _features(tmp_path, ["b.png", "a.png", "x.png"], available)
    assert features.usable(features.rows([0, 1, 2])).tolist() == [False, True, False]


def test_a_pool_without_items_has_no_rows(tmp_path: Path) -> None:
    features = _features(tmp_path, [])
    assert features.rows([0, 3, -1]).tolist() == [-1, -1, -1]
    assert features.closed(np.zeros(0, bool)).tolist() == [True] * 4
