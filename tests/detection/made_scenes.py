"""Made scenes with known boxes, and made detectors of known faults."""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotator.detection.detections import Detections
from annotator.detection.evaluate import GroundTruthBoxes

WIDTH, HEIGHT = 640, 480
NAMES = ("person", "bicycle")


@dataclass(frozen=True, slots=True)
class Noisy:
    """A detector that misses, shifts, takes one class for another, and sees what is not there."""

    name: str
    misses: float
    shift: float
    """Standard deviation of each edge, as a share of the object's side."""
    confuses: float
    ghosts: float
    """False alarms an image, on average."""


MODELS = (
    Noisy("careful", misses=0.35, shift=0.10, confuses=0.02, ghosts=1.0),
    Noisy("eager", misses=0.12, shift=0.16, confuses=0.08, ghosts=4.0),
    Noisy("coarse", misses=0.20, shift=0.20, confuses=0.04, ghosts=2.0),
)


def scenes(count: int, seed: int) -> dict[str, GroundTruthBoxes]:
    """Images of up to eight objects of two classes."""
    rng = np.random.default_rng([seed, 0])
    found = {}
    for number in range(count):
        n = int(rng.integers(1, 9))
        sides = rng.uniform(30, 160, (n, 2))
        corners = rng.uniform((0, 0), (WIDTH - 160, HEIGHT - 160), (n, 2))
        names = tuple(NAMES[i] for i in rng.integers(0, 2, n))
        found[f"{number:04}.jpg"] = GroundTruthBoxes(
            np.concatenate([corners, corners + sides], 1), names, np.zeros(n, bool)
        )
    return found


def answers(model: Noisy, truth: dict[str, GroundTruthBoxes], seed: int) -> dict[str, Detections]:
    """Return a model's detections in each scene; the same for the same seed."""
    rng = np.random.default_rng([seed, 1, sum(model.name.encode())])
    return {path: _seen(model, known, rng) for path, known in truth.items()}


def _seen(model: Noisy, known: GroundTruthBoxes, rng: np.random.Generator) -> Detections:
    rows = np.flatnonzero(rng.random(len(known.names)) >= model.misses)
    boxes = known.boxes[rows]
    sides = np.tile(boxes[:, 2:] - boxes[:, :2], 2)
    boxes = boxes + rng.normal(0, model.shift, boxes.shape) * sides
    names = [known.names[row] for row in rows]
    names = [_other(name) if rng.random() < model.confuses else name for name in names]
    ghosts = int(rng.poisson(model.ghosts))
    corner = rng.uniform((0, 0), (WIDTH - 160, HEIGHT - 160), (ghosts, 2))
    false = np.concatenate([corner, corner + rng.uniform(30, 160, (ghosts, 2))], 1)
    scores = np.concatenate([rng.beta(4, 2, len(rows)), rng.beta(2, 3, ghosts)])
    every = np.concatenate([boxes, false])
    left, right = every[:, :2], np.maximum(every[:, 2:], every[:, :2] + 4)
    names += [NAMES[i] for i in rng.integers(0, 2, ghosts)]
    return Detections(np.concatenate([left, right], 1), scores, tuple(names))


def _other(name: str) -> str:
    return NAMES[1 - NAMES.index(name)]


def official(truth: dict[str, GroundTruthBoxes], found: dict[str, Detections]) -> dict[str, float]:
    """The AP of each class at IoU 0.5, by pycocotools."""
    values = official_precision(truth, found)[0]
    return {name: float(values[:, number].mean()) for number, name in enumerate(NAMES)}


def official_precision(
    truth: dict[str, GroundTruthBoxes], found: dict[str, Detections]
) -> NDArray[np.float64]:
    """The precision (IoU thresholds, recalls, classes) of pycocotools; -1 without an object."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    annotations: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []
    for image, (path, known) in enumerate(truth.items()):
        crowds = known.crowd if len(known.crowd) else np.zeros(len(known.names), bool)
        for box, name, crowd in zip(known.boxes, known.names, crowds, strict=True):
            area = float(np.prod(box[2:] - box[:2]))
            row = {**_row(image, box, name), "area": area, "iscrowd": int(crowd)}
            annotations.append({**row, "id": len(annotations) + 1})
        some = found[path]
        for box, score, name in zip(some.boxes, some.scores, some.names, strict=True):
            rows.append({**_row(image, box, name), "score": float(score)})
    coco = COCO()
    coco.dataset = {
        "info": {}, "annotations": annotations,
        "images": [{"id": image} for image in range(len(truth))],
        "categories": [{"id": number, "name": name} for number, name in enumerate(NAMES, 1)],
    }  # fmt: skip
    with contextlib.redirect_stdout(io.StringIO()):
        coco.createIndex()
        run = COCOeval(coco, coco.loadRes(rows), "bbox")
        run.evaluate()
        run.accumulate()
    # precision: IoU threshold, recall, class, area range, detections allowed
    return np.asarray(run.eval["precision"][:, :, :, 0, 2])


def _row(image: int, box: Any, name: str) -> dict[str, Any]:
    left, top, right, bottom = map(float, box)
    corners = [left, top, right - left, bottom - top]
    return {"image_id": image, "category_id": NAMES.index(name) + 1, "bbox": corners}
