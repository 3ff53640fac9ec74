"""The precision of proposals, estimated from the labels that accepted or rejected some of them.

The labels are seldom a fair sample: doubtful boxes come first, and pages hold the likely ones. So
the proposals above a threshold are divided into strata by score, and each stratum counts by its
number of proposals, not of labels (post-stratification; Cochran, Sampling Techniques, 1977, 5A.9).
Stratum b has N_b proposals, a share W_b of all; a share p_b of its n_b labels is right. Then
p = Σ W_b p_b, and 1/n = Σ W_b² (1 − n_b/N_b) / n_b gives the size n of a fair sample that tells as
much. The interval is Wilson's (1927) for p and n. One assumption remains: within a stratum, the
labelled proposals are as often right as the others.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotator.items.refs import format_share, make_printable
from annotator.log.entries import LogState
from annotator.project.project import ProjectFolder
from annotator.proposals.table import ProposalTable
from annotator.proposals.verdicts import judge_proposal

CONFIDENCE_LEVEL = 0.95
"""Share of the intervals that contain the true precision."""
THRESHOLDS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
MIN_LABELS = 20
"""Minimum number of labels above a suggested threshold."""
_STRATA, _PER_STRATUM = 10, 10
_Z = 1.959963984540054

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class PrecisionEstimate:
    """The estimated precision of the proposals above a threshold."""

    threshold: float
    precision: float
    low: float
    high: float
    """The 95 % interval."""
    labelled: int
    """Labels above the threshold."""
    right: int
    items: int
    """Proposals above the threshold."""
    kept: float
    """The estimated share of all right proposals that are above the threshold."""


@dataclass(frozen=True, slots=True)
class PrecisionGroup:
    """The proposals of one class by one model; `name` None for all classes of the model."""

    model: str
    name: str | None
    items: int
    labelled: int
    right: int
    estimates: tuple[PrecisionEstimate, ...]
    """One for each of `THRESHOLDS` that has labels above it."""
    suggested: PrecisionEstimate | None
    """The lowest threshold that reaches the target precision; None if there is none."""

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON."""
        return asdict(self)


def estimate_precision_above(
    scores: Floats,
    labelled: Flags,
    right: Flags,
    threshold: float,
    total_right: float | None = None,
) -> PrecisionEstimate | None:
    """Estimate the precision above `threshold`; None without a label above it.

    `scores` (n,) are those of all proposals, `labelled` (n,) marks those with a label, `right` (n,)
    those of them that are right. `total_right` is the estimated number of all right proposals.
    """
    above = scores >= threshold
    with_label = above & labelled
    n = int(with_label.sum())
    if not n:
        return None
    share, worth = _stratified_share(scores[above], labelled[above], right[above])
    low, high = wilson_interval(share, worth)
    items = int(above.sum())
    total = share * items if total_right is None else total_right
    kept = min(1.0, share * items / total) if total > 0 else 0.0
    hits = int((with_label & right).sum())
    return PrecisionEstimate(float(threshold), share, low, high, n, hits, items, kept)


def _stratified_share(scores: Floats, labelled: Flags, right: Flags) -> tuple[float, float]:
    """Return the share that is right, and the size of a fair sample that tells as much.

    The size is inf if all proposals have a label.
    """
    strata = _strata(scores, labelled)
    count = int(strata.max()) + 1
    N = np.bincount(strata, minlength=count).astype(float)
    n = np.bincount(strata[labelled], minlength=count).astype(float)
    hits = np.bincount(strata[labelled & right], minlength=count).astype(float)
    weight = N / N.sum()
    share = float((weight * hits / n).sum())
    variance = float((weight**2 * (1 - n / N) / n).sum())
    return min(1.0, share), 1 / variance if variance > 1e-12 else math.inf


