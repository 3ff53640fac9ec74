"""The doubts about labelled boxes, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from annotator.detection.box_errors import BoxDoubts, doubt_boxes
from annotator.detection.detections import Detections


def doubts(
    labels: list[tuple[tuple[float, ...], str]], found: list[tuple[tuple[float, ...], str, float]]
) -> BoxDoubts:
    boxes = np.array([box for box, _ in labels], float).reshape(-1, 4)
    predicted = Detections(
        np.array([box for box, _, _ in found], float).reshape(-1, 4),
        np.array([score for _, _, score in found]), tuple(name for _, name, _ in found),
    )  # fmt: skip
    return doubt_boxes(boxes, [name for _, name in labels], predicted)


CAT = ((0.0, 0.0, 10.0, 10.0), "cat")


def test_an_object_without_a_box_is_as_doubtful_as_its_score() -> None:
    found = doubts([CAT], [((50.0, 50.0, 60.0, 60.0), "cat", 0.9), ((0, 0, 10, 10), "cat", 0.8)])
    assert found.overlooked.tolist() == [pytest.approx(0.9), 0.0]
    assert doubts([], [((0, 0, 5, 5), "cat", 0.7)]).overlooked.tolist() == [0.7]


def test_a_box_in_the_wrong_place_is_as_doubtful_as_it_is_off() -> None:
    found = doubts([CAT], [((5.0, 0.0, 15.0, 10.0), "cat", 0.9)])  # IoU 50 / 150
    assert found.misplaced.tolist() == [pytest.approx(0.9 * 2 / 3)]
    assert found.better.tolist() == [0]
    far = doubts([CAT], [((90.0, 90.0, 99.0, 99.0), "cat", 0.9)])  # of another object
    assert (far.misplaced.tolist(), far.better.tolist()) == ([0.0], [-1])


def test_a_box_of_the_wrong_class_unless_its_own_class_is_seen_there_too() -> None:
    dog = ((0.0, 0.0, 10.0, 10.0), "dog", 0.9)
    found = doubts([CAT], [dog])
    assert (found.swapped.tolist(), found.other.tolist()) == ([pytest.approx(0.9)], [0])
    both = doubts([CAT], [dog, ((0.0, 0.0, 10.0, 10.0), "cat", 0.95)])
    assert both.swapped[0] == pytest.approx(0.9 * 0.05)
    assert doubts([CAT], []).swapped.tolist() == [0.0]
