"""Labels of an inner class as teachers: four ways, on real classes with classes above them.

`python -m benchmarks.hierarchy [--seeds 8] [--labels 60,200,600]`. A share of random labels names
only the class above. Printed are the errors, on all other items, of the leaf and of the top class,
and the error by leave-one-out of the leaf among the labels that name one: it should be that of the
first column, for the estimate rests on it.

- left out: these labels teach nothing.
- a class: they are one more class, whose probability goes to the leaves in proportion.
- guessed: they count as the leaf below them that a model of the other labels predicts.
- levels: an estimator for each level of the tree, `annotator.learn.class_levels`.
"""

from __future__ import annotations

import argparse
import csv
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from annotator.learn.model import fit_model, out_of_sample_proba
from annotator.learn.rows import normalize_rows, one_thread
from annotator.simulate.summary import align_columns
from benchmarks._peers import SHARED

Rows = NDArray[np.int64]
Proba = NDArray[Any]
ABOVE = {
    "cifar10": {
        "vehicle": "airplane automobile ship truck", "animal": "bird cat deer dog frog horse",
    },
    "flowers": {"garden": "roses tulips", "meadow": "daisy dandelion sunflowers"},
    "magnetic-tile": {"defect": "blowhole break crack fray uneven"},
}  # fmt: skip


class Task(NamedTuple):
    """A data set with its leaves, and one inner class after them for each group."""

    X: NDArray[np.float32]
    y: Rows
    parents: tuple[int, ...]
    leaves: int


class Split(NamedTuple):
    """The labels given (n,), and the items without one."""

    train: Rows
    given: Rows
    test: Rows


def load_task(name: str) -> Task:
    """Read a data set of ../shared/data."""
    folder = SHARED / "data" / name
    rows = list(csv.DictReader((folder / "truth.csv").open()))
    names = sorted({row["label"] for row in rows})
    groups = list(ABOVE[name].values())
    above = [next((g for g, held in enumerate(groups) if n.lower() in held.split()), -1)
             for n in names]  # fmt: skip
    parents = [-1 if g < 0 else len(names) + g for g in above] + [-1] * len(groups)
    X = normalize_rows(np.load(folder / "features.npy").astype(np.float32))
    y = np.array([names.index(row["label"]) for row in rows])
    return Task(X, y, tuple(parents), len(names))


def left_out(task: Task, split: Split) -> Iterator[Proba]:
    """Yield the probabilities of the items without a label, and out of sample of those with one."""
    known = split.given < task.leaves
    X, y = task.X[split.train], split.given
    model = fit_model("ridge", 0, task.leaves, X[known], y[known])
    yield model.unit_proba(task.X[split.test])
    proba = model.unit_proba(X)
    proba[known] = out_of_sample_proba(model, X[known], y[known])
    yield proba


def as_class(task: Task, split: Split) -> Iterator[Proba]:
    """Yield the same with one more class for each inner one."""
    X, y, parents = task.X[split.train], split.given, np.array(task.parents)
    model = fit_model("ridge", 0, len(parents), X, y)
    seen = np.isin(np.arange(len(parents)), y)
    for proba in (model.unit_proba(task.X[split.test]), out_of_sample_proba(model, X, y)):
        found = proba[:, : task.leaves].copy()
        for c in range(task.leaves, len(parents)):
            kinds = np.flatnonzero((parents == c) & seen)
            if len(kinds):
                share = proba[:, kinds] / proba[:, kinds].sum(axis=1, keepdims=True)
                found[:, kinds] += proba[:, [c]] * share
        yield found


def guessed(task: Task, split: Split) -> Iterator[Proba]:
    """Yield the same with the leaf that a first model predicts."""
    y, parents = split.given.copy(), np.array(task.parents)[: task.leaves]
    inner = np.flatnonzero(y >= task.leaves)
    _, proba = left_out(task, split)
    inside = parents[None, :] == y[inner, None]
    y[inner] = np.where(inside, proba[inner], -1).argmax(axis=1)
    yield from left_out(task, split._replace(given=y))


def levels(task: Task, split: Split) -> Iterator[Proba]:
    """Yield the same with an estimator for each level."""
    X, y = task.X[split.train], split.given
    model = fit_model("ridge", 0, len(task.parents), X, y, parents=task.parents)
    yield model.unit_proba(task.X[split.test])[:, : task.leaves]
    yield out_of_sample_proba(model, X, y)[:, : task.leaves]


WAYS: dict[str, Callable[[Task, Split], Iterator[Proba]]] = {
    "left out": left_out, "a class": as_class, "guessed": guessed, "levels": levels,
}  # fmt: skip


def draw_split(task: Task, labels: int, share: float, seed: int) -> Split:
    """Draw labels at random; a share of them names only the class above."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(task.y))
    train = order[:labels]
    parents = np.array(task.parents)[task.y[train]]
    inner = (rng.random(labels) < share) & (parents >= 0)
    return Split(train, np.where(inner, parents, task.y[train]), order[labels:])


def measure(task: Task, labels: int, share: float, seeds: int) -> dict[str, list[float]]:
    """Return the mean errors of each way: leaf, top, and leaf by leave-one-out."""
    found = defaultdict(list)
    top = np.where(np.array(task.parents) >= 0, task.parents, np.arange(len(task.parents)))
    for seed in range(seeds):
        split = draw_split(task, labels, share, seed)
        if (split.given < task.leaves).sum() < 2:
            continue
        known = split.given < task.leaves
        for name, way in WAYS.items():
            test, own = (proba.argmax(axis=1) for proba in way(task, split))
            truth = task.y[split.test]
            found[name].append([
                (test != truth).mean(), (top[test] != top[truth]).mean(),
                (own != split.given)[known].mean(),
            ])  # fmt: skip
    return {name: np.mean(values, axis=0).tolist() for name, values in found.items()}


def main() -> None:
    """Print the errors in %, a line for each set, number of labels and share."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--labels", default="60,200,600")
    given = parser.parse_args()
    table = [["set", "labels", "inner", *(f"{name}: leaf, top, loo" for name in WAYS)]]
    with one_thread():
        for name in ABOVE:
            task = load_task(name)
            for labels in map(int, given.labels.split(",")):
                for share in (0.3, 0.6, 0.9):
                    found = measure(task, labels, share, given.seeds)
                    cells = [" ".join(f"{100 * v:5.1f}" for v in found[way]) for way in WAYS]
                    table.append([name, str(labels), f"{share:.0%}", *cells])
    print(align_columns(table))


if __name__ == "__main__":
    main()
