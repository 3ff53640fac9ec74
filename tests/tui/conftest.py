"""Small projects, and the app on them without a terminal."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from textual.pilot import Pilot
from textual.screen import Screen
from textual.timer import Timer

from annotator.features.growing import FeatureWriter
from annotator.items.ref_table import RefTable
from annotator.log.entries import Entry, LogState, replay
from annotator.log.store.sqlite import SqliteStore
from annotator.project.project import ProjectFolder
from annotator.project.settings import ClassInfo, Settings
from annotator.terminal.caps import Technique, TerminalCapabilities
from annotator.tui.app import LabelApp
from annotator.tui.label.screen import LabelScreen
from annotator.tui.launch import prepare_label_app
from annotator.tui.pages.screen import PageScreen
from tests.time_limits import PATIENCE

COLOURS = {"red": (200, 30, 30), "blue": (30, 30, 200)}
HALF_CELLS = TerminalCapabilities(Technique.HALFCELL)
Make = Callable[..., ProjectFolder]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """make(count, classes=..., **settings): a project of half red, half blue images."""

    def project(
        count: int = 8, classes: Sequence[str | ClassInfo] = ("red", "blue"), **settings: Any
    ) -> ProjectFolder:
        images = tmp_path / "images"
        images.mkdir(exist_ok=True)
        for number in range(count):
            colour = list(COLOURS.values())[number % 2]
            Image.new("RGB", (32, 24), colour).save(images / f"{number:02d}.png")
        # A test types quicker than any hand: its keys are neither held down nor blind.
        settings.setdefault("seen_guard", "off")
        infos = tuple(ClassInfo(one) if isinstance(one, str) else one for one in classes)
        return ProjectFolder.create(
            tmp_path / "project", Settings(classes=infos, images=str(images), **settings)
        )

    return project


@pytest.fixture
def give_features() -> Callable[[ProjectFolder, Sequence[str]], None]:
    """give_features(project, refs): such that red and blue are easy to tell apart."""
    return _give_features


def _give_features(project: ProjectFolder, refs: Sequence[str]) -> None:
    rng = np.random.default_rng(0)
    kinds = np.array([int(Path(ref.split("#")[0]).stem) % 2 for ref in refs])
    matrix = rng.normal(size=(len(refs), 8)).astype(np.float32) * 0.1
    matrix[:, 0] += np.where(kinds, 1.0, -1.0)
    matrix[:, 1] += 1.0
    with FeatureWriter(project.features_folder, RefTable(refs), {"name": "made"}, 8) as growing:
        growing.write(np.arange(len(refs)), matrix)
        growing.finish()


@pytest.fixture
def truth() -> Callable[[str | None], str]:
    """truth(ref): the colour of an image that `make` made."""
    return _truth


def _truth(ref: str | None) -> str:
    assert ref is not None
    return list(COLOURS)[int(Path(ref).stem) % 2]


@pytest.fixture(autouse=True)
def _settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """A `Pilot` that returns only when each action has had all its consequences.

    By itself it waits for the queued messages and for an idle processor. Messages that follow
    from them, screen after app after screen, may come later. An app that ends while it is busy
    answers the pilot no more: a second is enough.
    """
    once = Pilot._wait_for_screen

    async def settled(self: Pilot[Any], timeout: float = PATIENCE) -> bool:
        for _ in range(5):
            waiting = asyncio.create_task(once(self, timeout))
            while not waiting.done() and not self.app._exit:
                await asyncio.wait([waiting], timeout=0.1)
            await asyncio.wait([waiting], timeout=1)
            if waiting.cancel() or not waiting.result():
                return False
        return True

    monkeypatch.setattr(Pilot, "_wait_for_screen", settled)


@pytest.fixture(autouse=True)
def _said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Notices that stay until the next one: a test on a slow machine may read them late."""

    def later(self: Screen[Any], delay: float, *given: Any, **named: Any) -> Timer:
        return Screen.set_timer(self, PATIENCE if delay >= 1 else delay, *given, **named)

    for screen in (LabelScreen, PageScreen):
        monkeypatch.setattr(screen, "set_timer", later, raising=False)


class Desk:
    """The running app and the means to look at it."""

    def __init__(self, app: LabelApp, pilot: Pilot[Any]) -> None:
        self.app, self.pilot = app, pilot

    @property
    def current(self) -> str | None:
        """The ref of the picture on screen."""
        item = self.app.label_screen.picture.item
        return item.ref if item else None

    async def press(self, *keys: str) -> None:
        """Press keys one after the other, each when the picture is on screen."""
        for key in keys:
            await self.until(self._can_be_seen)
            await self.pilot.press(key)

    def _can_be_seen(self) -> bool:
        screen = self.app.label_screen
        elsewhere = self.app.screen is not screen or screen.has_class("small")
        return elsewhere or screen.picture.seen == screen.picture.item

    async def until(self, condition: Callable[[], Any], seconds: float = PATIENCE) -> None:
        """Wait for something to become true."""
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, f"never came true; the screen shows:\n{self.text}"
            await asyncio.sleep(0.005)
            await self.pilot.pause()

    async def learnt(self) -> None:
        """Wait until the model has the features, knows all labels, and is asked by."""
        session = self.app.session
        await self.until(lambda: session.has_features)
        await self.until(lambda: not session.stale and not self.app._fitter.busy)

    async def sees(self, words: str) -> None:
        """Wait for words on the screen."""
        await self.until(lambda: words in self.text)

    @property
    def text(self) -> str:
        """The text on the screen."""
        strips = self.app.screen._compositor.render_strips()
        return "\n".join(strip.text for strip in strips)


@pytest.fixture
def opened() -> Callable[..., AbstractAsyncContextManager[Desk]]:
    """opened(project, annotator, size, extract, caps): the app, as an asynchronous context."""
    return _opened


@asynccontextmanager
async def _opened(
    project: ProjectFolder,
    annotator: str = "ann",
    size: tuple[int, int] = (80, 24),
    extract: bool = False,
    caps: TerminalCapabilities = HALF_CELLS,
) -> AsyncIterator[Desk]:
    """The app on a project, with its first picture or its notice on screen."""
    with prepare_label_app(project, annotator, caps, features=extract) as app:
        async with app.run_test(size=size) as pilot:
            desk = Desk(app, pilot)
            await desk.until(lambda: app.label_screen.listed or app.return_value)
            yield desk


@pytest.fixture
def log() -> Callable[[ProjectFolder], list[Entry]]:
    """log(project): everything in its log."""
    return _log


def _log(project: ProjectFolder) -> list[Entry]:
    store = SqliteStore(project.labels_file)
    try:
        return list(store.entries())
    finally:
        store.close()


def state_of(project: ProjectFolder) -> LogState:
    """Return the state that the log of a project leads to."""
    return replay(_log(project))


def append_entries(project: ProjectFolder, *entries: Entry) -> None:
    """Append to the log of a project, as another process does."""
    store = SqliteStore(project.labels_file)
    store.append(*entries)
    store.close()
