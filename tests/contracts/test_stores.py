"""The contract of every store of a log, through the screens' own way to it.

SQLite is one file that all annotators open. A team's log has a replica for each of them; `settle`
waits until all replicas have sent and read everything.
"""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from annotator.errors import StoreError
from annotator.log.entries import Action, Entry, LogState, replay
from annotator.log.store.protocol import Byproduct, DecidedMeanwhile, Lease, ProjectStore
from annotator.log.store.replica import Replica, make_replica
from annotator.log.store.sqlite import SqliteStore
from annotator.log.store.writer import LogWriter
from tests.log.shared_logs import KINDS, Reach, open_shared_log
from tests.time_limits import PATIENCE


@dataclass
class Place:
    """A place where several annotators keep one log."""

    folder: Path
    reach: Reach | None
    """The way to the team's log for an annotator; None for one file without a team."""
    opened: dict[str, ProjectStore] = field(default_factory=dict)

    def path(self, name: str) -> Path:
        return self.folder / ("labels.db" if self.reach is None else f"{name}/labels.db")

    def open(self, name: str) -> ProjectStore:
        path = self.path(name)
        if self.reach is None:
            self.opened[name] = SqliteStore(path)
        else:
            if not path.exists():
                path.parent.mkdir()
                make_replica(path, "a-team")
            self.opened[name] = Replica(path, self.reach(name))
        return self.opened[name]

    def settle(self) -> None:
        for _ in range(2):  # what the last one sends, the first one has yet to read
            for store in self.opened.values():
                if isinstance(store, Replica):
                    assert store.wait_until_sent(PATIENCE), store.sync_state()


@pytest.fixture(params=["sqlite", *KINDS])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    kind = request.param
    reach = None if kind == "sqlite" else open_shared_log(kind, tmp_path / "team")
    made = Place(tmp_path, reach)
    yield made
    for store in made.opened.values():
        with suppress(sqlite3.ProgrammingError):
            store.close()


def label(ref: str, name: str = "ok", who: str = "ann", **fields: Any) -> Entry:
    return Entry(0, 1.5, who, Action.LABEL, ref, name, **fields)


FULL = Entry(
    0, 1700000000.25, "ann", Action.LABEL, "a/ü b.jpg#xywh=1,2,3,4.5", "de,fect",
    proba={"ok": 0.25, "de,fect": 0.75}, model="ridge@7", picked_by="margin", q=0.125, pool=99,
    shown_ms=321, note="über\nzwei Zeilen \U0001f600 \x01", extra={"group": "p1", "n": [1, 2]},
)  # fmt: skip


def shown(state: LogState) -> tuple[object, ...]:
    """All that a state says, with the numbers of its rows."""
    stacks = [
        {
            ref: [(e.seq, e.annotator, e.action, e.label) for e in stack]
            for ref, stack in kept.items()
        }
        for kept in (state.standing, state.opinions, state.notes)
    ]
    flags = {ref: entry.seq for ref, entry in state.flagged.items()}
    history = {name: list(rows) for name, rows in state.history.items() if rows}
    return *stacks, flags, history, {name: n for name, n in state.counts.items() if n}


def test_every_field_reads_back_for_everybody(place: Place) -> None:
    ann, bob = place.open("ann"), place.open("bob")
    ann.append(FULL)
    place.settle()
    (mine,), (theirs,) = list(ann.entries()), list(bob.entries())
    assert mine == theirs
    assert mine.seq > 0
    assert theirs == Entry(theirs.seq, *[getattr(FULL, name) for name in Entry.__slots__[1:]])


def test_all_read_the_same_rows_in_the_same_order(place: Place) -> None:
    names = ("ann", "bob", "eve")
    stores = {name: place.open(name) for name in names}
    for number in range(30):
        name = names[number % 3]
        stores[name].append(label(f"{number}.png", who=name), label(f"{number}b.png", who=name))
    place.settle()
    first, *others = (list(store.entries()) for store in stores.values())
    assert len(first) == 60
    assert all(rows == first for rows in others)
    assert [entry.seq for entry in first] == sorted({entry.seq for entry in first})
    for name in names:
        own = [entry.ref for entry in first if entry.annotator == name]
        assert own == [f"{n}{b}.png" for n in range(30) if names[n % 3] == name for b in ("", "b")]


def test_a_group_is_written_whole_or_not_at_all(place: Place) -> None:
    store = place.open("ann")
    with pytest.raises((StoreError, sqlite3.Error, AttributeError)):
        store.append(label("a"), Entry(0, 0.0, "ann", Action.LABEL, None))  # type: ignore[arg-type]
    assert list(store.entries()) == []
    assert store.append(label("b"))[0].ref == "b"


