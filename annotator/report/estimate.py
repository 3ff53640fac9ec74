"""The estimated error of a project's model on its whole pool, from the log and the features."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import numpy as np

from annotator.learn.error_estimate import ErrorEstimate
from annotator.learn.ranking import Snapshot
from annotator.session.predict import FittedProject

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
    found = {name: getattr(estimate, name) for name in _FIELDS}
    return found if estimate.tags is None else {**found, "each_class": asdict(estimate.tags)}
