"""Damage and deaths: every file of a project cut and flipped, and annotators killed at work."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from annotator.log.store import SqliteStore
from tests.doctor.damage import survey

DAMAGES = 200
KILLS = 100
ITEMS = 20_000
ANNOTATORS = 4
CLOCKS_APART = 600.0

LABELLER = """
import sys, time
from annotator.log.store import SqliteStore
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


def start(path: Path, number: int, acknowledged: Path) -> subprocess.Popen[bytes]:
    late = str(number * CLOCKS_APART)
    arguments = [sys.executable, "-c", LABELLER, path, f"annotator {number}", late, str(ITEMS)]
    with acknowledged.open("ab") as out:
        return subprocess.Popen(arguments, stdout=out)


def labelling(folder: Path) -> dict[str, int]:
    """Let annotators with clocks apart label at once, and kill one after the other."""
    path, acknowledged = folder / "labels.db", folder / "acknowledged"
    SqliteStore(path).close()
    running = [start(path, number, acknowledged) for number in range(ANNOTATORS)]
    rng = random.Random(3)
    for _ in range(KILLS):
        enough = acknowledged.stat().st_size + rng.randrange(20, 2000)
        while acknowledged.stat().st_size < enough:
            time.sleep(0.02)
        number = rng.randrange(ANNOTATORS)
        os.kill(running[number].pid, signal.SIGKILL)
        running[number].wait()
        running[number] = start(path, number, acknowledged)
    for process in running:
        process.terminate()
        process.wait()
    store = SqliteStore(path)
    refs = [entry.ref for entry in store.entries()]
    store.close()
    told = [line for line in acknowledged.read_text().splitlines() if len(line) == len("00000.png")]
    lost, doubled = len(set(told) - set(refs)), len(refs) - len(set(refs))
    return {"kills": KILLS, "labels": len(refs), "lost": lost, "doubled": doubled}


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        counts, faults = survey(Path(name), range(DAMAGES))
    for fault in faults[:20]:
        print(fault)
    for word in ("tried", "tracebacks", "said", "no difference", "silent"):
        print(f"cuts and flips, {word}: {counts[word]}")
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as name:
        for word, count in labelling(Path(name)).items():
            print(f"{ANNOTATORS} annotators, clocks {CLOCKS_APART:.0f} s apart, {word}: {count}")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
