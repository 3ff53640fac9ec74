"""One step of learning: it takes the labels so far, and returns a model and the next rows to ask.

`learn` is pure: the same snapshot and seed give the same ranking. It reads a clock only to report
how long it took.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from annotator.errors import ProjectError
from annotator.learn.candidates import OpenRows, Pool, reuse_text_scores
from annotator.learn.class_levels import Parents, TreeClasses
from annotator.learn.error_estimate import (
    DrawnLabels,
    ErrorEstimate,
    Interval,
    Unlabelled,
    estimate_error,
    estimate_precision,
)
from annotator.learn.model import (
    FittedModel,
    Model,
    fit_model,
    load_estimator,
    out_of_sample_proba,
)
from annotator.learn.pool_scan import (
    SAMPLE_SIZE,
    IncrementalScan,
    Scan,
    scan_whole_pool,
    uniform_proba,
)
from annotator.learn.registry import STRATEGIES
from annotator.learn.remaining_work import RemainingWork, doubt_factors, measure_work
from annotator.learn.rows import Rows, UnitRows, one_thread
from annotator.learn.slices import AuditedSample, PoolSample
from annotator.learn.stopping import (
    COMPARISON_STEP,
    STOP_SET_SIZE,
    ModelHistory,
    is_comparison_due,
    rarest_class,
)
from annotator.learn.strategies import DEFAULT_STRATEGY, Pick, sample_uniform
from annotator.learn.stratified import AcceptedRows, estimate_whole_pool
from annotator.learn.targets import ONE_CLASS, TagSets, Targets
from annotator.learn.text_prior import TextPrior

MAX_SHOWN = 1000
MAX_REBUILT = 1000  # labels


@dataclass(frozen=True)
class ReusableState:
    """Results that the next `learn` may reuse to save time."""

    unit: UnitRows
    estimator: Any
    cache: dict[str, Any]


@dataclass(frozen=True)
class Ranking:
    """The next rows to ask, the model, and the estimate of its error."""

    version: int
    picks: tuple[Pick, ...]
    """At most `want`, in the order to ask; empty only if no row is open."""
    model: Model | None
    """None before the first label of a row with features."""
    classes: tuple[str, ...]
    estimate: ErrorEstimate | None
    """The error on the whole pool; None without labels drawn with a known probability."""
    precision: Interval | None
    """The precision for the class searched for, or for a rare class; None without one."""
    suggestion: str | None
    """A rare class that `find` might search for; None while it searches."""
    past: ModelHistory
    """The history of the estimate and of the models' agreement (see stopping.py)."""
    work: RemainingWork | None
    """The work that is left, as of the last 10th label; None without an estimate that is shown."""
    doubt_factors: NDArray[np.float64] | None
    """(C,) what corrects the model's doubts, see `remaining_work.doubt_factors`; None
    without a model, for items of several classes, and for a tree of classes."""
    seconds: float
    warm: ReusableState | None = field(default=None, repr=False)


def learn(snapshot: Snapshot, seed: int) -> Ranking:
    """Fit, score, pick and estimate.

    Raises `FeatureError` for a feature row that is zero or not finite, `ProjectError` for an
    unknown name, `ExtraMissing` if the estimator's package is absent.
    """
    begun = time.perf_counter()
    check_snapshot(snapshot)
    unit = _unit_rows(snapshot)
    rng = np.random.default_rng([seed, snapshot.version])
    with one_thread():
        warm = snapshot.previous.warm if snapshot.previous else None
        model = _fit(snapshot, unit, warm.estimator if warm else None)
        step = _Step(snapshot, unit, model, _reusable_cache(snapshot), seed, rng)
        found = step.run()
        past = step.past(found.estimate)
    rare = None if snapshot.find else step.rare(found.estimate)
    return Ranking(
        version=snapshot.version,
        picks=tuple(found.picks),
        model=model,
        classes=snapshot.classes,
        estimate=found.estimate,
        precision=found.precision,
        suggestion=None if rare is None else snapshot.classes[rare],
        past=past,
        work=found.work,
        doubt_factors=found.doubt_factors,
        seconds=time.perf_counter() - begun,
        warm=ReusableState(unit, model.estimator if model else None, step.cache),
    )


