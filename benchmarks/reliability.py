"""Damage and deaths: files cut and flipped, commands killed between any two changes of the disk,
annotators with clocks apart killed at work, and random keys in bursts.

python -m benchmarks.reliability [--share 1.0] [damage kills screens annotators keys …]

`--share 0.02` takes some 2 minutes.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from itertools import islice
from pathlib import Path

from annotator.log.store.sqlite import SqliteStore
from benchmarks._screen_kills import kill_screens
from tests.doctor.damage import survey
from tests.items.kill_scenarios import SCENARIOS, is_possible, try_kills
from tests.items.kill_steps import import_commands

DAMAGES = 200
"""Cuts and flips of each file."""
KILLS = 1000
KILLS_OF_SCREENS = 500
LABELS = 10_000
ANNOTATORS = 4
CLOCKS_APART = 600.0

LABELLER = """
import sys, time
from annotator.log.store.sqlite import SqliteStore
from annotator.session.session import LabelSession
path, name, late, items = sys.argv[1], sys.argv[2], float(sys.argv[3]), int(sys.argv[4])
session = LabelSession(
    SqliteStore(path), ("a", "b"), annotator=name, clock=lambda: time.time() + late, lease=5
)
session.extend([f"{n:05}.png" for n in range(items)])
while session.current is not None:
    entry = session.label("a")
    if entry is not None:
        print(entry.ref, flush=True)
    session.refresh()
"""


def damage(share: float, folder: Path) -> list[str]:
    """Cut and flip every file of a project."""
    counts, faults = survey(folder, range(max(3, round(DAMAGES * share))))
    for word in ("tried", "tracebacks", "said", "no difference", "silent"):
        print(f"cuts and flips, {word}: {counts[word]}", flush=True)
    return faults


def kills(share: float, folder: Path) -> list[str]:
    """Kill each command before each change of the disk that it makes, and run it again."""
    import_commands()
    each = max(1, round(KILLS * share / len(SCENARIOS)))
    faults, count = list[str](), 0
    for name in SCENARIOS:
        if not is_possible(name):
            print(f"{name}: left out, its package or ../shared is missing", flush=True)
            continue
        for outcome in islice(try_kills(folder / name.replace(" ", "-"), name), each):
            count += 1
            faults += [f"{name}, {outcome.where}: {fault}" for fault in outcome.faults]
    print(f"kills of {len(SCENARIOS)} commands: {count}, lost or unlike: {len(faults)}", flush=True)
    return faults


def screens(share: float, folder: Path) -> list[str]:
    """Kill the screens at work, on a pty."""
    counts, faults = kill_screens(folder, max(8, round(KILLS_OF_SCREENS * share)))
    print(", ".join(f"{word} {n:,}" for word, n in counts.items()), flush=True)
    return faults


def _start(path: Path, number: int, acknowledged: Path, items: int) -> subprocess.Popen[bytes]:
    late = str(number * CLOCKS_APART)
    arguments = [sys.executable, "-c", LABELLER, path, f"annotator {number}", late, str(items)]
    with acknowledged.open("ab") as out:
        return subprocess.Popen(arguments, stdout=out)


def annotators(share: float, folder: Path) -> list[str]:
    """Let annotators with clocks apart label at once, and kill one after the other."""
    path, acknowledged = folder / "labels.db", folder / "acknowledged"
    (folder / ".cache").mkdir()
    SqliteStore(path).close()
    labels, killed = max(200, round(LABELS * share)), max(4, round(KILLS * share / 4))
    running = [_start(path, n, acknowledged, 2 * labels) for n in range(ANNOTATORS)]
    rng = random.Random(3)
    size = len("00000.png\n")
    for turn in range(killed):
        while acknowledged.stat().st_size < size * labels * (turn + rng.random()) / killed:
            time.sleep(0.02)
        number = rng.randrange(ANNOTATORS)
        os.kill(running[number].pid, signal.SIGKILL)
        running[number].wait()
        running[number] = _start(path, number, acknowledged, 2 * labels)
    while acknowledged.stat().st_size < size * labels:
        time.sleep(0.1)
    for process in running:
        process.terminate()
        process.wait()
    store = SqliteStore(path)
    refs = [entry.ref for entry in store.entries()]
    store.close()
    told = [line for line in acknowledged.read_text().splitlines() if len(line) == size - 1]
    lost, doubled = len(set(told) - set(refs)), len(refs) - len(set(refs))
    print(
        f"{ANNOTATORS} annotators, clocks {CLOCKS_APART:.0f} s apart: {killed} kills, "
        f"{len(refs)} labels, {lost} lost, {doubled} doubled",
        flush=True,
    )
    return [f"{lost} labels lost, {doubled} doubled"] if lost or doubled else []


def keys(share: float, folder: Path) -> list[str]:
    """Send random keys in bursts to the program on a terminal, with every technique."""
    if importlib.util.find_spec("benchmarks.random_keys") is None:
        return []
    count = str(max(200, round(10_000 * share)))
    command = [sys.executable, "-m", "benchmarks.random_keys", "--keys", count]
    code = subprocess.run(command, check=False).returncode
    return [f"random keys: the benchmark ended with {code}"] if code else []


PARTS: Mapping[str, Callable[[float, Path], list[str]]] = {
    part.__name__: part for part in (damage, kills, screens, annotators, keys)
}


def main() -> None:
    """Run the chosen parts, and print their figures and faults."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--share", type=float, default=1.0)
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS], default=[])
    chosen = parser.parse_args()
    faults = []
    for name in chosen.parts or PARTS:
        begun = time.monotonic()
        with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
            faults += PARTS[name](chosen.share, Path(folder))
        print(f"  ({name}: {time.monotonic() - begun:.0f} s)", flush=True)
    for fault in faults[:20]:
        print(fault[:500])
    print(f"faults: {len(faults)}")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
