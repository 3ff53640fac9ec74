"""Proposals as items: written, read back, and shown before a model has learnt."""

from __future__ import annotations

import csv
import itertools
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotator.detection.detections import iou
from annotator.detection.proposal import Proposal, ProposalMember, clip_box, suppress_overlaps
from annotator.errors import ProjectError, RefError
from annotator.items.refs import Box, Item, format_box, parse_box
from annotator.log.store.sqlite import SqliteStore
from annotator.project.item_pool import load_refs
from annotator.project.project import ProjectFolder
from annotator.project.settings import ClassInfo, Settings
from annotator.proposals import (
    ProposalPrior,
    ProposalTable,
    ProposalWriter,
    open_proposal_project,
    read_proposals,
)
from annotator.proposals.precision import measure_precision
from annotator.proposals.runs import ProcessedImages
from annotator.session.session import LabelSession
from tests.proposals.made_proposals import label, photos, proposal, state_of, write


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return photos(tmp_path / "photos")


@pytest.fixture
def project(images: Path) -> ProjectFolder:
    return open_proposal_project(images)


# --- writing


def test_proposals_of_a_folder_are_the_items_of_a_new_project(project: ProjectFolder) -> None:
    writer = write(project, proposal(10), proposal(100, 0.6, "dog"))
    assert writer.added == 2
    assert list(load_refs(project)) == ["a.png#xywh=10,10,40,30", "a.png#xywh=100,10,40,30"]
    with project.refs_file.open() as lines:
        table = list(csv.DictReader(lines))
    assert [(row["name"], float(row["score"])) for row in table] == [("cat", 0.8), ("dog", 0.6)]


def test_the_same_object_is_one_item(project: ProjectFolder) -> None:
    write(project, proposal(10, 0.8, model="first"))
    writer = write(project, proposal(12, 0.9, model="second"), proposal(90, model="second"))
    assert (writer.added, writer.merged) == (1, 1)
    assert len(load_refs(project)) == 2
    by_item = [(row.ref, row.model) for row in read_proposals(project)]
    assert ("a.png#xywh=10,10,40,30", "first") in by_item
    assert ("a.png#xywh=10,10,40,30", "second") in by_item
    own = next(row for row in read_proposals(project) if row.model == "second" and row.score == 0.9)
    assert own.details["box"] == [12, 10, 40, 30]


def test_another_class_or_another_image_is_another_item(project: ProjectFolder) -> None:
    write(project, proposal(10, name="cat"))
    writer = write(project, proposal(12, name="dog"), proposal(10, path="b.png"))
    assert (writer.added, writer.merged) == (2, 0)
    assert len(load_refs(project)) == 3


def test_two_classes_for_the_very_same_box_are_one_item(project: ProjectFolder) -> None:
    """The label judges the better one, which is what is shown; an acceptance also the other."""
    write(project, proposal(10, 0.9, "cat"))
    write(project, proposal(10, 0.4, "dog"))
    (ref,) = load_refs(project)
    label(project, {ref: "yes"})
    told = {
        group.name: (group.labelled, group.right)
        for group in measure_precision(project, state_of(project))
    }
    assert (told["cat"], told["dog"]) == ((1, 1), (1, 0))
    label(project, {ref: "no"})
    told = {
        group.name: (group.labelled, group.right)
        for group in measure_precision(project, state_of(project))
    }
    assert (told["cat"], told["dog"]) == ((1, 0), (0, 0))


def test_a_model_that_is_run_again_adds_nothing(project: ProjectFolder) -> None:
    write(project, proposal(10), proposal(100))
    before = project.refs_file.read_bytes(), (project.folder / "proposals.csv").read_bytes()
    writer = write(project, proposal(10), proposal(100))
    assert (writer.added, writer.repeated) == (0, 2)
    after = project.refs_file.read_bytes(), (project.folder / "proposals.csv").read_bytes()
    assert after == before


def test_an_item_of_ones_own_takes_the_proposal_that_lies_on_it(images: Path) -> None:
    table = "\ufefffilename;bbox;owner\r\na.png;10-10-40-50;me\r\n"
    settings = Settings(
        (ClassInfo("no"), ClassInfo("yes")), images="../photos", box_order="r1-c1-r2-c2"
    )
    made = ProjectFolder.create(images.with_name("own"), settings)
    made.refs_file.write_bytes(table.encode())
    writer = write(made, proposal(11), proposal(120))
    assert (writer.added, writer.merged) == (1, 1)
    data = made.refs_file.read_bytes().decode()
    assert data.startswith(table)  # byte for byte, and the new row in the same dialect
    assert data[len(table) :] == "a.png;10-120-40-160;\r\n"
    assert list(load_refs(made)) == ["a.png#xywh=10,10,40,30", "a.png#xywh=120,10,40,30"]


def test_a_table_without_boxes_takes_them_as_refs(images: Path) -> None:
    made = ProjectFolder.create(images.with_name("own"), open_proposal_project(images).settings)
    made.refs_file.write_text("filename\na.png\nb.png")  # no line break at its end
    write(made, proposal(10))
    assert list(load_refs(made)) == ["a.png", "b.png", "a.png#xywh=10,10,40,30"]


@pytest.mark.parametrize("score", [float("nan"), -0.1, 1.5, float("inf")])
def test_a_score_that_is_none_is_left_out_and_named(project: ProjectFolder, score: float) -> None:
    writer = write(project, proposal(10, score), proposal(100))
    assert writer.added == 1
    assert len(writer.left_out) == 1 and "a.png" in writer.left_out[0]


