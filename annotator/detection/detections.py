"""The detections of one model in one image, and the geometry of boxes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotator.items.refs import Box

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Detections:
    """The boxes of one image, in pixels of the upright image."""

    boxes: FloatArray
    """(n, 4) left, top, right, bottom."""
    scores: FloatArray
    """(n,) from 0 to 1."""
    names: tuple[str, ...]
    """(n,) class names."""
    points: FloatArray | None = None
    """(n, p, 2) landmarks, x and y; None if the detector finds none."""

    def __post_init__(self) -> None:
        n = len(self.names)
        assert self.boxes.shape == (n, 4) and self.scores.shape == (n,)

    @classmethod
    def empty(cls) -> Detections:
        """Return no detections."""
        return cls(np.zeros((0, 4)), np.zeros(0), ())

    @classmethod
    def parse(cls, row: Mapping[str, Any]) -> Detections:
        """Read the detections that `as_dict` wrote."""
        names = tuple(map(str, row["names"]))
        boxes = np.array(row["boxes"], np.float64).reshape(len(names), 4)
        points = row.get("points")
        marks = None if points is None else np.array(points, np.float64).reshape(len(names), -1, 2)
        return cls(boxes, np.array(row["scores"], np.float64), names, marks)

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON; coordinates are rounded to hundredths of a pixel."""
        row = {
            "boxes": np.round(self.boxes, 2).tolist(),
            "scores": np.round(self.scores, 6).tolist(),
            "names": list(self.names),
        }
        return row if self.points is None else {**row, "points": np.round(self.points, 2).tolist()}

    def __len__(self) -> int:
        return len(self.names)

    def take(self, rows: Sequence[int] | NDArray[np.int64]) -> Detections:
        """Return the detections in `rows`, in that order."""
        picked = np.asarray(rows, np.int64)
        names = tuple(self.names[row] for row in picked)
        points = None if self.points is None else self.points[picked]
        return Detections(self.boxes[picked], self.scores[picked], names, points)

    def above_score(self, score: float) -> Detections:
        """Return the detections with at least `score`."""
        return self.take(np.flatnonzero(self.scores >= score))

    def select_classes(self, names: Iterable[str] | None, renames: Mapping[str, str]) -> Detections:
        """Rename the classes, and return the detections whose class is in `names` (None: all)."""
        renamed = replace(self, names=tuple(renames.get(name, name) for name in self.names))
        if names is None:
            return renamed
        wanted = set(names)
        return renamed.take([row for row, name in enumerate(renamed.names) if name in wanted])

    def shift(self, x: float, y: float) -> Detections:
        """Shift the detections: from the pixels of a tile to those of its image."""
        points = None if self.points is None else self.points + (x, y)
        return replace(self, boxes=self.boxes + (x, y, x, y), points=points)


def concatenate_detections(parts: Sequence[Detections]) -> Detections:
    """Join `parts`, one after the other; landmarks are kept if every part has them."""
    filled = [part for part in parts if len(part)]
    if not filled:
        return Detections.empty()
    points = [part.points for part in filled if part.points is not None]
    return Detections(
        np.concatenate([part.boxes for part in filled]),
        np.concatenate([part.scores for part in filled]),
        tuple(name for part in filled for name in part.names),
        np.concatenate(points) if len(points) == len(filled) else None,
    )


def clean_detections(
    detections: Detections, size: tuple[int, int]
) -> tuple[Detections, dict[str, int]]:
    """Cut detections to an image of (width, height), and count those left out by reason.

    A detection is left out if its score is not a number from 0 to 1, if a coordinate is not a
    number, or if nothing of it is inside the image.
    """
    finite = np.isfinite(detections.boxes).all(axis=1)
    if detections.points is not None:
        finite &= np.isfinite(detections.points).all(axis=(1, 2))
    scored = (detections.scores >= 0) & (detections.scores <= 1)  # NaN compares false
    width, height = size
    boxes = np.clip(np.nan_to_num(detections.boxes), 0, (width, height, width, height))
    filled = (boxes[:, 2] - boxes[:, 0] >= 0.01) & (boxes[:, 3] - boxes[:, 1] >= 0.01)
    reasons = {
        "with a score that is not a number from 0 to 1": int((~scored).sum()),
        "with a coordinate that is not a number": int((scored & ~finite).sum()),
        "empty or outside the image": int((scored & finite & ~filled).sum()),
    }
    good = replace(detections, boxes=boxes).take(np.flatnonzero(finite & scored & filled))
    return good, {reason: count for reason, count in reasons.items() if count}


def iou(a: Box, b: Box) -> float:
    """Return the intersection over union of two boxes, from 0 to 1."""
    across = min(a.right, b.right) - max(a.x, b.x)
    down = min(a.bottom, b.bottom) - max(a.y, b.y)
    if across <= 0 or down <= 0:
        return 0.0
    common = across * down
    return common / (a.w * a.h + b.w * b.h - common)


def compute_ious(boxes: FloatArray, box: FloatArray) -> FloatArray:
    """Compute the intersection over union (n,) of each of `boxes` (n, 4) with `box` (4,)."""
    common, areas, area = _intersections(boxes, box)
    union = areas + area - common
    return np.divide(common, union, out=np.zeros_like(common), where=union > 0)


def compute_coverage(boxes: FloatArray, box: FloatArray) -> FloatArray:
    """Compute the intersection (n,) over the smaller of the two areas."""
    common, areas, area = _intersections(boxes, box)
    smaller = np.minimum(areas, area)
    return np.divide(common, smaller, out=np.zeros_like(common), where=smaller > 0)


def _intersections(boxes: FloatArray, box: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    sides = np.minimum(boxes[:, 2:], box[2:]) - np.maximum(boxes[:, :2], box[:2])
    common = np.maximum(sides, 0).prod(axis=1)
    return common, (boxes[:, 2:] - boxes[:, :2]).prod(axis=1), (box[2:] - box[:2]).prod()
