"""Proposals where something is in the way: a broken line, a disk that takes no writing."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from annotator.errors import ProjectError, RefError
from annotator.project.project import ProjectFolder
from annotator.project.settings import ClassInfo, Settings
from annotator.proposals import ProposalRow, ProposalWriter
from annotator.proposals.faces import read_faces
from annotator.proposals.pictures import render_proposals


@pytest.fixture
def project(tmp_path: Path) -> ProjectFolder:
    return ProjectFolder.create(tmp_path / "p", Settings((ClassInfo("yes"),), images=".."))


def test_details_that_are_no_json_are_named(project: ProjectFolder) -> None:
    (project.folder / "proposals.csv").write_text(
        'ref,score,votes,name,model,extra\n"a.png#xywh=1,2,3,4",0.5,1,face,m,{points\n'
    )
    with pytest.raises(RefError, match=r"a.png.*not a JSON object"):
        read_faces(project)


def test_a_cache_that_cannot_be_written_is_said(project: ProjectFolder) -> None:
    (project.folder / ".cache").write_text("in the way")
    with pytest.raises(ProjectError, match=r"cannot lock proposals\.lock"):
        ProposalWriter(project)


def test_pictures_are_drawn_in_their_folder_and_nowhere_else(
    project: ProjectFolder, tmp_path: Path
) -> None:
    Image.new("RGB", (40, 30)).save(tmp_path / "a.png")
    path = f"../{tmp_path.name}/a.png"
    images = {path: [ProposalRow(f"{path}#xywh=1,2,9,9", 0.5, 1, "cat", "m")]}
    assert render_proposals(project, images, tmp_path / "drawn", print) == 1
    assert [f.relative_to(tmp_path).parts[0] for f in tmp_path.rglob("*.jpg")] == ["drawn"]
    assert not list(tmp_path.parent.glob(f"{tmp_path.name}*/*.jpg"))
