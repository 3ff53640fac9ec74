"""From the command to the first picture: a bare folder of 100,000 images, a project of a million.

Beside it, in the same run, a Textual app that shows one line of text, and a listing of the same
folder with nothing else. Memory is what the app holds at a million items x 384 features.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
from PIL import Image

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
RUNS = 5


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


def first_picture(path: Path, *options: str) -> float:
    terminal = Terminal([ANNOTATOR, "run", str(path), "--graphics", "halfcell", *options])
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
    """After some labels, with a model learnt on all features."""
    terminal = Terminal([ANNOTATOR, "run", str(project.folder), "--graphics", "halfcell"])
    terminal.read_until(lambda data: HALF_CELL in data)
    for key in "adadadadadadad":
        terminal.press(key)
        terminal.settle(1.0)
    found = terminal.memory_mb()
    terminal.end("q")
    return found


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        make_folder(root / "photos", 100_000)
        million = make_million(root / "million", root / "photos", 1_000_000)
        load_refs(million)  # lists the refs once, and caches them
        rows = {
            "Textual app with one line of text": [trivial() for _ in range(RUNS)],
            "os.walk of the 100,000 files alone": [listing(root / "photos") for _ in range(RUNS)],
            "bare folder of 100,000 images": [
                first_picture(root / "photos", "--project", str(root / f"p{n}"), "--no-features")
                for n in range(RUNS)
            ],
            "project of 1,000,000 items": [first_picture(million.folder) for _ in range(RUNS)],
        }
        for label, seconds in rows.items():
            print(f"{label:36} {median(seconds):6.2f} s")
        print("goal: at most 1 s to the first picture for both")
        held = memory(million)
        print(f"memory at 1M x 384: {held['own']:.0f} MB own, {held['mapped']:.0f} MB mapped files")
        print("goal: at most 300 MB beside the mapped features")


if __name__ == "__main__":
    main()
