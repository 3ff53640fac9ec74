"""Pages in real terminals: keys and the mouse select what they mean, a kill loses nothing."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from Xlib import X
from Xlib.ext import xtest

from annotator.log.entries import Action
from annotator.log.store.sqlite import SqliteStore
from annotator.project.project import ProjectFolder
from annotator.project.settings import ClassInfo, Settings
from annotator.terminal.sheet import Spot, lay_out_grid
from annotator.tui.pages.mosaic import make_tags
from tests.terminal.real.real_terminals import Pixels, Real, missing, opened
from tests.time_limits import PATIENCE

pytestmark = pytest.mark.terminal
RED, BLUE = (200, 40, 40), (60, 60, 220)
SIZE, HEAD, FOOT = (100, 34), 3, 2
COUNT = 12


@pytest.fixture
def project(tmp_path: Path) -> ProjectFolder:
    """Twelve images a page, every third one red."""
    images = tmp_path / "images"
    images.mkdir()
    for number in range(2 * COUNT):
        colour = RED if number % 3 == 0 else BLUE
        Image.new("RGB", (160, 120), colour).save(images / f"{number:02}.png")
    settings = Settings((ClassInfo("red"), ClassInfo("blue")), images=str(images))
    return ProjectFolder.create(tmp_path / "project", settings)


class Browsing:
    """A page in a terminal, as its pixels say."""

    def __init__(self, terminal: Real) -> None:
        self.terminal = terminal
        terminal.wait(lambda pixels: self.coloured(pixels) == COUNT)
        terminal.steady()

    def coloured(self, pixels: Pixels) -> int:
        return sum(kind != "" for kind in self.kinds(pixels))

    def kinds(self, pixels: Pixels) -> list[str]:
        """The colour of each tile: red, blue, or nothing yet."""
        found = []
        for x, y in self.middles(pixels):
            off = {"red": RED, "blue": BLUE}
            near = [n for n, c in off.items() if np.abs(pixels[y, x].astype(int) - c).max() < 40]
            found.append(near[0] if near else "")
        return found

    def middles(self, pixels: Pixels) -> list[tuple[int, int]]:
        cell, places = self._grid(pixels)
        return [
            (
                int((spot.column + spot.columns / 2) * cell[0]),
                int((spot.row + spot.rows / 2 + HEAD) * cell[1]),
            )
            for spot in places
        ]

    def _grid(self, pixels: Pixels) -> tuple[tuple[float, float], tuple[Spot, ...]]:
        """The pixels of a cell, which a browser has not whole, and the tiles' cells."""
        height, width = pixels.shape[:2]
        cell = width / SIZE[0], height / SIZE[1]
        whole = round(cell[0]), round(cell[1])
        return cell, lay_out_grid(COUNT, SIZE[0], SIZE[1] - HEAD - FOOT, whole)

    def framed(self, pixels: Pixels) -> set[int]:
        """The tiles whose head is green: the selected ones."""
        cell, places = self._grid(pixels)
        found = set()
        for place, spot in enumerate(places):
            x = int((spot.column + spot.columns - 0.5) * cell[0])
            y = int((spot.row - 0.5 + HEAD) * cell[1])
            red, green, blue = pixels[y, x].astype(int)
            if green > 150 and green > red + 20 and green > blue + 20:
                found.add(place)
        return found

    def selects(self, places: set[int]) -> Callable[[Pixels], bool]:
        return lambda pixels: self.framed(pixels) == places

    def press(self, *keys: str, selects: set[int]) -> None:
        """Keys that select these tiles; again where they came before the page was drawn."""
        self.terminal.until(lambda: [self.terminal.press(k) for k in keys], self.selects(selects))

    def submit(self) -> None:
        """A page that is drawn counts; after it comes one without a selection."""
        self.press("Return", selects=set())
        self.terminal.wait(lambda pixels: self.coloured(pixels) == COUNT)
        self.terminal.steady()

    def click(self, place: int, selects: set[int]) -> None:
        self.terminal.until(lambda: self._click(place), self.selects(selects))

    def _click(self, place: int) -> None:
        x, y = self.middles(self.terminal.pixels())[place]
        x -= 25  # the pointer itself is not to stand where the tile is looked at
        display = self.terminal.display.x
        # kitty may take a click that comes with the pointer for one where the pointer was before.
        for step in (-2, 0):
            xtest.fake_input(display, X.MotionNotify, x=x + step, y=y)
            display.sync()
            time.sleep(0.2)
        xtest.fake_input(display, X.ButtonPress, 1)
        xtest.fake_input(display, X.ButtonRelease, 1)
        display.sync()


def started(name: str, project: ProjectFolder, folder: Path) -> Real:
    command = [sys.executable, "-m", "annotator", "browse", str(project.folder)]
    command += ["--class", "red", "--order", "random", "--per-page", str(COUNT)]
    return opened(name, [*command, "--annotator", "ann"], folder, size=SIZE)


def labels(project: ProjectFolder) -> list[str | None]:
    store = SqliteStore(project.labels_file)
    try:
        return [entry.label for entry in store.entries() if entry.action is Action.LABEL]
    finally:
        store.close()


@pytest.mark.parametrize(
    "name",
    [
        "kitty-0.41",
        "kitty-0.26",
        "xterm",
        "plain",
        "xterm.js",
        "xterm.js-2026-03",
        "xterm.js sixel",
    ],
)
def test_select_by_letter_key_and_mouse_and_submit(
    name: str, project: ProjectFolder, tmp_path: Path
) -> None:
    if reason := missing(name):
        pytest.skip(reason)
    with started(name, project, tmp_path / "terminal") as terminal:
        browsing = Browsing(terminal)
        first = browsing.kinds(terminal.pixels())
        letters = make_tags(COUNT)
        browsing.press(letters[4], selects={4})
        browsing.press("Right", "space", selects={4, 5})
        browsing.click(9, selects={4, 5, 9})
        browsing.click(4, selects={5, 9})
        assert browsing.kinds(terminal.pixels()) == first, "a selection leaves the pictures alone"
        browsing.submit()
        terminal.press("BackSpace")
        terminal.wait(browsing.selects({5, 9}))
        terminal.wait(lambda pixels: browsing.kinds(pixels) == first)
        browsing.submit()
    assert labels(project).count("red") == 4  # twice two: taken back, and submitted again
    assert len(labels(project)) == 2 * COUNT


def test_kill_inside_a_page(project: ProjectFolder, tmp_path: Path) -> None:
    if reason := missing("xterm"):
        pytest.skip(reason)
    with started("xterm", project, tmp_path / "first") as terminal:
        browsing = Browsing(terminal)
        shown = browsing.kinds(terminal.pixels())
        browsing.press(make_tags(COUNT)[2], selects={2})
        browsing.press(make_tags(COUNT)[7], selects={2, 7})
        for pid in _programs(project):
            os.kill(pid, signal.SIGKILL)
        terminal.process.wait(PATIENCE)
    time.sleep(0.2)
    with started("xterm", project, tmp_path / "second") as terminal:
        again = Browsing(terminal)
        terminal.wait(again.selects({2, 7}))
        terminal.wait(lambda pixels: again.kinds(pixels) == shown)


def _programs(project: ProjectFolder) -> list[int]:
    """The annotator's own processes on this project."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            ours = b"browse" in words and str(project.folder).encode() in words
            if ours and not any(word.endswith(b"slow_line.py") for word in words):
                found.append(int(entry.name))
    return found
