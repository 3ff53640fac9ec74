"""HITs: made with gold items, given out once, taken up where they were left, turned into labels."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from annotator.errors import ProjectError, RefError
from annotator.hits.assignments import SubmitChecks, completion_code, project_salt
from annotator.hits.files import gold_file, save_hit_set, select_hit_set
from annotator.hits.recorder import PageTile
from annotator.hits.scores import decide_assignments, gold_answers, hits_status
from annotator.hits.traces import replay_traces
from annotator.hits.work import write_missing_labels
from annotator.log.entries import Action, Entry, replay
from annotator.log.store.sqlite import SqliteStore
from annotator.pages import PageNotReady
from annotator.project.project import ProjectFolder
from annotator.project.settings import ClassInfo, Settings
from tests.hits.hit_worker import Desk, hits_of, is_cat, labels


@pytest.fixture
def project(tmp_path: Path) -> ProjectFolder:
    """40 images, every third a cat, the first twelve labelled already."""
    (tmp_path / "images").mkdir()
    refs = [f"{number:02d}.png" for number in range(40)]
    for ref in refs:
        (tmp_path / "images" / ref).touch()
    classes = (ClassInfo("other"), ClassInfo("cat", description="a small feline"))
    made = ProjectFolder.create(tmp_path / "p", Settings(classes=classes, images="../images"))
    made.refs_file.write_text("filename\n" + "\n".join(refs))
    store = SqliteStore(made.labels_file)
    store.append(
        *(
            Entry(0, 1.0, "ann", Action.LABEL, ref, "cat" if is_cat(ref) else "other")
            for ref in refs[:12]
        )
    )
    store.close()
    return made


def test_every_page_has_its_gold_and_every_candidate_is_asked_once(project: ProjectFolder) -> None:
    hits = hits_of(project)
    known = set(labels(project))
    asked = []
    for page in (page for hit in hits.hits for page in hit.pages):
        assert sorted(page.gold.values()) == [False, False, True, True]
        assert all(is_cat(ref) == wanted for ref, wanted in page.gold.items())
        assert known >= set(page.gold)
        assert len(page.images) <= 10
        asked += [image.ref for image in page.images if image.id not in page.gold]
    assert sorted(asked) == [f"{number:02d}.png" for number in range(12, 40)]
    assert hits.negative == "other", "of two classes, what is not the one is the other"


def test_gold_items_stand_anywhere_on_the_page_and_the_order_can_be_drawn_again(
    project: ProjectFolder,
) -> None:
    hits = hits_of(project)
    places = [
        [image.id for image in page.images].index(ref)
        for hit in hits.hits
        for page in hit.pages
        for ref in page.gold
    ]
    assert len(set(places)) > 4
    assert hits == hits_of(project)
    assert hits != hits_of(project, seed=1)
    assert all(page.seed is not None for hit in hits.hits for page in hit.pages)


def test_too_few_known_items_are_said_with_what_to_do(project: ProjectFolder) -> None:
    with pytest.raises(ProjectError, match=r"4 labelled items are.*--gold 4"):
        hits_of(project, gold=5, images=48)
    with pytest.raises(ProjectError, match="dog"):
        hits_of(project, classes=("dog",))
    with pytest.raises(ProjectError, match="leave no room"):
        hits_of(project, images=4)


def test_a_set_reads_back_as_it_was_written_and_is_never_replaced(project: ProjectFolder) -> None:
    hits = hits_of(project, workers=3)
    save_hit_set(project, hits)
    assert select_hit_set(project, "cats") == hits
    with pytest.raises(ProjectError, match="another --name"):
        save_hit_set(project, hits)


def test_a_worker_does_one_hit_and_is_told_the_code_again(project: ProjectFolder) -> None:
    save_hit_set(project, hits_of(project))
    ann, bob = Desk(project, "ann"), Desk(project, "bob")
    assert ann.source.task.hit.id != bob.source.task.hit.id, "one worker a HIT"
    for _ in ann.source.task.hit.pages:
        ann.do()
    code = ann.source.task.assignment.code
    assert code in ann.source.no_pages_message
    assert code == completion_code(ann.source.task.assignment.id, project_salt(project))
    with pytest.raises(ProjectError, match=code):
        Desk(project, "ann")


def test_no_hit_is_left_once_each_has_its_worker(project: ProjectFolder) -> None:
    save_hit_set(project, hits_of(project, hits=1, workers=2))
    assert Desk(project, "ann").source.task.hit == Desk(project, "bob").source.task.hit
    with pytest.raises(ProjectError, match="No HIT of cats is left"):
        Desk(project, "cid")


def test_no_name_of_a_worker_is_anywhere_in_the_project(project: ProjectFolder) -> None:
    save_hit_set(project, hits_of(project))
    Desk(project, "A3SECRETNAME").do()
    for file in project.folder.rglob("*"):
        assert not file.is_file() or b"A3SECRETNAME" not in file.read_bytes(), file


# --- working


def test_answers_become_labels_that_undo_takes_back_as_a_page(project: ProjectFolder) -> None:
    save_hit_set(project, hits_of(project))
    before = labels(project)
    desk = Desk(project)
    page = desk.do()
    asked = set(page.refs) - set(before)
    found = labels(project)
    assert {ref: found[ref] for ref in asked} == {
        ref: "cat" if is_cat(ref) else "other" for ref in asked
    }
    entries = [e for e in SqliteStore(project.labels_file).entries() if e.picked_by == "hit"]
    assert {e.ref for e in entries} == asked, "gold items have their labels already"
    assert {(e.extra or {})["group"] for e in entries} == {page.key}
    assert {e.q for e in entries} == {None}
    again = desk.source.undo()
    assert again is not None
    assert (again.key, again.refs, set(again.selected)) == (
        page.key, page.refs, {ref for ref in page.refs if is_cat(ref)},
    )  # fmt: skip
    assert labels(project) == before


def test_of_three_classes_only_what_is_selected_gets_a_label(project: ProjectFolder) -> None:
    file = project.folder / "annotator.toml"
    file.write_text(file.read_text() + '[[classes]]\nname = "dog"\n')
    project = ProjectFolder.open(project.folder)
    save_hit_set(project, hits_of(project))
    desk = Desk(project)
    page = desk.do()
    given = {ref for ref in page.refs if labels(project).get(ref) == "cat"}
    assert given >= {ref for ref in page.refs if is_cat(ref)}
    assert not [ref for ref in page.refs if not is_cat(ref) and int(ref[:2]) >= 12 and
                ref in labels(project)]  # fmt: skip


def test_a_killed_hit_goes_on_inside_the_page(project: ProjectFolder) -> None:
    save_hit_set(project, hits_of(project))
    desk = Desk(project)
    first = desk.do()
    second = desk.show()
    cats = [ref for ref in second.refs if is_cat(ref)]
    desk.select(second, cats)
    desk.recorder.deselect(second.refs.index(cats[0]), desk.now + 1, "mouse")
    desk.kill()

    again = Desk(project)
    assert again.source.pages_done == 1
    assert again.source.task.assignment.id == desk.source.task.assignment.id
    page = again.source.next()
    assert page is not None
    assert (page.number, page.key, page.refs) == (2, second.key, second.refs)
    assert set(page.selected) == set(cats[1:])
    again.now = desk.now + 60_000
    again.put(page)
    again.select(page, cats[:1])
    again.source.submit(page, dict.fromkeys(cats))
    assert first.key != page.key
    trace = next(trace for trace in replay_traces(again.store) if trace.id == page.key)
    assert trace.resumes == [desk.now + 60_000]
    assert {trace.images[i].ref for i in trace.selected} == set(cats)
    assert [s["time"] for s in trace.images[page.refs.index(cats[0])].selections] == [
        desk.now - 100 * (len(cats) - 1), again.now,
    ]  # fmt: skip


def test_labels_that_a_crash_swallowed_are_written_later(project: ProjectFolder) -> None:
    save_hit_set(project, hits_of(project))
    desk = Desk(project)
    page = desk.show()
    cats = [ref for ref in page.refs if is_cat(ref)]
    desk.select(page, cats)
    desk.recorder.submit(desk.now)
    desk.kill()  # after the page was submitted, before its labels
    asked = set(page.refs) - set(labels(project))
    assert asked
    store = SqliteStore(project.labels_file)
    assert write_missing_labels(project, store, desk.now + 10) == 0, "somebody may be at it"
    assert write_missing_labels(project, store, desk.now + 61_000) == len(asked)
    assert write_missing_labels(project, store, desk.now + 99_000) == 0
    assert all(labels(project)[ref] == ("cat" if is_cat(ref) else "other") for ref in asked)


def test_two_workers_on_one_hit_are_compared_and_the_first_one_counts(
    project: ProjectFolder,
) -> None:
    save_hit_set(project, hits_of(project, hits=1, workers=2))
    ann, bob = Desk(project, "ann"), Desk(project, "bob")
    page = ann.do()
    wrong = next(ref for ref in page.refs if is_cat(ref) and int(ref[:2]) >= 12)
    bob.do(wrong=[wrong])
    state = replay(SqliteStore(project.labels_file).entries())
    assert state.label(wrong) == "cat"
    assert [(e.annotator, e.label) for e in state.opinions[wrong]] == [(bob.worker, "other")]


def test_gold_says_who_knows_the_class(project: ProjectFolder) -> None:
    save_hit_set(project, hits_of(project, hits=1, workers=2))
    ann, bob = Desk(project, "ann"), Desk(project, "bob")
    ann.do()
    gold = bob.source.task.hit.pages[0].gold
    missed = next(ref for ref, wanted in gold.items() if wanted)
    bob.do(wrong=[missed])
    workers = {row["worker"]: row for row in hits_status(project, ann.store)["workers"]}
    assert workers[ann.worker]["score"] == 1.0
    assert workers[bob.worker]["right"] == 3
    assert workers[bob.worker]["positives"] == 0.5
    assert workers[bob.worker]["negatives"] == 1.0
    wrong = [answer for answer in gold_answers(project, ann.store) if not answer.right]
    assert [(a.ref, a.worker, a.wanted) for a in wrong] == [(missed, bob.worker, True)]


# --- checks


def test_a_page_is_not_submitted_before_its_time_nor_unseen(project: ProjectFolder) -> None:
    save_hit_set(project, hits_of(project))
    desk = Desk(project, checks=SubmitChecks(5.0, True))
    page = desk.show(view=False)
    desk.now += 2000
    with pytest.raises(PageNotReady, match="3 s"):
        desk.source.submit(page, {})
    desk.now += 3000
    desk.recorder.scroll(0, 6, desk.now)
    with pytest.raises(PageNotReady, match="4 of 10 images") as refused:
        desk.source.submit(page, {})
    assert refused.value.place == 6
    desk.recorder.scroll(4, 10, desk.now)
    desk.source.submit(page, {})
    assert desk.source.pages_done == 1


def test_where_images_are_blurred_each_must_be_visited(project: ProjectFolder) -> None:
    save_hit_set(project, hits_of(project))
    desk = Desk(project, checks=SubmitChecks(0.0, True), version="NO_POINTER_NO_ORIGINAL")
    page = desk.show()
    for place in range(9):
        desk.recorder.enter(place, desk.now)
    with pytest.raises(PageNotReady, match="move over them"):
        desk.source.submit(page, {})
    desk.recorder.cursor(9, desk.now)
    desk.source.submit(page, {})


def test_time_and_views_before_a_kill_count(project: ProjectFolder) -> None:
    save_hit_set(project, hits_of(project))
    checks = SubmitChecks(5.0, True)
    desk = Desk(project, checks=checks)
    page = desk.show()
    desk.now += 4000
    desk.recorder.select(0, 0.5, 0.5, desk.now, "mouse")
    desk.kill()
    again = Desk(project, checks=checks)
    page_again = again.source.next()
    assert page_again is not None
    again.put(page_again, view=False)
    again.now += 900
    with pytest.raises(PageNotReady):
        again.source.submit(page_again, {page.refs[0]: None})
    again.now += 200
    again.source.submit(page_again, {page.refs[0]: None})


def test_a_broken_image_is_replaced_from_the_reserve_and_logged(project: ProjectFolder) -> None:
    save_hit_set(project, hits_of(project, hits=1))
    desk = Desk(project)
    page = desk.show()
    place = next(i for i, ref in enumerate(page.refs) if int(ref[:2]) >= 12)
    gone = page.refs[place]
    better = desk.source.replace_image(page, gone)
    assert better is not None
    fresh = better.refs[place]
    assert fresh not in page.refs
    desk.recorder.replace(place, "cannot be read", PageTile(fresh, fresh), desk.now)
    desk.recorder.scroll(0, len(page.refs), desk.now)
    desk.source.submit(better, {})
    assert fresh in labels(project)
    assert gone not in labels(project)
    (trace,) = replay_traces(desk.store)
    assert [(image.ref, image.broken) for image in trace.replaced] == [(gone, "cannot be read")]
    assert trace.images[place].ref == fresh


def test_gold_answers_lie_apart_from_what_a_worker_reads(project: ProjectFolder) -> None:
    hits = hits_of(project)
    file = save_hit_set(project, hits)
    apart = gold_file(file)
    assert stat.S_IMODE(apart.stat().st_mode) == 0o600
    assert stat.S_IMODE(apart.parent.stat().st_mode) == 0o700
    pages = [page for hit in json.loads(file.read_text())["hits"] for page in hit["pages"]]
    assert all(set(page["gold"].values()) == {None} for page in pages)
    assert select_hit_set(project, None) == hits
    # To the worker's account the file is not there: gold items still get no label.
    content = apart.read_bytes()
    apart.unlink()
    desk = Desk(project)
    page = desk.do()
    gold = desk.source.task.hit.pages[page.number - 1].gold
    assert set(gold.values()) == {None}
    entries = [entry for entry in desk.store.entries() if entry.picked_by == "hit"]
    assert entries and not {entry.ref for entry in entries} & set(gold)
    apart.write_bytes(content)
    assert next(iter(hits_status(project, desk.store)["workers"]))["gold"] == len(gold)
    apart.write_text("[]")
    with pytest.raises(RefError, match="hits make"):
        select_hit_set(project, None)


def test_assignments_of_the_platform_are_approved_and_rejected(project: ProjectFolder) -> None:
    save_hit_set(project, hits_of(project, pages=1, workers=None))
    good, bad = Desk(project, "GOOD", external="AMT-1"), Desk(project, "BAD", external="AMT-2")
    Desk(project, "OPEN", external="AMT-3")
    good.do()
    gold = list(bad.source.task.hit.pages[0].gold)
    bad.do(wrong=gold[:2])
    Desk(project, "NOBODY").do()
    decisions, others = decide_assignments(project, good.store, 0.75)
    assert [decision._asdict() for decision in decisions] == [
        {"AssignmentId": "AMT-1", "Approve": "X", "Reject": ""},
        {
            "AssignmentId": "AMT-2",
            "Approve": "",
            "Reject": "2 of 4 known images answered right",
        },
    ]
    assert others == 1
    assert all(decision.Approve for decision in decide_assignments(project, good.store, 0.5)[0])


@pytest.mark.parametrize("damage", [b"", b"\xff\xfe", b"0" * 31, b"[]"])
def test_a_damaged_secret_is_named_and_no_worker_becomes_a_new_one(
    project: ProjectFolder, damage: bytes
) -> None:
    secret = project_salt(project)
    file = project.folder / "worker-salt.txt"
    file.write_bytes(damage)
    with pytest.raises(ProjectError, match=r"worker-salt.txt is damaged.*a copy back"):
        project_salt(project)
    file.write_text(secret + "\n")
    assert project_salt(project) == secret


@pytest.mark.parametrize("damage", [b"", b"[", b"[" * 200_000, b"5", b"\xff"])
def test_damaged_gold_answers_are_not_dropped(project: ProjectFolder, damage: bytes) -> None:
    file = save_hit_set(project, hits_of(project))
    gold_file(file).write_bytes(damage)
    with pytest.raises(RefError, match="does not fit"):
        select_hit_set(project, None)
    gold_file(file).unlink()
    gold_file(file).mkdir()
    with pytest.raises(RefError, match="does not fit"):
        select_hit_set(project, None)
