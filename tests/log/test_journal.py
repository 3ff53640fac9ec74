"""A team's log in a shared folder: kills, torn and changed lines, order, and odd folders."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annotator.errors import StoreError
from annotator.log.entries import Action, Entry
from annotator.log.store.journal import FolderLog, FolderTeam
from annotator.log.store.journal_folder import list_journals
from annotator.log.store.journal_lines import writer_number
from annotator.log.store.protocol import Lease
from annotator.log.store.remote import RemoteAwayError, RemoteRefusedError, SharedLog, SharedRow
from annotator.log.store.sqlite import SqliteStore

ROOT = Path(__file__).parents[2]


@pytest.fixture
def team(tmp_path: Path) -> Path:
    FolderTeam(tmp_path / "team").create()
    return tmp_path / "team"


def new_team(factory: pytest.TempPathFactory) -> Path:
    """Return a team's folder for one example of many."""
    folder = Path(tempfile.mkdtemp(dir=factory.getbasetemp()))
    FolderTeam(folder).create()
    return folder


def row(row_id: str, who: str = "ann", **extra: int) -> SharedRow:
    entry = Entry(0, 1.5, who, Action.LABEL, f"{row_id}.png", "ok", extra=extra or None)
    return SharedRow(row_id, entry)


def rows(*ids: str) -> list[SharedRow]:
    return [row(row_id) for row_id in ids]


def read_all(log: SharedLog, cursor: str = "") -> tuple[dict[str, int], str]:
    """Return the place of each row, in the order read, and the cursor after them."""
    places: dict[str, int] = {}
    for batch, end in log.read_new(cursor):
        cursor = end
        assert [r.entry.seq for r in batch] == sorted(r.entry.seq for r in batch)
        for found in batch:
            assert found.id not in places
            places[found.id] = found.entry.seq
    return places, cursor


def read_ids(folder: Path) -> list[str]:
    """Return the ids of all rows in their order, as a member reads them who has just come."""
    places, _ = read_all(FolderLog(folder, "fresh"))
    return sorted(places, key=places.__getitem__)


def only_journal(folder: Path) -> Path:
    (found,) = list_journals(folder).values()
    return found.path


_KILLED = """
import os, random, signal, sys, time
from pathlib import Path
from annotator.log.store.journal import FolderLog
from tests.log.test_journal import rows
folder, rng = Path(sys.argv[1]), random.Random(5)
number, kills = 0, 0
while kills < 24:
    told, tell = os.pipe()
    if (child := os.fork()) == 0:
        log = FolderLog(folder, "w")
        while True:
            ids = [f"{number}-{part}" for part in range(1 + number % 3)]
            log.append(rows(*ids))
            os.write(tell, b"x")
            number += 1
    os.close(tell)
    os.read(told, 1)
    number += 1
    time.sleep(rng.uniform(0, 0.06))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    kills += 1
    while data := os.read(told, 4096):
        number += len(data)
    os.close(told)
    print(number, flush=True)
"""


