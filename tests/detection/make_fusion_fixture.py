"""The maker of fusion.json beside this file: the published package's fusions of random boxes.

python -m venv venv && venv/bin/pip install ensemble-boxes==1.0.9
venv/bin/python tests/detection/make_fusion_fixture.py
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from ensemble_boxes import nms, soft_nms, weighted_boxes_fusion

CONFIDENCES = ("avg", "max", "box_and_model_avg", "absent_model_aware_avg")


def scene(rng, models, objects, empty):
    """A few objects, seen by each model with noise, with misses and with false alarms."""
    centres = rng.uniform(0.2, 0.8, (objects, 2))
    sides = rng.uniform(0.1, 0.3, (objects, 2))
    labels = rng.integers(0, 2, objects)
    found = []
    for model in range(models):
        rows = [o for o in range(objects) if rng.random() < 0.8]
        noise = rng.normal(0, 0.015, (len(rows), 4))
        boxes = np.c_[centres[rows] - sides[rows] / 2, centres[rows] + sides[rows] / 2] + noise
        false = rng.uniform(0, 0.5, (3, 2))
        boxes = np.r_[boxes, np.c_[false, false + rng.uniform(0.1, 0.4, (3, 2))]]
        names = np.r_[labels[rows], rng.integers(0, 2, 3)]
        kept = slice(0, 0) if model == empty else slice(None)
        found.append(
            {
                "boxes": boxes.clip(0, 1).round(4)[kept].tolist(),
                "scores": rng.uniform(0.05, 0.99, len(boxes)).round(4)[kept].tolist(),
                "labels": names[kept].tolist(),
            }
        )
    return found


def answer(result):
    boxes, scores, labels = result
    return {
        "boxes": np.round(boxes, 6).tolist(),
        "scores": np.round(scores, 6).tolist(),
        "labels": np.asarray(labels, int).tolist(),
    }


def case(found, weights, iou):
    lists = [[each[key] for each in found] for key in ("boxes", "scores", "labels")]
    arrays = [[np.array(each) for each in part] for part in lists]
    arrays[0] = [part.reshape(-1, 4) for part in arrays[0]]
    fused = {
        confidence: answer(
            weighted_boxes_fusion(*lists, weights=weights, iou_thr=iou, conf_type=confidence)
        )
        for confidence in CONFIDENCES
    }
    return {
        "found": found,
        "weights": weights,
        "iou": iou,
        "wbf": fused,
        "nms": answer(nms(*arrays, iou_thr=iou)),
        "soft-nms": answer(soft_nms(*arrays, iou_thr=iou)),
    }


def main() -> None:
    rng = np.random.default_rng(20)
    cases = [
        case(scene(rng, 2, 5, None), [1, 1], 0.55),
        case(scene(rng, 3, 6, None), [2, 1, 0.5], 0.55),
        case(scene(rng, 4, 8, 2), [0.87, 0.941, 0.925, 0.972], 0.65),
        case(scene(rng, 1, 4, None), [1], 0.4),
    ]
    out = Path(__file__).with_name("fusion.json")
    out.write_text(json.dumps({"package": "ensemble-boxes 1.0.9", "cases": cases}) + "\n")


if __name__ == "__main__":
    main()
