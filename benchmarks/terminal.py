"""From a key to the picture: ours beside textual-image's widget, timg and chafa, in real terminals.

python -m benchmarks.terminal [--keys N] [--only PART]

Needs the terminals of tests/terminal/real/setup.sh; one that is not installed is skipped by name.
Times run from the key's press to the pixels on the screen; kitty draws with a software renderer
here, which takes some 12 ms of each.
"""

from __future__ import annotations

import argparse
import os
import random
import tempfile
from pathlib import Path

from annotator.terminal.caps import Technique
from benchmarks._enormous import enormous
from benchmarks._fresh import fresh
from benchmarks._keys import LINE, benched, busy, photographs
from benchmarks._payloads import payload
from tests.terminal.real.real_terminals import missing


def local(folder: Path, keys: int) -> None:
    print("\nkey to pixels, kitty, no line between, 80x24")
    for kind in ("ours", "textual-image"):
        with benched("kitty-0.41", kind, folder, (80, 24), {}) as bench:
            print(f"  {kind:14} quiet       {bench.times(keys, (0, 0.1), quiet=True)}")
            with busy(os.cpu_count() or 2):
                print(f"  {kind:14} busy cores  {bench.times(keys, (0, 0.1), quiet=True)}")
            times = bench.times(100, (0.1, 0.2), quiet=False)
            print(f"  {kind:14} loop {times.blocked} in 100 keys")


def others(folder: Path, keys: int) -> None:
    """Run the terminals that setup.sh installs only where it can."""
    for terminal in ("kitty-0.48", "konsole"):
        if reason := missing(terminal):
            print(f"others: left out, {reason}")
            continue
        print(f"\nkey to pixels, {terminal}, no line between, 80x24")
        for kind in ("ours", "textual-image") if terminal == "kitty-0.48" else ("ours",):
            with benched(terminal, kind, folder, (80, 24), {}) as bench:
                print(f"  {kind:14} quiet       {bench.times(keys, (0, 0.1), quiet=True)}")
                with busy(os.cpu_count() or 2):
                    print(f"  {kind:14} busy cores  {bench.times(keys, (0, 0.1), quiet=True)}")


def sixel_local(folder: Path, keys: int) -> None:
    print("\nkey to pixels, xterm (sixel), no line between, 80x24")
    for kind in ("ours", "textual-image"):
        with benched("xterm-398", kind, folder, (80, 24), {}) as bench:
            print(f"  {kind:14} quiet       {bench.times(keys, (0, 0.1), quiet=True)}")
            times = bench.times(100, (0.1, 0.2), quiet=False)
            print(f"  {kind:14} loop {times.blocked} in 100 keys")


BESIDE = [("ours", "kitty-0.41"), ("ours", "xterm.js"), ("textual-image", "xterm.js sixel")]
"""textual-image has no kitty graphics without placeholders, and so none in xterm.js."""


def xterm_js(folder: Path, keys: int) -> None:
    print("\nkey to pixels, xterm.js in Chromium beside kitty, no line between, 80x24")
    for kind, terminal in BESIDE:
        with benched(terminal, kind, folder, (80, 24), {}) as bench:
            print(f"  {kind:14} {terminal:15} quiet  {bench.times(keys, (0, 0.1), quiet=True)}")
            with busy(os.cpu_count() or 2):
                print(f"  {'':30} busy   {bench.times(keys, (0, 0.1), quiet=True)}")


def slow_xterm_js(folder: Path, keys: int) -> None:
    print("\nkey to pixels, xterm.js beside kitty, 2 Mbit/s and 100 ms round trip, 80x24")
    for kind, terminal in BESIDE:
        words = f"  {kind:14} {terminal:15}"
        try:
            with benched(terminal, kind, folder, (80, 24), LINE) as bench:
                print(f"{words} when quiet            {bench.times(keys, (0, 0), quiet=True)}")
                times = bench.times(keys, (0.3, 1.0), quiet=False)
                print(f"{words} 0.3 to 1 s of thought {times.taken}")
        except RuntimeError as error:  # seen with textual-image: a picture took too long
            print(f"{words} {error}")


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
            print(f"  {kind:14} 0.3 to 1 s of thought {times.taken}")


def sequences(folder: Path, keys: int) -> None:
    """Random keys and resizes in virtual time; see tests/terminal/annotating.py."""
    from tests.terminal.test_stage import _wander
    from tests.terminal.virtual_annotator import VirtualAnnotator

    print("\n1,000 random key sequences with resizes, keys typed ahead and pastes, in virtual time")
    # At the lower rate palettes come first, and better versions after them.
    for line, rates, rtt, guard in (
        ("2 and 0.5 Mbit/s, 100 ms", (250e3, 60e3), 0.1, "auto"),
        ("local, 400 Mbit/s, 1 ms", (50e6, 50e6), 0.001, "auto"),
    ):
        wrong = lost = stale = early = 0
        for seed in range(1000):
            session = VirtualAnnotator(Technique.FRAMES, rate=rates[seed % 2], rtt=rtt, guard=guard)
            pressed = _wander(session, random.Random(seed), 20, careless=True)
            session.run(3)
            wrong += sum(item != seen for item, seen in session.labels)
            lost += pressed - len(session.labels) - session.blind
            stale += session.stage.state.seen != session.stage.plan.current
            early += _typed_ahead(rates[seed % 2], rtt)
        print(
            f"  {line:26} keys lost {lost}, labels of unseen pictures {wrong}, stale pictures "
            f"{stale}; with the guard off, labels by keys before the first picture {early}"
        )


def _typed_ahead(rate: float, rtt: float) -> int:
    """Return the labels that five keys before the first picture give with the guard off."""
    from tests.terminal.virtual_annotator import VirtualAnnotator

    session = VirtualAnnotator(Technique.FRAMES, rate=rate, rtt=rtt, guard="off")
    for _ in range(5):
        session.press("d")
    session.run(3)
    return len(session.labels)


PARTS = {
    "payload": payload,
    "enormous": enormous,
    "local": local,
    "others": others,
    "fresh": fresh,
    "sixel": sixel_local,
    "xterm-js": xterm_js,
    "slow": slow,
    "slow-xterm-js": slow_xterm_js,
    "slow-large": slow_large,
    "slow-sixel": slow_sixel,
    "sequences": sequences,
}


def _needed(part: str) -> tuple[str, ...]:
    """The terminals that a part needs."""
    if part in ("payload", "enormous", "sequences"):
        return ()
    return "kitty-0.41", "xterm.js" if part.endswith("xterm-js") else "xterm-398"


def main() -> None:
    parser = argparse.ArgumentParser(description="From a key to the picture.")
    parser.add_argument("--keys", type=int, default=20)
    parser.add_argument("--only", choices=PARTS)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = photographs(Path(place) / "photographs")
        for name, part in PARTS.items():
            reasons = [missing(terminal) for terminal in _needed(name)]
            if given.only not in (None, name):
                continue
            if any(reasons):
                print(f"{name}: left out, {' '.join(filter(None, reasons))}")
            else:
                part(folder, given.keys)


if __name__ == "__main__":
    main()
