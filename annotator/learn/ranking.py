"""One step of learning: labels so far in, the next rows to ask and a model out.

`learn` is pure: the same snapshot and seed give the same ranking. It never looks at a clock
except to say how long it took.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotator.errors import ProjectError
from annotator.learn.honest import ErrorEstimate
from annotator.learn.model import ESTIMATORS, FittedModel, Model
from annotator.learn.rows import Rows, UnitRows, one_thread
from annotator.learn.strategies import STRATEGIES, Pick, Pool

SCANNED = 200_000  # open rows scored for every label; of a larger pool, a random part


@dataclass(frozen=True)
class Snapshot:
    """All that `learn` knows; arrays are not changed after they are handed over."""

    version: int
    """seq of the last log entry it holds: identifies the data."""
    features: NDArray[Any]
    """(N, d) of any float type, may be a memory map; row i is pool row i."""
    available: NDArray[np.bool_] | None
    """(N,) rows whose features exist; None = all."""
    rows: Rows
    """(n,) labelled pool rows in the order they were asked."""
    y: Rows
    """(n,) index into classes."""
    q: NDArray[np.float64]
    """(n,) probability with which each was drawn; NaN = none (imported, a page, looked up)."""
    pool: Rows
    """(n,) size of the pool that it was drawn from."""
    component: tuple[str, ...]
    """(n,) which part of the strategy drew it."""
    classes: tuple[str, ...]
    closed: NDArray[np.bool_]
    """(N,) must not be picked: answered, skipped, queued, on another screen, broken."""
    strategy: str = "random"
    estimator: str = "ridge"
    find: str | None = None
    """The class to search for."""
    want: int = 1
    """How many picks are wanted."""
    previous: Ranking | None = None
    """The last ranking: saves time, changes nothing beyond rounding."""


@dataclass(frozen=True)
class Warm:
    """What the next `learn` may reuse."""

    unit: UnitRows
    estimator: Any


@dataclass(frozen=True)
class Ranking:
    """What to ask next, and what was learnt."""

    version: int
    picks: tuple[Pick, ...]
    """At most `want`, in the order to ask; empty only where no row is open."""
    model: Model | None
    """None before the first label of a row with features."""
    classes: tuple[str, ...]
    estimate: ErrorEstimate | None
    seconds: float
    warm: Warm | None = field(default=None, repr=False)


def learn(snapshot: Snapshot, seed: int) -> Ranking:
    """Fit, score, pick and estimate.

    Raises FeatureError for a feature row that is zero or not finite, ProjectError for an
    unknown name, ExtraMissing where the estimator's package is absent.
    """
    begun = time.perf_counter()
    check_names(snapshot)
    unit = _unit_rows(snapshot)
    rng = np.random.default_rng([seed, snapshot.version])
    with one_thread():
        model = _fit(snapshot, unit)
        picks = _pick(snapshot, unit, model, seed, rng)
    return Ranking(
        version=snapshot.version,
        picks=tuple(picks),
        model=model,
        classes=snapshot.classes,
        estimate=None,
        seconds=time.perf_counter() - begun,
        warm=Warm(unit, model.estimator if model else None),
    )


def check_names(snapshot: Snapshot) -> None:
    """Raises ProjectError, listing the names that exist."""
    for kind, name, known in (
        ("strategy", snapshot.strategy, STRATEGIES),
        ("estimator", snapshot.estimator, ESTIMATORS),
        ("class to find", snapshot.find, (None, *snapshot.classes)),
    ):
        if name not in known:
            names = ", ".join(str(one) for one in known if one)
            raise ProjectError(f"unknown {kind} {name!r}; known: {names}")


def _unit_rows(snapshot: Snapshot) -> UnitRows:
    warm = snapshot.previous.warm if snapshot.previous else None
    if warm is not None and warm.unit.matrix is snapshot.features:
        return warm.unit
    return UnitRows(snapshot.features)


def _fit(snapshot: Snapshot, unit: UnitRows) -> FittedModel | None:
    usable = _usable(snapshot, snapshot.rows)
    if not usable.any():
        return None
    rows, y = snapshot.rows[usable], snapshot.y[usable]
    estimator = ESTIMATORS[snapshot.estimator](len(snapshot.classes))
    warm = snapshot.previous.warm if snapshot.previous else None
    if warm is not None and isinstance(warm.estimator, type(estimator)):
        estimator.fit(unit.take(rows), y, warm=warm.estimator)
    else:
        estimator.fit(unit.take(rows), y)
    name = f"{snapshot.estimator}@{snapshot.version}"
    return FittedModel(name, estimator, len(rows), len(snapshot.classes))


def _usable(snapshot: Snapshot, rows: Rows) -> NDArray[np.bool_]:
    if snapshot.available is None:
        return np.ones(len(rows), dtype=bool)
    return snapshot.available[rows]


def _pick(
    snapshot: Snapshot,
    unit: UnitRows,
    model: FittedModel | None,
    seed: int,
    rng: np.random.Generator,
) -> list[Pick]:
    """Rows with features first; only where none is left, the others at random."""
    open_rows = np.flatnonzero(~snapshot.closed)
    usable = _usable(snapshot, open_rows)
    ready = open_rows[usable]
    if len(ready) == 0:
        rest = open_rows[~usable]
        return STRATEGIES["random"](
            _pool(snapshot, unit, None, rest, len(rest), seed, rng), snapshot.want
        )
    seen = ready
    if len(ready) > SCANNED and snapshot.strategy != "random":
        seen = np.sort(rng.choice(ready, SCANNED, replace=False))
    fitted = None if snapshot.strategy == "random" else model
    pool = _pool(snapshot, unit, fitted, seen, len(ready), seed, rng)
    return STRATEGIES[snapshot.strategy](pool, snapshot.want)


def _pool(
    snapshot: Snapshot,
    unit: UnitRows,
    model: FittedModel | None,
    rows: Rows,
    size: int,
    seed: int,
    rng: np.random.Generator,
) -> Pool:
    C = len(snapshot.classes)
    if model is None:
        proba = np.broadcast_to(np.float32(1 / C), (len(rows), C))
    else:
        proba = model.pool_proba(unit, rows)
    return Pool(
        rows=rows,
        size=size,
        proba=proba,
        unit=unit,
        labelled=snapshot.rows,
        counts=np.bincount(snapshot.y, minlength=C),
        find=None if snapshot.find is None else snapshot.classes.index(snapshot.find),
        seed=seed,
        rng=rng,
    )
