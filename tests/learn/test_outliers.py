"""Items that are far from everything are found, also if some came together."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from annotator.learn.outliers import NEAREST, far_distances, find_outliers
from annotator.learn.rows import normalize_rows


def cloud(n: int, axis: int, seed: int = 0) -> NDArray[np.float32]:
    rows = np.random.default_rng(seed).normal(0, 0.1, (n, 16))
    rows[:, axis] += 1
    return normalize_rows(rows.astype(np.float32))


def test_strange_items_that_came_together_are_found_first() -> None:
    rows = np.concatenate([cloud(200, 0), cloud(200, 1, 1), cloud(NEAREST - 5, 5, 2)])
    found = find_outliers(rows, rows)
    assert set(found.rows[: NEAREST - 5].tolist()) == set(range(400, 400 + NEAREST - 5))
    assert (np.diff(found.distances) <= 0).all()
    assert found.usual < found.distances[0]


def test_what_only_the_pool_has_makes_an_item_usual() -> None:
    few = np.concatenate([cloud(200, 0), cloud(3, 5, 2)])
    assert {200, 201, 202} <= set(find_outliers(few, few).rows.tolist())
    pool = np.concatenate([few, cloud(300, 5, 3)])
    assert not {200, 201, 202} & set(find_outliers(few, pool).rows.tolist())


def test_few_items_have_no_outlier() -> None:
    rows = cloud(2 * NEAREST, 0)
    assert len(find_outliers(rows, rows).rows) == 0
    assert len(far_distances(rows[:0], rows[:0])) == 0
    assert len(find_outliers(rows[:1], rows[:1]).rows) == 0


def test_equal_items_are_at_no_distance() -> None:
    same = np.repeat(cloud(1, 0), 100, axis=0)
    assert far_distances(same, same).max() < 1e-6
