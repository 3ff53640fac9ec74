"""Object discovery from features: the published answers, and what holds of any features."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from annotator.detection.lost import (
    DiscoveredObject,
    compute_degrees,
    lost,
    lost_multi_seed,
    otsu,
    select_seeds,
    tokencut,
)

PHOTOS = (
    "bird", "cat", "cat_720p", "dragonfly", "face", "grace_hopper", "hot_dog", "kite_and_cold",
    "owl", "parrot", "pets", "sunflower",
)  # fmt: skip


def corners(one: DiscoveredObject, reference: dict[str, np.ndarray]) -> list[float]:
    patch, (height, width) = int(reference["patch"]), reference["image_size"].tolist()
    box = one.box((patch, patch), (width, height))
    return [box.x, box.y, box.right, box.bottom]


@pytest.fixture(params=PHOTOS)
def reference(request: pytest.FixtureRequest, shared: Path) -> dict[str, np.ndarray]:
    file = shared / "data" / "discovery-parity" / f"{request.param}.npz"
    return dict(np.load(file, allow_pickle=False))


def test_lost_answers_as_the_published_code(reference: dict[str, np.ndarray]) -> None:
    features = reference["features"].astype(np.float32)
    one = lost(features, int(reference["k_patches"]))
    assert compute_degrees(features).tolist() == reference["lost_degree"].tolist()
    assert one is not None
    assert one.seed == int(reference["lost_seed"])
    assert corners(one, reference) == reference["lost_box"].tolist()


def test_many_answers_as_the_published_code(reference: dict[str, np.ndarray]) -> None:
    features = reference["features"].astype(np.float32)
    threshold = float(reference["correlation_th"])
    found = lost_multi_seed(features, int(reference["number_seeds"]), threshold)
    assert [corners(one, reference) for one in found] == reference["multi_boxes"].tolist()
    scores = reference["multi_scores"]
    assert np.array_equal(np.array([one.score for one in found], np.float32), scores)


def two_objects(scale: float = 1.0) -> np.ndarray:
    """A wide background, and two squares whose patches are alike and unlike all else."""
    features = np.zeros((20, 30, 4), np.float32)
    features[:, :, 0] = 1.0
    features[3:8, 4:9] = [-0.5, 1, 0, 0]
    features[12:16, 20:27] = [-0.5, 0, 1, 0]
    return scale * features


def places(found: list[DiscoveredObject]) -> set[tuple[tuple[int, int], tuple[int, int]]]:
    return {(one.rows, one.columns) for one in found}


@pytest.mark.parametrize("scale", [0.01, 1.0, 300.0])
def test_the_automatic_threshold_does_not_depend_on_the_scale(scale: float) -> None:
    found = lost_multi_seed(two_objects(scale), seeds=40)
    assert places(found) == {((3, 8), (4, 9)), ((12, 16), (20, 27))}


def test_the_score_is_one_minus_the_share_of_patches_that_correlate() -> None:
    found = {one.rows: one.score for one in lost_multi_seed(two_objects(), seeds=40)}
    # The patches of a square correlate with those of both squares, 25 + 28, less themselves.
    assert found == {(3, 8): pytest.approx(1 - 52 / 600), (12, 16): pytest.approx(1 - 52 / 600)}


def test_tokencut_finds_the_square_that_is_unlike_the_rest() -> None:
    features = two_objects()
    features[12:16, 20:27] = features[0, 0]
    one = tokencut(features)
    assert one is not None
    assert (one.rows, one.columns) == ((3, 8), (4, 9))
    assert 0 <= one.score <= 1


def test_of_seeds_that_touch_only_the_lowest_is_kept() -> None:
    degree = np.full((6, 6), 30, np.int32)
    degree[1, 1], degree[1, 2], degree[4, 4] = 5, 3, 7
    assert select_seeds(degree, 3) == [1 * 6 + 2, 4 * 6 + 4]


def test_degrees_of_more_patches_than_fit_at_a_time_are_those_of_all_pairs() -> None:
    features = np.random.default_rng(0).normal(size=(60, 70, 3)).astype(np.float32)
    flat = features.reshape(-1, 3)
    pairs = flat @ flat.T > 0
    np.fill_diagonal(pairs, False)
    assert compute_degrees(features).tolist() == pairs.sum(axis=1).tolist()


@pytest.mark.parametrize("shape", [(1, 1, 8), (1, 40, 8), (3, 1, 8)])
def test_few_patches_give_boxes_with_an_area_or_none(shape: tuple[int, int, int]) -> None:
    features = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    one = lost(features)
    for found in [*lost_multi_seed(features), *([one] if one else [])]:
        box = found.box((16, 16), (shape[1] * 16 - 3, shape[0] * 16 - 3))
        assert box.w > 0 and box.h > 0
        assert 0 <= found.score <= 1


def test_features_without_any_length_hold_no_object() -> None:
    assert lost_multi_seed(np.zeros((4, 5, 8), np.float32)) == []
    assert lost(np.zeros((4, 5, 8), np.float32)) is None


def test_otsu_parts_two_heaps() -> None:
    values = np.concatenate([np.linspace(0, 1, 50), np.linspace(9, 10, 20)]).astype(np.float32)
    assert 1 <= otsu(values) <= 9
