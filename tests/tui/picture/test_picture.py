"""The picture widget in a real app on a pty, as each kind of terminal sees it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from annotator.terminal.kitty import MARKS, PLACEHOLDER
from annotator.tui.picture.driver import repeat_spaces
from tests.terminal.memory_terminal import Screen
from tests.terminal.program_on_pty import Running
from tests.time_limits import PATIENCE

APP = str(Path(__file__).with_name("picture_app.py"))
COLOURS = [
    (200, 40, 40),
    (40, 180, 40),
    (60, 60, 220),
    (200, 180, 30),
    (180, 40, 190),
    (30, 180, 190),
]
KINDS = (
    *("kitty", "kitty-shared", "kitty-old", "kitty-0.48", "ghostty", "ghostty-frames", "iterm2"),
    *("konsole", "xterm.js", "xterm.js-leaky", "unknown", "wezterm", "xterm", "plain"),
)
Start = Callable[..., Running]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number, colour in enumerate(COLOURS):
        noise = rng.integers(-10, 10, (90, 120, 3))
        Image.fromarray((np.array(colour) + noise).astype(np.uint8)).save(folder / f"{number}.png")
    return folder


@pytest.fixture
def start(folder: Path, tmp_path: Path) -> Iterator[Start]:
    running: list[Running] = []

    def begin(kind: str = "kitty", **more: object) -> Running:
        running.append(Running([APP, str(folder), str(tmp_path / "log")], kind, **more))  # type: ignore[arg-type]
        return running[-1]

    yield begin
    for app in running:
        app.close()


def shows(number: int) -> Callable[[Screen], bool]:
    """Return whether all the middle of the picture's place has one picture's colour."""

    def condition(screen: Screen) -> bool:
        box = (screen.columns // 4, 2, screen.columns // 2, screen.rows - 5)
        found = screen.pixels(box).reshape(-1, 3).astype(int)
        return bool((np.abs(found - COLOURS[number]).max(1) < 70).mean() > 0.97)

    return condition


def says(text: str) -> Callable[[Screen], bool]:
    return lambda screen: text in screen.text()


def labels(tmp_path: Path) -> list[str]:
    log = tmp_path / "log"
    return log.read_text().split("\n")[:-1] if log.exists() else []


@pytest.mark.parametrize("kind", KINDS)
def test_label_undo_help_note_resize_and_quit(kind: str, start: Start) -> None:
    app = start(kind)
    app.wait(says("0 seen"))
    app.wait(shows(0))
    app.press(b"d")
    app.wait(says("1 seen"))
    app.wait(shows(1))
    app.press(b"a")
    app.wait(says("0 seen"))
    app.wait(shows(0))
    app.press(b"h")
    app.wait(says("THIS IS HELP"))
    app.wait(lambda screen: bool((screen.pixels((22, 8, 16, 1)) > 200).mean() > 0.5))
    app.press(b"h")
    app.wait(shows(0))
    app.press(b"n")
    app.wait(says("A NOTE"))
    app.press(b"d")
    app.wait(says("1 seen"))
    app.press(b"c")
    app.wait(lambda screen: "A NOTE" not in screen.text() and shows(1)(screen))
    app.resize(44, 16)
    app.wait(lambda screen: says("1 seen")(screen) and shows(1)(screen))
    app.press(b"q")
    app.wait(says("GOODBYE"))
    assert app.process.wait(PATIENCE) == 0
    kept = {image.frames[0].size for image in app.look(lambda screen: screen.images).values()}
    assert kept <= ({(1, 1)} if kind.startswith(("konsole", "xterm.js")) else set())
    assert app.look(lambda screen: screen.problems) == []


def whole(screen: Screen) -> bool:
    """Return whether each placeholder knows its place, and nothing else has marks."""
    return all(
        fits(cell.text, PLACEHOLDER + MARKS[y] + MARKS[x], row[max(0, x - 1)].text)
        for y, row in enumerate(screen.cells)
        for x, cell in enumerate(row)
    )


def fits(text: str, placed: str, left: str) -> bool:
    if text[0] != PLACEHOLDER:
        return len(text) == 1
    # Without marks it is the cell after its neighbour.
    return text[:3] == placed or (text == PLACEHOLDER and left[0] == PLACEHOLDER)


def test_a_dialog_over_a_picture_cuts_it_between_cells(start: Start) -> None:
    app = start("kitty")
    app.wait(shows(0))
    app.press(b"h")
    for columns in (60, 58, 53, 47, 44):
        app.resize(columns, 20)
        left = (columns - 20) // 2
        app.wait(lambda screen: screen.pixels((left, 9, 20, 1)).min() > 200)  # noqa: B023
        app.wait(says("THIS IS HELP"))
        app.wait(whole)


@pytest.mark.parametrize("kind", ["kitty", "xterm"])
def test_suspend_frees_the_terminal_and_coming_back_shows_the_picture(
    kind: str, start: Start
) -> None:
    app = start(kind)
    app.wait(says("0 seen"))
    app.press(b"\x1a")
    _, status = os.waitpid(app.process.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)
    app.wait(lambda screen: not screen.images and not screen.alternate)
    os.kill(app.process.pid, signal.SIGCONT)
    app.wait(shows(0))
    app.press(b"d")
    app.wait(shows(1))


def test_a_crash_leaves_no_picture_behind(start: Start) -> None:
    app = start("kitty")
    app.wait(says("0 seen"))
    app.press(b"x")
    app.process.wait(PATIENCE)
    app.wait(lambda screen: not screen.images and not screen.alternate)


def test_keys_before_the_picture_label_nothing(start: Start, tmp_path: Path) -> None:
    app = start("kitty", delay=0.15)
    app.wait(says("0 seen"))
    app.press(b"ddd")
    app.wait(says("1 seen"))
    assert labels(tmp_path) == ["label 0.png", "blind 1.png", "blind 1.png"]


def test_keys_typed_while_the_terminal_is_asked_arrive(start: Start) -> None:
    app = start("kitty", delay=0.2)
    app.press(b"q")
    app.wait(says("GOODBYE"))


def test_a_key_costs_few_bytes(start: Start) -> None:
    app = start("kitty")
    app.wait(says("0 seen"))
    end = time.monotonic() + PATIENCE
    while not app.look(says("0 idle")):  # until all that is expected is there
        assert time.monotonic() < end
        app.press(b"s")
        time.sleep(0.1)
    before = 0
    while app.sent > before:
        before = app.sent
        time.sleep(0.7)
    app.press(b"d")
    app.wait(shows(1))
    # The status line's text and the answers' questions included; the next picture is not.
    assert app.sent - before < 600


def test_a_line_of_text_costs_what_it_says_and_not_its_spaces() -> None:
    line = "\x1b[5;1H\x1b[48;2;18;18;18m   1 a.png" + " " * 69 + "\x1b[0m|"
    short = repeat_spaces(line)
    assert len(short) < len(line) - 55
    plain, repeated = Screen(), Screen()
    plain.feed(line.encode())
    repeated.feed(short.encode())
    assert repeated.cells == plain.cells
    title = "\x1b]0;a" + " " * 40 + "b\x07"
    assert repeat_spaces(title) == title, "a title would be cut"


def test_a_broken_picture_says_so_in_its_place(folder: Path, start: Start) -> None:
    (folder / "0.png").write_bytes(b"no picture")
    app = start("kitty")
    app.wait(says("0 broken"))
    app.wait(says("0.png"))
    app.press(b"d")
    app.wait(shows(1))


def test_zoom_shows_every_pixel_of_the_source(folder: Path, start: Start) -> None:
    checks = np.indices((16, 24)).sum(0) % 2 * 255
    Image.fromarray(np.repeat(checks[..., None], 3, 2).astype(np.uint8)).save(folder / "0.png")
    app = start("kitty")
    app.wait(says("0 seen"))
    app.press(b"z")

    def squares(screen: Screen) -> bool:
        row = screen.pixels()[150, :, 0].astype(int)
        edges = np.flatnonzero(np.abs(np.diff(row)) > 200)
        return len(edges) > 20 and set(np.diff(edges)) == {19}

    app.wait(squares)
