"""The coverage of the pool, as the first questions of a session show it."""

from __future__ import annotations

import numpy as np
import pytest

from annotator.learn.coverage import CentredRows, sample_references
from annotator.learn.rows import UnitRows
from annotator.session.open import open_in_memory


@pytest.mark.parametrize("seed", range(4))
def test_the_start_sees_every_kind_though_all_images_are_alike(seed: int) -> None:
    """Eight kinds, two of them small, in a direction that all share."""
    rng, kind = (
        np.random.default_rng(seed),
        np.repeat(np.arange(8), (80, 80, 80, 80, 80, 80, 20, 20)),
    )
    X = 20 + 2 * np.eye(8, 40)[kind] + 0.3 * rng.normal(size=(len(kind), 40))
    refs = [f"{i}.jpg" for i in range(len(kind))]
    session = open_in_memory(refs, X, ("yes", "no"), annotator="me", seed=seed)
    session.learn()
    asked = []
    while len(asked) < 10 and session.current is not None:
        asked.append(kind[int(session.current.ref.removesuffix(".jpg"))])
        session.label(("yes", "no")[int(asked[-1]) % 2])
        session.learn()
    assert len(set(asked)) == 8


def test_centred_rows_are_directions_from_the_centre() -> None:
    X = np.array([[3.0, 4.0], [4.0, 3.0], [1.0, 0.0]])
    unit = UnitRows(X)
    seen = CentredRows(unit, np.array([0.7, 0.7], np.float32))
    found = seen.take(np.array([0, 1]))
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, rtol=1e-6)
    assert found[0] @ found[1] < -0.9  # opposite sides of the centre
    same = sample_references(UnitRows(np.ones((5, 3))), np.arange(5), 0, centred=True)
    assert np.isfinite(same.X).all()
