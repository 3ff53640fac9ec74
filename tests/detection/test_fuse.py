"""Fusion: as the published package has it, and what the package does not say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from annotator.detection.detections import Detections, clean_detections
from annotator.detection.fuse import CONFIDENCE_TYPES, FusedBox, fuse

# What ensemble-boxes 1.0.9 answers on random boxes; made by make_fusion_fixture.py.
CASES: list[dict[str, Any]] = json.loads(
    Path(__file__).with_name("fusion.json").read_text(),
)["cases"]


def _found(case: dict[str, Any]) -> list[Detections]:
    return [
        Detections(
            np.array(each["boxes"], float).reshape(-1, 4),
            np.array(each["scores"], float),
            tuple(str(label) for label in each["labels"]),
        )
        for each in case["found"]
    ]


def _rows(boxes: list[list[float]], scores: list[float], labels: list[Any]) -> list[list[float]]:
    rows = [[float(c), *b, s] for b, s, c in zip(boxes, scores, labels, strict=True)]
    return sorted(rows, key=lambda row: (-row[-1], row))


def _same(fused: list[FusedBox], answer: dict[str, Any], scored: bool = True) -> None:
    ours = _rows([list(f.box) for f in fused], [f.score for f in fused], [f.name for f in fused])
    theirs = _rows(answer["boxes"], answer["scores"], answer["labels"])
    last = None if scored else -1
    np.testing.assert_allclose(
        sorted(row[:last] for row in ours), sorted(row[:last] for row in theirs), atol=2e-5
    )


@pytest.mark.parametrize("confidence", CONFIDENCE_TYPES)
@pytest.mark.parametrize("case", CASES)
def test_weighted_boxes_fusion_is_the_published_one(case: dict[str, Any], confidence: str) -> None:
    fused = fuse(_found(case), case["weights"], iou=case["iou"], confidence=confidence)
    _same(fused, case["wbf"][confidence])


@pytest.mark.parametrize("case", CASES)
def test_suppression_keeps_the_boxes_that_the_package_keeps(case: dict[str, Any]) -> None:
    _same(fuse(_found(case), method="nms", iou=case["iou"]), case["nms"])
    # The package keeps by the decayed scores, and then answers with the scores from before.
    soft = fuse(_found(case), method="soft-nms", iou=case["iou"])
    _same(soft, case["soft-nms"], scored=False)


def _one(*rows: tuple[float, float, float, float, float, str]) -> Detections:
    return Detections(
        np.array([row[:4] for row in rows], float).reshape(-1, 4),
        np.array([row[4] for row in rows], float),
        tuple(row[5] for row in rows),
    )


def test_votes_and_members_say_which_models_found_a_box() -> None:
    found = [
        _one((0, 0, 10, 10, 0.9, "a")),
        _one(),
        _one((1, 0, 11, 10, 0.7, "a"), (0, 0, 10, 10, 0.6, "b")),
    ]
    a, b = fuse(found)
    assert (a.name, a.votes, b.name, b.votes) == ("a", 2, "b", 1)
    assert [(m.model, m.row, m.score) for m in a.members] == [(0, 0, 0.9), (2, 0, 0.7)]
    assert a.mean == pytest.approx(0.8)
    assert a.score == pytest.approx(0.8 * 2 / 3)  # one of three models is silent
    assert a.box == pytest.approx((0.4375, 0, 10.4375, 10))


def test_two_passes_of_one_model_are_one_vote() -> None:
    found = [_one((0, 0, 10, 10, 0.9, "a")), _one((0, 0, 10, 10, 0.5, "a"))]
    (fused,) = fuse(found, models=[0, 0])
    assert fused.votes == 1 and len(fused.members) == 2
    assert fused.mean == 0.9


@pytest.mark.parametrize("method", ["wbf", "nms", "soft-nms"])
def test_nothing_found_is_no_fault(method: str) -> None:
    assert fuse([], method=method) == []
    assert fuse([_one(), _one()], [0.5, 2], method=method) == []
    assert [f.votes for f in fuse([_one(), _one((0, 0, 1, 1, 0.0, "a"))], method=method)] == [1]


def test_landmarks_are_averaged_as_the_boxes_are() -> None:
    points = np.arange(10.0).reshape(1, 5, 2)
    one = Detections(np.array([[0.0, 0, 10, 10]]), np.array([0.6]), ("face",), points)
    two = Detections(np.array([[0.0, 0, 10, 10]]), np.array([0.2]), ("face",), points + 4)
    (fused,) = fuse([one, two])
    assert fused.points is not None
    np.testing.assert_allclose(fused.points, points[0] + 1)


def test_what_no_box_can_be_is_left_out_and_counted() -> None:
    found = Detections(
        np.array(
            [[-5, -5, 5, 5], [0, 0, 5, 5], [0, 0, np.nan, 5], [30, 30, 40, 40], [5, 5, 2, 9]],
            float,
        ),
        np.array([0.5, np.nan, 0.5, 0.5, 0.5]),
        tuple("abcde"),
    )
    good, left_out = clean_detections(found, (20, 10))
    assert good.names == ("a",) and good.boxes.tolist() == [[0, 0, 5, 5]]
    assert sum(left_out.values()) == 4 and len(left_out) == 3
