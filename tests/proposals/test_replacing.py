"""A second run of the same models replaces what no annotator judged, and nothing else."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from annotator.detection.detections import Detections
from annotator.detection.ensemble import EnsembleConfig, EnsembleModel, fuse_images
from annotator.detection.results import DetectionCache, ImageDetections
from annotator.log.entries import Action, Entry
from annotator.log.store.sqlite import SqliteStore
from annotator.project.item_pool import load_refs
from annotator.project.project import ProjectFolder
from annotator.project.settings import ClassInfo, Settings
from annotator.proposals import open_proposal_project, read_proposals
from annotator.proposals.detect import EnsembleOutcome, write_fused_images
from tests.proposals.made_proposals import label, photos, proposal, write

FOUND = {
    "a.png": [(10, 10, 50, 40, 0.9, "cat"), (100, 10, 150, 60, 0.5, "cat")],
    "b.png": [(20, 20, 60, 60, 0.4, "cat")],
}


def _detect(
    project: ProjectFolder, threshold: float, *names: str, found: Any = FOUND
) -> EnsembleOutcome:
    caches = []
    for name in names or ("m",):
        cache = DetectionCache(project.folder / ".cache" / "detect", {"model": name})
        for path, rows in found.items():
            plain = Detections(
                np.array([row[:4] for row in rows], float).reshape(-1, 4),
                np.array([row[4] for row in rows], float),
                tuple(row[5] for row in rows),
            )
            cache.add([(ImageDetections(path, (200, 100), {"plain": plain}, {}), (1, 1))])
        caches.append(cache)
    voters = tuple(EnsembleModel(name, threshold=threshold) for name in names or ("m",))
    config = EnsembleConfig(voters)
    images = fuse_images(list(found), caches, config)
    return write_fused_images(project, images, config, accept=False, timestamp=0.0)


def _items(project: ProjectFolder) -> set[str]:
    return set(load_refs(ProjectFolder.open(project.folder)))


def test_other_thresholds_add_and_remove_what_nobody_judged(tmp_path: Path) -> None:
    project = open_proposal_project(photos(tmp_path / "photos"))
    _detect(project, 0.3)
    low = _items(project)
    assert len(low) == 3
    outcome = _detect(project, 0.6)
    assert (outcome.replaced, outcome.kept, outcome.added) == (2, 0, 0)
    assert _items(project) == {"a.png#xywh=10,10,40,30"}
    assert {row.ref for row in read_proposals(project)} == _items(project)
    assert _detect(project, 0.3).added == 2 and _items(project) == low
    same = project.refs_file.read_bytes(), (project.folder / "proposals.csv").read_bytes()
    again = _detect(project, 0.3)
    assert (again.replaced, again.added, again.merged) == (0, 0, 0)
    assert same == (
        project.refs_file.read_bytes(),
        (project.folder / "proposals.csv").read_bytes(),
    )


@pytest.mark.parametrize("action", [Action.LABEL, Action.SKIP, Action.FLAG, Action.NOTE])
def test_what_was_judged_stays_with_its_first_score(tmp_path: Path, action: Action) -> None:
    project = open_proposal_project(photos(tmp_path / "photos"))
    _detect(project, 0.3)
    kept = "a.png#xywh=100,10,50,50"
    name = "yes" if action is Action.LABEL else None
    store = SqliteStore(project.labels_file)
    store.append(Entry(0, 1.0, "ann", action, kept, name))
    store.close()
    outcome = _detect(project, 0.6)
    assert (outcome.replaced, outcome.kept) == (1, 1)
    assert kept in _items(project) and len(_items(project)) == 2
    assert [row.score for row in read_proposals(project) if row.ref == kept] == [0.5]


def test_other_models_and_images_that_are_not_answered_stay(tmp_path: Path) -> None:
    project = open_proposal_project(photos(tmp_path / "photos"))
    write(project, proposal(x=150, model="other"), proposal(x=5, path="c.png", model="m"))
    _detect(project, 0.3)
    outcome = _detect(project, 0.95)
    assert outcome.replaced == 3
    assert _items(project) == {"a.png#xywh=150,10,40,30", "c.png#xywh=5,10,40,30"}


def test_an_ensemble_replaces_its_own_models_and_not_the_other_way_round(tmp_path: Path) -> None:
    project = open_proposal_project(photos(tmp_path / "photos"))
    _detect(project, 0.3, "m")
    assert _detect(project, 0.6, "m", "n").replaced == 3
    assert {row.model for row in read_proposals(project)} == {"m+n"}
    assert _detect(project, 0.6, "n", "m").replaced == 1
    assert _detect(project, 0.95, "m").replaced == 0
    assert {row.model for row in read_proposals(project)} == {"n+m"}


def test_boxes_of_the_users_own_table_are_never_removed(tmp_path: Path) -> None:
    images = photos(tmp_path / "photos")
    classes = (ClassInfo("no"), ClassInfo("yes"))
    project = ProjectFolder.create(tmp_path / "p", Settings(classes=classes, images=str(images)))
    table = '\ufefffilename;bbox;shelf\r\na.png;10,10,40,30;"two\r\nlines"\r\nb.png;1,1,9,9;x'
    project.refs_file.write_bytes(table.encode())
    _detect(project, 0.3)
    assert len(_items(project)) == 4
    outcome = _detect(project, 0.99)
    assert outcome.replaced == 3
    assert project.refs_file.read_bytes() == (table + "\r\n").encode()


def test_a_kill_between_the_two_files_is_mended_by_the_next_run(tmp_path: Path) -> None:
    project = open_proposal_project(photos(tmp_path / "photos"))
    _detect(project, 0.3)
    before = project.refs_file.read_bytes()
    label(project, {"a.png#xywh=100,10,50,50": "yes"})
    _detect(project, 0.95)
    after = project.refs_file.read_bytes()
    # As if the process had ended after proposals.csv.
    project.refs_file.write_bytes(before)
    gone = ["a.png#xywh=10,10,40,30", "b.png#xywh=20,20,40,40", "a.png#xywh=100,10,50,50"]
    (project.folder / ".cache" / "items-to-remove.json").write_text(json.dumps(gone))
    write(project)
    assert project.refs_file.read_bytes() == after
    assert not (project.folder / ".cache" / "items-to-remove.json").exists()


def test_a_run_that_fails_changes_nothing(tmp_path: Path) -> None:
    project = open_proposal_project(photos(tmp_path / "photos"))
    _detect(project, 0.3)
    before = project.refs_file.read_bytes(), (project.folder / "proposals.csv").read_bytes()
    good = EnsembleConfig((EnsembleModel("m", threshold=0.6),))
    cache = DetectionCache(project.folder / ".cache" / "detect", {"model": "m"})

    def broken() -> Any:
        yield from fuse_images(["a.png"], [cache], good)
        raise OSError("the disk went away")

    with pytest.raises(OSError, match="went away"):
        write_fused_images(project, broken(), replace(good), accept=False, timestamp=0.0)
    assert before == (
        project.refs_file.read_bytes(),
        (project.folder / "proposals.csv").read_bytes(),
    )
