"""Pages of what needs a look: what is on them, and when there are no more."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotator.cli.browse import build_page_request
from annotator.features.store import FeatureStore
from annotator.items.ref_table import RefTable
from annotator.learn.ranking import learn
from annotator.learn.remaining_work import within_allowance
from annotator.log.store.sqlite import SqliteStore
from annotator.pages import BrowseSource, Page, PageOrder, PageRequest, SelectionMode
from annotator.pages.orders import AIMED_DOUBT, rows_needing_review
from annotator.project.class_tree import ClassTree
from annotator.project.project import ProjectFolder
from annotator.project.settings import ClassInfo, Settings
from annotator.session.session import LabelSession

CLASSES = ("a", "b", "c")


@given(st.lists(st.floats(0, 1), max_size=40), st.floats(0, 5))
def test_what_is_settled_is_surest_and_adds_up_to_no_more_than_is_allowed(
    doubts: list[float], allowed: float
) -> None:
    doubt = np.array(doubts, float)
    done = within_allowance(doubt, allowed)
    assert doubt[done].sum() <= allowed + 1e-9
    if done.any() and not done.all():
        assert doubt[done].max() <= doubt[~done].min()
    if not done.all():
        assert doubt[done].sum() + doubt[~done].min() > allowed - 1e-9


def test_a_page_holds_one_class_and_begins_where_a_look_pays_most() -> None:
    p = np.array([0.99, 0.95, 1 - AIMED_DOUBT, 0.55, 0.6])
    proba = np.stack([p, 1 - p], axis=1).astype(np.float32)
    none = np.zeros(5, bool)
    which, places = rows_needing_review(proba, none, 0.0, 3)
    assert which == 0
    assert places.tolist() == [2, 4, 3]
    assert 3 not in rows_needing_review(proba, none, 0.0, 5, most_doubt=0.42)[1]
    assert not len(rows_needing_review(proba, none, 0.0, 5, class_index=1)[1]), (
        "nothing is taken for it"
    )


def test_what_was_taken_off_a_page_comes_first_however_sure_the_model_is() -> None:
    proba = np.array([[0.999, 0.001], [0.7, 0.3]], np.float32)
    assert rows_needing_review(proba, np.array([True, False]), 0.5, 2)[1].tolist() == [0, 1]


def test_a_class_that_the_model_is_too_sure_of_is_looked_at_longer() -> None:
    proba = np.array([[0.98, 0.02], [0.02, 0.98]], np.float32)
    none = np.zeros(2, bool)
    assert not len(rows_needing_review(proba, none, 0.2, 2, factors=np.ones(2))[1])
    which, places = rows_needing_review(proba, none, 0.2, 2, factors=np.array([1.0, 10.0]))
    assert (which, places.tolist()) == (1, [1])


@pytest.fixture
def session() -> LabelSession:
    """Three hundred items of three classes, some hard to tell, thirty of them labelled."""
    rng = np.random.default_rng(0)
    y = np.arange(300) % 3
    X = rng.normal(size=(300, 6)).astype(np.float32) * 0.5 + 2 * np.eye(6, dtype=np.float32)[y]
    refs = RefTable([f"{i}.jpg" for i in range(300)])
    session = LabelSession(SqliteStore(":memory:"), CLASSES, annotator="ann", ahead=0)
    session.extend(refs)
    session.attach_features(FeatureStore(refs, X, {"name": "made"}, np.ones(300, np.uint8)))
    session.decide({f"{i}.jpg": truth(f"{i}.jpg") for i in range(30)}, picked_by="test")
    taught(session)
    return session


def truth(ref: str) -> str:
    return CLASSES[int(ref.split(".")[0]) % 3]


def taught(session: LabelSession) -> None:
    snapshot = session.snapshot()
    assert snapshot is not None
    session.adopt(learn(snapshot, 0))


def test_pages_end_where_the_rest_can_be_left_to_the_model(session: LabelSession) -> None:
    source = BrowseSource(
        session, PageRequest("", SelectionMode.EXCEPTIONS, PageOrder.NEEDED, None, 12, target=0.05)
    )
    assert source.no_pages_message == ""
    while (page := source.next()) is not None:
        assert page.order == "needed"
        source.submit(page, {ref: truth(ref) for ref in page.refs if truth(ref) != page.label})
        taught(session)
    left = [f"{i}.jpg" for i in range(300) if not session.is_answered(f"{i}.jpg")]
    assert 0 < len(left) < 270
    wrong = 0
    for ref in left:
        said = session.learner.predict_with_source(session.queue.row(ref), ref)[0]
        assert said is not None
        wrong += max(said, key=said.__getitem__) != truth(ref)
    assert wrong <= 0.05 * 300
    assert "5.00%" in source.no_pages_message
    assert "annotator finish" in source.no_pages_message


def test_pages_that_were_passed_over_are_not_left_to_the_model(session: LabelSession) -> None:
    source = BrowseSource(
        session, PageRequest("", SelectionMode.EXCEPTIONS, PageOrder.NEEDED, None, 12, target=0.01)
    )
    first = source.next()
    assert first is not None
    page: Page | None = first
    for _ in range(300 // 12 + 1):
        assert page is not None, "nothing was answered, and much is doubtful"
        source.submit(page, {}, broken=page.refs)
        page = source.next()
    assert source.no_pages_message == ""


def test_an_exception_is_not_asked_as_the_same_class_again_by_other_pages(
    session: LabelSession,
) -> None:
    wish = PageRequest("", SelectionMode.EXCEPTIONS, PageOrder.NEEDED, None, 12, target=0.01)
    first = BrowseSource(session, wish)
    page = first.next()
    assert page is not None
    left = page.refs[0]
    first.submit(page, {left: None})
    later = BrowseSource(session, replace(wish, label=page.label, per_page=300)).next()
    assert later is not None and left not in later.refs


def test_nothing_is_left_of_what_was_taken_back_or_of_a_class_that_is_gone(
    session: LabelSession,
) -> None:
    wish = PageRequest("", SelectionMode.EXCEPTIONS, PageOrder.NEEDED, None, 12, target=0.01)
    source = BrowseSource(session, wish)
    page = source.next()
    assert page is not None
    source.submit(page, {page.refs[0]: None})
    assert list(session.learner.excluded.values()) == [{page.label}]
    assert source.undo() is not None
    assert not session.learner.excluded
    again = source.next()
    assert again is not None and not again.excluded
    source.submit(again, {again.refs[0]: None})
    session.use_classes(ClassTree(dict.fromkeys(set(CLASSES) - {again.label})))
    assert not session.learner.excluded


def test_the_end_of_one_class_says_nothing_of_the_others(session: LabelSession) -> None:
    wish = PageRequest("a", SelectionMode.EXCEPTIONS, PageOrder.NEEDED, None, 12, target=0.05)
    source = BrowseSource(session, wish)
    while (page := source.next()) is not None:
        assert page.label == "a"
        source.submit(page, {ref: truth(ref) for ref in page.refs if truth(ref) != "a"})
        taught(session)
    assert "all labels" not in source.no_pages_message
    assert "predicted as a" in source.no_pages_message


def test_an_exception_comes_back_with_what_it_is_not(session: LabelSession) -> None:
    source = BrowseSource(
        session, PageRequest("", SelectionMode.EXCEPTIONS, PageOrder.NEEDED, None, 12, target=0.001)
    )
    first = source.next()
    assert first is not None
    wrong = first.refs[0]
    source.submit(first, {wrong: None})
    pages = []
    while (page := source.next()) is not None and wrong not in page.refs:
        pages.append(page)
        source.submit(page, {})
    assert page is not None
    assert page.label != first.label
    assert page.excluded[wrong] == (first.label,)


def test_the_flag_fills_pages_and_takes_the_projects_own_target(tmp_path: Path) -> None:
    settings = Settings(tuple(map(ClassInfo, CLASSES)), target_error=0.03)
    wish = build_page_request(
        ProjectFolder.create(tmp_path / "p", settings), None, "", None, "needed", None, 48
    )
    assert (wish.select, wish.order, wish.target) == (
        SelectionMode.EXCEPTIONS,
        PageOrder.NEEDED,
        0.03,
    )


def test_what_others_hold_is_no_end_of_the_work(tmp_path: Path) -> None:
    refs = RefTable([f"{i}.jpg" for i in range(4)])
    sessions = [
        LabelSession(SqliteStore(tmp_path / "labels.db"), CLASSES, annotator=name, ahead=0)
        for name in ("ann", "bob")
    ]
    for one in sessions:
        one.extend(refs)
    first = BrowseSource(sessions[0], PageRequest("a", per_page=3))
    assert first.next() is not None
    sessions[1].refresh()
    second = BrowseSource(sessions[1], PageRequest("a", per_page=3))
    page = second.next()
    assert page is not None
    assert len(page.refs) == 1
    second.submit(page, {page.refs[0]: None})
    assert second.next() is None
    assert "3 open items are on other annotators" in second.no_pages_message
    first.close()
    sessions[1].refresh()
    assert second.next() is not None
    for one in sessions:
        one.store.close()


def test_of_two_classes_an_exception_is_the_other_one() -> None:
    rng = np.random.default_rng(0)
    y = np.arange(60) % 2
    X = rng.normal(size=(60, 4)).astype(np.float32) * 0.5 + np.eye(4, dtype=np.float32)[y]
    refs = RefTable([f"{i}.jpg" for i in range(60)])
    session = LabelSession(SqliteStore(":memory:"), ("a", "b"), annotator="ann", ahead=0)
    session.extend(refs)
    session.attach_features(FeatureStore(refs, X, {"name": "made"}, np.ones(60, np.uint8)))
    session.decide({f"{i}.jpg": "ab"[i % 2] for i in range(10)}, picked_by="test")
    taught(session)
    page = BrowseSource(
        session,
        PageRequest("", SelectionMode.EXCEPTIONS, PageOrder.NEEDED, per_page=6, target=0.001),
    ).next()
    assert page is not None
    assert {page.label, page.negative} == {"a", "b"}


def test_an_exception_from_a_class_never_becomes_that_class() -> None:
    wish = PageRequest("", SelectionMode.EXCEPTIONS, PageOrder.NEEDED, negative="b")
    assert wish.negative_for("a", CLASSES, multi=False) == "b"
    assert wish.negative_for("b", CLASSES, multi=False) is None
    assert wish.negative_for("b", ("a", "b"), multi=False) == "a"
