"""The learning side of a session: features, a strategy, and the last ranking.

It makes the input of `learn` from the log's labels and the queue's open rows, and predicts by the
model of the last ranking.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import compress
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from annotator.learn.targets import ONE_CLASS, TagSets, Targets
from annotator.log.entries import PREDICTED, LogState
from annotator.project.class_tree import ClassTree
from annotator.project.clusters import Clusters
from annotator.project.label_sets import join_label
from annotator.session.label_arrays import LabelArrays, LoggedLabels, RowLookup
from annotator.session.pool_features import PoolFeatures

if TYPE_CHECKING:
    from annotator.features.store import FeatureStore
    from annotator.items.ref_table import RefTable
    from annotator.learn.ranking import Ranking, Snapshot
    from annotator.learn.strategies import Pick
    from annotator.learn.stratified import AcceptedRows
    from annotator.learn.text_prior import TextPrior
    from annotator.session.queue import Queue


@dataclass(frozen=True, slots=True)
class StrategyChoice:
    """The strategy that chooses what to ask; can be changed while labelling."""

    name: str = "herding-mix"
    find: str | None = None
    """The rare class to search for, or None."""
    estimator: str = "ridge"


class Prior(Protocol):
    """A source of predictions before the model has learnt: the proposals of a detector."""

    def prediction(self, ref: str) -> tuple[dict[str, float], str] | None:
        """Return class to probability, and the name of the model; None without a proposal."""
        ...

    def describe(self, ref: str, hidden: bool = False) -> str:
        """Describe the proposal briefly, without its score if `hidden`; "" without a proposal."""
        ...


class Learner:
    """The features, the strategy and the model of one session; belongs to its thread."""

    def __init__(
        self,
        classes: tuple[str, ...],
        strategy: StrategyChoice,
        multi: bool = False,
        prior: Prior | None = None,
        clusters: Clusters | None = None,
        tree: ClassTree | None = None,
    ) -> None:
        """Set up a learner without features. `tree` holds the parents of the classes.

        With `multi` an item may have several classes. `clusters` are groups of look-alike items.
        """
        self.classes, self.strategy, self._multi = classes, strategy, multi
        self.prior, self.clusters = prior, clusters or Clusters.none()
        self.ranking: Ranking | None = None
        self.features: PoolFeatures | None = None
        self.restricted = 0
        """The number of times that the rows to ask have been restricted, or freed."""
        self.text: TextPrior | None = None
        """The scores of the classes by their names; None without, or while they are not read."""
        self.target_error: float | None = None
        """The share of wrong labels to reach."""
        self.excluded: dict[int, set[str]] = {}
        """Pool rows taken off a page or a stream without a class, each with what it is not: classes
        or, if an item may have several, labels."""
        self._learnt: object = None
        self._fitted: StrategyChoice | None = None
        self.tree = tree or ClassTree(dict.fromkeys(classes))
        self._known = LabelArrays(self.tree.is_within, multi=multi)

    def attach_features(
        self, store: FeatureStore, available: NDArray[np.bool_] | None, refs: RefTable
    ) -> None:
        """Use these features; `available` (n,) marks the rows that exist yet, None for all."""
        if self.features is None or self.features.store is not store:
            self.features = PoolFeatures(store, refs)
        self.features.available = available

    def use_classes(self, tree: ClassTree) -> None:
        """Learn the classes of `tree` from the next fit on, and drop the model of others."""
        self.classes, self.tree = tuple(tree.parents), tree
        self._known = LabelArrays(tree.is_within, multi=self._multi)
        self.ranking, self._learnt, self.text = None, None, None
        if not self._multi:  # there, what is ruled out are sets of classes
            left = {row: names.intersection(tree.parents) for row, names in self.excluded.items()}
            self.excluded = {row: names for row, names in left.items() if names}
        if self.strategy.find not in (None, *self.classes):
            self.strategy = replace(self.strategy, find=None)

    @property
    def model_name(self) -> str | None:
        """The name and version of the model that predicts; None without one."""
        model = self.ranking.model if self.ranking else None
        return model.name if model else None

    def predict(self, row: int) -> dict[str, float] | None:
        """Return the model's probabilities for a pool row; None without a model or features."""
        model = self.ranking.model if self.ranking else None
        vector = self.features.vector(row) if self.features else None
        if model is None or vector is None:
            return None
        assert self.ranking is not None
        proba = model.predict_proba(vector[None])[0]
        return dict(zip(self.ranking.classes, map(float, proba), strict=True))

    def predict_with_source(self, row: int, ref: str) -> tuple[dict[str, float] | None, str | None]:
        """Return the probabilities for an item and the name of their model.

        They are the prior's until there is a model; both are None without either.
        """
        proba = self.predict(row)
        if proba is not None:
            return proba, self.model_name
        return (self.prior and self.prior.prediction(ref)) or (None, None)

    @property
    def predicts_by_name(self) -> bool:
        """True while the model knows no label, only the names of the classes."""
        if self.ranking is None:
            return False
        from annotator.learn.model import FittedModel

        model = self.ranking.model
        return isinstance(model, FittedModel) and not model.n

    def is_by_name(self, proba: Mapping[str, float] | None, counts: Mapping[str, int]) -> bool:
        """Return whether the likeliest class has no label yet: its name alone speaks for it."""
        if not proba or self.ranking is None:
            return False
        from annotator.learn.model import FittedModel

        model = self.ranking.model
        if not isinstance(model, FittedModel) or not model.text_weight:
            return False
        return not counts.get(max(proba, key=proba.__getitem__), 0)

    @property
    def targets(self) -> Targets:
        """The kind of label that the last model predicts: one class, or a set of them."""
        if self.ranking is not None and self.ranking.model is not None:
            return self.ranking.model.targets
        return TagSets() if self._multi else ONE_CLASS

    def predicted_classes(self, proba: Mapping[str, float]) -> frozenset[str]:
        """Return the likeliest class or, if an item may have several, those over their thresholds.

        Before there is a model the threshold is 0.5.
        """
        if not self._multi:
            return frozenset([max(proba, key=proba.__getitem__)] if proba else [])
        decided = self.targets.decide(np.array([[proba.get(name, 0.0) for name in self.classes]]))[
            0
        ]
        return frozenset(name for name, has in zip(self.classes, decided, strict=True) if has)

    def prediction_details(self, proba: Mapping[str, float] | None) -> dict[str, str]:
        """Return what `extra` says about a prediction: the predicted set of classes."""
        if not self._multi or proba is None or not set(proba) <= set(self.classes):
            return {}  # one of an older version predicts whole sets
        return {PREDICTED: join_label(self.predicted_classes(proba), self.classes)}

    def cluster_class(self, ref: str) -> str | None:
        """Return the class after which an item's cluster is named, or None."""
        name = self.clusters.name(ref)
        return name if name in self.classes else None

    def stale(self, state: LogState, queue: Queue) -> bool:
        """Return whether a fit would know more than the last one did."""
        return self.features is not None and self._learnt != self._knowledge(state, queue)

    def snapshot(self, state: LogState, queue: Queue) -> Snapshot | None:
        """Return the input of `learn`, or None while there are no features."""
        if self.features is None:
            return None
        self._learnt, self._fitted = self._knowledge(state, queue), self.strategy
        known, tree = self._known, self.tree
        answered, closed = queue.closed_by_answers(), queue.closed(everywhere=True)
        waiting = self.features.rows(np.flatnonzero(closed & ~answered))
        return replace(
            make_snapshot(
                self.features,
                state,
                self.classes,
                self.strategy,
                queue.rows,
                known,
                tree,
                multi=self._multi,
                target_error=self.target_error,
                text=self.text,
            ),  # fmt: skip
            closed=self.features.closed(closed),
            waiting=int(self.features.usable(waiting).sum()),
            outside=self.features.closed(~queue.inside()) if queue.within is not None else None,
            want=queue.ahead + 4,
            previous=self.ranking,
        )

    @property
    def is_fitted_to_choice(self) -> bool:
        """True if the last snapshot, whose fit may still run, has the current strategy."""
        return self._fitted == self.strategy

    def adopt(self, ranking: Ranking) -> list[Pick]:
        """Predict with this ranking's model from now on; return its picks as pool rows."""
        assert self.features is not None
        self.ranking = ranking
        return self.features.pool_picks(ranking.picks)

    def _knowledge(self, state: LogState, queue: Queue) -> object:
        """Return a value that is equal for two calls if both fits would be the same."""
        available = self.features.available if self.features else None
        ready = -1 if available is None else int(available.sum())
        return (state.seq, ready, self.strategy, len(queue.refs), self.restricted, id(self.text))


