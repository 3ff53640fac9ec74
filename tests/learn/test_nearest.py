"""The nearest rows are those that a plain computation in double precision finds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from annotator.learn import nearest
from annotator.learn.nearest import CosineIndex


def cosines(X: Any, query: Any) -> Any:
    X, query = np.asarray(X, np.float64), np.asarray(query, np.float64)
    with np.errstate(all="ignore"):
        return X @ query / np.linalg.norm(query) / np.linalg.norm(X, axis=1)


@pytest.mark.parametrize("kind", ["float16", "float32", "float64"])
def test_cosines_of_every_float_type(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nearest, "_PIECE", 1000)  # many pieces, the last of them not whole
    X = np.random.default_rng(0).normal(0, 8, (1003, 21)).astype(kind)
    X[7] *= X.dtype.type(1e-4)  # of half floats these are the smallest there are
    found = CosineIndex(X).scores(X[3])
    assert np.abs(found - cosines(X, X[3])).max() < 1e-5


@pytest.mark.parametrize("kind", ["float16", "float32"])
def test_rows_that_are_no_features_are_never_near(kind: str) -> None:
    X = np.random.default_rng(1).normal(size=(20, 5)).astype(kind)
    X[2], X[3], X[4, 1], X[5] = 0, np.nan, np.inf, -np.inf
    near = CosineIndex(X)
    for _ in range(2):  # with the lengths found, and with those kept
        found = near.best(X[0], 20)
        assert set(found.rows.tolist()) == set(range(20)) - {2, 3, 4, 5}


def test_the_best_come_first_and_only_of_those_asked_for() -> None:
    X = np.random.default_rng(2).normal(size=(200, 6)).astype(np.float16)
    among = np.arange(200) % 3 == 0
    found = CosineIndex(X).best(X[50], 10, among)
    truth = cosines(X, X[50])
    expected = [row for row in np.argsort(-truth).tolist() if row % 3 == 0][:10]
    assert found.rows.tolist() == expected
    assert len(CosineIndex(X).best(X[50], 1000).rows) == 200
    assert len(CosineIndex(X).best(X[50], 10, np.zeros(200, bool)).rows) == 0


def test_rows_that_still_grow_are_read_anew(tmp_path: Path) -> None:
    X = np.lib.format.open_memmap(tmp_path / "x.npy", "w+", np.float16, (8, 3))
    X[0] = [1, 2, 3]
    near = CosineIndex(X, grows=True)
    assert near.best(X[0], 8).rows.tolist() == [0]
    X[5] = [10, 20, 30]
    assert set(near.best(X[0], 8).rows.tolist()) == {0, 5}
