"""The last lines of runs of models."""

from __future__ import annotations

from annotator.cli.model_runs import format_left_out
from annotator.proposals.pictures import name_drawings


def test_a_reason_that_files_share_stands_once() -> None:
    reason = "the model takes no such image, for this long reason: see there"
    lines = [*(f"{n}.jpg: {reason}" for n in range(8)), "b.jpg: broken", "3 boxes empty, in a.jpg"]
    (text,) = format_left_out([*lines, *lines])
    assert text.splitlines() == [
        "Left out: 10",
        f"  0.jpg, 1.jpg, 2.jpg, 3.jpg, 4.jpg and 3 more: {reason}",
        "  b.jpg: broken",
        "  3 boxes empty, in a.jpg",
    ]
    assert format_left_out([]) == []


def test_a_drawing_has_one_ending_unless_two_images_would_share_it() -> None:
    paths = ["bird.jpg", "sub/a.PNG", "../x/b.webp", "c.png", "C.jpg", "d.e.png"]
    assert name_drawings(paths) == {
        "bird.jpg": "bird.jpg",
        "sub/a.PNG": "sub/a.jpg",
        "../x/b.webp": "x/b.jpg",
        "c.png": "c.png.jpg",
        "C.jpg": "C.jpg.jpg",
        "d.e.png": "d.e.jpg",
    }
