"""A look back: from Shift+← to the picture before, beside a key forward, near and over a slow line.

python -m benchmarks.walk

As in `key_latency` a kitty in memory reads a pty; the slow line lies between it and the program.
Each project has whole photographs of the shared data, or made ones without them.
"""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path

from annotator.project.project import ProjectFolder
from annotator.project.settings import ClassInfo, Settings
from benchmarks._keys import LINE, SHARED
from benchmarks.key_latency import ANNOTATOR, Found, Kitty, make_images

SWITCH = re.compile(rb"\x1b_Ga=a,i=\d+,c=(?!1[,\x1b])\d+")
"""The command that shows a picture; frame 1 is the empty one."""
BACK, FORWARD = "\x1b[1;2D", "\x1b[1;2C"
SLOW_LINE = Path(__file__).parents[1] / "tests/terminal/real/slow_line.py"
KEYS = 24


def measure(folder: Path, images: Path, size: tuple[int, int], line: dict[str, float]) -> None:
    """Label, look back, forward and to and fro; print the times of each."""
    settings = Settings((ClassInfo("ok"), ClassInfo("defect")), images=str(images))
    project = ProjectFolder.create(folder, settings)
    command = [ANNOTATOR, "run", str(project.folder), "--no-features"]
    if line:
        slow = [str(SLOW_LINE), str(folder / "bytes"), str(line["kbit"]), str(line["rtt"]), "--"]
        command = [sys.executable, *slow, *command]
    think = 1.2 if line else 0.25
    terminal = Kitty(command, size)
    terminal.wait("ready 5")
    terminal.read(2.0)
    row("a class key", terminal.keys(SWITCH, "ad", KEYS, think))
    terminal.read(2.0)
    row("Shift+←", terminal.keys(SWITCH, [BACK], KEYS - 2, think))
    row("Shift+→", terminal.keys(SWITCH, [FORWARD], KEYS - 4, think))
    row("Esc", terminal.keys(SWITCH, ["\x1b"], 1, think))
    row("Shift+← and back, in turn", terminal.keys(SWITCH, [BACK, FORWARD], KEYS, think))
    terminal.press("q")
    terminal.end("")


def row(name: str, found: Found) -> None:
    """Print the times of one kind of key."""
    if len(found.ms) > 1:
        print(found.row(f"  {name}"))
    else:
        print(f"  {name:32} {', '.join(f'{ms:7.1f}' for ms in found.ms)}")


def main() -> None:
    """Measure near and over a slow line, in a small window and in a large one."""
    images = SHARED / "data/flowers/images"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if not images.is_dir():
            images = folder / "images"
            make_images(images)
        for title, line in (("no line between", {}), ("2 Mbit/s, 100 ms round trip", LINE)):
            for size in ((80, 24), (120, 40)):
                columns, rows = size
                strip = ", with the filmstrip" if rows >= 36 else ""
                print(f"\n{title}, {columns}x{rows}{strip}")
                print(f"  {'key to picture, ms':32} {'median':>7} {'p90':>7} {'worst':>7} bytes")
                measure(folder / f"{rows}{len(line)}", images, size, line)
    print("\ngoal: as a key forward; at most 25 ms near, and the round trip + 40 ms over the line;")
    print("bytes count all that is sent until the next key")


if __name__ == "__main__":
    main()
