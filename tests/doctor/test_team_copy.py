"""The doctor and a copy of a team's log: a whole one stays as it is, a damaged one is kept."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from annotator.doctor.repair import repair_project
from annotator.errors import StoreError
from annotator.log.entries import Action, Entry
from annotator.log.store.journal import FolderTeam
from annotator.log.store.open import open_store
from annotator.log.store.recovery import count_lost_rows
from annotator.project.project import ProjectFolder
from annotator.project.settings import ClassInfo, Settings
from annotator.session.team import init_team


@pytest.fixture
def project(tmp_path: Path) -> ProjectFolder:
    (tmp_path / "im").mkdir()
    made = ProjectFolder.create(
        tmp_path / "p", Settings((ClassInfo("ok"),), images=str(tmp_path / "im"))
    )
    made.refs_file.write_text("filename\n" + "".join(f"{number}.png\n" for number in range(99)))
    FolderTeam(tmp_path / "team").create()
    init_team(made, f"folder:{tmp_path / 'team'}", "-", lambda *_: None)
    made = ProjectFolder.open(made.folder)
    with closing(open_store(made)) as store:
        for number in range(99):
            store.append(Entry(0, 1.0, "ann", Action.LABEL, f"{number}.png", "ok"))
    return made


def test_a_whole_copy_stays_as_it_is(project: ProjectFolder) -> None:
    assert count_lost_rows(project.labels_file) == 0
    assert list(repair_project(project.folder)) == []
    with closing(open_store(project)) as store:
        assert store.shared
        assert len(list(store.entries())) == 99


def test_a_damaged_copy_is_kept_and_the_message_says_where_its_rows_are(
    project: ProjectFolder,
) -> None:
    data = bytearray(project.labels_file.read_bytes())
    data[4096 * 3 : 4096 * 5] = bytes(range(256)) * 32
    project.labels_file.write_bytes(data)
    with pytest.raises(StoreError, match="Keep it.*annotator join STORE NEW_FOLDER"):
        list(repair_project(project.folder))
    assert project.labels_file.read_bytes() == data
