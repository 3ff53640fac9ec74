"""The fusion of several detectors' boxes in one image.

Weighted boxes fusion: Solovyov, Wang and Gabruseva, "Weighted boxes fusion: Ensembling boxes from
different object detection models", Image and Vision Computing 107 (2021). Non-maximum suppression
in its plain form and with decaying scores: Bodla et al., "Soft-NMS" (ICCV 2017).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annotator.detection.detections import Detections, FloatArray, compute_ious

FUSION_METHODS = ("wbf", "nms", "soft-nms")
CONFIDENCE_TYPES = ("avg", "max", "box_and_model_avg", "absent_model_aware_avg")
"""Scores of a cluster in weighted boxes fusion, under the names of the published package."""
_SIGMA = 0.5
_MIN_SOFT_SCORE = 0.001


@dataclass(frozen=True, slots=True)
class BoxSource:
    """The source of a member of a fused box."""

    list_index: int
    """The index of the list of detections that the member came from."""
    row: int
    """The row in that list."""
    model: int
    """The number of the model that made the list; several passes of one model share it."""
    score: float
    """The detector's own score."""
    box: tuple[float, ...]
    """The detector's own box: left, top, right, bottom."""


@dataclass(frozen=True, slots=True)
class FusedBox:
    """A box made of one or more detections of one class."""

    box: tuple[float, float, float, float]
    """Left, top, right, bottom."""
    name: str
    score: float
    """The method's score. In weighted boxes fusion it sinks with each model that has no box."""
    members: tuple[BoxSource, ...]
    """The detections that the box was made of, the best first."""
    points: FloatArray | None = None
    """(p, 2) landmarks, averaged as the box is."""

    @property
    def votes(self) -> int:
        """The number of different models that found the box."""
        return len({member.model for member in self.members})

    @property
    def mean(self) -> float:
        """The mean of the best scores of the models that found it."""
        best: dict[int, float] = {}
        for member in self.members:
            best[member.model] = max(member.score, best.get(member.model, 0.0))
        return sum(best.values()) / len(best)


@dataclass(frozen=True, slots=True)
class _ClassDetections:
    """All detections of one class, the highest weighted score first."""

    boxes: FloatArray
    scores: FloatArray
    """(n,) times the weight of the list."""
    weights: FloatArray
    sources: tuple[BoxSource, ...]
    points: FloatArray | None

    def group(self, rows: Sequence[int]) -> tuple[BoxSource, ...]:
        return tuple(self.sources[row] for row in rows)


def fuse(
    detections: Sequence[Detections],
    weights: Sequence[float] | None = None,
    *,
    models: Sequence[int] | None = None,
    method: str = "wbf",
    iou: float = 0.55,
    confidence: str = "avg",
) -> list[FusedBox]:
    """Fuse several lists of boxes of one image into one, the best first; classes never mix.

    `detections` holds one list for each model, or for each pass of one; `models` holds the number
    of the model of each list (by default, one model per list). Empty lists count in the score.
    Raises `ValueError` unless each list has a weight above 0.
    """
    weighing = np.ones(len(detections)) if weights is None else np.asarray(weights, np.float64)
    if len(weighing) != len(detections) or not (weighing > 0).all():
        raise ValueError(f"{len(detections)} lists of detections need one weight above 0 each")
    owners = range(len(detections)) if models is None else models
    fused: list[FusedBox] = []
    for name in sorted({name for each in detections for name in each.names}):
        pooled = _pool_class(name, detections, weighing, owners)
        if method == "wbf":
            fused += _weighted_fusion(name, pooled, weighing, iou, _SCORES[confidence])
        else:
            fused += _suppress_boxes(name, pooled, float(weighing.max()), iou, method == "soft-nms")
    return sorted(fused, key=lambda each: -each.score)


def _pool_class(
    name: str, detections: Sequence[Detections], weights: FloatArray, models: Sequence[int]
) -> _ClassDetections:
    sources = [
        BoxSource(
            place, row, models[place], float(each.scores[row]), tuple(each.boxes[row].tolist())
        )
        for place, each in enumerate(detections)
        for row, called in enumerate(each.names)
        if called == name
    ]
    sources.sort(key=lambda s: -s.score * weights[s.list_index])
    marks = [m[s.row] for s in sources if (m := detections[s.list_index].points) is not None]
    return _ClassDetections(
        np.array([detections[s.list_index].boxes[s.row] for s in sources], np.float64),
        np.array([s.score * weights[s.list_index] for s in sources]),
        np.array([weights[s.list_index] for s in sources]),
        tuple(sources),
        np.array(marks) if len(marks) == len(sources) else None,
    )


