"""The report: its figures are those of the log, and no name in it can run."""

from __future__ import annotations

import base64
import io
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lxml import html
from PIL import Image

import annotator
from annotator.curate.review_evidence import gather_evidence
from annotator.curate.review_queues import find_cases
from annotator.formats import new_project
from annotator.images.near_duplicates import Fingerprints
from annotator.items.ref_table import RefTable
from annotator.items.refs import format_percent
from annotator.learn.error_estimate import ErrorEstimate
from annotator.log.entries import replay
from annotator.log.store.sqlite import SqliteStore
from annotator.project.item_pool import load_refs
from annotator.project.project import ProjectFolder
from annotator.project.settings import ClassInfo, Settings
from annotator.report.elements import Markup, Thumbnails
from annotator.report.figures import collect_figures
from annotator.report.map_pictures import draw_map_pictures
from annotator.report.page import render_page
from annotator.report.status import format_status, project_status
from annotator.session.open import open_session
from annotator.tui.label.error_panel import PoolErrorState, error_lines
from annotator.tui.label.progress_panel import progress_lines

ITEMS = 80
EVIL = "<script>alert(1)</script>.png".replace("/", "_")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """80 images of two classes that features tell apart; 50 labelled, three of them wrongly."""
    images = tmp_path / "images"
    images.mkdir()
    names = [EVIL, *(f"{number:02}.png" for number in range(1, ITEMS))]
    rng = np.random.default_rng(0)
    features = rng.normal(0, 0.2, (ITEMS, 6)).astype(np.float32)
    for number, name in enumerate(names):
        Image.new("RGB", (40, 30), (255 * (number % 2), 80, 0)).save(images / name)
        features[number, number % 2] += 1
    table = ["filename,feat_idx", *(f"{name},{place}" for place, name in enumerate(names))]
    (tmp_path / "refs.csv").write_text("\n".join(table) + "\n")
    np.save(tmp_path / "features.npy", features)
    settings = Settings(classes=(ClassInfo("even"), ClassInfo("<b>odd</b>")), target_error=0.2)
    new_project.create_from_refs(
        tmp_path / "p", tmp_path / "refs.csv", settings,
        images=images, features=tmp_path / "features.npy",
    )  # fmt: skip
    now = [1000.0]

    def clock() -> float:
        now[0] += 2.0
        return now[0]

    with annotator.open(tmp_path / "p").session("ann", clock=clock) as session:
        wrong = 0
        for _ in range(50):
            assert session.current is not None
            odd = 0 if session.current.ref == EVIL else int(session.current.ref[:2]) % 2
            if session.current.ref == EVIL or (wrong < 3 and session.progress.labelled > 30):
                odd, wrong = 1 - odd, wrong + 1
            session.label(("even", "<b>odd</b>")[odd])
    return tmp_path / "p"


def _figures(project: Path) -> dict[str, Any]:
    return collect_figures(ProjectFolder.open(project), now=0.0)


def test_status_has_the_estimate_of_the_report(project: Path) -> None:
    opened = ProjectFolder.open(project)
    report = collect_figures(opened, now=0)  # first: it measures the brightness for the slices
    found = project_status(opened)
    assert found == report["status"]
    assert found["estimate"] == report["estimate"] is not None
    words = format_status(found)
    error = format_percent(found["estimate"]["error"])
    assert f"estimated error of the model on the pool: {error} (90 % interval " in words


def test_status_has_the_percentages_of_the_screen(project: Path) -> None:
    opened = ProjectFolder.open(project)
    found = project_status(opened)
    with open_session(opened, "ann", on_hook_failure=print) as live:
        live.session.extend(load_refs(opened))
        state = PoolErrorState(estimate=ErrorEstimate(**found["estimate"]))
        panel = [*error_lines(state, 60), *progress_lines(live.session.progress, None, 60)]
    screen = "\n".join("".join(text for text, _ in line) for line in panel)
    numbers = re.findall(r"[<>]?[\d.]+(?: – [\d.]+)? %|n_eff \d+", screen.replace("90 %:", ""))
    assert len(numbers) == 4, screen
    words = format_status(found)
    assert [number for number in numbers if number not in words] == [], (screen, words)


