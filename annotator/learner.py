"""What a session learns with: features, a strategy, and the last ranking.

Puts the log's labels and the queue's open rows together for `learn`, and its answer to use.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annotator.features.store import FeatureStore
from annotator.learn.ranking import Ranking, Snapshot
from annotator.learn.strategies import Pick
from annotator.log import Entry, State
from annotator.pooled import PooledFeatures
from annotator.queue import Queue
from annotator.reftable import RefTable


@dataclass(frozen=True, slots=True)
class Strategy:
    """How to choose what to ask; can be changed while labelling."""

    name: str = "herding-mix"
    find: str | None = None
    """The rare class that is hunted for."""
    estimator: str = "ridge"


class Learner:
    """Owned by one session, and by its thread."""

    def __init__(self, classes: tuple[str, ...], strategy: Strategy) -> None:
        self.classes, self.strategy = classes, strategy
        self.ranking: Ranking | None = None
        self.features: PooledFeatures | None = None
        self._learnt: object = None

    def attach(
        self, store: FeatureStore, available: NDArray[np.bool_] | None, refs: RefTable
    ) -> None:
        """Use these features; `available` (n,) says which of their rows exist yet."""
        if self.features is None or self.features.store is not store:
            self.features = PooledFeatures(store, refs)
        self.features.available = available

    @property
    def model_name(self) -> str | None:
        model = self.ranking.model if self.ranking else None
        return model.name if model else None

    def predict(self, row: int) -> dict[str, float] | None:
        """What the model says of a pool row; None without a model or features."""
        model = self.ranking.model if self.ranking else None
        vector = self.features.vector(row) if self.features else None
        if model is None or vector is None:
            return None
        proba = model.predict_proba(vector[None])[0]
        return dict(zip(self.classes, map(float, proba), strict=True))

    def stale(self, state: State, queue: Queue) -> bool:
        """Whether a fit would know more than the last one did."""
        return self.features is not None and self._learnt != self._knowledge(state, queue)

    def snapshot(self, state: State, queue: Queue) -> Snapshot | None:
        """All that `learn` needs, or None while there are no features."""
        if self.features is None:
            return None
        rows, y, first = self._training_set(self.features, state, queue)
        self._learnt = self._knowledge(state, queue)
        return Snapshot(
            version=state.seq,
            features=self.features.store.matrix,
            available=self.features.available,
            rows=rows,
            y=y,
            q=np.array([np.nan if e.q is None else e.q for e in first], np.float64),
            pool=np.array([e.pool or 0 for e in first], np.int64),
            component=tuple(e.picked_by or "" for e in first),
            classes=self.classes,
            closed=self.features.closed(queue.closed()),
            strategy=self.strategy.name,
            estimator=self.strategy.estimator,
            find=self.strategy.find,
            want=queue.ahead + 4,
            previous=self.ranking,
        )

    def adopt(self, ranking: Ranking) -> list[Pick]:
        """Predict with this ranking's model from now on; its picks, of pool rows."""
        assert self.features is not None
        self.ranking = ranking
        return self.features.pool_picks(ranking.picks)

    def _training_set(
        self, features: PooledFeatures, state: State, queue: Queue
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], list[Entry]]:
        known = {name: index for index, name in enumerate(self.classes)}
        pairs = [pair for pair in state.labels() if pair[1].label in known]
        rows = features.rows([queue.row(first.ref) for first, _ in pairs])
        y = np.array([known[str(last.label)] for _, last in pairs], np.int64)
        usable = features.usable(rows)
        kept = [pair[0] for pair, keep in zip(pairs, usable, strict=True) if keep]
        return rows[usable], y[usable], kept

    def _knowledge(self, state: State, queue: Queue) -> object:
        """What a fit depends on; equal values mean that a fit would give the same."""
        available = self.features.available if self.features else None
        ready = -1 if available is None else int(available.sum())
        return (state.seq, ready, self.strategy, len(queue.refs))
