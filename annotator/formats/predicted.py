"""What the model says of a pool, in two numbers an item."""

from __future__ import annotations

import numpy as np

from annotator.items.ref_table import RefTable
from annotator.log.entries import LogState
from annotator.project.project import ProjectFolder
from annotator.session.predict import fit, iter_predictions, unlabelled_rows

_BATCH = 1 << 14


class PoolPredictions:
    """Class and probability of every item that nobody has labelled and that has features."""

    def __init__(self, project: ProjectFolder, refs: RefTable, state: LogState) -> None:
        """Raises `FeatureError` without features, `ProjectError` without labels of two classes."""
        fitted = fit(project, state)
        self.model = fitted.model.name
        self._names = fitted.classes
        self._code = np.full(len(refs), -1, np.int32)
        self._score = np.zeros(len(refs), np.float32)
        batch: list[str] = []
        codes: list[int] = []
        scores: list[float] = []
        for prediction in iter_predictions(fitted, unlabelled_rows(refs, state)):
            batch.append(prediction.ref)
            codes.append(int(prediction.proba.argmax()))
            scores.append(float(prediction.proba.max()))
            if len(batch) >= _BATCH:
                self._keep(refs, batch, codes, scores)
        self._keep(refs, batch, codes, scores)

    def of(self, row: int) -> tuple[str, float, str] | None:
        """Class, probability and model."""
        code = int(self._code[row])
        if code < 0:
            return None
        return self._names[code], round(float(self._score[row]), 6), self.model

    def _keep(
        self, refs: RefTable, batch: list[str], codes: list[int], scores: list[float]
    ) -> None:
        if batch:
            rows = refs.rows(batch)
            self._code[rows], self._score[rows] = codes, scores
        batch.clear()
        codes.clear()
        scores.clear()
