"""Simulated `finish` runs: how often what is certified is true, and what it costs."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from annotator.learn.audit import audit_order, judge_audit, plan_audit
from annotator.learn.error_estimate import DrawnLabels
from annotator.learn.model import FittedModel
from annotator.learn.ridge import RidgeLOO
from annotator.learn.rows import normalize_rows
from annotator.simulate.task import TruthTable

LEVEL, LABELS, ATTEMPTS = 0.95, 300, 3
STEP = 25  # the audit is judged after so many labels, as often as one likes


class Outcome(NamedTuple):
    """One run: what was accepted, what it cost, and whether the promise holds."""

    certified: bool
    holds: bool
    accepted: int
    audited: int


def finish(X: NDArray[np.float32], y: NDArray[np.int64], max_error: float, seed: int) -> Outcome:
    """Label 300 rows at random, then audit until certified, at most three attempts."""
    rng, N = np.random.default_rng(seed), len(y)
    labelled = list(rng.permutation(N)[:LABELS])
    audited = 0
    for attempt in range(1, ATTEMPTS + 1):
        C = int(y.max()) + 1
        model = FittedModel("", RidgeLOO(C).fit(X[labelled], y[labelled]), len(labelled), C)
        rest = np.setdiff1d(np.arange(N), labelled)
        proba = model.unit_proba(X[rest])
        made = plan_audit(
            proba.max(axis=1), _drawn(model, y, labelled, N), len(rest),
            max_error=max_error, level=LEVEL, attempt=attempt,
        )  # fmt: skip
        if made is None:
            break
        accepted = np.flatnonzero(proba.max(axis=1) >= made.threshold)
        wrong = proba[accepted].argmax(axis=1) != y[rest[accepted]]
        order = audit_order(np.arange(len(accepted)), seed)
        for stop in range(STEP, len(order) + STEP, STEP):
            found = judge_audit(wrong[order[:stop]], made)
            if found.certified:
                return Outcome(
                    True, wrong.mean() <= max_error, len(accepted), audited + found.audited
                )
            if found.more is None or found.wrong > 3 + 3 * max_error * found.audited:
                break
        labelled += rest[accepted[order[: found.audited]]].tolist()  # audits are labels, too
        audited += found.audited
    return Outcome(False, True, 0, audited)


def _drawn(model: FittedModel, y: NDArray[np.int64], rows: list[int], N: int) -> DrawnLabels:
    """The first labels as drawn uniformly; those of failed audits as not drawn at random."""
    q, size = np.full(len(rows), np.nan), N - np.arange(len(rows))
    q[:LABELS] = 1 / size[:LABELS]
    loo = model.estimator.loo_proba()  # type: ignore[attr-defined]
    return DrawnLabels(loo, loo, y[rows], q, size)


def outcomes(folder: Path, max_error: float, runs: int) -> list[Outcome]:
    truth = TruthTable.read(folder / "truth.csv")
    classes = sorted(set(truth.labels))
    y = np.array([classes.index(label) for label in truth.labels])
    X = normalize_rows(np.load(folder / "features.npy"))
    return [finish(X, y, max_error, seed) for seed in range(runs)]