def estimate_alone(
    snapshot: Snapshot, model: FittedModel, seed: int
) -> tuple[ErrorEstimate | None, RemainingWork | None]:
    """Return the estimate of `learn` and the work that is left, without a history of many fits."""
    with one_thread():
        rng = np.random.default_rng(seed)
        step = _Step(snapshot, UnitRows(snapshot.features), model, {}, seed, rng)
        scan = step.scan()
        if scan is None:
            return None, None
        drawn, rest = _make_drawn_labels(snapshot, step.unit, model), step.rest(scan)
        estimate = step.estimate(drawn, rest)
        return estimate, step.work(drawn, rest, estimate, _doubt_factors(drawn))


def sample_pool(snapshot: Snapshot, model: FittedModel, seed: int) -> PoolSample | None:
    """Return the labels with their draws and the scanned rows, for estimates of parts of the pool.

    None if no row is open.
    """
    with one_thread():
        rng, unit = np.random.default_rng(seed), UnitRows(snapshot.features)
        step = _Step(snapshot, unit, model, {}, seed, rng)
        scan = step.scan()
        if scan is None:
            return None
        drawn, usable = (
            _make_drawn_labels(snapshot, unit, model),
            _usable_rows(snapshot, snapshot.rows),
        )
        sampled = scan.rows[: scan.sampled]
        labels = PoolSample(drawn, snapshot.rows[usable], step.rest(scan), sampled)
        if (accepted := snapshot.accepted) is None:
            return labels
        proba = model.pool_proba(unit, accepted.rows)
        audited = AuditedSample(
            accepted.audits[usable], Unlabelled(proba, accepted.size), accepted.rows
        )
        return replace(labels, accepted=audited)


def _unit_rows(snapshot: Snapshot) -> UnitRows:
    warm = snapshot.previous.warm if snapshot.previous else None
    if warm is not None and warm.unit.matrix is snapshot.features:
        return warm.unit
    return UnitRows(snapshot.features)


def _reusable_cache(snapshot: Snapshot) -> dict[str, Any]:
    warm = snapshot.previous.warm if snapshot.previous else None
    same = warm is not None and warm.unit.matrix is snapshot.features
    return dict(warm.cache) if warm is not None and same else {}


def _fit(snapshot: Snapshot, unit: UnitRows, warm: object) -> FittedModel | None:
    usable = _usable_rows(snapshot, snapshot.rows)
    if not usable.any() and snapshot.names is None:
        return None
    X, y, s = unit.take(snapshot.rows[usable]), snapshot.y[usable], snapshot
    return fit_model(s.estimator, s.version, len(s.classes), X, y, warm, s.parents, s.names)


def _usable_rows(snapshot: Snapshot, rows: Rows) -> NDArray[np.bool_]:
    if snapshot.available is None:
        return np.ones(len(rows), dtype=bool)
    return snapshot.available[rows]


class _Results(NamedTuple):
    """The findings of a step: picks alone if no open row has features."""

    picks: Sequence[Pick] = ()
    estimate: ErrorEstimate | None = None
    precision: Interval | None = None
    work: RemainingWork | None = None
    doubt_factors: NDArray[np.float64] | None = None


