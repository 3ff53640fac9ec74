"""Several classes on an item: one model per tag beside the power set of 0.1, on real features.

`python -m benchmarks.multilabel [--seeds 20-22] [--budget 300]`. Constants were chosen on seeds
below 20. The power set takes seconds a label: `--learners "one per tag"` leaves it out. No set of
../shared/data has several classes on an item, so that three are made:

- collage: an item is 1 to 4 pictures out of cifar10, flowers and magnetic-tile. Its features are
  the sum of theirs, as a network that pools over the picture would see them side by side. The 20
  tags are the 10 + 5 + 5 classes of the pictures (a tile without a defect has no tag).
- flowers, cifar10: the pictures themselves. Tags are groups of the classes (animal, pet, bulb ...)
  and properties measured in the pixels (dark, green, blurred ...), true for a fixed share of items.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from annotator.learn.ranking import Ranking, Snapshot, learn
from annotator.simulate.metrics import average_precision_score
from annotator.simulate.options import parse_seeds
from annotator.simulate.summary import align_columns
from annotator.simulate.task import TruthTable
from benchmarks._peers import SCRATCH, SHARED

Tags = NDArray[np.bool_]
Features = NDArray[np.float32]
COLLAGES, TEST_SHARE = 4000, 0.4
TASKS = ("collage", "flowers", "cifar10")
GROUPS = {
    "cifar10": {
        "animal": "bird cat deer dog frog horse", "vehicle": "airplane automobile ship truck",
        "pet": "cat dog", "wheels": "automobile truck airplane", "flies": "airplane bird",
        "hooves": "deer horse", "road": "automobile truck", "water": "ship frog",
        "cat": "cat", "ship": "ship",
    },
    "flowers": {
        "rose": "roses", "tulip": "tulips", "daisy family": "daisy dandelion sunflowers",
        "yellow kind": "dandelion sunflowers", "bulb": "tulips", "weed": "dandelion daisy",
        "crop": "sunflowers", "dandelion": "dandelion",
    },
}  # fmt: skip
SHARES = {  # of all items, for each measured property
    "dark": 0.15, "bright": 0.10, "colourful": 0.15, "grey": 0.10, "red": 0.12, "green": 0.20,
    "blue": 0.08, "contrast": 0.15, "flat": 0.05, "sharp": 0.12, "blurred": 0.06,
    "bright middle": 0.20, "dark top": 0.10, "upright": 0.0,
}  # fmt: skip


class TagTask(NamedTuple):
    """A pool and a test set with their tags (n, T)."""

    X: Features
    Y: Tags
    unseen: Features
    unseen_tags: Tags


@cache
def read_set(name: str) -> tuple[list[str], list[str], Features]:
    """The refs, labels and unit features of a set."""
    folder = SHARED / "data" / name
    table, X = TruthTable.read(folder / "truth.csv"), np.load(folder / "features.npy")
    unit = X.astype(np.float32)
    return table.refs, table.labels, unit / np.linalg.norm(unit, axis=1, keepdims=True)


def collages(rng: np.random.Generator) -> tuple[Features, Tags]:
    names, X, own = [], [], []
    for name in ("cifar10", "flowers", "magnetic-tile"):
        _, labels, unit = read_set(name)
        kept = sorted(set(labels) - {"free"})
        own.append(np.array([[label == one for one in kept] for label in labels]))
        X.append(unit)
        names += kept
    found, tags = (
        np.zeros((COLLAGES, X[0].shape[1]), np.float32),
        np.zeros((COLLAGES, len(names)), bool),
    )
    first = np.cumsum([0, *(part.shape[1] for part in own)])
    for item in range(COLLAGES):
        for part in rng.integers(3, size=rng.integers(1, 5)):
            row = rng.integers(len(X[part]))
            found[item] += X[part][row]
            tags[item, first[part] : first[part + 1]] |= own[part][row]
    return found, tags


@cache
def measured(name: str) -> tuple[Features, Tags]:
    """The features of a set with tags out of groups of classes and measured properties."""
    refs, labels, unit = read_set(name)
    kept = SCRATCH / f"properties-{name}.npy"
    if not kept.is_file():
        SCRATCH.mkdir(exist_ok=True)
        np.save(kept, np.array([properties(SHARED / "data" / name / ref) for ref in refs]))
    values = np.load(kept)
    groups = [[label in kinds.split() for label in labels] for kinds in GROUPS[name].values()]
    wanted = [(i, share) for i, share in enumerate(SHARES.values()) if share]
    cut = [values[:, i] > np.quantile(values[:, i], 1 - share) for i, share in wanted]
    tags = np.array([*groups, *cut], bool).T
    return unit, tags[:, (tags.mean(axis=0) > 0)][:, :20]


def properties(path: Any) -> list[float]:
    """Numbers of a picture in the order of SHARES, larger where the tag is truer."""
    from PIL import Image

    with Image.open(path) as picture:
        upright = picture.height / picture.width
        rgb = np.asarray(picture.convert("RGB").resize((64, 64)), np.float32) / 255
    light, (red, green, blue) = rgb.mean(axis=2), rgb.mean(axis=(0, 1))
    colour = float((rgb.max(axis=2) - rgb.min(axis=2)).mean())
    edges = float(np.abs(np.diff(light, axis=0)).mean() + np.abs(np.diff(light, axis=1)).mean())
    mean, spread = float(light.mean()), float(light.std())
    middle, top = float(light[16:48, 16:48].mean()), float(light[:20].mean())
    return [
        -mean, mean, colour, -colour, red - (green + blue) / 2, green - (red + blue) / 2,
        blue - (red + green) / 2, spread, -spread, edges, -edges, middle - mean, mean - top,
        upright,
    ]  # fmt: skip


def make_task(name: str, seed: int) -> TagTask:
    rng = np.random.default_rng([seed, 31])
    X, Y = collages(rng) if name == "collage" else measured(name)
    order = rng.permutation(len(X))
    test, pool = np.split(order, [round(TEST_SHARE * len(X))])
    return TagTask(X[pool], Y[pool], X[test], Y[test])


@dataclass
class PowerSet:
    """The multi-label learner of 0.1: every set in use is a class of one model."""

    tags: int

    def snapshot(self, Y: Tags) -> tuple[NDArray[Any], tuple[str, ...]]:
        """Labels as indices of sets: each tag alone, no tag, and the other sets in use."""
        alone = [tuple(row) for row in np.eye(self.tags, dtype=bool).tolist()]
        used = [tuple(row) for row in Y.tolist()]
        self.sets = list(dict.fromkeys([*alone, (False,) * self.tags, *used]))
        place = {one: index for index, one in enumerate(self.sets)}
        return np.array([place[one] for one in used], np.int64), tuple(map(str, self.sets))

    def proba(self, ranking: Ranking, X: Features) -> NDArray[Any]:
        assert ranking.model is not None
        return np.asarray(ranking.model.predict_proba(X) @ np.array(self.sets, float))

    def decide(self, ranking: Ranking, X: Features) -> Tags:
        assert ranking.model is not None
        return np.asarray(np.array(self.sets)[ranking.model.predict_proba(X).argmax(axis=1)])


@dataclass
class OnePerTag:
    """The multi-label learner of today."""

    tags: int

    def snapshot(self, Y: Tags) -> tuple[NDArray[Any], tuple[str, ...]]:
        return Y, tuple(map(str, range(self.tags)))

    def proba(self, ranking: Ranking, X: Features) -> NDArray[Any]:
        assert ranking.model is not None
        return ranking.model.predict_proba(X)

    def decide(self, ranking: Ranking, X: Features) -> Tags:
        from annotator.learn.model import FittedModel

        assert isinstance(ranking.model, FittedModel)
        return np.asarray(ranking.model.targets.decide(ranking.model.predict_proba(X)))


LEARNERS: dict[str, Callable[[int], Any]] = {"power set": PowerSet, "one per tag": OnePerTag}


def mean_average_precision(proba: NDArray[Any], Y: Tags) -> float:
    """The mean over the tags that the test set has."""
    found = [
        average_precision_score(np.stack([1 - p, p], axis=1), y.astype(np.int64))
        for p, y in zip(proba.T, Y.T, strict=True)
        if y.any()
    ]
    return float(np.mean(found))


def f1_scores(decided: Tags, Y: Tags) -> tuple[float, float]:
    """Micro and macro F1."""
    both, either = (decided & Y).sum(axis=0), decided.sum(axis=0) + Y.sum(axis=0)
    used = either > 0
    return float(2 * both.sum() / either.sum()), float((2 * both[used] / either[used]).mean())


def simulate(name: str, learner: str, strategy: str, seed: int, budget: int) -> dict[str, Any]:
    """Label `budget` items of a task one by one; figures at every 50 labels."""
    task = make_task(name, seed)
    made, N = LEARNERS[learner](task.Y.shape[1]), len(task.X)
    rows: list[int] = []
    q: list[float] = []
    pool: list[int] = []
    missed: list[tuple[float, float]] = []
    closed, ranking, seconds, figures = np.zeros(N, bool), None, 0.0, []
    for n in range(budget + 1):
        y, classes = made.snapshot(task.Y[rows])
        if ranking is not None and ranking.classes != classes:
            ranking = None if learner == "power set" else ranking
        had = np.array(missed).reshape(-1, 2)
        snapshot = Snapshot(
            n, task.X, None, np.array(rows, np.int64), y, np.array(q, float),
            np.array(pool, np.int64), ("",) * n, classes, closed.copy(), strategy=strategy,
            want=1, previous=ranking, missed=had[:, 0],
            tags_missed=had[:, 1] if y.ndim == 2 else None,
        )  # fmt: skip
        begun = time.perf_counter()
        ranking = learn(snapshot, seed)
        seconds += time.perf_counter() - begun
        if n and n % 50 == 0:
            figures.append(_figures(task, made, ranking, n, closed))
        pick = ranking.picks[0]
        before = (np.nan, np.nan)
        if ranking.model is not None:
            wrong = made.decide(ranking, task.X[pick.row : pick.row + 1])[0] != task.Y[pick.row]
            before = (float(wrong.any()), float(wrong.mean()))
        missed.append(before)
        rows.append(pick.row)
        q.append(pick.q)
        pool.append(pick.pool)
        closed[pick.row] = True
    found = task.Y[rows[:budget]].sum(axis=0)
    return {
        "task": name, "learner": learner, "strategy": strategy, "seed": seed, "figures": figures,
        "ms": 1000 * seconds / (budget + 1), "found": found.tolist(),
    }  # fmt: skip


def _figures(
    task: TagTask, made: Any, ranking: Ranking, n: int, closed: NDArray[np.bool_]
) -> dict[str, Any]:
    proba, decided = made.proba(ranking, task.unseen), made.decide(ranking, task.unseen)
    micro, macro = f1_scores(decided, task.unseen_tags)
    wrong = decided != task.unseen_tags
    estimate = ranking.estimate
    whole = each = None
    if estimate is not None and estimate.shown:
        whole = [estimate.error, estimate.low, estimate.high]
        if estimate.tags is not None:
            each = [estimate.tags.value, estimate.tags.low, estimate.tags.high]
    return {
        "labels": n, "map": mean_average_precision(proba, task.unseen_tags), "micro": micro,
        "macro": macro, "exact": float(wrong.any(axis=1).mean()), "hamming": float(wrong.mean()),
        "half": f1_scores(proba > 0.5, task.unseen_tags)[1],
        "estimate": whole, "tags": each,
        "sets": len(getattr(made, "sets", ())),
    }  # fmt: skip


def summarize(runs: list[dict[str, Any]]) -> None:
    """mAP of both learners, F1 by the thresholds and by 0.5, and how honest the estimate is."""
    head = ["set", "learner", "mAP at 50", "100", "200", "300", "macro F1", "by 0.5", "ms a label"]
    rows, gains = [head], []
    for task in TASKS:
        last = {}
        for learner in LEARNERS:
            some = [run for run in runs if (run["task"], run["learner"]) == (task, learner)]
            if not some:
                continue
            mean = {
                figure["labels"]: float(np.mean([run["figures"][i]["map"] for run in some]))
                for i, figure in enumerate(some[0]["figures"])
            }
            end = [run["figures"][-1] for run in some]
            last[learner] = list(mean.values())[-1]
            rows.append([
                task, learner,
                *(f"{mean[n]:.3f}" if n in mean else "-" for n in (50, 100, 200, 300)),
                f"{np.mean([one['macro'] for one in end]):.3f}",
                f"{np.mean([one['half'] for one in end]):.3f}",
                f"{np.median([run['ms'] for run in some]):.0f}",
            ])  # fmt: skip
        if len(last) == len(LEARNERS):
            gains.append(100 * (last["one per tag"] - last["power set"]))
    print(align_columns(rows))
    print(f"gain in mAP, in points: {', '.join(f'{gain:+.1f}' for gain in gains)}; goal +10")
    print(
        align_columns([["estimate", "labels", "shown", "bias", "covers", "width"], *_honesty(runs)])
    )


def _honesty(runs: list[dict[str, Any]]) -> list[list[str]]:
    rows = []
    for key, truth in (("estimate", "exact"), ("tags", "hamming")):
        for n in (100, 200, 300):
            all_ = [f for run in runs for f in run["figures"]
                    if f["labels"] == n and run["learner"] == "one per tag"]  # fmt: skip
            found = [(f[key], f[truth]) for f in all_ if f[key]]
            if not found:
                continue
            off = [value - true for (value, _, _), true in found]
            inside = [low <= true <= high for (_, low, high), true in found]
            rows.append([
                "whole sets" if key == "estimate" else "each class", str(n),
                f"{len(found)}/{len(all_)}", f"{np.mean(off):+.3f}", f"{np.mean(inside):.0%}",
                f"{np.mean([high - low for (_, low, high), _ in found]):.2f}",
            ])  # fmt: skip
    return rows


def _run(job: tuple[str, str, str, int, int]) -> dict[str, Any]:
    return simulate(*job)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", default="20-22")
    parser.add_argument("--budget", type=int, default=300)
    parser.add_argument("--strategy", default="herding-mix")
    parser.add_argument("--learners", default=",".join(LEARNERS))
    args = parser.parse_args(sys.argv[1:])
    if not (SHARED / "data" / "README.md").is_file():
        sys.exit("needs ../shared/data, or ANNOTATOR_SHARED")
    jobs = [
        (task, learner, args.strategy, seed, args.budget)
        for task in TASKS
        for learner in args.learners.split(",")
        for seed in parse_seeds(args.seeds)
    ]
    with ProcessPoolExecutor(2) as pool:
        summarize(list(pool.map(_run, jobs)))


if __name__ == "__main__":
    main()
