"""Random keys in bursts, as a stalled line delivers them, to the whole program on a pty.

python -m benchmarks.random_keys [--keys N] [--techniques kitty sixel ...]

Every technique gets N keys (10,000) in bursts of 1 to 50 on whatever screens they lead to. The
program is started again when a key ends it. Each row that it acknowledges (`on_label`) is compared
with the log on disk.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from PIL import Image

from annotator.log.entries import Action
from annotator.log.store.sqlite import SqliteStore
from tests.terminal.program_on_pty import Running

KEYS = 10_000
TECHNIQUES = {
    "kitty": "kitty", "sixel": "xterm", "iterm": "wezterm", "halfcell": "plain", "none": "plain",
}  # fmt: skip
"""Technique -> the kind of the terminal."""
SPECIAL = (
    b"\x1b[A", b"\x1b[B", b"\x1b[C", b"\x1b[D", b"\x1b[5~", b"\x1b[6~", b"\x1b[H", b"\x1b[F",
    b"\r", b"\x1b", b" ", b"\x7f", b"\t", b"\x1b[Z", b"\x1b[3~", b"\x10", b"\x12",
)  # fmt: skip
LETTERS = tuple(bytes([code]) for code in (*b"adadadaddaads", *range(33, 127)) if code not in b"qQ")
ITEMS = 1500
PAUSES = (0.0, 0.1, 0.4, 0.8)
SIZE = (90, 28)


def make_project(folder: Path) -> list[str]:
    """Write small images and a settings file; return the command on them, without a technique."""
    images, acknowledged = folder / "images", folder / "acknowledged"
    images.mkdir()
    for number in range(ITEMS):
        colour = (number * 37 % 200 + 40, number * 91 % 200 + 40, 120)
        Image.new("RGB", (48, 36), colour).save(images / f"{number:04}.png")
    acknowledged.touch()
    settings = [
        'classes = ["red", "blue"]', 'images = "../images"', 'seen_guard = "off"',
        f"""on_label = "sh -c 'cat >> {acknowledged}'\"""", "",
    ]  # fmt: skip
    (folder / "project").mkdir()
    (folder / "project" / "annotator.toml").write_text("\n".join(settings))
    return ["-m", "annotator", "run", str(folder / "project"), "--annotator", "ann"]


def burst(rng: random.Random, quits: bool = True) -> list[bytes]:
    """Return 1 to 50 keys; every other burst is a single escape or answer, one in fifty quits."""
    kind = rng.random()
    if kind < 0.5:
        return [b"\x1b" if kind < 0.2 else rng.choice((b"a", b"d"))]
    keys = rng.choices((*LETTERS, *SPECIAL), k=round(50 ** rng.random()))
    return [*keys[:-1], b"q"] if quits and kind > 0.98 else keys


def type_burst(running: Running, rng: random.Random, quits: bool = True) -> int:
    """Type one burst; return the number of its keys."""
    keys = burst(rng, quits)
    running.press(b"".join(keys))
    return len(keys)


def type_keys(running: Running, count: int, rng: random.Random) -> int:
    """Type bursts until the program ends or `count` keys are typed; return their number."""
    sent = 0
    while sent < count and running.process.poll() is None:
        sent += type_burst(running, rng)
        time.sleep(rng.choice(PAUSES))
    return sent


def quit_program(running: Running, seconds: float = 60) -> int | None:
    """Leave every dialog, then the program; return its exit status, None if it does not end."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and running.process.poll() is None:
        running.press(b"\x1b")
        time.sleep(0.3)
        running.press(b"\x03")
        time.sleep(0.7)
    return running.process.poll()


def send_keys(
    folder: Path, technique: str, count: int = KEYS, seed: int = 0
) -> tuple[dict[str, int], list[str]]:
    """Send `count` random keys by one technique; return the counts, and what each death left."""
    command, rng = make_project(folder), random.Random(f"{seed} {technique}")
    command += ["--graphics", technique]
    counts, deaths = Counter({"keys": 0, "sessions": 0, "deaths": 0}), list[str]()
    while counts["keys"] < count:
        with Running(command, kind=TECHNIQUES[technique], size=SIZE) as running:
            counts["keys"] += type_burst(running, rng, quits=False)  # before the screen
            running.wait(lambda screen: screen.alternate and screen.text().strip() != "", 60)
            counts["keys"] += type_keys(running, count - counts["keys"], rng)
            status = quit_program(running)
            counts["sessions"] += 1
            if status != 0:
                counts["deaths"] += 1
                deaths.append(f"status {status}:\n{running.look(lambda screen: screen.text())}")
    return {**counts, **compare(folder)}, deaths


def compare(folder: Path) -> dict[str, int]:
    """Compare the rows that were acknowledged with the log."""
    store = SqliteStore(folder / "project" / "labels.db")
    entries = list(store.entries())
    store.close()
    lines = (folder / "acknowledged").read_text().splitlines()
    told = Counter(json.loads(line)["seq"] for line in lines if line)
    on_disk = Counter(entry.seq for entry in entries)
    labels = [entry for entry in entries if entry.action is Action.LABEL]
    return {
        "acknowledged": len(told),
        "on disk": len(on_disk),
        "labels": len(labels),
        "lost": len(set(told) - set(on_disk)),
        "doubled": sum(told.values()) - len(told) + len(entries) - len(on_disk),
        "never shown": sum(
            entry.shown_ms is None and entry.picked_by != "rapid" for entry in labels
        ),
    }


def main() -> None:
    """Send keys by every technique, and print the counts."""
    parser = argparse.ArgumentParser(description="Random keys in bursts, by every technique.")
    parser.add_argument("--keys", type=int, default=KEYS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--techniques", nargs="*", default=list(TECHNIQUES), choices=TECHNIQUES)
    given = parser.parse_args()
    bad = 0
    for technique in given.techniques:
        with tempfile.TemporaryDirectory() as place:
            counts, deaths = send_keys(Path(place), technique, given.keys, given.seed)
        print(
            f"{technique:9}", ", ".join(f"{word} {n:,}" for word, n in counts.items()), flush=True
        )
        print("\n".join(deaths[:3]), end="\n" if deaths else "", flush=True)
        bad += counts["deaths"] + counts["lost"] + counts["doubled"] + counts["never shown"]
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()