# --- weighted boxes fusion

ScoreFunction = Callable[[FloatArray, FloatArray, NDArray[np.int64], FloatArray], float]
"""A function of a cluster's weighted scores (m,), their weights (m,), their lists (m,), and the
weights of all lists."""


def _average_score(
    scores: FloatArray, _: FloatArray, __: NDArray[np.int64], list_weights: FloatArray
) -> float:
    """Compute equation 5 of the paper: the mean, times min(T, N) / N for T boxes of N models."""
    return float(scores.mean() * min(len(list_weights), len(scores)) / list_weights.sum())


def _maximum_score(
    scores: FloatArray, _: FloatArray, __: NDArray[np.int64], list_weights: FloatArray
) -> float:
    return float(scores.max() / list_weights.max())


def _box_and_model_score(
    scores: FloatArray, weights: FloatArray, lists: NDArray[np.int64], list_weights: FloatArray
) -> float:
    seen = list_weights[np.unique(lists)].sum() / list_weights.sum()
    return float(scores.sum() / weights.sum() * seen)


def _absent_model_score(
    scores: FloatArray, weights: FloatArray, lists: NDArray[np.int64], list_weights: FloatArray
) -> float:
    silent = np.delete(list_weights, np.unique(lists)).sum()
    return float(scores.sum() / (weights.sum() + silent))


_SCORES: dict[str, ScoreFunction] = dict(
    zip(
        CONFIDENCE_TYPES,
        (_average_score, _maximum_score, _box_and_model_score, _absent_model_score),
        strict=True,
    )
)


def _weighted_fusion(
    name: str, pooled: _ClassDetections, weights: FloatArray, iou: float, score: ScoreFunction
) -> list[FusedBox]:
    fused = []
    for rows in _cluster_boxes(pooled, iou):
        scores = pooled.scores[rows]
        # All scores 0: every member counts the same.
        shares = scores / scores.sum() if scores.any() else np.full(len(rows), 1 / len(rows))
        left, top, right, bottom = (shares @ pooled.boxes[rows]).tolist()
        points = None if pooled.points is None else np.tensordot(shares, pooled.points[rows], 1)
        members = pooled.group(rows)
        lists = np.array([member.list_index for member in members])
        value = score(scores, pooled.weights[rows], lists, weights)
        fused.append(FusedBox((left, top, right, bottom), name, value, members, points))
    return fused


def _cluster_boxes(pooled: _ClassDetections, iou: float) -> list[list[int]]:
    """Cluster the boxes, the best first.

    A box joins the fused box that it overlaps most, above `iou`, and moves it; else it begins a
    cluster of its own.
    """
    clusters: list[list[int]] = []
    fused = np.zeros((len(pooled.boxes), 4))
    sums = np.zeros((len(pooled.boxes), 4))
    totals = np.zeros(len(pooled.boxes))
    for row, box in enumerate(pooled.boxes):
        shared = compute_ious(fused[: len(clusters)], box)
        at = int(shared.argmax()) if len(shared) else -1
        if at < 0 or shared[at] <= iou:
            at = len(clusters)
            clusters.append([])
            fused[at] = box
        clusters[at].append(row)
        sums[at] += pooled.scores[row] * box
        totals[at] += pooled.scores[row]
        if totals[at] > 0:
            fused[at] = sums[at] / totals[at]
    return clusters


# --- suppression


def _suppress_boxes(
    name: str, pooled: _ClassDetections, top: float, iou: float, soft: bool
) -> list[FusedBox]:
    """Return the boxes that stay, each with all boxes that overlap it above `iou` as members."""
    fused = []
    scores = pooled.scores / top
    left = np.ones(len(scores), bool)
    while left.any():
        row = int(np.where(left, scores, -1.0).argmax())
        shared = compute_ious(pooled.boxes, pooled.boxes[row])
        near = shared > iou
        near[row] = True
        others = [other for other in np.flatnonzero(near).tolist() if other != row]
        a, b, c, d = pooled.boxes[row].tolist()
        points = None if pooled.points is None else pooled.points[row]
        members = pooled.group([row, *others])
        fused.append(FusedBox((a, b, c, d), name, float(scores[row]), members, points))
        left[row] = False
        if soft:
            scores = np.where(left, scores * np.exp(-(shared**2) / _SIGMA), scores)
            left &= scores > _MIN_SOFT_SCORE
        else:
            left &= ~near
    return fused
