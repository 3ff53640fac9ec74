"""The map of a pool: points of items, what they are, and the cache."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from annotator.session.pool_map import group_points, make_map, map_file
from tests.session.made_sessions import CLASSES, answer, features_of, session_on, truth


@pytest.fixture
def labelled(tmp_path: Path) -> Any:
    session = session_on(tmp_path / "labels.db", items=60)
    session.attach_features(features_of(session, tmp_path))
    for _ in range(12):
        answer(session)
        session.learn()
    return session


def _groups(session: Any, found: Any) -> Any:
    labels = {last.ref: last.label for _, last in session.state.labels()}
    model = session.ranking.model
    return group_points(
        found, session.learner.features, session.queue.refs, labels, CLASSES, model
    )  # fmt: skip


def test_each_point_knows_its_label_and_prediction(labelled: Any) -> None:
    session = labelled
    found = make_map(session.learner.features)
    groups = _groups(session, found)
    refs = session.queue.refs
    assert len(found.rows) == 60
    assert int((groups.label >= 0).sum()) == 12
    for place, row in enumerate(found.rows.tolist()):
        wanted = CLASSES.index(truth(refs[row]))
        assert groups.label[place] in (-1, wanted)
        assert groups.predicted[place] == wanted


def test_a_label_that_the_model_contradicts_is_the_most_doubtful(labelled: Any) -> None:
    session = labelled
    found = make_map(session.learner.features)
    refs, model = session.queue.refs, session.ranking.model
    wrong = {refs[3]: truth(refs[2])}
    groups = group_points(found, session.learner.features, refs, wrong, CLASSES, model)
    assert groups.doubt[3] == 1 > groups.doubt[4]
    numbers, names = groups.numbers("error")
    assert numbers[3] == len(names) - 1


def test_the_words_of_a_region_count_labels_and_open_items(labelled: Any) -> None:
    found = make_map(labelled.learner.features)
    groups = _groups(labelled, found)
    words = groups.describe(np.arange(60), "class")
    assert words.startswith("open 48 · ") and "ok " in words and "defect " in words
    assert groups.describe(np.arange(60), "prediction", most=1) == "ok 30 · 1 more"


def test_the_cache_is_used_only_for_the_same_features(labelled: Any, tmp_path: Path) -> None:
    features = labelled.learner.features
    cache = map_file(tmp_path, "pca")
    first = make_map(features, cache=cache)
    assert np.array_equal(make_map(features, cache=cache).points, first.points)
    before = cache.read_bytes()
    again = session_on(tmp_path / "other.db", items=60)
    (tmp_path / "other").mkdir()
    again.attach_features(features_of(again, tmp_path / "other", seed=1))
    other = make_map(again.learner.features, cache=cache)
    assert not np.array_equal(other.points, first.points)
    assert cache.read_bytes() != before


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x80\x04\x95", b"x" * 5000])
def test_a_damaged_cache_is_made_anew(labelled: Any, tmp_path: Path, content: bytes) -> None:
    features = labelled.learner.features
    cache = map_file(tmp_path, "pca")
    first = make_map(features, cache=cache)
    cache.write_bytes(content)
    assert np.array_equal(make_map(features, cache=cache).points, first.points)
