"""The map of 100,000 items beside a bare product of the same matrix: medians, and bytes."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from statistics import median

import numpy as np

from annotator.images.scatter import draw_points, group_colours
from annotator.learn.plane import METHODS, best_method, project_to_plane

ITEMS, NUMBERS, CLASSES = 100_000, 384, 20
SIZE = (1200, 800)


def _median_seconds(work: Callable[[], object], runs: int = 5) -> float:
    times = []
    for _ in range(runs):
        begun = time.perf_counter()
        work()
        times.append(time.perf_counter() - begun)
    return median(times)


def main() -> None:
    """Print the seconds of points and picture, and the bytes of the picture."""
    rng = np.random.default_rng(0)
    group = rng.integers(0, CLASSES, ITEMS)
    centres = rng.normal(size=(CLASSES, NUMBERS))
    matrix = (centres[group] + rng.normal(size=(ITEMS, NUMBERS))).astype(np.float16)
    rows, whole = np.arange(ITEMS), matrix.astype(np.float32)
    limit = _median_seconds(lambda: whole.T @ whole)
    print(f"{ITEMS:,} items of {NUMBERS} numbers")
    print(f"one product of the matrix with itself  {limit:7.2f} s")
    points = project_to_plane(matrix, rows)
    pca = _median_seconds(lambda: project_to_plane(matrix, rows))
    print(f"points by pca                          {pca:7.2f} s, {pca / limit:.1f} x (goal: 5 s)")
    if (method := best_method()) != METHODS[0]:
        slow = _median_seconds(lambda: project_to_plane(matrix, rows, method), runs=1)
        print(f"points by {method:28} {slow:7.2f} s (in a process of its own)")
    colours = group_colours(CLASSES + 1)
    drawn = _median_seconds(lambda: draw_points(points, group + 1, colours, SIZE))
    data = io.BytesIO()
    draw_points(points, group + 1, colours, SIZE).save(data, "PNG")
    print(f"its picture                            {drawn:7.3f} s")
    print(f"bytes of the picture                   {len(data.getvalue()):7,} (goal: 40,000)")


if __name__ == "__main__":
    main()
