"""A reader that stops in the middle keeps no label out, also where WAL does not work."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_PRELUDE = """
import sys
from pathlib import Path
from annotator.log.entries import Action, Entry
from annotator.log.store import sqlite
from annotator.log.store.protocol import Byproduct
sqlite.file_system_type = lambda folder: "nfs"
store = sqlite.SqliteStore(Path(sys.argv[1]))
"""
_FILL = """
store.append_many(Entry(0, 1.0, "ann", Action.LABEL, f"{n}.png", "ok") for n in range(2500))
store.append_byproducts(*(Byproduct(n, "key", "p", {}) for n in range(2500)))
print(store._log.execute("PRAGMA journal_mode").fetchone()[0])
"""
_READ = """
rows = store.entries() if sys.argv[2] == "entries" else store.read_byproducts(page="p")
next(rows)
print("reading", flush=True)
sys.stdin.readline()
print(1 + sum(1 for row in rows))
"""
_LABEL = """
for n in range(20):
    store.append(Entry(0, 1.0, "bob", Action.LABEL, f"new-{n}.png", "ok"))
    store.append_byproducts(Byproduct(n, "key", "q", {}))
print(store.last_arrival())
"""


def _start(code: str, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", _PRELUDE + code, *arguments]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=ROOT)


@pytest.mark.parametrize(("what", "rows"), [("entries", 2520), ("by-products", 2500)])
def test_a_reader_that_stops_in_the_middle_keeps_no_label_out(
    what: str, rows: int, tmp_path: Path
) -> None:
    path = str(tmp_path / "labels.db")
    assert _start(_FILL, path).communicate()[0] == "delete\n"
    with _start(_READ, path, what) as reader:
        assert reader.stdout is not None
        assert reader.stdout.readline() == "reading\n"
        assert _start(_LABEL, path).communicate()[0] == "2520\n"
        assert reader.communicate("\n")[0] == f"{rows}\n"
