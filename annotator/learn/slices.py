"""The model's error on slices of the pool: items of one folder, camera, size or class.

The draws of all labels have known probabilities. So those that fall into a slice estimate its
error, too: as a ratio of two weighted sums. A slice has few labels, so its interval is wide; of
many slices, the worst looks worse than it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from annotator.learn.error_estimate import (
    NORMAL_QUANTILE,
    DrawnLabels,
    ErrorEstimate,
    Interval,
    Losses,
    Unlabelled,
    estimate_part,
    measure_losses,
)
from annotator.learn.rows import Rows
from annotator.learn.stratified import error_interval, join_strata, select_labels

Mask = NDArray[np.bool_]


class AuditedSample(NamedTuple):
    """The part of the pool that was accepted after an audit."""

    audits: Mask
    """(n,) True for the labels of the audit."""
    rest: Unlabelled
    """The accepted rows that were scanned, and the number of all."""
    rows: Rows
    """(k,) the scanned ones."""


@dataclass(frozen=True)
class PoolSample:
    """The basis of estimates of a pool: labels with their draws, and scanned unlabelled rows."""

    drawn: DrawnLabels
    rows: Rows
    """(n,) the rows of the labels."""
    rest: Unlabelled
    rest_rows: Rows
    """(m,) the scanned rows."""
    accepted: AuditedSample | None = None

    @cached_property
    def _strata(self) -> list[_Stratum]:
        """The open rows with the labels drawn from them, and the accepted rows with their audit."""
        found = [_Stratum.of(self.drawn, self.rest)]
        if self.accepted is not None:
            audits, rest = self.accepted.audits, self.accepted.rest
            pool = rest.size + int(audits.sum()) - np.arange(int(audits.sum()))
            found.append(_Stratum.of(select_labels(self.drawn, audits, 1 / pool, pool), rest))
        return found

    @property
    def scanned(self) -> Rows:
        """The scanned rows, those that were accepted last."""
        if self.accepted is None:
            return self.rest_rows
        return np.concatenate([self.rest_rows, self.accepted.rows])

    def estimate(
        self, labelled: Mask, scanned: Mask, known: Mask | None = None
    ) -> SliceError | None:
        """Estimate the error on a slice; None without a label of known q in it.

        labelled (n,), scanned: True for the labels and the scanned rows in it. `known`: True for
        the scanned rows that are known to be in it or not; None for all.
        """
        known = np.ones(len(scanned), bool) if known is None else known
        m = len(self.rest_rows)
        if self.accepted is None:
            return self._strata[0].estimate(labelled, scanned, known)
        audits, (open_, certified) = self.accepted.audits, self._strata
        left = open_.estimate(labelled & ~audits, scanned[:m], known[:m])
        part = certified.estimate(labelled[audits], scanned[m:], known[m:])
        return left if left is None or part is None else _join(left, part)


class _Stratum(NamedTuple):
    """A part of the pool with draws of its own, and the losses that all its slices share."""

    drawn: DrawnLabels
    losses: Losses
    size: int
    """The number of unlabelled rows."""

    @classmethod
    def of(cls, drawn: DrawnLabels, rest: Unlabelled) -> _Stratum:
        return cls(drawn, measure_losses(drawn, rest), rest.size)

    def estimate(self, labelled: Mask, scanned: Mask, known: Mask) -> SliceError | None:
        # Of no unlabelled row it is known whether it belongs to a class: then the labels tell.
        share = scanned.sum() / known.sum() if known.any() else labelled.sum() / len(labelled)
        size = max(round(float(share) * self.size), 1)
        found = estimate_part(self.drawn, self.losses, self.size, labelled, scanned, size)
        return None if found is None else SliceError(found, size + int(labelled.sum()))


@dataclass(frozen=True, slots=True)
class SliceError:
    """The estimated error on a slice, with a 90 % interval."""

    estimate: ErrorEstimate
    items: int
    """The estimated number of items in the slice."""
    expected: float = 0.0
    """The error to expect, given that several slices were compared (`expect_errors`)."""


def _join(left: SliceError, part: SliceError) -> SliceError:
    share = part.items / (left.items + part.items)
    joined = join_strata(error_interval(part.estimate), error_interval(left.estimate), share)
    estimate = ErrorEstimate(
        joined.value, joined.low, joined.high, part.estimate.n_eff + left.estimate.n_eff,
        part.estimate.labels + left.estimate.labels,
    )  # fmt: skip
    return SliceError(estimate, left.items + part.items)


def expect_errors(found: Sequence[SliceError], pool: Interval) -> list[SliceError]:
    """Return slices with the errors to expect of them: drawn towards the error of the pool.

    The largest of many uncertain estimates is too large on average. The less the slices differ
    beyond their own uncertainty, the more of a difference is chance (empirical Bayes: Efron and
    Morris, JASA 1973).
    """
    if not found:
        return []
    value = np.array([one.estimate.error for one in found])
    width = np.array([one.estimate.high - one.estimate.low for one in found])
    variance = np.maximum((width / (2 * NORMAL_QUANTILE)) ** 2, 1e-8)
    weight = 1 / variance
    spread = weight @ ((value - pool.value) ** 2 - variance) / weight.sum()
    kept = max(float(spread), 0.0) / (max(float(spread), 0.0) + variance)
    expected = pool.value + kept * (value - pool.value)
    return [replace(one, expected=float(e)) for one, e in zip(found, expected, strict=True)]
