"""Every row belongs to its ref, whenever a process is killed, and whenever another one reads."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from annotator.errors import FeatureError
from annotator.features.growing import FeatureWriter, open_partial_features
from annotator.features.store import FeatureStore
from annotator.items.ref_table import RefTable
from tests.kill_points import kill_at

KIND = {"name": "classic"}
STEPS = [(os, name) for name in ("replace", "unlink", "rename")]
_CHANGED = """
import sys, time
from pathlib import Path
import numpy as np
from tests.features.test_swap import KIND, compute
end = time.time() + 4
turn = 0
while time.time() < end:
    compute(Path(sys.argv[1]), turn)
    turn += 1
"""


def _vectors(refs: list[str]) -> np.ndarray[Any, Any]:
    return np.array([[int(ref), int(ref) % 7 + 1] for ref in refs], np.float32)


def _names(turn: int) -> list[str]:
    """Return equally many refs for each turn, in another order, one of them new."""
    names = [str(at + turn) for at in range(1, 31)]
    return names[::-1] if turn % 2 else names


def compute(folder: Path, turn: int, rows: int = 30) -> None:
    """Compute the features of the refs of a turn, in two parts."""
    refs = _names(turn)
    with FeatureWriter(folder, RefTable(refs), KIND, 2) as writer:
        for part in np.array_split(np.flatnonzero(~writer.done)[:rows], 2):
            writer.write(part, _vectors([refs[row] for row in part]))
            writer.sync()
        if rows == 30:
            writer.finish()


def check(folder: Path) -> int:
    """Check both stores; return the number of rows that they have."""
    stores = [open_partial_features(folder)]
    with suppress(FeatureError):
        stores.append(FeatureStore.open(folder))
    count = 0
    for store in filter(None, stores):
        done = np.flatnonzero(np.array(store.done))
        refs = [store.refs[row] for row in done]
        assert np.array_equal(store.matrix[done], _vectors(refs) if refs else store.matrix[:0])
        count += len(done)
    return count


@pytest.mark.parametrize("rows", [30, 10], ids=["finished", "partial"])
@pytest.mark.parametrize("before", [30, 10], ids=["over-finished", "over-partial"])
def test_a_kill_between_any_two_steps_mixes_no_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: int, rows: int
) -> None:
    compute(tmp_path / "old", 0, before)
    kills = 0
    for step in range(30):
        folder = tmp_path / str(step)
        shutil.copytree(tmp_path / "old", folder)
        work = partial(compute, folder, 1, rows)
        if not kill_at(monkeypatch, step, work, STEPS):
            break
        kills += 1
        assert check(folder) >= before - 1, "what was computed is still there"
        compute(folder, 2)
        assert check(folder) == 30
        left = {path.name for path in folder.iterdir()}
        assert left == {"features.npy", "refs.txt", "meta.json", "partial.lock"}
    assert kills >= 5


def test_a_reader_beside_a_writer_gets_whole_sets(tmp_path: Path) -> None:
    compute(tmp_path, 0)
    root = Path(__file__).parents[2]
    writer = subprocess.Popen([sys.executable, "-c", _CHANGED, str(tmp_path)], cwd=root)
    seen = 0
    while writer.poll() is None:
        seen += check(tmp_path) > 0
    assert writer.returncode == 0
    assert seen > 20


def test_a_kill_while_features_are_adopted_joins_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "own.npy"
    np.save(own, np.ones((30, 2), np.float32))
    for step in range(6):
        folder = tmp_path / str(step)
        compute(folder, 0)
        refs = RefTable(_names(1))
        work = partial(FeatureStore.adopt, folder, own, refs)
        if not kill_at(monkeypatch, step, work, STEPS):
            break
        check(folder)
    assert FeatureStore.open(folder).name == "own.npy"


def test_a_journal_without_its_marks_is_dropped(tmp_path: Path) -> None:
    compute(tmp_path, 0)
    (tmp_path / "partial.json").write_text(
        '{"format": 1, "extractor": {"name": "classic"}, "finished": true}'
    )
    assert check(tmp_path) >= 30
    started = time.monotonic()
    compute(tmp_path, 1)
    assert check(tmp_path) == 30
    assert time.monotonic() - started < 5
