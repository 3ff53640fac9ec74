"""The predictions of a project's model for the items of an export."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from annotator.formats.levels import ClassLevel
from annotator.items.ref_table import RefTable
from annotator.log.entries import LogState
from annotator.project.project import ProjectFolder
from annotator.session.predict import FittedProject, fit, predict_pieces, unlabelled_rows

_HALF = 0.5


class PoolPredictions:
    """The predicted class and probability of every unlabelled item with features."""

    def __init__(
        self, project: ProjectFolder, refs: RefTable, state: LogState, level: ClassLevel | None
    ) -> None:
        """Fit the model and predict, the classes of `level` if there is one.

        Raises `FeatureError` without features, `ProjectError` without labels of two classes.
        """
        fitted = fit(project, state)
        self.model = fitted.model.name
        self._code = np.full(len(refs), -1, np.int32)
        self._score = np.zeros(len(refs), np.float32)
        if fitted.snapshot.has_tags:
            self._names = self._predict_sets(fitted, refs, state)
            return
        self._names = fitted.classes if level is None else level.names(fitted.classes)
        sums = None if level is None else level.matrix(fitted.classes)
        for rows, proba in predict_pieces(fitted, unlabelled_rows(refs, state)):
            if sums is not None:
                proba = proba @ sums
            self._score[rows] = proba.max(axis=1)
            # With half of the probability above the level, the model does not tell its classes.
            named = proba.sum(axis=1) >= _HALF
            self._code[rows] = np.where(named, proba.argmax(axis=1), -1)

    def _predict_sets(
        self, fitted: FittedProject, refs: RefTable, state: LogState
    ) -> tuple[str, ...]:
        """Predict sets of classes, which have no levels, and return all that were predicted."""
        codes: dict[str, int] = {}
        for rows, proba in predict_pieces(fitted, unlabelled_rows(refs, state)):
            labels = fitted.labels(proba)
            self._code[rows] = [codes.setdefault(label, len(codes)) for label in labels]
            self._score[rows] = fitted.model.targets.confidence(proba)
        return tuple(codes)

    @property
    def predicted(self) -> NDArray[np.bool_]:
        """(n,) whether each row has a prediction."""
        return self._code >= 0

    def get(self, row: int) -> tuple[str, float, str] | None:
        """Return the class, the probability and the model's name for a row, None without them."""
        code = int(self._code[row])
        if code < 0:
            return None
        return self._names[code], round(float(self._score[row]), 6), self.model
