"""What a picture that was never sent before costs on this machine, through memory and not."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image

from benchmarks._keys import APP
from tests.terminal.real.real_terminals import Real

COUNT, EVERY = 80, 0.25


def fresh(folder: Path, keys: int) -> None:
    """Processor time of program and kitty for each of 80 new pictures, four a second."""
    print("\nnew pictures of 640x480 in a local kitty, 80x24: processor time a picture")
    ways = {"shared memory": {}, "down the line": {"SSH_CONNECTION": "somewhere else"}}
    with tempfile.TemporaryDirectory() as place:
        many = _turned(folder, Path(place) / "many")
        for name, env in ways.items():
            log, home = str(Path(place) / "log"), Path(place) / name.split()[0]
            command = [sys.executable, APP, "ours", str(many), log]
            with Real("kitty-0.41", command, home, env=env) as real:
                time.sleep(4)
                before, sent = _seconds(real), real.sent()
                for _ in range(COUNT):
                    real.press("d")
                    time.sleep(EVERY)
                time.sleep(2)
                ours, kitty = (
                    (b - a) * 1000 / COUNT for a, b in zip(before, _seconds(real), strict=True)
                )
                sent = (real.sent() - sent) // COUNT
            print(f"  {name}: ours {ours:5.1f} ms, kitty {kitty:5.1f} ms, {sent:9,} bytes written")


def _turned(folder: Path, many: Path) -> Path:
    """Each photograph turned by some angles, so that there are enough."""
    many.mkdir()
    for number in range(COUNT + 20):
        file = sorted(folder.iterdir())[number % len(list(folder.iterdir()))]
        Image.open(file).convert("RGB").rotate(3 * number).save(
            many / f"{number:03}.jpg", quality=92
        )
    return many


def _seconds(real: Real) -> tuple[float, float]:
    """Processor time so far of the program, and of the terminal that it runs in."""
    ours = kitty = 0.0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
            fields = (process / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) != real.process.pid and APP.encode() not in words:
            continue
        took = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        if words[0].endswith(b"kitty"):
            kitty += took
        elif len(words) > 1 and words[1] == APP.encode():
            ours += took
    return ours, kitty
