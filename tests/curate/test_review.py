"""Doubtful labels are found, decided once, and every decision is a row of the log."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from annotator.curate.review_case import DOUBTFUL_QUEUES
from annotator.curate.review_evidence import gather_evidence
from annotator.curate.review_queues import describe_opposing
from annotator.features.store import FeatureStore
from annotator.images import ImageFolder, near_duplicates
from annotator.items.ref_table import RefTable
from annotator.learn.label_conflicts import find_likely_errors, measure_doubts
from annotator.log.entries import Action, Entry
from annotator.log.store.sqlite import SqliteStore
from annotator.project.item_pool import load_refs
from annotator.session.session import LabelSession
from tests.curate.review_bench import Bench, truth


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_planted_errors_are_found_and_nothing_else(bench: Bench) -> None:
    wrong = ["07.png", "22.png", "45.png"]
    bench.label_all(wrong)
    assert set(bench.refs_in("errors")) == set(wrong)
    assert set(bench.refs_in("neighbours")) == set(wrong)
    for case in bench.found().cases["errors"]:
        assert case.suggestion == truth(case.ref)
        assert f"the model predicts {truth(case.ref)}" in case.reason


def test_a_change_is_a_row_of_the_log_that_undo_takes_back(bench: Bench) -> None:
    bench.label_all(["07.png"])
    review = bench.review("errors")
    assert review.current is not None
    assert review.current.by == "ana"
    review.answer("crack", shown_ms=700)
    last = list(bench.store.entries())[-1]
    assert (last.annotator, last.ref, last.label) == ("bo", "07.png", "crack")
    assert (last.picked_by, last.q, last.shown_ms) == ("review", None, 700)
    assert last.extra is not None
    assert last.extra["review"] == "errors"
    assert bench.state.label("07.png") == "crack"
    assert review.current is None
    assert review.undo() is not None
    assert bench.state.label("07.png") == "rust"
    assert review.current.ref == "07.png"
    assert review.undo() is None  # ana's labels are not bo's to take back


def test_what_is_confirmed_comes_back_only_when_something_new_is_said(bench: Bench) -> None:
    bench.label_all(["07.png", "22.png"])
    review = bench.review("errors")
    first = review.current
    assert first is not None
    review.confirm()
    assert bench.state.label(first.ref) == first.label
    assert first.ref not in bench.refs_in("errors")
    assert first.ref in bench.refs_in("neighbours")  # each queue has its own reasons
    bench.label(first.ref, truth(first.ref), who="cy", extra={"second": True})
    assert first.ref in bench.refs_in("errors")


def test_labels_of_a_review_are_learnt_from_and_not_compared_as_opinions(bench: Bench) -> None:
    bench.label_all(["07.png"])
    bench.review("errors").answer("crack")
    evidence = gather_evidence(bench.project, bench.state)
    assert evidence.classes[evidence.y[evidence.row("07.png")]] == "crack"
    assert bench.refs_in("disagreements") == []


def test_disagreements_say_who_said_what(bench: Bench) -> None:
    bench.label("00.png", "ok")
    bench.label("00.png", "crack", who="bo", extra={"second": True})
    bench.label("03.png", "ok")
    bench.label("03.png", "ok", who="bo", extra={"second": True})
    bench.label("06.png", "ok")
    bench.label("06.png", "rust", extra={"second": True, "repeat": True})
    cases = {case.ref: case for case in bench.found().cases["disagreements"]}
    assert cases.keys() == {"00.png", "06.png"}
    assert cases["00.png"].reason == "ana: ok · bo: crack"
    assert cases["06.png"].reason == "ana: ok · ana again: rust"
    assert cases["06.png"].suggestion == "rust"


@pytest.mark.parametrize(
    ("rows", "is_disputed"),
    [
        ([("ana", "ok", {}), ("bo", "crack", {"review": "errors"})], False),  # a correction
        ([("ana", "ok", {}), ("bo", "crack", {}), ("ana", "ok", {})], True),
        ([("ana", "ok", {}), ("ana", "crack", {}), ("ana", "ok", {})], False),
        ([("ana", "ok", {}), ("bo", "crack", {"second": True}), ("cy", "crack", {"second": True})],
         False),
        ([("ana", "ok", {}), ("bo", "crack", {"second": True}), ("cy", "crack", {"second": True}),
          ("dan", "ok", {"second": True})], True),
        ([("ana", "ok", {"machine": True}), ("bo", "crack", {}), ("cy", "ok", {})], False),
    ],
)  # fmt: skip
def test_a_dispute_is_more_than_a_correction(
    bench: Bench, rows: list[tuple[str, str, dict[str, object]]], is_disputed: bool
) -> None:
    for who, label, extra in rows:
        bench.label("00.png", label, who=who, extra=extra or None)
    assert bench.refs_in("disputed") == (["00.png"] if is_disputed else [])
    if is_disputed:
        (case,) = bench.found().cases["disputed"]
        assert case.suggestion == "crack"
        assert "crack: bo" in case.reason
        bench.review("disputed", who="eve").confirm()
        assert bench.refs_in("disputed") == []


def test_the_second_order_is_chosen_and_turned(bench: Bench) -> None:
    bench.label_all(["07.png", "22.png", "45.png"])
    review = bench.review("errors")
    assert review.has_orders
    first = review.current
    review.turn_order()
    assert review.order == "ambiguous"
    cases = [case for case in (review.current, *review.upcoming(9)) if case]
    doubts = [case.ambiguity for case in cases]
    assert doubts == sorted(doubts, key=lambda doubt: -(doubt or 0))
    review.turn_order()
    assert review.current == first
    assert not bench.review("neighbours").has_orders


def test_a_strange_item_is_an_outlier(bench: Bench, tmp_path: Path) -> None:
    matrix = np.load(tmp_path / "x.npy")
    matrix[10] = np.eye(12)[11]
    np.save(tmp_path / "x.npy", matrix)
    FeatureStore.adopt(bench.project.features_folder, tmp_path / "x.npy", RefTable(bench.refs))
    bench.label_all()
    (case,) = bench.found().cases["outliers"]
    assert case.ref == "10.png"
    assert "away, usual is" in case.reason


def test_flagged_and_skipped_items_are_offered_once(bench: Bench) -> None:
    bench.label("00.png", "ok")
    flag = Entry(0, 1.0, "ana", Action.FLAG, "00.png")
    open_ = replace(flag, ref="01.png")
    skip = Entry(0, 1.0, "ana", Action.SKIP, "02.png")
    bench.store.append(flag, open_, skip, Entry(0, 1.0, "ana", Action.NOTE, "02.png", note="blur"))
    assert set(bench.refs_in("flagged")) == {"00.png", "01.png"}
    (case,) = bench.found().cases["skipped"]
    assert case.reason == "skipped by ana: blur"

    review = bench.review("skipped")
    assert [entry.action for entry in review.confirm()] == [Action.SKIP]
    review.choose("flagged")
    assert review.current is not None
    assert review.current.ref == "01.png"  # the latest flag first
    assert review.confirm() == []  # it has no label to confirm
    review.answer("crack")
    review.confirm()
    assert bench.refs_in("flagged") == bench.refs_in("skipped") == []
    bench.store.append(replace(flag, extra={"on": False}), flag)
    assert bench.refs_in("flagged") == ["00.png"]  # flagged anew


def test_near_duplicates_with_different_labels_are_decided_together(bench: Bench) -> None:
    picture = np.random.default_rng(0).integers(0, 255, (6, 8, 3), np.uint8)
    for name in ("00.png", "03.png", "06.png"):
        image = Image.fromarray(picture).resize((80, 60))
        image.save(bench.project.folder / name)
    refs = load_refs(bench.project)
    near_duplicates.update_fingerprints(
        ImageFolder(bench.project.images), bench.project.fingerprints_file, refs, np.arange(10)
    )
    bench.label("00.png", "ok")
    bench.label("03.png", "ok")
    assert bench.refs_in("duplicates") == []
    bench.label("06.png", "rust")
    (case,) = bench.found().cases["duplicates"]
    assert (case.ref, case.suggestion) == ("06.png", "ok")
    assert case.reason == "3 near-duplicates: 2 ok, 1 rust"

    review = bench.review("duplicates")
    assert len(review.answer("crack")) == 3
    assert {bench.state.label(ref) for ref in case.group} == {"crack"}
    review.undo()
    assert [bench.state.label(ref) for ref in sorted(case.group)] == ["ok", "ok", "rust"]
    assert len(review.confirm()) == 3
    assert bench.refs_in("duplicates") == []


def test_a_case_that_was_decided_meanwhile_is_not_offered(bench: Bench) -> None:
    bench.label_all(["07.png", "22.png"])
    review = bench.review("errors")
    assert review.current is not None
    seen = review.current.ref
    bench.label(seen, truth(seen), who="cy")
    review.session.refresh()
    assert review.current is not None
    assert review.current.ref != seen
    assert review.queues["errors"] == 1


def test_a_case_that_another_annotator_confirmed_is_not_offered_again(bench: Bench) -> None:
    bench.label_all(["07.png", "22.png"])
    mine, other = bench.review("errors"), bench.review("errors", who="cy")
    first = mine.current
    other.confirm()
    mine.session.refresh()
    assert first is not None and mine.current is not None
    assert mine.current.ref != first.ref
    mine.confirm()
    assert mine.current is None
    mine.undo()
    assert mine.current is not None
    assert mine.current.ref != first.ref


def test_what_another_annotator_confirms_further_down_is_not_counted_until_undone(
    bench: Bench,
) -> None:
    bench.label_all(["07.png", "22.png", "45.png"])
    mine = bench.review("errors")
    bench.store = SqliteStore(bench.project.labels_file)  # as another program has it
    other = bench.review("errors", who="cy")
    first = mine.current
    other.postpone()
    other.confirm()
    mine.session.refresh()
    assert mine.queues["errors"] == 2
    assert mine.current == first
    other.undo()
    mine.session.refresh()
    assert mine.queues["errors"] == 3


def test_later_puts_a_case_at_the_end(bench: Bench) -> None:
    bench.label_all(["07.png", "22.png", "45.png"])
    review = bench.review("errors")
    order = bench.refs_in("errors")
    review.postpone()
    assert review.current is not None
    assert review.current.ref == order[1]
    assert [case.ref for case in review.upcoming(5)] == [order[2], order[0]]


def test_without_features_the_other_queues_work(bench: Bench) -> None:
    bench.label("00.png", "ok")
    bench.store.append(Entry(0, 1.0, "ana", Action.FLAG, "00.png"))
    (bench.project.features_folder / "meta.json").unlink()
    found = bench.found()
    assert found.counts["flagged"] == 1
    assert "annotator features" in found.why_not["errors"]
    assert set(found.cases) | set(found.why_not) == set(DOUBTFUL_QUEUES)


def test_the_rule_of_confident_learning_by_hand() -> None:
    """Two classes. Mean self-confidence is 0.6 for class 0 (0.9, 0.7, 0.2) and 0.8 for class 1.
    Row 2, labelled 0, reaches class 1's 0.8; row 5, labelled 1, has 0.55 for class 0: not 0.6."""
    y = np.array([0, 0, 0, 1, 1, 1])
    ones = np.array([0.1, 0.3, 0.8, 0.95, 1.0, 0.45])
    found = find_likely_errors(y, np.stack([1 - ones, ones], axis=1))
    assert found.rows.tolist() == [2]
    assert found.suspects.tolist() == [1]
    assert found.doubts[0] == pytest.approx(0.8)  # the label has 0.2