KILLED = """
import os, signal, sys
from pathlib import Path
from annotator.project.project import ProjectFolder
from annotator.proposals import ProposalWriter
from annotator.detection.proposal import Proposal
from annotator.items.refs import Box, Item

project = ProjectFolder.open(Path(sys.argv[1]))
writer = ProposalWriter(project)
writer.add(Proposal(Item("a.png", Box(x, 10, 40, 30)), 0.8, "cat", "m") for x in (10, 100))
with (project.folder / "proposals.csv").open("ab") as file:
    file.write(b'"a.png#xywh=1,2')  # in the middle of a line
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_writer_is_made_good_by_the_next(project: ProjectFolder) -> None:
    subprocess.run([sys.executable, "-c", KILLED, project.folder])
    assert len(load_refs(project)) == 0
    assert len(list(read_proposals(project))) == 2
    write(project, proposal(150))
    assert len(load_refs(project)) == 3
    assert len(list(read_proposals(project))) == 3


def test_items_of_a_long_run_are_there_every_minute(project: ProjectFolder) -> None:
    now = [0.0]
    with ProposalWriter(project, clock=lambda: now[0]) as writer:
        writer.add([proposal(10)])
        assert len(load_refs(project)) == 0
        now[0] = 61.0
        writer.add([proposal(100)])
        assert len(load_refs(project)) == 2


def test_two_writers_at_once_are_refused(project: ProjectFolder) -> None:
    with ProposalWriter(project), pytest.raises(ProjectError, match="another process"):
        ProposalWriter(project)


def test_members_and_details_are_kept(project: ProjectFolder) -> None:
    members = (
        ProposalMember(Box(9, 10, 41, 30), 0.7, "x"),
        ProposalMember(Box(11, 10, 39, 30), 0.9, "y"),
    )
    item = Item("a.png", Box(10, 10, 40, 30))
    write(project, Proposal(item, 0.8, "cat", "wbf", 2, members, {"landmarks": [[1, 2]]}))
    (row,) = read_proposals(project)
    assert row.votes == 2
    assert row.details["landmarks"] == [[1, 2]]
    assert [member["model"] for member in row.details["members"]] == ["x", "y"]


def test_faulty_lines_of_proposals_csv_are_named(project: ProjectFolder) -> None:
    write(project, proposal(10))
    with (project.folder / "proposals.csv").open("a") as file:
        file.write("a.png,much,1,cat,m,\n")
    with pytest.raises(RefError, match="line 3"):
        list(read_proposals(project))


def test_done_images_are_remembered_for_the_same_options_alone(project: ProjectFolder) -> None:
    with ProcessedImages(project, {"model": "m"}) as done:
        done.add("a.png")
    with ProcessedImages(project, {"model": "m"}) as done:
        assert "a.png" in done and "b.png" not in done
    with ProcessedImages(project, {"model": "other"}) as done:
        assert "a.png" not in done


def test_images_elsewhere_are_refused(project: ProjectFolder, tmp_path: Path) -> None:
    (tmp_path / "others").mkdir()
    with pytest.raises(ProjectError, match="another folder with --project"):
        open_proposal_project(tmp_path / "others", project.folder)


sides = st.integers(1, 5_000_000).map(lambda n: n / 10_000)


boxes = st.builds(Box, sides, sides, sides, sides)


@given(boxes, st.sampled_from(["xywh", "xyxy", "r1-c1-r2-c2"]))
def test_a_box_in_a_table_is_read_back_as_the_same_item(box: Box, order: str) -> None:
    back = Item("a", parse_box(format_box(box, order), order)).ref
    assert Item.parse(back) == Item.parse(Item("a", box).ref)


# --- boxes


def test_boxes_are_cut_to_the_image_and_none_is_empty() -> None:
    assert clip_box(Box(-5, -5, 20, 20), (10, 12)) == Box(0, 0, 10, 12)
    assert clip_box(Box(10, 0, 5, 5), (10, 12)) is None
    assert clip_box(Box(0, 0, float("nan"), 5), (10, 12)) is None


def test_suppression_keeps_the_best_of_what_overlaps_in_one_class_and_image() -> None:
    near, far, other = proposal(12, 0.9), proposal(80, 0.5), proposal(12, 0.4, "dog")
    kept = suppress_overlaps([proposal(10, 0.8), near, far, other], max_iou=0.5)
    assert kept == [near, far, other]
    assert iou(near.box, far.box) == 0


def test_the_screen_shows_the_proposal_until_a_model_has_learnt(project: ProjectFolder) -> None:
    write(project, proposal(10, 0.8))
    store = SqliteStore(project.labels_file)
    session = LabelSession(
        store, project.settings.names, annotator="ann", clock=itertools.count().__next__,
        prior=ProposalPrior(ProposalTable.load(project), project.settings.names),
    )  # fmt: skip
    session.extend(load_refs(project))
    assert session.prediction == pytest.approx({"no": 0.2, "yes": 0.8})
    entry = session.label("yes")
    assert entry is not None
    assert entry.proba == pytest.approx({"no": 0.2, "yes": 0.8})
    assert entry.model == "m"
    store.close()


def test_an_audit_names_the_proposal_and_hides_what_was_predicted(project: ProjectFolder) -> None:
    write(project, proposal(10, 0.8))
    (ref,) = load_refs(project)
    blind = ProposalPrior(ProposalTable.load(project), project.settings.names, blind=True)
    assert blind.prediction(ref) is None
    assert blind.describe(ref) == "cat"
    seeing = ProposalPrior(ProposalTable.load(project), project.settings.names)
    assert seeing.describe(ref) == "cat 0.80"
    assert seeing.describe(ref, hidden=True) == "cat"
