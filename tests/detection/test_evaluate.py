"""Average precision is that of pycocotools."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from annotator.detection.detections import Detections
from annotator.detection.evaluate import (
    GroundTruthBoxes,
    detection_average_precision,
    evaluate_detections,
    read_truth,
)
from annotator.detection.fuse import fuse
from annotator.errors import RefError
from tests.detection.made_scenes import MODELS, NAMES, answers, official, official_precision, scenes

pytest.importorskip("pycocotools")


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_average_precision_is_that_of_pycocotools(seed: int) -> None:
    truth = scenes(40, seed)
    for model in MODELS:
        found = answers(model, truth, seed)
        ours, theirs = detection_average_precision(truth, found), official(truth, found)
        assert ours == pytest.approx(theirs, abs=1e-9)
        assert 0.1 < ours["person"] < 0.95


@pytest.mark.parametrize("seed", range(8))
def test_crowds_and_all_thresholds_are_those_of_pycocotools(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth = {}
    for path, known in scenes(30, seed).items():
        crowd = rng.random(len(known.names)) < (0.3 if seed < 7 else 1.0)
        boxes = known.boxes.copy()
        boxes[crowd, 2:] += 120  # a crowd holds several boxes
        truth[path] = GroundTruthBoxes(boxes, known.names, crowd)
    for model in MODELS:
        found = answers(model, truth, seed)
        if seed % 2:  # many equal scores, in one image and in several
            found = {p: replace(f, scores=np.round(f.scores, 1)) for p, f in found.items()}
        figures, theirs = evaluate_detections(truth, found, 0.5), official_precision(truth, found)
        for number, name in enumerate(NAMES):
            if (theirs[:, :, number] < 0).all():
                assert name not in figures.ap
                continue
            assert figures.ap[name] == pytest.approx(theirs[:, :, number].mean(), abs=1e-9)
            assert figures.ap50[name] == pytest.approx(theirs[0, :, number].mean(), abs=1e-9)
            assert figures.ap75[name] == pytest.approx(theirs[5, :, number].mean(), abs=1e-9)


def test_precision_and_recall_count_from_the_threshold_on() -> None:
    boxes = np.array([[0.0, 0, 10, 10], [20, 0, 30, 10], [50, 50, 90, 90]])
    truth = {"a": GroundTruthBoxes(boxes, ("cat",) * 3, np.array([False, False, True]))}
    rows = np.array([[0.0, 0, 10, 10], [40, 0, 50, 10], [55, 55, 60, 60], [20, 0, 30, 10]])
    found = {"a": Detections(rows, np.array([0.9, 0.8, 0.7, 0.2]), ("cat",) * 4)}
    figures = evaluate_detections(truth, found, 0.5)
    assert (figures.precision, figures.recall) == (0.5, 0.5)  # the box in the crowd does not count
    assert evaluate_detections(truth, found).recall == 1.0


def test_an_ensemble_is_better_than_its_models() -> None:
    truth = scenes(60, 5)
    found = [answers(model, truth, 5) for model in MODELS]
    alone = [np.mean(list(detection_average_precision(truth, each).values())) for each in found]
    together = {}
    for path in truth:
        fused = fuse([each[path] for each in found])
        boxes = np.array([f.box for f in fused]).reshape(-1, 4)
        scores = np.array([f.score for f in fused])
        together[path] = Detections(boxes, scores, tuple(f.name for f in fused))
    ours = detection_average_precision(truth, together)
    assert ours == pytest.approx(official(truth, together), abs=1e-9)
    assert np.mean(list(ours.values())) > max(alone) + 0.02


def test_nothing_found_is_no_precision_and_unknown_images_do_not_count() -> None:
    truth = scenes(5, 0)
    assert set(detection_average_precision(truth, {}).values()) == {0.0}
    found = answers(MODELS[0], truth, 0)
    more = {**found, "elsewhere.jpg": found[next(iter(found))]}
    assert detection_average_precision(truth, more) == detection_average_precision(truth, found)


def test_the_truth_is_read_from_coco_json(tmp_path: Path) -> None:
    file = tmp_path / "truth.json"
    file.write_text(
        json.dumps(
            {
                "categories": [{"id": 7, "name": "person"}, {"id": 9, "name": "dog"}],
                "images": [{"id": 1, "file_name": "a.jpg"}, {"id": 2, "file_name": "b.jpg"}],
                "annotations": [
                    {"image_id": 1, "category_id": 7, "bbox": [1, 2, 3, 4]},
                    {"image_id": 1, "category_id": 9, "bbox": [0, 0, 9, 9]},
                    {"image_id": 1, "category_id": 7, "bbox": [0, 0, 9, 9], "iscrowd": 1},
                ],
            }
        )
    )
    truth = read_truth(file, ["Person"])
    assert truth["a.jpg"].names == ("Person", "Person")
    assert truth["a.jpg"].boxes.tolist() == [[1, 2, 4, 6], [0, 0, 9, 9]]
    assert truth["a.jpg"].crowd.tolist() == [False, True]
    assert truth["b.jpg"].names == ()
    file.write_text("[]")
    with pytest.raises(RefError, match="is not a COCO JSON"):
        read_truth(file)
