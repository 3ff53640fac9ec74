"""One object by a normalised cut of the graph of patches (TokenCut; Wang et al., "Self-Supervised
Transformers for Unsupervised Object Discovery Using Normalized Cut", 2022).

Patches whose features have a cosine above τ are joined by an edge of 1, all others by ε. The
eigenvector of the second smallest eigenvalue of (D − E) y = λ D y parts them: its mean is the cut,
the part with the largest absolute value is the object, and that patch its seed.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from annotator.detection.lost import DiscoveredObject, PatchFeatures, grow_object

TAU = 0.2
EPSILON = 1e-5


def tokencut(features: PatchFeatures, tau: float = TAU) -> DiscoveredObject | None:
    """The object; its score is how far the two parts' means of the eigenvector lie apart, as a
    share of its range. None where the image has no two parts.

    Holds two matrices of all pairs of patches: 100 MB for 3,600 patches.
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
    norms = np.linalg.norm(flat, axis=1, keepdims=True)
    unit = flat / np.maximum(norms, 1e-12)
    edges = np.where(unit @ unit.T > tau, np.float32(1), np.float32(EPSILON))
    root = 1 / np.sqrt(edges.sum(axis=1))
    # The same vectors as of the generalised problem: y = D^-1/2 z, of the two largest of
    # D^-1/2 E D^-1/2 the second.
    edges *= root[:, None] * root[None, :]
    _, vectors = eigh(edges, subset_by_index=[len(flat) - 2, len(flat) - 1], overwrite_a=True)
    return np.asarray(vectors[:, 0] * root, np.float64)
