"""Sessions for tests: on a log, with a truth, with features that tell the classes apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from annotator.features.store import FeatureStore
from annotator.items.ref_table import RefTable
from annotator.log.store.sqlite import SqliteStore
from annotator.session.session import LabelSession

CLASSES = ("ok", "defect")


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def session_on(path: Path | str, items: int = 20, **given_: object) -> LabelSession:
    options = {"annotator": "ann", "clock": Clock(), "ahead": 3, **given_}
    session = LabelSession(SqliteStore(path), CLASSES, **options)  # type: ignore[arg-type]
    session.extend([f"{n:04}.jpg" for n in range(items)])
    return session


def truth(ref: str) -> str:
    return CLASSES[int(ref[:4]) % 2]


def answer(session: LabelSession) -> str:
    assert session.current is not None
    ref = session.current.ref
    assert session.label(truth(ref), ref) is not None
    return ref


def features_of(session: LabelSession, folder: Path, seed: int = 0) -> FeatureStore:
    """Two well separated clouds, odd and even items."""
    rng = np.random.default_rng(seed)
    refs = list(session.queue.refs)
    sign = np.array([1 if truth(ref) == "ok" else -1 for ref in refs])
    matrix = rng.normal(0, 0.3, (len(refs), 8)).astype(np.float32)
    matrix[:, 0] += sign
    np.save(folder / "mine.npy", matrix)
    return FeatureStore.adopt(folder / "features", folder / "mine.npy", RefTable(refs))


def step(session: LabelSession) -> None:
    """Fit on all labels so far, and ask by the result."""
    assert session.learn() is not None, "the session has features"
