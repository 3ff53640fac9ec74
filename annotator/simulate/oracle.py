"""A simulated run: a session whose annotator knows the answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from annotator.learn.ranking import Ranking
from annotator.session.learner import StrategyChoice
from annotator.session.open import open_in_memory
from annotator.session.session import LabelSession
from annotator.simulate.metrics import METRICS, accuracy_score, calibration_error, choose_metric
from annotator.simulate.options import SimulateOptions, SimulationJob
from annotator.simulate.task import SimulationTask

RECORD_EVERY = 10


@dataclass(slots=True)
class RunCurves:
    """The figures of a run at every 10th label and at the last."""

    labels: list[int] = field(default_factory=list)
    value: list[float] = field(default_factory=list)
    estimated_error: list[float | None] = field(default_factory=list)
    interval: list[list[float] | None] = field(default_factory=list)
    n_eff: list[float] = field(default_factory=list)
    true_error: list[float] = field(default_factory=list)
    prequential_error: list[float | None] = field(default_factory=list)
    positives_found: list[int] = field(default_factory=list)
    calibration_error: list[float] = field(default_factory=list)


def simulate_run(
    task: SimulationTask, job: SimulationJob, options: SimulateOptions
) -> dict[str, Any]:
    """Simulate a run, and return it as `annotator simulate --json` prints it."""
    session, answers = _session(task, job, options), dict(zip(task.refs, task.y, strict=True))
    metric = choose_metric(
        options.metric, np.append(task.y, task.unseen_y), options.positive is not None
    )
    curves = RunCurves()
    seconds: list[float] = []
    given: list[int] = []
    session.learn()
    while session.current is not None and len(given) < options.budget:
        given.append(int(answers[session.current.ref]))
        session.label(task.classes[given[-1]])
        ranking = session.learn()
        assert ranking is not None  # the features are attached
        seconds.append(ranking.seconds)
        if len(given) % RECORD_EVERY == 0 or len(given) == min(options.budget, len(task.refs)):
            _record_point(
                curves, session, ranking, task, metric, given, options.positive is not None
            )
    return {
        **job._asdict(),
        "metric": metric,
        **{name: getattr(curves, name) for name in RunCurves.__slots__},
        "positives": int((task.y == 1).sum()) if options.positive is not None else None,
        "ms_per_label": round(1000 * float(np.median(seconds)), 3) if seconds else None,
    }


def _session(task: SimulationTask, job: SimulationJob, options: SimulateOptions) -> LabelSession:
    find = options.positive if options.find else None
    strategy = StrategyChoice(job.strategy, find, job.estimator)
    return open_in_memory(
        task.refs, task.X, task.classes, annotator="oracle", strategy=strategy, seed=job.seed,
        ahead=options.ahead,
    )  # fmt: skip


def _record_point(
    curves: RunCurves,
    session: LabelSession,
    ranking: Ranking,
    task: SimulationTask,
    metric: str,
    given: list[int],
    positive: bool,
) -> None:
    assert ranking.model is not None  # a labelled item has features
    proba, estimate = ranking.model.predict_proba(task.unseen), ranking.estimate
    shown = estimate is not None and estimate.shown
    wrong = session.prequential.wrong
    curves.labels.append(len(given))
    curves.value.append(METRICS[metric](proba, task.unseen_y))
    curves.true_error.append(1 - accuracy_score(proba, task.unseen_y))
    curves.calibration_error.append(calibration_error(proba, task.unseen_y))
    curves.n_eff.append(estimate.n_eff if estimate else 0.0)
    curves.estimated_error.append(estimate.error if estimate and shown else None)
    curves.interval.append([estimate.low, estimate.high] if estimate and shown else None)
    curves.prequential_error.append(float(wrong.mean()) if len(wrong) else None)
    if positive:
        curves.positives_found.append(sum(given))
