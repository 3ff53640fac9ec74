"""The eps that fits descriptors: the valley of nearest distances, or a cautious value."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

from annotator.detection.cluster import Clustering
from annotator.detection.dbscan import dbscan
from annotator.detection.nearest import estimate_eps
from annotator.proposals.identities import keep_names_whole


def _persons(seed: int, common: float, sizes: list[int], noise: float = 0.6) -> tuple[Any, Any]:
    """Vectors of persons around their own centres, and the person of each.

    `common` is the length of what all faces share: 0 for SFace or ArcFace, 3 for dlib.
    """
    rng = np.random.default_rng(seed)

    def direction() -> Any:
        vector = rng.normal(size=128)
        return vector / np.linalg.norm(vector)

    shared, rows, persons = direction() * common, [], []
    for person, size in enumerate(sizes):
        centre = direction()
        for _ in range(size):
            row = shared + centre + noise * rng.uniform(0.6, 1.4) * direction()
            rows.append(row / np.linalg.norm(row))
            persons.append(person)
    return np.array(rows, np.float32), np.array(persons)


@pytest.mark.parametrize("common", [0.0, 3.0])
@pytest.mark.parametrize("seed", range(4))
def test_eps_lies_in_the_valley_whatever_the_descriptor(seed: int, common: float) -> None:
    unit, persons = _persons(seed, common, [9, 7, 5, 4, 3, 3, 2, 2, *[1] * 12])
    found = estimate_eps(unit)
    assert found.has_valley
    groups = dbscan(unit, found.eps, 2)
    wanted = np.where(np.bincount(persons)[persons] > 1, persons, -1)
    assert Counter(groups.tolist()) == Counter(wanted.tolist())
    if common:  # the fixed value of other descriptors takes all for one person
        assert len(set(dbscan(unit, 0.3, 2).tolist())) == 1


@pytest.mark.parametrize("common", [0.0, 3.0])
@pytest.mark.parametrize("sizes", [[1] * 30, [1] * 3, [1, 1]])
def test_strangers_alone_are_not_joined(common: float, sizes: list[int]) -> None:
    unit, _ = _persons(5, common, sizes)
    found = estimate_eps(unit)
    assert not found.has_valley
    assert (dbscan(unit, found.eps, 2) < 0).all()


def test_no_face_and_one_face_and_copies_have_an_eps() -> None:
    for rows in (0, 1):
        assert estimate_eps(np.eye(4, dtype=np.float32)[:rows]).eps > 0
    copies = np.tile(np.eye(4, dtype=np.float32)[:1], (20, 1))
    assert 0 < estimate_eps(copies).eps < 0.01
    assert (dbscan(copies, estimate_eps(copies).eps, 2) == 0).all()


def test_the_histogram_marks_eps_among_its_bars() -> None:
    unit, _ = _persons(1, 0.0, [5, 5, 5, 1, 1, 1, 1, 1])
    found = estimate_eps(unit)
    line = found.draw(found.eps)
    before, after = line.split("│")
    assert any(bar in before for bar in "▁▂▃▄▅▆▇█") and any(bar in after for bar in "▁▂▃▄▅▆▇█")
    assert len(found.draw(2.0)) <= 45


def test_a_confirmed_name_stays_whole() -> None:
    """Two clusters and a loose row have one name; a third cluster has two names."""
    clusters = np.array([0, 0, 0, 1, 1, -1, 2, 2, 2, 2, -1])
    found = Clustering(clusters, np.ones(len(clusters), np.float32))
    labels = {0: "Ada", 3: "Ada", 5: "Ada", 6: "Bo", 7: "Bo", 8: "Cy"}
    groups = [sorted(rows.tolist()) for rows in keep_names_whole(found, labels)]
    assert groups == [[0, 1, 2, 3, 4, 5], [6, 7, 9], [8]]
