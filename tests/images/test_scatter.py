"""The picture of points: colours, the view, the frame, and few bytes."""

from __future__ import annotations

import io

import numpy as np

from annotator.images.scatter import draw_points, group_colours, points_inside

RED, GREEN, BLACK = (255, 0, 0), (0, 255, 0), (0, 0, 0)


def _colours(picture: object) -> set[tuple[int, ...]]:
    pixels = np.asarray(picture).reshape(-1, 3)
    return {tuple(int(v) for v in row) for row in np.unique(pixels, axis=0)}


def test_each_point_has_the_colour_of_its_group_at_its_place() -> None:
    points = np.array([[0.1, 0.1], [0.9, 0.9]], np.float32)
    picture = draw_points(
        points, np.array([0, 1]), [RED, GREEN], (200, 100), background=BLACK
    )  # fmt: skip
    pixels = np.asarray(picture)
    assert picture.size == (200, 100)
    assert (pixels[:50, :100] == RED).all(-1).any() and (pixels[50:, 100:] == GREEN).all(-1).any()
    assert _colours(picture) == {RED, GREEN, BLACK}


def test_a_rare_group_is_not_covered_by_a_frequent_one() -> None:
    points = np.full((300, 2), 0.5, np.float32)
    groups = np.zeros(300, np.int64)
    groups[:120] = 1
    assert GREEN in _colours(draw_points(points, groups, [RED, GREEN], (90, 90)))


def test_many_groups_in_one_dot_show_one_of_them() -> None:
    colours = [(number, 200, 9) for number in range(10)]
    points = np.full((10, 2), 0.5, np.float32)
    picture = draw_points(points, np.arange(10), colours, (90, 90), background=BLACK)
    assert len(_colours(picture) - {BLACK}) == 1


def test_the_view_leaves_other_points_out_and_the_frame_is_drawn() -> None:
    points = np.array([[0.1, 0.1], [0.6, 0.6]], np.float32)
    view = (0.5, 0.5, 1.0, 1.0)
    picture = draw_points(
        points, np.array([0, 1]), [RED, GREEN], (80, 80), background=BLACK, view=view,
        frame=(0.5, 0.5, 0.75, 0.75), frame_colour=(9, 9, 9),
    )  # fmt: skip
    assert _colours(picture) == {GREEN, BLACK, (9, 9, 9)}


def test_the_edges_of_a_region_belong_to_it() -> None:
    points = np.array([[0, 0], [1, 1], [0.5, 0.51]], np.float32)
    assert points_inside(points, (0, 0, 1, 1)).all()
    assert points_inside(points, (0, 0, 0.5, 0.5)).tolist() == [True, False, False]


def test_no_points_and_a_tiny_window_draw_a_picture() -> None:
    nothing = np.zeros((0, 2), np.float32)
    assert draw_points(nothing, np.zeros(0, np.int64), [RED], (40, 30)).size == (40, 30)
    one = np.full((1, 2), 1.0, np.float32)
    assert draw_points(one, np.zeros(1, np.int64), [RED], (1, 1)).size == (1, 1)


def test_a_hundred_thousand_points_take_less_than_40_kb() -> None:
    rng = np.random.default_rng(0)
    points = np.clip(rng.normal(0.5, 0.15, (100_000, 2)), 0, 1).astype(np.float32)
    picture = draw_points(points, rng.integers(0, 10, 100_000), group_colours(11), (1200, 800))
    data = io.BytesIO()
    picture.save(data, "PNG")
    assert len(data.getvalue()) < 40_000


def test_groups_have_colours_of_their_own() -> None:
    assert len(set(group_colours(60))) == 60
    assert len(set(group_colours(5, graded=True))) == 5