def test_a_slip_comes_first_and_between_alike_classes_it_comes_last() -> None:
    """Row 0 is a slip of the hand; row 1 may well be either of two classes."""
    y = np.array([0, 0, 0, 1, 1, 2, 2])
    proba = np.full((7, 3), 0.05)
    proba[np.arange(7), y] = 0.9
    proba[0] = 0.0001, 0.5, 0.4999
    proba[1] = 0.2, 0.75, 0.05
    own, ambiguities = measure_doubts(y, proba)
    assert np.argsort(own)[:2].tolist() == [0, 1]
    assert np.argsort(-ambiguities)[:2].tolist() == [1, 0]


def test_missed_gold_is_offered_until_it_is_decided(bench: Bench) -> None:
    """A worker leaves one known crack out and takes one known ok for a crack."""
    from annotator.hits.assignments import Assignments, HitTask, SubmitChecks, worker_id
    from annotator.hits.files import save_hit_set
    from annotator.hits.make import HitRecipe, make_hits
    from annotator.hits.model import VERSIONS
    from annotator.hits.recorder import Recorder
    from annotator.hits.work import HitSource

    bench.label_all()
    recipe = HitRecipe(name="cracks", classes=("crack",), pages=1, images=10, gold=2)
    hits = make_hits(bench.project, bench.state, recipe)
    save_hit_set(bench.project, hits)
    worker = worker_id(bench.project, "W1")
    now = 2_000_000
    book = Assignments(bench.store, lambda: now)
    given = book.begin(book.assign(hits, worker), VERSIONS[0], SubmitChecks(0.0, False))
    task = HitTask(hits, hits.hit(given.hit), given)
    recorder = Recorder(bench.store, worker, version=VERSIONS[0], annotation=given.id)
    source = HitSource(
        task,
        LabelSession(bench.store, bench.project.settings.names, annotator=worker),
        bench.store,
        recorder,
        book,
        "salt",
        lambda: now,
    )
    page = source.next()
    assert page is not None
    _answer_page(recorder, source, page, now)

    cases = {case.ref: case for case in bench.found().cases["gold"]}
    wanted = [ref for ref in page.refs if ref in cases]
    assert len(wanted) == 4  # everything that was known was answered the wrong way round
    reasons = {truth(ref): cases[ref].reason for ref in wanted}
    assert "did not select it as crack" in reasons["crack"]
    review = bench.review("gold")
    for _ in range(4):
        review.confirm()
    assert bench.refs_in("gold") == []


