"""Average precision of detections against known boxes, computed as COCO does."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from annotator.detection.detections import Detections, FloatArray, compute_ious
from annotator.errors import RefError
from annotator.items.refs import make_printable

MAX_DETECTIONS = 100
"""Number of detections per image and class that count, the best first."""
_RECALLS = np.linspace(0, 1, 101)


@dataclass(frozen=True, slots=True)
class GroundTruthBoxes:
    """The true objects of one image."""

    boxes: FloatArray
    """(n, 4) left, top, right, bottom."""
    names: tuple[str, ...]


def detection_average_precision(
    truth: Mapping[str, GroundTruthBoxes], detections: Mapping[str, Detections], iou: float = 0.5
) -> dict[str, float]:
    """Compute the AP of each class of the truth at one IoU: the mean precision at 101 recalls.

    Images that the truth lacks do not count; images that `detections` lacks count as misses.
    """
    names = sorted({name for each in truth.values() for name in each.names})
    return {name: _class_precision(name, truth, detections, iou) for name in names}


def _class_precision(
    name: str,
    truth: Mapping[str, GroundTruthBoxes],
    detections: Mapping[str, Detections],
    iou: float,
) -> float:
    scores: list[float] = []
    right: list[bool] = []
    count = 0
    for path, known in truth.items():
        objects = known.boxes[[row for row, called in enumerate(known.names) if called == name]]
        count += len(objects)
        of_image = detections.get(path, Detections.empty())
        of_class = of_image.take(
            [row for row, called in enumerate(of_image.names) if called == name]
        )
        best = of_class.take(np.argsort(-of_class.scores, kind="stable")[:MAX_DETECTIONS])
        scores += best.scores.tolist()
        right += _match_boxes(best.boxes, objects, iou)
    return _precision_area(np.array(scores), np.array(right, bool), count)


def _match_boxes(boxes: FloatArray, objects: FloatArray, iou: float) -> list[bool]:
    """Return for each box, the best first, whether it is the first to find an object.

    A box takes the object that it overlaps most, of those that no box has taken.
    """
    left = np.ones(len(objects), bool)
    right = []
    for box in boxes:
        shared = np.where(left, compute_ious(objects, box), -1.0)
        at = int(shared.argmax()) if len(shared) else -1
        right.append(at >= 0 and bool(shared[at] >= iou))
        if right[-1]:
            left[at] = False
    return right


def _precision_area(scores: FloatArray, right: Any, count: int) -> float:
    if not len(scores):
        return 0.0
    hits = np.cumsum(right[np.argsort(-scores, kind="stable")])
    precision = hits / np.arange(1, len(hits) + 1)
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    at = np.searchsorted(hits / count, _RECALLS, side="left")
    return float(np.where(at < len(hits), precision[np.minimum(at, len(hits) - 1)], 0.0).mean())


def read_truth(file: Path, classes: Sequence[str] = ()) -> dict[str, GroundTruthBoxes]:
    """Read the boxes of a COCO JSON by file name; only those of `classes`, if any are given.

    Crowds are left out. Raises `RefError` for another file.
    """
    wanted = {name.casefold() for name in classes}
    try:
        data = json.loads(file.read_bytes())
        names = {row["id"]: str(row["name"]) for row in data["categories"]}
        images = {row["id"]: str(row["file_name"]) for row in data["images"]}
        rows: dict[str, list[tuple[list[float], str]]] = {path: [] for path in images.values()}
        for row in data["annotations"]:
            name = names[row["category_id"]]
            if not row.get("iscrowd") and (not wanted or name.casefold() in wanted):
                x, y, w, h = map(float, row["bbox"])
                rows[images[row["image_id"]]].append(([x, y, x + w, y + h], name))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RefError(
            f"{make_printable(str(file))} is not a COCO JSON "
            f"({type(error).__name__}: {make_printable(str(error))}). It needs images, "
            "annotations and categories."
        ) from error
    return {
        path: GroundTruthBoxes(
            np.array([box for box, _ in found]).reshape(-1, 4), tuple(name for _, name in found)
        )
        for path, found in rows.items()
    }
