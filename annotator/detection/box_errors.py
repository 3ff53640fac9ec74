"""Doubts about the labelled boxes of one image, by the boxes that a detector predicts.

The three kinds are those of ObjectLab (Tkachenko, Thyagarajan & Mueller 2023, arXiv:2309.00832):
an object without a box, a box in the wrong place, and a box of the wrong class. Here each doubt is
the score of a prediction times the part of it that contradicts the labels, from 0 to 1. So no
threshold decides which predictions count, and a sure prediction of the label's own class clears it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from annotator.detection.detections import Detections, FloatArray, compute_ious

SAME_PLACE = 0.5
"""The IoU from which a prediction is of a box that is there already."""
TOUCHING = 0.1
"""The least IoU of a box in the wrong place with its object."""


class BoxDoubts(NamedTuple):
    """The doubts about n labelled boxes and m predictions of one image."""

    overlooked: FloatArray
    """(m,) that a predicted object has no box."""
    misplaced: FloatArray
    """(n,) that a box is in the wrong place."""
    better: NDArray[np.int64]
    """(n,) the prediction of its class that fits a box best; -1 without one."""
    swapped: FloatArray
    """(n,) that a box has the class of another object."""
    other: NDArray[np.int64]
    """(n,) the prediction of another class that fits a box best; -1 without one."""


def doubt_boxes(boxes: FloatArray, names: Sequence[str], predicted: Detections) -> BoxDoubts:
    """Compare labelled boxes (n, 4) and their classes with the predictions of one detector."""
    n, m = len(boxes), len(predicted)
    if not n or not m:
        free, none = predicted.scores.astype(float), np.full(n, -1, np.int64)
        return BoxDoubts(free, np.zeros(n), none, np.zeros(n), none)
    ious = np.stack([compute_ious(predicted.boxes, box) for box in boxes])
    same = np.array(names, object)[:, None] == np.array(predicted.names, object)[None, :]
    nearest = ious.max(axis=0)
    overlooked = np.where(nearest < SAME_PLACE, predicted.scores * (1 - nearest), 0.0)
    fit = ious * predicted.scores
    mine = np.where(same & (ious >= TOUCHING), fit, -1.0)
    theirs = np.where(~same & (ious >= SAME_PLACE), fit, -1.0)
    each, better, other = np.arange(n), mine.argmax(axis=1), theirs.argmax(axis=1)
    has_mine, has_theirs = mine.max(axis=1) >= 0, theirs.max(axis=1) >= 0
    overlooked[better[has_mine]] = 0.0  # the object of a box, which may lie beside it
    misplaced = predicted.scores[better] * (1 - ious[each, better])
    swapped = fit[each, other] * (1 - np.maximum(0, mine.max(axis=1)))
    return BoxDoubts(
        overlooked,
        np.where(has_mine, misplaced, 0.0), np.where(has_mine, better, -1),
        np.where(has_theirs, swapped, 0.0), np.where(has_theirs, other, -1),
    )  # fmt: skip
