"""What `annotator finish` spares after 300 random labels, and how often its promises are true.

`python -m benchmarks.finish [--seeds 4100-4129] [--parts set,classes]`. The labels spared are those
of the model when the audit ends; today's promise is on the accepted labels, the other on the whole
set. A run without a certificate spares nothing. A certificate is true if no more labels are wrong
than it allows, in the set and in each class that has a limit. Needs ../shared/data (or
ANNOTATOR_SHARED). Constants were chosen on seeds below 1000.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from annotator.learn.audit import audit_order, judge_audit, plan_audit
from annotator.learn.error_estimate import DrawnLabels
from annotator.learn.model import fit_model
from annotator.learn.rows import normalize_rows
from annotator.learn.set_audit import (
    NO_LOOK,
    AuditSample,
    ClassLimit,
    SetPlan,
    UnlabelledRows,
    judge_set_audit,
    plan_set_audit,
)
from annotator.simulate.options import parse_seeds
from annotator.simulate.summary import align_columns
from annotator.simulate.task import TruthTable
from benchmarks.learning import folder

LABELS, LEVEL, STEP = 300, 0.95, 5
SETS = ("magnetic-tile", "flowers", "cifar10")
ERRORS = (0.01, 0.02, 0.05)
GOALS = {"magnetic-tile": 130, "flowers": 230, "cifar10": 350}
RARE = 0.1
Classes = NDArray[np.int64]


class Outcome(NamedTuple):
    """One run: the labels spared and asked, and whether the certificate is true."""

    spared: int = 0
    asked: int = 0
    true: bool | None = None
    """None without a certificate."""


class Session(NamedTuple):
    """A session with 300 random labels: the open rows, their predictions and their truth."""

    proba: NDArray[np.float64]
    truth: Classes
    labels: Classes
    drawn: DrawnLabels
    seed: int

    @property
    def sure(self) -> NDArray[np.float64]:
        return np.asarray(self.proba.max(axis=1))

    @property
    def said(self) -> Classes:
        return np.asarray(self.proba.argmax(axis=1))

    @property
    def total(self) -> int:
        return len(self.truth) + len(self.labels)

    def count(self, c: int) -> int:
        return int((self.truth == c).sum() + (self.labels == c).sum())


def session(X: NDArray[np.float32], y: Classes, seed: int) -> Session:
    rows = np.random.default_rng([seed, 7]).permutation(len(y))
    known, rest = rows[:LABELS], rows[LABELS:]
    model = fit_model("ridge", LABELS, int(y.max()) + 1, X[known], y[known])
    loo = model.estimator.loo_proba()  # type: ignore[attr-defined]
    size = len(y) - np.arange(LABELS)
    drawn = DrawnLabels(loo, loo, y[known], 1 / size, size)
    return Session(model.unit_proba(X[rest]).astype(float), y[rest], y[known], drawn, seed)


def finish_accepted(one: Session, max_error: float) -> Outcome:
    """Today's promise, on the accepted labels, in one attempt."""
    sure, wrong = one.sure, one.said != one.truth
    plan = plan_audit(sure, one.drawn, len(sure), max_error=max_error, level=LEVEL)
    if plan is None:
        return Outcome()
    accepted = audit_order(np.flatnonzero(sure >= plan.threshold), one.seed)
    n = 0
    while True:
        found = judge_audit(wrong[accepted[:n]].tolist(), plan)
        if found.certified:
            true = bool(wrong[accepted].mean() <= max_error)
            return Outcome(len(accepted) - n, n, true)
        if found.more is None:
            return Outcome(0, n)
        n = min(n + min(STEP, found.more), len(accepted))


def finish_set(one: Session, max_error: float, limits: Sequence[ClassLimit] = ()) -> Outcome:
    """The promise on the finished set, and on the classes of `limits`, named by their number."""
    columns = [int(limit.name) for limit in limits]
    said = tuple(one.said == c for c in columns)
    chances = tuple(one.proba[:, c] for c in columns)
    rows = UnlabelledRows(one.sure, chances, said, tuple(columns))
    plan = plan_set_audit(
        rows, one.drawn, one.total, max_error=max_error, level=LEVEL, limits=limits
    )  # fmt: skip
    if plan is None:
        return Outcome()
    first = ~rows.sampled(plan.classes)
    known = [
        limit.known + int((one.truth[first] == c).sum())
        for limit, c in zip(plan.classes, columns, strict=True)
    ]
    order = audit_order(np.flatnonzero(~first & (one.sure >= plan.threshold)), one.seed)
    sample, n = _sample_of(one, order, columns), 0
    while True:
        found = judge_set_audit(_first(sample, n), plan, known)
        if found.certified or found.more is None:
            break
        n = min(n + min(STEP, found.more), len(order))
    if not found.certified:
        return Outcome(0, int(first.sum()) + n)
    labelled = order[n:][one.sure[order[n:]] >= found.threshold]
    return Outcome(len(labelled), int(first.sum()) + n, _is_true(one, labelled, plan, columns))


