"""Refining: items of an inner class get a finer label, and their first one stays in the history."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from annotator.errors import ProjectError
from annotator.log.entries import Entry, replay
from annotator.log.store.sqlite import SqliteStore
from annotator.project.class_tree import ClassTree, expand_paths
from annotator.project.classes import ClassInfo
from annotator.project.project import ProjectFolder
from annotator.project.settings import Settings
from annotator.session.mode import SessionMode
from annotator.session.refine import count_to_refine, refs_labelled, require_items
from annotator.session.session import LabelSession
from tests.session.made_sessions import Clock, features_of, step

INFOS = expand_paths([ClassInfo(path) for path in ("vehicle/car", "vehicle/bus", "cat")])
TREE = ClassTree.of(INFOS)
REFS = [f"{n:04}.jpg" for n in range(12)]


def _session(path: Path, annotator: str = "ann", refines: str | None = None) -> LabelSession:
    """A session on twelve items, restricted to those that are to be refined."""
    session = LabelSession(
        SqliteStore(path / "labels.db"), TREE.parents, annotator=annotator, clock=Clock(), ahead=2,
        tree=TREE, mode=SessionMode(refines=refines),
    )  # fmt: skip
    if refines is not None:
        session.restrict(np.isin(REFS, refs_labelled(session.state, refines)), refines)
    session.extend(REFS)
    return session


def _label_all(path: Path, *labels: str | None) -> None:
    session = _session(path)
    session.decide(dict(zip(REFS, labels, strict=False)), picked_by="test")
    session.close()


def _log(path: Path) -> list[Entry]:
    return list(SqliteStore(path / "labels.db").entries())


def test_exactly_the_items_of_the_class_are_asked(tmp_path: Path) -> None:
    _label_all(tmp_path, "vehicle", "car", "cat", "vehicle", None)
    session = _session(tmp_path, refines="vehicle")
    asked = []
    while session.current is not None:
        asked.append(session.current.ref)
        session.label("bus")
    assert sorted(asked) == ["0000.jpg", "0003.jpg"]
    assert session.progress.remaining == 0
    assert session.state.label("0000.jpg") == "bus"


def test_a_query_narrows_what_is_refined_and_frees_nothing_else(tmp_path: Path) -> None:
    _label_all(tmp_path, "vehicle", "car", "cat", "vehicle", None)
    session = _session(tmp_path, refines="vehicle")
    session.restrict(np.isin(REFS, ["0003.jpg", "0007.jpg"]), "some")
    assert session.progress.remaining == 1
    session.restrict(None)
    assert session.progress.remaining == 2


def test_only_the_classes_below_are_answers(tmp_path: Path) -> None:
    _label_all(tmp_path, "vehicle")
    session = _session(tmp_path, refines="vehicle")
    assert session.classes == ("car", "bus")
    with pytest.raises(ValueError, match="cat"):
        session.label("cat")


def test_the_first_label_stays_in_the_history_and_undo_brings_it_back(tmp_path: Path) -> None:
    _label_all(tmp_path, "vehicle")
    session = _session(tmp_path, refines="vehicle")
    session.label("car")
    (entry,) = (e for e in _log(tmp_path) if e.label == "car")
    assert (entry.picked_by, entry.extra, entry.q) == ("refine", {"refines": "vehicle"}, None)
    assert [e.label for e in session.state.standing["0000.jpg"]] == ["vehicle", "car"]
    session.undo()
    assert session.state.label("0000.jpg") == "vehicle"
    assert session.current is not None
    assert not session.undo()  # the label of before was given in another session
    assert session.state.label("0000.jpg") == "vehicle"


def test_a_skip_keeps_the_label_and_is_not_asked_again(tmp_path: Path) -> None:
    _label_all(tmp_path, "vehicle", "vehicle")
    session = _session(tmp_path, refines="vehicle")
    assert session.current is not None
    kept = session.current.ref
    session.skip()
    session.close()
    again = _session(tmp_path, refines="vehicle")
    assert again.state.label(kept) == "vehicle"
    assert count_to_refine(again.state, TREE) == {"vehicle": 1}
    assert again.current is not None
    assert again.current.ref != kept
    again.label("car")
    assert again.current is None
    assert again.reopen_skipped() == 1
    assert again.current is not None
    assert again.current.ref == kept


def test_a_page_that_skips_keeps_the_label_too(tmp_path: Path) -> None:
    _label_all(tmp_path, "vehicle", "vehicle")
    session = _session(tmp_path, refines="vehicle")
    session.decide({"0000.jpg": "car", "0001.jpg": None}, picked_by="page")
    assert session.state.label("0001.jpg") == "vehicle"
    assert session.progress.remaining == 0


def test_two_annotators_refine_different_items_and_one_answer_counts(tmp_path: Path) -> None:
    _label_all(tmp_path, *["vehicle"] * 8)
    ann, bob = (_session(tmp_path, name, "vehicle") for name in ("ann", "bob"))
    assert ann.current is not None
    assert bob.current is not None
    assert ann.current.ref != bob.current.ref
    ref = ann.current.ref
    bob.decide({ref: "bus"}, picked_by="page")
    assert ann.label("car", ref) is None
    assert [e.label for e in ann.beaten_by] == ["bus"]
    assert replay(_log(tmp_path)).label(ref) == "bus"


def test_the_draw_of_the_first_label_stays_in_the_estimate(tmp_path: Path) -> None:
    session = _session(tmp_path)
    for _ in range(10):
        assert session.current is not None
        odd = int(session.current.ref[:4]) % 2
        session.label("cat" if odd else "vehicle")
    session.close()
    session = _session(tmp_path, refines="vehicle")
    session.label("car")
    session.attach_features(features_of(session, tmp_path))
    step(session)
    snapshot = session.snapshot()
    assert snapshot is not None
    assert np.isfinite(snapshot.q).sum() == 10
    prediction = session.prediction
    assert prediction is not None
    assert set(prediction) == {"car", "bus"}
    assert sum(prediction.values()) == pytest.approx(1)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("cat", "'cat' has no classes below it. Refine one of vehicle"),
        ("boat", "'boat' is not a class. Refine one of vehicle"),
        ("vehicle", "No item is labelled 'vehicle' and no finer"),
    ],
)
def test_nothing_to_refine_is_an_error_with_a_remedy(
    tmp_path: Path, name: str, message: str
) -> None:
    project = ProjectFolder.create(tmp_path / "p", Settings(INFOS))
    with pytest.raises(ProjectError, match=message):
        require_items(project, replay([]), name)
