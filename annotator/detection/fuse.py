"""What several detectors found in one image, as one set of boxes.

Weighted boxes fusion: Solovyov, Wang and Gabruseva, "Weighted boxes fusion: Ensembling boxes from
different object detection models", Image and Vision Computing 107 (2021). Non-maximum suppression
in its plain form and with decaying scores: Bodla et al., "Soft-NMS" (ICCV 2017).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annotator.detection.detections import Array, Detections, overlaps

METHODS = ("wbf", "nms", "soft-nms")
CONFIDENCES = ("avg", "max", "box_and_model_avg", "absent_model_aware_avg")
"""How weighted boxes fusion scores a cluster; the names are those of the published package."""
_SIGMA = 0.5
_GONE = 0.001


@dataclass(frozen=True, slots=True)
class Source:
    """Where a member of a fused box comes from."""

    list: int
    """Which of the lists of detections."""
    row: int
    """Which row of it."""
    model: int
    """Which model made that list; several passes of one model share its number."""
    score: float
    """The detector's own score."""
    box: tuple[float, ...]
    """Its own box: left, top, right, bottom."""


@dataclass(frozen=True, slots=True)
class Fused:
    """One box made of one or more detections of one class."""

    box: tuple[float, float, float, float]
    """Left, top, right, bottom."""
    name: str
    score: float
    """The method's score. With weighted boxes fusion it sinks where models are silent."""
    members: tuple[Source, ...]
    """What it was made of, the best first."""
    points: Array | None = None
    """(p, 2) landmarks, averaged as the box is."""

    @property
    def votes(self) -> int:
        """How many different models found it."""
        return len({member.model for member in self.members})

    @property
    def mean(self) -> float:
        """The mean of each model's best score for it; silent models do not count."""
        best: dict[int, float] = {}
        for member in self.members:
            best[member.model] = max(member.score, best.get(member.model, 0.0))
        return sum(best.values()) / len(best)


@dataclass(frozen=True, slots=True)
class _Pooled:
    """All detections of one class, the highest weighted score first."""

    boxes: Array
    scores: Array
    """(n,) times the weight of the list."""
    weights: Array
    sources: tuple[Source, ...]
    points: Array | None

    def group(self, rows: Sequence[int]) -> tuple[Source, ...]:
        return tuple(self.sources[row] for row in rows)


def fuse(
    found: Sequence[Detections],
    weights: Sequence[float] | None = None,
    *,
    models: Sequence[int] | None = None,
    method: str = "wbf",
    iou: float = 0.55,
    confidence: str = "avg",
) -> list[Fused]:
    """One list of boxes from several of the same image, the best first; classes never mix.

    `found` holds one list for each model, or for each pass of one; `models` says which model
    made each (by default each its own). Empty lists are lists like any others: they weigh in
    the score. Raises `ValueError` for weights that are not one above 0 for each list.
    """
    weighing = np.ones(len(found)) if weights is None else np.asarray(weights, np.float64)
    if len(weighing) != len(found) or not (weighing > 0).all():
        raise ValueError(f"{len(found)} lists of detections need as many weights above 0")
    owners = range(len(found)) if models is None else models
    fused: list[Fused] = []
    for name in sorted({name for each in found for name in each.names}):
        pooled = _pooled(name, found, weighing, owners)
        if method == "wbf":
            fused += _weighted(name, pooled, weighing, iou, _SCORES[confidence])
        else:
            fused += _suppressed(name, pooled, float(weighing.max()), iou, method == "soft-nms")
    return sorted(fused, key=lambda each: -each.score)


