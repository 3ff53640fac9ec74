"""Rows arrive in any order, are seen while they do, and survive the writer's death."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from annotator.errors import FeatureError
from annotator.features.growing import FeatureWriter, open_partial_features
from annotator.features.store import FeatureStore
from annotator.items.ref_table import RefTable

REFS = [f"{n}.jpg" for n in range(10)]
KIND = {"name": "classic", "version": 1}


def vectors(rows: list[int]) -> np.ndarray:
    return np.array([[row + 1, 0.5] for row in rows], np.float32)


def grow(
    folder: Path, rows: list[int], refs: list[str] = REFS, finish: bool = False
) -> FeatureWriter:
    with FeatureWriter(folder, RefTable(refs), KIND, 2) as growing:
        growing.write(np.array(rows), vectors(rows))
        if finish:
            growing.finish()
    return growing


def test_what_was_written_is_read_whatever_the_order(tmp_path: Path) -> None:
    grow(tmp_path, [3, 1, 2, 9, 0, 8, 4, 5, 7, 6], finish=True)
    store = FeatureStore.open(tmp_path)
    assert np.array_equal(store.matrix, vectors(list(range(10))))
    assert list(store.refs) == REFS
    assert store.extractor == KIND
    assert store.available() is None
    assert {path.name for path in tmp_path.iterdir()} == {
        "features.npy", "refs.txt", "meta.json", "partial.lock",
    }  # fmt: skip


def test_rows_without_features_are_not_available(tmp_path: Path) -> None:
    grow(tmp_path, [0, 1, 5, 9], finish=True)
    available = FeatureStore.open(tmp_path).available()
    assert available is not None
    assert np.flatnonzero(available).tolist() == [0, 1, 5, 9]


def test_a_reader_sees_rows_as_they_come(tmp_path: Path) -> None:
    now = [0.0]
    assert open_partial_features(tmp_path) is None
    with FeatureWriter(tmp_path, RefTable(REFS), KIND, 2, clock=lambda: now[0]) as growing:
        growing.write(np.array([4]), vectors([4]))
        store = open_partial_features(tmp_path)
        assert store is not None
        assert list(store.refs) == REFS
        now[0] = 60.0
        growing.write(np.array([7, 2]), vectors([7, 2]))
        available = store.available()
        assert available is not None
        assert np.flatnonzero(available).tolist() == [2, 4, 7]
        assert np.array_equal(store.matrix[[2, 4, 7]], vectors([2, 4, 7]))
        growing.finish()
    assert open_partial_features(tmp_path) is None
    assert np.array_equal(store.matrix[[2, 4, 7]], vectors([2, 4, 7]))


def test_work_continues_where_it_stopped(tmp_path: Path) -> None:
    grow(tmp_path, [1, 2])
    with FeatureWriter(tmp_path, RefTable(REFS), KIND, 2) as growing:
        assert np.flatnonzero(growing.done).tolist() == [1, 2]
    rest = [0, *range(3, 10)]
    grow(tmp_path, rest, finish=True)
    assert np.array_equal(FeatureStore.open(tmp_path).matrix, vectors(list(range(10))))


def test_a_killed_writer_loses_only_what_was_not_yet_marked(tmp_path: Path) -> None:
    script = (
        "import os, sys; from pathlib import Path; import numpy as np;"
        "from annotator.features.growing import FeatureWriter;"
        "from annotator.items.ref_table import RefTable;"
        "refs = RefTable(f'{n}.jpg' for n in range(10));"
        "g = FeatureWriter(Path(sys.argv[1]), refs, {'name': 'classic', 'version': 1}, 2);"
        "g.write(np.array([6, 3]), np.array([[7, .5], [4, .5]])); g.sync();"
        "g.write(np.array([0]), np.array([[1, .5]])); os.kill(os.getpid(), 9)"
    )
    died = subprocess.run([sys.executable, "-c", script, tmp_path], check=False)
    assert died.returncode == -9
    with FeatureWriter(tmp_path, RefTable(REFS), KIND, 2) as growing:
        assert np.flatnonzero(growing.done).tolist() == [3, 6]
    store = open_partial_features(tmp_path)
    assert store is not None
    assert np.array_equal(store.matrix[[3, 6]], vectors([3, 6]))


def test_new_items_keep_the_features_of_the_old_ones(tmp_path: Path) -> None:
    grow(tmp_path, list(range(10)), finish=True)
    more = ["new.jpg", *REFS[5:], "last.jpg"]
    with FeatureWriter(tmp_path, RefTable(more), KIND, 2) as growing:
        assert np.flatnonzero(~growing.done).tolist() == [0, 6]
        growing.write(np.array([0, 6]), vectors([20, 30]))
        growing.finish()
    store = FeatureStore.open(tmp_path)
    assert list(store.refs) == more
    assert np.array_equal(store.matrix, vectors([20, 5, 6, 7, 8, 9, 30]))


def test_unfinished_rows_of_an_older_list_are_kept_too(tmp_path: Path) -> None:
    grow(tmp_path, [2, 8])
    grow(tmp_path, [0], refs=["new.jpg", *REFS])
    store = open_partial_features(tmp_path)
    assert store is not None
    available = store.available()
    assert available is not None
    assert np.flatnonzero(available).tolist() == [0, 3, 9]
    assert np.array_equal(store.matrix[[0, 3, 9]], vectors([0, 2, 8]))


def test_another_extractor_starts_afresh_and_the_old_features_stay_until_it_is_done(
    tmp_path: Path,
) -> None:
    grow(tmp_path, list(range(10)), finish=True)
    with FeatureWriter(tmp_path, RefTable(REFS), {"name": "other"}, 3) as growing:
        assert not growing.done.any()
        growing.write(np.arange(5), np.ones((5, 3)))
    assert FeatureStore.open(tmp_path).name == "classic"
    with FeatureWriter(tmp_path, RefTable(REFS), {"name": "other"}, 3) as growing:
        growing.write(np.arange(5, 10), np.ones((5, 3)))
        growing.finish()
    assert FeatureStore.open(tmp_path).name == "other"
    assert FeatureStore.open(tmp_path).matrix.shape == (10, 3)


def test_nothing_new_writes_nothing(tmp_path: Path) -> None:
    grow(tmp_path, [0, 1], finish=True)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    with FeatureWriter(tmp_path, RefTable(REFS), KIND, 2) as growing:
        growing.finish()
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("renamed", [0, 1, 2])
def test_finishing_that_was_cut_short_is_ended_by_the_next_start(
    tmp_path: Path, renamed: int
) -> None:
    grow(tmp_path, [5, 6])
    meta = tmp_path / "partial.json"
    meta.write_text(meta.read_text().replace("{", '{"finished": true, ', 1))
    for old, new in [("partial.npy", "features.npy"), ("partial.txt", "refs.txt")][:renamed]:
        (tmp_path / old).rename(tmp_path / new)
    with FeatureWriter(tmp_path, RefTable(REFS), KIND, 2) as growing:
        assert np.flatnonzero(growing.done).tolist() == [5, 6]
    store = FeatureStore.open(tmp_path)
    assert np.array_equal(store.matrix[[5, 6]], vectors([5, 6]))


def test_two_writers_do_not_mix(tmp_path: Path) -> None:
    first = FeatureWriter(tmp_path, RefTable(REFS), KIND, 2)
    with pytest.raises(FeatureError, match="another process is computing these features"):
        FeatureWriter(tmp_path, RefTable(REFS), KIND, 2)
    first.close()
    grow(tmp_path, [0])


def test_a_disk_without_room_is_said_and_leaves_no_file(tmp_path: Path) -> None:
    script = (
        "import resource, sys; from pathlib import Path; import numpy as np;"
        "from annotator.features.growing import FeatureWriter;"
        "from annotator.items.ref_table import RefTable;"
        "from annotator.errors import FeatureError;"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096));"
        "g = FeatureWriter(Path(sys.argv[1]), RefTable('abc'), {'name': 'classic'}, 9000)\n"
        "try: g.write(np.array([0]), np.ones((1, 9000)))\n"
        "except FeatureError as error: print(error)"
    )
    said = subprocess.run(
        [sys.executable, "-B", "-c", script, tmp_path], capture_output=True, text=True, check=True
    )
    assert "features cannot be written" in said.stdout
    assert "Free some space" in said.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["partial.lock"]