def _sample_of(one: Session, order: NDArray[np.int64], columns: Sequence[int]) -> AuditSample:
    truth, said = one.truth[order], one.said[order]
    has = truth[:, None] == np.array(columns, int)
    return AuditSample(one.sure[order], said != truth, has, has & (said != truth)[:, None])


def _first(sample: AuditSample, n: int) -> AuditSample:
    return AuditSample(
        sample.confidence[:n], sample.wrong[:n], sample.has[:n], sample.missed[:n]
    )  # fmt: skip


def _is_true(
    one: Session, labelled: NDArray[np.int64], plan: SetPlan, columns: Sequence[int]
) -> bool:
    wrong = one.said[labelled] != one.truth[labelled]
    missed = one.truth[labelled][wrong]
    return bool(wrong.sum() <= plan.max_error * one.total) and all(
        (missed == c).sum() <= limit.limit * one.count(c)
        for limit, c in zip(plan.classes, columns, strict=True)
    )


def class_limits(one: Session, limits: dict[int, float]) -> list[ClassLimit]:
    """The limits, with a look at the likeliest items of a single class and of rare ones."""
    counts, alone = np.bincount(one.labels, minlength=one.proba.shape[1]), len(limits) == 1
    return [
        ClassLimit(
            str(c), limit, int(counts[c]), 0.0 if alone or counts[c] < RARE * LABELS else NO_LOOK
        )
        for c, limit in limits.items()
    ]


def read(name: str) -> tuple[NDArray[np.float32], Classes, list[str]]:
    truth = TruthTable.read(folder(name) / "truth.csv")
    classes = sorted(set(truth.labels))
    y = np.array([classes.index(label) for label in truth.labels])
    return normalize_rows(np.load(folder(name) / "features.npy")), y, classes


def row(name: str, promise: str, found: Sequence[Outcome], goal: str = "") -> list[str]:
    certified = [one for one in found if one.true is not None]
    spared = [one.spared for one in found]
    return [
        name, promise, f"{np.mean(spared):,.0f}", f"{np.min(spared):,}",
        f"{np.mean([one.asked for one in found]):,.0f}", f"{len(certified)} of {len(found)}",
        f"{sum(bool(one.true) for one in certified)}", goal,
    ]  # fmt: skip


def measure_sets(seeds: Sequence[int]) -> tuple[list[list[str]], list[Outcome]]:
    rows, every = [], []
    for name in SETS:
        X, y, _ = read(name)
        sessions = [session(X, y, seed) for seed in seeds]
        for max_error in ERRORS:
            ours = [finish_set(one, max_error) for one in sessions]
            today = [finish_accepted(one, max_error) for one in sessions]
            every += ours
            goal = f"≥ {GOALS[name]}" if max_error == ERRORS[0] else ""
            rows.append(row(name, f"--of set, {max_error:.0%}", ours, goal))
            rows.append(row("", f"--of accepted, {max_error:.0%}", today))
    return rows, every


def measure_classes(seeds: Sequence[int]) -> tuple[list[list[str]], list[Outcome]]:
    rows, every = [], []
    for name, rare in (("magnetic-tile", "crack"), ("flowers", "roses"), ("cifar10", "cat")):
        X, y, classes = read(name)
        sessions = [session(X, y, seed) for seed in seeds]
        for limit in (0.05, 0.1, 0.2):
            chosen = {classes.index(rare): limit}
            found = [finish_set(one, 0.05, class_limits(one, chosen)) for one in sessions]
            every += found
            rows.append(row(name, f"--max-missed {rare}={limit:g}, 5 %", found))
            each = dict.fromkeys(range(len(classes)), limit)
            found = [finish_set(one, limit, class_limits(one, each)) for one in sessions]
            every += found
            rows.append(row("", f"--per-class, {limit:.0%}", found))
    return rows, every


PARTS = {"set": measure_sets, "classes": measure_classes}
HEAD = ["set", "promise", "spared", "least", "asked", "certified", "true", "goal"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", default="4100-4129")
    parser.add_argument("--parts", default="set,classes")
    given = parser.parse_args()
    for part in given.parts.split(","):
        rows, found = PARTS[part](parse_seeds(given.seeds))
        print(align_columns([HEAD, *rows]))
        certified = [one for one in found if one.true is not None]
        true = sum(bool(one.true) for one in certified)
        print(f"{part}: {true} of {len(certified)} certificates are true (promised: {LEVEL:.0%})\n")


if __name__ == "__main__":
    main()
