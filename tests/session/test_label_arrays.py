"""The arrays that a session grows label by label equal those that a new session reads at once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from annotator.features.store import FeatureStore
from annotator.items.ref_table import RefTable
from annotator.log.entries import Action, Entry
from annotator.log.store.sqlite import SqliteStore
from annotator.session.learner import StrategyChoice
from annotator.session.session import LabelSession

N = 40
REFS = [f"{i:02}.jpg" for i in range(N)]


def session(path: Path, annotator: str = "me") -> LabelSession:
    made = LabelSession(
        SqliteStore(path),
        ("a", "b"),
        annotator=annotator,
        strategy=StrategyChoice("random"),
        seed=0,
    )
    refs = RefTable(REFS)
    made.extend(refs)
    X = np.random.default_rng(0).normal(size=(N, 4)).astype(np.float32)
    made.attach_features(FeatureStore(refs, X, {"name": "made up"}, np.ones(N, np.uint8)))
    return made


def same_as_read_anew(one: LabelSession, path: Path) -> None:
    grown, anew = one.snapshot(), session(path).snapshot()
    assert grown is not None and anew is not None
    for name in ("rows", "y", "q", "pool"):
        np.testing.assert_array_equal(getattr(grown, name), getattr(anew, name), err_msg=name)
    assert grown.component == anew.component


def test_labels_skips_undo_and_second_thoughts(tmp_path: Path) -> None:
    path = tmp_path / "labels.db"
    one = session(path)
    for step in range(12):
        one.label("ab"[step % 2])
        same_as_read_anew(one, path)
    one.skip()
    one.label("a")
    same_as_read_anew(one, path)
    one.undo()
    one.undo()
    same_as_read_anew(one, path)
    one.decide({REFS[i]: "b" for i in range(20)}, picked_by="page")  # some were labelled already
    same_as_read_anew(one, path)
    one.undo()
    one.label("b")
    same_as_read_anew(one, path)


def test_labels_of_another_annotator_and_of_a_model(tmp_path: Path) -> None:
    path = tmp_path / "labels.db"
    one, two = session(path), session(path, annotator="you")
    for _ in range(4):
        one.label("a")
        two.refresh()
        two.label("b")
        one.refresh()
        same_as_read_anew(one, path)
    machine = [
        Entry(0, 1.0, "model:ridge@8", Action.LABEL, ref, "a", extra={"machine": True})
        for ref in REFS[30:]
    ]
    SqliteStore(path).append(*machine)
    one.refresh()
    same_as_read_anew(one, path)
    snapshot = one.snapshot()
    people = [ref for ref, stack in one.state.standing.items() if not stack[-1].by_machine]
    assert snapshot is not None and len(snapshot.rows) == len(people) < 9


@pytest.mark.parametrize("late", [3, 25])
def test_labels_of_items_that_are_listed_later(tmp_path: Path, late: int) -> None:
    """A log may name items that the pool does not hold yet while it is still being listed."""
    path = tmp_path / "labels.db"
    whole = session(path)
    whole.decide({REFS[late]: "b", REFS[1]: "a"}, picked_by="page")
    short = LabelSession(
        SqliteStore(path), ("a", "b"), annotator="me", strategy=StrategyChoice("random"), seed=0
    )
    refs = RefTable(REFS[:2])
    short.extend(refs)
    features = np.ones((N, 4), np.float32), {"name": "made up"}, np.ones(N, np.uint8)
    short.attach_features(FeatureStore(RefTable(REFS), *features))
    first = short.snapshot()
    assert first is not None and first.rows.tolist() == [1]
    short.extend(REFS[2:])
    short.attach_features(FeatureStore(RefTable(REFS), *features))
    again = short.snapshot()
    assert again is not None and sorted(again.rows.tolist()) == [1, late]
