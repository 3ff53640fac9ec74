"""`doctor --repair`: what can be read is kept, the rest is moved aside and counted."""

from __future__ import annotations

import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from annotator.doctor.project import check_project
from annotator.doctor.repair import repair_project
from annotator.errors import AnnotatorError, StoreError
from annotator.formats import new_project
from annotator.log.entries import Action, Entry
from annotator.log.store.protocol import Byproduct
from annotator.log.store.sqlite import SqliteStore
from annotator.project.item_pool import load_refs
from annotator.project.project import ProjectFolder
from annotator.project.refs_sum import accept_refs, describe_change
from annotator.project.settings import ClassInfo, Settings

ROWS = 600


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "im").mkdir()
    for number in range(5):
        Image.new("RGB", (8, 8)).save(tmp_path / "im" / f"{number}.png")
    new_project.create_from_folder(
        tmp_path / "p", tmp_path / "im", Settings(classes=(ClassInfo("a"), ClassInfo("b")))
    )
    store = SqliteStore(tmp_path / "p" / "labels.db")
    store.append(
        *(
            Entry(
                0, 1.7e9 + n, "ann", Action.LABEL, f"{n % 5}.png", label="ab"[n % 2], note="x" * 20
            )
            for n in range(ROWS)
        )
    )
    store.append_byproducts(Byproduct(1, "key", "p", {"a": 1}), Byproduct(2, "key", "p", {}))
    store.close()
    return tmp_path / "p"


def rows_of(project: Path) -> list[Entry]:
    store = SqliteStore(project / "labels.db")
    try:
        return list(store.entries())
    finally:
        store.close()


def test_a_project_that_is_whole_is_left_alone(project: Path) -> None:
    before = (project / "labels.db").read_bytes()
    assert list(repair_project(project)) == []
    assert (project / "labels.db").read_bytes() == before
    assert not list(project.glob("damaged-*"))


@pytest.mark.parametrize("beside", ["-wal", "-shm"])
@pytest.mark.parametrize("put", [Path.mkdir, os.mkfifo, lambda place: place.symlink_to("x")])
def test_what_stands_beside_the_log_is_moved_aside(
    project: Path, beside: str, put: Callable[[Path], object]
) -> None:
    place = project / f"labels.db{beside}"
    put(place)
    found = list(check_project(project))
    assert os.path.lexists(place)  # the doctor changes nothing
    assert [f.name for f in found if f.blocks] == ["labels"]
    (line,) = repair_project(project)
    assert f"{ROWS} rows kept" in line
    assert not os.path.lexists(place)
    assert len(rows_of(project)) == ROWS


def test_a_table_that_is_gone_is_said_and_a_dead_link_is_not_replaced(project: Path) -> None:
    opened, file = ProjectFolder.open(project), project / "refs.csv"
    load_refs(opened)
    file.write_bytes(b"filename\n1.png\n")
    accept_refs(file)
    file.unlink()
    assert len(load_refs(opened)) == 5  # from the folder of images
    assert "has changed" in describe_change(file)
    file.unlink()
    file.symlink_to("unmounted/refs.csv")
    with pytest.raises(AnnotatorError, match="its target is not there"):
        load_refs(opened)
    assert file.is_symlink()


@pytest.mark.parametrize("name", ["first.csv", "proposals.csv", "clusters.csv"])
def test_tables_that_cannot_be_read_are_named(project: Path, name: str) -> None:
    for put in (Path.mkdir, os.mkfifo, lambda place: place.write_bytes(b"ref\n\xff\n")):
        put(project / name)
        found = {finding.name: finding for finding in check_project(project)}
        assert name in found[name].detail
        assert f"{name}.damaged" in found[name].fix
        shutil.rmtree(project / name) if put is Path.mkdir else (project / name).unlink()
    assert name not in {finding.name for finding in check_project(project)}


def test_odd_rows_are_moved_aside_and_counted(project: Path) -> None:
    connection = sqlite3.connect(project / "labels.db")
    connection.execute("UPDATE log SET action='frobnicate' WHERE seq IN (7, 9)")
    connection.execute("UPDATE log SET note=CAST(x'ff61' AS TEXT) WHERE seq = 11")
    connection.execute("UPDATE byproducts SET data='{' WHERE seq = 2")
    connection.commit()
    connection.close()
    (line,) = repair_project(project)
    assert "597 rows kept, 4 rows moved to damaged-1/odd-rows.jsonl, 0 rows could not" in line
    assert [entry.seq for entry in rows_of(project)] == [
        n for n in range(1, ROWS + 1) if n not in (7, 9, 11)
    ]
    odd = [
        json.loads(text) for text in (project / "damaged-1/odd-rows.jsonl").read_text().splitlines()
    ]
    assert [(row["table"], row["row"][0]) for row in odd] == [
        ("log", 7), ("log", 9), ("log", 11), ("byproducts", 2),
    ]  # fmt: skip
    assert (project / "damaged-1" / "labels.db").exists()
    assert list(repair_project(project)) == []


