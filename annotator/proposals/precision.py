"""How often proposals are right, from the labels that accepted or rejected some of them.

What is labelled is seldom a fair sample: doubtful boxes come first, pages hold the likely ones.
So the proposals above a threshold are cut into strata by score, and each stratum counts by how
many proposals it holds, not by how many labels (post-stratification; Cochran, Sampling
Techniques, 1977, 5A.9). With p_b of n_b labels right in stratum b, and a share W_b of the N_b in
all: p = Σ W_b p_b, and 1/n = Σ W_b² (1 − n_b/N_b) / n_b is what these labels are worth as a fair
sample of n. The interval is Wilson's (1927) for p and n. What it takes for granted: within a
stratum, which were labelled has nothing to do with whether they are right.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotator.items.refs import make_printable
from annotator.log.entries import LogState
from annotator.project.project import ProjectFolder
from annotator.proposals.table import ProposalTable
from annotator.proposals.verdicts import judge_proposal

CONFIDENCE_LEVEL = 0.95
"""Of how many such intervals hold the truth."""
THRESHOLDS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
MIN_LABELS = 20
"""Labels above a threshold, below which it is not suggested."""
_STRATA, _PER_STRATUM = 10, 10
_Z = 1.959963984540054

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class PrecisionEstimate:
    """The precision of the proposals with at least some score."""

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
    """The share of all right proposals that are above the threshold, as estimated."""


@dataclass(frozen=True, slots=True)
class PrecisionGroup:
    """The proposals of one class by one model; `name` None for all classes of the model."""

    model: str
    name: str | None
    items: int
    labelled: int
    right: int
    estimates: tuple[PrecisionEstimate, ...]
    """At each threshold of `THRESHOLDS` above which there are labels."""
    suggested: PrecisionEstimate | None
    """The lowest threshold with the wanted precision, as estimated; None where there is none."""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def estimate_precision(
    scores: Floats, labelled: Flags, right: Flags, threshold: float, everything: float | None = None
) -> PrecisionEstimate | None:
    """The precision above `threshold`; None without a label above it.

    `scores` (n,) of all proposals, `labelled` (n,) which of them have a label, `right` (n,) which
    of these are right; `everything`: how many are right in all, as estimated at threshold 0.
    """
    above = scores >= threshold
    with_label = above & labelled
    n = int(with_label.sum())
    if not n:
        return None
    share, worth = _stratified_share(scores[above], labelled[above], right[above])
    low, high = wilson_interval(share, worth)
    items = int(above.sum())
    total = share * items if everything is None else everything
    kept = min(1.0, share * items / total) if total > 0 else 0.0
    hits = int((with_label & right).sum())
    return PrecisionEstimate(float(threshold), share, low, high, n, hits, items, kept)


def _stratified_share(scores: Floats, labelled: Flags, right: Flags) -> tuple[float, float]:
    """The share that is right, and how many fair labels these labels are worth (inf for all)."""
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
    """The stratum of each proposal: cut where the labels fall into equal parts of ten or more.

    Every stratum has a label: the cuts are scores of labelled proposals, and the lowest and the
    highest stratum reach to the ends.
    """
    known = np.sort(scores[labelled])
    parts = int(np.clip(len(known) // _PER_STRATUM, 1, _STRATA))
    cuts = np.unique(known[[len(known) * part // parts for part in range(1, parts)]])
    cuts = cuts[cuts > known[0]]  # many equal scores: a stratum below them would have no label
    return np.searchsorted(cuts, scores, side="right")


def wilson_interval(share: float, n: float) -> tuple[float, float]:
    """Wilson's interval for a share of n draws; n need not be whole. The share itself for inf."""
    if math.isinf(n):
        return share, share
    z2 = _Z * _Z
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    return max(0.0, centre - half), min(1.0, centre + half)


def suggest_threshold(
    scores: Floats, labelled: Flags, right: Flags, target: float, total_right: float
) -> PrecisionEstimate | None:
    """The lowest threshold from which on the precision is `wanted`, as estimated.

    From which on: it is as high at every higher threshold tried, too, so that a lucky stretch
    is no reason. Thresholds are scores of labelled proposals with `MIN_LABELS` labels above, down to
    thousandths, so that what is said is what was estimated.
    """
    known = np.unique(np.floor(scores[labelled] * 1000) / 1000)
    step = max(1, len(known) // 200)
    found = None
    for threshold in known[::-step] if len(known) else ():
        here = estimate_precision(scores, labelled, right, float(threshold), total_right)
        if here is None or here.labelled < MIN_LABELS:
            continue
        if here.precision < target:
            break
        found = here
    return found


def measure_precision(
    project: ProjectFolder, state: LogState, target: float = 0.95, *, classes: bool = True
) -> list[PrecisionGroup]:
    """The precision of each model and, with `classes`, of each of its classes, most proposals
    first. Labels that a machine gave say nothing here.
    """
    table = ProposalTable.load(project)
    labelled, right = _judged_rows(table, state)
    groups = []
    for code, model in enumerate(table.models):
        mine = table.model == code
        groups.append(
            _precision_group(model, None, table.scores[mine], labelled[mine], right[mine], target)
        )
        if classes:
            parts = list(_by_class(model, table, mine, labelled, right, target))
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
    """(n,) which proposals a person has judged, and which of them are right.

    Of an item with several classes proposed, the label judges the best proposal, which was shown;
    of the others it tells only where the box was accepted, as which class.
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
    everything = estimate_precision(scores, labelled, right, 0.0)
    if everything is None:
        return PrecisionGroup(model, name, len(scores), 0, 0, (), None)
    total = everything.precision * everything.items
    found = [
        estimate_precision(scores, labelled, right, threshold, total) for threshold in THRESHOLDS
    ]
    suggested = suggest_threshold(scores, labelled, right, target, total)
    counts = int(labelled.sum()), int((labelled & right).sum())
    return PrecisionGroup(model, name, len(scores), *counts, _distinct_estimates(found), suggested)


def describe_threshold(estimate: Mapping[str, Any]) -> str:
    """`at score ≥ 0.62 precision is 0.95 ± 0.02`: an estimate as a dictionary, in words."""
    spread = (estimate["high"] - estimate["low"]) / 2
    least = f"{estimate['threshold']:.3f}".removesuffix("0")
    return f"at score ≥ {least} precision is {estimate['precision']:.2f} ± {spread:.2f}"


def describe_precision(group: Mapping[str, Any]) -> str:
    """A group as a dictionary, in one line that is safe for a terminal."""
    name = f", {make_printable(group['name'])}" if group["name"] is not None else ""
    counts = f"{group['labelled']:,} of {group['items']:,} judged, {group['right']:,} right"
    text = f"{make_printable(group['model'])}{name}: {counts}"
    best = group["suggested"]
    if best:
        return (
            f"{text}; {describe_threshold(best)}, which keeps {best['kept']:.0%} of the right ones"
        )
    return f"{text}; {describe_threshold(group['estimates'][0])}" if group["estimates"] else text


def _distinct_estimates(
    estimates: Sequence[PrecisionEstimate | None],
) -> tuple[PrecisionEstimate, ...]:
    """Of thresholds above which the same proposals lie, the highest."""
    last: dict[int, PrecisionEstimate] = {}
    for one in estimates:
        if one is not None:
            last[one.items] = one
    return tuple(last.values())