@dataclass(frozen=True, slots=True)
class _Step:
    """The inputs of one call of `learn`, and the parts of its work."""

    snapshot: Snapshot
    unit: UnitRows
    model: FittedModel | None
    cache: dict[str, Any]
    seed: int
    rng: np.random.Generator

    def run(self) -> _Results:
        """Pick among rows with features; if none is left, pick others at random."""
        s, scan = self.snapshot, self.scan()
        if scan is None:
            rest = OpenRows(~s.closed, np.zeros(len(s.closed), dtype=np.float32))
            none = Scan(s.rows[:0], uniform_proba(0, 1), 0, rest)
            return _Results(sample_uniform(self.pool(none), s.want))
        results = self.results(scan)  # before the picks, which close rows of the scan
        inside = self.inside(scan)
        picks = STRATEGIES[s.strategy](self.pool(inside), s.want) if len(inside.rows) else []
        return results._replace(picks=picks)

    def results(self, scan: Scan) -> _Results:
        """Estimate what can be estimated."""
        if self.model is None or not self.model.n:
            return _Results()
        drawn, rest = _make_drawn_labels(self.snapshot, self.unit, self.model), self.rest(scan)
        estimate, factors = self.estimate(drawn, rest), _doubt_factors(drawn)
        wanted = self.find if self.find is not None else self.rare(estimate)
        precision = None if wanted is None else estimate_precision(drawn, rest, wanted)
        work = self.work(drawn, rest, estimate, factors)
        return _Results((), estimate, precision, work, factors)

    def rest(self, scan: Scan) -> Unlabelled:
        """Return the open rows, those that wait to be answered included, by a uniform sample."""
        return Unlabelled(scan.proba[: scan.sampled], scan.open.size + self.snapshot.waiting)

    def work(
        self,
        drawn: DrawnLabels,
        rest: Unlabelled,
        estimate: ErrorEstimate | None,
        factors: NDArray[np.float64] | None,
    ) -> RemainingWork | None:
        """Measure what is left to do at every 10th label; in between it is the last measure."""
        if estimate is None or not estimate.shown:
            return None
        s = self.snapshot
        key = len(drawn.y) // COMPARISON_STEP, s.classes, s.target_error
        if self.cache.get("work", ())[:1] != (key,):
            found = measure_work(drawn, rest, len(s.closed), s.target_error, factors)
            self.cache["work"] = key, found
        work: RemainingWork = self.cache["work"][1]
        return work

    def inside(self, scan: Scan) -> Scan:
        """Return a scan of the rows that may be picked, if they are a part of the open rows.

        Of a large part, a random sample is scored.
        """
        s = self.snapshot
        if s.outside is None:
            return scan
        mask = scan.open.mask & ~s.outside
        rows = np.flatnonzero(mask)
        if len(rows) > SAMPLE_SIZE:
            mask = np.zeros(len(mask), bool)
            mask[self.rng.choice(rows, SAMPLE_SIZE, replace=False)] = True
        return scan_whole_pool(self.unit, self.model, len(s.classes), mask)

    def scan(self) -> Scan | None:
        """Score the open rows with features; None without any."""
        s, C = self.snapshot, len(self.snapshot.classes)
        ready = ~s.closed if s.available is None else s.available & ~s.closed
        if not ready.any():
            return None
        if self.unit.kept:
            return scan_whole_pool(self.unit, self.model, C, ready)
        rolling = self.cache.get("rolling")
        available = np.ones(len(ready), dtype=bool) if s.available is None else s.available
        if rolling is None or rolling.is_outgrown(available):
            rolling = self.cache["rolling"] = IncrementalScan(self.unit, available, self.seed)
        scan: Scan = rolling.step(self.model, C, available, ready, self.find)
        return scan

    @property
    def find(self) -> int | None:
        s = self.snapshot
        return None if s.find is None else s.classes.index(s.find)

    def rare(self, estimate: ErrorEstimate | None) -> int | None:
        s = self.snapshot
        counts = self.targets.counts(s.y, len(s.classes))
        return rarest_class(counts, len(s.y), estimate)

    @property
    def targets(self) -> Targets:
        """The kind of the labels: classes, or sets of tags."""
        if self.model is not None:
            return self.model.targets
        if self.snapshot.parents:
            return TreeClasses(self.snapshot.parents)
        return TagSets() if self.snapshot.has_tags else ONE_CLASS

    def pool(self, scan: Scan) -> Pool:
        s, C = self.snapshot, len(self.snapshot.classes)
        fitted = _usable_rows(s, s.rows)
        return Pool(
            rows=scan.rows,
            proba=scan.proba,
            open=scan.open,
            unit=self.unit,
            labelled=s.rows[fitted],
            y=s.y[fitted],
            shown=_shown_rows(s),
            counts=self.targets.counts(s.y, C),
            find=self.find,
            available=s.available,
            score=self.model.unit_proba if self.model else lambda X: uniform_proba(len(X), C),
            seed=self.seed,
            rng=self.rng,
            cache=self.cache,
            targets=self.targets,
            labels=len(s.y),
            text=reuse_text_scores(
                s.text if s.estimator == "ridge" else None, self.unit, self.cache
            ),
            trusts_text=self.model is not None and self.model.text_weight > 0,
        )

    def estimate(self, drawn: DrawnLabels, rest: Unlabelled) -> ErrorEstimate | None:
        """Estimate the error on the whole pool; accepted rows are a part with labels of its own."""
        accepted = self.snapshot.accepted
        if accepted is None or self.model is None:
            return estimate_error(drawn, rest)
        proba = self.model.pool_proba(self.unit, accepted.rows)
        audits = accepted.audits[_usable_rows(self.snapshot, self.snapshot.rows)]
        return estimate_whole_pool(drawn, rest, audits, Unlabelled(proba, accepted.size))

    def past(self, estimate: ErrorEstimate | None) -> ModelHistory:
        s = self.snapshot
        if self.model is None or not self.model.n:
            return ModelHistory()
        before = s.previous.past if s.previous else self._rebuild_history(self.model)
        sample_classes = (
            self._predict_sample(self.model) if is_comparison_due(self.model.n, before) else None
        )
        return before.extended(self.model.n, estimate, sample_classes)

    def _predict_sample(self, model: FittedModel) -> Rows:
        """Return the model's classes on a fixed random sample of the pool."""
        return np.asarray(model.targets.decide(model.unit_proba(self._sample())))

    def _sample(self) -> NDArray[np.float32]:
        available = self.snapshot.available
        key = f"stop set {-1 if available is None else int(available.sum())}"
        if key not in self.cache:
            mask = np.ones(len(self.snapshot.closed), bool) if available is None else available
            rng = np.random.default_rng([self.seed, STOP_SET_SIZE])
            sample = OpenRows(mask, np.zeros(len(mask), dtype=np.float32))
            self.cache[key] = self.unit.take(sample.uniform(rng, STOP_SET_SIZE))
        unit_rows: NDArray[np.float32] = self.cache[key]
        return unit_rows

    def _rebuild_history(self, last: FittedModel) -> ModelHistory:
        """Rebuild the history when a session is resumed: with a fit at every 10th label."""
        past, s, model = ModelHistory(), self.snapshot, None
        if not last.calibrated:
            return past  # cross-validation at every step would take too long
        sample, size = self._sample(), int((~s.closed).sum()) + s.waiting
        size += s.accepted.size if s.accepted else 0
        for n in range(COMPARISON_STEP, min(last.n, MAX_REBUILT), COMPARISON_STEP):
            early = _first_labels(s, n)
            model = _fit(early, self.unit, model.estimator if model else None)
            if model is not None:
                proba = model.unit_proba(sample)
                rest = Unlabelled(proba, size + last.n - n)
                estimate = estimate_error(_make_drawn_labels(early, self.unit, model), rest)
                past = past.extended(n, estimate, np.asarray(model.targets.decide(proba)))
        return past