def test_an_undo_takes_back_the_label_for_everybody(place: Place) -> None:
    ann, bob = place.open("ann"), place.open("bob")
    writer = LogWriter(ann, "ann", time.time)
    writer.write(label("a"))
    writer.undo_entries(writer.state.undoable_by("ann"))  # before it has a number
    writer.write(label("b"), label("c"))
    place.settle()
    writer.catch_up()
    writer.undo_entries(writer.state.undoable_by("ann"))  # after
    place.settle()
    writer.catch_up()
    for store in (ann, bob):
        assert list(replay(store.entries()).standing) == ["b"]
    assert list(writer.state.standing) == ["b"]


def test_what_was_decided_meanwhile_is_not_decided_again(place: Place) -> None:
    ann, bob = place.open("ann"), place.open("bob")
    known = ann.last_arrival()
    bob.append(label("a", who="bob"))
    place.settle()
    with pytest.raises(DecidedMeanwhile):
        ann.append(label("a", "other"), last_seen=known)
    ann.append(label("b"), last_seen=known)
    place.settle()
    assert [(e.annotator, e.ref) for e in bob.entries()] == [("bob", "a"), ("ann", "b")]


def test_an_item_on_one_screen_is_on_no_other_until_it_is_released(place: Place) -> None:
    ann, bob = place.open("ann"), place.open("bob")
    now = time.time()
    assert ann.lease([Lease("a"), Lease("b")], "h1", "ann", now, now + 100) == {"a", "b"}
    place.settle()
    bob.lease([Lease("c")], "h2", "bob", now, now + 100)
    place.settle()
    assert bob.leased_by_others(now, "h2") == {"a", "b"}
    assert bob.lease([Lease("a"), Lease("d")], "h2", "bob", now, now + 100) == {"d"}
    ann.lease([Lease("b")], "h1", "ann", now, now + 100)
    place.settle()
    place.settle()
    assert bob.leased_by_others(now, "h2") == {"b"}
    ann.release("h1", time.time())
    ann.close()
    deadline = time.monotonic() + PATIENCE
    while bob.leased_by_others(time.time(), "h2") and time.monotonic() < deadline:
        time.sleep(0.05)
    assert bob.leased_by_others(time.time(), "h2") == set()


def test_the_items_of_a_closed_session_are_resumed(place: Place) -> None:
    store, now = place.open("ann"), time.time()
    lease = Lease("a", "margin", 0.25, 7)
    store.lease([lease, Lease("b")], "h1", "ann", now, now + 100)
    store.release("h1", now)
    store.close()
    assert place.open("ann").abandoned("ann", now + 1) == [lease, Lease("b")]


def test_news_of_others_is_noticed(place: Place) -> None:
    ann, bob = place.open("ann"), place.open("bob")
    place.settle()
    ann.changed()
    known = ann.last_arrival()
    bob.append(label("b", who="bob"))
    place.settle()
    assert ann.changed()
    assert [arrival.entry.ref for arrival in ann.arrivals(known)] == ["b"]


def test_many_rows_arrive_once_and_in_order(place: Place) -> None:
    ann = place.open("ann")
    refs = [f"{number}.png" for number in range(3000)]
    assert ann.append_many(label(ref, ref[0]) for ref in refs) == 3000
    ann.append(label("last"))
    place.settle()
    bob = place.open("bob")
    place.settle()
    place.settle()
    for store in (ann, bob):
        assert [entry.ref for entry in store.entries()] == [*refs, "last"]


def test_a_state_that_follows_is_the_state_of_a_fresh_reader(place: Place) -> None:
    """Whatever three annotators do at once, on the same few items."""
    rng = random.Random(7)
    names = ("ann", "bob", "eve")
    writers = {name: LogWriter(place.open(name), name, time.time) for name in names}
    refs = [f"{number}.png" for number in range(6)]
    for _ in range(150):
        name = rng.choice(names)
        writer, ref = writers[name], rng.choice(refs)
        match rng.choice(("label", "label", "label", "flag", "undo", "note", "look", "wait")):
            case "label":
                writer.write(writer.answer(ref, rng.choice(("ok", "bad", None))))
            case "flag":
                writer.flag(ref)
            case "undo":
                writer.undo_entries(writer.state.undoable_by(name))
            case "note":
                writer.write(writer.entry(Action.NOTE, ref, note="look"))
            case "look":
                writer.catch_up()
            case "wait":
                time.sleep(0.03)
    place.settle()
    logs = [list(store.entries()) for store in place.opened.values()]
    assert all(rows == logs[0] for rows in logs)
    for writer in writers.values():
        writer.catch_up()
        assert shown(writer.state) == shown(replay(logs[0]))


