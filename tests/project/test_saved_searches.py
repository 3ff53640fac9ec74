"""Saved searches: plain text that two programs may write, read as it is edited."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from annotator.errors import RefError
from annotator.project.classes import ClassInfo
from annotator.project.metadata import MetadataColumns
from annotator.project.project import ProjectFolder
from annotator.project.saved_searches import forget_search, read_searches, save_search
from annotator.project.settings import Settings


@pytest.fixture
def project(tmp_path: Path) -> ProjectFolder:
    return ProjectFolder.create(tmp_path / "p", Settings(classes=(ClassInfo("a"), ClassInfo("b"))))


def test_searches_are_kept_replaced_and_forgotten(project: ProjectFolder) -> None:
    query = '"lens no"="A, 1" at>2026-11-01'
    assert not save_search(project, "night", query)
    assert read_searches(project) == {"night": query}
    assert save_search(project, "NIGHT", "open")
    assert read_searches(project) == {"NIGHT": "open"}
    with pytest.raises(RefError, match="Saved: NIGHT"):
        forget_search(project, "day")
    forget_search(project, "Night")
    assert read_searches(project) == {}


def test_searches_saved_at_once_are_all_kept(project: ProjectFolder) -> None:
    names = [f"s{number}" for number in range(12)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda name: save_search(project, name, "open"), names))
    assert sorted(read_searches(project)) == sorted(names)


def test_a_file_edited_by_hand_is_read(project: ProjectFolder) -> None:
    (project.folder / "searches.csv").write_text('name,query\nnight,"camera=3, open"\n,x\nhalf\n')
    assert read_searches(project) == {"night": "camera=3, open"}


def test_columns_are_read_by_name_and_padded_for_items_added_later(tmp_path: Path) -> None:
    file = tmp_path / "refs.csv"
    file.write_text("filename;Camera ;temp\na.png;3;20\n\nb.png\n")
    columns = MetadataColumns(file)
    assert columns.names == ("Camera", "temp")
    found = columns.column("temp").resized(3)
    assert [found.texts[code] for code in found.codes] == ["20", "", ""]
    assert MetadataColumns(tmp_path / "absent.csv").names == ()
