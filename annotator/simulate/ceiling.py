"""A ceiling for strategies: a greedy oracle that knows the label of every item of the pool.

Like BoSS (arXiv:2603.13109) it lets several strategies, and chance, propose items. With the true
label of each it fits the model anew, and it asks the item whose model does best on the pool. It
looks only one label ahead, so a better oracle may exist. It does not know the test items.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotator.learn.ranking import Ranking, Snapshot, learn
from annotator.learn.ridge import RidgeLOO
from annotator.learn.rows import Rows, UnitRows, one_thread
from annotator.simulate.metrics import METRICS, accuracy_score, calibration_error, choose_metric
from annotator.simulate.options import SimulateOptions, SimulationJob
from annotator.simulate.oracle import RECORD_EVERY, RunCurves
from annotator.simulate.task import SimulationTask

PROPOSING = {"herding-mix": 3, "uherding": 3, "margin": 3, "random": 6}
"""The strategies that propose, and the number of items that each one may propose."""
KNOWN_ROWS = 2000  # items of the pool, with their labels, on which the oracle tries a model
TIE_BREAK = 1e-3  # the weight of the mean log-probability of the true class, beside the metric


def simulate_ceiling(
    task: SimulationTask, job: SimulationJob, options: SimulateOptions
) -> dict[str, Any]:
    """Simulate a run of the oracle, and return it as `simulate_run` does, without estimates."""
    begun, oracle, curves = time.perf_counter(), _Oracle(task, job, options), RunCurves()
    unseen = UnitRows(task.unseen).take(np.arange(len(task.unseen)))
    budget = min(options.budget, len(task.refs))
    with one_thread():
        for n in range(1, budget + 1):
            proba = oracle.ask().predict_proba(unseen)
            if n % RECORD_EVERY and n != budget:
                continue
            curves.labels.append(n)
            curves.value.append(METRICS[oracle.metric](proba, task.unseen_y))
            curves.true_error.append(1 - accuracy_score(proba, task.unseen_y))
            curves.calibration_error.append(calibration_error(proba, task.unseen_y))
            curves.n_eff.append(0.0)
            for nothing in (curves.estimated_error, curves.interval, curves.prequential_error):
                nothing.append(None)
            if options.positive is not None:
                curves.positives_found.append(int(task.y[oracle.rows].sum()))
    return {
        **job._asdict(),
        "metric": oracle.metric,
        **{name: getattr(curves, name) for name in RunCurves.__slots__},
        "positives": int((task.y == 1).sum()) if options.positive is not None else None,
        "ms_per_label": round(1000 * (time.perf_counter() - begun) / max(budget, 1), 3),
    }


class _Oracle:
    """The labels that the oracle has asked for, and the model fitted on them."""

    def __init__(self, task: SimulationTask, job: SimulationJob, options: SimulateOptions) -> None:
        self.task, self.seed = task, job.seed
        everything = np.append(task.y, task.unseen_y)
        self.metric = choose_metric(options.metric, everything, options.positive is not None)
        self.unit = UnitRows(task.X)
        rng = np.random.default_rng([job.seed, KNOWN_ROWS])
        size = min(KNOWN_ROWS, len(task.y))
        known = np.sort(rng.choice(len(task.y), size, replace=False))
        self.known, self.truth = self.unit.take(known), task.y[known]
        self.rows: list[int] = []
        self.model: RidgeLOO | None = None
        self.ranking: Ranking | None = None

    def ask(self) -> RidgeLOO:
        """Label the item of greatest gain, and return the model with it."""
        tried = [(row, self._fit(row)) for row in self._proposals()]
        row, self.model = max(tried, key=lambda one: self._gain(one[1]))
        self.rows.append(row)
        return self.model

    def _fit(self, row: int) -> RidgeLOO:
        rows = np.array([*self.rows, row])
        model = RidgeLOO(len(self.task.classes))
        return model.fit(self.unit.take(rows), self.task.y[rows], warm=self.model)

    def _gain(self, model: RidgeLOO) -> float:
        proba = model.predict_proba(self.known)
        right = proba[np.arange(len(proba)), self.truth]
        sure = float(np.log(np.maximum(right, 1e-9)).mean())
        return METRICS[self.metric](proba, self.truth) + TIE_BREAK * sure

    def _proposals(self) -> list[int]:
        found: dict[int, None] = {}
        for strategy, want in PROPOSING.items():
            ranking = learn(self._snapshot(strategy, want), self.seed)
            if strategy == "herding-mix":
                self.ranking = ranking
            found.update((pick.row, None) for pick in ranking.picks)
        return list(found)

    def _snapshot(self, strategy: str, want: int) -> Snapshot:
        rows: Rows = np.array(self.rows, np.int64)
        unknown: NDArray[np.float64] = np.full(len(rows), np.nan)
        sizes = np.full(len(rows), len(self.task.y))
        closed = np.zeros(len(self.task.y), bool)
        closed[rows] = True
        return Snapshot(
            len(rows), self.task.X, None, rows, self.task.y[rows], unknown, sizes,
            ("ceiling",) * len(rows), self.task.classes, closed, strategy=strategy, want=want,
            previous=self.ranking,
        )  # fmt: skip
