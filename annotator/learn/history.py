"""The history of the estimate, and of how far successive models agree."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annotator.learn.error_estimate import ErrorEstimate
from annotator.learn.stopping import EstimatePoint, extend_history, model_agreement

STEP = 10
STOP_SET = 1000


@dataclass(frozen=True, slots=True)
class ModelHistory:
    """Grown with every ranking; a label that is taken back takes its part away."""

    points: tuple[EstimatePoint, ...] = ()
    """The estimates so far, by number of labels."""
    kappas: tuple[float, ...] = ()
    """Cohen's κ of models 10 labels apart on a fixed sample of the pool, latest last."""
    sample_classes: NDArray[np.int64] | None = None
    """(k,) classes on that sample by the model at the last multiple of 10 labels."""
    labels: int = 0

    def extended(
        self, labels: int, estimate: ErrorEstimate | None, sample_classes: NDArray[np.int64] | None
    ) -> ModelHistory:
        """With the model of `labels` labels, and what it says of the sample, where asked."""
        points = extend_history(self.points, labels, estimate)
        if labels < self.labels or sample_classes is None:
            kept = self.kappas[: max(labels // STEP - 1, 0)]
            before = self.sample_classes if labels >= self.labels else None
            return ModelHistory(points, kept, before, labels)
        before = self.sample_classes
        fresh: tuple[float, ...] = ()
        if before is not None and len(before) == len(sample_classes):
            fresh = (model_agreement(before, sample_classes),)
        return ModelHistory(points, (*self.kappas, *fresh), sample_classes, labels)


def is_comparison_due(labels: int, past: ModelHistory) -> bool:
    """Whether the model of `labels` labels is one to compare: at every 10th label."""
    return labels // STEP > past.labels // STEP or (past.sample_classes is None and labels >= STEP)
