"""The picture in real terminals: the right one, and only it, by pixels."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from annotator.log.store.sqlite import SqliteStore
from tests.terminal.real.real_terminals import TRIXIE, Pixels, Real, missing, opened
from tests.time_limits import PATIENCE

pytestmark = pytest.mark.terminal
ROOT = Path(__file__).parents[3]
OLD_TMUX = "/opt/tmux-3.3a"
APP = ROOT / "tests/tui/picture/picture_app.py"
COLOURS = [
    (200, 40, 40),
    (40, 180, 40),
    (60, 60, 220),
    (200, 180, 30),
    (180, 40, 190),
    (30, 180, 190),
]
CASES = [
    "kitty-0.48", "kitty-0.41", "kitty-0.26", "konsole", "xterm-398", "xterm", "mlterm", "plain",
    "kitty-0.48 tmux", "kitty-0.41 tmux",
    "kitty-0.41 tmux-3.3a", "xterm.js", "xterm.js sixel", "xterm.js iterm",
    "xterm.js-2026-03 kitty", "xterm.js-6.0",
]  # fmt: skip


@pytest.fixture
def start(tmp_path: Path) -> Callable[..., Real]:
    folder = tmp_path / "images"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number, colour in enumerate(COLOURS):
        noise = rng.integers(-12, 12, (240, 320, 3))
        Image.fromarray((np.array(colour) + noise).astype(np.uint8)).save(folder / f"{number}.png")

    def begin(case: str, **more: object) -> Real:
        name, _, inside = case.partition(" ")
        if reason := missing(name):
            pytest.skip(reason)
        if not inside.startswith("tmux"):
            name = case
        else:
            more["tmux"] = "set -g allow-passthrough on"
        if inside == "tmux-3.3a":
            if not (TRIXIE / OLD_TMUX[1:] / "tmux").exists():
                pytest.skip("tmux 3.3a is not installed: tests/terminal/real/setup.sh")
            more["env"] = {"PATH": f"{OLD_TMUX}:{os.environ['PATH']}"}
        command = [sys.executable, str(APP), str(folder), str(tmp_path / "log")]
        if given := more.pop("command", None):
            command = [sys.executable, "-m", "annotator", *given]  # type: ignore[misc]
        if more.pop("shell", False):
            # A shell around it, so that the terminal stays when the program ends or sleeps.
            more["env"] = {"PROMPT_COMMAND": f"unset PROMPT_COMMAND; {shlex.join(command)}"}
            command = ["bash", "--norc", "-i"]
        terminal = opened(name, command, tmp_path / "terminal", **more)
        terminal.look = 0.6
        return terminal

    return begin


def shows(number: int, tolerance: int = 60) -> Callable[[Pixels], bool]:
    """Return a test that nearly everything in the middle of the window has one picture's colour."""

    def condition(pixels: Pixels) -> bool:
        height, width = pixels.shape[:2]
        middle = pixels[height // 8 : height * 10 // 12, width // 5 : width * 4 // 5]
        far = np.abs(middle.astype(int) - COLOURS[number]).max(2) > tolerance
        return bool(far.mean() < 0.02)

    return condition


def gone(pixels: Pixels) -> bool:
    """Return whether nothing is left of the first picture."""
    return bool((np.abs(pixels.astype(int) - COLOURS[0]).max(2) < 60).mean() < 0.005)


def helps(pixels: Pixels) -> bool:
    """A white box in the middle, part of the first picture around it."""
    height, width = pixels.shape[:2]
    middle = pixels[height * 9 // 20 : height * 11 // 20, width * 4 // 10 : width * 6 // 10]
    around = pixels[height // 10 : height // 4, width // 4 : width * 3 // 4].astype(int)
    white = (middle > 200).all(2).mean() > 0.5
    return bool(white and (np.abs(around - COLOURS[0]).max(2) < 70).mean() > 0.9)


@pytest.fixture
def press(tmp_path: Path) -> Callable[[Real, str, int], None]:
    """press(terminal, key, number): a key that shows another picture. One that comes before the
    terminal's word that its picture is drawn counts as blind; it is pressed again then."""
    log = tmp_path / "log"

    def blind() -> int:
        return log.read_text().count("blind") if log.exists() else 0

    def press_(terminal: Real, key: str, number: int | Callable[[Pixels], bool]) -> None:
        found = number if callable(number) else shows(number)
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            before = blind()
            terminal.press(key)
            terminal.wait(lambda pixels, before=before: found(pixels) or blind() > before)
            if found(terminal.pixels()):
                return
        raise AssertionError(f"the key {key} never counted")

    return press_


@pytest.mark.parametrize("case", CASES)
def test_label_undo_help_resize_and_quit(
    case: str, start: Callable[..., Real], press: Callable[..., None]
) -> None:
    with start(case) as terminal:
        terminal.wait(shows(0))
        press(terminal, "d", 1)
        press(terminal, "a", 0)
        terminal.press("h")
        terminal.wait(helps)
        terminal.press("h")
        terminal.wait(shows(0))
        height, width = terminal.pixels().shape[:2]
        terminal.resize(width * 3 // 4, height * 3 // 4)
        time.sleep(0.3)
        terminal.wait(shows(0))
        press(terminal, "d", 1)
        terminal.steady()
        assert shows(1)(terminal.pixels())
        # With no program left the terminal closes: nothing can stay behind but what it shows now.
        terminal.press("q")
        terminal.ended()


@pytest.mark.parametrize(
    "case", ["kitty-0.41", "kitty-0.26", "xterm", "kitty-0.41 tmux", "xterm.js-2026-03 kitty"]
)
def test_quitting_gives_the_screen_back(case: str, start: Callable[..., Real]) -> None:
    with start(case, shell=True) as terminal:
        terminal.wait(shows(0))
        terminal.press("q")
        terminal.wait(gone)


@pytest.mark.parametrize("case", ["kitty-0.41", "xterm.js"])
def test_suspend_and_coming_back(
    case: str, start: Callable[..., Real], press: Callable[..., None]
) -> None:
    with start(case, shell=True) as terminal:
        terminal.wait(shows(0))
        terminal.press("ctrl+z")
        terminal.wait(gone)
        terminal.steady()
        for key in ("f", "g", "Return"):
            terminal.press(key)
        terminal.wait(shows(0))
        press(terminal, "d", 1)


def test_attaching_tmux_to_another_terminal_brings_the_picture_along(
    start: Callable[..., Real], press: Callable[..., None], tmp_path: Path
) -> None:
    with start("kitty-0.41 tmux") as first:
        first.wait(shows(0))
        press(first, "d", 1)
        inside = ["chroot", str(first.root)] if first.root else []
        tmux = ["tmux", "-S", str(first.socket)]
        subprocess.run([*inside, *tmux, "detach-client"], check=True)
        first.ended()
        with opened("kitty-0.41", [*tmux, "attach"], tmp_path / "second") as second:
            second.wait(shows(1))
            press(second, "d", 2)


@pytest.mark.parametrize("case", ["kitty-0.41", "xterm.js"])
def test_over_a_slow_line_a_second_key_before_the_picture_labels_nothing(
    case: str, start: Callable[..., Real], tmp_path: Path
) -> None:
    with start(case, kbit=2000, rtt=300) as terminal:
        terminal.wait(shows(0))
        terminal.wait(lambda pixels: (tmp_path / "log.state").read_text().startswith("0 seen"))
        terminal.steady(1.0)
        terminal.press("d")
        terminal.press("d")
        terminal.wait(shows(1))
        terminal.steady(1.0)
        assert shows(1)(terminal.pixels())
    assert (tmp_path / "log").read_text().split("\n")[:2] == ["label 0.png", "blind 1.png"]


@pytest.mark.parametrize("case", ["kitty-0.41", "xterm.js"])
def test_over_a_slow_line_every_key_shows_the_picture_that_it_asks_for(
    case: str, start: Callable[..., Real], press: Callable[..., None]
) -> None:
    # At this pace better versions of pictures are on their way when keys come.
    with start(case, kbit=2000, rtt=100) as terminal:
        terminal.wait(shows(0))
        for number in (1, 2, 3, 4, 5, 0, 1):
            time.sleep(0.7)
            press(terminal, "d", number)


@pytest.mark.parametrize("case", ["xterm.js", "xterm.js-2026-03 kitty"])
def test_undo_over_a_slow_line_sends_no_picture_again_and_no_reply_becomes_a_key(
    case: str, start: Callable[..., Real], press: Callable[..., None], tmp_path: Path
) -> None:
    with start(case, kbit=2000, rtt=100) as terminal:
        terminal.wait(shows(0))
        terminal.wait(lambda pixels: (tmp_path / "log.state").read_text().startswith("0 seen"))
        for number in (1, 2):
            terminal.steady(2.0, 60)
            press(terminal, "d", number)
        terminal.steady(2.0, 60)
        before = terminal.sent()
        press(terminal, "a", 1)
        press(terminal, "a", 0)
        assert terminal.sent() - before < 2000
        # A dialog's text takes pictures from newer versions: they are sent again.
        terminal.press("h")
        terminal.wait(helps)
        terminal.press("h")
        terminal.wait(shows(0))
        for number in (1, 2):
            press(terminal, "d", number)
    # A key that came too early was pressed again; nothing else was taken for a key.
    told = [line.split() for line in (tmp_path / "log").read_text().splitlines()]
    labelled = [name for kind, name in told if kind == "label"]
    assert labelled == [f"{number}.png" for number in (0, 1, 2, 1, 0, 1)]


@pytest.mark.parametrize("case", ["kitty-0.48", "kitty-0.41", "konsole"])
@pytest.mark.parametrize("remote", [False, True])
def test_nothing_of_an_older_picture_stays_beside_a_narrow_or_a_low_one(
    case: str, remote: bool, start: Callable[..., Real], press: Callable[..., None], tmp_path: Path
) -> None:
    # Wide and high by turns, in groups of three: each slot of the terminal gets both shapes.
    for number in range(24):
        size = (400, 60) if number % 3 else (60, 400)
        Image.new("RGB", size, COLOURS[number % 6]).save(tmp_path / f"images/{number:02}.png")
    for number in range(6):
        (tmp_path / f"images/{number}.png").unlink()

    def alone(number: int) -> Callable[[Pixels], bool]:
        def condition(pixels: Pixels) -> bool:
            inside = pixels[pixels.shape[0] // 8 : pixels.shape[0] * 10 // 12].astype(int)
            colourful = inside.max(2) - inside.min(2) > 60
            own = np.abs(inside - COLOURS[number % 6]).max(2) < 60
            return bool(own.sum() > 2000 and (colourful & ~own).sum() < 200)

        return condition

    env = {"SSH_CONNECTION": "192.0.2.1 50000 192.0.2.2 22"} if remote else {}
    with start(case, env=env) as terminal:
        terminal.wait(alone(0))
        terminal.steady()
        terminal.look = 0.1
        for number in range(1, 40):
            press(terminal, "d", alone(number % 24))


def on_screen(pixels: Pixels) -> int | None:
    """The number of the picture that fills the middle of the left half; None for none."""
    height, width = pixels.shape[:2]
    middle = pixels[height // 3 : height * 2 // 3, width // 6 : width // 2].reshape(-1, 3)
    near = [(np.abs(middle.astype(int) - colour).max(1) < 60).mean() for colour in COLOURS]
    return int(np.argmax(near)) if max(near) > 0.97 else None


def labelled(project: Path) -> int:
    store = SqliteStore(project / "labels.db")
    try:
        return sum(1 for _ in store.entries())
    finally:
        store.close()


@pytest.mark.parametrize("case", ["kitty-0.41", "xterm", "kitty-0.41 tmux", "xterm.js"])
def test_the_labels_in_the_project_are_those_of_the_pictures_that_were_on_screen(
    case: str, start: Callable[..., Real], tmp_path: Path
) -> None:
    project = tmp_path / "project"
    run = ["run", str(tmp_path / "images"), "--project", str(project), "--classes", "no,yes"]
    with start(case, command=run, size=(100, 30)) as terminal:
        given: dict[int, str] = {}
        for key in "dadd":
            terminal.wait(lambda pixels: on_screen(pixels) not in {None, *given})
            terminal.steady(0.4)
            number = on_screen(terminal.pixels())
            assert number is not None
            given[number] = {"a": "no", "d": "yes"}[key]
            # A key that comes before the terminal's word that the picture is drawn is not taken.
            terminal.until(
                lambda key=key: terminal.press(key),
                lambda pixels: labelled(project) == len(given),
            )
        # The last label is taken back, and its picture is there again.
        terminal.wait(lambda pixels: on_screen(pixels) not in {None, *given})
        terminal.steady(0.4)
        terminal.press("BackSpace")
        last = list(given)[-1]
        terminal.wait(lambda pixels: on_screen(pixels) == last)
        del given[last]
        terminal.press("q")
        terminal.ended()
    export = [sys.executable, "-m", "annotator", "export", str(project), "-"]
    lines = subprocess.run(export, capture_output=True, text=True, check=True, cwd=ROOT).stdout
    told = dict(re.findall(r"(\d)\.png.*?\b(yes|no)\b", lines))
    assert told == {str(number): label for number, label in given.items()}
