"""A replica over a line that is slow, or cut for a while: nothing is lost and nothing doubled."""

from __future__ import annotations

import random
import statistics
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from annotator.errors import StoreError
from annotator.log.entries import Action, Entry, replay
from annotator.log.store.open import find_team
from annotator.log.store.postgres import PostgresTeam, ServerAddress
from annotator.log.store.replica import Replica, leave_team, make_replica
from annotator.log.store.replica_tables import new_row_id
from annotator.log.store.sqlite import SqliteStore
from tests.log.shared_logs import Line, new_schema, postgres_server, slow_line
from tests.time_limits import PATIENCE


@pytest.fixture
def schema() -> str:
    made = new_schema()
    PostgresTeam(ServerAddress.parse(postgres_server().store, made)).create("admin")
    return made


@pytest.fixture
def line() -> Iterator[Line]:
    with slow_line(postgres_server().port, 0.0) as made:
        yield made


def open_replica(folder: Path, line: Line, schema: str, **options: bool) -> Replica:
    path = folder / "labels.db"
    if not path.exists():
        folder.mkdir(exist_ok=True)
        make_replica(path, "a-team")
    store = postgres_server().store_for("postgres", line.port)
    return Replica(path, find_team(store, schema, folder).open_log, **options)


def label(ref: str, name: str = "ok", who: str = "ann") -> Entry:
    return Entry(0, 1.5, who, Action.LABEL, ref, name)


def test_labels_arrive_once_over_a_line_that_is_cut_again_and_again(
    tmp_path: Path, line: Line, schema: str
) -> None:
    replicas = {name: open_replica(tmp_path / name, line, schema) for name in ("ann", "bob")}
    rng, over = random.Random(1), threading.Event()

    def cut() -> None:
        while not over.is_set():
            time.sleep(rng.uniform(0, 0.02))
            line.drop()

    cutter = threading.Thread(target=cut)
    cutter.start()
    for number in range(300):
        for name, store in replicas.items():
            store.append(label(f"{name}-{number}.png", who=name))
        time.sleep(0.003)
    over.set()
    cutter.join()
    assert line.cuts > 20
    for _ in range(2):
        for store in replicas.values():
            assert store.wait_until_sent(PATIENCE), store.sync_state()
    logs = [list(store.entries()) for store in replicas.values()]
    assert logs[0] == logs[1]
    assert [entry.seq for entry in logs[0]] == list(range(1, 601))
    for name in replicas:
        own = [entry.ref for entry in logs[0] if entry.annotator == name]
        assert own == [f"{name}-{number}.png" for number in range(300)]
    for store in replicas.values():
        store.close()


def test_while_the_line_is_cut_labels_are_written_and_the_state_says_since_when(
    tmp_path: Path, line: Line, schema: str
) -> None:
    store = open_replica(tmp_path, line, schema)
    store.append(label("a"))
    assert store.wait_until_sent(PATIENCE)
    assert store.sync_state().away_since is None
    line.cut()
    begun = time.time()
    for number in range(20):
        store.append(label(f"{number}.png"))
    deadline = time.monotonic() + PATIENCE
    while store.sync_state().away_since is None and time.monotonic() < deadline:
        time.sleep(0.01)
    state = store.sync_state()
    assert state.waiting == 20
    assert state.away_since is not None
    assert begun - 1 <= state.away_since <= time.time()
    assert state.problem
    assert len(list(store.entries())) == 21
    line.mend()
    assert store.wait_until_sent(PATIENCE)
    assert store.sync_state()[:1] == (0,)
    assert store.sync_state().problem == ""
    store.close()


def test_a_copy_that_was_closed_offline_sends_after_it_is_opened_again(
    tmp_path: Path, line: Line, schema: str
) -> None:
    line.cut()
    store = open_replica(tmp_path / "ann", line, schema)
    for number in range(450):  # more than one transaction
        store.append(label(f"{number}.png"))
    store.close()
    line.mend()
    again, other = (open_replica(tmp_path / name, line, schema) for name in ("ann", "bob"))
    assert again.sync_state().waiting == 450
    for one in (again, other):
        assert one.wait_until_sent(PATIENCE)
        assert [entry.ref for entry in one.entries()] == [f"{n}.png" for n in range(450)]
        one.close()


def test_a_label_that_waits_for_the_server_is_there_when_append_returns(
    tmp_path: Path, line: Line, schema: str
) -> None:
    store = open_replica(tmp_path / "ann", line, schema, waits=True)
    store.append(label("a"))
    other = open_replica(tmp_path / "bob", line, schema)
    assert other.wait_until_sent(PATIENCE)
    assert [entry.ref for entry in other.entries()] == ["a"]
    for one in (store, other):
        one.close()


