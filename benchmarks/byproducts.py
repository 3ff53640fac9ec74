"""What recording by-products costs: of a core while the pointer hovers at 60 Hz, and at a key.

python -m benchmarks.byproducts [--seconds 10]

The recorder alone, on a file; then a page of 48 images in a pty (half cells), the pointer moving
over them all the time: the same program with the recording taken out stands beside it. What a
pointer costs without any recording is Textual's own: reading, parsing and passing on its events.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import resource
import select
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from annotator.hits.recorder import PageShown, PageTile, Recorder, TerminalWindow
from annotator.log.store.sqlite import SqliteStore
from annotator.project.project import ProjectFolder
from annotator.project.settings import ClassInfo, Settings
from benchmarks import _pty

HZ, LIMIT, IMAGES = 60, 0.05, 48
SIZE = (160, 50)
RUN = """
import sys
from annotator.tui.pages.pointer_recorder import PointerRecorder
if sys.argv.pop(1) == "off":
    for name in ("moved", "changed", "key", "shown", "tick"):
        setattr(PointerRecorder, name, lambda self, *given: None)
from annotator.cli import main
main()
"""


def alone(folder: Path, seconds: int = 60) -> float:
    """Share of a core that the recorder takes: `seconds` of hovering, as fast as it can."""
    recorder = Recorder(SqliteStore(folder / "alone.db"), "0123456789")
    tiles = [
        PageTile(f"images/{n:04}.jpg", f"images/{n:04}.jpg", (500, 375)) for n in range(IMAGES)
    ]
    recorder.page_shown(PageShown(0), tiles, TerminalWindow(*SIZE))
    begun, place = _cpu(), 0
    recorder.enter(place, 0)
    for n in range(seconds * HZ):
        at = round(n * 1000 / HZ)
        if n % 20 == 19:  # three images a second
            recorder.leave(place, at)
            place = (place + 1) % IMAGES
            recorder.enter(place, at)
        recorder.move(place, n % 20 / 20, 0.5, at)
    recorder.submit(seconds * 1000)
    return (_cpu() - begun) / seconds


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


class Page(_pty.Terminal):
    """A page of images, with or without recording."""

    def __init__(self, project: Path, recording: str) -> None:
        words = ["browse", str(project), "--class", "yes", "--order", "random"]
        words += ["--graphics", "halfcell"]
        super().__init__([sys.executable, "-c", RUN, recording, *words], SIZE)
        self.read_until(lambda data: _pty.HALF_CELL in data)
        self.settle(1.0)

    def cpu(self) -> float:
        """Seconds that the program and its threads have computed."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def hover(self, seconds: float) -> float:
        """Move the pointer at 60 Hz; the share of a core that the program took."""
        begun, start, n = self.cpu(), time.perf_counter(), 0
        while (now := time.perf_counter() - start) < seconds:
            self.point(n)
            n += 1
            while (left := n / HZ - (time.perf_counter() - start)) > 0:
                self._read(left)
        return (self.cpu() - begun) / now

    def point(self, n: int) -> None:
        """The n-th place of the pointer, in zigzags over the page."""
        column, row = 2 + n * 2 % (SIZE[0] - 4), 6 + n // 40 % (SIZE[1] - 12)
        os.write(self.master, f"\x1b[<35;{column};{row}M".encode())

    def selects(self, keys: int, pointer: bool) -> list[float]:
        """Milliseconds from the space bar to the frame that says that the image is selected."""
        found = []
        for n in range(keys):
            for step in range(12):
                if pointer:
                    self.point(20 * n + step)
                self._read(1 / HZ)
            self.press(" ")
            found.append(1000 * self.read_until(lambda data: b"\x1b[" in data))
            self.settle(0.1)
        return found

    def _read(self, seconds: float) -> None:
        if select.select([self.master], [], [], seconds)[0]:
            with contextlib.suppress(OSError):
                os.read(self.master, 1 << 16)


def project(folder: Path) -> Path:
    images = folder / "images"
    images.mkdir()
    rng = np.random.default_rng(0)
    for number in range(2 * IMAGES):
        noise = rng.integers(0, 255, (120, 160, 3)).astype(np.uint8)
        Image.fromarray(noise).save(images / f"{number:04}.jpg")
    settings = Settings((ClassInfo("no"), ClassInfo("yes")), images=str(images), seen_guard="off")
    return ProjectFolder.create(folder / "project", settings).folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=10.0)
    seconds = parser.parse_args().seconds
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as name:
        folder = Path(name)
        share = alone(folder)
        print(f"recorder alone, hovering at {HZ} Hz      {share:7.2%} of a core")
        place = project(folder)
        hover: dict[str, list[float]] = {"off": [], "on": []}
        keys: dict[str, list[float]] = {"off": [], "on": []}
        for _ in range(3):
            for recording in ("off", "on"):
                page = Page(place, recording)
                hover[recording].append(page.hover(seconds))
                page.settle(0.5)
                keys[recording] += page.selects(15, pointer=True)
                page.end("Q")
        off, on = (statistics.median(hover[one]) for one in ("off", "on"))
        print(f"page of {IMAGES}, pointer at {HZ} Hz, not recorded {off:7.2%} of a core")
        print(f"page of {IMAGES}, pointer at {HZ} Hz, recorded     {on:7.2%} of a core")
        print(f"recording: {on - off:.2%} of a core (goal: at most {LIMIT:.0%})")
        before, after = (statistics.median(keys[one]) for one in ("off", "on"))
        print(
            f"space bar -> bytes of the selection, while hovering: {before:.1f} ms, recorded "
            f"{after:.1f} ms, the selection on disk included ({after / before:.2f}x)"
        )


if __name__ == "__main__":
    main()
