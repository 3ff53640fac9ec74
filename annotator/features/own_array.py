"""An array of the user's own, which a project uses where it lies: is it still the same one?"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotator.errors import FeatureError
from annotator.items.refs import make_printable, shell_quoted

_SAMPLED = 64
"""The rows whose values are remembered, spread over the whole array."""
_READ_BYTES = 1 << 26
"""The size up to which all rows are remembered; of larger arrays, as many rows as fit."""


def describe_array(path: Path, matrix: NDArray[np.floating[Any]]) -> dict[str, Any]:
    """Return what tells an array apart: size and time of its file, and hashes of its rows."""
    stat = path.stat()
    return {
        "size": stat.st_size, "mtime_ns": stat.st_mtime_ns,
        "rows": _hash_rows(matrix, _SAMPLED), "most": _hash_rows(matrix, _most_rows(matrix)),
    }  # fmt: skip


def check_unchanged(
    meta: Mapping[str, Any], path: Path, matrix: NDArray[np.floating[Any]], meta_file: Path
) -> None:
    """Raise `FeatureError` if the rows of an array are not those that the project was given."""
    seen = meta.get("seen")
    if not isinstance(seen, dict):
        return
    stat = path.stat()
    same = (stat.st_size, stat.st_mtime_ns) == (seen.get("size"), seen.get("mtime_ns"))
    if same or (
        seen.get("rows") == _hash_rows(matrix, _SAMPLED)
        and seen.get("most") in (None, _hash_rows(matrix, _most_rows(matrix)))
    ):
        return
    project, array = (shell_quoted(place) for place in (meta_file.parent.parent, path))
    raise FeatureError(
        f"{make_printable(str(path))} has changed since the project was given it: its rows hold "
        "other values, so they may belong to other items. Put the former array back, or take the "
        f"new one: `annotator features {project} --own {array}`. Its rows are then those of "
        "feat_idx in refs.csv, or in the order of the items."
    )


def _most_rows(matrix: NDArray[np.floating[Any]]) -> int:
    """Return the number of rows that fit into 64 MB: all rows of most arrays."""
    return max(_SAMPLED, _READ_BYTES // max(1, int(matrix.shape[1]) * int(matrix.itemsize)))


def _hash_rows(matrix: NDArray[np.floating[Any]], count: int) -> str:
    count = min(count, max(_SAMPLED, len(matrix)))
    rows = np.unique(np.linspace(0, max(0, len(matrix) - 1), count).astype(np.int64))
    values = np.ascontiguousarray(matrix[rows[rows < len(matrix)]])
    digest = hashlib.blake2b(values.tobytes(), digest_size=16)
    digest.update(repr((matrix.shape, matrix.dtype.str)).encode())
    return digest.hexdigest()
