"""Kills of the screens at work on a pty: what was on the screen is on disk, and once."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from annotator.log.agreement import REPEAT
from annotator.log.entries import DECISIONS, REVIEW, replay
from annotator.log.store.sqlite import SqliteStore
from benchmarks.random_keys import compare, make_project
from tests.terminal.program_on_pty import Running

SCREENS: dict[str, tuple[tuple[str, ...], tuple[bytes, ...]]] = {
    "run": (("run",), (b"a", b"d", b"a", b"d", b" ", b"\x7f", b"f")),
    "browse": (("browse",), (b"f", b"j", b"1", b"2", b"\r", b"\x7f")),
    "review": (("review",), (b"\r", b"a", b"d", b" ", b"\x7f")),
    "run, rapid": (("run",), (b"R", b"1", b"a", b"d", b"\r", b" ")),
}
"""Screen -> its command, and the keys that are typed."""
ITEMS = re.compile(r"([\d,]+) of 1,500")
TECHNIQUES = ("kitty", "halfcell")


def kill_screens(folder: Path, kills: int) -> tuple[Counter[str], list[str]]:
    """Start each screen again and again, type, and kill it with all its children."""
    command, rng = make_project(folder), random.Random(12)
    project = Path(command[3])
    _prepare(project, folder / "known.csv")
    counts, faults = Counter[str](), list[str]()
    for turn in range(kills):
        name = list(SCREENS)[turn % len(SCREENS)]
        words, keys = SCREENS[name]
        technique = TECHNIQUES[turn // len(SCREENS) % 2]
        arguments = ["-m", "annotator", *words, *command[3:], "--graphics", technique]
        kind = "kitty" if technique == "kitty" else "plain"
        with Running(arguments, kind=kind, size=(90, 28)) as running:
            shown = _type_and_kill(running, keys, rng)
        counts[f"kills of {name}"] += 1
        faults += [f"{name}, kill {turn}: {fault}" for fault in _look(project, shown)]
    found = compare(folder)
    counts.update({word: found[word] for word in ("on disk", "acknowledged", "lost")})
    if found["lost"]:
        faults.append(f"{found['lost']} acknowledged rows lost")
    said = _run("doctor", str(project))
    if "Traceback" in said or "STOP" in said:
        faults.append(said[-500:])
    return counts, faults


def _prepare(project: Path, known: Path) -> None:
    """Compute features, and import some labels, a tenth of them wrong: cases for a review."""
    rows = [f"{n:04}.png,{('red', 'blue')[n % 2 ^ (n % 20 == 0)]}" for n in range(0, 1500, 10)]
    known.write_text("\n".join(["filename,label", *rows]) + "\n")
    _run("features", str(project), "--model", "classic")
    _run("import", str(project), str(known))


def _run(*words: str) -> str:
    command = [sys.executable, "-m", "annotator", *words]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    return done.stderr


def _type_and_kill(running: Running, keys: Sequence[bytes], rng: random.Random) -> int:
    """Type until a random moment, then kill; return the labels that the screen had counted."""
    if rng.random() < 0.9:  # the others are killed while they start
        running.wait(lambda screen: screen.alternate and screen.text().strip() != "", 60)
    end = time.monotonic() + rng.choice((0.3, 1.0, 2.0, 3.0))
    while time.monotonic() < end and running.process.poll() is None:
        running.press(rng.choice(keys))
        time.sleep(rng.choice((0.02, 0.1, 0.3)))
    counted = running.look(lambda screen: ITEMS.search(screen.text()))
    if running.process.poll() is None:
        os.killpg(running.process.pid, signal.SIGKILL)
    return int(counted[1].replace(",", "")) if counted else 0


def _look(project: Path, shown: int) -> list[str]:
    """Return what a kill broke: labels that were counted on screen, or two for one question."""
    if not (project / "labels.db").exists():
        return [f"{shown} labels were on screen, and there is no log"] if shown else []
    store = SqliteStore(project / "labels.db")
    entries = list(store.entries())
    store.close()
    standing = replay(entries).standing
    again = (REVIEW, REPEAT)
    doubled = [
        ref
        for ref, stack in standing.items()
        if sum(e.picked_by not in again and not (e.extra or {}).get("corrects") for e in stack) > 1
    ]
    faults = [f"labelled twice: {', '.join(doubled[:3])}"] if doubled else []
    # An undo is on disk before the screen counts it, so what was taken back counts here too.
    answered = len({entry.ref for entry in entries if entry.action in DECISIONS})
    if answered < shown:
        faults.append(f"{shown} answers were counted on screen, {answered} are on disk")
    return faults
