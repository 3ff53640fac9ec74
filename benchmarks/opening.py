"""From the command to the first picture: a bare folder of 100,000 images, a project of a million.

Beside it, in turn, a Textual app that shows one line of text, and a listing of the same folder with
nothing else; what else the machine does falls on all of them alike. The sources are compiled first,
as those of an installed program are. Memory is what the app holds at a million items x 384
features, and the most that it ever held.
"""

from __future__ import annotations

import compileall
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
from PIL import Image

import annotator
from annotator.features.store import FeatureStore
from annotator.items.ref_table import RefTable
from annotator.project.item_pool import load_refs
from annotator.project.project import ProjectFolder
from annotator.project.settings import ClassInfo, Settings
from benchmarks._pty import HALF_CELL, Terminal

TRIVIAL = """
from textual.app import App
from textual.widgets import Static
class One(App):
    def compose(self):
        yield Static("one line")
One().run()
"""
ANNOTATOR = str(Path(sys.executable).with_name("annotator"))
RUNS = 9
GOAL, GOAL_MB = 3.0, 250


def make_folder(folder: Path, count: int) -> None:
    """Links to one small JPEG: the listing sees as many files."""
    picture = Image.effect_noise((160, 120), 60).convert("RGB")
    for number in range(count // 1000):
        part = folder / f"{number:04}"
        part.mkdir(parents=True)
        first = part / "0000.jpg"
        picture.save(first)
        for place in range(1, 1000):
            os.link(first, part / f"{place:04}.jpg")


def make_million(folder: Path, images: Path, count: int) -> ProjectFolder:
    """A project of `count` boxes with random features, the pictures being those of `images`."""
    project = ProjectFolder.create(
        folder, Settings((ClassInfo("ok"), ClassInfo("defect")), images=str(images))
    )
    refs = RefTable(
        f"{n % 100:04}/{n // 100 % 1000:04}.jpg#xywh={n // 100000},{n % 50},60,60"
        for n in range(count)
    )
    with project.refs_file.open("w") as file:
        file.write("filename\n")
        file.writelines(f'"{ref}"\n' for ref in refs)
    matrix = np.lib.format.open_memmap(
        folder / "mine.npy", mode="w+", dtype=np.float16, shape=(count, 384)
    )
    rng = np.random.default_rng(0)
    for start in range(0, count, 50_000):
        block = matrix[start : start + 50_000]
        block[:] = rng.standard_normal(block.shape, np.float32)
    matrix.flush()
    FeatureStore.adopt(project.features_folder, folder / "mine.npy", refs)
    return project


def first_picture(*arguments: str) -> float:
    terminal = Terminal([ANNOTATOR, "run", *arguments, "--graphics", "halfcell"])
    seconds = terminal.read_until(lambda data: HALF_CELL in data)
    terminal.end("q")
    return seconds


def trivial() -> float:
    terminal = Terminal([sys.executable, "-c", TRIVIAL])
    seconds = terminal.read_until(lambda data: b"one line" in data)
    terminal.end("\x11")
    return seconds


def listing(folder: Path) -> float:
    begun = time.perf_counter()
    sum(len(files) for _, _, files in os.walk(folder))
    return time.perf_counter() - begun


def memory(project: ProjectFolder) -> dict[str, float]:
    """After some labels, with a model learnt on all features; and the most at any time."""
    terminal = Terminal([ANNOTATOR, "run", str(project.folder), "--graphics", "halfcell"])
    held, ended = [terminal.memory_mb()["own"]], threading.Event()

    def watch() -> None:
        while not ended.wait(0.05):
            held.append(terminal.memory_mb()["own"])

    watcher = threading.Thread(target=watch)
    watcher.start()
    terminal.read_until(lambda data: HALF_CELL in data)
    for key in "adadadadadadadad":  # longer than 20 s, when the first fingerprints are saved
        terminal.press(key)
        terminal.settle(1.5)
    ended.set()
    watcher.join()
    found = terminal.memory_mb() | {"most": max(held)}
    terminal.end("q")
    return found


def measure(root: Path, million: Path) -> dict[str, list[float]]:
    """Measure all of them in turn, so that a busy moment of the machine falls on each."""
    bare = [root / "photos", "--project", root / "bare", "--no-features"]
    ways: dict[str, Callable[[], float]] = {
        "Textual app with one line of text": trivial,
        "os.walk of the 100,000 files alone": lambda: listing(root / "photos"),
        "bare folder of 100,000 images": lambda: first_picture(*map(str, bare)),
        "the same folder, opened again": lambda: first_picture(str(root / "bare")),
        "project of 1,000,000 items": lambda: first_picture(str(million)),
    }
    found: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(RUNS):
        shutil.rmtree(root / "bare", ignore_errors=True)
        for name, way in ways.items():
            found[name].append(way())
    return found


def main() -> None:
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    compileall.compile_dir(Path(annotator.__file__).parent, quiet=2)
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        make_folder(root / "photos", 100_000)
        million = make_million(root / "million", root / "photos", 1_000_000)
        load_refs(million)  # lists the refs once, and caches them
        found = measure(root, million.folder)
        lines = next(iter(found.values()))
        print(f"{'median of ' + str(RUNS) + ' runs in turn':36} {'':8} beside the Textual app")
        for label, seconds in found.items():
            ratio = median(own / line for own, line in zip(seconds, lines, strict=True))
            print(f"{label:36} {median(seconds):6.2f} s {ratio:6.2f}")
        print(f"goal: at most {GOAL:.0f} times the Textual app")
        held = memory(million)
        print(f"memory at 1M x 384: {held['own']:.0f} MB own, {held['most']:.0f} MB at most,")
        print(f"  {held['mapped']:.0f} MB mapped files; goal: at most {GOAL_MB} MB own")


if __name__ == "__main__":
    main()
