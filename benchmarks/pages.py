"""Pages: from Enter to the next page's pixels, and from a letter to the selection's.

python -m benchmarks.pages [--keys N]

In a real kitty and a real xterm on this machine, with a page of 48 photographs that is sent ahead;
beside them 48 image widgets of textual-image that are given the next 48 pictures. Times run from
the key's press to the pixels on the screen; kitty draws with a software renderer here. Needs the
terminals of tests/terminal/real/setup.sh; what is not installed is left out by name.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from annotator.project.project import ProjectFolder
from annotator.project.settings import ClassInfo, Settings
from annotator.terminal.sheet import Spot, count_fitting, lay_out_grid
from annotator.tui.pages.mosaic import make_tags
from benchmarks._keys import LINE
from tests.terminal.real.real_terminals import Pixels, Real, missing

PAGE, PAGES = 48, 30
LIMITS = {"page": 150, "selection": 30}
"""Milliseconds that are allowed."""
SIZES = ((80, 24), (160, 50))
LOCAL: dict[str, float] = {}
PEER = """
import sys
from pathlib import Path
from PIL import Image
from textual.app import App
from textual.containers import Grid
from textual_image.widget import Image as Picture

class Peer(App):
    CSS = "Grid { grid-size: 8 6; } Picture { width: 1fr; height: 1fr; }"
    page = 0

    def pictures(self):
        names = sorted(Path(sys.argv[1]).iterdir())[48 * self.page : 48 * self.page + 48]
        return [Image.open(name) for name in names]

    def compose(self):
        with Grid():
            for picture in self.pictures():
                yield Picture(picture)

    def on_key(self):
        self.page += 1
        for widget, picture in zip(self.query(Picture), self.pictures()):
            widget.image = picture