def test_a_slow_line_holds_up_no_label(tmp_path: Path, schema: str) -> None:
    with slow_line(postgres_server().port, 1.0) as line:
        store = open_replica(tmp_path, line, schema)
        seconds = []
        for number in range(50):
            begun = time.monotonic()
            store.append(label(f"{number}.png"))
            seconds.append(time.monotonic() - begun)
        assert statistics.median(seconds) < 0.5  # a round trip takes a second
        store.close()


def test_two_programs_on_one_copy_send_each_row_once(
    tmp_path: Path, line: Line, schema: str
) -> None:
    stores = [open_replica(tmp_path, line, schema) for _ in range(2)]
    for number in range(60):
        stores[number % 2].append(label(f"{number}.png"))
    for _ in range(2):
        for store in stores:
            assert store.wait_until_sent(PATIENCE)
    logs = [[entry.ref for entry in store.entries()] for store in stores]
    assert logs[0] == logs[1] == [f"{number}.png" for number in range(60)]
    for store in stores:
        store.close()


def test_a_row_that_the_server_refuses_stays_and_holds_up_no_other(
    tmp_path: Path, line: Line, schema: str
) -> None:
    import psycopg

    with psycopg.connect(postgres_server().store, autocommit=True) as connection:
        connection.execute(f'UPDATE "{schema}".member SET role = $$annotator$$'.encode())
    store = open_replica(tmp_path, line, schema)
    store.append(label("a", who="admin"))
    (bad,) = store.append(label("b", who="another"))
    store.append(Entry(0, 1.0, "admin", Action.UNDO, "b", extra={"undoes": bad.seq}))
    store.append(label("c", who="admin"))
    assert store.wait_until_sent(PATIENCE)
    state = store.sync_state()
    assert (state.waiting, state.refused) == (0, 2)
    assert "not as another" in state.reason
    assert [entry.ref for entry in store.entries()] == ["a", "c", "b", "b"]
    store.close()


def test_a_copy_becomes_a_log_of_ones_own_with_what_was_not_sent(
    tmp_path: Path, line: Line, schema: str
) -> None:
    store = open_replica(tmp_path, line, schema)
    store.append(label("a"))
    assert store.wait_until_sent(PATIENCE)
    line.cut()
    (unsent,) = store.append(label("b"))
    store.append(Entry(0, 1.0, "ann", Action.UNDO, "b", extra={"undoes": unsent.seq}))
    with pytest.raises(StoreError, match="open in another program"):
        leave_team(tmp_path / "labels.db")
    store.close()
    leave_team(tmp_path / "labels.db")
    own = SqliteStore(tmp_path / "labels.db")
    rows = list(own.entries())
    assert [entry.seq for entry in rows] == [1, 2, 3]
    assert list(replay(rows).standing) == ["a"]
    assert own.append(label("c"))[0].seq == 4
    own.close()


def test_a_copy_and_a_log_of_ones_own_are_not_taken_for_each_other(
    tmp_path: Path, line: Line, schema: str
) -> None:
    open_replica(tmp_path / "team", line, schema).close()
    with pytest.raises(StoreError, match="annotator team leave"):
        SqliteStore(tmp_path / "team/labels.db")
    SqliteStore(tmp_path / "labels.db").close()
    with pytest.raises(StoreError, match="annotator team init"):
        open_replica(tmp_path, line, schema)


def test_ids_of_rows_are_of_version_7_and_rise() -> None:
    import uuid

    made = []
    for _ in range(5):
        made.append(uuid.UUID(new_row_id()))
        time.sleep(0.002)
    assert {(one.version, one.variant) for one in made} == {(7, uuid.RFC_4122)}
    assert made == sorted(made)


def test_a_server_that_crashes_under_load_has_every_row_once(
    tmp_path: Path, line: Line, schema: str
) -> None:
    replicas = {name: open_replica(tmp_path / name, line, schema) for name in ("ann", "bob")}
    for number in range(90):
        for name, store in replicas.items():
            store.append(label(f"{name}-{number}.png", who=name))
        if number == 30:
            postgres_server().stop("immediate")
        if number == 60:
            postgres_server().start()
        time.sleep(0.005)
    for _ in range(2):
        for store in replicas.values():
            assert store.wait_until_sent(PATIENCE), store.sync_state()
    logs = [list(store.entries()) for store in replicas.values()]
    assert logs[0] == logs[1]
    assert sorted(entry.ref for entry in logs[0]) == sorted(
        f"{name}-{number}.png" for name in replicas for number in range(90)
    )
    for store in replicas.values():
        store.close()