def test_twenty_four_kills_lose_no_row_and_double_none(team: Path) -> None:
    command = [sys.executable, "-c", _KILLED, str(team)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    told = [int(line) for line in done.stdout.split()]
    assert len(told) == 24
    ids = read_ids(team)  # a row that is there twice fails in `read_all`
    whole = [f"{number}-{part}" for number in range(told[-1]) for part in range(1 + number % 3)]
    assert ids[: len(whole)] == whole
    assert len({row_id.split("-")[0] for row_id in ids[len(whole) :]}) <= 1


def test_a_line_that_is_torn_at_any_byte_is_not_read_and_is_sent_again(team: Path) -> None:
    log = FolderLog(team, "w")
    first = log.append(rows("a"))
    size = only_journal(team).stat().st_size
    places = log.append(rows("b", "c"))
    data = only_journal(team).read_bytes()
    for end in range(size, len(data)):
        only_journal(team).write_bytes(data[:end])
        assert read_all(FolderLog(team, "other"))[0] == first
        if end % 7 == 0:
            assert FolderLog(team, "w").append(rows("a", "b", "c")) == first | places
            assert read_ids(team) == ["a", "b", "c"]
            assert only_journal(team).read_bytes() == data


@pytest.mark.parametrize("line", [1, 2, 3])
def test_a_line_that_was_changed_is_an_error_that_names_it(team: Path, line: int) -> None:
    log = FolderLog(team, "w")
    for row_id in ("a", "b", "c"):
        log.append(rows(row_id))
    FolderLog(team, "v").append([row("d", who="bob")])
    (file,) = team.glob("ann.*.jsonl")
    lines = file.read_bytes().splitlines(keepends=True)
    lines[line - 1] = lines[line - 1].replace(b'"ok"', b'"no"')
    file.write_bytes(b"".join(lines))
    found: list[str] = []
    with pytest.raises(RemoteRefusedError, match=rf"{file.name}, line {line}: .*a copy of the"):
        for batch, _ in FolderLog(team, "fresh").read_new(""):
            found += [r.id for r in batch]
    assert found == [*"abc"[: line - 1], "d"]  # nothing else is held up
    with pytest.raises(RemoteRefusedError, match=rf"line {line}: "):
        FolderLog(team, "w").append(rows("e"))  # and its writer cuts nothing off
    assert file.read_bytes() == b"".join(lines)


def test_zeros_at_the_end_are_a_line_that_is_still_on_its_way(team: Path) -> None:
    log = FolderLog(team, "w")
    log.append(rows("a"))
    data = only_journal(team).read_bytes()
    log.append(rows("b"))
    whole = only_journal(team).read_bytes()
    only_journal(team).write_bytes(data + bytes(40) + whole[len(data) + 40 :])
    assert read_ids(team) == ["a"]
    FolderLog(team, "w").append(rows("b"))
    assert only_journal(team).read_bytes() == whole


def test_a_journal_that_was_cut_is_an_error(team: Path) -> None:
    log = FolderLog(team, "w")
    log.append(rows("a"))
    size = only_journal(team).stat().st_size
    log.append(rows("b"))
    _, cursor = read_all(log)
    os.truncate(only_journal(team), size)
    for use in (lambda: read_all(log, cursor), lambda: log.append(rows("c"))):
        with pytest.raises(RemoteRefusedError, match="was cut, or an older one"):
            use()
    only_journal(team).unlink()
    with pytest.raises(RemoteRefusedError, match=r"ann\..*\.jsonl is gone"):
        read_all(log, cursor)


_STEPS = st.lists(st.tuples(st.integers(0, 2), st.sampled_from(("write", "two", "read", "anew"))))


@settings(max_examples=40, deadline=None)
@given(steps=_STEPS)
def test_all_read_the_same_order_whatever_they_read_when(
    steps: Sequence[tuple[int, str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = new_team(tmp_path_factory)
    logs = [FolderLog(folder, f"w{n}") for n in range(3)]
    seen: list[dict[str, int]] = [{} for _ in logs]
    cursors, written, number = ["", "", ""], dict[str, int](), count()
    for who, step in [*steps, (0, "read"), (1, "read"), (2, "read")]:
        if step == "anew":
            logs[who] = FolderLog(folder, f"w{who}")
        elif step == "read":
            found, cursors[who] = read_all(logs[who], cursors[who])
            assert not found.keys() & seen[who].keys()
            seen[who] |= found
        else:
            ids = [f"{who}-{next(number)}" for _ in range(1 + (step == "two"))]
            places = logs[who].append(rows(*ids))
            known = max(seen[who].values(), default=0)
            assert all(place > known for place in places.values())
            written |= places
    assert all(found == written for found in seen)
    assert len(set(written.values())) == len(written)
    assert read_ids(folder) == sorted(written, key=written.__getitem__)


def test_rows_of_a_writer_who_was_away_come_later_with_earlier_places(team: Path) -> None:
    ann, bob = FolderLog(team, "ann"), FolderLog(team, "bob")
    ann.append(rows("a"))
    bob.append(rows("b"))
    later = ann.append(rows("c")) | ann.append(rows("d")) | ann.append(rows("e"))
    seen, cursor = read_all(ann)
    (place,) = bob.append(rows("late")).values()  # it has read nothing
    assert place < later["e"]
    found, _ = read_all(ann, cursor)
    assert found == {"late": place}
    everything = seen | found
    assert read_ids(team) == sorted(everything, key=everything.__getitem__)


def test_a_row_comes_after_all_that_it_names(team: Path) -> None:
    ann, bob = FolderLog(team, "ann"), FolderLog(team, "bob")
    bob.append(rows("b"))
    for number in range(9):
        places = ann.append(rows(f"a{number}"))
    (named,) = places.values()  # bob's screen knows it by another program of the same copy
    (place,) = bob.append([row("undo", undoes=named)]).values()
    assert place > named


def test_a_row_that_is_sent_again_keeps_its_place(team: Path) -> None:
    log = FolderLog(team, "w")
    places = log.append(rows("a", "b"))
    assert log.append(rows("b", "a")) == places
    again = FolderLog(team, "w")  # another program, or this one after a kill
    both = again.append(rows("b", "c", "c"))
    assert both["b"] == places["b"]
    assert log.append(rows("a", "b", "c")) == places | both
    assert read_ids(team) == ["a", "b", "c"]


_SENDS = """
import sys
from pathlib import Path
from annotator.log.store.journal import FolderLog
from tests.log.test_journal import rows
log = FolderLog(Path(sys.argv[1]), "w")
for n in range(100):
    log.append(rows(f"{n}", f"{sys.argv[2]}-{n}"))
"""


def test_programs_that_send_the_same_rows_at_once_write_each_once(team: Path) -> None:
    commands = [[sys.executable, "-c", _SENDS, str(team), str(n)] for n in range(3)]
    programs = [subprocess.Popen(command, cwd=ROOT) for command in commands]
    assert [program.wait() for program in programs] == [0, 0, 0]
    assert len(read_ids(team)) == 400
    assert len(list_journals(team)) == 1


def test_a_copy_of_a_project_on_another_machine_writes_a_journal_of_its_own(
    team: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = FolderLog(team, "w").append(rows("a"))
    monkeypatch.setattr(socket, "gethostname", lambda: "another")
    copy = FolderLog(team, "w")
    places = copy.append(rows("a", "b"))
    assert places["a"] == first["a"]
    assert len(list_journals(team)) == 2
    assert read_ids(team) == ["a", "b"]


def test_two_journals_never_share_a_number(team: Path) -> None:
    FolderLog(team, "w").append(rows("a"))
    name = only_journal(team).stem
    place = name.rpartition(".")[2]
    same = next(
        f"x{n}" for n in count() if writer_number(f"ann.x{n}.{place}") == writer_number(name)
    )
    FolderLog(team, same).append(rows("b"))
    assert len(list_journals(team)) == 2  # it would raise for two of the same number
    assert sorted(read_ids(team)) == ["a", "b"]


def test_many_rows_move_in_and_a_second_attempt_writes_none_twice(team: Path) -> None:
    ids = [f"00000000-0000-7000-8000-{number:012d}" for number in range(5000)]
    log = FolderLog(team, "w")
    log.append_all(row(i) for i in ids[:3000])
    assert FolderLog(team, "w").append_all(row(i) for i in ids) == 5000
    assert read_ids(team) == ids


def test_the_rows_of_twenty_writers_are_read_in_batches(team: Path) -> None:
    expected: dict[str, int] = {}
    for writer in range(20):
        log = FolderLog(team, f"w{writer}")
        for part in range(10):
            expected |= log.append(rows(*(f"{writer}-{part}-{n}" for n in range(50))))
    found, cursor = read_all(FolderLog(team, "fresh"))
    assert found == expected
    assert read_all(FolderLog(team, "fresh"), cursor)[0] == {}
    assert len(list(FolderLog(team, "fresh").read_new(""))) < 10


_FULL = """
import resource, signal, sys
from pathlib import Path
from annotator.errors import StoreError
from annotator.log.store.journal import FolderLog
from tests.log.test_journal import only_journal, rows
folder = Path(sys.argv[1])
log = FolderLog(folder, "w")
log.append(rows("a"))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
size, most = only_journal(folder).stat().st_size, resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 30, most[1]))
try:
    log.append(rows("b"))
except StoreError as error:
    print(error)
print(only_journal(folder).stat().st_size - size)
resource.setrlimit(resource.RLIMIT_FSIZE, most)
log.append(rows("b"))
"""


def test_a_disk_that_stops_in_the_middle_of_a_line_loses_nothing(team: Path) -> None:
    command = [sys.executable, "-c", _FULL, str(team)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    problem, left = done.stdout.splitlines()
    assert "File too large" in problem
    assert str(team) in problem
    assert left == "30"
    assert read_ids(team) == ["a", "b"]


def _forbidden(folder: Path) -> None:
    FolderTeam(folder).create()
    (folder / "ann.w.123456789.jsonl").mkdir()


def _newer(folder: Path) -> None:
    folder.mkdir()
    uid = "12345678-1234-1234-1234-123456789abc"
    (folder / "team.json").write_text(json.dumps({"format": 99, "uid": uid}))


def _file(folder: Path, name: str, text: str) -> None:
    folder.mkdir()
    (folder / name).write_text(text)


@pytest.mark.parametrize(
    ("make", "kind", "message"),
    [
        (lambda folder: None, RemoteAwayError, "mounted"),
        (Path.mkdir, RemoteAwayError, "empty or not there. Is its file system mounted"),
        (lambda folder: _file(folder, "x", ""), RemoteRefusedError, "not a team's log"),
        (lambda folder: _file(folder, "team.json", "{"), RemoteRefusedError, "is damaged"),
        (_newer, RemoteRefusedError, "newer annotator.*pip install --upgrade"),
        (_forbidden, RemoteRefusedError, r"ann\.w\.123456789\.jsonl cannot be used: it is a fold"),
    ],
)
def test_an_odd_folder_is_named_with_the_remedy(
    make: object, kind: type[StoreError], message: str, tmp_path: Path
) -> None:
    assert callable(make)
    make(tmp_path / "team")
    for use in (
        lambda: read_all(FolderLog(tmp_path / "team", "w")),
        lambda: FolderLog(tmp_path / "team", "v").append(rows("a")),
    ):
        with pytest.raises(kind, match=message):
            use()


def test_a_folder_with_other_files_is_not_taken_for_a_team(tmp_path: Path) -> None:
    (tmp_path / "photo.png").touch()
    with pytest.raises(RemoteRefusedError, match="other files"):
        FolderTeam(tmp_path).create()


def test_the_teams_files_read_back_and_stay_in_their_folder(team: Path) -> None:
    files = FolderTeam(team)
    files.create()  # a second time changes nothing
    assert files.read_file("refs.csv") == b""
    files.write_file("refs.csv", b"a")
    files.write_file("refs.csv", b"b")
    assert (FolderTeam(team).read_file("refs.csv"), files.uid()) == (b"b", FolderTeam(team).uid())
    for name in ("../team.json", "/tmp/x", ".x", ""):
        with pytest.raises(RemoteRefusedError, match="name of a team's file"):
            files.write_file(name, b"")


def test_all_can_be_read_by_those_who_may_read_the_folder(tmp_path: Path) -> None:
    (tmp_path / "team").mkdir()
    (tmp_path / "team").chmod(0o2770)
    before = os.umask(0o077)
    try:
        files, log = FolderTeam(tmp_path / "team"), FolderLog(tmp_path / "team", "w")
        files.create()
        files.write_file("refs.csv", b"a")
        log.append(rows("a"))
        log.hold([Lease("a")], "h", "ann", 60)
    finally:
        os.umask(before)
    modes = {path: path.stat().st_mode & 0o7777 for path in (tmp_path / "team").rglob("*")}
    assert {mode for path, mode in modes.items() if path.is_file()} == {0o640}
    assert {mode for path, mode in modes.items() if path.is_dir()} == {0o2770}
    assert len(modes) == 6


def test_a_copy_of_another_team_is_refused(team: Path, tmp_path: Path) -> None:
    FolderLog(team, "w").append(rows("a"))
    _, cursor = read_all(FolderLog(team, "w"))
    FolderTeam(tmp_path / "other").create()
    with pytest.raises(RemoteRefusedError, match="belongs to the team"):
        read_all(FolderLog(tmp_path / "other", "w"), cursor)


def test_what_others_put_into_the_folder_is_left_alone(team: Path) -> None:
    FolderLog(team, "w").append(rows("a"))
    for name in ("notes.txt", "my labels.jsonl", "A.B.C.jsonl", ".x.jsonl"):
        (team / name).write_bytes(b"\xff\n")
    (team / "leases" / "x.lease").write_text('{"refs": 1}')
    log = FolderLog(team, "v")
    assert read_ids(team) == ["a"]
    assert log.held_by_others("") == {}


@pytest.mark.parametrize(
    "change", [{"label": "\ud800"}, {"pool": 1 << 63}, {"action": "dance"}, {"extra": [1]}]
)
def test_a_row_that_no_copy_could_keep_is_refused(team: Path, change: dict[str, object]) -> None:
    """Whoever may write to the folder may write a line whose checksum fits."""
    log = FolderLog(team, "w")
    log.append(rows("a"))
    file = only_journal(team)
    document = json.loads(file.read_text())
    document["rows"][0] |= change
    del document["sum"]
    rest = json.dumps(document, separators=(",", ":"))[1:].encode()
    checksum = zlib.crc32(rest, zlib.crc32(f"{file.stem} 0 ".encode()))
    file.write_bytes(b'{"sum":"%08x",%b\n' % (checksum, rest))
    with pytest.raises(RemoteRefusedError, match="this version cannot read the line"):
        read_all(log)


@settings(max_examples=80, deadline=None)
@given(at=st.floats(0, 1, exclude_max=True), cut=st.integers(0, 60), put=st.binary(max_size=60))
def test_whatever_bytes_are_changed_no_wrong_row_is_read(
    at: float, cut: int, put: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = new_team(tmp_path_factory)
    log = FolderLog(folder, "w")
    places = log.append(rows("a")) | log.append(rows("b", "c")) | log.append(rows("d"))
    file, data = only_journal(folder), only_journal(folder).read_bytes()
    start = int(at * len(data))
    changed = data[:start] + put + data[start + cut :]
    file.write_bytes(changed)
    found: dict[str, int] = {}
    try:
        for batch, _ in FolderLog(folder, "fresh").read_new(""):
            found |= {r.id: r.entry.seq for r in batch}
    except RemoteRefusedError:
        pass
    assert found.items() <= places.items()
    assert list(found) == [row_id for row_id in "abcd" if row_id in found]
    if changed != data:
        try:
            FolderLog(folder, "w").append(rows("a", "b", "c", "d"))
        except RemoteRefusedError:
            assert file.read_bytes() == changed  # nothing is cut off that was whole once
        else:
            assert read_ids(folder) == ["a", "b", "c", "d"]


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)
_COLUMN = st.sampled_from(("id", "at", "action", "ref", "label", "proba", "pool", "q", "extra"))


@settings(max_examples=80, deadline=None)
@given(change=st.dictionaries(_COLUMN, _JSON, max_size=3), count=st.integers(0, 3))
def test_a_line_with_a_fitting_checksum_is_read_or_refused(
    change: dict[str, object], count: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = new_team(tmp_path_factory)
    log = FolderLog(folder, "w")
    log.append(rows("a"))
    file = only_journal(folder)
    document = json.loads(file.read_text())
    document |= {"count": count, "rows": [document["rows"][0] | change]}
    del document["sum"]
    rest = json.dumps(document, separators=(",", ":"))[1:].encode()
    checksum = zlib.crc32(rest, zlib.crc32(f"{file.stem} 0 ".encode()))
    file.write_bytes(b'{"sum":"%08x",%b\n' % (checksum, rest))
    entries: list[Entry] = []
    with suppress(StoreError):
        entries = [r.entry for batch, _ in log.read_new("") for r in batch]
    with suppress(StoreError):
        FolderLog(folder, "w").append(rows("b"))
    copy = SqliteStore(":memory:")
    copy.append(*entries)  # what is read, a copy can keep and read
    assert len(list(copy.entries())) == len(entries)
    copy.close()
