"""Labels are on disk when `append` returns, whole or not at all, whoever else writes."""

from __future__ import annotations

import os
import re
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from annotator.errors import StoreError
from annotator.items.file_system import file_system_type
from annotator.log.entries import Action, Entry
from annotator.log.store.holders import new_holder
from annotator.log.store.protocol import Lease
from annotator.log.store.sqlite import SqliteStore


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "labels.db"


def entry(ref: str, label: str = "ok") -> Entry:
    return Entry(0, 1.5, "ann", Action.LABEL, ref, label)


FULL = Entry(
    0, 1700000000.25, "änn", Action.LABEL, "a/ü b.jpg#xywh=1,2,3,4.5", "de,fect",
    proba={"ok": 0.25, "de,fect": 0.75}, model="ridge@7", picked_by="margin", q=0.125, pool=99,
    shown_ms=321, note="über\nzwei Zeilen", extra={"group": "p1", "n": [1, 2]},
)  # fmt: skip


def test_every_field_reads_back_from_another_connection(path: Path) -> None:
    (written,) = SqliteStore(path).append(FULL)
    assert list(SqliteStore(path).entries()) == [written]
    assert written == Entry(1, *[getattr(FULL, name) for name in Entry.__slots__[1:]])


def test_rows_are_numbered_across_processes_and_read_from_where_one_stopped(path: Path) -> None:
    ann, bob = SqliteStore(path), SqliteStore(path)
    ann.append(entry("a"))
    bob.append(entry("b"), entry("c"))
    ann.append(entry("d"))
    assert [(e.seq, e.ref) for e in bob.entries(after=1)] == [(2, "b"), (3, "c"), (4, "d")]


def test_another_process_is_noticed(path: Path) -> None:
    ann, bob = SqliteStore(path), SqliteStore(path)
    ann.changed()
    assert not ann.changed()
    bob.append(entry("b"))
    assert ann.changed()
    assert not ann.changed()


def test_a_group_is_written_whole_or_not_at_all(path: Path) -> None:
    store = SqliteStore(path)
    with pytest.raises((StoreError, sqlite3.Error)):
        store.append(entry("a"), Entry(0, 0.0, "ann", Action.LABEL, None))  # type: ignore[arg-type]
    assert list(store.entries()) == []
    assert store.append(entry("b"))[0].ref == "b"


def test_a_newer_database_is_refused_with_the_remedy(path: Path) -> None:
    SqliteStore(path).close()
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreError, match=r"newer annotator.*pip install --upgrade"):
        SqliteStore(path)


def test_the_database_of_another_program_is_refused(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE music (title TEXT)")
    with pytest.raises(StoreError, match="another program"):
        SqliteStore(path)


def test_a_file_that_is_no_database_is_refused_and_kept(path: Path) -> None:
    path.write_bytes(b"filename,label\n" * 100)
    with pytest.raises(StoreError, match="damaged"):
        SqliteStore(path)
    assert path.read_bytes() == b"filename,label\n" * 100


_FULL_DISK = """
import sys, resource
from annotator.errors import StoreError
from annotator.log.entries import Action, Entry
from annotator.log.store.sqlite import SqliteStore
store = SqliteStore(sys.argv[1])
done = 0
try:
    while True:
        store.append(Entry(0, 0.0, "ann", Action.LABEL, f"image-{done}.jpg", "ok"))
        done += 1
except StoreError as error:
    print(done)
    print(error)
"""


_READ_ON_A_FULL_DISK = """
import resource, signal, sys
from annotator.errors import StoreError
from annotator.log.entries import replay
from annotator.log.store.sqlite import SqliteStore
from pathlib import Path
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
path = Path(sys.argv[1])
print(replay(SqliteStore(path).entries()).seq)
try:
    SqliteStore(path).append_many([])
except StoreError as error:
    print(error)
"""


def test_a_log_on_a_full_disk_can_be_read(path: Path) -> None:
    store = SqliteStore(path)
    store.append(FULL)
    store.close()
    ran = subprocess.run(
        [sys.executable, "-B", "-c", _READ_ON_A_FULL_DISK, path],
        capture_output=True,
        text=True,
    )
    assert ran.stdout.startswith("1\n"), ran.stderr
    assert "cannot be written" in ran.stdout
    assert not ran.stderr


def test_a_full_disk_is_said_and_loses_nothing(path: Path) -> None:
    """The process may not write files beyond 256 KiB: a write fails as on a full disk."""

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (256 * 1024, 256 * 1024))

    ran = subprocess.run(
        [sys.executable, "-B", "-c", _FULL_DISK, path],
        preexec_fn=limit,
        capture_output=True,
        text=True,
        check=True,
    )
    done, message = ran.stdout.split("\n", 1)
    assert "disk" in message
    assert int(done) > 10
    refs = [e.ref for e in SqliteStore(path).entries()]
    assert refs == [f"image-{n}.jpg" for n in range(int(done))]


