"""One label on disk beside a bare SQLite commit of the same durability, and a bare fsync."""

from __future__ import annotations

import os
import sqlite3
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from annotator.log.entries import Action, Entry
from annotator.log.store.sqlite import SqliteStore

RUNS = 400


def label(store: SqliteStore, n: int) -> None:
    store.append(
        Entry(
            0,
            1.7e9 + n,
            "ann",
            Action.LABEL,
            f"folder/image-{n:06}.jpg",
            "defect",
            proba={"ok": 0.25, "defect": 0.75},
            model="ridge@12",
            picked_by="margin",
            q=0.01,
            pool=9000,
            shown_ms=800,
        )  # fmt: skip
    )


def bare(folder: Path) -> Callable[[int], None]:
    """The least that SQLite can do: one short row, WAL, synchronous FULL."""
    database = sqlite3.connect(folder / "bare.db", isolation_level=None)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = FULL")
    database.execute("CREATE TABLE log (seq INTEGER PRIMARY KEY, ref TEXT, label TEXT)")

    def commit(n: int) -> None:
        database.execute("BEGIN IMMEDIATE")
        database.execute("INSERT INTO log (ref, label) VALUES (?, ?)", (f"image-{n}.jpg", "ok"))
        database.execute("COMMIT")

    return commit


def synced(folder: Path) -> Callable[[int], None]:
    file = os.open(folder / "synced", os.O_CREAT | os.O_WRONLY | os.O_APPEND)

    def write(n: int) -> None:
        os.write(file, b"x" * 300)
        os.fsync(file)

    return write


def main() -> None:
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as name:
        folder = Path(name)
        store = SqliteStore(folder / "labels.db")
        ways = {
            "write 300 bytes + fsync": synced(folder),
            "bare SQLite commit": bare(folder),
            "annotator: append a label": lambda n: label(store, n),
        }
        times: dict[str, list[float]] = {way: [] for way in ways}
        for n in range(RUNS):
            for way, act in ways.items():
                begun = time.perf_counter()
                act(n)
                times[way].append(1000 * (time.perf_counter() - begun))
        store.close()
    found = {way: median(values) for way, values in times.items()}
    for way, value in found.items():
        print(f"{way:28} {value:7.3f} ms")
    ratio = found["annotator: append a label"] / found["bare SQLite commit"]
    print(f"annotator / bare commit: {ratio:.2f} (goal: at most 1.5)")


if __name__ == "__main__":
    main()
