"""Dark samples on a page whose picture follows the pointer: dots (`--pointer`), blur, or both.

python -m benchmarks.pointer [--seconds N] [--terminals kitty-0.41 xterm ...]

A HIT is open in a real terminal while the pointer moves over its images. A sample is dark if less
than a quarter of the page is bright; all its images are. Needs the terminals of
tests/terminal/real/setup.sh; a terminal that is not installed is left out by name.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from annotator.log.entries import Action, Entry
from annotator.log.store.sqlite import SqliteStore
from annotator.project.project import ProjectFolder
from annotator.project.settings import ClassInfo, Settings
from tests.terminal.real.real_terminals import Pixels, Real, missing

COUNT = 48
SIZE = (160, 50)
TERMINALS = ("kitty-0.41", "kitty-0.26", "xterm", "plain")
VERSIONS = {
    "dots": ("--pointer",),
    "blur": ("--no-original",),
    "dots and blur": ("--pointer", "--no-original"),
}
SIDE = 40
"""Percent of the window that the pointer moves to either side of the middle."""
DARK = 60


def make_project(folder: Path) -> ProjectFolder:
    """Return a project of one HIT; its images are bright, its window is dark."""
    images = folder / "images"
    images.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for number in range(COUNT):
        noise = rng.integers(-30, 30, (240, 320, 3)) + rng.integers(140, 215, 3)
        picture = Image.fromarray(noise.clip(0, 255).astype(np.uint8))
        picture.save(images / f"{number:03}.jpg", quality=85)
    settings = Settings((ClassInfo("yes"), ClassInfo("no")), images=str(images))
    project = ProjectFolder.create(folder / "project", settings)
    store = SqliteStore(project.labels_file)
    for number, label in enumerate(("yes", "no")):
        store.append(Entry(0, 1.0, "ann", Action.LABEL, f"{number:03}.jpg", label))
    store.close()
    return project


def is_dark(pixels: Pixels) -> bool:
    """Return whether less than a quarter of the page is bright."""
    height = pixels.shape[0]
    page = pixels[height // 8 : height * 9 // 10 : 4, ::4]
    return bool((page.max(2) > DARK).mean() < 0.25)


def shows_page(pixels: Pixels) -> bool:
    """Return whether photographs are on the screen: bright, and not of one colour."""
    page = pixels[pixels.shape[0] // 8 : pixels.shape[0] * 9 // 10 : 4, ::4]
    return not is_dark(pixels) and len(np.unique(page.reshape(-1, 3), axis=0)) > 20


def sample(terminal: Real, seconds: float) -> tuple[int, int, int]:
    """Return the number of samples, of dark ones, and of distinct pictures."""
    from Xlib import X
    from Xlib.ext import xtest

    height, width = terminal.pixels().shape[:2]
    samples = dark = changes = 0
    before = b""
    begun = time.monotonic()
    while (passed := time.monotonic() - begun) < seconds:
        x = width * (50 + SIDE * math.sin(1.7 * passed)) / 100
        y = height * (50 + SIDE * math.sin(2.3 * passed)) / 100
        xtest.fake_input(terminal.display.x, X.MotionNotify, x=int(x), y=int(y))
        terminal.display.x.sync()
        time.sleep(0.01)
        pixels = terminal.pixels()
        samples += 1
        dark += is_dark(pixels)
        state = pixels[height // 8 : height * 9 // 10].tobytes()
        changes += state != before
        before = state
    return samples, dark, changes


def measure(name: str, version: str, seconds: float) -> None:
    """Print the share of dark samples of one terminal and version."""
    with tempfile.TemporaryDirectory() as place:
        project = make_project(Path(place))
        hits = [sys.executable, "-m", "annotator", "hits"]
        made = f"{' '.join(hits)} make {project.folder} --class yes --gold 1 --pages 1 --images 46"
        run = f"{' '.join(hits)} run {project.folder} --worker A1 {' '.join(VERSIONS[version])}"
        command = ["sh", "-c", f"{made} && exec {run}"]
        with Real(name, command, Path(place) / "terminal", size=SIZE) as terminal:
            terminal.wait(shows_page, 90)
            terminal.steady(1.5, 40)
            samples, dark, changes = sample(terminal, seconds)
            still_there = terminal.process.poll() is None
    ended = "" if still_there else "  THE PROGRAM ENDED"
    print(
        f"{name:10} {version:14} dark {100 * dark / samples:5.1f} % of {samples} samples, "
        f"{changes / seconds:4.1f} pictures a second{ended}",
        flush=True,
    )


def main() -> None:
    """Measure the terminals that are installed."""
    parser = argparse.ArgumentParser(description="Dark samples while the pointer moves.")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--terminals", nargs="*", default=TERMINALS, choices=TERMINALS)
    given = parser.parse_args()
    for name in given.terminals:
        if reason := missing(name):
            print(f"{name}: left out, {reason}")
            continue
        for version in VERSIONS:
            measure(name, version, given.seconds)


if __name__ == "__main__":
    main()