def test_two_answers_that_could_not_know_of_each_other_are_both_kept(place: Place) -> None:
    if place.reach is None:
        pytest.skip("with one file, the second answer is refused before it is written")
    stores = {name: place.open(name) for name in ("ann", "bob")}
    for name, store in stores.items():  # each is written before the other has come
        store.append(label("a", name, who=name))
    place.settle()
    states = [replay(store.entries()) for store in stores.values()]
    assert shown(states[0]) == shown(states[1])
    state = states[0]
    (first,), (later,) = state.standing["a"], state.opinions["a"]
    assert first.seq < later.seq
    assert {first.label, later.label} == {"ann", "bob"}
    stores["ann"].append(label("a", "settled"))  # and who knows both may decide
    place.settle()
    assert replay(stores["bob"].entries()).label("a") == "settled"


def test_byproducts_read_back(place: Place) -> None:
    store = place.open("ann")
    store.append_byproducts(Byproduct(5, "key", "p1", {"k": "ü"}), Byproduct(6, "move", "p1", {}))
    store.close()
    rows = list(place.open("ann").read_byproducts(page="p1"))
    assert rows == [Byproduct(5, "key", "p1", {"k": "ü"}), Byproduct(6, "move", "p1", {})]


def test_a_newer_versions_file_is_refused_with_the_remedy(place: Place) -> None:
    place.open("ann").close()
    with sqlite3.connect(place.path("ann")) as database:
        database.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreError, match=r"newer annotator.*pip install --upgrade"):
        place.open("ann")


_KILLED = """
import sys
from pathlib import Path
from annotator.log.entries import Action, Entry
from annotator.log.store.replica import Replica
from annotator.log.store.sqlite import SqliteStore
from tests.log.shared_logs import reach_again
path, reach = Path(sys.argv[1]), sys.argv[2]
store = Replica(path, reach_again(reach)) if reach else SqliteStore(path)
for number in range(100000):
    store.append(Entry(0, 1.0, "ann", Action.LABEL, f"{number}.png", "ok"))
    print(number, flush=True)
"""


@pytest.mark.parametrize("moment", range(3))
def test_a_kill_loses_no_label_and_doubles_none(place: Place, moment: int) -> None:
    place.open("ann").close()
    reach = "" if place.reach is None else place.reach.again("ann")
    command = [sys.executable, "-c", _KILLED, str(place.path("ann")), reach]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root) as process:
        assert process.stdout is not None
        told = [process.stdout.readline() for _ in range(60 + 37 * moment)]
        process.kill()
        told += process.stdout.readlines()
    numbers = [int(line) for line in told if line.endswith("\n")]
    assert numbers
    ann = place.open("ann")
    ann.append(label("last"))
    bob = place.open("bob")
    place.settle()
    place.settle()
    for store in (ann, bob):
        refs = [entry.ref for entry in store.entries()]
        assert refs[: len(numbers)] == [f"{number}.png" for number in numbers]
        assert len(refs) == len(set(refs)) <= len(numbers) + 2


def test_the_items_of_a_program_that_died_are_free_for_the_next_one(place: Place) -> None:
    """On the same machine; elsewhere its leases run out."""
    code = (
        "import sys, time\nfrom pathlib import Path\n"
        "from annotator.log.store.holders import new_holder\n"
        "from annotator.log.store.protocol import Lease\n"
        "from annotator.log.store.replica import Replica\n"
        "from annotator.log.store.sqlite import SqliteStore\n"
        "from tests.log.shared_logs import reach_again\n"
        "path, reach = Path(sys.argv[1]), sys.argv[2]\n"
        "store = Replica(path, reach_again(reach)) if reach else SqliteStore(path)\n"
        "now = time.time()\n"
        "store.lease([Lease('a'), Lease('b')], new_holder(), 'ann', now, now + 1000)\n"
        "if reach: store.wait_until_sent(60)\n"
        "print('held', flush=True)\ntime.sleep(1000)\n"
    )
    place.open("ann").close()
    reach = "" if place.reach is None else place.reach.again("ann")
    command = [sys.executable, "-c", code, str(place.path("ann")), reach]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        process.kill()
    ann, now = place.open("ann"), time.time()
    assert [lease.ref for lease in ann.abandoned("ann", now)] == ["a", "b"]
    ann.lease([Lease("a"), Lease("b")], "next", "ann", now, now + 100)
    place.settle()
    assert ann.lease([Lease("a"), Lease("b")], "next", "ann", now, now + 100) == {"a", "b"}
    assert ann.leased_by_others(now, "next") == set()
