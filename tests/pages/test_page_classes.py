"""Pages of a hierarchy of classes: a page of an inner class holds all that is below it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from annotator.features.store import FeatureStore
from annotator.items.ref_table import RefTable
from annotator.learn.ranking import learn
from annotator.log.store.sqlite import SqliteStore
from annotator.pages import BrowseSource, Page, PageOrder, PageRequest, SelectionMode
from annotator.project.class_tree import ClassTree
from annotator.session.mode import SessionMode
from annotator.session.refine import refs_labelled
from annotator.session.session import LabelSession
from tests.pages.page_sources import REFS, Clock

TREE = ClassTree({"vehicle": None, "car": "vehicle", "bus": "vehicle", "cat": None})
LEAVES = ("car", "bus", "cat")


def _truth(ref: str) -> str:
    return LEAVES[int(ref[:3]) % 3]


def _taught(path: Path, labels: dict[str, str | None], refines: str | None = None) -> LabelSession:
    """A session whose model has learnt `labels`, and tells the three leaves apart."""
    store = SqliteStore(path / "labels.db")
    first = LabelSession(store, TREE.parents, annotator="ann", clock=Clock(), tree=TREE)
    first.decide(labels, picked_by="import")
    mode = SessionMode(refines=refines)
    session = LabelSession(
        store, TREE.parents, annotator="ann", ahead=2, clock=Clock(), tree=TREE, mode=mode
    )
    if refines is not None:
        session.restrict(np.isin(REFS, refs_labelled(session.state, refines)), refines)
    session.extend(REFS)
    matrix = np.random.default_rng(0).normal(0, 0.1, (len(REFS), 6)).astype(np.float32)
    for row, ref in enumerate(REFS):
        matrix[row, LEAVES.index(_truth(ref))] += 1
    np.save(path / "mine.npy", matrix)
    session.attach_features(
        FeatureStore.adopt(path / "features", path / "mine.npy", RefTable(REFS))
    )
    snapshot = session.snapshot()
    assert snapshot is not None
    session.adopt(learn(snapshot, 0))
    return session


def _page(session: LabelSession, **request: object) -> Page:
    made = PageRequest(per_page=6, **request)  # type: ignore[arg-type]
    page = BrowseSource(session, made).next()
    assert page is not None
    return page


@pytest.fixture
def session(tmp_path: Path) -> LabelSession:
    return _taught(tmp_path, {ref: _truth(ref) for ref in REFS[:12]})


@pytest.mark.parametrize("select", [SelectionMode.EXCEPTIONS, SelectionMode.POSITIVES])
def test_a_page_of_an_inner_class_holds_the_classes_below_it(
    session: LabelSession, select: SelectionMode
) -> None:
    page = _page(session, label="vehicle", select=select, order=PageOrder.LIKELY)
    assert page.label == "vehicle"
    assert {_truth(ref) for ref in page.refs} == {"car", "bus"}
    assert min(page.chances.values()) > 0.5


def test_a_page_without_a_class_is_about_a_leaf(session: LabelSession) -> None:
    page = _page(session, select=SelectionMode.EXCEPTIONS, order=PageOrder.LIKELY)
    assert page.label in LEAVES
    assert {_truth(ref) for ref in page.refs} == {page.label}


def test_pages_of_items_to_refine_ask_about_the_classes_below(tmp_path: Path) -> None:
    labels: dict[str, str | None] = {ref: _truth(ref) for ref in REFS[:12]}
    labels |= {ref: "vehicle" for ref in REFS[12:] if _truth(ref) != "cat"}
    session = _taught(tmp_path, labels, "vehicle")
    page = _page(session, select=SelectionMode.EXCEPTIONS, order=PageOrder.LIKELY)
    assert page.label in ("car", "bus")
    assert {_truth(ref) for ref in page.refs} == {page.label}
    assert all(session.state.label(ref) == "vehicle" for ref in page.refs)
    assert min(page.chances.values()) > 0.5
