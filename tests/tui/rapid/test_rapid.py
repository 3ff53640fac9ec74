"""Rapid mode: a stream, one key, and what is in doubt one at a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from textual import events
from textual.pilot import Pilot

from annotator.log.store.sqlite import SqliteStore
from annotator.pages.key_delay import KeyDelay
from annotator.project.project import ProjectFolder
from annotator.session.session import LabelSession
from annotator.terminal.caps import Technique, TerminalCapabilities
from annotator.tui.launch import prepare_label_app
from annotator.tui.picture.key_reader import KeyParser, PasteMarker
from annotator.tui.rapid.screen import RapidScreen
from annotator.tui.rapid.text import RapidMode
from tests.time_limits import PATIENCE

DELAY = 0.3


class Rapid:
    """The rapid screen, and an annotator who marks what is blue."""

    def __init__(self, pilot: Pilot[Any], screen: RapidScreen, truth: Callable[..., str]) -> None:
        self.pilot, self.screen, self.truth = pilot, screen, truth

    async def until(self, condition: Callable[[], Any], seconds: float = PATIENCE) -> None:
        async with asyncio.timeout(seconds):
            while not condition():
                await asyncio.sleep(0.01)

    def is_blue(self, ref: str) -> bool:
        return self.truth(ref) == "blue"

    async def mark(self) -> None:
        """The key some time after each blue picture, until the stream is over. Keys carry their
        times: on a slow machine, too, each comes `DELAY` after the picture that it means."""
        screen = self.screen
        await self.until(lambda: screen.mode is not RapidMode.READY)
        mode, marked = screen.mode, set[int]()
        while screen.mode is mode:
            player = screen._player
            assert player is not None
            for place, onset in list(player.onsets.items()):
                if place not in marked and self.is_blue(player.items[place].ref):
                    marked.add(place)
                    key = events.Key("space", " ")
                    key.time = onset + DELAY
                    screen.on_key(key)
            await asyncio.sleep(0.005)

    async def look_again(self) -> None:
        """Answer what is in doubt."""
        screen = self.screen
        while screen.mode is RapidMode.DOUBT:
            item = screen.picture.item
            await self.until(lambda item=item: screen.picture.seen == item)
            assert item is not None
            await self.pilot.press("d" if self.is_blue(item.ref) else "a")


@pytest.fixture
def rapid(truth: Any) -> Callable[..., Any]:
    """rapid(project): the rapid screen of a project, in a terminal that keeps pictures."""

    @asynccontextmanager
    async def open_(
        project: ProjectFolder, caps: TerminalCapabilities | None = None
    ) -> AsyncIterator[Rapid]:
        caps = caps or TerminalCapabilities(Technique.FRAMES, answers=True)
        with prepare_label_app(project, "ann", caps, features=False) as app:
            async with app.run_test(size=(80, 24)) as pilot:
                hand = Rapid(pilot, app.label_screen, truth)  # type: ignore[arg-type]
                await hand.until(lambda: app.label_screen.is_live("rapid"))
                await pilot.press("R")
                await hand.until(lambda: isinstance(app.screen, RapidScreen) or _refused(app))
                hand.screen = app.screen  # type: ignore[assignment]
                yield hand

    return open_


def _refused(app: Any) -> bool:
    strips = app.screen._compositor.render_strips()
    return "Rapid mode needs kitty or Ghostty" in "\n".join(strip.text for strip in strips)


def labels(project: ProjectFolder) -> dict[str, str | None]:
    store = SqliteStore(project.labels_file)
    try:
        with_all = LabelSession(store, ("red", "blue"), annotator="reader")
        return {last.ref: last.label for _, last in with_all.state.labels()}
    finally:
        store.close()


async def test_the_marked_get_the_class_and_the_rest_stays_open(
    make: Any, rapid: Any, log: Any, truth: Any
) -> None:
    project = make(6)
    async with rapid(project) as hand:
        await hand.pilot.press("-", "-", "-", "enter")
        await hand.mark()
        await hand.look_again()
        assert hand.screen.mode is RapidMode.DONE
        await hand.pilot.press("q")
    found = labels(project)
    assert found
    assert all(label == "blue" and truth(ref) == "blue" for ref, label in found.items())
    entries = log(project)
    assert {entry.picked_by for entry in entries} == {"rapid"}
    assert len({entry.extra["group"] for entry in entries}) == 1
    assert all(entry.q is None for entry in entries)


async def test_the_rest_becomes_the_other_class_where_that_is_wished(make: Any, rapid: Any) -> None:
    project = make(6)
    async with rapid(project) as hand:
        offered = [hand.screen.can_undo]
        await hand.pilot.press("o", "enter")
        await hand.mark()
        await hand.look_again()
        given = labels(project)
        offered.append("undo" in hand.screen.keys.text)
        await hand.pilot.press("backspace")
        taken_back = labels(project)
        offered.append("undo" in hand.screen.keys.text)
        await hand.pilot.press("q")
    assert len(given) == 6
    assert "red" in given.values()
    assert taken_back == {} and offered == [False, True, False]


async def test_a_paste_into_a_stream_marks_nothing_and_leaves_the_rest_open(
    make: Any, rapid: Any
) -> None:
    project = make(6)
    async with rapid(project) as hand:
        await hand.pilot.press("o", "enter")  # the rest would become the other class
        await hand.until(lambda: hand.screen._player is not None and hand.screen._player.onsets)
        pasted = list(KeyParser().feed(" x "))
        PasteMarker().mark(pasted, time.monotonic())
        for key in pasted:
            assert isinstance(key, events.Key)
            hand.screen.on_key(key)
        await hand.until(lambda: hand.screen.mode is RapidMode.DONE)
        await hand.pilot.press("q")
    assert labels(project) == {}


async def test_known_pictures_come_first_to_measure_the_delay(make: Any, rapid: Any) -> None:
    project = make(14)
    store = SqliteStore(project.labels_file)
    session = LabelSession(store, ("red", "blue"), annotator="ann")
    session.extend([f"{n:02d}.png" for n in range(14)])
    session.decide(
        {f"{n:02d}.png": "red" if n % 2 == 0 else "blue" for n in range(8)}, picked_by="x"
    )
    session.close()
    store.close()
    async with rapid(project) as hand:
        assert hand.screen.delay == KeyDelay()
        await hand.pilot.press("enter")
        await hand.until(lambda: hand.screen.mode is RapidMode.CALIBRATING)
        await hand.mark()
        assert hand.screen.mode is RapidMode.STREAMING
        assert hand.screen.delay != KeyDelay()
        await hand.pilot.press("q")


async def test_a_pause_stops_the_stream_and_its_time_does_not_count(make: Any, rapid: Any) -> None:
    async with rapid(make(30)) as hand:
        begun = time.monotonic()
        await hand.pilot.press("enter")
        await hand.until(lambda: hand.screen._player.place >= 2)
        await hand.pilot.press("p")
        item = hand.screen.picture.item
        await asyncio.sleep(0.8)
        assert hand.screen.picture.item == item
        await hand.pilot.press("space")
        await hand.pilot.press("p")
        await hand.until(lambda: hand.screen._player.place >= 4)
        assert hand.screen._player.marks == []
        times = list(hand.screen._player.onsets.values())
        assert times[-1] - times[0] < time.monotonic() - begun - 0.8
        await hand.pilot.press("q")


async def test_a_broken_picture_is_passed_over(make: Any, rapid: Any) -> None:
    project = make(8)
    (project.images / "03.png").write_bytes(b"no picture")
    async with rapid(project) as hand:
        await hand.pilot.press("o", "enter")
        await hand.mark()
        await hand.look_again()
        await hand.pilot.press("q")
    found = labels(project)
    assert len(found) == 7
    assert "03.png" not in found


async def test_it_is_not_offered_where_pictures_cannot_travel_ahead(make: Any, rapid: Any) -> None:
    async with rapid(make(8), TerminalCapabilities(Technique.HALFCELL, answers=True)) as hand:
        assert not isinstance(hand.screen, RapidScreen)
        assert _refused(hand.pilot.app)
