"""From a key to the picture: ours beside textual-image's widget, timg and chafa, in real terminals.

python -m benchmarks.terminal [--keys N] [--only PART]

Needs the terminals of tests/terminals/setup.sh; what is not installed is left out by name. Times
run from the key's press to the pixels on the screen; kitty draws with a software renderer here,
which takes some 12 ms of each.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from annotator.terminal.backend import Area
from annotator.terminal.caps import Caps, Technique
from annotator.terminal.make import backend_for
from tests.terminals.real import TRIXIE, Pixels, Real, missing

APP = str(Path(__file__).with_name("_picture_app.py"))
SHARED = Path(os.environ.get("ANNOTATOR_SHARED", Path(__file__).parents[2] / "shared"))
LINE = {"kbit": 2000.0, "rtt": 100.0}


@dataclass(frozen=True)
class Times:
    ms: list[float]
    sent: list[int]
    blocked: float

    def __str__(self) -> str:
        if not self.ms:
            return "-"
        median, worst = statistics.median(self.ms), max(self.ms)
        sent, n = statistics.median(self.sent), len(self.ms)
        return f"{median:7.0f} ms  worst {worst:6.0f}  {sent:9,.0f} bytes at the key  (n {n})"


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
        look = self.looks[self.index % len(self.looks)].astype(np.int16)
        self.index += 1
        changed = np.abs(self._view().astype(np.int16) - look).max(2) > 24
        wanted, end = look[changed], time.monotonic() + 60
        # There is a palette's error to allow for; another picture is some 60 levels away.
        near = 4 + 0.2 * float(np.abs(self._view()[changed].astype(np.int16) - wanted).mean())
        pressed = self.terminal.press("d")
        while time.monotonic() < end:
            now = time.monotonic_ns()
            if np.abs(self._view()[changed].astype(np.int16) - wanted).mean() < near:
                return (now - pressed) / 1e6
            time.sleep(0.001)
        return float("nan")

    def _mark(self) -> float:
        """The longest time in ms that the program's loop was held up since the last mark."""
        self.log.unlink(missing_ok=True)
        self.terminal.press("m")
        end = time.monotonic() + 10
        while time.monotonic() < end and not (self.log.exists() and self.log.read_text()):
            time.sleep(0.05)
        return float(self.log.read_text()) if self.log.exists() else float("nan")


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


def local(folder: Path, keys: int) -> None:
    print("\nkey to pixels, kitty, no line between, 80x24")
    for kind in ("ours", "textual-image"):
        with benched("kitty-0.41", kind, folder, (80, 24), {}) as bench:
            print(f"  {kind:14} quiet       {bench.times(keys, (0, 0.1), quiet=True)}")
            with busy(os.cpu_count() or 2):
                print(f"  {kind:14} busy cores  {bench.times(keys, (0, 0.1), quiet=True)}")
            times = bench.times(100, (0.1, 0.2), quiet=False)
            print(f"  {kind:14} loop held up at worst {times.blocked:.1f} ms in 100 keys")


def sixel_local(folder: Path, keys: int) -> None:
    print("\nkey to pixels, xterm (sixel), no line between, 80x24")
    for kind in ("ours", "textual-image"):
        with benched("xterm-398", kind, folder, (80, 24), {}) as bench:
            print(f"  {kind:14} quiet       {bench.times(keys, (0, 0.1), quiet=True)}")
            times = bench.times(100, (0.1, 0.2), quiet=False)
            print(f"  {kind:14} loop held up at worst {times.blocked:.1f} ms in 100 keys")


def slow(folder: Path, keys: int) -> None:
    _slow(folder, keys, "kitty-0.41", (80, 24))


def slow_large(folder: Path, keys: int) -> None:
    _slow(folder, keys, "kitty-0.41", (200, 60))


def slow_sixel(folder: Path, keys: int) -> None:
    _slow(folder, keys, "xterm-398", (80, 24))


def _slow(folder: Path, keys: int, terminal: str, size: tuple[int, int]) -> None:
    columns, rows = size
    print(f"\nkey to pixels, {terminal}, 2 Mbit/s and 100 ms round trip, {columns}x{rows}")
    for kind in ("ours", "textual-image"):
        with benched(terminal, kind, folder, size, LINE) as bench:
            print(f"  {kind:14} when quiet            {bench.times(keys, (0, 0), quiet=True)}")
            times = bench.times(keys, (0.3, 1.0), quiet=False)
            median, worst = statistics.median(times.ms), max(times.ms)
            print(f"  {kind:14} 0.3 to 1 s of thought {median:6.0f} ms  worst {worst:6.0f}")


