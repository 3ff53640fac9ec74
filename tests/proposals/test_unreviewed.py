"""Boxes of detectors leave a project with their scores before an annotator has judged them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from annotator.cli.app import app
from annotator.errors import ProjectError
from annotator.project.project import ProjectFolder
from annotator.proposals import open_proposal_project
from tests.proposals.made_proposals import label, photos, proposal, write


def _run(*args: object) -> Any:
    ran = CliRunner().invoke(app, list(map(str, args)), catch_exceptions=False)
    assert ran.exit_code == 0, ran.stderr
    return ran


@pytest.fixture
def project(tmp_path: Path) -> ProjectFolder:
    made = open_proposal_project(photos(tmp_path / "photos"))
    write(
        made,
        proposal(10, 0.9, "cat"), proposal(80, 0.7, "dog"), proposal(140, 0.4, "cat"),
        proposal(10, 0.3, "dog", path="b.png"),
    )  # fmt: skip
    label(made, {"a.png#xywh=10,10,40,30": "yes", "a.png#xywh=140,10,40,30": "no"})
    return made


def test_coco_holds_judged_and_open_boxes_apart(project: ProjectFolder, tmp_path: Path) -> None:
    ran = _run("export", project.folder, tmp_path / "c.json", "--format", "coco", "--unreviewed")
    document = json.loads((tmp_path / "c.json").read_bytes())
    names = {row["id"]: row["name"] for row in document["categories"]}
    found = {
        (row["image_id"], names[row["category_id"]]): (row["score"], row.get("predicted", False))
        for row in document["annotations"]
    }
    assert sorted(found.values()) == [(0.3, True), (0.7, True), (0.9, False)]
    assert len(document["images"]) == 2
    assert "2 boxes that no annotator has judged" in ran.stderr and "1 rejected" in ran.stderr
    # Scores stay scores: an import takes the judged box alone for a label.
    new = open_proposal_project(project.images, tmp_path / "new", ("cat", "dog"))
    shutil.copy(project.refs_file, new.refs_file)
    ran = _run("import", new.folder, tmp_path / "c.json")
    assert "1 label" in ran.stderr


def test_yolo_lines_are_for_trainers_and_scores_are_beside_them(
    project: ProjectFolder, tmp_path: Path
) -> None:
    _run("export", project.folder, tmp_path / "y", "--format", "yolo", "--unreviewed")
    lines = (tmp_path / "y" / "labels" / "a.txt").read_text().splitlines()
    assert [len(line.split()) for line in lines] == [5, 5]
    rows = [
        json.loads(line) for line in (tmp_path / "y" / "provenance.jsonl").read_text().splitlines()
    ]
    scores = {row["ref"]: (row["label"], row["score"]) for row in rows if row.get("unreviewed")}
    assert scores == {
        "a.png#xywh=80,10,40,30": ("dog", 0.7), "b.png#xywh=10,10,40,30": ("dog", 0.3),
    }  # fmt: skip


def test_only_the_wanted_classes_and_never_without_the_option(
    project: ProjectFolder, tmp_path: Path
) -> None:
    file = tmp_path / "r.json"
    _run(
        "export", project.folder, file, "--format", "coco-results", "--unreviewed", "--class", "dog"
    )
    assert sorted(row["score"] for row in json.loads(file.read_bytes())) == [0.3, 0.7]
    _run("export", project.folder, file, "--format", "coco-results", "--overwrite")
    assert [row["score"] for row in json.loads(file.read_bytes())] == [0.9]


def test_a_project_without_proposals_says_so(tmp_path: Path) -> None:
    made = open_proposal_project(photos(tmp_path / "photos"))
    with pytest.raises(ProjectError, match="no proposals"):
        _run("export", made.folder, tmp_path / "c.json", "--format", "coco", "--unreviewed")