def _pooled(
    name: str, found: Sequence[Detections], weights: Array, models: Sequence[int]
) -> _Pooled:
    sources = [
        Source(place, row, models[place], float(each.scores[row]), tuple(each.boxes[row].tolist()))
        for place, each in enumerate(found)
        for row, called in enumerate(each.names)
        if called == name
    ]
    sources.sort(key=lambda s: -s.score * weights[s.list])
    marks = [m[s.row] for s in sources if (m := found[s.list].points) is not None]
    return _Pooled(
        np.array([found[s.list].boxes[s.row] for s in sources], np.float64),
        np.array([s.score * weights[s.list] for s in sources]),
        np.array([weights[s.list] for s in sources]),
        tuple(sources),
        np.array(marks) if len(marks) == len(sources) else None,
    )


# --- weighted boxes fusion

Score = Callable[[Array, Array, NDArray[np.int64], Array], float]
"""Of a cluster's weighted scores (m,), their weights (m,), their lists (m,), and all weights."""


def _average(scores: Array, _: Array, __: NDArray[np.int64], every: Array) -> float:
    """Equation 5 of the paper: the mean, times min(T, N) / N for T boxes of N models."""
    return float(scores.mean() * min(len(every), len(scores)) / every.sum())


def _highest(scores: Array, _: Array, __: NDArray[np.int64], every: Array) -> float:
    return float(scores.max() / every.max())


def _both(scores: Array, weights: Array, lists: NDArray[np.int64], every: Array) -> float:
    seen = every[np.unique(lists)].sum() / every.sum()
    return float(scores.sum() / weights.sum() * seen)


def _absent(scores: Array, weights: Array, lists: NDArray[np.int64], every: Array) -> float:
    silent = np.delete(every, np.unique(lists)).sum()
    return float(scores.sum() / (weights.sum() + silent))


_SCORES: dict[str, Score] = dict(
    zip(CONFIDENCES, (_average, _highest, _both, _absent), strict=True)
)


def _weighted(name: str, pooled: _Pooled, weights: Array, iou: float, score: Score) -> list[Fused]:
    fused = []
    for rows in _clusters(pooled, iou):
        scores = pooled.scores[rows]
        # All scores 0: every member counts the same.
        shares = scores / scores.sum() if scores.any() else np.full(len(rows), 1 / len(rows))
        left, top, right, bottom = (shares @ pooled.boxes[rows]).tolist()
        points = None if pooled.points is None else np.tensordot(shares, pooled.points[rows], 1)
        members = pooled.group(rows)
        lists = np.array([member.list for member in members])
        value = score(scores, pooled.weights[rows], lists, weights)
        fused.append(Fused((left, top, right, bottom), name, value, members, points))
    return fused


def _clusters(pooled: _Pooled, iou: float) -> list[list[int]]:
    """Each box, the best first, joins the fused box that it overlaps most, above `iou`, and
    moves that box; else it begins a cluster of its own."""
    clusters: list[list[int]] = []
    fused = np.zeros((len(pooled.boxes), 4))
    sums = np.zeros((len(pooled.boxes), 4))
    totals = np.zeros(len(pooled.boxes))
    for row, box in enumerate(pooled.boxes):
        shared = overlaps(fused[: len(clusters)], box)
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


def _suppressed(name: str, pooled: _Pooled, top: float, iou: float, soft: bool) -> list[Fused]:
    """The boxes that stay. Members are all boxes that overlap one of them above `iou`."""
    fused = []
    scores = pooled.scores / top
    left = np.ones(len(scores), bool)
    while left.any():
        row = int(np.where(left, scores, -1.0).argmax())
        shared = overlaps(pooled.boxes, pooled.boxes[row])
        near = shared > iou
        near[row] = True
        others = [other for other in np.flatnonzero(near).tolist() if other != row]
        a, b, c, d = pooled.boxes[row].tolist()
        points = None if pooled.points is None else pooled.points[row]
        members = pooled.group([row, *others])
        fused.append(Fused((a, b, c, d), name, float(scores[row]), members, points))
        left[row] = False
        if soft:
            scores = np.where(left, scores * np.exp(-(shared**2) / _SIGMA), scores)
            left &= scores > _GONE
        else:
            left &= ~near
    return fused
