"""Curves: their axes and shapes, and the screen that shows them at full size."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from annotator.learn.error_estimate import ErrorEstimate
from annotator.learn.slices import SliceError
from annotator.project.settings import ClassInfo
from annotator.report.slices import Slice, SliceTable
from annotator.tui.curves.charts import MOST_CLASSES, class_chart
from annotator.tui.curves.plot import Chart, Series, axis_ticks, chart_lines, plot_curves
from annotator.tui.curves.slices import slice_lines
from annotator.tui.keymaps import make_keymap
from annotator.tui.styled_text import Line, line_width

REFS = [f"{number:02d}.png" for number in range(60)]


def words(lines: list[Line]) -> list[str]:
    return ["".join(text for text, _ in line) for line in lines]


def line(y: Any, **options: Any) -> Series:
    return Series("a", np.arange(1.0, len(y) + 1), np.asarray(y, float), **options)


@pytest.mark.parametrize(
    ("top", "most", "expected"),
    [
        (0.37, 5, [0, 0.1, 0.2, 0.3, 0.4]),
        (1.0, 2, [0, 0.5, 1.0]),
        (213, 5, [0, 50, 100, 150, 200, 250]),
        (213, 1, [0, 500]),
        (0.004, 4, [0, 0.001, 0.002, 0.003, 0.004]),
        (3, 100, [0, 1, 2, 3]),
    ],
)
def test_axes_have_round_numbers_and_end_beyond_the_largest_value(
    top: float, most: int, expected: list[float]
) -> None:
    assert axis_ticks(top, most, 1.0 if most == 100 else 0.0) == pytest.approx(expected)


@pytest.mark.parametrize("size", [(58, 17), (80, 22), (120, 38), (20, 6)])
def test_a_chart_fills_its_space_and_no_more(size: tuple[int, int]) -> None:
    chart = Chart("t", (line([0.4, 0.2, 0.1]),), percent=True, level=0.05, level_name="target")
    lines = chart_lines(chart, *size)
    assert len(lines) == size[1]
    assert max(map(line_width, lines)) <= size[0]


def test_a_rising_line_runs_from_the_lower_left_to_the_upper_right() -> None:
    chart = Chart("t", (line(np.arange(1, 101)),))
    area = words(plot_curves(chart, 20, 10, 100, 100))
    places = [row.rstrip("\u2800 ") for row in area]
    assert [len(row) for row in places] == sorted((len(row) for row in places), reverse=True)
    assert area[0].rstrip()[-1] == "●" and area[-1].strip()


def test_a_constant_lies_at_its_height_within_its_band() -> None:
    n = np.full(50, 0.5)
    rows = plot_curves(Chart("t", (line(n, low=n - 0.3, high=n + 0.4),)), 50, 20, 50, 1.0)
    curved = [y for y, row in enumerate(rows) if any(role == "best" for _, role in row)]
    banded = [y for y, row in enumerate(rows) if any(role == "curve" for _, role in row)]
    assert set(curved) <= {9, 10}
    assert 1 <= min(banded) <= 2 and 15 <= max(banded) <= 16


def test_without_colour_curves_differ_by_their_signs_and_dashes() -> None:
    chart = Chart(
        "t", (line(np.full(60, 9.0), mark="A"), line(np.full(60, 3.0), mark="D", dashed=True))
    )
    area = words(plot_curves(chart, 60, 8, 60, 10))
    solid = next(row for row in area if row.rstrip().endswith("A"))
    dashed = next(row for row in area if row.rstrip().endswith("D"))
    assert " " not in solid.strip() and " " in dashed.strip()


def test_the_numbers_of_the_axes_stand_where_their_values_are() -> None:
    chart = Chart("t", (line(np.full(100, 20.0)),))
    text = words(chart_lines(chart, 60, 20))
    row = next(row for row in text if re.match(r" +20┤", row))
    assert "●" in row
    below, numbers = text[-2], text[-1]
    for number in ("0", "20", "100"):
        middle = numbers.index(f" {number}") + 1 + len(number) // 2
        assert "┬" in below[middle - 1 : middle + 2]


def test_long_and_wide_names_and_many_classes_still_leave_room_for_the_curves() -> None:
    names = ["a very long name of a class indeed", "欠陥", *(f"class{n}" for n in range(10))]
    given = names * 20
    chart = class_chart(given, names, make_keymap("default", [ClassInfo(n) for n in names]))
    lines = chart_lines(chart, 60, 19)
    assert len(lines) == 19 and max(map(line_width, lines)) <= 60
    assert sum("│" in row or "┤" in row for row in words(lines)) >= 8


def test_nothing_to_draw_is_said() -> None:
    assert "later" in " ".join(words(chart_lines(Chart("t", (), empty="later"), 40, 10)))


def test_of_many_classes_the_largest_are_drawn_and_the_rest_is_said() -> None:
    names = [f"c{n}" for n in range(MOST_CLASSES + 4)]
    given = [name for place, name in enumerate(names) for _ in range(place + 1)]
    chart = class_chart(given, names, make_keymap("default", [ClassInfo(n) for n in names]))
    assert len(chart.series) == MOST_CLASSES
    assert chart.series[-1].name == f"c11 {MOST_CLASSES + 4}"
    assert "8 classes with most labels, of 12" in chart.note
    assert "c0" not in {series.name.split()[0] for series in chart.series}


async def _label(desk: Any, truth: Any, count: int) -> None:
    for _ in range(count):
        await desk.press("a" if truth(desk.current) == "red" else "d")
        await desk.learnt()


@pytest.mark.parametrize("size", [(60, 20), (80, 24)])
async def test_c_opens_the_curves_one_by_one_and_closes_them(
    make: Any, opened: Any, give_features: Any, truth: Any, size: tuple[int, int]
) -> None:
    project = make(60)
    give_features(project, REFS)
    async with opened(project, size=size) as desk:
        await _label(desk, truth, 14)
        item = desk.current
        await desk.press("c")
        await desk.sees("estimated error, whole pool")
        await desk.press("2")
        await desk.sees("difficulty of what you are shown: error rate")
        await desk.sees("last 50")
        await desk.press("right")
        await desk.sees("squared error")
        await desk.press("right")
        await desk.sees("labels per class")
        assert re.search(r"A red \d+ .*D blue \d+", desk.text)
        assert "▀" not in desk.text, "the picture must not shine through"
        await desk.press("a", "d")  # no answers while it is open
        assert desk.current == item and desk.app.session.progress.labelled == 14
        assert all(len(row) == size[0] for row in desk.text.splitlines())
        await desk.press("C")
        await desk.sees("how hard your questions")
        await desk.until(lambda: "▀" in desk.text)
        await desk.press("a")
        await desk.sees("15 of 60")
        await desk.press("c", "escape")
        await desk.sees("15 of 60")


async def test_a_large_window_shows_all_curves_at_once(
    make: Any, opened: Any, give_features: Any, truth: Any
) -> None:
    project = make(60)
    give_features(project, REFS)
    async with opened(project, size=(120, 40)) as desk:
        await _label(desk, truth, 12)
        await desk.press("c")
        for title in ("estimated error", "error rate", "squared error", "labels per class"):
            await desk.sees(title)
        await desk.press("1")
        await desk.until(lambda: "labels per class" not in desk.text)


@pytest.mark.parametrize(("expected", "told"), [(0.5, "The worst of 1 slice"), (0.1, "None of 1")])
def test_the_slices_are_followed_by_what_to_think_of_them_once(expected: float, told: str) -> None:
    error = SliceError(ErrorEstimate(0.6, 0.4, 0.8, 20.0, 30), 100, expected)
    table = SliceTable((Slice("folder", "b", "path:b/*", error),), few=2, pool=0.1)
    text = " ".join(" ".join(words(slice_lines(table, 80, 20))).split())
    assert told in text and "2 slices with too few labels" in text
    assert text.count("looks worse than it is") == (expected > table.pool)
    assert re.search(r"path:b/\* +60 % +40 – 80 %? ", text)


async def test_the_curves_follow_what_others_label(
    make: Any, opened: Any, give_features: Any
) -> None:
    from annotator.log.store.sqlite import SqliteStore
    from annotator.session.session import LabelSession

    project = make(20)
    async with opened(project) as desk:
        await desk.press("a", "c", "4")
        await desk.sees("red 1")
        store = SqliteStore(project.labels_file)
        bob = LabelSession(store, ("red", "blue"), annotator="bob")
        bob.extend(REFS[:20])
        bob.label("blue")
        await desk.sees("blue 1")
        store.close()