def _answer_page(recorder: Any, source: Any, page: Any, now: int) -> None:
    """Answer a page: select all items but the cracks."""
    from annotator.hits.recorder import PageShown, PageTile, TerminalWindow

    tiles = [PageTile(source.image_id(page, i), ref) for i, ref in enumerate(page.refs)]
    shown = PageShown(now, page.number, page.label, page.select, page.order, id=page.key)
    recorder.page_shown(shown, tiles, TerminalWindow(80, 24))
    recorder.scroll(0, len(tiles), now)
    picked = [ref for ref in page.refs if truth(ref) != "crack"]
    for ref in picked:
        recorder.select(page.refs.index(ref), 0.5, 0.5, now, "mouse")
    source.submit(page, dict.fromkeys(picked))


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "annotator", "review", *arguments]
    return subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)


def test_the_command_without_a_screen(bench: Bench) -> None:
    bench.label_all(["07.png", "22.png"])
    folder = str(bench.project.folder)
    ran = _run(folder, "--json", "-n", "1")
    found = json.loads(ran.stdout)
    assert found["queues"]["errors"]["count"] == 2
    errors = [case for case in found["cases"] if case["queue"] == "errors"]
    assert len(errors) == 1
    assert len(errors[0]["neighbours"]) == 5
    assert sum(errors[0]["proba"].values()) == pytest.approx(1, abs=0.01)

    ran = _run(folder, "--list", "--queue", "neighbours")
    assert {line.split("\t")[1] for line in ran.stdout.splitlines()} == {"07.png", "22.png"}

    ran = _run(folder, "--prepare")
    assert (ran.returncode, "90 items compared; 90 cannot be read" in ran.stderr) == (0, True)
    ran = _run(folder)
    assert (ran.returncode, "--json" in ran.stderr) == (1, True)
    ran = _run(folder, "--queue", "typos")
    assert (ran.returncode, "disagreements" in ran.stderr) == (2, True)


def test_a_queue_that_cannot_be_made_says_what_it_takes(bench: Bench) -> None:
    bench.label("00.png", "ok")
    ran = _run(str(bench.project.folder), "--queue", "errors", "--list")
    assert ran.returncode == 1
    assert "Label at least 2: `annotator run" in ran.stderr


def test_the_reason_counts_all_nearest_items_with_other_labels() -> None:
    assert describe_opposing(4, 5, 4, "cat") == "4 of the 5 nearest labelled items are cat"
    words = "4 of the 5 nearest labelled items have other labels, 2 are cat"
    assert describe_opposing(4, 5, 2, "cat") == words
