"""An array of the user's own, which a project uses where it lies: is it still the same one?"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotator.errors import FeatureError

_SAMPLED = 64
"""The rows whose values are remembered, spread over the whole array."""


def describe_array(path: Path, matrix: NDArray[np.floating[Any]]) -> dict[str, Any]:
    """Return what tells an array apart: size and time of its file, and a hash of some rows."""
    stat = path.stat()
    return {"size": stat.st_size, "mtime_ns": stat.st_mtime_ns, "rows": _hash_rows(matrix)}


def check_unchanged(
    meta: Mapping[str, Any], path: Path, matrix: NDArray[np.floating[Any]], meta_file: Path
) -> None:
    """Raise `FeatureError` if the rows of an array are not those that the project was given."""
    seen = meta.get("seen")
    if not isinstance(seen, dict):
        return
    stat = path.stat()
    same = (stat.st_size, stat.st_mtime_ns) == (seen.get("size"), seen.get("mtime_ns"))
    if not same and seen.get("rows") != _hash_rows(matrix):
        raise FeatureError(
            f"{path} has changed since the project was given it: its rows hold other values, so "
            "they may belong to other items. If each row still belongs to the ref on the same "
            f"line of {meta_file.with_name('refs.txt')}, remove the entry `seen` from {meta_file}. "
            "If not, put the former array back, or make a new project with this one."
        )


def _hash_rows(matrix: NDArray[np.floating[Any]]) -> str:
    rows = np.unique(np.linspace(0, max(0, len(matrix) - 1), _SAMPLED).astype(np.int64))
    values = np.ascontiguousarray(matrix[rows[rows < len(matrix)]])
    digest = hashlib.blake2b(values.tobytes(), digest_size=16)
    digest.update(repr((matrix.shape, matrix.dtype.str)).encode())
    return digest.hexdigest()