def _first_labels(s: Snapshot, n: int) -> Snapshot:
    missed = None if s.missed is None else s.missed[:n]
    tags = None if s.tags_missed is None else s.tags_missed[:n]
    return replace(
        s, rows=s.rows[:n], y=s.y[:n], q=s.q[:n], pool=s.pool[:n], missed=missed, tags_missed=tags
    )


def _make_drawn_labels(snapshot: Snapshot, unit: UnitRows, model: FittedModel) -> DrawnLabels:
    fitted = _usable_rows(snapshot, snapshot.rows)
    rows, y = snapshot.rows[fitted], snapshot.y[fitted]
    X = unit.take(rows)
    proba, known = out_of_sample_proba(model, X, y), model.unit_proba(X)
    missed, tags_missed = (
        None if values is None else values[fitted]
        for values in (snapshot.missed, snapshot.tags_missed)
    )
    return DrawnLabels(
        proba, known, y, snapshot.q[fitted], snapshot.pool[fitted], model.calibrated, missed,
        model.targets, tags_missed,
    )  # fmt: skip


def _doubt_factors(drawn: DrawnLabels) -> NDArray[np.float64] | None:
    return doubt_factors(drawn.proba, drawn.y) if drawn.targets is ONE_CLASS else None


def _shown_rows(snapshot: Snapshot) -> Rows:
    """Return the rows that new picks should differ from: labelled, queued and skipped ones.

    If many rows are closed without a label, they do not belong to this pool and are left out.
    """
    other = snapshot.closed.copy()
    other[snapshot.rows] = False
    more = np.flatnonzero(other)
    rows = np.append(snapshot.rows, more if len(more) <= MAX_SHOWN else more[:0])
    return rows[_usable_rows(snapshot, rows)]


