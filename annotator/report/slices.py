"""The estimated error of a project's model on slices of its pool, for `status`, `report` and C."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotator.errors import AnnotatorError
from annotator.images import ImageFolder
from annotator.images.measures import measure_items, measures_file
from annotator.items.refs import format_interval, format_percent, make_printable, plural
from annotator.learn.error_estimate import LEAST_N_EFF, ErrorEstimate
from annotator.learn.ranking import estimate_alone, sample_pool
from annotator.learn.slices import PoolSample, SliceError, expect_errors
from annotator.learn.stratified import error_interval
from annotator.log.entries import LogState
from annotator.project.project import ProjectFolder
from annotator.report.estimate import estimate_as_dict, with_open_rows
from annotator.report.slice_groups import SliceGroup, SliceSource, quote_word
from annotator.session.predict import FittedProject, fit

MOST_MEASURED = 1000
"""The most labelled items whose size and brightness a report measures, and the most others."""
RULE = (
    f"A slice is shown from {LEAST_N_EFF:g} effective labels on, as the estimate of the pool is. "
    "The expected error takes chance into account."
)
_BEYOND = 0.005
"""The difference to the error of the pool that counts as one."""
CLASS_KIND, PREDICTED_KIND = "class", "predicted"


@dataclass(frozen=True, slots=True)
class Slice:
    """A slice of the pool with its estimated error."""

    kind: str
    """The fact that tells slices of its kind apart: "folder", "size", the name of a column …"""
    name: str
    query: str
    """The query that finds its items."""
    found: SliceError

    def as_dict(self) -> dict[str, Any]:
        """Return the figures as plain values."""
        e = self.found.estimate
        return {
            "kind": self.kind, "name": self.name, "query": self.query, "error": e.error,
            "low": e.low, "high": e.high, "expected": self.found.expected, "n_eff": e.n_eff,
            "labels": e.labels, "items": None if self.kind == CLASS_KIND else self.found.items,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class SliceTable:
    """The slices of a pool, the largest expected error first."""

    slices: tuple[Slice, ...] = ()
    few: int = 0
    """The number of slices with too few labels for an estimate."""
    pool: float = 0.0
    """The estimated error of the whole pool."""

    @property
    def worst(self) -> Slice | None:
        """The slice with the largest expected error among those that hold open items to ask."""
        return next((one for one in self.slices if one.kind != CLASS_KIND), None)

    def as_dict(self) -> dict[str, Any]:
        """Return the slices as plain values."""
        return {
            "found": [one.as_dict() for one in self.slices],
            "too_few_labels": self.few,
            "beyond_chance": self.beyond_chance,
        }

    @property
    def beyond_chance(self) -> bool:
        """True if a slice is worse than the pool by more than the chance of many estimates."""
        return any(one.found.expected > self.pool + _BEYOND for one in self.slices)


def estimate_project(project: ProjectFolder, state: LogState) -> dict[str, Any]:
    """Return `estimate`, that of the pool, `slices`, `work` and `name_weight`, that of the names
    of the classes in the model; each None without enough to say.

    A classifier of the user's own is not run: reading the figures of a project runs no code of it.
    """
    nothing = {"estimate": None, "slices": None, "work": None, "name_weight": None}
    if ":" in project.settings.estimator or not project.has_features:
        return nothing
    try:
        fitted = fit(project, state)
        found, work = estimate_alone(with_open_rows(fitted), fitted.model, project.settings.seed)
        slices = find_slices(fitted, project, found)
    except AnnotatorError:
        return nothing  # too few classes, or features that `doctor` has words for
    return {
        "estimate": estimate_as_dict(found), "slices": slices.as_dict(), "work": work,
        "name_weight": fitted.model.text_weight,
    }  # fmt: skip


def find_slices(
    fitted: FittedProject, project: ProjectFolder, pool: ErrorEstimate | None = None
) -> SliceTable:
    """Estimate the error on the slices of a project's pool.

    `pool` is the estimate of the whole pool; without one that is shown, there are no slices.
    """
    sample = sample_pool(with_open_rows(fitted), fitted.model, project.settings.seed)
    if sample is None or pool is None or not pool.shown:
        return SliceTable()
    slices, few = defaultdict[str, list[Slice]](list), 0
    for found in _estimate_all(fitted, project, sample):
        if isinstance(found, Slice):
            slices[found.kind].append(found)
        else:
            few += 1
    expected = [
        Slice(one.kind, one.name, one.query, better)
        for group in slices.values()
        for one, better in zip(
            group, expect_errors([s.found for s in group], error_interval(pool)), strict=True
        )
    ]
    expected.sort(key=lambda one: (-one.found.expected, -one.found.estimate.error))
    return SliceTable(tuple(expected), few, pool.error)


def estimate_query(
    fitted: FittedProject, project: ProjectFolder, mask: NDArray[np.bool_]
) -> SliceError | None:
    """Estimate the error on the items of a query, (n,); None with too few labels."""
    sample = sample_pool(with_open_rows(fitted), fitted.model, project.settings.seed)
    if sample is None:
        return None
    labelled, scanned = (
        (rows >= 0) & mask[rows]
        for rows in map(fitted.features.pool_rows, (sample.rows, sample.scanned))
    )
    found = sample.estimate(labelled, scanned)
    return found if found is not None and found.estimate.shown else None


def measure_sample(fitted: FittedProject, project: ProjectFolder) -> None:
    """Measure the size and brightness of labelled items and of a sample of the others, once."""
    labelled = fitted.features.pool_rows(fitted.snapshot.rows)[:MOST_MEASURED]
    rng = np.random.default_rng(project.settings.seed)
    others = rng.permutation(len(fitted.refs))[:MOST_MEASURED]
    rows = np.unique(np.concatenate([labelled[labelled >= 0], others]))
    images = ImageFolder(project.images.resolve(), project.settings.max_pixels)
    measure_items(images, measures_file(project.folder), fitted.refs, rows)


def _estimate_all(
    fitted: FittedProject, project: ProjectFolder, sample: PoolSample
) -> Iterator[Slice | None]:
    """Yield each slice, None for one with too few labels."""
    n = len(sample.rows)
    rows = fitted.features.pool_rows(np.concatenate([sample.rows, sample.scanned]))
    groups = [*SliceSource(project, fitted.refs, rows).groups(), *_class_groups(fitted, sample)]
    for group in groups:
        for place, (name, query) in enumerate(zip(group.names, group.queries, strict=True)):
            inside, known = group.codes == place, group.codes >= 0
            found = None
            if inside[:n].sum() >= LEAST_N_EFF:  # n_eff is at most the number of labels
                found = sample.estimate(inside[:n], inside[n:], known[n:])
            good = found is not None and found.estimate.shown
            yield Slice(group.kind, name, query, found) if found is not None and good else None


def _class_groups(fitted: FittedProject, sample: PoolSample) -> Iterator[SliceGroup]:
    """Yield the slices by class: as labelled, and as predicted; tags are slices one by one."""
    drawn, targets = sample.drawn, fitted.model.targets
    probas = [sample.rest.proba, *([sample.accepted.rest.proba] if sample.accepted else [])]
    places = range(len(fitted.classes))
    called, given = (
        np.stack([np.concatenate([targets.predicted_as(p, c) for p in (drawn.proba, *probas)])
                  for c in places], axis=1),
        np.stack([np.asarray(targets.having(drawn.y, c), bool) for c in places], axis=1),
    )  # fmt: skip
    unknown = np.full((len(called) - len(given), len(fitted.classes)), -1)
    for kind, word, members in (
        (CLASS_KIND, "label", np.concatenate([np.where(given, 0, -1), unknown])),
        (PREDICTED_KIND, "predicted", np.where(called, 0, 1)),
    ):
        for c, name in enumerate(fitted.classes):
            query = quote_word(f"{word}:{name}")
            yield SliceGroup(kind, members[:, c], (name,), (query,))


def describe_worst(found: Mapping[str, Any]) -> str:
    """Return how many slices were compared, and what that says of the worst."""
    count = plural(len(found["found"]), "slice")
    if not found["beyond_chance"]:
        return f"none of {count} is worse than the pool by more than chance"
    return f"the worst of {count}; the worst of many looks worse than it is"


def describe_slice(one: Mapping[str, Any]) -> str:
    """Return the estimate of a slice, as `Slice.as_dict` gives it, as text."""
    span = format_interval(one["low"], one["high"])
    return (
        f"{format_percent(one['error'])} ({span}), {format_percent(one['expected'])} expected, "
        f"{plural(one['labels'], 'label')}"
    )


def format_slices(found: Mapping[str, Any] | None) -> list[str]:
    """Return lines about the worst slices of `SliceTable.as_dict`, for a text."""
    if not found or not found["found"]:
        return []
    lines = [f"estimated error by slice, with 90 % intervals ({describe_worst(found)}):"]
    lines += [
        f"  {make_printable(one['query'])}: {describe_slice(one)}" for one in found["found"][:3]
    ]
    return lines
