"""The share of 90 % intervals of slices that hold the true error, and the bias of the worst slice.

`python -m benchmarks.slices [--seeds 20-31] [--processes N]`. Sessions of 300 labels on 4 sets; at
100, 200 and 300 labels the slices by look-alikes (a folder a cluster), by brightness, by a column
of chance, by label and by prediction are estimated. The constants of slices were chosen on seeds
0 to 9. The truth is the error of the same model on all items of the slice, those of the test half
included; a labelled item counts with the model that was fitted without it. Runs are kept in
.bench/slices/. Needs ../shared/data (or ANNOTATOR_SHARED).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotator.images import ImageFolder
from annotator.items.processes import spawn_context
from annotator.items.refs import Item
from annotator.learn.diverse import spherical_kmeans
from annotator.learn.error_estimate import Interval
from annotator.learn.model import FittedModel
from annotator.learn.ranking import sample_pool
from annotator.learn.rows import normalize_rows
from annotator.learn.slices import PoolSample, SliceError, expect_errors
from annotator.session.learner import StrategyChoice
from annotator.session.open import open_in_memory
from annotator.simulate.options import SimulateOptions, parse_seeds
from annotator.simulate.summary import align_columns
from annotator.simulate.task import SimulationTask, TruthTable, load_truth, make_task
from benchmarks._peers import SCRATCH, SHARED
from benchmarks.learning import HONEST, folder

FOLDER = SCRATCH / "slices"
AT = (100, 200, 300)
Codes = NDArray[np.int64]
Row = dict[str, Any]


@lru_cache(1)
def _fixed_slices(name: str) -> dict[str, Codes]:
    """Return ways to cut all items of a set that no model knows."""
    X = normalize_rows(np.load(folder(name) / "features.npy"))
    rng = np.random.default_rng(5)
    light = _brightness(name)
    return {
        "look-alikes": np.asarray(spherical_kmeans(X, 8, rng), np.int64),
        "brightness": np.searchsorted(np.quantile(light, [0.25, 0.5, 0.75]), light),
        "chance": rng.integers(0, 6, len(X)),
    }


def _brightness(name: str) -> NDArray[np.floating]:
    if name == "digits":
        return np.asarray(np.load(folder(name) / "features.npy").mean(axis=1))
    images = ImageFolder(folder(name))
    refs = TruthTable.read(folder(name) / "truth.csv").refs
    return np.array([images.resized_pixels(Item.parse(r), (16, 16), 0.0).mean() for r in refs])


def run(name: str, seed: int) -> list[Row]:
    """Return a row for each slice that has an estimate, at each number of labels."""
    kept = FOLDER / f"{name}-{seed}.json"
    if kept.is_file():
        found: list[Row] = json.loads(kept.read_text())
        return found
    options = SimulateOptions(folder(name) / "truth.csv", folder(name) / "features.npy")
    truth, matrix = load_truth(options)
    task = make_task(truth, matrix, options, seed)
    rows = list(_simulate(name, truth, task, seed))
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text(json.dumps(rows))
    print(f"{name} {seed}", file=sys.stderr, flush=True)
    return rows


def _simulate(name: str, truth: TruthTable, task: SimulationTask, seed: int) -> Iterator[Row]:
    place = {ref: row for row, ref in enumerate(truth.refs)}
    pool = np.array([place[ref] for ref in task.refs])
    test = np.setdiff1d(np.arange(len(truth.refs)), pool)
    X = np.load(folder(name) / "features.npy", mmap_mode="r")
    every = np.array([task.classes.index(label) for label in truth.labels])
    session = open_in_memory(
        task.refs, task.X, task.classes, annotator="oracle", seed=seed,
        strategy=StrategyChoice("herding-mix"),
    )  # fmt: skip
    session.learn()
    for n in range(1, max(AT) + 1):
        assert session.current is not None
        session.label(task.classes[every[place[session.current.ref]]])
        ranking = session.learn()
        if n in AT and ranking is not None and ranking.estimate is not None:
            snapshot = session.snapshot()
            assert snapshot is not None and isinstance(ranking.model, FittedModel)
            closed = np.zeros(len(snapshot.closed), bool)
            closed[snapshot.rows] = True
            sample = sample_pool(replace(snapshot, closed=closed), ranking.model, seed)
            assert sample is not None
            proba = np.asarray(ranking.model.predict_proba(X[test]))
            e = ranking.estimate
            case = _Case(name, sample, pool, test, every, proba, Interval(e.error, e.low, e.high))
            yield from ({"set": name, "seed": seed, "labels": n, **row} for row in case.rows())


class _Case:
    """The slices of a session at one moment, estimated and true."""

    def __init__(
        self, name: str, sample: PoolSample, pool: Codes, test: Codes, every: Codes,
        proba: NDArray[np.floating], error: Interval,
    ) -> None:  # fmt: skip
        self.name, self.sample, self.error = name, sample, error
        drawn, rest = sample.drawn, sample.rest
        self.at = pool[sample.rows], pool[sample.rest_rows], test
        self.called = [np.asarray(p.argmax(axis=1)) for p in (drawn.proba, rest.proba, proba)]
        self.true = [every[rows] for rows in self.at]
        self.wrong = [c != t for c, t in zip(self.called, self.true, strict=True)]

    def rows(self) -> Iterator[Row]:
        """Yield the estimated slices of each kind."""
        for kind, codes in _fixed_slices(self.name).items():
            yield from self._kind(kind, [codes[rows] for rows in self.at])
        yield from self._kind("label", self.true, known=False)
        yield from self._kind("prediction", self.called)

    def _kind(self, kind: str, codes: list[Codes], known: bool = True) -> Iterator[Row]:
        m = len(codes[1])
        found: list[tuple[SliceError, float]] = []
        for value in np.unique(np.concatenate(codes)):
            inside = [part == value for part in codes]
            scanned = inside[1] if known else np.zeros(m, bool)
            slice_ = self.sample.estimate(inside[0], scanned, np.full(m, known))
            if slice_ is not None and slice_.estimate.shown:
                wrong = np.concatenate([w[i] for w, i in zip(self.wrong, inside, strict=True)])
                found.append((slice_, float(wrong.mean())))
        for one, (_, true) in zip(
            expect_errors([slice_ for slice_, _ in found], self.error), found, strict=True
        ):
            e = one.estimate
            yield {
                "kind": kind, "error": e.error, "low": e.low, "high": e.high, "true": true,
                "expected": one.expected, "n_eff": e.n_eff,
            }  # fmt: skip


def _line(title: str, rows: list[Row]) -> list[str]:
    off = np.array([row["error"] - row["true"] for row in rows])
    inside = np.mean([row["low"] <= row["true"] <= row["high"] for row in rows])
    width = np.mean([row["high"] - row["low"] for row in rows])
    return [
        title, f"{len(rows):,}", f"{inside:.1%}", f"{off.mean():+.3f}",
        f"{np.sqrt((off**2).mean()):.3f}", f"{width:.2f}",
    ]  # fmt: skip


def summarize(rows: list[Row]) -> None:
    """Print the coverage, and what the worst of a kind's slices looks like."""
    table = [["slices by", "shown", "90 % interval covers", "bias", "RMSE", "width"]]
    for field in ("kind", "set", "labels"):
        for value in dict.fromkeys(row[field] for row in rows):
            table.append(_line(str(value), [row for row in rows if row[field] == value]))
    table.append(_line("all", rows))
    print(align_columns(table))
    print("goal: 87 to 95 % of all")
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["set"], row["seed"], row["labels"], row["kind"]), []).append(row)
    several = [group for group in groups.values() if len(group) > 2]
    worst = [max(group, key=lambda row: row["error"]) for group in several]
    chosen = [max(group, key=lambda row: row["expected"]) for group in several]
    looks = np.mean([row["error"] - row["true"] for row in worst])
    expects = np.mean([row["expected"] - row["true"] for row in chosen])
    print(f"the worst of 3 or more slices: its estimate is {looks:+.3f} off, the expected error "
          f"{expects:+.3f} ({len(several):,} times)")  # fmt: skip


def main() -> None:
    """Simulate the sessions that are missing, and print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", default="20-31")
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
    args = parser.parse_args(sys.argv[1:])
    if not (SHARED / "data" / "README.md").is_file():
        sys.exit("needs ../shared/data, or ANNOTATOR_SHARED")
    rows: list[Row] = []
    with ProcessPoolExecutor(args.processes, mp_context=spawn_context()) as pool:
        for name in HONEST:
            folder(name)  # digits are written first
            for found in pool.map(partial(run, name), parse_seeds(args.seeds)):
                rows += found
    summarize(rows)


if __name__ == "__main__":
    main()
