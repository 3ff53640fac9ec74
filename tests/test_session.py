"""The labelling loop: nothing is asked twice, nothing is lost, undo goes all the way back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from annotator.errors import StoreError
from annotator.features.store import FeatureStore
from annotator.learn.ranking import learn
from annotator.log import Action
from annotator.reftable import RefTable
from annotator.session import Session, Strategy
from annotator.store import SqliteStore

CLASSES = ("ok", "defect")


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def session_on(path: Path | str, items: int = 20, **given_: object) -> Session:
    options = {"annotator": "ann", "clock": Clock(), "ahead": 3, **given_}
    session = Session(SqliteStore(path), CLASSES, **options)  # type: ignore[arg-type]
    session.extend([f"{n:04}.jpg" for n in range(items)])
    return session


def truth(ref: str) -> str:
    return CLASSES[int(ref[:4]) % 2]


def answer(session: Session) -> str:
    assert session.current is not None
    ref = session.current.ref
    assert session.label(truth(ref), ref) is not None
    return ref


def features_of(session: Session, folder: Path, seed: int = 0) -> FeatureStore:
    """Two well separated clouds, odd and even items."""
    rng = np.random.default_rng(seed)
    refs = list(session.queue.refs)
    sign = np.array([1 if truth(ref) == "ok" else -1 for ref in refs])
    matrix = rng.normal(0, 0.3, (len(refs), 8)).astype(np.float32)
    matrix[:, 0] += sign
    np.save(folder / "mine.npy", matrix)
    return FeatureStore.adopt(folder / "features", folder / "mine.npy", RefTable(refs))


def step(session: Session) -> None:
    snapshot = session.snapshot()
    assert snapshot is not None
    session.adopt(learn(snapshot, session.seed))


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
    before = session.asked
    answer(session)
    session.undo()
    assert session.asked == before


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
    session.attach(features)
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
            session.attach(features)
            assert session.current == current, "a restart shows the same picture"
        elif key == "learn":
            step(session)
            assert session.current == current, "learning moved the picture on screen"
        elif key == "switch":
            session.choose(Strategy("random" if session.strategy.name == "margin" else "margin"))
        assert (session.current is None) == (len(stack) == 12)
    labels = [label for _, label in stack if label]
    progress = session.progress
    assert (progress.labelled, progress.skipped) == (len(labels), len(stack) - len(labels))
    assert progress.classes == {name: labels.count(name) for name in CLASSES}
    session.close()


def test_a_strategy_chosen_while_a_fit_is_under_way_fills_the_queue_with_the_next(
    path: Path, tmp_path: Path
) -> None:
    session = session_on(path, items=12)
    session.attach(features_of(session, tmp_path))
    for _ in range(4):
        answer(session)
        step(session)
    snapshot = session.snapshot()
    assert snapshot is not None
    session.choose(Strategy("max-probability", find=CLASSES[0]))
    session.adopt(learn(snapshot, 0))  # it was asked before
    step(session)
    answer(session)  # what is on screen stays
    asked = session.asked
    assert asked is not None
    assert asked.component == "max-probability"


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
        session.attach(features_of(session, tmp_path / name))
        asked = []
        for _ in range(25):
            asked.append(answer(session))
            step(session)
        return asked

    assert run("a", 1) == run("b", 1)
    assert run("c", 2) != run("d", 1)


def test_the_model_learns_and_its_opinion_is_logged_with_the_label(
    path: Path, tmp_path: Path
) -> None:
    session = session_on(path, items=60)
    session.attach(features_of(session, tmp_path))
    for _ in range(30):
        answer(session)
        step(session)
    current = session.current
    assert current is not None
    prediction = session.prediction
    assert prediction is not None
    assert max(prediction, key=prediction.__getitem__) == truth(current.ref)
    answer(session)
    entry = list(SqliteStore(path).entries())[-1]
    assert entry.proba == prediction
    assert entry.model is not None
    assert entry.q is not None and 0 < entry.q <= 1
    assert entry.pool is not None and 20 <= entry.pool <= 60


def test_the_difficulty_curve_is_the_same_after_a_restart(path: Path, tmp_path: Path) -> None:
    session = session_on(path, items=40)
    session.attach(features_of(session, tmp_path))
    for _ in range(12):
        answer(session)
        step(session)
    session.undo()
    again = session_on(path, items=40)
    assert len(session.difficulty) > 0
    assert np.array_equal(again.difficulty.squared, session.difficulty.squared)
    assert np.array_equal(again.difficulty.wrong, session.difficulty.wrong)


def test_undo_restores_the_model(path: Path, tmp_path: Path) -> None:
    session = session_on(path, items=40)
    session.attach(features_of(session, tmp_path))
    for _ in range(10):
        answer(session)
    step(session)
    before = session.prediction
    session.label("defect")
    step(session)
    session.undo()
    assert session.stale
    step(session)
    assert session.prediction == pytest.approx(before, abs=1e-4)


def test_a_label_changed_by_another_reaches_the_training_set(path: Path, tmp_path: Path) -> None:
    session = session_on(path, items=40)
    session.attach(features_of(session, tmp_path))
    ref = answer(session)
    other = SqliteStore(path)
    first = next(iter(other.entries()))
    opposite = "defect" if first.label == "ok" else "ok"
    other.append(replace(first, seq=0, annotator="bob", label=opposite))
    session.refresh()
    snapshot = session.snapshot()
    assert snapshot is not None
    assert [CLASSES[y] for y in snapshot.y] == [opposite]
    assert session.queue.refs[int(snapshot.rows[0])] == ref


def test_features_in_another_order_and_with_gaps_belong_to_the_right_items(
    path: Path, tmp_path: Path
) -> None:
    session = session_on(path, items=40)
    refs = list(session.queue.refs)
    order = list(np.random.default_rng(3).permutation(40)[:35])
    matrix = np.zeros((36, 3), np.float32)
    matrix[:, 2] = 1
    matrix[:35, 0] = [1 if truth(refs[row]) == "ok" else -1 for row in order]
    np.save(tmp_path / "mine.npy", matrix)
    listed = RefTable([*(refs[row] for row in order), ""])
    session.attach(FeatureStore.adopt(tmp_path / "f", tmp_path / "mine.npy", listed))
    seen = set()
    for _ in range(40):
        assert session.current is not None
        prediction = session.prediction
        if len(seen) > 10 and prediction:
            assert max(prediction, key=prediction.__getitem__) == truth(session.current.ref)
        seen.add(answer(session))
        step(session)
    assert seen == set(refs), "items without features are asked as well"


def test_a_listing_that_streams_in_loses_no_item_and_no_answer(path: Path) -> None:
    first = session_on(path, items=10)
    done = {answer(first) for _ in range(4)}
    first.close()
    session = Session(SqliteStore(path), CLASSES, annotator="ann", clock=Clock(), ahead=3)
    assert session.current is None
    for start in range(0, 30, 7):
        session.extend([f"{n:04}.jpg" for n in range(start, min(start + 7, 30))])
    rest = [answer(session) for _ in range(26)]
    assert not done & set(rest)
    assert session.current is None


def test_a_million_refs_at_once_are_known_by_their_answers(path: Path) -> None:
    refs = RefTable([f"{n:07}.jpg" for n in range(50_000)])
    first = Session(SqliteStore(path), CLASSES, annotator="ann", clock=Clock())
    first.extend(refs)
    done = {first.label("ok").ref for _ in range(5)}  # type: ignore[union-attr]
    again = Session(SqliteStore(path), CLASSES, annotator="bob", clock=Clock())
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


def test_one_class_is_enough_to_label_and_learn(path: Path, tmp_path: Path) -> None:
    session = Session(SqliteStore(path), ["only"], annotator="ann", clock=Clock())
    session.extend([f"{n:04}.jpg" for n in range(10)])
    session.attach(features_of(session, tmp_path))
    for _ in range(10):
        assert session.label("only") is not None
        step(session)
    assert session.current is None


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
    renamed = Session(SqliteStore(path), ("fine", "broken"), annotator="ann", clock=Clock())
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