_MANY = """
import sys
from annotator.errors import StoreError
from annotator.log.entries import Action, Entry
from annotator.log.store.sqlite import SqliteStore
store = SqliteStore(sys.argv[1])
rows = (Entry(0, 0.0, "ann", Action.LABEL, f"image-{n}.jpg", "ok") for n in range(9000))
try:
    store.append_many(rows)
except StoreError as error:
    print(error)
store.append(Entry(0, 0.0, "ann", Action.LABEL, "one more.jpg", "ok"))
"""


def test_many_rows_for_which_the_disk_has_no_room_are_not_written_in_part(path: Path) -> None:
    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (256 * 1024, 256 * 1024))

    ran = subprocess.run(
        [sys.executable, "-B", "-c", _MANY, path],
        preexec_fn=limit, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "disk" in ran.stdout
    assert [e.ref for e in SqliteStore(path).entries()] == ["one more.jpg"]


def test_others_label_while_many_rows_are_made_ready(path: Path) -> None:
    ann, bob = SqliteStore(path), SqliteStore(path)

    def rows() -> Iterator[Entry]:
        for n in range(3):
            bob.append(entry(f"bob {n}"))
            yield FULL

    assert ann.append_many(rows()) == 3
    assert ann.append_many([]) == 0
    found = list(bob.entries())
    assert [e.ref for e in found[:3]] == ["bob 0", "bob 1", "bob 2"]
    assert [e.seq for e in found] == [1, 2, 3, 4, 5, 6]
    assert found[3] == Entry(4, *[getattr(FULL, name) for name in Entry.__slots__[1:]])


_LABELLER = """
import sys
from annotator.log.entries import Action, Entry
from annotator.log.store.sqlite import SqliteStore
store = SqliteStore(sys.argv[1])
for n in range(60):
    store.append(Entry(0, 0.0, sys.argv[2], Action.LABEL, f"{sys.argv[2]}-{n}", "ok"))
"""
_KILLED = """
import os, random, signal, sys, time
from annotator.log.entries import Action, Entry
from annotator.log.store.sqlite import SqliteStore

def label_for_ever(name, pipe):
    store = SqliteStore(sys.argv[1])
    for n in range(10**6):
        (entry,) = store.append(Entry(0, 0.0, name, Action.LABEL, f"{name}-{n}", "ok"))
        os.write(pipe, f"{entry.ref}\\n".encode())

random.seed(1)
for kill in range(200):
    ours, theirs = os.pipe()
    child = os.fork()
    if not child:
        label_for_ever(f"k{kill}", theirs)
    os.close(theirs)
    with open(ours) as acknowledged:
        sys.stdout.write(acknowledged.readline())
        time.sleep(random.random() * 0.01)
        os.kill(child, signal.SIGKILL)
        sys.stdout.write(acknowledged.read())
    os.waitpid(child, 0)
"""


def test_200_kills_lose_no_acknowledged_label_and_double_none(path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", _KILLED, path], capture_output=True, text=True, check=True
    )
    acknowledged = ran.stdout.split()
    refs = [e.ref for e in SqliteStore(path).entries()]
    assert len(acknowledged) >= 200
    assert not set(acknowledged) - set(refs)
    assert len(refs) == len(set(refs))


# --- leases


def test_an_item_is_on_one_screen_only(path: Path) -> None:
    ann, bob = SqliteStore(path), SqliteStore(path)
    assert ann.lease([Lease("a"), Lease("b")], "h1", "ann", now=0, until=100) == {"a", "b"}
    assert bob.lease([Lease("b"), Lease("c")], "h2", "bob", now=1, until=100) == {"c"}
    assert bob.leased_by_others(now=1, holder="h2") == {"a", "b"}
    assert ann.lease([Lease("b")], "h1", "ann", now=2, until=100) == {"b"}
    assert bob.leased_by_others(now=2, holder="h2") == {"b"}, "a was let go"


def test_a_lease_runs_out(path: Path) -> None:
    ann, bob = SqliteStore(path), SqliteStore(path)
    ann.lease([Lease("a")], "h1", "ann", now=0, until=100)
    assert bob.lease([Lease("a")], "h2", "bob", now=101, until=200) == {"a"}


def test_a_quit_or_killed_session_is_taken_up_in_order_with_its_draws(path: Path) -> None:
    queue = [Lease("b", "margin", 0.25, 8), Lease("a", "audit", 0.1, 7)]
    quit_, killed = SqliteStore(path), SqliteStore(path)
    quit_.lease(queue, "h1", "ann", now=0, until=100)
    quit_.release("h1", now=5)
    assert SqliteStore(path).abandoned("ann", now=6) == queue
    holder = re.sub(r"/\d+$", "/1", new_holder())  # a process of long ago
    killed.lease(queue, holder, "bob", now=10, until=100)
    assert SqliteStore(path).abandoned("bob", now=11) == queue
    assert SqliteStore(path).abandoned("cid", now=11) == []


def test_the_file_system_of_a_folder_is_known(tmp_path: Path) -> None:
    assert file_system_type(tmp_path)
    assert file_system_type(Path("/proc")) == "proc"


def test_two_writers_at_once_lose_nothing(path: Path) -> None:
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", _LABELLER, path, name],
            stdout=subprocess.DEVNULL,
        )
        for name in ("ann", "bob")
    ]
    assert [writer.wait(timeout=60) for writer in writers] == [0, 0]
    refs = {e.ref for e in SqliteStore(path).entries()}
    assert refs == {f"{name}-{n}" for name in ("ann", "bob") for n in range(60)}


