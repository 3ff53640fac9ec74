"""The split of images into train, val and test, by a hash of each image's path, class by class.

The same images and labels always give the same splits, on any machine. All boxes of an image go
to one split. Within each class (an image counts for the rarest class among its labels) the images
are ordered by their hash and cut at the shares, so each split has each class in proportion.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from hashlib import blake2b
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from annotator.errors import ProjectError
from annotator.items.refs import make_printable


class Splits(NamedTuple):
    """Names of splits and their shares, which add up to 1."""

    names: tuple[str, ...]
    shares: tuple[float, ...]


def parse_splits(text: str) -> Splits:
    """Return the splits of a text such as train=0.8,val=0.2. Raises `ProjectError`."""
    remedy = "Give it as train=0.8,val=0.1,test=0.1."
    names, shares = list[str](), list[float]()
    for part in text.split(","):
        name, _, share = part.partition("=")
        name = name.strip()
        try:
            value = float(share)
        except ValueError:
            raise ProjectError(
                f"--split: {make_printable(part)!r} has no share. {remedy}"
            ) from None
        if not (name and name.replace("-", "").replace("_", "").isalnum()) or name in names:
            raise ProjectError(
                f"--split: {make_printable(name)!r} is not a name, or is given twice. {remedy}"
            )
        if not 0 < value <= 1:
            raise ProjectError(
                f"--split: the share of {make_printable(part)!r} is not in (0, 1]. {remedy}"
            )
        names.append(name)
        shares.append(value)
    if not math.isclose(sum(shares), 1, abs_tol=1e-6):
        raise ProjectError(f"--split: the shares add up to {sum(shares):g}, not to 1. {remedy}")
    return Splits(tuple(names), tuple(shares))


def unit_hash(text: str) -> float:
    """Return a number in [0, 1) that depends on `text` alone."""
    data = text.encode("utf-8", "surrogateescape")
    return int.from_bytes(blake2b(data, digest_size=6).digest()) / 2**48


def assign_splits(
    splits: Splits, paths: Sequence[str] | NDArray[np.float64], strata: Sequence[str]
) -> NDArray[np.int64]:
    """Return (n,) the split of each image, given its path (or its `unit_hash`) and its stratum."""
    hashes = np.asarray(
        paths if isinstance(paths, np.ndarray) else [unit_hash(path) for path in paths]
    )
    ends = np.cumsum(splits.shares)
    ends[-1] = np.inf
    found = np.zeros(len(hashes), np.int64)
    names, codes = np.unique(np.asarray(strata, object), return_inverse=True)
    for code, name in enumerate(names):
        rows = np.flatnonzero(codes == code)
        rows = rows[np.argsort(hashes[rows], kind="stable")]
        # Systematic sampling: a class of few images begins at a place of its own, not always
        # in the first split.
        place = (np.arange(len(rows)) + unit_hash(f"start of {name}")) / max(1, len(rows))
        found[rows] = np.searchsorted(ends, place, side="right")
    return found
