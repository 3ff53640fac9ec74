"""A row that has changed since it was written is named, and so are rows that are gone."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from annotator.doctor.repair import repair_project
from annotator.errors import StoreError
from annotator.log.entries import Action, Entry
from annotator.log.store.protocol import Byproduct
from annotator.log.store.sqlite import SqliteStore

ROWS = [
    Entry(0, 1.7e9, "ann", Action.LABEL, "a.png", "good", {"good": 0.5}, "ridge@1", "random",
          0.5, 9, 800),
    Entry(0, 1700000000, "ann", Action.NOTE, "ä.png", note="über\nzwei\0Zeilen"),
    Entry(0, 1.7e9, "ann", Action.SKIP, "c.png", pool=9, q=1, extra={"group": "g"}),
]  # fmt: skip
OLD_TABLES = """
ALTER TABLE log DROP COLUMN checksum;
ALTER TABLE byproducts DROP COLUMN checksum;
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / ".cache").mkdir()
    path = tmp_path / "labels.db"
    with closing(SqliteStore(path)) as store:
        store.append(*ROWS)
        store.append_many(ROWS)
        store.append_byproducts(Byproduct(1, "key", "p", {"a": 1}), Byproduct(2, "key", "p", {}))
    return path


def run_sql(path: Path, statements: str) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.executescript(statements)


def read(path: Path) -> list[Entry]:
    with closing(SqliteStore(path)) as store:
        list(store.read_byproducts())
        return list(store.entries())


def test_rows_fit_their_checksums(path: Path) -> None:
    assert [entry.seq for entry in read(path)] == [1, 2, 3, 4, 5, 6]
    with closing(sqlite3.connect(path)) as database:
        for table in ("log", "byproducts"):
            query = f"SELECT count(*) FROM {table} WHERE checksum IS NULL"  # noqa: S608
            assert database.execute(query).fetchone() == (0,)


@pytest.mark.parametrize(
    "change",
    [
        "label = 'bad'", "annotator = 'anm'", "ref = 'b.png'", "at = at + 1", "proba = NULL",
        "q = 0.25", "pool = 8", "shown_ms = NULL", "note = ''", "extra = '{}'", "checksum = 5",
        "model = 'ridge@2'", "picked_by = 'margin'", "seq = 60", "action = 'flag', label = NULL",
    ],
)  # fmt: skip
def test_a_changed_row_is_named_with_the_repair(path: Path, change: str) -> None:
    run_sql(path, f"UPDATE log SET {change} WHERE seq = 1")
    with pytest.raises(StoreError, match=r"row (1|60) of the log: .*checksum.*doctor .* --repair"):
        read(path)
    (line,) = repair_project(path.parent)
    assert "5 rows kept, 1 row moved" in line
    assert [entry.seq for entry in read(path)] == [2, 3, 4, 5, 6]


def test_a_changed_byproduct_is_named(path: Path) -> None:
    run_sql(path, "UPDATE byproducts SET at = 3 WHERE seq = 2")
    with pytest.raises(StoreError, match=r"row 2 of byproducts: .*checksum"):
        read(path)


def test_tables_of_the_first_version_get_the_column_and_their_rows_are_read(path: Path) -> None:
    run_sql(path, OLD_TABLES)
    with closing(SqliteStore(path)) as store:
        store.append(ROWS[0])
        run_sql(path, "INSERT INTO log (at, annotator, action, ref) VALUES (1, 'x', 'skip', 'z')")
        store.append(ROWS[0])
    assert [entry.seq for entry in read(path)] == [1, 2, 3, 4, 5, 6, 7, 8, 9]
    run_sql(path, "UPDATE log SET label = 'bad' WHERE seq = 2")  # nothing can tell
    run_sql(path, "UPDATE log SET label = 'bad' WHERE seq = 9")
    with pytest.raises(StoreError, match="row 9 of the log"):
        read(path)


@pytest.mark.parametrize("ending", ["cut", "header", "salt", "gone"])
def test_rows_lost_with_the_write_ahead_log_are_counted_and_found(
    tmp_path: Path, path: Path, ending: str
) -> None:
    with closing(SqliteStore(path)) as store:
        store.append(*ROWS)
        copy = tmp_path / "copy"
        (copy / ".cache").mkdir(parents=True)
        for name in ("labels.db", "labels.db-wal", ".cache/last-row"):
            (copy / name).write_bytes((tmp_path / name).read_bytes())
    wal = bytearray((copy / "labels.db-wal").read_bytes())
    if ending == "cut":
        del wal[-4000:]
    elif ending != "gone":
        wal[0 if ending == "header" else 17] ^= 1
    (copy / "labels.db-wal").write_bytes(b"" if ending == "gone" else wal)
    with pytest.raises(StoreError, match=r"ends with row 6, and 3 rows .* gone.*--repair"):
        SqliteStore(copy / "labels.db")
    (line,) = repair_project(copy)
    found = 6 if ending == "gone" else 9
    assert f"{found} rows kept, {9 - found} rows could not be read" in line
    assert len(read(copy / "labels.db")) == found
    with closing(SqliteStore(copy / "labels.db")) as store:
        assert store.append(ROWS[0])[0].seq == 10


def test_a_log_cut_to_nothing_is_refused_and_one_that_is_removed_starts_anew(path: Path) -> None:
    path.write_bytes(b"")
    with pytest.raises(StoreError, match=r"ends with row 0, and 6 rows .* gone.*--repair"):
        SqliteStore(path)
    path.unlink()
    with closing(SqliteStore(path)) as store:
        assert store.append(ROWS[0])[0].seq == 1
    assert len(read(path)) == 1


@pytest.mark.parametrize("text", [b"", b"99", b"99 00000000\n", b"\xff" * 40])
def test_a_damaged_number_of_the_last_row_is_ignored(path: Path, text: bytes) -> None:
    (path.parent / ".cache/last-row").write_bytes(text)
    assert len(read(path)) == 6
