"""A session that learns: the model, its opinion in the log, and the features it learns from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from annotator.features.store import FeatureStore
from annotator.items.ref_table import RefTable
from annotator.learn.ranking import learn
from annotator.log.store.sqlite import SqliteStore
from annotator.session.learner import StrategyChoice
from annotator.session.session import LabelSession
from tests.session.made_sessions import CLASSES, Clock, answer, features_of, session_on, step, truth


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "labels.db"


def test_a_strategy_chosen_while_a_fit_is_under_way_fills_the_queue_with_the_next(
    path: Path, tmp_path: Path
) -> None:
    session = session_on(path, items=12)
    session.attach_features(features_of(session, tmp_path))
    for _ in range(4):
        answer(session)
        step(session)
    snapshot = session.snapshot()
    assert snapshot is not None
    session.choose_strategy(StrategyChoice("max-probability", find=CLASSES[0]))
    session.adopt(learn(snapshot, 0))  # it was asked before
    step(session)
    answer(session)  # what is on screen stays
    asked = session.current_pick
    assert asked is not None
    assert asked.component == "max-probability"


def test_the_model_learns_and_its_opinion_is_logged_with_the_label(
    path: Path, tmp_path: Path
) -> None:
    session = session_on(path, items=60)
    session.attach_features(features_of(session, tmp_path))
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
    session.attach_features(features_of(session, tmp_path))
    for _ in range(12):
        answer(session)
        step(session)
    session.undo()
    again = session_on(path, items=40)
    assert len(session.prequential) > 0
    assert np.array_equal(again.prequential.squared_errors, session.prequential.squared_errors)
    assert np.array_equal(again.prequential.wrong, session.prequential.wrong)


def test_undo_restores_the_model(path: Path, tmp_path: Path) -> None:
    session = session_on(path, items=40)
    session.attach_features(features_of(session, tmp_path))
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
    session.attach_features(features_of(session, tmp_path))
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
    session.attach_features(FeatureStore.adopt(tmp_path / "f", tmp_path / "mine.npy", listed))
    seen = set()
    for _ in range(40):
        assert session.current is not None
        prediction = session.prediction
        if len(seen) > 10 and prediction:
            assert max(prediction, key=prediction.__getitem__) == truth(session.current.ref)
        seen.add(answer(session))
        step(session)
    assert seen == set(refs), "items without features are asked as well"


def test_one_class_is_enough_to_label_and_learn(path: Path, tmp_path: Path) -> None:
    session = LabelSession(SqliteStore(path), ["only"], annotator="ann", clock=Clock())
    session.extend([f"{n:04}.jpg" for n in range(10)])
    session.attach_features(features_of(session, tmp_path))
    for _ in range(10):
        assert session.label("only") is not None
        step(session)
    assert session.current is None
