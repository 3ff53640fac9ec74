"""Objects without training, from the features of an image's patches: LOST and TokenCut.

LOST (Siméoni et al., "Localizing Objects with Self-Supervised Transformers and no Labels", 2021):
patches of an object correlate with few others, those of the background with many. The patch with
the lowest degree, which is its number of positive correlations, is the seed. Its object is the
patches that correlate with the seed and with the patches like it. `lost` finds one object this
way; `lost_multi_seed` takes several seeds and grows each by its own correlations alone. No matrix
of all pairs of patches is in memory: correlations are computed some rows at a time.

TokenCut (Wang et al., "Self-Supervised Transformers for Unsupervised Object Discovery Using
Normalized Cut", 2022): patches whose features have a cosine above τ are joined by an edge of 1,
all others by ε. The eigenvector of the second smallest eigenvalue of (D − E) y = λ D y divides
them: its mean is the cut. The part with the largest absolute value is the object, and that patch
its seed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from annotator.items.refs import Box
from annotator.learn.rows import scale_to_unit

DEFAULT_SEEDS = 40
DEFAULT_K_PATCHES = 100
_BLOCK_ENTRIES = 1 << 23
"""Most correlations in memory at a time: 32 MB."""

TAU = 0.2
"""The cosine above which TokenCut joins two patches by an edge of 1."""
EPSILON = 1e-5
"""The edge of all other pairs of patches."""

PatchFeatures = NDArray[np.float32]
"""The features (h, w, d) of the patches of an image."""
PatchMask = NDArray[np.bool_]


class DiscoveredObject(NamedTuple):
    """An object, in patches."""

    seed: int
    """The number of the patch, counted row by row."""
    rows: tuple[int, int]
    """First row, and the one after the last."""
    columns: tuple[int, int]
    score: float
    """1 − degree / N of the seed."""

    def box(self, stride: tuple[float, float], size: tuple[int, int]) -> Box:
        """Return the box in pixels, for `stride` (across, down) pixels per patch.

        It is cut to an image of (width, height).
        """
        left, top = self.columns[0] * stride[0], self.rows[0] * stride[1]
        right = min(self.columns[1] * stride[0], size[0])
        bottom = min(self.rows[1] * stride[1], size[1])
        return Box(left, top, right - left, bottom - top)


def compute_degrees(features: PatchFeatures) -> NDArray[np.int32]:
    """Count for each patch (N,) the other patches that it correlates with positively."""
    flat = _flat(features)
    counts = [
        (block > 0).sum(axis=1) - (np.einsum("nd,nd->n", flat[rows], flat[rows]) > 0)
        for rows, block in _correlations(flat)
    ]
    return np.concatenate(counts).astype(np.int32)


def lost(features: PatchFeatures, k_patches: int = DEFAULT_K_PATCHES) -> DiscoveredObject | None:
    """Find the object of the seed; None if the seed correlates with no patch like it."""
    flat, degree = _flat(features), compute_degrees(features)
    order = np.argsort(degree, kind="stable")
    seed = int(order[0])
    candidates = order[:k_patches]
    similar = candidates[flat[candidates] @ flat[seed] > 0]
    # The sum of the similar patches' rows of correlations, without those rows.
    mask = flat @ flat[similar].sum(axis=0) > 0
    return grow_object(mask.reshape(features.shape[:2]), seed, _score(degree, seed))


def lost_multi_seed(
    features: PatchFeatures, seeds: int = DEFAULT_SEEDS, threshold: float | Literal["auto"] = "auto"
) -> list[DiscoveredObject]:
    """Find the objects of several seeds, in the order of their patches; they may overlap.

    The seeds are the `seeds` patches with the lowest degrees, thinned out by `select_seeds`. An
    object is the patches that correlate with its seed above `threshold`, in the units of the
    features. "auto" is Otsu's threshold of all the seed's correlations, and at least 0.
    """
    flat, degree = _flat(features), compute_degrees(features)
    found = []
    for seed in select_seeds(degree.reshape(features.shape[:2]), seeds):
        correlation = flat @ flat[seed]
        least = max(0.0, otsu(correlation)) if threshold == "auto" else threshold
        mask = (correlation > least).reshape(features.shape[:2])
        one = grow_object(mask, seed, _score(degree, seed))
        if one is not None:
            found.append(one)
    return found


def select_seeds(degree: NDArray[np.int32], seeds: int) -> list[int]:
    """Select the `seeds` patches with the lowest degrees (h, w), without those near a better one.

    Of each connected group, and the seeds in its bounding rectangle, only the lowest is kept.
    """
    from scipy.ndimage import find_objects, label

    order = np.argsort(degree.ravel(), kind="stable")[:seeds]
    patches = np.arange(degree.size).reshape(degree.shape)
    chosen = np.isin(patches, order)
    costs = np.where(chosen, degree, degree.size)
    rectangles = find_objects(label(chosen)[0])
    return sorted({int(patches[part].flat[costs[part].argmin()]) for part in rectangles})


def otsu(values: NDArray[np.float32], bins: int = 64) -> float:
    """Return the threshold between the two most different classes of `values` (Otsu 1979)."""
    if not len(values) or values.min() == values.max():
        return 0.0
    counts, edges = np.histogram(values, bins)
    centres = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)[:-1].astype(float)
    above = len(values) - below
    sums = np.cumsum(counts * centres)
    low, high = sums[:-1] / np.maximum(below, 1), (sums[-1] - sums[:-1]) / np.maximum(above, 1)
    return float(edges[1:-1][np.argmax(below * above * (low - high) ** 2)])


def _flat(features: PatchFeatures) -> NDArray[np.float32]:
    return np.ascontiguousarray(features.reshape(-1, features.shape[2]), np.float32)


def _correlations(flat: NDArray[np.float32]) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    step = max(1, _BLOCK_ENTRIES // len(flat))
    for start in range(0, len(flat), step):
        rows = slice(start, min(start + step, len(flat)))
        yield rows, flat[rows] @ flat.T


def _score(degree: NDArray[np.int32], seed: int) -> float:
    return 1 - int(degree[seed]) / len(degree)


def grow_object(mask: PatchMask, seed: int, score: float) -> DiscoveredObject | None:
    """Return the connected part of `mask` around the seed; None if the seed is not in the mask."""
    from scipy.ndimage import label

    groups = label(mask)[0]
    group = groups.ravel()[seed]
    if group == 0:
        return None
    rows, columns = np.nonzero(groups == group)
    return DiscoveredObject(
        seed, (int(rows.min()), int(rows.max()) + 1), (int(columns.min()), int(columns.max()) + 1),
        score,
    )  # fmt: skip


# --- TokenCut


def tokencut(features: PatchFeatures, tau: float = TAU) -> DiscoveredObject | None:
    """Find the object of an image; None if the cut leaves only one part.

    Its score is the distance between the means of the eigenvector in the two parts, as a share of
    its range. Memory holds two matrices of all pairs of patches: 100 MB for 3,600 patches.
    """
    shape = features.shape[:2]
    vector = _second_eigenvector(features.reshape(-1, features.shape[2]), tau)
    if vector is None or vector.min() == vector.max():
        return None
    parted = vector > vector.mean()
    seed = int(np.abs(vector).argmax())
    mask = parted if parted[seed] else ~parted
    if mask.all():
        return None
    gap = abs(float(vector[mask].mean() - vector[~mask].mean()))
    return grow_object(mask.reshape(shape), seed, gap / float(np.ptp(vector)))


def _second_eigenvector(flat: NDArray[np.float32], tau: float) -> NDArray[np.float64] | None:
    from scipy.linalg import eigh

    if len(flat) < 3:
        return None
    unit = scale_to_unit(flat)
    edges = np.where(unit @ unit.T > tau, np.float32(1), np.float32(EPSILON))
    root = 1 / np.sqrt(edges.sum(axis=1))
    # These are the vectors of the generalised problem: y = D^-1/2 z, with z the eigenvector of
    # the second largest eigenvalue of D^-1/2 E D^-1/2.
    edges *= root[:, None] * root[None, :]
    _, vectors = eigh(edges, subset_by_index=[len(flat) - 2, len(flat) - 1], overwrite_a=True)
    return np.asarray(vectors[:, 0] * root, np.float64)
