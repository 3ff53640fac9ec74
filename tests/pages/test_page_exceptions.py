"""An item that is not a daisy is not asked as a daisy again: it comes back for its next class."""

from __future__ import annotations

import numpy as np
import pytest

from annotator.features.store import FeatureStore
from annotator.items.ref_table import RefTable
from annotator.learn.ranking import learn
from annotator.log.store.sqlite import SqliteStore
from annotator.pages import BrowseSource, Page, PageOrder, PageRequest, SelectionMode
from annotator.session.session import LabelSession

CLASSES = ("a", "b", "c")


@pytest.fixture
def session() -> LabelSession:
    """Ninety items of three classes, the first nine labelled, and a model."""
    rng = np.random.default_rng(0)
    y = np.arange(90) % 3
    X = rng.normal(size=(90, 6)).astype(np.float32) * 0.8 + 2 * np.eye(6, dtype=np.float32)[y]
    refs = RefTable([f"{i}.jpg" for i in range(90)])
    session = LabelSession(SqliteStore(":memory:"), CLASSES, annotator="ann", ahead=0)
    session.extend(refs)
    session.attach_features(FeatureStore(refs, X, {"name": "made"}, np.ones(90, np.uint8)))
    session.decide({f"{i}.jpg": CLASSES[i % 3] for i in range(9)}, picked_by="test")
    snapshot = session.snapshot()
    assert snapshot is not None
    session.adopt(learn(snapshot, 0))
    return session


def pages(session: LabelSession, order: PageOrder) -> BrowseSource:
    return BrowseSource(session, PageRequest("", SelectionMode.EXCEPTIONS, order, None, 6))


def test_an_exception_comes_back_for_another_class_and_undo_forgets_it(
    session: LabelSession,
) -> None:
    source = pages(session, PageOrder.LIKELY)
    first = source.next()
    assert first is not None
    wrong = first.refs[0]
    source.submit(first, {wrong: None})
    asked: list[Page] = []
    while (page := source.next()) is not None and wrong not in page.refs:
        asked.append(page)
        source.submit(page, {})
    assert page is not None
    assert page.label != first.label
    assert page.label in CLASSES


def test_a_taken_back_exception_is_asked_for_its_class_again(session: LabelSession) -> None:
    source = pages(session, PageOrder.LIKELY)
    first = source.next()
    assert first is not None
    source.submit(first, {first.refs[0]: None})
    again = source.undo()
    assert again is not None
    source.submit(again, {})
    assert session.state.label(first.refs[0]) == first.label


def test_pages_of_doubt_begin_with_the_least_sure_of_those_taken_for_the_class(
    session: LabelSession,
) -> None:
    sure, unsure = (
        pages(session, PageOrder.LIKELY).next(),
        pages(session, PageOrder.UNCERTAIN).next(),
    )
    assert sure is not None
    assert unsure is not None
    chances = [unsure.chances[ref] for ref in unsure.refs]
    assert chances == sorted(chances)
    assert max(chances) < min(sure.chances.values())
    for ref in unsure.refs:
        said = session.learner.predict_with_source(session.queue.row(ref), ref)[0]
        assert said is not None
        assert max(said, key=said.__getitem__) == unsure.label
