"""An export that replaces another: the old or the new one is there, wherever it is killed."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import pytest

from annotator.formats import output_file
from annotator.formats.output_file import EXPORT_MARKER, open_output
from tests.kill_points import kill_at


def _export(path: Path, text: str) -> None:
    with open_output(path, True, True) as place:
        (place / "labels.txt").write_text(text)


@pytest.mark.parametrize("exchange", [True, False])
def test_a_replaced_export_is_never_absent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exchange: bool
) -> None:
    if not exchange:
        monkeypatch.setattr(output_file, "_exchange", lambda *_: False)
    for step in range(4):
        path = tmp_path / str(step) / "out"
        path.parent.mkdir()
        _export(path, "old")
        work = partial(_export, path, "new")
        with monkeypatch.context() as patch:
            patch.setattr(output_file.shutil, "rmtree", lambda *_, **__: None)
            killed = kill_at(monkeypatch, step, work, [(os, "rename")])
        assert not (killed and exchange)
        assert not exchange or (path / "labels.txt").read_text() == "new"
        _export(path, "newest")
        assert (path / "labels.txt").read_text() == "newest"


def test_an_old_folder_that_a_kill_left_aside_comes_back(tmp_path: Path) -> None:
    aside = tmp_path / ".out.old.12345678" / "it"
    aside.mkdir(parents=True)
    (aside / EXPORT_MARKER).write_text("")
    (aside / "mine.txt").write_text("old")
    with pytest.raises(RuntimeError), open_output(tmp_path / "out", True, True):
        raise RuntimeError
    assert (tmp_path / "out" / "mine.txt").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
