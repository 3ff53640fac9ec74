"""The error of a pool in which a part was accepted from the model.

Rows that `finish` accepted are not asked any more, so later labels are drawn from the harder rest.
The audit was drawn uniformly from the accepted rows and labelled without sight of the prediction:
it estimates the accepted part. Both estimates are joined by their sizes (stratified sampling).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annotator.learn.error_estimate import (
    DrawnLabels,
    ErrorEstimate,
    Interval,
    Unlabelled,
    estimate_error,
)
from annotator.learn.rows import Rows

MAX_SCORED = 4096  # accepted rows that are scored


@dataclass(frozen=True, slots=True)
class AcceptedRows:
    """The accepted rows, and the labels of their audit."""

    rows: Rows
    """(k,) a random sample of the accepted feature rows."""
    size: int
    """The number of accepted rows."""
    audits: NDArray[np.bool_]
    """(n,) True for labels of the audit that certified these rows."""


def estimate_whole_pool(
    drawn: DrawnLabels, rest: Unlabelled, audits: NDArray[np.bool_], accepted: Unlabelled
) -> ErrorEstimate | None:
    """Estimate the error on all rows: the accepted ones by their audit, the rest by other labels.

    audits (n,): True for drawn labels of the audit. Returns None without a label of known q
    outside of the audit.
    """
    left, size = (
        estimate_error(select_labels(drawn, ~audits), rest),
        accepted.size + int(audits.sum()),
    )
    if left is None or not audits.any():
        return left
    pool = size - np.arange(int(audits.sum()))
    part = estimate_error(select_labels(drawn, audits, 1 / pool, pool), accepted)
    assert part is not None  # its labels have a q, and its rest is not empty
    share = size / (size + int((~audits).sum()) + rest.size)
    error = join_strata(error_interval(part), error_interval(left), share)
    shares = (join_strata(a, b, share) for a, b in zip(part.shares, left.shares, strict=True))
    tags = None
    if part.tags is not None and left.tags is not None:
        tags = join_strata(part.tags, left.tags, share)
    return ErrorEstimate(
        error.value, error.low, error.high, part.n_eff + left.n_eff,
        part.labels + left.labels, tuple(shares), tags,
    )  # fmt: skip


def select_labels(
    drawn: DrawnLabels,
    which: NDArray[np.bool_],
    q: NDArray[np.float64] | None = None,
    pool: NDArray[np.int64] | None = None,
) -> DrawnLabels:
    """Return the labels of `which` (n,), with other draws if they are given."""
    return DrawnLabels(
        drawn.proba[which],
        drawn.fitted[which],
        drawn.y[which],
        drawn.q[which] if q is None else q,
        drawn.pool[which] if pool is None else pool,
        drawn.calibrated,
        None if drawn.missed is None else drawn.missed[which],
        drawn.targets,
        None if drawn.tags_missed is None else drawn.tags_missed[which],
    )


def error_interval(found: ErrorEstimate) -> Interval:
    """Return the error of an estimate with its interval."""
    return Interval(found.error, found.low, found.high)


def join_strata(one: Interval, other: Interval, share: float) -> Interval:
    """Return the mean of two parts estimated independently; `share` of all is the first part."""
    value = share * one.value + (1 - share) * other.value
    below = np.hypot(share * (one.value - one.low), (1 - share) * (other.value - other.low))
    above = np.hypot(share * (one.high - one.value), (1 - share) * (other.high - other.value))
    return Interval(value, float(value - below), float(value + above))
