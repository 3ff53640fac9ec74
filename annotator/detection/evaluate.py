"""Average precision of detections against known boxes, computed as COCO does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotator.detection.detections import Detections, FloatArray
from annotator.detection.ensemble import map_class_names
from annotator.errors import RefError
from annotator.items.atomic import read_file
from annotator.items.json_text import parse_json
from annotator.items.refs import make_printable

MAX_DETECTIONS = 100
"""Number of detections per image and class that count, the best first."""
_RECALLS = np.linspace(0, 1, 101)
_IOUS = np.linspace(0.5, 0.95, 10)
"""The thresholds of AP 50–95."""


@dataclass(frozen=True, slots=True)
class GroundTruthBoxes:
    """The true objects of one image."""

    boxes: FloatArray
    """(n, 4) left, top, right, bottom."""
    names: tuple[str, ...]
    crowd: NDArray[np.bool_]
    """(n,) true for a group of objects: a box in it is neither right nor wrong."""


@dataclass(frozen=True, slots=True)
class DetectionFigures:
    """The figures of one model; AP of all its boxes, precision and recall from its threshold."""

    ap: dict[str, float]
    """AP of each class: the mean over the IoU thresholds 0.5, 0.55 … 0.95."""
    ap50: dict[str, float]
    ap75: dict[str, float]
    precision: float
    """The share of the boxes from the threshold on that find an object at IoU 0.5."""
    recall: float
    """The share of the objects that those boxes find."""

    def means(self) -> dict[str, float]:
        """Return each figure, as the mean of the classes."""
        values = {"ap": self.ap, "ap50": self.ap50, "ap75": self.ap75}
        means = {key: sum(each.values()) / max(1, len(each)) for key, each in values.items()}
        return {**means, "precision": self.precision, "recall": self.recall}


@dataclass(frozen=True, slots=True)
class _Matches:
    """The boxes of one class in all images, and what they find at each IoU threshold."""

    scores: FloatArray
    """(n,)"""
    right: NDArray[np.bool_]
    """(thresholds, n) true if the box finds an object."""
    ignored: NDArray[np.bool_]
    """(thresholds, n) true if the box lies in a crowd."""
    count: int
    """Number of objects, without crowds."""

    def average_precision(self, place: int) -> float:
        """Return the mean precision at 101 recalls, at one threshold."""
        order = np.argsort(-self.scores, kind="stable")
        order = order[~self.ignored[place][order]]
        if not len(order):
            return 0.0
        hits = np.cumsum(self.right[place][order])
        precision = hits / (np.arange(1, len(hits) + 1) + np.spacing(1))
        precision = np.maximum.accumulate(precision[::-1])[::-1]
        at = np.searchsorted(hits / self.count, _RECALLS, side="left")
        return float(np.where(at < len(hits), precision[np.minimum(at, len(hits) - 1)], 0.0).mean())


def detection_average_precision(
    truth: Mapping[str, GroundTruthBoxes], detections: Mapping[str, Detections], iou: float = 0.5
) -> dict[str, float]:
    """Compute the AP of each class of the truth at one IoU: the mean precision at 101 recalls.

    Images that the truth lacks do not count; images that `detections` lacks count as misses.
    """
    matches = _match_classes(truth, detections, np.array([iou]))
    return {name: each.average_precision(0) for name, each in matches.items()}


def evaluate_detections(
    truth: Mapping[str, GroundTruthBoxes],
    detections: Mapping[str, Detections],
    threshold: float = 0.0,
) -> DetectionFigures:
    """Compute the AP of all detections, and the precision and recall of those from `threshold`."""
    matches = _match_classes(truth, detections, _IOUS)
    ap = {
        name: [each.average_precision(place) for place in range(len(_IOUS))]
        for name, each in matches.items()
    }
    boxes = hits = 0
    for each in matches.values():
        counted = (each.scores >= threshold) & ~each.ignored[0]
        boxes += int(counted.sum())
        hits += int((counted & each.right[0]).sum())
    objects = sum(each.count for each in matches.values())
    return DetectionFigures(
        {name: float(np.mean(values)) for name, values in ap.items()},
        {name: values[0] for name, values in ap.items()},
        {name: values[5] for name, values in ap.items()},
        hits / boxes if boxes else 0.0,
        hits / objects if objects else 0.0,
    )


def _match_classes(
    truth: Mapping[str, GroundTruthBoxes], detections: Mapping[str, Detections], ious: FloatArray
) -> dict[str, _Matches]:
    """Match the detections of each class that has an object which is not a crowd."""
    names = sorted({name for each in truth.values() for name in each.names})
    matches = {name: _match_class(name, truth, detections, ious) for name in names}
    return {name: each for name, each in matches.items() if each.count}


def _match_class(
    name: str,
    truth: Mapping[str, GroundTruthBoxes],
    detections: Mapping[str, Detections],
    ious: FloatArray,
) -> _Matches:
    scores, right, ignored = [np.zeros(0)], list[Any](), list[Any]()
    count = 0
    for path, known in truth.items():
        rows = [row for row, called in enumerate(known.names) if called == name]
        crowd = known.crowd[rows]
        order = np.argsort(crowd, kind="stable")  # crowds are the last choice
        rows, crowd = [rows[at] for at in order], crowd[order]
        count += int((~crowd).sum())
        of_image = detections.get(path, Detections.empty())
        of_class = of_image.take(
            [row for row, called in enumerate(of_image.names) if called == name]
        )
        best = of_class.take(np.argsort(-of_class.scores, kind="stable")[:MAX_DETECTIONS])
        scores.append(best.scores)
        shared = _compute_overlaps(best.boxes, known.boxes[rows], crowd)
        found = [_match_boxes(shared, crowd, iou) for iou in ious]
        right.append(np.array([each[0] for each in found]).reshape(len(ious), -1))
        ignored.append(np.array([each[1] for each in found]).reshape(len(ious), -1))
    none = np.zeros((len(ious), 0), bool)
    return _Matches(
        np.concatenate(scores),
        np.concatenate([none, *right], 1).astype(bool),
        np.concatenate([none, *ignored], 1).astype(bool),
        count,
    )


def _compute_overlaps(
    boxes: FloatArray, objects: FloatArray, crowd: NDArray[np.bool_]
) -> FloatArray:
    """Compute the IoU (boxes, objects); for a crowd, the share of the box that lies in it."""
    sides = np.minimum(boxes[:, None, 2:], objects[None, :, 2:]) - np.maximum(
        boxes[:, None, :2], objects[None, :, :2]
    )
    common = np.maximum(sides, 0).prod(axis=2)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)[:, None]
    others = (objects[:, 2:] - objects[:, :2]).prod(axis=1)[None]
    union = np.where(crowd[None], areas, areas + others - common)
    return np.asarray(np.divide(common, union, out=np.zeros_like(common), where=union > 0))


def _match_boxes(
    shared: FloatArray, crowd: NDArray[np.bool_], iou: float
) -> tuple[list[bool], list[bool]]:
    """Return for each box, the best first, whether it finds an object, and whether it is ignored.

    A box takes the object that it overlaps most, of those that no box has taken; the last of equal
    ones, as pycocotools does. Only a box that finds no object may lie in a crowd.
    """
    left = np.ones(len(crowd), bool)
    least = min(iou, 1 - 1e-10)
    right, ignored = [], []
    for row in shared:
        fits = left & (row >= least)
        single = fits & ~crowd
        right.append(bool(single.any()))
        ignored.append(not right[-1] and bool(fits.any()))
        if right[-1]:
            overlaps = np.where(single, row, -1.0)
            left[len(row) - 1 - int(overlaps[::-1].argmax())] = False
    return right, ignored


def read_truth(file: Path, classes: Sequence[str] = ()) -> dict[str, GroundTruthBoxes]:
    """Read the boxes of a COCO JSON by file name; only those of `classes`, if any are given.

    Names take the spelling of `classes`. Images are in the order of their ids, as pycocotools has
    them. Raises `RefError` for another file.
    """
    try:
        data = parse_json(read_file(file))
        names = {row["id"]: str(row["name"]) for row in data["categories"]}
        spelled = map_class_names(names.values(), {}, classes)
        images = {row["id"]: str(row["file_name"]) for row in sorted(data["images"], key=_id_order)}
        rows: dict[str, list[tuple[list[float], str, bool]]] = {
            path: [] for path in images.values()
        }
        for place, row in enumerate(data["annotations"]):
            if not row.get("bbox"):
                raise ValueError(f"annotation {place} has no bbox")
            name = spelled[names[row["category_id"]]]
            if not classes or name in classes:
                x, y, w, h = map(float, row["bbox"])
                box, crowd = [x, y, x + w, y + h], bool(row.get("iscrowd"))
                rows[images[row["image_id"]]].append((box, name, crowd))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RefError(
            f"{make_printable(str(file))} is not a COCO JSON of boxes "
            f"({type(error).__name__}: {make_printable(str(error))}). It needs images, "
            "annotations and categories."
        ) from error
    return {
        path: GroundTruthBoxes(
            np.array([box for box, _, _ in found]).reshape(-1, 4),
            tuple(name for _, name, _ in found),
            np.array([crowd for _, _, crowd in found], bool),
        )
        for path, found in rows.items()
    }


def _id_order(row: Mapping[str, Any]) -> tuple[bool, Any]:
    return isinstance(row["id"], str), row["id"]
