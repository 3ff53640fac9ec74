"""The features of a pool in two dimensions: the points of its map.

PCA needs no package and a fraction of a second. UMAP (McInnes, Healy and Melville, 2018) and PaCMAP
(Wang, Huang, Rudin and Shaposhnik, 2021) keep neighbours together; they are fitted to a sample, and
every other row goes to the weighted mean of its nearest sampled rows.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotator.errors import ExtraMissing, ProjectError
from annotator.learn.rows import UnitRows

Points = NDArray[np.float32]

METHODS = ("pca", "umap", "pacmap")
SAMPLE = 20_000
"""Rows that UMAP and PaCMAP are fitted to; more take minutes and change little."""
_FITTED_BY_PCA = 50_000
_KEPT = 50
"""Principal components that UMAP and PaCMAP get: fewer numbers, the same neighbours."""
_NEAREST = 5
_EDGE = 0.002
"""The share of points at each end of an axis that may lie on the map's edge."""


def best_method() -> str:
    """Return the method that shows neighbours best among those whose packages are installed."""
    return next(filter(find_spec, _EMBEDDINGS), "pca")


def project_to_plane(
    matrix: NDArray[Any], rows: NDArray[np.int64], method: str = "pca", seed: int = 0
) -> Points:
    """Return a point (m, 2) for each of `rows` (m,) of a features matrix (N, d).

    The coordinates lie between 0 and 1. Raises `ProjectError` for an unknown method,
    `ExtraMissing` for one whose package is absent, `FeatureError` for a row that is all zeros.
    """
    if method not in METHODS:
        raise ProjectError(
            f"There is no map method {method!r}. Choose one of {', '.join(METHODS)}."
        )
    if len(rows) < 3:
        return np.full((len(rows), 2), 0.5, np.float32)
    unit, rng = UnitRows(matrix), np.random.default_rng(seed)
    if method == "pca":
        return _fill_square(_principal_components(unit, rows, 2, rng))
    reduced = _principal_components(unit, rows, min(_KEPT, unit.dim), rng)
    sample = np.sort(rng.permutation(len(rows))[:SAMPLE])
    fitted = _EMBEDDINGS[method](reduced[sample], seed)
    points = fitted if len(sample) == len(rows) else _place_others(reduced, sample, fitted)
    return _fill_square(points)


def _principal_components(
    unit: UnitRows, rows: NDArray[np.int64], count: int, rng: np.random.Generator
) -> Points:
    """Return the first `count` principal components (m, count) of unit rows."""
    sample = unit.take(np.sort(rng.permutation(rows)[:_FITTED_BY_PCA]))
    mean = sample.mean(axis=0)
    centred = sample - mean
    _, axes = np.linalg.eigh(centred.T @ centred)
    axes = axes[:, ::-1][:, :count]
    # The sign of an axis is arbitrary: its largest entry is positive, so that maps do not flip.
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
    found = np.zeros((len(rows), count), np.float32)
    for place, piece in unit.chunks(rows):
        found[place, : axes.shape[1]] = (piece - mean) @ axes
    return found


def _fit_umap(X: Points, seed: int) -> Points:
    if find_spec("umap") is None:
        raise _missing("umap-learn")
    with warnings.catch_warnings(action="ignore"):  # it says that TensorFlow is not there
        import umap

    neighbours = min(15, len(X) - 1)
    model = umap.UMAP(n_components=2, n_neighbors=neighbours, random_state=seed, n_jobs=1)
    return np.asarray(model.fit_transform(X), np.float32)


def _fit_pacmap(X: Points, seed: int) -> Points:
    if find_spec("pacmap") is None:
        raise _missing("pacmap")
    import pacmap

    return np.asarray(pacmap.PaCMAP(n_components=2, random_state=seed).fit_transform(X), np.float32)


def _missing(package: str) -> ExtraMissing:
    return ExtraMissing(f"{package} is not installed. Install it: pip install {package}")


_EMBEDDINGS: dict[str, Callable[[Points, int], Points]] = {"umap": _fit_umap, "pacmap": _fit_pacmap}


def _place_others(reduced: Points, sample: NDArray[np.int64], fitted: Points) -> Points:
    """Return (m, 2) points: those fitted, and between their nearest ones for all other rows."""
    points = np.empty((len(reduced), 2), np.float32)
    known = reduced[sample]
    squares = np.einsum("ij,ij->i", known, known)
    for start in range(0, len(reduced), 1024):
        piece = reduced[start : start + 1024]
        distance = squares - 2 * piece @ known.T
        near = np.argpartition(distance, min(_NEAREST, len(sample) - 1), axis=1)[:, :_NEAREST]
        gap = np.take_along_axis(distance, near, axis=1)
        gap = gap - gap.min(axis=1, keepdims=True)
        weight = np.exp(-gap / np.maximum(gap.mean(axis=1, keepdims=True), 1e-9))
        weight /= weight.sum(axis=1, keepdims=True)
        points[start : start + 1024] = np.einsum("ij,ijk->ik", weight, fitted[near])
    points[sample] = fitted
    return points


def _fill_square(points: Points) -> Points:
    """Return the points scaled so that nearly all of them fill the unit square."""
    low, high = np.quantile(points, [_EDGE, 1 - _EDGE], axis=0)
    scaled = (points - low) / np.maximum(high - low, 1e-9)
    return np.asarray(np.clip(scaled, 0, 1), np.float32)
