"""One writer at a time: the lock file that features, proposals and pages share."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

import pytest

from annotator.items.atomic import Held, lock_file


def test_a_second_lock_is_refused_until_the_first_is_let_go(tmp_path: Path) -> None:
    first = lock_file(tmp_path / "x.lock")
    with pytest.raises(Held):
        lock_file(tmp_path / "x.lock")
    os.close(first)
    os.close(lock_file(tmp_path / "x.lock"))


@pytest.mark.parametrize(("number", "kind"), [(errno.ENOLCK, OSError), (errno.EACCES, Held)])
def test_a_disk_without_locks_is_not_taken_for_a_lock_that_is_held(
    number: int, kind: type[Exception], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(file: int, operation: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(kind):
        lock_file(tmp_path / "x.lock")
    assert len(list(Path("/proc/self/fd").iterdir())) == before
