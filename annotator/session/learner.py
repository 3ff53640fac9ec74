"""What a session learns with: features, a strategy, and the last ranking.

Puts the log's labels and the queue's open rows together for `learn`, and its answer to use.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import compress
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from annotator.features.store import FeatureStore
from annotator.items.ref_table import RefTable
from annotator.learn.ranking import Ranking, Snapshot
from annotator.learn.strategies import Pick
from annotator.learn.stratified import MAX_SCORED, AcceptedRows
from annotator.log.entries import LogState
from annotator.project.clusters import Clusters
from annotator.project.label_sets import powerset_classes
from annotator.session.label_arrays import LabelArrays, LoggedLabels, RowLookup
from annotator.session.pool_features import PoolFeatures
from annotator.session.queue import Queue


@dataclass(frozen=True, slots=True)
class StrategyChoice:
    """How to choose what to ask; can be changed while labelling."""

    name: str = "herding-mix"
    find: str | None = None
    """The rare class that is hunted for."""
    estimator: str = "ridge"


class Prior(Protocol):
    """What is said of items before anything is learnt: by whatever proposed them."""

    def prediction(self, ref: str) -> tuple[dict[str, float], str] | None:
        """Class to probability, and the model that says so."""
        ...

    def describe(self, ref: str, hidden: bool = False) -> str:
        """What is proposed, in short, without its score where that is `hidden`; "" for nothing."""
        ...


class Learner:
    """Owned by one session, and by its thread."""

    def __init__(
        self,
        classes: tuple[str, ...],
        strategy: StrategyChoice,
        multi: bool = False,
        prior: Prior | None = None,
        clusters: Clusters | None = None,
    ) -> None:
        """Set up a learner without features. With `multi` every set of classes that was used is a
        class to the model. `clusters` are the items that were found to look alike."""
        self.classes, self.strategy, self._multi = classes, strategy, multi
        self.prior, self.clusters = prior, clusters or Clusters.none()
        self.ranking: Ranking | None = None
        self.features: PoolFeatures | None = None
        self._learnt: object = None
        self._fitted: StrategyChoice | None = None
        self._known = LabelArrays()

    def attach_features(
        self, store: FeatureStore, available: NDArray[np.bool_] | None, refs: RefTable
    ) -> None:
        """Use these features; `available` (n,) says which of their rows exist yet."""
        if self.features is None or self.features.store is not store:
            self.features = PoolFeatures(store, refs)
        self.features.available = available

    def add_classes(self, names: Sequence[str]) -> None:
        """Learn these, too, from the next fit on; what the model of fewer classes says is over."""
        self.classes = (*self.classes, *names)
        self.ranking, self._learnt = None, None

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
        assert self.ranking is not None
        proba = model.predict_proba(vector[None])[0]
        return dict(zip(self.ranking.classes, map(float, proba), strict=True))

    def predict_with_source(self, row: int, ref: str) -> tuple[dict[str, float] | None, str | None]:
        """What the model says of a pool row, until there is one what was proposed; and who
        says so."""
        proba = self.predict(row)
        if proba is not None:
            return proba, self.model_name
        return (self.prior and self.prior.prediction(ref)) or (None, None)

    def cluster_class(self, ref: str) -> str | None:
        """The class that an item's cluster is said to be."""
        name = self.clusters.name(ref)
        return name if name in self.classes else None

    def stale(self, state: LogState, queue: Queue) -> bool:
        """Whether a fit would know more than the last one did."""
        return self.features is not None and self._learnt != self._knowledge(state, queue)

    def snapshot(self, state: LogState, queue: Queue) -> Snapshot | None:
        """All that `learn` needs, or None while there are no features."""
        if self.features is None:
            return None
        self._learnt, self._fitted = self._knowledge(state, queue), self.strategy
        previous = self.ranking
        if self._multi:
            before, self.classes = self.classes, used_label_sets(state, self.classes)
            if previous is not None and before != self.classes:
                previous = replace(previous, warm=None)  # its arrays have too few columns
        return replace(
            make_snapshot(
                self.features, state, self.classes, self.strategy, queue.rows, self._known
            ),
            closed=self.features.closed(queue.closed()),
            want=queue.ahead + 4,
            previous=previous,
        )

    @property
    def is_fitted_to_choice(self) -> bool:
        """Whether what was asked last, and may still be under way, is of the strategy chosen."""
        return self._fitted == self.strategy

    def adopt(self, ranking: Ranking) -> list[Pick]:
        """Predict with this ranking's model from now on; its picks, of pool rows."""
        assert self.features is not None
        self.ranking = ranking
        return self.features.pool_picks(ranking.picks)

    def _knowledge(self, state: LogState, queue: Queue) -> object:
        """What a fit depends on; equal values mean that a fit would give the same."""
        available = self.features.available if self.features else None
        ready = -1 if available is None else int(available.sum())
        return (state.seq, ready, self.strategy, len(queue.refs))


def used_label_sets(state: LogState, classes: tuple[str, ...]) -> tuple[str, ...]:
    """What the model of a multi-label project tells apart: the sets of classes that people used."""
    return powerset_classes(
        (str(last.label) for _, last in state.labels() if not last.by_machine), classes
    )


def make_snapshot(
    features: PoolFeatures,
    state: LogState,
    classes: tuple[str, ...],
    strategy: StrategyChoice,
    rows_of: RowLookup,
    known: LabelArrays | None = None,
) -> Snapshot:
    """What people have labelled, ready for `learn`; every row is closed, and none is wanted.

    Labels that a model gave are left out: it learns nothing from itself.
    """
    labels = (known or LabelArrays()).labels(state, classes, rows_of, features.size)
    rows = features.rows(labels.rows)
    usable = features.usable(rows)
    component = tuple(compress(labels.component, usable))
    return Snapshot(
        version=state.seq,
        features=features.store.matrix,
        available=features.available,
        rows=rows[usable],
        y=labels.y[usable],
        q=labels.q[usable],
        pool=labels.pool[usable],
        component=component,
        classes=classes,
        closed=np.ones(len(features.store.matrix), bool),
        strategy=strategy.name,
        estimator=strategy.estimator,
        find=strategy.find,
        want=0,
        accepted=_accepted_rows(features, labels, component),
    )


def _accepted_rows(
    features: PoolFeatures, labels: LoggedLabels, component: tuple[str, ...]
) -> AcceptedRows | None:
    """What `finish` accepted from the model; its order in the log is a random one."""
    if not len(labels.accepted):
        return None
    rows = features.rows(labels.accepted[:: -(-len(labels.accepted) // MAX_SCORED)])
    rows = rows[features.usable(rows)]
    audits = np.array([name in labels.certified for name in component], bool)
    return AcceptedRows(rows, len(labels.accepted), audits) if len(rows) else None