@dataclass(frozen=True)
class Snapshot:
    """The input of `learn`; its arrays are not changed afterwards."""

    version: int
    """The seq of the last log entry in it: it identifies the data."""
    features: NDArray[Any]
    """(N, d) of any float type, possibly a memory map; row i is pool row i."""
    available: NDArray[np.bool_] | None
    """(N,) True for rows whose features exist; None for all."""
    rows: Rows
    """(n,) labelled pool rows in the order they were asked."""
    y: NDArray[Any]
    """(n,) index into classes; (n, C) True for each tag if an item may have several classes."""
    q: NDArray[np.float64]
    """(n,) propensity of each draw; NaN if there was none (imports, pages, searches)."""
    pool: Rows
    """(n,) size of the pool that each row was drawn from."""
    component: tuple[str, ...]
    """(n,) the part of the strategy that drew each row."""
    classes: tuple[str, ...]
    closed: NDArray[np.bool_]
    """(N,) True for rows not to pick: answered, skipped, queued, on another screen, broken."""
    strategy: str = DEFAULT_STRATEGY
    estimator: str = "ridge"
    find: str | None = None
    """The class to search for, or None."""
    want: int = 1
    """The number of picks wanted."""
    waiting: int = 0
    """The number of `closed` rows without an answer: queued, or on another screen. The estimate
    covers them, too."""
    accepted: AcceptedRows | None = None
    """The rows that `finish` accepted from the model: part of the pool, none of them open."""
    missed: NDArray[np.float64] | None = None
    """(n,) 1 if the prediction before the label was wrong, 0 if it was right, NaN without one."""
    tags_missed: NDArray[np.float64] | None = None
    """(n,) the share of tags that this prediction had wrong, NaN without one."""
    parents: Parents = ()
    """The place of the parent of each class, -1 at the top; empty for classes without parents."""
    outside: NDArray[np.bool_] | None = None
    """(N,) True for open rows not to pick; None if any open row may be picked."""
    target_error: float | None = None
    """The share of wrong labels to reach, by which the work that is left is measured."""
    text: TextPrior | None = None
    previous: Ranking | None = None
    """The last ranking: it saves time, and changes nothing beyond rounding. Only the work that is
    left may be that of up to nine labels ago."""

    @property
    def names(self) -> TextPrior | None:
        """The scores `text` of the classes by their names, if the estimator can use them."""
        return self.text if self.estimator == "ridge" else None

    @property
    def has_tags(self) -> bool:
        """True if an item may have several classes."""
        return self.y.ndim == 2


def check_snapshot(snapshot: Snapshot) -> None:
    """Raise `ProjectError` for an unknown name, with a list of the known ones."""
    load_estimator(snapshot.estimator)
    for kind, name, known in (
        ("strategy", snapshot.strategy, STRATEGIES),
        ("class to find", snapshot.find, (None, *snapshot.classes)),
    ):
        if name not in known:
            names = ", ".join(str(known_name) for known_name in known if known_name)
            raise ProjectError(f"Unknown {kind} {name!r}. Known: {names}.")
