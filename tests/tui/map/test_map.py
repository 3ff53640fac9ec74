"""M on the labelling screen: the map, its frame, and the pages of a region."""

from __future__ import annotations

import os
from typing import Any

from annotator.images.scatter import WHOLE
from annotator.tui.launch import ItemSample, prepare_label_app
from annotator.tui.map.screen import MapScreen, MapView
from tests.tui.conftest import HALF_CELLS, Desk

WIDE = (120, 40)


async def _map(desk: Any) -> MapScreen:
    await desk.until(lambda: desk.app.session.has_features)
    await desk.press("m")
    await desk.sees("in the frame")
    assert isinstance(desk.app.screen, MapScreen)
    return desk.app.screen


def _project(make: Any, give_features: Any, count: int = 40) -> Any:
    project = make(count)
    give_features(project, [f"{number:02d}.png" for number in range(count)])
    return project


async def test_the_map_shows_all_items_and_the_frame_opens_its_items_as_pages(
    make: Any, give_features: Any, opened: Any, truth: Any
) -> None:
    async with opened(_project(make, give_features), size=WIDE) as desk:
        screen = await _map(desk)
        await desk.sees("open")
        assert "40" in desk.text
        for _ in range(12):
            await desk.pilot.press("left")  # one of the two groups lies at the left edge
        for _ in range(12):
            await desk.pilot.press("plus")
        await desk.pilot.press("minus", "minus", "minus", "left", "left", "left", "left")
        inside = screen._found[0].inside(screen._view.frame)
        assert 0 < len(inside) < 40
        await desk.pilot.press("enter")
        await desk.until(lambda: getattr(desk.app.screen, "shows", False))
        refs = set(desk.app.screen.page.refs)
        assert refs == {desk.app.session.queue.refs[row] for row in inside.tolist()}
        assert len({truth(ref) for ref in refs}) == 1
        await desk.pilot.press("2", "enter")
        await desk.until(lambda: len(desk.app.session.state.standing) == 1)


async def test_colours_follow_labels_predictions_and_doubt(
    make: Any, give_features: Any, opened: Any, truth: Any
) -> None:
    async with opened(_project(make, give_features), size=WIDE) as desk:
        for _ in range(6):
            await desk.press("a" if truth(desk.current) == "red" else "d")
        await desk.learnt()
        await _map(desk)
        await desk.sees("class · PCA")
        await desk.sees("34")  # open
        await desk.pilot.press("c")
        await desk.sees("prediction · PCA")
        assert "no prediction" not in desk.text
        await desk.pilot.press("c")
        await desk.sees("error · PCA")
        await desk.sees("0–20 %")


async def test_escape_and_m_return_and_nothing_was_labelled(
    make: Any, give_features: Any, opened: Any
) -> None:
    async with opened(_project(make, give_features), size=WIDE) as desk:
        for key in ("escape", "m", "q"):
            await _map(desk)
            await desk.pilot.press("z", "right", "z", key)
            await desk.until(lambda: desk.app.screen is desk.app.label_screen)
        assert not desk.app.session.state.standing


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


async def test_leaving_the_map_ends_the_process_that_makes_a_better_one(
    make: Any, give_features: Any, opened: Any, tmp_path_factory: Any, monkeypatch: Any
) -> None:
    packages = tmp_path_factory.mktemp("packages")
    started = packages / "started"
    (packages / "umap.py").write_text(
        "import os, pathlib, time\n"
        f"pathlib.Path({str(started)!r}).write_text(str(os.getpid()))\n"
        "time.sleep(600)\n"
    )
    monkeypatch.syspath_prepend(packages)
    monkeypatch.setenv("PYTHONPATH", str(packages))
    async with opened(_project(make, give_features), size=WIDE) as desk:
        await _map(desk)
        await desk.until(lambda: started.exists() and started.read_text())
        process = int(started.read_text())
        assert _is_running(process)
        await desk.pilot.press("escape")
        await desk.until(lambda: not _is_running(process))


async def test_without_features_m_says_what_is_missing(make: Any, opened: Any) -> None:
    async with opened(make(6), size=WIDE) as desk:
        await desk.press("m")
        await desk.sees("The map needs features")


async def test_second_opinions_have_no_map_because_it_shows_labels(
    make: Any, give_features: Any
) -> None:
    project = _project(make, give_features)
    with prepare_label_app(project, "bob", HALF_CELLS, audit=ItemSample(None, ["00.png"])) as app:
        async with app.run_test(size=WIDE) as pilot:
            desk = Desk(app, pilot)
            await desk.until(lambda: app.session.current is not None)
            await desk.press("m")
            assert app.screen is app.label_screen


def test_the_frame_stays_inside_the_view() -> None:
    view = MapView()
    for _ in range(30):
        view = view.move(1, -1)
    assert view.frame[1] == 0 and abs(view.frame[2] - 1) < 1e-9
    for _ in range(60):
        view = view.scale(0.8)
    assert 0 < view.frame[2] - view.frame[0] < 0.03
    for _ in range(60):
        view = view.scale(1.25)
    assert all(abs(a - b) < 1e-9 for a, b in zip(view.frame, WHOLE, strict=True))


def test_zoom_shows_the_frame_and_goes_back() -> None:
    before = MapView()
    inner = before.zoom_in()
    assert inner.view == before.frame
    assert inner.view[0] < inner.frame[0] < inner.frame[2] < inner.view[2]
    assert inner.zoom_out().view == WHOLE and inner.zoom_out().frame == before.frame


def test_a_drag_frames_what_it_covers_in_any_direction() -> None:
    view = MapView().with_frame((0.8, 0.2), (0.4, 0.6))
    assert all(abs(a - b) < 1e-9 for a, b in zip(view.frame, (0.4, 0.2, 0.8, 0.6), strict=True))


def test_a_click_moves_the_frame_and_keeps_its_size_in_a_zoomed_view_too() -> None:
    for view in (MapView(), MapView().zoom_in()):
        left, top, right, bottom = view.with_middle((0.5, 0.4)).frame
        size = view.frame[2] - view.frame[0], view.frame[3] - view.frame[1]
        assert abs(right - left - size[0]) < 1e-9 and abs(bottom - top - size[1]) < 1e-9
        height = view.view[3] - view.view[1]
        assert abs((left + right) / 2 - 0.5) < 1e-9
        assert abs((top + bottom) / 2 - (view.view[1] + 0.4 * height)) < 1e-9
        assert view.with_middle((0, 1)).frame[0] == view.view[0]
