"""From a key to the next picture: what the annotator waits for, the label on disk included.

A pty whose reader is a kitty in memory: it decodes all that the program writes and answers its
questions. The time runs from writing the key until the bytes that switch to the next picture can
be read. Beside it, in the same run, a Textual app that changes one line at a key.
"""

from __future__ import annotations

import os
import re
import select
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

import numpy as np
from PIL import Image

from annotator.features.store import FeatureStore
from annotator.items.ref_table import RefTable
from annotator.log.store.sqlite import SqliteStore
from annotator.project.project import ProjectFolder
from annotator.project.settings import ClassInfo, Settings
from benchmarks._pty import Terminal
from tests.terminal.memory_terminal import Screen

TRIVIAL = """
from textual.app import App
from textual.widgets import Static
class One(App):
    count = 0
    def compose(self):
        yield Static("picture 0", id="line")
    def on_key(self, event):
        if event.key == "q":
            self.exit()
        self.count += 1
        self.query_one("#line").update(f"picture {self.count}")
One().run()
"""
SWITCH = re.compile(rb"\x1b_Ga=a,i=\d+,c=\d+")
KEYS = 60
THINK = 0.25
"""Seconds between keys: the model learns meanwhile, and the next pictures arrive."""
DIM = 384
ANNOTATOR = str(Path(sys.executable).with_name("annotator"))


@dataclass
class Found:
    """Milliseconds and bytes of each key."""

    ms: list[float]
    sent: list[int]

    def row(self, name: str) -> str:
        p90 = quantiles(self.ms, n=10)[-1]
        return (
            f"{name:34} {median(self.ms):7.1f} {p90:7.1f} {max(self.ms):7.1f} "
            f"{median(self.sent):9.0f}"
        )


class Kitty(Terminal):
    """A terminal that keeps pictures, and measures."""

    def __init__(self, command: list[str], size: tuple[int, int] = (80, 24)) -> None:
        self.screen = Screen(*size, kind="kitty")
        super().__init__(command, size, env={"COLORTERM": "truecolor"})

    def read(self, seconds: float, until: re.Pattern[bytes] | None = None) -> tuple[float, int]:
        """Serve the program for so long, or until it writes something: when, and all its bytes."""
        start, data, hit = time.perf_counter(), b"", 0.0
        while (left := start + seconds - time.perf_counter()) > 0:
            if not select.select([self.master], [], [], left)[0]:
                continue
            piece = os.read(self.master, 1 << 16)
            now = time.perf_counter()
            data += piece
            if until and not hit and until.search(data):
                hit = now - start
            if answers := self.screen.feed(piece):
                os.write(self.master, answers)
        return hit, len(data)

    def wait(self, words: str, seconds: float = 60.0) -> None:
        end = time.monotonic() + seconds
        while words not in self.screen.text():
            if time.monotonic() > end:
                raise TimeoutError(self.screen.text())
            self.read(0.1)

    def keys(
        self, until: re.Pattern[bytes], keys: Sequence[str], count: int = KEYS, think: float = THINK
    ) -> Found:
        found = Found([], [])
        for number in range(count):
            self.press(keys[number % len(keys)])
            hit, sent = self.read(think, until)
            if hit:
                found.ms.append(1000 * hit)
                found.sent.append(sent)
        return found


def make(folder: Path, images: Path, count: int) -> ProjectFolder:
    """`count` boxes in a hundred pictures, with features."""
    classes = (ClassInfo("ok"), ClassInfo("defect"))
    project = ProjectFolder.create(folder, Settings(classes, images=str(images)))
    refs = RefTable(
        f"{n % 100:02}.jpg#xywh={n // 100 % 500},{n // 50_000},120,90" for n in range(count)
    )
    lines = "".join(f'"{ref}"\n' for ref in refs)
    project.refs_file.write_text(f"filename\n{lines}")
    path = folder / "mine.npy"
    matrix = np.lib.format.open_memmap(path, mode="w+", dtype=np.float16, shape=(count, DIM))
    block = np.random.default_rng(0).standard_normal((10_000, DIM), np.float32)
    for start in range(0, count, len(block)):
        matrix[start : start + len(block)] = block
    matrix.flush()
    FeatureStore.adopt(project.features_folder, path, refs)
    return project


def measure(project: ProjectFolder) -> Found:
    """Label with real keys; every key must be on disk."""
    terminal = Kitty([ANNOTATOR, "run", str(project.folder)])
    terminal.wait("ready 5")
    terminal.read(1.0)
    found = terminal.keys(SWITCH, "ad")
    terminal.press("q")
    terminal.end("")
    store = SqliteStore(project.labels_file)
    labels = sum(1 for _ in store.entries())
    store.close()
    if labels != KEYS or len(found.ms) != KEYS:
        print(f"of {KEYS} keys, {labels} are on disk and {len(found.ms)} showed a picture")
    return found


def trivial(folder: Path) -> Found:
    program = folder / "trivial.py"
    program.write_text(TRIVIAL)
    terminal = Kitty([sys.executable, str(program)])
    terminal.wait("picture 0")
    found = terminal.keys(re.compile(rb"[0-9]"), "x")
    terminal.end("q")
    return found


def make_images(folder: Path) -> None:
    folder.mkdir()
    rng = np.random.default_rng(1)
    for number in range(100):
        small = rng.integers(0, 255, (30, 40, 3), np.uint8)
        Image.fromarray(small).resize((640, 480), Image.Resampling.BICUBIC).save(
            folder / f"{number:02}.jpg", quality=85
        )


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_images(folder / "images")
        print(f"{KEYS} keys, {THINK} s apart, 80 x 24, features of {DIM} dimensions\n")
        print(f"{'key to picture, ms':34} {'median':>7} {'p90':>7} {'worst':>7} {'bytes':>9}")
        print(trivial(folder).row("Textual app with one line of text"))
        for count in (10_000, 1_000_000):
            project = make(folder / str(count), folder / "images", count)
            print(measure(project).row(f"annotator, {count:,} items"))
        print("\ngoal: median at most 10 ms at both, label on disk included; bytes count all that")
        print("is sent until the next key, the pictures that come ahead among them")


if __name__ == "__main__":
    main()
