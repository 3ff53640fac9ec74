"""The estimated error of a project's model on its whole pool, from the log and the features."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from annotator.errors import AnnotatorError
from annotator.learn.error_estimate import ErrorEstimate
from annotator.learn.ranking import Snapshot, estimate_alone
from annotator.log.entries import LogState
from annotator.project.project import ProjectFolder
from annotator.session.predict import FittedProject, fit

_FIELDS = ("error", "low", "high", "n_eff", "labels")


def with_open_rows(fitted: FittedProject) -> Snapshot:
    """Return the snapshot with its unlabelled rows open: the estimate covers them, too."""
    closed = np.zeros(len(fitted.snapshot.closed), bool)
    closed[fitted.snapshot.rows] = True
    return replace(fitted.snapshot, closed=closed, want=1)


def estimate_as_dict(estimate: ErrorEstimate | None) -> dict[str, Any] | None:
    """Return an estimate as shares; None while it rests on too few labels."""
    if estimate is None or not estimate.shown:
        return None
    return {name: getattr(estimate, name) for name in _FIELDS}


def estimate_project(project: ProjectFolder, state: LogState) -> dict[str, Any] | None:
    """Return the estimate of a project; None without features, or with too few labels.

    A classifier of the user's own is not run: reading the figures of a project runs no code of it.
    """
    if ":" in project.settings.estimator or not project.has_features:
        return None
    try:
        fitted = fit(project, state)
        snapshot, seed = with_open_rows(fitted), project.settings.seed
        return estimate_as_dict(estimate_alone(snapshot, fitted.model, seed))
    except AnnotatorError:
        return None  # too few classes, or features that `doctor` has words for
