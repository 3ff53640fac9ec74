"""Pages of a pool for tests: sessions, a model that has learnt, and page requests."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from annotator.features.store import FeatureStore
from annotator.items.ref_table import RefTable
from annotator.learn.ranking import learn
from annotator.log.store.sqlite import SqliteStore
from annotator.pages import PageRequest, SelectionMode
from annotator.session.session import LabelSession

CLASSES = ("ok", "defect")
REFS = [f"{n:03}.jpg" for n in range(40)]


def truth(ref: str) -> str:
    return CLASSES[int(ref[:3]) % 2]


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def session_on(path: Path, annotator: str = "ann", clock: Clock | None = None) -> LabelSession:
    session = LabelSession(SqliteStore(path / "labels.db"), CLASSES, annotator=annotator, ahead=2,
                      clock=clock or Clock())  # fmt: skip
    session.extend(REFS)
    return session


def taught(path: Path, labels: int = 8) -> LabelSession:
    """A session whose model tells odd and even items apart."""
    session = session_on(path)
    rng = np.random.default_rng(0)
    matrix = rng.normal(0, 0.2, (len(REFS), 6)).astype(np.float32)
    matrix[:, 0] += [1 if truth(ref) == "ok" else -1 for ref in REFS]
    np.save(path / "mine.npy", matrix)
    session.attach_features(
        FeatureStore.adopt(path / "features", path / "mine.npy", RefTable(REFS))
    )
    session.decide({ref: truth(ref) for ref in REFS[:labels]}, picked_by="import")
    snapshot = session.snapshot()
    assert snapshot is not None
    session.adopt(learn(snapshot, 0))
    return session


def wish(select: SelectionMode = SelectionMode.POSITIVES, **more: object) -> PageRequest:
    options = {"label": "ok", "select": select, "negative": "defect", "per_page": 6, **more}
    return PageRequest(**options)  # type: ignore[arg-type]
