"""The records of open screens, where folders, disks and files are not as usual."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from annotator.session.handover import ScreenRecord, attached, find_screen, take_over


@pytest.fixture(autouse=True)
def records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path / "data" / "annotator" / "screens"


def test_a_screen_opens_where_its_folder_was_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (gone := tmp_path / "gone").mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    ScreenRecord(tmp_path, "ann", ["run"])
    assert find_screen(tmp_path, "ann") is not None


def test_a_disk_that_cannot_be_written_does_not_keep_a_screen_from_going_on(
    tmp_path: Path, records: Path
) -> None:
    ScreenRecord(tmp_path, "ann", ["run"])
    (file,) = records.glob("*.json")
    file.write_text(file.read_text().replace("@", "#"))  # its program has ended
    screen = find_screen(tmp_path, "ann")
    assert screen is not None
    file.with_suffix(".taker").mkdir()
    try:
        assert take_over(screen).words == ("run",)
    finally:
        if (taken := attached.get()) is not None:
            taken.release()
        attached.set(None)
    assert not [*records.glob(".*")]


def test_a_link_to_a_record_is_not_believed(tmp_path: Path, records: Path) -> None:
    ScreenRecord(tmp_path, "ann", ["run"])
    (file,) = records.glob("*.json")
    shutil.move(file, elsewhere := tmp_path / "elsewhere.json")
    file.symlink_to(elsewhere)
    assert find_screen(tmp_path, "ann") is None