def make_snapshot(
    features: PoolFeatures,
    state: LogState,
    classes: tuple[str, ...],
    strategy: StrategyChoice,
    rows_of: RowLookup,
    known: LabelArrays | None = None,
    tree: ClassTree | None = None,
    *,
    multi: bool = False,
    target_error: float | None = None,
    text: TextPrior | None = None,
) -> Snapshot:
    """Make the input of `learn` from the labels of people; it asks for no rows.

    Labels that a model gave are left out: a model learns nothing from itself. With `multi` a
    label is a set of classes; parents of classes then have no part in learning.
    """
    from annotator.learn.ranking import Snapshot

    tree = tree or ClassTree({})
    known = known or LabelArrays(tree.is_within, multi=multi)
    labels = known.labels(state, classes, rows_of, features.size)
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
        missed=labels.missed[usable],
        tags_missed=labels.tags_missed[usable] if multi else None,
        parents=() if tree.is_flat or multi else tree.parent_rows,
        target_error=target_error,
        text=text,
    )


def _accepted_rows(
    features: PoolFeatures, labels: LoggedLabels, component: tuple[str, ...]
) -> AcceptedRows | None:
    """Return the rows that `finish` accepted from the model; their order in the log is random."""
    if not len(labels.accepted):
        return None
    from annotator.learn.stratified import MAX_SCORED, AcceptedRows

    rows = features.rows(labels.accepted[:: -(-len(labels.accepted) // MAX_SCORED)])
    rows = rows[features.usable(rows)]
    audits = np.array([name in labels.certified for name in component], bool)
    return AcceptedRows(rows, len(labels.accepted), audits) if len(rows) else None
