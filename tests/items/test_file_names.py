"""A path finds its file in Windows' spelling, and in either form of Unicode."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from annotator.items.file_names import FileNames

NFD = unicodedata.normalize("NFD", "été/naïve.jpg")


@pytest.fixture
def names(tmp_path: Path) -> FileNames:
    for path in ("s/a.jpg", NFD, "back\\slash.jpg"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).touch()
    return FileNames(tmp_path)


@pytest.mark.parametrize("path", ["s/a.jpg", "./s/a.jpg", "s//a.jpg", NFD, "back\\slash.jpg"])
def test_a_path_that_exists_stays_as_it_is(names: FileNames, path: str) -> None:
    assert names.find(path) == path


@pytest.mark.parametrize(
    ("path", "found"),
    [("s\\a.jpg", "s/a.jpg"), (".\\s\\a.jpg", "./s/a.jpg"), ("été/naïve.jpg", NFD),
     ("été\\naïve.jpg", NFD), (NFD.replace("/", "\\"), NFD)],
)  # fmt: skip
def test_another_spelling_finds_the_file(names: FileNames, path: str, found: str) -> None:
    assert names.find(path) == found


def test_an_absolute_path_is_found_too(names: FileNames, tmp_path: Path) -> None:
    assert names.find(f"{tmp_path}/été/naïve.jpg") == f"{tmp_path}/{NFD}"


@pytest.mark.parametrize(
    "path", ["b.jpg", "back/slash.jpg", "C:\\s\\a.jpg", "s/\0", "S/a.jpg", "é/" * 3000, "", "/x\\y"]
)
def test_what_is_not_there_is_not_found(names: FileNames, path: str) -> None:
    assert names.find(path) is None
    assert names.missing([(path, 3)]) == [(path, 3)]


def test_of_two_files_each_is_found_by_its_own_form(tmp_path: Path) -> None:
    for form in ("NFC", "NFD"):
        (tmp_path / unicodedata.normalize(form, "é.jpg")).touch()
    names = FileNames(tmp_path)
    for form in ("NFC", "NFD"):
        path = unicodedata.normalize(form, "é.jpg")
        assert names.find(path) == path
