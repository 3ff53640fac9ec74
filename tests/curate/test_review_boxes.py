"""Labelled boxes that a detector contradicts, in the queues of the review."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from annotator.curate.review import Review
from annotator.curate.review_boxes import BOX_QUEUES
from annotator.curate.review_evidence import gather_evidence
from annotator.curate.review_queues import ReviewQueues, find_cases
from annotator.detection.proposal import Proposal
from annotator.images import near_duplicates
from annotator.items.refs import Item
from annotator.log.entries import Action, Entry, replay
from annotator.log.store.sqlite import SqliteStore
from annotator.project.item_pool import load_refs
from annotator.project.project import ProjectFolder
from annotator.project.settings import ClassInfo, Settings
from annotator.proposals.writing import ProposalWriter
from annotator.session.session import LabelSession

GOOD = "a.png#xywh=10,10,40,40"
MOVED = "a.png#xywh=60,10,30,40"
CALLED = "b.png#xywh=10,10,40,40"
MISSED = "b.png#xywh=60,60,30,30"


@pytest.fixture
def project(tmp_path: Path) -> ProjectFolder:
    """Three labelled boxes, as an import of COCO makes them."""
    for name in ("a.png", "b.png"):
        Image.new("RGB", (100, 100), "gray").save(tmp_path / name)
    settings = Settings(classes=(ClassInfo("cat"), ClassInfo("dog"), ClassInfo("none")),
                        images=str(tmp_path))  # fmt: skip
    made = ProjectFolder.create(tmp_path / "p", settings)
    rows = [
        'a.png,"10,10,40,40"\n', 'a.png,"60,10,30,40"\n', 'b.png,"10,10,40,40"\n',
    ]  # fmt: skip
    made.refs_file.write_text("filename,bbox\n" + "".join(rows))
    store = SqliteStore(made.labels_file)
    for ref in (GOOD, MOVED, CALLED):
        store.append(Entry(0, 1.0, "ana", Action.LABEL, ref, "cat"))
    store.close()
    return made


def propose(project: ProjectFolder, *found: tuple[str, str, float]) -> None:
    with ProposalWriter(project) as writer:
        writer.add(Proposal(Item.parse(ref), score, name, "m") for ref, name, score in found)


def cases(project: ProjectFolder) -> ReviewQueues:
    store = SqliteStore(project.labels_file)
    state = replay(store.entries())
    prints = near_duplicates.load_fingerprints(project.fingerprints_file, load_refs(project))
    return find_cases(project, store, state, gather_evidence(project, state), prints)


def test_each_kind_of_error_is_in_its_own_queue(project: ProjectFolder) -> None:
    propose(
        project,
        ("a.png#xywh=11,10,40,40", "cat", 0.95), ("a.png#xywh=70,10,30,40", "cat", 0.9),
        ("b.png#xywh=10,11,40,40", "dog", 0.9), (MISSED, "dog", 0.8),
    )  # fmt: skip
    found = cases(project).cases
    assert {queue: [case.ref for case in found[queue]] for queue in BOX_QUEUES} == {
        "overlooked": [MISSED], "misplaced": [MOVED], "swapped": [CALLED],
    }  # fmt: skip
    assert found["swapped"][0].suggestion == found["overlooked"][0].suggestion == "dog"
    assert found["misplaced"][0].neighbours[0].ref == "a.png#xywh=70,10,30,40"
    assert "dog 0.80" in found["overlooked"][0].reason


def test_an_answer_settles_a_case_and_what_was_looked_at_is_not_overlooked(
    project: ProjectFolder,
) -> None:
    propose(project, (MISSED, "dog", 0.8), ("b.png#xywh=10,11,40,40", "dog", 0.9))
    store = SqliteStore(project.labels_file)
    session = LabelSession(store, project.settings.names, annotator="bo")
    evidence = gather_evidence(project, replay(store.entries()))
    review = Review(session, cases(project), evidence, "overlooked")
    assert review.confirm() == []  # it has no label to confirm
    review.answer("none")
    review.choose("swapped")
    review.confirm()
    store.close()
    found = cases(project).cases
    assert [found[queue] for queue in BOX_QUEUES] == [[], [], []]


def test_the_other_box_takes_the_label_and_one_undo_takes_it_back(project: ProjectFolder) -> None:
    better = "a.png#xywh=70,10,30,40"
    propose(project, (better, "cat", 0.9))
    store = SqliteStore(project.labels_file)
    session = LabelSession(store, project.settings.names, annotator="bo")
    evidence = gather_evidence(project, replay(store.entries()))
    review = Review(session, cases(project), evidence, "misplaced")
    assert review.queues["overlooked"] == 0  # it is the object of a box
    assert len(review.take_other_box()) == 2
    label = session.state.label
    assert (label(MOVED), label(better)) == ("none", "cat")
    assert cases(project).cases["misplaced"] == []
    review.undo()
    assert (label(MOVED), label(better)) == ("cat", None)
    store.close()


def test_without_proposals_the_queues_say_what_they_need(project: ProjectFolder) -> None:
    reasons = cases(project).why_not
    assert all("annotator detect" in reasons[queue] for queue in BOX_QUEUES)
