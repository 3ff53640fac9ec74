"""A pipe, a device or a folder in the place of a file is refused, and nothing waits for it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from annotator.detection.results import DetectionCache
from annotator.errors import AnnotatorError, FeatureError
from annotator.features.store import read_meta
from annotator.formats.reading import read_text
from annotator.items.atomic import read_file
from annotator.items.json_text import parse_json
from annotator.items.text_files import open_text, read_json_lines
from annotator.log.store.last_row import read_last_row
from annotator.log.store.schema import OddFileError
from annotator.log.store.sqlite import SqliteStore
from annotator.project.refs_sum import describe_change
from annotator.project.settings import read_toml

KINDS: dict[str, Callable[[Path], object]] = {
    "pipe": os.mkfifo,
    "folder": os.mkdir,
    "device": lambda place: place.symlink_to("/dev/zero"),
    "circle": lambda place: place.symlink_to(place.name),
}


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    KINDS[request.param](tmp_path / "file")
    return tmp_path / "file"


def test_reading_fails_at_once(place: Path) -> None:
    with pytest.raises(OSError, match=r"not a file|symbolic links|Is a directory"):
        read_file(place)


@pytest.mark.parametrize("read", [open_text, read_meta, read_text, read_toml, SqliteStore])
def test_every_reader_of_a_project_says_so(place: Path, read: Callable[[Path], object]) -> None:
    with pytest.raises(AnnotatorError, match="file"):
        read(place)


@pytest.mark.parametrize("kind", KINDS)
def test_the_answers_of_a_detector(kind: str, tmp_path: Path) -> None:
    file = DetectionCache(tmp_path, {"model": "m"}).path
    file.unlink()
    KINDS[kind](file)
    with pytest.raises(FeatureError, match="cannot be written"):
        DetectionCache(tmp_path, {"model": "m"})


def test_a_file_is_read_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x")
    (tmp_path / "b").symlink_to("a")
    assert read_file(tmp_path / "b") == b"x"


@pytest.mark.parametrize("read", [read_meta, read_toml])
def test_a_file_larger_than_memory_is_refused(
    tmp_path: Path, read: Callable[[Path], object]
) -> None:
    with (tmp_path / "refs.csv").open("wb") as file:
        file.truncate(1 << 43)
    with pytest.raises(AnnotatorError, match="too large|half of the memory"):
        read(tmp_path / "refs.csv")
    assert read_last_row(tmp_path / "labels.db") == 0


def test_the_notes_of_a_project_may_be_larger_than_memory(tmp_path: Path) -> None:
    (tmp_path / ".cache").mkdir()
    for name in ("last-row", "refs-sum.txt"):
        with (tmp_path / ".cache" / name).open("wb") as file:
            file.truncate(1 << 43)
    assert read_last_row(tmp_path / "labels.db") == 0
    assert describe_change(tmp_path / "refs.csv") == ""


@pytest.mark.parametrize("beside", ["-wal", "-shm"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_log_with_something_else_beside_it(kind: str, beside: str, tmp_path: Path) -> None:
    SqliteStore(tmp_path / "labels.db").close()
    KINDS[kind](tmp_path / f"labels.db{beside}")
    with pytest.raises(OddFileError, match=f"labels.db{beside} is not a file.*--repair"):
        SqliteStore(tmp_path / "labels.db")


def test_a_log_on_a_disk_that_is_not_mounted_is_not_empty(tmp_path: Path) -> None:
    (tmp_path / "labels.db").symlink_to("unmounted/labels.db")
    with pytest.raises(OddFileError, match="is a link, and its target is not there"):
        SqliteStore(tmp_path / "labels.db")


@pytest.mark.parametrize("text", [b"[" * 200_000, b'{"a":' * 100_000, b"9" * 5000, b"", b"\xff"])
def test_json_that_is_nested_too_deeply_is_faulty_like_any_other(text: bytes) -> None:
    with pytest.raises(ValueError, match="."):
        parse_json(text)
    assert not list(read_json_lines([text + b"\n"]))
