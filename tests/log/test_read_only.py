"""A log that this user may not write can be read, with all its rows, and says so when written."""

from __future__ import annotations

from pathlib import Path

import pytest

from annotator.errors import StoreError
from annotator.log.entries import Action, Entry
from annotator.log.store import schema
from annotator.log.store.sqlite import SqliteStore


@pytest.mark.parametrize("in_use", [False, True], ids=["complete", "with a write-ahead log"])
@pytest.mark.parametrize("refused", ["labels.db", "the folder"])
def test_the_log_of_another_user_is_read_and_never_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_use: bool, refused: str
) -> None:
    path = tmp_path / "labels.db"
    owner = SqliteStore(path)
    owner.append(Entry(0, 1.7e9, "ann", Action.LABEL, "a.png", label="ok"))
    if not in_use:
        owner.close()
    assert path.with_name("labels.db-wal").exists() == in_use
    denied = path if refused == "labels.db" else tmp_path
    monkeypatch.setattr(schema.os, "access", lambda place, mode: place != denied)
    before = sorted(tmp_path.iterdir())
    reader = SqliteStore(path)
    assert [entry.ref for entry in reader.entries()] == ["a.png"]
    with pytest.raises(StoreError, match="cannot be written.*annotator search .* open"):
        reader.append(Entry(0, 1.7e9, "bob", Action.LABEL, "b.png", label="ok"))
    with pytest.raises(StoreError, match="cannot be written"):
        reader.release("me", 5.0)
    reader.close()
    assert sorted(tmp_path.iterdir()) == before
    owner.close()
