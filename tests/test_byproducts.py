"""What the hand did is on disk soon, a selection at once, in whatever order the process dies."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from annotator.byproducts import PageShown, Recorder, Terminal, Tile, worker_id
from annotator.log import Action, Entry
from annotator.project import Project
from annotator.settings import ClassInfo, Settings
from annotator.store import SqliteStore

T0 = 1_700_000_000_000
TERMINAL = Terminal(80, 24, (8, 16), "cell", "kitty")
TILES = [Tile(f"n01/{n}", f"{n}.jpg", (500, 375), (20.0 * n, 2, 10, 5)) for n in range(4)]

_VERSION_1 = """
CREATE TABLE log (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, annotator TEXT NOT NULL,
    action TEXT NOT NULL, ref TEXT NOT NULL, label TEXT, proba TEXT, model TEXT, picked_by TEXT,
    q REAL, pool INTEGER, shown_ms INTEGER, note TEXT, extra TEXT
);
CREATE TABLE leases (
    ref TEXT PRIMARY KEY, holder TEXT NOT NULL, annotator TEXT NOT NULL, until REAL NOT NULL,
    place INTEGER NOT NULL, picked_by TEXT, q REAL, pool INTEGER
) WITHOUT ROWID;
INSERT INTO log (at, annotator, action, ref, label) VALUES (1.5, 'ann', 'label', 'a.jpg', 'ok');
PRAGMA application_id = 0x616E6E6F;
PRAGMA user_version = 1;
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "labels.db"


def begun(store: SqliteStore) -> Recorder:
    recorder = Recorder(store, "0123456789")
    recorder.page_shown(PageShown(T0, 1, "tench", "positives"), TILES, TERMINAL)
    return recorder


def events(path: Path) -> list[list[object]]:
    """What another process finds."""
    store = SqliteStore(path)
    try:
        return [event for row in store.recorded("events") for event in row.data["events"]]
    finally:
        store.close()


def test_a_file_from_before_byproducts_opens_with_its_labels(path: Path) -> None:
    with sqlite3.connect(path) as old:
        old.executescript(_VERSION_1)
    store = SqliteStore(path)
    assert [(e.ref, e.label) for e in store.entries()] == [("a.jpg", "ok")]
    store.append(Entry(0, 2.0, "ann", Action.LABEL, "b.jpg", "ok"))
    begun(store).select(0, 0.5, 0.5, T0 + 5, "mouse")
    assert len(list(SqliteStore(path).entries())) == 2
    assert events(path) == [["select", T0 + 5, 0, 0.5, 0.5, "mouse"]]


def test_a_selection_is_written_at_once_with_all_before_it(path: Path) -> None:
    recorder = begun(SqliteStore(path))
    recorder.enter(2, T0 + 100)
    recorder.move(2, 0.25, 0.75, T0 + 120)
    assert events(path) == [], "hovering may wait"
    recorder.select(2, 0.25, 0.75, T0 + 150, "mouse")
    assert [event[0] for event in events(path)] == ["enter", "move", "select"]
    recorder.deselect(2, T0 + 160, "key")
    assert events(path)[-1] == ["deselect", T0 + 160, 2, "key"]


def test_hovering_is_written_within_a_second(path: Path) -> None:
    recorder = begun(SqliteStore(path))
    recorder.enter(0, T0)
    recorder.tick(T0 + 999)
    assert events(path) == []
    recorder.tick(T0 + 1000)
    assert events(path) == [["enter", T0, 0]]


def test_the_pointer_is_kept_60_times_a_second_at_most_and_not_over_a_selection(path: Path) -> None:
    recorder = begun(SqliteStore(path))
    for ms in range(0, 1000, 2):
        recorder.move(1, 0.5, ms / 1000, T0 + ms)
    recorder.select(1, 0.5, 0.5, T0 + 1000, "mouse")
    recorder.move(1, 0.1, 0.1, T0 + 1100)
    recorder.submit(T0 + 1200)
    times = [event[1] for event in events(path) if event[0] == "move"]
    assert times[0] == T0, "the first one counts"
    assert 50 <= len(times) <= 60
    assert times[-1] < T0 + 1000


def test_a_move_on_the_next_image_does_not_wait_for_the_one_before(path: Path) -> None:
    recorder = begun(SqliteStore(path))
    recorder.move(0, 0.9, 0.5, T0)
    recorder.move(1, 0.1, 0.5, T0 + 1)
    recorder.submit(T0 + 2)
    assert [event[2] for event in events(path) if event[0] == "move"] == [0, 1]


_KILLED = """
import os, sys, time
from annotator.byproducts import PageShown, Recorder, Terminal, Tile
from annotator.store import SqliteStore
recorder = Recorder(SqliteStore(sys.argv[1]), "w")
tiles = [Tile(str(n), f"{n}.jpg") for n in range(48)]
recorder.page_shown(PageShown(0), tiles, Terminal(80, 24))
for n in range(48):
    recorder.enter(n, n * 100)
    recorder.select(n, 0.5, 0.5, n * 100 + 1, "mouse")
    print(n, flush=True)
recorder.enter(0, 5000)
os.kill(os.getpid(), 9)
"""


def test_kill_9_loses_no_selection(path: Path) -> None:
    ran = subprocess.run([sys.executable, "-c", _KILLED, path], capture_output=True, text=True)
    assert ran.returncode == -9, ran.stderr
    selected = [event[2] for event in events(path) if event[0] == "select"]
    assert selected == [int(line) for line in ran.stdout.split()] == list(range(48))


def test_a_store_that_cannot_write_is_said_and_written_later(path: Path) -> None:
    store = SqliteStore(path)
    recorder = begun(store)
    with sqlite3.connect(path, isolation_level=None) as other:
        store._records.execute("PRAGMA busy_timeout = 0")
        other.execute("BEGIN IMMEDIATE")
        recorder.select(3, 0.5, 0.5, T0, "mouse")
        assert "locked" in recorder.fault
        other.execute("ROLLBACK")
    recorder.tick(T0 + 1)
    assert recorder.fault == ""
    assert events(path) == [["select", T0, 3, 0.5, 0.5, "mouse"]]


def test_a_worker_has_one_id_in_a_project_and_another_elsewhere(tmp_path: Path) -> None:
    settings = Settings(classes=(ClassInfo("a"), ClassInfo("b")))
    one, two = (Project.create(tmp_path / name, settings) for name in ("one", "two"))
    id_ = worker_id(one, "A3REALWORKER")
    assert len(id_) == 10
    assert int(id_, 16) >= 0
    assert id_ == worker_id(Project.open(one.folder), "A3REALWORKER")
    assert id_ != worker_id(one, "A3REALWORKEr")
    assert id_ != worker_id(two, "A3REALWORKER")