def test_numbers_of_rows_go_on_after_a_repair(project: Path) -> None:
    connection = sqlite3.connect(project / "labels.db")
    connection.execute(f"UPDATE log SET action='frobnicate' WHERE seq = {ROWS}")
    connection.commit()
    connection.close()
    list(repair_project(project))
    store = SqliteStore(project / "labels.db")
    (entry,) = store.append(Entry(0, 1.7e9, "ann", Action.NOTE, "0.png", note="n"))
    store.close()
    assert entry.seq == ROWS + 1


def _flip_magic(data: bytearray) -> None:
    data[3] ^= 4


def _zero_a_page(data: bytearray) -> None:
    data[8 * 4096 : 9 * 4096] = bytes(4096)


def _zero_the_first_page(data: bytearray) -> None:
    data[:4096] = bytes(4096)


def _cut(data: bytearray) -> None:
    del data[len(data) // 2 :]


@pytest.mark.parametrize("damage", [_flip_magic, _zero_a_page, _zero_the_first_page, _cut])
def test_a_damaged_file_keeps_what_its_pages_hold(
    project: Path, damage: Callable[[bytearray], None]
) -> None:
    file = project / "labels.db"
    data = bytearray(file.read_bytes())
    damage(data)
    file.write_bytes(data)
    with pytest.raises(StoreError):
        rows_of(project)
    (line,) = repair_project(project)
    kept = rows_of(project)
    assert len(kept) > 50
    assert f"{len(kept)} rows kept" in line
    before = {n + 1: f"{n % 5}.png" for n in range(ROWS)}
    assert all(before[entry.seq] == entry.ref for entry in kept)


@pytest.mark.parametrize("seed", range(30))
def test_any_damage_can_be_repaired(project: Path, seed: int) -> None:
    rng = random.Random(seed)  # noqa: S311  damage, not a secret
    file = project / "labels.db"
    data = bytearray(file.read_bytes())
    for _ in range(rng.choice((1, 20, 400))):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    file.write_bytes(data)
    list(repair_project(project))
    rows_of(project)
    assert list(repair_project(project)) == []


def test_a_file_that_another_process_has_open_is_left_alone(project: Path) -> None:
    file = project / "labels.db"
    child = subprocess.Popen(
        [sys.executable, "-c", "import sys; f = open(sys.argv[1]); print(flush=True); input()"]
        + [str(file)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert child.stdout is not None
    child.stdout.readline()
    data = bytearray(file.read_bytes())
    data[3] ^= 4
    file.write_bytes(data)
    with pytest.raises(StoreError, match=f"in use by process {child.pid}"):
        list(repair_project(project))
    assert file.read_bytes() == bytes(data)
    child.communicate(b"\n")
    assert list(repair_project(project))


def test_lines_of_refs_that_cannot_be_read_are_moved_aside(project: Path) -> None:
    listed = "filename,bbox\n" + "".join(f'{n}.png,"0,0,4,4"\n' for n in range(5))
    file = project.parent / "im" / "list.csv"
    file.write_text(listed)
    project = project.with_name("listed")
    new_project.create_from_refs(project, file, Settings(classes=(ClassInfo("a"),)))
    file = project / "refs.csv"
    header, *lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join([header, *lines[:2], '"",x\n', *lines[2:]]))
    with pytest.raises(AnnotatorError):
        load_refs(ProjectFolder.open(project))
    (line,) = repair_project(project)
    assert "5 lines kept, 1 line moved to damaged-1" in line
    assert len(load_refs(ProjectFolder.open(project))) == 5


def test_a_folder_in_the_place_of_the_write_ahead_log_is_moved_aside(project: Path) -> None:
    (project / "labels.db-wal").mkdir()
    with pytest.raises(StoreError):
        rows_of(project)
    (line,) = repair_project(project)
    assert f"{ROWS} rows kept" in line
    assert (project / "damaged-1/labels.db-wal").is_dir()
    assert len(rows_of(project)) == ROWS


@pytest.mark.parametrize("name", ["labels.db", "refs.csv"])
def test_a_folder_in_the_place_of_a_file_is_not_repaired(project: Path, name: str) -> None:
    (project / name).unlink(missing_ok=True)
    (project / name).mkdir()
    with pytest.raises(StoreError, match=f"{name} is not a file"):
        list(repair_project(project))
