"""The labelling loop: nothing is asked twice, nothing is lost, undo goes all the way back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from annotator.errors import StoreError
from annotator.items.ref_table import RefTable
from annotator.log.entries import Action
from annotator.log.store.sqlite import SqliteStore
from annotator.session.learner import StrategyChoice
from annotator.session.session import LabelSession
from tests.session.made_sessions import CLASSES, Clock, answer, features_of, session_on, step, truth


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "labels.db"


def test_every_item_is_asked_exactly_once_and_then_the_session_ends(path: Path) -> None:
    session = session_on(path)
    asked = [answer(session) for _ in range(20)]
    assert sorted(asked) == sorted(session.queue.refs)
    assert session.current is None
    assert session.progress.remaining == 0


def test_a_key_for_another_picture_does_nothing(path: Path) -> None:
    session = session_on(path)
    shown = session.current
    assert shown is not None
    assert session.label("ok", "some-other.jpg") is None
    assert session.current == shown
    assert session.progress.labelled == 0


def test_a_label_is_on_disk_before_the_next_item_is_current(path: Path) -> None:
    session = session_on(path)
    ref = answer(session)
    assert [e.ref for e in SqliteStore(path).entries()] == [ref]


def test_undo_goes_back_through_a_restart_to_the_first_label(path: Path) -> None:
    session = session_on(path)
    asked = [answer(session) for _ in range(5)]
    session.close()
    again = session_on(path)
    for ref in reversed(asked):
        assert [e.ref for e in again.undo()] == [ref]
        assert again.current is not None
        assert again.current.ref == ref, "what was undone is asked again at once"
    assert again.undo() == []
    assert again.progress.classes == {"ok": 0, "defect": 0}


def test_an_undone_item_keeps_the_probability_with_which_it_was_drawn(path: Path) -> None:
    session = session_on(path)
    before = session.current_pick
    answer(session)
    session.undo()
    assert session.current_pick == before


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.sampled_from(["label", "skip", "undo", "restart", "learn", "switch"])))
def test_any_mix_of_keys_keeps_the_books(tmp_path: Path, keys: list[str]) -> None:
    """Against the plain model: a stack of decisions."""
    path = tmp_path / "labels.db"
    path.unlink(missing_ok=True)
    session = session_on(path, items=12)
    features = features_of(session, tmp_path)
    session.attach_features(features)
    stack: list[tuple[str, str | None]] = []
    for key in keys:
        current = session.current
        if key in ("label", "skip") and current is not None:
            assert current.ref not in [ref for ref, _ in stack], "asked again"
            label = truth(current.ref) if key == "label" else None
            session.label(label, current.ref) if label else session.skip(current.ref)
            stack.append((current.ref, label))
        elif key == "undo":
            taken = session.undo()
            assert [e.ref for e in taken] == [ref for ref, _ in stack[-1:]]
            stack = stack[:-1]
        elif key == "restart":
            session.close()
            session = session_on(path, items=12)
            session.attach_features(features)
            assert session.current == current, "a restart shows the same picture"
        elif key == "learn":
            step(session)
            assert session.current == current, "learning moved the picture on screen"
        elif key == "switch":
            session.choose_strategy(
                StrategyChoice("random" if session.strategy.name == "margin" else "margin")
            )
        assert (session.current is None) == (len(stack) == 12)
    labels = [label for _, label in stack if label]
    progress = session.progress
    assert (progress.labelled, progress.skipped) == (len(labels), len(stack) - len(labels))
    assert progress.classes == {name: labels.count(name) for name in CLASSES}
    session.close()


def test_skipped_items_come_back_only_when_asked_for(path: Path) -> None:
    session = session_on(path, items=3)
    for _ in range(3):
        session.skip()
    assert session.current is None
    assert session.reopen_skipped() == 3
    assert sorted(answer(session) for _ in range(3)) == sorted(session.queue.refs)


def test_an_item_that_was_skipped_twice_comes_back_as_well(path: Path) -> None:
    session = session_on(path, items=1)
    skipped = session.skip()
    assert skipped is not None
    session.decide({skipped.ref: None}, picked_by="review")
    assert session.reopen_skipped() == 1
    assert answer(session) == skipped.ref


def test_flags_and_notes_stay_with_the_item(path: Path) -> None:
    session = session_on(path)
    assert session.flag("0001.jpg")
    session.note("0001.jpg", "blurred?")
    again = session_on(path)
    assert again.is_flagged("0001.jpg")
    assert again.notes("0001.jpg") == ["blurred?"]
    assert not again.flag("0001.jpg")
    assert not session_on(path).is_flagged("0001.jpg")


def test_two_annotators_never_see_the_same_item_and_see_each_others_labels(path: Path) -> None:
    ann, bob = session_on(path, annotator="ann"), session_on(path, annotator="bob")
    asked: list[str] = []
    for turn in range(20):
        who, other = (ann, bob) if turn % 2 else (bob, ann)
        who.refresh()
        assert who.current is not None
        assert who.current != other.current
        asked.append(answer(who))
    assert sorted(asked) == sorted(ann.queue.refs)
    ann.refresh()
    bob.refresh()
    assert ann.progress.classes == bob.progress.classes == {"ok": 10, "defect": 10}


def test_undo_takes_back_ones_own_labels_only(path: Path) -> None:
    ann, bob = session_on(path, annotator="ann"), session_on(path, annotator="bob")
    ref = answer(ann)
    answer(bob)
    ann.refresh()
    assert [e.ref for e in ann.undo()] == [ref]
    assert ann.undo() == []


def test_while_the_rest_is_on_other_screens_a_session_waits_and_goes_on(path: Path) -> None:
    ann = session_on(path, items=1, annotator="ann")
    bob = session_on(path, items=1, annotator="bob")
    assert bob.current is None
    assert (bob.progress.remaining, bob.progress.elsewhere) == (1, 1)
    ann.close()
    bob.refresh()
    assert bob.current is not None


def test_an_open_screen_keeps_its_item_for_hours(path: Path) -> None:
    clock = Clock()
    ann = session_on(path, items=1, annotator="ann", clock=clock)
    bob = session_on(path, items=1, annotator="bob", clock=clock)
    for _ in range(200):
        clock.now += 60
        ann.refresh()
        bob.refresh()
    assert ann.current is not None
    assert bob.current is None


def test_the_same_seed_asks_the_same_items(tmp_path: Path) -> None:
    def run(name: str, seed: int) -> list[str]:
        (tmp_path / name).mkdir()
        session = session_on(tmp_path / name / "labels.db", items=60, seed=seed)
        session.attach_features(features_of(session, tmp_path / name))
        asked = []
        for _ in range(25):
            asked.append(answer(session))
            step(session)
        return asked

    assert run("a", 1) == run("b", 1)
    assert run("c", 2) != run("d", 1)


def test_a_listing_that_streams_in_loses_no_item_and_no_answer(path: Path) -> None:
    first = session_on(path, items=10)
    done = {answer(first) for _ in range(4)}
    first.close()
    session = LabelSession(SqliteStore(path), CLASSES, annotator="ann", clock=Clock(), ahead=3)
    assert session.current is None
    for start in range(0, 30, 7):
        session.extend([f"{n:04}.jpg" for n in range(start, min(start + 7, 30))])
    rest = [answer(session) for _ in range(26)]
    assert not done & set(rest)
    assert session.current is None


def test_a_million_refs_at_once_are_known_by_their_answers(path: Path) -> None:
    refs = RefTable([f"{n:07}.jpg" for n in range(50_000)])
    first = LabelSession(SqliteStore(path), CLASSES, annotator="ann", clock=Clock())
    first.extend(refs)
    done = {first.label("ok").ref for _ in range(5)}  # type: ignore[union-attr]
    again = LabelSession(SqliteStore(path), CLASSES, annotator="bob", clock=Clock())
    again.extend(RefTable([f"{n:07}.jpg" for n in range(50_000)]))
    closed = again.queue.closed()
    assert {again.queue.refs[row] for row in np.flatnonzero(closed)} >= done
    assert again.progress.remaining == 49_995


@pytest.mark.parametrize("items", [0, 1])
def test_tiny_pools(path: Path, items: int) -> None:
    session = session_on(path, items=items)
    for _ in range(items):
        answer(session)
    assert session.current is None
    assert session.upcoming(5) == []
    assert session.undo() == [] or items == 1


def test_a_failed_write_keeps_the_item_on_screen(path: Path) -> None:
    """SQLite itself says "disk is full" once the file may not grow any more."""
    session = session_on(path, items=5000)
    session.queue._store._log.execute("PRAGMA max_page_count = 1")  # type: ignore[attr-defined]
    with pytest.raises(StoreError, match="disk is full"):
        while current := session.current:
            session.label("ok")
    assert session.current == current
    assert len(list(SqliteStore(path).entries())) == session.progress.labelled > 0


def test_labels_of_a_class_that_is_gone_are_counted_but_not_learnt(path: Path) -> None:
    session = session_on(path)
    answer(session)
    renamed = LabelSession(SqliteStore(path), ("fine", "broken"), annotator="ann", clock=Clock())
    renamed.extend(list(session.queue.refs))
    counts = renamed.progress.classes
    assert counts["fine"] == counts["broken"] == 0
    assert sum(counts.values()) == 1


def test_an_unknown_label_is_refused(path: Path) -> None:
    with pytest.raises(ValueError, match="not among the classes"):
        session_on(path).label("maybe")


def test_skips_are_logged_as_such(path: Path) -> None:
    session = session_on(path)
    session.skip()
    (entry,) = SqliteStore(path).entries()
    assert (entry.action, entry.label) == (Action.SKIP, None)
