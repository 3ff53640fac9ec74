"""By-products are on disk soon, a selection at once, whenever the process dies."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from annotator.hits.assignments import worker_id
from annotator.hits.recorder import PageShown, PageTile, Recorder, TerminalWindow
from annotator.hits.traces import PageTrace, replay_traces
from annotator.log.entries import Action, Entry
from annotator.log.store.protocol import Byproduct
from annotator.log.store.sqlite import SqliteStore
from annotator.project.project import ProjectFolder
from annotator.project.settings import ClassInfo, Settings

T0 = 1_700_000_000_000
TERMINAL = TerminalWindow(80, 24, (8, 16), "cell", "kitty")
TILES = [PageTile(f"n01/{n}", f"{n}.jpg", (500, 375), (20.0 * n, 2, 10, 5)) for n in range(4)]

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
    """Return the traces that another process finds."""
    store = SqliteStore(path)
    try:
        return [event for row in store.read_byproducts("events") for event in row.data["events"]]
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
from annotator.hits.recorder import PageShown, Recorder, TerminalWindow, PageTile
from annotator.hits.traces import PageTrace, replay_traces
from annotator.hits.assignments import worker_id
from annotator.log.store.protocol import Byproduct
from annotator.log.store.sqlite import SqliteStore
recorder = Recorder(SqliteStore(sys.argv[1]), "w")
tiles = [PageTile(str(n), f"{n}.jpg") for n in range(48)]
recorder.page_shown(PageShown(0), tiles, TerminalWindow(80, 24))
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
    one, two = (ProjectFolder.create(tmp_path / name, settings) for name in ("one", "two"))
    id_ = worker_id(one, "A3REALWORKER")
    assert len(id_) == 10
    assert int(id_, 16) >= 0
    assert id_ == worker_id(ProjectFolder.open(one.folder), "A3REALWORKER")
    assert id_ != worker_id(one, "A3REALWORKEr")
    assert id_ != worker_id(two, "A3REALWORKER")


# --- what the events add up to


def the_page(path: Path) -> PageTrace:
    (found,) = replay_traces(SqliteStore(path))
    return found


def test_the_fields_of_an_image_are_those_of_the_imagenet_tool(path: Path) -> None:
    recorder = begun(SqliteStore(path))
    recorder.enter(1, T0 + 100)
    recorder.move(1, 0.25, 0.5, T0 + 150)  # the clock of estimateTime starts
    recorder.select(1, 0.3, 0.6, T0 + 400, "mouse")  # stops: 250
    recorder.move(1, 0.9, 0.9, T0 + 500)
    recorder.deselect(1, T0 + 600, "mouse")  # starts again
    recorder.leave(1, T0 + 700)  # stops: 100
    recorder.enter(1, T0 + 900)  # starts: the pointer has moved on this image before
    recorder.submit(T0 + 1000)  # stops: 100, the interval that is open at the submission
    fields = the_page(path).images[1].fields()
    assert fields["imageID"] == "n01/1"
    assert (fields["originalImageWidth"], fields["originalImageHeight"]) == (500, 375)
    assert (fields["imageWidth"], fields["imageHeight"]) == (80, 80)  # 10 x 5 cells of 8 x 16
    assert fields["imagePosition"] == {"x": 160, "y": 32}
    assert fields["hoveredRecord"] == [
        {"action": "enter", "time": T0 + 100},
        {"action": "leave", "time": T0 + 700},
        {"action": "enter", "time": T0 + 900},
    ]
    assert fields["hoveredCount"] == 2
    assert fields["mouseTracking"] == [{"x": 0.25, "y": 0.5, "time": T0 + 150}]
    assert fields["selected"] is False
    assert fields["selectedRecord"] == [{"x": 0.3, "y": 0.6, "time": T0 + 400, "by": "mouse"}]
    assert fields["selectedCount"] == 1
    assert fields["estimateTime"] == 450
    assert fields["deselectedRecord"] == [{"time": T0 + 600, "by": "mouse"}]


def test_hovering_without_a_move_is_not_counted(path: Path) -> None:
    recorder = begun(SqliteStore(path))
    recorder.enter(0, T0 + 100)
    recorder.submit(T0 + 900)
    assert the_page(path).images[0].fields()["estimateTime"] == 0


def test_a_selection_by_key_has_no_point(path: Path) -> None:
    recorder = begun(SqliteStore(path))
    recorder.key("space", T0 + 4)
    recorder.select(2, None, None, T0 + 5, "key")
    recorder.submit(T0 + 6)
    page = the_page(path)
    assert page.images[2].fields()["selectedRecord"] == [
        {"x": -1, "y": -1, "time": T0 + 5, "by": "key"}
    ]
    assert page.fields()["keyRecord"] == [{"key": "space", "time": T0 + 4}]


def test_a_page_knows_its_window_and_what_came_into_view(path: Path) -> None:
    recorder = begun(SqliteStore(path))
    recorder.scroll(0, 2, T0 + 1)
    recorder.focus(False, T0 + 2)
    recorder.focus(True, T0 + 3)
    recorder.scroll(1, 3, T0 + 4)
    recorder.zoom(2, True, T0 + 5)
    recorder.zoom(2, False, T0 + 6)
    recorder.resize(TerminalWindow(100, 30, None, "pixel"), TILES, T0 + 7)
    recorder.prediction(True, T0 + 8)
    recorder.submit(T0 + 9)
    page = the_page(path)
    fields = page.fields()
    assert fields["terminal"] == {
        "columns": 80, "rows": 24, "pixelWidth": 640, "pixelHeight": 384,
        "pointerResolution": "cell", "technique": "kitty",
    }  # fmt: skip
    assert [(r["columns"], r["pixelWidth"], r["pointerResolution"], r["time"])
            for r in fields["resizedRecord"]] == [(100, None, "pixel", T0 + 7)]  # fmt: skip
    assert fields["focusRecord"] == [
        {"action": "blur", "time": T0 + 2},
        {"action": "focus", "time": T0 + 3},
    ]
    views = [image.fields()["viewedRecord"] for image in page.images]
    assert [[(v["action"], v["time"] - T0) for v in view] for view in views] == [
        [("enter", 1), ("leave", 4)], [("enter", 1)], [("enter", 4)], [],
    ]  # fmt: skip
    assert [z["action"] for z in page.images[2].fields()["zoomedRecord"]] == ["enter", "leave"]
    assert fields["predictionRecord"] == [{"shown": True, "time": T0 + 8}]
    assert (fields["startedAt"], fields["endedAt"]) == (T0, T0 + 9)


def test_what_was_open_at_a_kill_ends_with_the_last_word(path: Path) -> None:
    recorder = begun(SqliteStore(path))
    recorder.enter(0, T0 + 100)
    recorder.move(0, 0.5, 0.5, T0 + 200)
    recorder.select(3, 0.5, 0.5, T0 + 500, "mouse")
    again = Recorder(SqliteStore(path), "0123456789")
    again.resume_page(recorder.page, [3])
    shown = PageShown(T0 + 60_000, id=recorder.page)
    again.page_shown(shown, TILES, TERMINAL)
    again.submit(T0 + 61_000)
    page = the_page(path)
    assert page.images[0].fields()["estimateTime"] == 300
    assert page.selected == [3]
    assert page.open_ms == 500 + 1000


def test_events_of_a_later_version_are_passed_over(path: Path) -> None:
    store = SqliteStore(path)
    recorder = begun(store)
    recorder.submit(T0 + 5)
    page = the_page(path).id
    store.append_byproducts(
        Byproduct(T0 + 6, "events", page, {"events": [["gaze", T0 + 6, 0, 0.5]]})
    )
    assert the_page(path).ended_at == T0 + 5