def test_status_runs_no_classifier_of_a_project(project: Path, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    (project / "own.py").write_text(f"open({str(ran)!r}, 'w')\nclass Mine: pass\n")
    settings = project / "annotator.toml"
    settings.write_text(f'estimator = "{project}/own.py:Mine"\n' + settings.read_text())
    assert project_status(ProjectFolder.open(project))["estimate"] is None
    assert not ran.exists()


def test_status_of_many_classes_lists_those_with_labels(tmp_path: Path) -> None:
    settings = Settings(classes=tuple(ClassInfo(f"c{number}") for number in range(300)))
    folder = tmp_path / "many"
    (folder / "images").mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(folder / "images" / "a.png")
    opened = ProjectFolder.create(folder / "p", settings)
    words = format_status(project_status(opened))
    assert "without a label: 300 classes" in words
    assert len(words.splitlines()) < 8


def test_figures_agree_with_the_log(project: Path) -> None:
    found = _figures(project)
    labels = annotator.open(project).labels()
    counts = found["confusion"]["counts"]
    assert np.sum(counts) == 50
    assert [sum(row) for row in counts] == [
        sum(label == name for label in labels.values()) for name in ("even", "<b>odd</b>")
    ]
    assert found["progress"]["answers"][-1] == 50
    times = [entry.at for entry in annotator.open(project).log()]
    assert found["progress"]["minutes"][-1] == pytest.approx((times[-1] - times[0]) / 60, abs=0.01)
    estimate = found["estimate"]
    assert estimate["low"] <= estimate["error"] <= estimate["high"]
    assert len(found["doubtful"]) == 24
    assert not {one["ref"] for one in found["doubtful"]} & labels.keys()


def test_wrong_labels_are_among_the_first_of_the_suspicious(project: Path) -> None:
    labels = annotator.open(project).labels()
    wrong = {ref for ref, label in labels.items() if ref != EVIL
             and label != ("even", "<b>odd</b>")[int(ref[:2]) % 2]}  # fmt: skip
    assert wrong
    suspicious = [one["ref"] for one in _figures(project)["suspicious"]]
    assert wrong <= set(suspicious[: len(wrong) + 2])


def test_the_report_doubts_the_labels_that_the_review_shows(project: Path) -> None:
    opened = ProjectFolder.open(project)
    store = SqliteStore(opened.labels_file)
    state = replay(store.entries())
    prints = Fingerprints(RefTable([]), np.zeros(0))
    found = find_cases(
        opened, store, state, gather_evidence(opened, state), prints, ("errors",)
    ).cases["errors"]
    figures = _figures(project)
    assert figures["doubted"] == len(found) > 0
    assert [one["ref"] for one in figures["suspicious"]] == [one.ref for one in found][:24]


def test_no_forecast_is_beyond_the_items(project: Path) -> None:
    file = project / "annotator.toml"
    for target in ("0.3", "0.01", "0.0001"):
        text = "\n".join(t for t in file.read_text().splitlines() if "target_error" not in t)
        file.write_text(f"target_error = {target}\n{text}")
        figures = _figures(project)
        assert figures["forecast"] is None or figures["forecast"] <= figures["status"]["items"]
        assert "about 0 labels" not in str(figures["next"])


def test_names_are_text_and_nothing_is_fetched_or_run(project: Path) -> None:
    opened = ProjectFolder.open(project)
    data = render_page(_figures(project), Thumbnails(opened))
    document = html.document_fromstring(data.decode())
    assert not document.xpath("//script | //link | //iframe | //object | //embed")
    assert "<b>odd</b>" in document.text_content()
    assert "<script>alert(1)" in document.text_content()  # as text: the file's name
    sources = document.xpath("//@src | //@href")
    assert sources
    assert all(source.startswith("data:image/jpeg;base64,") for source in sources)
    assert not [name for name in document.xpath("//@*") if "javascript:" in name]


def test_the_map_is_a_picture_for_each_colouring_with_its_counts(project: Path) -> None:
    opened = ProjectFolder.open(project)
    maps = draw_map_pictures(opened)
    page = render_page(_figures(project), _no_picture, maps)
    document = html.document_fromstring(page.decode())
    pictures = document.xpath("//figure[contains(., 'The map')]")
    assert len(pictures) == 3
    for picture in pictures:
        (source,) = picture.xpath("./img/@src")
        with Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2]))) as image:
            assert image.size == (720, 540) and len(image.convert("RGB").getcolors()) > 2
    assert "open 30" in pictures[0].text_content()  # 80 items, 50 of them labelled


