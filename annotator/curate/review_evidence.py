"""The evidence for and against labels: leave-one-out predictions and nearest labelled items.

Each probability comes from a model fitted without the label in question; for ridge it is exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotator.curate.review_case import Neighbour, ReviewCase
from annotator.errors import AnnotatorError
from annotator.learn.label_conflicts import (
    NEAREST_LABELLED,
    NearestLabelled,
    class_tree,
    count_opposing,
    find_nearest_labelled,
)
from annotator.learn.model import out_of_sample_proba
from annotator.learn.outliers import REFERENCE_ROWS, Outliers, find_outliers
from annotator.learn.rows import UnitRows, normalize_rows
from annotator.learn.tag_conflicts import OpposedTags, count_opposing_tags
from annotator.log.entries import LogState
from annotator.project.label_sets import name_decisions, set_probability
from annotator.project.project import ProjectFolder
from annotator.session.predict import FittedProject, fit

Rows = NDArray[np.int64]


@dataclass(slots=True)
class Evidence:
    """The evidence on the n labelled items with features; empty, with a reason, without any."""

    refs: Sequence[str]
    classes: tuple[str, ...]
    y: NDArray[Any]
    """(n,) indices into the classes; (n, C) True for each class if an item may have several."""
    proba: NDArray[np.float64]
    """(n, C) leave-one-out probabilities."""
    unit: NDArray[np.float32]
    """(n, d) features as unit vectors."""
    why_not: str = ""
    """The reason for empty evidence."""
    fitted: FittedProject | None = None
    _rows: dict[str, int] = field(default_factory=dict)
    _nearest: NearestLabelled | None = None

    def __post_init__(self) -> None:
        self._rows = {ref: row for row, ref in enumerate(self.refs)}

    def row(self, ref: str) -> int:
        """Return the row of a labelled item, -1 for any other item."""
        return self._rows.get(ref, -1)

    @property
    def nearest(self) -> NearestLabelled:
        """The nearest labelled items of each labelled item; 10,000 labels take about 2 s."""
        if self._nearest is None:
            self._nearest = find_nearest_labelled(self.unit, np.arange(len(self.y)))
        return self._nearest

    def outliers(self) -> Outliers:
        """Find the items that are far from everything, labelled or not."""
        if self.fitted is None:
            return find_outliers(self.unit, self.unit)
        known, store = self.fitted.snapshot.rows, self.fitted.features.store
        rows = np.arange(len(store.matrix))
        others = np.setdiff1d(rows[self.fitted.features.usable(rows)], known)
        if len(others) > REFERENCE_ROWS:
            others = np.random.default_rng(0).choice(others, REFERENCE_ROWS, replace=False)
        pool = UnitRows(store.matrix).take(np.sort(others))
        return find_outliers(self.unit, np.concatenate([self.unit, pool]))

    def contradictions(self) -> Rows:
        """Count for each item (n,) how many of its K nearest confidently have another class."""
        near = self.nearest.rows
        if self.has_sets:
            return self.opposed_tags().counts
        return count_opposing(self.y, self.proba, np.arange(len(self.y)), near, self.under)

    @property
    def has_sets(self) -> bool:
        """True if an item may have several classes."""
        return self.y.ndim == 2

    def opposed_tags(self) -> OpposedTags:
        """Return for each item (n,) the class that most of its K nearest contradict."""
        return count_opposing_tags(self.y, self.proba, np.arange(len(self.y)), self.nearest.rows)

    def label(self, row: int) -> str:
        """Return the label that an item was given."""
        return name_decisions(self.y[row : row + 1], self.classes)[0]

    def label_probability(self, ref: str, label: str) -> float:
        """Return the model's probability of a label for an item; 0 if it does not know either."""
        proba = self.probabilities(ref) or {}
        if self.has_sets and proba:
            return set_probability(proba, label, self.classes)
        return proba.get(label, 0.0)

    def own_probability(self, row: int) -> float:
        """Return the probability of the label that an item has."""
        y, under = self.y[row], self.under
        return float(self.proba[row, y if under is None else under[y]].sum())

    @property
    def under(self) -> NDArray[np.bool_] | None:
        """(C, C) True if the column's class is the row's or below it; None without a hierarchy."""
        return class_tree(self.fitted.model) if self.fitted else None

    def probabilities(self, ref: str) -> dict[str, float] | None:
        """Return the model's probabilities for an item; None without features."""
        row = self.row(ref)
        if row >= 0:
            return self._named(self.proba[row])
        vector = self._vector(ref)
        if vector is None or self.fitted is None:
            return None
        return self._named(self.fitted.model.unit_proba(vector[None])[0])

    def neighbours(self, ref: str) -> tuple[Neighbour, ...]:
        """Return the K nearest labelled items of an item; none without features."""
        row = self.row(ref)
        if row >= 0 and self._nearest is not None:
            rows, cosines = self._nearest.rows[row], self._nearest.cosines[row]
        elif (vector := self.unit[row] if row >= 0 else self._vector(ref)) is not None:
            cosines = self.unit @ vector
            if row >= 0:
                cosines[row] = -np.inf  # itself
            rows = np.argsort(-cosines, kind="stable")[
                : min(NEAREST_LABELLED, len(cosines) - (row >= 0))
            ]
            cosines = cosines[rows]
        else:
            return ()
        return tuple(
            Neighbour(self.refs[int(near)], self.label(int(near)), round(float(cosine), 4))
            for near, cosine in zip(rows, cosines, strict=True)
        )

    def with_evidence(self, case: ReviewCase) -> ReviewCase:
        """Return the case with its probabilities and neighbours."""
        proba = self.probabilities(case.ref)
        return replace(case, proba=proba, neighbours=case.neighbours or self.neighbours(case.ref))

    def _named(self, proba: NDArray[Any]) -> dict[str, float]:
        return {name: round(float(p), 4) for name, p in zip(self.classes, proba, strict=True)}

    def _vector(self, ref: str) -> NDArray[np.float32] | None:
        """Return the unit vector (d,) of an item without a label."""
        if self.fitted is None:
            return None
        pool_row = self.fitted.refs.find(ref)
        vector = self.fitted.features.vector(pool_row) if pool_row >= 0 else None
        return None if vector is None else normalize_rows(vector[None])[0]


def gather_evidence(project: ProjectFolder, state: LogState) -> Evidence:
    """Fit the project's model on the labels by people.

    Without features, or with labels of one class only, the evidence is empty and has a reason.
    """
    classes = project.settings.names
    try:
        fitted = fit(project, state)
    except AnnotatorError as error:
        none = np.zeros((0, len(classes)))
        return Evidence(
            [], classes, np.zeros(0, np.int64), none, none.astype(np.float32), str(error)
        )
    rows, y = fitted.snapshot.rows, fitted.snapshot.y
    refs = [fitted.features.store.refs[int(row)] for row in rows]
    proba = np.asarray(out_of_sample_proba(fitted.model, fitted.labelled, y), np.float64)
    return Evidence(refs, fitted.classes, y, proba, np.asarray(fitted.labelled), fitted=fitted)