Peer().run()
"""


def photographs(images: Path) -> None:
    """Each of a colour of its own, so that a page differs from the one before."""
    images.mkdir()
    rng = np.random.default_rng(0)
    for number in range(PAGE * PAGES):
        noise = rng.integers(-30, 30, (240, 320, 3)) + rng.integers(40, 215, 3)
        picture = Image.fromarray(noise.clip(0, 255).astype(np.uint8))
        picture.save(images / f"{number:04}.jpg", quality=85)


ECHO = """
import base64, io, os, sys, tty
import numpy as np
from PIL import Image
tty.setcbreak(0)
if len(sys.argv) > 2:
    size = int(sys.argv[1]), int(sys.argv[2])
    noise = np.random.default_rng(0).integers(0, 255, (size[1] // 8, size[0] // 8, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).resize(size).save(file, "PNG")
    data = base64.b64encode(file.getvalue()).decode()
    parts = [data[at : at + 4096] for at in range(0, len(data), 4096)]
    sys.stdout.write("\\x1b[3;1H")
    for number, part in enumerate(parts):
        head = "a=T,f=100,C=1,q=2," if not number else ""
        sys.stdout.write(f"\\x1b_G{head}m={int(number < len(parts) - 1)};{part}\\x1b\\\\")
    sys.stdout.write("\\x1b[1;1H")
    sys.stdout.flush()
while key := os.read(0, 64):
    os.write(1, key)
"""
"""A program that writes each key, above a picture of this width and height or nothing."""


class Window:
    """A terminal with a page in it."""

    def __init__(self, terminal: Real, size: tuple[int, int], above: int, below: int) -> None:
        self.terminal, self.above = terminal, above
        height, width = terminal.pixels().shape[:2]
        self.cell = width // size[0], height // size[1]
        room = size[0], size[1] - above - below
        self.spots = lay_out_grid(count_fitting(PAGE, *room, self.cell), *room, self.cell)

    def middles(self, pixels: Pixels) -> Pixels:
        """(n, 3) the colour in the middle of each tile."""
        at = [self.pixel(s, s.columns / 2, s.rows / 2) for s in self.spots]
        return np.array([pixels[y, x] for x, y in at])

    def pixel(self, spot: Spot, right: float, down: float) -> tuple[int, int]:
        x = int((spot.column + right) * self.cell[0])
        return x, int((spot.row + down + self.above) * self.cell[1])

    def changed(self, before: Pixels) -> Callable[[Pixels], bool]:
        def condition(pixels: Pixels) -> bool:
            differs = np.abs(self.middles(pixels).astype(int) - before).max(1) > 12
            return bool(differs.mean() > 0.85)

        return condition

    def turn(self, key: str) -> float:
        """Milliseconds from a key until nearly all tiles show other pictures."""
        before = self.middles(self.terminal.pixels()).astype(int)
        pressed = self.terminal.press(key)
        return (self.terminal.wait(self.changed(before)) - pressed) / 1e6

    def select(self, place: int) -> float:
        """Milliseconds from the last letter of a tile's tag until its frame has changed."""
        *first, last = make_tags(len(self.spots))[place]
        for letter in first:
            self.terminal.press(letter)
            self.terminal.steady(0.3, 5)
        x, y = self.pixel(self.spots[place], self.spots[place].columns - 0.5, -0.5)
        before = self.terminal.pixels()[y, x].astype(int)
        pressed = self.terminal.press(last)

        def condition(pixels: Pixels) -> bool:
            return bool(np.abs(pixels[y, x].astype(int) - before).max() > 40)

        return (self.terminal.wait(condition) - pressed) / 1e6


@contextmanager
def opened(  # type: ignore[no-untyped-def]
    name: str,
    command: list[str],
    folder: Path,
    size: tuple[int, int],
    line: dict[str, float] = LOCAL,
):
    with Real(name, command, folder, size=size, **line) as terminal:
        terminal.wait(lambda pixels: bool((pixels.max(2) > 60).mean() > 0.3), 90)
        terminal.steady(1.5, 40)
        yield terminal


def ours(name: str, images: Path, folder: Path, size: tuple[int, int], keys: int) -> None:
    settings = Settings((ClassInfo("yes"), ClassInfo("no")), images=str(images))
    made = ProjectFolder.create(folder / "project", settings)
    command = [sys.executable, "-m", "annotator", "browse", str(made.folder), "--class", "yes"]
    command += ["--order", "random"]
    with opened(name, command, folder, size) as terminal:
        window = Window(terminal, size, 2 if size[1] < 30 else 3, 2)
        pages = []
        sent = terminal.sent()
        for _ in range(min(keys, PAGES - 6)):
            terminal.steady(0.8, 20)
            pages.append(window.turn("Return"))
        each = (terminal.sent() - sent) / max(1, len(pages)) / 1024
    said = f"{name} {size[0]}x{size[1]}, {len(window.spots)} tiles"
    row(f"annotator, {said}", "page", pages, f"{each:.0f} KiB a page, sent ahead")


def selections(
    name: str, images: Path, folder: Path, size: tuple[int, int], keys: int, line: dict[str, float]
) -> None:
    """A selection beside the echo of a letter by a program that does nothing, in turn."""
    settings = Settings((ClassInfo("yes"), ClassInfo("no")), images=str(images))
    made = ProjectFolder.create(folder / "project", settings)
    command = [sys.executable, "-m", "annotator", "browse", str(made.folder), "--class", "yes"]
    command += ["--order", "random"]
    pixels = [str(8 * size[0]), str(17 * (size[1] - 5))]
    picture = [sys.executable, "-c", ECHO, *pixels]
    with (
        opened(name, command, folder / "ours", size, line) as terminal,
        Real(name, [sys.executable, "-c", ECHO], folder / "echo", size=size, **line) as bare,
        Real(name, picture, folder / "picture", size=size) as full,
    ):
        window = Window(terminal, size, 2 if size[1] < 30 else 3, 2)
        chosen, echoes, beside = [], [], []
        for place in range(1, min(keys + 1, len(window.spots))):
            echoes.append(echo(bare))
            beside.append(echo(full))
            chosen.append(window.select(place))
    where = f"{name} {size[0]}x{size[1]}{', slow line' if line else ''}"
    row(f"annotator, {where}", "selection", chosen)
    row(f"echo of a letter, {where}", "selection", echoes)
    row("  the same above a picture, local", "selection", beside)
    for title, ms in (("echo", echoes), ("local echo above a picture", beside)):
        ratio = statistics.median(chosen) / statistics.median(ms)
        print(f"selection / {title}, {where}: {ratio:.2f} (goal: at most 1.2)", flush=True)


def echo(terminal: Real) -> float:
    """Milliseconds that the terminal and the line take from a key to its pixels."""
    terminal.steady(0.5, 5)
    before = terminal.pixels()[:17]
    pressed = terminal.press("x")
    shown = terminal.wait(lambda pixels: bool((pixels[:17] != before).any()))
    return (shown - pressed) / 1e6


def peer(folder: Path, images: Path, size: tuple[int, int], keys: int) -> None:
    script = folder / "peer.py"
    folder.mkdir()
    script.write_text(PEER)
    with opened("kitty-0.41", [sys.executable, str(script), str(images)], folder / "t", size) as t:
        window = Window(t, size, 0, 0)
        pages = []
        for _ in range(min(keys, 6)):
            t.steady(1.0, 30)
            pages.append(window.turn("Return"))
    row(f"textual-image, kitty-0.41 {size[0]}x{size[1]}, 48 widgets", "page", pages)


def row(name: str, what: str, ms: list[float], more: str = "") -> None:
    best, middle, worst = min(ms), statistics.median(ms), max(ms)
    limit = f"limit {LIMITS[what]}" if name.startswith("annotator, kitty") else ""
    times = f"median {middle:5.0f} ms  best {best:5.0f}  worst {worst:5.0f}"
    print(f"{name:46} {what:10} {times}  {limit:10} {more}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Pages: from a key to the pixels.")
    parser.add_argument("--keys", type=int, default=12)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        photographs(folder / "images")
        for number, (name, size) in enumerate(
            [("kitty-0.41", SIZES[0]), ("kitty-0.41", SIZES[1]), ("xterm", SIZES[1])]
        ):
            if reason := missing(name):
                print(f"{name}: left out, {reason}")
            else:
                ours(name, folder / "images", folder / f"run{number}", size, given.keys)
                for which, line in enumerate(({}, LINE) if number else ({},)):
                    place = folder / f"selections{number}{which}"
                    selections(name, folder / "images", place, size, given.keys, line)
        if not missing("kitty-0.41"):
            peer(folder / "peer", folder / "images", SIZES[1], given.keys)


if __name__ == "__main__":
    main()