def test_a_project_without_features_has_no_map(tmp_path: Path) -> None:
    settings = Settings(classes=(ClassInfo("ok"),), images=str(tmp_path))
    assert draw_map_pictures(ProjectFolder.create(tmp_path / "p", settings)) == []


def test_without_features_the_page_says_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "images" / "a.png")
    settings = Settings(classes=(ClassInfo("ok"),), images=str(tmp_path / "images"))
    made = ProjectFolder.create(tmp_path / "p", settings)
    found = collect_figures(made, now=0.0)
    assert found["estimate"] is None
    assert any("annotator features" in step["command"] for step in found["next"])
    assert b"annotator features" in render_page(found, Thumbnails(made))


def test_a_page_can_be_made_from_the_first_answer_on(project: Path) -> None:
    for file in project.glob("labels.db*"):
        file.unlink()
    opened = annotator.open(project)
    for number, label in enumerate(["even", None, "even", "<b>odd</b>", "even"]):
        found = _figures(project)
        document = html.document_fromstring(render_page(found, _no_picture).decode())
        text = document.text_content()
        assert f"of {ITEMS} answered" in text
        assert ("No annotator has labelled here yet" in text) == (number == 0)
        json.dumps(found, allow_nan=False)
        with opened.session("ann", clock=lambda: 2e9, learn=False) as session:
            session.decide({f"{number + 1:02}.png": label})


def test_a_project_whose_images_vanished_is_reported_all_the_same(project: Path) -> None:
    found = _figures(project)
    for file in ProjectFolder.open(project).images.iterdir():
        file.unlink()
    data = render_page(found, Thumbnails(ProjectFolder.open(project)))
    document = html.document_fromstring(data.decode())
    assert len(document.xpath("//*[@class='broken']")) == sum(
        len(found[name]) for name in ("suspicious", "doubtful", "hardest")
    )


def _no_picture(ref: str) -> Markup:
    return Markup("")


def test_a_broken_image_is_named_in_its_place(project: Path) -> None:
    found = _figures(project)
    ref = found["doubtful"][0]["ref"]
    (ProjectFolder.open(project).images / ref).write_bytes(b"no image")
    data = render_page(found, Thumbnails(ProjectFolder.open(project)))
    document = html.document_fromstring(data.decode())
    assert any(ref in text for text in document.xpath("//*[@class='broken']/text()"))


def test_an_existing_page_is_kept_unless_told(project: Path, tmp_path: Path) -> None:
    out = tmp_path / "r.html"
    out.write_text("mine")
    command = [sys.executable, "-m", "annotator", "report", str(project), "--out", str(out)]
    refused = subprocess.run(command, capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert "--overwrite" in refused.stderr
    assert out.read_text() == "mine"
    subprocess.run([*command, "--overwrite"], capture_output=True, check=True)
    assert out.read_text().startswith("<!doctype html>")
    shown = subprocess.run([*command, "--json"], capture_output=True, text=True, check=True)
    assert json.loads(shown.stdout)["status"]["labelled"] == 50
