"""The figures of a hierarchy of classes in `annotator status`, its JSON and the report."""

from __future__ import annotations

from pathlib import Path

from annotator.log.entries import Action, Entry
from annotator.project.class_tree import expand_paths
from annotator.project.classes import ClassInfo
from annotator.report.figures import collect_figures
from annotator.report.page import render_page
from annotator.report.status import format_status, project_status
from tests.formats import made_projects as samples

CLASSES = expand_paths([ClassInfo(path) for path in ("vehicle/car", "vehicle/bus", "sky")])
REFS = tuple(f"{name}.png" for name in "abcd")


def test_status_counts_all_below_a_class_and_what_is_left_to_refine(tmp_path: Path) -> None:
    labels = {"a.png": "vehicle", "b.png": "car", "c.png": "sky"}
    project = samples.project(tmp_path, REFS, labels, CLASSES)
    found = project_status(project)
    assert found["classes"] == {"vehicle": 1, "car": 1, "bus": 0, "sky": 1}
    assert found["hierarchy"]["parents"] == {"car": "vehicle", "bus": "vehicle"}
    assert found["hierarchy"]["labels"] == {"vehicle": 2}
    assert found["hierarchy"]["to_refine"] == {"vehicle": 1}
    text = format_status(found)
    assert "  vehicle: 2, 1 no finer\n    car: 1\n    bus: 0\n  sky: 1\n" in text
    assert f"1 vehicle left to refine: annotator run {project.folder} --refine vehicle" in text


def test_a_flat_project_has_no_hierarchy(tmp_path: Path) -> None:
    project = samples.project(tmp_path, REFS, {"a.png": "ok"})
    found = project_status(project)
    assert found["hierarchy"] is None
    assert "  ok: 1\n  defect: 0\n" in format_status(found)


def test_an_item_that_keeps_its_label_is_not_left_to_refine(tmp_path: Path) -> None:
    project = samples.project(tmp_path, REFS, {"a.png": "vehicle"}, CLASSES)
    store = samples.SqliteStore(project.labels_file)
    store.append(
        Entry(0, 2e9, "ann", Action.LABEL, "a.png", "vehicle", picked_by="refine",
              extra={"refines": "vehicle"})
    )  # fmt: skip
    store.close()
    assert project_status(project)["hierarchy"]["to_refine"] == {}
    assert "left to refine" not in format_status(project_status(project))


def test_the_report_indents_a_class_below_its_parent(tmp_path: Path) -> None:
    project = samples.project(tmp_path, REFS, {"a.png": "vehicle", "b.png": "car"}, CLASSES)
    page = render_page(collect_figures(project), lambda *_: None).decode()
    assert page.index("vehicle") < page.index("\u2003car") < page.index("sky")