def payload(folder: Path, keys: int) -> None:
    """Bytes and quality of one photograph sent ahead, in an area of 520x391 pixels."""
    print("\npayload of a photograph of 640x480 for 520x391 pixels (medians)")
    area = Area(0, 0, 65, 23, (8, 17))
    files = sorted(folder.iterdir())
    for technique in (Technique.FRAMES, Technique.SIXEL, Technique.ITERM, Technique.HALFCELL):
        backend = backend_for(Caps(technique))
        for rung in backend.ladder:
            sizes = [backend.encode(Image.open(f).convert("RGB"), area, rung).size for f in files]
            print(f"  ours, {technique:12} {rung.name:22} {statistics.median(sizes):9,.0f} bytes")
    levels = [_quality(Image.open(file).convert("RGB"), area) for file in files]
    print(f"  ours, kitty-frames, 3/4 size: {statistics.median(levels):.1f} dB PSNR")
    for name, size in _others(files):
        print(f"  {name:36} {size:9,.0f} bytes")


def _quality(image: Image.Image, area: Area) -> float:
    """PSNR in dB of the palette picture, as the terminal scales it up, against the exact one."""
    from annotator.terminal.fit import canvas, fitted

    rung = backend_for(Caps(Technique.FRAMES)).ladder[1]
    size = fitted(image.size, area.size)
    exact = np.asarray(image.resize(size, Image.Resampling.BICUBIC), float)
    small = (round(size[0] / rung.shrink), round(size[1] / rung.shrink))
    sent = canvas(image, small, rung.colours).convert("RGB")
    coarse = np.asarray(sent.resize(size, Image.Resampling.BILINEAR), float)
    return float(20 * np.log10(255 / np.sqrt(((exact - coarse) ** 2).mean())))


def _others(files: list[Path]) -> Iterator[tuple[str, float]]:
    yield "textual-image, kitty", statistics.median(_textual_image(file) for file in files)
    tools = {
        "timg, kitty": ["timg", "-pk", "-g65x23", "--compress=1"],
        "timg, sixel": ["timg", "-ps", "-g65x23"],
        "chafa, kitty": ["chafa", "-f", "kitty", "-s", "65x23"],
        "chafa, sixel": ["chafa", "-f", "sixels", "-s", "65x23"],
    }
    for name, command in tools.items():
        run = _tool(command[0])
        if run is None:
            print(f"  {name}: not installed")
            continue
        out = [subprocess.run([*run, *command[1:], str(f)], capture_output=True) for f in files]
        yield name, statistics.median(len(done.stdout) for done in out)


def _tool(name: str) -> list[str] | None:
    if shutil.which(name):
        return [name]
    inside = (TRIXIE / "usr/bin" / name).exists()
    return ["chroot", str(TRIXIE), name] if inside else None


def _textual_image(file: Path) -> int:
    """What its kitty renderer writes: a PNG scaled to the cells, in base64 pieces of 4096."""
    image = Image.open(file).convert("RGB").resize((520, 391), Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=2)
    size = -(-len(buffer.getvalue()) // 3) * 4
    return size + 20 * -(-size // 4096) + 65 * 23 * 11


def sequences(folder: Path, keys: int) -> None:
    """Random keys and resizes in virtual time; see tests/terminal/annotating.py."""
    from tests.terminal.annotating import Annotating
    from tests.terminal.test_stage import _wander

    wrong = lost = stale = 0
    for seed in range(1000):
        chance = random.Random(seed)
        session = Annotating(Technique.FRAMES, rate=250e3, rtt=0.1)
        pressed = _wander(session, chance, 20)
        session.run(3)
        wrong += sum(item != seen for item, seen in session.labels)
        lost += pressed - len(session.labels) - session.blind
        stale += session.stage.view.seen != session.stage.plan.current
    print("\n1,000 random key sequences with resizes, 2 Mbit/s and 100 ms, in virtual time")
    print(f"  keys lost {lost}, labels for a picture not shown {wrong}, stale pictures {stale}")


PARTS = {
    "payload": payload,
    "local": local,
    "sixel": sixel_local,
    "slow": slow,
    "slow-large": slow_large,
    "slow-sixel": slow_sixel,
    "sequences": sequences,
}


def main() -> None:
    parser = argparse.ArgumentParser(description="From a key to the picture.")
    parser.add_argument("--keys", type=int, default=20)
    parser.add_argument("--only", choices=PARTS)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = photographs(Path(place) / "photographs")
        for name, part in PARTS.items():
            reasons = (
                [missing("kitty-0.41"), missing("xterm-398")]
                if name not in ("payload", "sequences")
                else []
            )
            if given.only not in (None, name):
                continue
            if any(reasons):
                print(f"{name}: left out, {' '.join(filter(None, reasons))}")
            else:
                part(folder, given.keys)


if __name__ == "__main__":
    main()