def _strata(scores: Floats, labelled: Flags) -> NDArray[np.int64]:
    """Return the stratum of each proposal (n,), with equal numbers of labels, ten or more.

    Every stratum has a label: its bounds are scores of labelled proposals, and the lowest and the
    highest stratum reach to the ends.
    """
    known = np.sort(scores[labelled])
    parts = int(np.clip(len(known) // _PER_STRATUM, 1, _STRATA))
    cuts = np.unique(known[[len(known) * part // parts for part in range(1, parts)]])
    cuts = cuts[
        cuts > known[0]
    ]  # if many scores are equal, a stratum below them would have no label
    return np.searchsorted(cuts, scores, side="right")


def wilson_interval(share: float, n: float) -> tuple[float, float]:
    """Compute Wilson's interval for a share of n draws; n may be fractional, or inf."""
    if math.isinf(n):
        return share, share
    z2 = _Z * _Z
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    return max(0.0, centre - half), min(1.0, centre + half)


def suggest_threshold(
    scores: Floats, labelled: Flags, right: Flags, target: float, total_right: float
) -> PrecisionEstimate | None:
    """Return the lowest threshold whose precision, as estimated, reaches `target`.

    The precision is as high at every higher threshold that was tried, so that a lucky stretch of
    labels is not enough. Thresholds are scores of labelled proposals with `MIN_LABELS` labels
    above them, rounded down to thousandths, so that the printed threshold is the estimated one.
    """
    known = np.unique(np.floor(scores[labelled] * 1000) / 1000)
    step = max(1, len(known) // 200)
    found = None
    for threshold in known[::-step] if len(known) else ():
        here = estimate_precision_above(scores, labelled, right, float(threshold), total_right)
        if here is None or here.labelled < MIN_LABELS:
            continue
        if here.precision < target:
            break
        found = here
    return found


def measure_precision(
    project: ProjectFolder, state: LogState, target: float = 0.95, *, classes: bool = True
) -> list[PrecisionGroup]:
    """Measure the precision of each model and, with `classes`, of each of its classes.

    Groups with the most proposals come first. Labels by a machine do not count.
    """
    table = ProposalTable.load(project)
    labelled, right = _judged_rows(table, state)
    groups = []
    for code, model in enumerate(table.models):
        of_model = table.model == code
        groups.append(
            _precision_group(
                model, None, table.scores[of_model], labelled[of_model], right[of_model], target
            )
        )
        if classes:
            parts = list(_by_class(model, table, of_model, labelled, right, target))
            groups += sorted(parts, key=lambda group: -group.items) if len(parts) > 1 else []
    return groups


def _by_class(
    model: str,
    table: ProposalTable,
    model_rows: Flags,
    labelled: Flags,
    right: Flags,
    target: float,
) -> Iterator[PrecisionGroup]:
    rows = np.flatnonzero(model_rows)
    rows = rows[np.argsort(table.name[rows], kind="stable")]
    for part in np.split(rows, np.flatnonzero(np.diff(table.name[rows])) + 1):
        name = table.names[table.name[part[0]]]
        yield _precision_group(model, name, table.scores[part], labelled[part], right[part], target)


def _judged_rows(table: ProposalTable, state: LogState) -> tuple[Flags, Flags]:
    """Mark the proposals (n,) that an annotator judged, and those of them that are right.

    If an item has proposals of several classes, the label judges the best one, which was shown. It
    judges the others only if it accepts the box, by the class that it gives it.
    """
    labelled, right = np.zeros(len(table), bool), np.zeros(len(table), bool)
    if not state.standing:
        return labelled, right
    for row, ref in enumerate(table.refs):
        decision = state.decision(ref)
        if decision is None or decision.label is None or decision.by_machine:
            continue
        name, shown = table.names[table.name[row]], table.find(ref)
        assert shown is not None
        held = judge_proposal(decision.label, shown.name).name
        labelled[row] = held is not None or name == shown.name
        right[row] = held == name
    return labelled, right


def _precision_group(
    model: str, name: str | None, scores: Floats, labelled: Flags, right: Flags, target: float
) -> PrecisionGroup:
    overall = estimate_precision_above(scores, labelled, right, 0.0)
    if overall is None:
        return PrecisionGroup(model, name, len(scores), 0, 0, (), None)
    total = overall.precision * overall.items
    found = [
        estimate_precision_above(scores, labelled, right, threshold, total)
        for threshold in THRESHOLDS
    ]
    suggested = suggest_threshold(scores, labelled, right, target, total)
    counts = int(labelled.sum()), int((labelled & right).sum())
    return PrecisionGroup(model, name, len(scores), *counts, _distinct_estimates(found), suggested)


def describe_threshold(estimate: Mapping[str, Any]) -> str:
    """Describe an estimate's dictionary: `at score ≥ 0.62 precision is 0.95 ± 0.02`."""
    spread = (estimate["high"] - estimate["low"]) / 2
    least = f"{estimate['threshold']:.3f}".removesuffix("0")
    return f"at score ≥ {least} precision is {estimate['precision']:.2f} ± {spread:.2f}"


def describe_precision(group: Mapping[str, Any]) -> str:
    """Describe a group's dictionary in one line that is safe for a terminal."""
    name = f", {make_printable(group['name'])}" if group["name"] is not None else ""
    counts = f"{group['labelled']:,} of {group['items']:,} judged, {group['right']:,} right"
    text = f"{make_printable(group['model'])}{name}: {counts}"
    best = group["suggested"]
    if best:
        return (
            f"{text}; {describe_threshold(best)}, which keeps {format_share(best['kept'])} of the "
            "right ones"
        )
    return f"{text}; {describe_threshold(group['estimates'][0])}" if group["estimates"] else text


def _distinct_estimates(
    estimates: Sequence[PrecisionEstimate | None],
) -> tuple[PrecisionEstimate, ...]:
    """Return the estimates, of those for the same proposals only that at the highest threshold."""
    last: dict[int, PrecisionEstimate] = {}
    for one in estimates:
        if one is not None:
            last[one.items] = one
    return tuple(last.values())
