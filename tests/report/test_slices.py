"""The slices of a project: each item in its slice, found again by the slice's query."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from annotator.curate.search import Searcher
from annotator.features.store import FeatureStore
from annotator.log.store.open import load_log_state
from annotator.project.classes import ClassInfo
from annotator.project.item_pool import load_refs
from annotator.project.project import ProjectFolder
from annotator.project.settings import Settings
from annotator.report.elements import Markup
from annotator.report.figures import ReportPart, collect_figures
from annotator.report.page import render_page
from annotator.report.slice_groups import SliceSource
from annotator.report.status import format_status, project_status
from annotator.session.open import open_session

N = 240
KINDS = ("even", "odd")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sites; on site2/hall the features say nothing. 120 items are labelled by draws."""
    folder = tmp_path_factory.mktemp("made")
    rng = np.random.default_rng(0)
    lines, X = ["filename,camera,lens no,temp,feat_idx"], rng.normal(0, 0.4, (N, 6))
    for n in range(N):
        site = ("site1/gate", "site2/hall")[n % 4 == 3]
        (folder / "images" / site).mkdir(parents=True, exist_ok=True)
        name = f"{site}/{n:03}.png"
        Image.new("L", (20 + n % 30, 20), n).save(folder / "images" / name)
        lines.append(f"{name},{n % 3},{('A 1', 'B')[n % 2]},{n / 10 if n % 7 else ''},{n}")
        X[n, 0] += 0 if site.endswith("hall") else 3 * (n // 2 % 2)
    classes = tuple(map(ClassInfo, KINDS))
    project = ProjectFolder.create(
        folder / "p", Settings(classes=classes, images=str(folder / "images"))
    )
    project.refs_file.write_text("\n".join(lines) + "\n")
    np.save(folder / "x.npy", X.astype(np.float32))
    refs = load_refs(project)
    FeatureStore.adopt(project.features_folder, folder / "x.npy", refs)
    store = FeatureStore.open(project.features_folder)
    with open_session(project, "ana", on_hook_failure=print) as opened:
        session = opened.session
        session.extend(refs)
        session.attach_features(store, store.available())
        session.learn()
        for count in range(120):
            assert session.current is not None
            number = int(session.current.path[-7:-4])
            session.label(KINDS[number // 2 % 2])
            if count % 4 == 0:
                session.learn()
    return folder / "p"


def test_every_slice_holds_what_its_query_finds(made: Path) -> None:
    project = ProjectFolder.open(made)
    refs = load_refs(project)
    source, searcher = SliceSource(project, refs, np.arange(N)), Searcher(refs, project=project)
    groups = {group.kind: group for group in source.groups()}
    assert {"folder", "camera", "lens no", "temp"} <= set(groups)
    assert groups["folder"].queries == ("path:site1/*", "path:site2/*")
    for group in groups.values():
        for place, query in enumerate(group.queries):
            found = searcher.find(query, load_log_state(project)).rows
            assert found.tolist() == np.flatnonzero(group.codes == place).tolist(), query


def test_sizes_that_a_table_states_are_slices_before_anything_is_measured(tmp_path: Path) -> None:
    project = ProjectFolder.create(tmp_path / "p", Settings(classes=(ClassInfo("a"),)))
    lines = ["filename,width,height", *(f"{n:03}.png,{10 + n},{40 + n}" for n in range(N))]
    project.refs_file.write_text("\n".join(lines) + "\n")
    refs = load_refs(project)
    groups = SliceSource(project, refs, np.arange(N)).groups()
    size = next(group for group in groups if group.kind == "size")
    assert len(size.names) == 4 and (size.codes >= 0).all()
    searcher = Searcher(refs, project=project)
    for place, query in enumerate(size.queries):
        found = searcher.find(query, load_log_state(project)).rows
        assert found.tolist() == np.flatnonzero(size.codes == place).tolist(), query


def test_numbers_are_cut_into_parts_of_about_equal_size(made: Path) -> None:
    project = ProjectFolder.open(made)
    groups = SliceSource(project, load_refs(project), np.arange(N)).groups()
    temp = next(group for group in groups if group.kind == "temp")
    counts = np.bincount(temp.codes[temp.codes >= 0])
    assert len(counts) == 4 and counts.max() - counts.min() <= 3
    assert (temp.codes < 0).sum() == len(range(0, N, 7))  # blank cells are in no slice


def test_the_slice_that_the_model_cannot_know_is_the_worst(made: Path) -> None:
    figures = collect_figures(ProjectFolder.open(made))
    slices = figures["slices"]
    assert slices["found"][0]["query"] == "path:site2/*" and slices["beyond_chance"]
    worst = slices["found"][0]
    assert worst["low"] < 0.5 < worst["high"] + 0.1
    assert figures["estimate"]["error"] < worst["expected"] <= worst["error"]
    kinds = {one["kind"] for one in slices["found"]}
    assert {"folder", "camera", "lens no", "brightness", "class", "predicted"} <= kinds
    page = render_page(figures, lambda _: Markup("")).decode()
    assert "Error by slice" in page and "path:site2/*" in page and "effective labels" in page
    assert page.count("looks worse than it is") == 1


def test_status_names_the_worst_and_warns_of_it(made: Path) -> None:
    found = project_status(ProjectFolder.open(made))
    assert found["slices"]["found"][0]["query"] == "path:site2/*"
    text = format_status(found)
    assert "path:site2/*: " in text and "looks worse than it is" in text


@pytest.mark.parametrize("removed", [0, 60])
def test_the_estimates_of_a_screen_and_of_status_cover_the_same_items(
    made: Path, tmp_path: Path, removed: int
) -> None:
    """Items that wait on the screen count, and none that refs.csv holds no more."""
    shutil.copytree(made, tmp_path / "p")
    project = ProjectFolder.open(tmp_path / "p")
    lines = project.refs_file.read_text().splitlines()
    project.refs_file.write_text("\n".join(lines[: len(lines) - removed]) + "\n")
    refs, store = load_refs(project), FeatureStore.open(project.features_folder)
    with open_session(project, "bo", on_hook_failure=print) as opened:
        opened.session.extend(refs)
        opened.session.attach_features(store, store.available())
        ranking = opened.session.learn()
        assert len(opened.session.queue) > 3
    assert ranking is not None and ranking.estimate is not None
    found = project_status(project)["estimate"]
    assert ranking.estimate.n_eff == pytest.approx(found["n_eff"])


def test_few_labels_have_no_slices(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made, tmp_path / "p")
    (tmp_path / "p" / "labels.db").unlink()
    found = project_status(ProjectFolder.open(tmp_path / "p"))
    assert found["slices"] is None
    assert "slice" not in format_status(found)


def test_a_report_of_a_part_counts_and_estimates_the_part(made: Path) -> None:
    project = ProjectFolder.open(made)
    refs = load_refs(project)
    mask = np.arange(N) % 4 == 3
    part = ReportPart("path:site2/*", mask, frozenset(refs[n] for n in np.flatnonzero(mask)))
    figures, whole = collect_figures(project, part=part), collect_figures(project)
    assert figures["status"]["items"] == mask.sum()
    assert 0 < figures["status"]["labelled"] < whole["status"]["labelled"]
    assert figures["estimate"]["error"] > whole["estimate"]["error"]
    assert all("site2/" in one["ref"] for one in figures["doubtful"])
    assert (
        "only items that match path:site2/*" in render_page(figures, lambda _: Markup("")).decode()
    )


def test_the_command_limits_a_report(made: Path) -> None:
    command = [sys.executable, "-m", "annotator", "report", str(made), "--json", "--only"]
    ran = subprocess.run([*command, "camera=1"], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["status"]["items"] == N // 3
    ran = subprocess.run([*command, "camera=9"], capture_output=True, text=True)
    assert ran.returncode == 1 and "No item matches --only camera=9" in ran.stderr
