"""The work that is left by each way to the end, in items and in seconds.

One by one: every open item. Pages: the items that need a look, if the model labels the others.
Finish: the audit, and one by one the items that the audit does not accept. All three follow from
the model as it is now; a model that learns leaves less to do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from annotator.learn.audit import AuditPlan
    from annotator.learn.error_estimate import DrawnLabels, Unlabelled

SINGLE_SECONDS = 3.6
"""Seconds to choose one of several classes for one image.

The median of 2,490 decisions of ten people among ten classes was 3.59 s when the image was shown
for 1 s (raw data of Lim et al., arXiv:2412.00260).
"""
PAGE_SECONDS = 1.1
"""Seconds to answer yes or no for one image on a page of similar images.

The authors of ImageNetV2 print a HIT in `inspect_hit.ipynb`: a median of 52 s for 48 images, by a
handful of workers.
"""
MODEL_ERROR_SHARE = 0.3
"""The share of the allowed error that the model's doubts may add up to. The rest is left for
annotators' mistakes and for a model that is too sure of itself."""
CORRECTED_SHARE = 0.8
"""The share that they may add up to once they are corrected; see `doubt_factors`."""
SURE_DOUBT = 0.01
"""The doubt below which labels show how honest the model is. Most of the rest is as sure."""
_PRIOR_ERRORS, _PRIOR_FACTOR = 0.5, 2.0  # what counts as expected without labels; twice it as found
PAGE_TARGET = 0.01
"""The share of wrong labels in the end that pages aim at, without a target error."""
AUDIT_TARGET = 0.05
"""The share of wrong labels that an audit is to exclude, without a target error."""
_MOST_ROWS, _THRESHOLDS = 10_000, 20  # of an audit that is planned for its length alone


@dataclass(frozen=True, slots=True)
class RemainingWork:
    """The work that was left at one fit, in items."""

    looks: int | None
    """The open items that need a look on pages; None if items have several classes."""
    wrong: float
    """The expected number of them on which the model is wrong."""
    audit: AuditPlan | None
    """The audit that spares most labels; None if none is worthwhile."""
    page_target: float
    """The share of wrong labels that pages aim at."""
    audit_target: float
    """The share of wrong labels that the audit is to exclude."""


@dataclass(frozen=True, slots=True)
class RemainingTime:
    """The seconds that are left by each way; None for a way that is not possible now."""

    one_by_one: float
    pages: float | None = None
    finish: float | None = None

    def as_dict(self) -> dict[str, float | None]:
        """Return the times in minutes."""
        found = {name: getattr(self, name) for name in self.__slots__}
        return {name: None if s is None else round(s / 60, 1) for name, s in found.items()}


def within_allowance(doubt: NDArray[np.float64], allowed: float) -> NDArray[np.bool_]:
    """Return a mask (m,) of the rows that need no look: the surest, with doubts up to `allowed`."""
    order = np.argsort(doubt, kind="stable")
    found = np.zeros(len(doubt), bool)
    found[order[np.cumsum(doubt[order]) <= allowed]] = True
    return found


def doubt_factors(proba: NDArray[Any], y: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return (C,) how many errors are made for each one expected, by the class predicted.

    `proba` (n, C) are out-of-sample probabilities of labelled items, y (n,) their labels. Among
    items that are predicted surely, a model is often too sure of a frequent class, in which the
    rare ones hide, and too unsure of others.
    """
    doubt, predicted = 1 - proba.max(axis=1), proba.argmax(axis=1)
    sure, C = doubt < SURE_DOUBT, proba.shape[1]
    wrong = np.bincount(predicted[sure], (predicted != y)[sure].astype(float), minlength=C)
    expected = np.bincount(predicted[sure], doubt[sure], minlength=C)
    return np.asarray((wrong + _PRIOR_FACTOR * _PRIOR_ERRORS) / (expected + _PRIOR_ERRORS))


def needs_look(
    doubt: NDArray[np.float64],
    predicted: NDArray[np.int64],
    factors: NDArray[np.float64] | None,
    allowed: float,
) -> NDArray[np.bool_]:
    """Return a mask (m,) of the rows to look at, so that no more than `allowed` are wrong then.

    `factors` (C,) correct the doubts by the class predicted; None if nothing is known of them.
    """
    settled = within_allowance(doubt, MODEL_ERROR_SHARE * allowed)
    if factors is not None:
        settled &= within_allowance(doubt * factors[predicted], CORRECTED_SHARE * allowed)
    return ~settled


def measure_work(
    drawn: DrawnLabels,
    rest: Unlabelled,
    items: int,
    target: float | None,
    factors: NDArray[np.float64] | None = None,
) -> RemainingWork:
    """Measure the work that is left in a pool of `items`.

    `rest` has a uniform sample of the open rows; `target` is the share of wrong labels to reach;
    `factors` correct the doubts, see `doubt_factors`.
    """
    from annotator.learn.audit import plan_audit

    page_target, audit_target = target or PAGE_TARGET, min(target or AUDIT_TARGET, 0.5)
    proba = rest.proba
    if len(proba) > _MOST_ROWS:
        proba = proba[np.random.default_rng(0).choice(len(proba), _MOST_ROWS, replace=False)]
    sure = drawn.targets.confidence(proba)
    looks, wrong = None, 0.0
    if not drawn.has_tags and len(sure):
        doubt, scale = 1 - sure.astype(float), rest.size / len(sure)
        look = needs_look(doubt, proba.argmax(axis=1), factors, page_target * items / scale)
        looks, wrong = round(float(look.sum()) * scale), float(doubt[look].sum()) * scale
    audit = None
    if len(sure):
        audit = plan_audit(
            sure, drawn, rest.size, max_error=audit_target, most_thresholds=_THRESHOLDS
        )
    return RemainingWork(looks, wrong, audit, page_target, audit_target)


def estimate_time(work: RemainingWork | None, left: int, seconds: float) -> RemainingTime:
    """Return the time that is left for `left` open items, for someone who takes `seconds` for one.

    On pages each decision is quicker by the ratio of the published times.
    """
    alone = left * seconds
    if work is None:
        return RemainingTime(alone)
    pages = finish = None
    if work.looks is not None:
        spent = work.looks * PAGE_SECONDS + work.wrong * SINGLE_SECONDS
        pages = min(alone, spent / SINGLE_SECONDS * seconds)
    if work.audit is not None:
        asked = work.audit.expected_audit + left - work.audit.size
        finish = min(alone, max(asked, 0) * seconds)
    return RemainingTime(alone, pages, finish)
