"""A team's folder on a small disk of its own: full, read-only, and not mounted."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_PRELUDE = """
import os, subprocess, sys
from itertools import count
from pathlib import Path
from annotator.errors import StoreError
from annotator.log.store.journal import FolderLog, FolderTeam
from tests.log.test_journal import read_all, read_ids, rows
place = Path(sys.argv[1])
team = place / "team"
def mount(*options):
    subprocess.run(["mount", "-t", "tmpfs", "-o", *options, "none", place], check=True)
def problem(use):
    try:
        use()
    except StoreError as error:
        return f"{type(error).__name__}: {error}"
mount("size=200k")
FolderTeam(team).create()
log = FolderLog(team, "w")
"""
_FULL = """
(team.parent / "filler").write_bytes(bytes(100_000))
sent = []
for number in count():
    ids = [f"{number}-{part}" for part in range(40)]
    if found := problem(lambda: log.append(rows(*ids))):
        break
    sent += ids
print(found)
print(read_ids(team) == sent)
(team.parent / "filler").unlink()
log.append(rows(*ids))
print(read_ids(team) == sent + ids and read_ids(team) == list(read_all(log)[0]))
"""
_READ_ONLY = """
log.append(rows("a"))
subprocess.run(["mount", "-o", "remount,ro", place], check=True)
print(problem(lambda: log.append(rows("b"))))
print(read_ids(team))
subprocess.run(["mount", "-o", "remount,rw", place], check=True)
log.append(rows("b"))
print(read_ids(team))
"""
_UNMOUNTED = """
log.append(rows("a"))
_, cursor = read_all(log)
subprocess.run(["umount", place], check=True)
print(problem(lambda: log.append(rows("b"))))
print(problem(lambda: read_all(log, cursor)))
"""


def try_on_disk(code: str, place: Path) -> list[str]:
    """Run `code` in a mount namespace of its own; skip where this is not allowed."""
    unshare = shutil.which("unshare")
    allowed = unshare and not subprocess.run(
        [unshare, "-m", "mount", "-t", "tmpfs", "none", place], capture_output=True
    ).returncode  # fmt: skip
    if not allowed:
        pytest.skip("this user may not mount a disk")
    command = [str(unshare), "-m", sys.executable, "-c", _PRELUDE + code, str(place)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_full_disk_is_waited_for_and_loses_no_row(tmp_path: Path) -> None:
    problem, before, after = try_on_disk(_FULL, tmp_path)
    assert problem.startswith("RemoteAwayError: ")
    assert "No space left on device" in problem
    assert f"df -h {tmp_path}/team" in problem
    assert (before, after) == ("True", "True")


def test_a_read_only_disk_is_refused_and_can_be_read(tmp_path: Path) -> None:
    problem, *found = try_on_disk(_READ_ONLY, tmp_path)
    assert problem.startswith("RemoteRefusedError: ")
    assert "mounted read-only" in problem
    assert found == ["['a']", "['a', 'b']"]


def test_a_disk_that_is_not_mounted_is_waited_for(tmp_path: Path) -> None:
    for problem in try_on_disk(_UNMOUNTED, tmp_path):
        assert problem.startswith("RemoteAwayError: ")
        assert "mounted" in problem
