"""One program in one real terminal: from a key to the pixels on the screen."""

from __future__ import annotations

import contextlib
import math
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from tests.terminal.real.real_terminals import Pixels, Real

APP = str(Path(__file__).with_name("_picture_app.py"))
SHARED = Path(os.environ.get("ANNOTATOR_SHARED", Path(__file__).parents[2] / "shared"))
LINE = {"kbit": 2000.0, "rtt": 100.0}
SAMPLE = 1500
"""Pixels that are looked at for a picture."""
PATIENCE = 30.0
"""Seconds to wait for one."""


@dataclass(frozen=True)
class Blocked:
    """The worst that happened to the program's loop, in ms."""

    late: float
    """How late a task came that was to run; other programs on the cores count, too."""
    busy: float
    """What the loop's own thread computed meanwhile."""

    def __str__(self) -> str:
        return f"held up at worst {self.late:.1f} ms, of which it computed {self.busy:.1f} ms"


@dataclass(frozen=True)
class Times:
    ms: list[float]
    sent: list[int]
    blocked: Blocked

    def __str__(self) -> str:
        sent = statistics.median(self.sent)
        return f"{self.taken}  {sent:9,.0f} bytes at the key  (n {len(self.ms)})"

    @property
    def taken(self) -> str:
        """Median and worst of the pictures that came."""
        came = [ms for ms in self.ms if not math.isnan(ms)]
        if not came:
            return f"none of {len(self.ms)} pictures came"
        never = f", {len(self.ms) - len(came)} never came" if len(came) < len(self.ms) else ""
        return f"{statistics.median(came):7.0f} ms  worst {max(came):6.0f}{never}"


def photographs(folder: Path, count: int = 6) -> Path:
    """Photographs of 640x480, each with its number; synthetic ones where there are none."""
    folder.mkdir()
    sources = sorted((SHARED / "data/photos").glob("*.jpg"))
    for number in range(count):
        if number < len(sources):
            image = Image.open(sources[number]).convert("RGB").resize((640, 480))
        else:
            image = Image.effect_mandelbrot(
                (640, 480), (-2, -1, 1 - number / count, 1), 90
            ).convert("RGB")
        ImageDraw.Draw(image).text((20, 20), str(number), fill="white", font_size=60)
        image.save(folder / f"{number:02}.png")
    return folder


class Bench:
    """One program in one terminal; first it learns how every picture looks, then it times keys."""

    def __init__(self, terminal: Real, log: Path, count: int) -> None:
        self.terminal, self.log = terminal, log
        terminal.steady(1.2, 60)
        self.looks = []
        for _ in range(count):
            terminal.press("d")
            terminal.steady(1.2, 60)
            self.looks.append(self._view().copy())
            if len(self.looks) > 1 and not (self._apart(self.looks[-2]) > 24).any():
                raise RuntimeError("a picture did not come while the looks were learned")
        self.index = count

    def _view(self) -> Pixels:
        place = self.terminal.window.get_geometry()  # type: ignore[attr-defined]
        return self.terminal.display.pixels[: place.height : 3, : place.width : 3, 2::-1]

    def times(self, keys: int, think: tuple[float, float], quiet: bool) -> Times:
        """`keys` presses, `think` seconds after the last picture was seen, or when all is quiet."""
        self._mark()
        ms, sent, chance = [], [], random.Random(0)
        for _ in range(keys):
            if quiet:
                self.terminal.steady(0.7, 30)
            time.sleep(chance.uniform(*think))
            before = self.terminal.sent()
            ms.append(self._time_key())
            if quiet:
                time.sleep(0.05)
                sent.append(self.terminal.sent() - before)
        return Times(ms, sent or [0], self._mark())

    def _time_key(self) -> float:
        """Milliseconds from a key to its picture; nan where it does not come."""
        look = self.looks[self.index % len(self.looks)]
        # A sample of what changes, so that looking takes next to nothing from the terminal's cores.
        changed = np.nonzero(self._apart(look) > 24)
        if not len(changed[0]):
            raise RuntimeError(f"picture {self.index} is on the screen before its key")
        chosen = np.linspace(0, len(changed[0]) - 1, SAMPLE, dtype=int)
        rows, columns = (axis[chosen] for axis in changed)
        wanted = look[rows, columns].astype(np.int16)

        def off() -> float:
            return float(np.abs(self._view()[rows, columns].astype(np.int16) - wanted).mean())

        # There is a palette's error to allow for; another picture is some 60 levels away.
        near, end = 4 + 0.2 * off(), time.monotonic() + PATIENCE
        pressed = self.terminal.press("d")
        self.index += 1
        while time.monotonic() < end:
            now = time.monotonic_ns()
            if off() < near:
                return (now - pressed) / 1e6
            time.sleep(0.001)
        # A key was lost, or the picture is another: go on from what is there.
        self.index = 1 + int(np.argmin([self._apart(look).mean() for look in self.looks]))
        return float("nan")

    def _apart(self, look: Pixels) -> NDArray[np.int16]:
        """How far each pixel on the screen is from a look."""
        return np.abs(self._view().astype(np.int16) - look).max(2)  # type: ignore[no-any-return]

    def _mark(self) -> Blocked:
        """What held up the program's loop since the last mark."""
        self.log.unlink(missing_ok=True)
        self.terminal.press("m")
        end = time.monotonic() + 10
        while time.monotonic() < end and not (self.log.exists() and self.log.read_text()):
            time.sleep(0.05)
        words = self.log.read_text().split() if self.log.exists() else ["nan", "nan"]
        return Blocked(float(words[0]), float(words[1]))


@contextlib.contextmanager
def benched(
    terminal: str, kind: str, folder: Path, size: tuple[int, int], line: dict[str, float]
) -> Iterator[Bench]:
    with tempfile.TemporaryDirectory() as place:
        log = Path(place) / "blocked"
        command = [sys.executable, APP, kind, str(folder), str(log)]
        home = Path(place) / "terminal"
        with Real(terminal, command, home, size=size, **line) as real:  # type: ignore[arg-type]
            yield Bench(real, log, len(list(folder.iterdir())))


@contextlib.contextmanager
def busy(cores: int) -> Iterator[None]:
    """Other work on every core."""
    spin = [sys.executable, "-c", "while True: pass"]
    others = [subprocess.Popen(spin) for _ in range(cores)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()