_OPENED_AT_ONCE = """
import os, sys
from annotator.log.store.sqlite import SqliteStore
for number in range(30):
    children = []
    for _ in range(8):
        if not (child := os.fork()):
            SqliteStore(f"{sys.argv[1]}-{number}.db").close()
            os._exit(0)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 8
"""


def test_many_open_a_new_store_at_once(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", _OPENED_AT_ONCE, tmp_path / "labels"], check=True)


_REFUSED = """
import ctypes, sqlite3, sys
from annotator.errors import StoreError
from annotator.log.entries import Action, Entry
from annotator.log.store.sqlite import SqliteStore
store = SqliteStore(sys.argv[1])
names = [f"{at}.png" for at in range(int(sys.argv[2]))]
rows = [Entry(0, 1.0, "ann", Action.LABEL, name, "x" * 2000) for name in names]
print("ready", flush=True)
sys.stdin.readline()
try:
    store.append(*rows) if sys.argv[3] == "append" else store.append_many(iter(rows))
except StoreError as error:
    print("refused", flush=True)
import os
os.kill(os.getpid(), 9)
"""


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace makes the sync fail")
@pytest.mark.parametrize("way", ["append", "append_many"])
@pytest.mark.parametrize("count", [1, 50])
def test_what_a_failed_sync_refused_never_comes_back(tmp_path: Path, way: str, count: int) -> None:
    file = tmp_path / "labels.db"
    store = SqliteStore(file)
    store.append(Entry(0, 1.0, "ann", Action.LABEL, "first.png", "ok"))
    command = ["strace", "-f", "-qq", "-o", os.devnull, "-e", "trace=fdatasync,fsync",
               "-e", "inject=fdatasync,fsync:error=EIO",
               sys.executable, "-c", _REFUSED, str(file), str(count), way]  # fmt: skip
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    said, _ = child.communicate("\n", timeout=60)
    assert "refused" in said
    assert [entry.ref for entry in store.entries()] == ["first.png"]
    copy = tmp_path / "copy.db"  # without the shared memory: the WAL is recovered from its frames
    for ending in ("", "-wal"):
        if (tmp_path / f"labels.db{ending}").exists():
            shutil.copy(tmp_path / f"labels.db{ending}", f"{copy}{ending}")
    recovered = SqliteStore(copy)
    assert [entry.ref for entry in recovered.entries()] == ["first.png"]
    recovered.close()
    store.append(Entry(0, 2.0, "ann", Action.LABEL, "second.png", "ok"))
    assert [entry.ref for entry in store.entries()] == ["first.png", "second.png"]
    store.close()
