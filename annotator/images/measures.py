"""The size and the brightness of items, measured once and kept.

Reading them takes a look into each image file, so nothing here is measured unasked.
"""

from __future__ import annotations

import contextlib
import io
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from annotator.errors import ImageError
from annotator.images.crops import ImageFolder
from annotator.images.near_duplicates import CACHE_FAULTS
from annotator.items.atomic import read_file, write_atomically
from annotator.items.ref_table import RefTable
from annotator.items.refs import Item

_AT_ONCE = 256
_SAVE_SECONDS = 10.0
_LOOK = (32, 32)
_GREY = np.array([0.299, 0.587, 0.114])
"""The weights of red, green and blue in the brightness (ITU-R BT.601)."""

Values = NDArray[np.float32]


def box_side(width: float, height: float) -> float:
    """Return the size of a box or an image: the side of the square of the same area."""
    return float((width * height) ** 0.5)


@dataclass(frozen=True, slots=True)
class Measures:
    """The measures of a pool; NaN for items that were not measured, or cannot be read."""

    refs: RefTable
    size: Values
    """(n,) the side, in pixels, of the square of the same area as the box or the whole image."""
    brightness: Values
    """(n,) the mean brightness of the item, from 0 (black) to 1 (white)."""
    tried: NDArray[np.bool_]
    """(n,) True for items that were measured, or could not be."""


def measures_file(project_folder: Path) -> Path:
    """Return the cache of a project's measures."""
    return project_folder / ".cache" / "measures.npz"


def load_measures(cache: Path, refs: RefTable) -> Measures:
    """Return the measures of `refs` that are in the cache; nothing is measured."""
    values, tried = np.full((2, len(refs)), np.nan, np.float32), np.zeros(len(refs), bool)
    try:
        file = io.BytesIO(read_file(cache))
        with np.load(file, allow_pickle=False) as arrays:
            known, kept = RefTable.from_bytes(arrays["refs"].tobytes()), arrays["values"]
        rows = known.rows(refs)
        values[:, rows >= 0] = kept[:, rows[rows >= 0]]
        tried = rows >= 0
    except (*CACHE_FAULTS, IndexError):
        pass  # it is measured again
    return Measures(refs, values[0], values[1], tried)


def measure_items(
    images: ImageFolder,
    cache: Path,
    refs: RefTable,
    rows: NDArray[np.int64],
    *,
    progress: Callable[[int, int], object] = lambda done, of: None,
    clock: Callable[[], float] = time.monotonic,
) -> Measures:
    """Measure those of `rows` (k,) that were not measured before, and keep the results.

    `progress` is called with the rows done and their total.
    """
    found = load_measures(cache, refs)
    todo = rows[~found.tried[rows]]
    saved = clock()
    with ThreadPoolExecutor(min(16, len(os.sched_getaffinity(0)))) as pool:
        for start in range(0, len(todo), _AT_ONCE):
            part = todo[start : start + _AT_ONCE]
            values = pool.map(partial(_measure, images), map(refs.__getitem__, part.tolist()))
            found.size[part], found.brightness[part] = zip(*values, strict=True)
            found.tried[part] = True
            progress(start + len(part), len(todo))
            if clock() - saved > _SAVE_SECONDS:
                _save(cache, found)
                saved = clock()
    if len(todo):
        _save(cache, found)
    return found


def _measure(images: ImageFolder, ref: str) -> tuple[float, float]:
    """Return the size and the brightness of an item; NaN for an image that cannot be read."""
    item = Item.parse(ref)
    try:
        size = box_side(item.box.w, item.box.h) if item.box else box_side(*images.size(item))
        pixels = images.resized_pixels(item, _LOOK, 0.0)
    except (ImageError, OSError):
        return float("nan"), float("nan")
    return size, float((pixels.reshape(-1, 3).mean(axis=0) @ _GREY) / 255)


def _save(cache: Path, found: Measures) -> None:
    rows, data = np.flatnonzero(found.tried), io.BytesIO()
    refs = np.frombuffer(found.refs.take(rows.tolist()).to_bytes(), np.uint8)
    np.savez(data, values=np.stack([found.size[rows], found.brightness[rows]]), refs=refs)
    with contextlib.suppress(OSError):  # a cache that cannot be written costs time, nothing else
        cache.parent.mkdir(exist_ok=True)
        write_atomically(cache, data.getvalue())
