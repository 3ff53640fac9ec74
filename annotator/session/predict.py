"""Predictions of a project's model for all items without a label."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from annotator.errors import FeatureError, ProjectError
from annotator.features.store import FeatureStore
from annotator.items.ref_table import RefTable
from annotator.items.refs import plural, shell_quoted
from annotator.learn.error_estimate import DrawnLabels
from annotator.learn.model import FittedModel, fit_model, out_of_sample_proba
from annotator.learn.ranking import Snapshot, check_snapshot
from annotator.learn.rows import UnitRows, one_thread
from annotator.log.entries import LogState
from annotator.project.item_pool import load_refs
from annotator.project.label_sets import name_decisions
from annotator.project.project import ProjectFolder
from annotator.session.class_text import load_text_prior
from annotator.session.learner import StrategyChoice, make_snapshot
from annotator.session.pool_features import PoolFeatures

CHUNK = 1 << 14


@dataclass(frozen=True, slots=True)
class FittedProject:
    """A project's model, fitted on all that people have labelled."""

    model: FittedModel
    snapshot: Snapshot
    labelled: NDArray[Any]
    """(n, d) unit rows of the labelled items."""
    refs: RefTable
    features: PoolFeatures
    classes: tuple[str, ...]

    def labels(self, proba: NDArray[Any]) -> list[str]:
        """Return the predicted labels of probabilities (m, C), as the log writes them."""
        return name_decisions(self.model.targets.decide(proba), self.classes)


class Prediction(NamedTuple):
    """The model's probabilities for one item."""

    ref: str
    proba: NDArray[np.float64]
    """(C,) one for each class."""


def fit(project: ProjectFolder, state: LogState) -> FittedProject:
    """Fit a model on all labels of people.

    Raises `FeatureError` without features, `ProjectError` without labels of two classes.
    """
    refs = load_refs(project)
    store = FeatureStore.open(project.features_folder)
    features = PoolFeatures(store, refs, store.available())
    return prepare_fit(project, features, refs, state)()


def prepare_fit(
    project: ProjectFolder, features: PoolFeatures, refs: RefTable, state: LogState
) -> Callable[[], FittedProject]:
    """Read the labels of people now, and return the function that fits a model in any thread.

    It raises `ProjectError` without labels of two classes.
    """
    settings = project.settings
    strategy = StrategyChoice("random", estimator=settings.estimator)
    classes = settings.names
    snapshot = make_snapshot(
        features, state, classes, strategy, refs.rows, tree=settings.tree,
        multi=settings.multi_label, target_error=settings.target_error,
        text=load_text_prior(project, features.store),
    )  # fmt: skip

    def fit_now() -> FittedProject:
        check_snapshot(snapshot)
        _require_classes(project, snapshot)
        labelled = UnitRows(snapshot.features).take(snapshot.rows)
        # The fit of `learn` without the rest of it, mostly the history of the estimate.
        with one_thread():
            model = fit_model(
                settings.estimator, snapshot.version, len(classes), labelled, snapshot.y,
                parents=snapshot.parents, text=snapshot.text,
            )  # fmt: skip
        return FittedProject(model, snapshot, labelled, refs, features, classes)

    return fit_now


def _require_classes(project: ProjectFolder, snapshot: Snapshot) -> None:
    used = len(np.unique(snapshot.y, axis=0))
    if used < min(2, len(snapshot.classes)):
        few = (
            f"Only {plural(used, 'class has', 'classes have')} labels"
            if used
            else "No class has labels"
        )
        if used and snapshot.has_tags:
            few = "All labelled items have the same classes"
        raise ProjectError(
            f"{few}. Label at least 2: `annotator run {shell_quoted(project.folder)}`."
        )


def iter_predictions(fitted: FittedProject, mask: NDArray[np.bool_]) -> Iterator[Prediction]:
    """Predict the items of `mask` (n,) that have features, in order."""
    for rows, proba in predict_pieces(fitted, mask):
        yield from map(Prediction, map(fitted.refs.__getitem__, rows.tolist()), proba)


def predict_pieces(
    fitted: FittedProject, mask: NDArray[np.bool_]
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float64]]]:
    """Yield the pool rows of `mask` (n,) that have features, and their predictions, in pieces."""
    rows = np.flatnonzero(mask)
    for start in range(0, len(rows), CHUNK):
        part = rows[start : start + CHUNK]
        found = fitted.features.rows(part)
        usable = fitted.features.usable(found)
        vectors = fitted.features.store.matrix[found[usable]]
        if len(vectors):
            yield part[usable], fitted.model.predict_proba(vectors)


def drawn_labels(fitted: FittedProject) -> DrawnLabels:
    """Return the labels with their draws and their out-of-sample predictions."""
    X, snapshot, model = fitted.labelled, fitted.snapshot, fitted.model
    proba = out_of_sample_proba(model, X, snapshot.y)
    known = model.unit_proba(X)
    return DrawnLabels(proba, known, snapshot.y, snapshot.q, snapshot.pool, model.calibrated,
        targets=model.targets,
    )  # fmt: skip


def unlabelled_rows(refs: RefTable, state: LogState) -> NDArray[np.bool_]:
    """Return (n,) True for items without a label; skipped items are among them."""
    wanted = np.ones(len(refs), bool)
    labelled = [ref for ref in state.standing if state.label(ref) is not None]
    rows = refs.rows(labelled)
    wanted[rows[rows >= 0]] = False
    return wanted


def predictions_csv(project: ProjectFolder, state: LogState) -> Iterator[bytes]:
    """Write a CSV line for every unlabelled item: `ref,label,probability,model`, then one column
    for each class, which includes the classes below it. The probability is that of the whole
    label."""
    fitted = fit(project, state)
    names = list(fitted.classes)
    yield _csv_line(["ref", "label", "probability", "model", *(f"p({name})" for name in names)])
    count = 0
    for rows, proba in predict_pieces(fitted, unlabelled_rows(fitted.refs, state)):
        targets, labels = fitted.model.targets, fitted.labels(proba)
        sure = targets.confidence(proba)
        if fitted.snapshot.parents:
            proba = np.stack([targets.class_proba(proba, c) for c in range(len(names))], axis=1)
        for row, label, p, shares in zip(rows.tolist(), labels, sure, proba, strict=True):
            cells = [fitted.refs[row], label, f"{p:.4f}", fitted.model.name]
            yield _csv_line([*cells, *(f"{share:.4f}" for share in shares)])
        count += len(rows)
    if not count and unlabelled_rows(fitted.refs, state).any():
        raise FeatureError(
            "No unlabelled item has features. Compute them: "
            f"`annotator features {shell_quoted(project.folder)}`."
        )


def _csv_line(cells: list[str]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue().encode()
