"""How well `review` orders planted errors, beside the margin of 0.1.0 and beside cleanlab.

python -m benchmarks.review [--seeds 4000-4009] [--sets flowers,magnetic-tile,cifar10]

Labels: 1,000 of each set, 50 of them wrong in one of three ways. *random*: any item, any other
class; *confusions*: any item, another class as often as both are confused; *ambiguous*: the items
whose two likeliest classes are closest get the other one of the two. Random errors flatter every
method. What is confused and what is close is said by a model of another kind (logistic regression,
5-fold) that knows the truth of the whole set. Items: 20 of other sets among 980. Boxes: scenes with
a made-up detector. All figures are average precision over all labels, items or boxes. cleanlab is
installed into `.bench/peers-cleanlab`; where it cannot be, its columns are missing.
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from annotator.detection.box_errors import doubt_boxes
from annotator.detection.detections import Detections, compute_ious
from annotator.learn.label_conflicts import find_nearest_labelled, measure_doubts
from annotator.learn.outliers import far_distances
from annotator.learn.ridge import RidgeLOO
from annotator.learn.rows import normalize_rows, one_thread
from annotator.simulate.options import parse_seeds
from benchmarks._peers import SCRATCH, SHARED, Peer, Ready, environment

CLEANLAB = Peer("cleanlab", "peers-cleanlab", (("cleanlab==2.9.0",),), "_cleanlab.py")
SETS = ("flowers", "magnetic-tile", "cifar10")
KINDS = ("random", "confusions", "ambiguous")
GOALS = {"flowers": 0.85, "magnetic-tile": 0.91, "cifar10": 0.60}
"""The average precision on random errors."""
LABELS, WRONG, STRANGERS = 1000, 50, 20
PEER_LABELS = {
    "recipe": "cleanlab, its recipe", "self_confidence": "cleanlab's self-confidence, ours",
    "normalized_margin": "cleanlab's margin, ours",
    "confidence_weighted_entropy": "cleanlab's entropy, ours",
}  # fmt: skip
"""The scores of cleanlab: on probabilities of its own recipe, and on ours."""
Array = NDArray[Any]


class DataSet(NamedTuple):
    X: Array
    y: Array
    C: int
    truth: Array
    """(n, C) probabilities by a model that knows the other labels."""


class Task(NamedTuple):
    """Labels with planted errors, and all orders of them: the worst comes first."""

    name: str
    kind: str
    wrong: Array
    scores: dict[str, Array]
    peer: dict[str, Array]
    """What cleanlab is given."""


def average_precision(score: Array, wrong: Array) -> float:
    found = wrong[np.argsort(-score, kind="stable")]
    return float((np.cumsum(found) / np.arange(1, len(found) + 1))[found].mean())


def load(name: str) -> DataSet | None:
    folder = SHARED / "data" / name
    if not folder.is_dir():
        print(f"{name}: needs {folder}")
        return None
    with (folder / "truth.csv").open() as file:
        labels = [row["label"] for row in csv.DictReader(file)]
    classes, y = np.unique(labels, return_inverse=True)
    X = normalize_rows(np.load(folder / "features.npy").astype(np.float32))
    return DataSet(X, y, len(classes), _truth_proba(X, y))


def _truth_proba(X: Array, y: Array) -> Array:
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_predict

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = LogisticRegression(max_iter=100)
        return np.array(cross_val_predict(model, 8 * X, y, cv=5, method="predict_proba"))


def plant(data: DataSet, rows: Array, kind: str, rng: np.random.Generator) -> Array:
    """Labels (n,) of `rows`, `WRONG` of them wrong."""
    right, C = data.y[rows], data.C
    others = data.truth[rows].copy()
    others[np.arange(len(rows)), right] = 0
    found = right.copy()
    if kind == "ambiguous":
        two = np.sort(data.truth[rows], axis=1)[:, -2:]
        picked = np.argsort(two[:, 1] - two[:, 0], kind="stable")[:WRONG]
        found[picked] = others[picked].argmax(axis=1)
        return found
    picked = rng.choice(len(rows), WRONG, replace=False)
    if kind == "random":
        found[picked] = (right[picked] + rng.integers(1, C, WRONG)) % C
        return found
    often = np.stack([data.truth[data.y == c].mean(axis=0) for c in range(C)])
    np.fill_diagonal(often, 0)
    often /= often.sum(axis=1, keepdims=True)
    found[picked] = [rng.choice(C, p=often[c]) for c in right[picked]]
    return found


def label_task(data: DataSet, name: str, kind: str, seed: int) -> Task:
    rng = np.random.default_rng(seed)
    rows = rng.permutation(len(data.y))[:LABELS]
    X, y = data.X[rows], plant(data, rows, kind, rng)
    with one_thread():
        proba = RidgeLOO(data.C).fit(X, y).loo_proba()
    near = find_nearest_labelled(X, np.arange(len(y))).rows
    alone, doubts = measure_doubts(y, proba), measure_doubts(y, proba, near=near)
    others = np.where(np.eye(data.C, dtype=bool)[y], -np.inf, proba).max(axis=1)
    scores = {
        "ours": -doubts.own, "ours, ambiguous": doubts.ambiguities,
        "ours without neighbours": -alone.own, "margin (0.1.0)": others - alone.own,
    }  # fmt: skip
    return Task(name, kind, y != data.y[rows], scores, {"X": X, "y": y, "p": proba})


class ItemTask(NamedTuple):
    name: str
    strange: Array
    features: Array
    score: Array


def item_task(sets: dict[str, DataSet], name: str, seed: int) -> ItemTask:
    rng = np.random.default_rng(seed)
    usual = rng.choice(sets[name].X, LABELS - STRANGERS, replace=False)
    others = np.concatenate([data.X for other, data in sets.items() if other != name])
    X = np.concatenate([usual, rng.choice(others, STRANGERS, replace=False)])
    return ItemTask(name, np.arange(LABELS) >= LABELS - STRANGERS, X, far_distances(X, X))


class Scenes(NamedTuple):
    """Scenes with errors in their boxes, and what a made-up detector sees in them."""

    wrong: dict[str, Array]
    scores: dict[str, Array]
    labels: Array
    """A dict for each image, as cleanlab takes them."""
    predictions: Array


def make_scenes(seed: int, images: int = 300, C: int = 5) -> Scenes:
    """In 5 % of the boxes each error: a box is not drawn, is moved, or has another class."""
    rng = np.random.default_rng(seed)
    wrong: dict[str, list[Array]] = {kind: [] for kind in ("overlooked", "misplaced", "swapped")}
    scores: dict[str, list[Array]] = {kind: [] for kind in wrong}
    labels, predictions = np.empty(images, object), np.empty(images, object)
    for place in range(images):
        n = int(rng.integers(3, 9))
        size = rng.uniform(40, 160, (n, 2))
        start = rng.uniform(0, 1, (n, 2)) * ((640, 480) - size)
        boxes, names = np.hstack([start, start + size]), rng.integers(0, C, n)
        error = rng.choice(4, n, p=(0.85, 0.05, 0.05, 0.05))
        drawn, called = boxes.copy(), names.copy()
        shift = rng.uniform(0.25, 0.5, (n, 2)) * rng.choice([-1, 1], (n, 2)) * size
        drawn[error == 2] += np.tile(shift, 2)[error == 2]
        called[error == 3] = (names[error == 3] + rng.integers(1, C, int((error == 3).sum()))) % C
        kept = error != 1
        seen = _detect(boxes, names, C, rng)
        found = doubt_boxes(drawn[kept], [str(c) for c in called[kept]], seen)
        hidden = [compute_ious(boxes[~kept], box).max(initial=0) >= 0.5 for box in seen.boxes]
        wrong["overlooked"].append(np.array(hidden, bool))
        wrong["misplaced"].append(error[kept] == 2)
        wrong["swapped"].append(error[kept] == 3)
        for kind in scores:
            scores[kind].append(getattr(found, kind))
        labels[place] = {"bboxes": drawn[kept], "labels": called[kept]}
        each = np.empty(C, object)
        for c in range(C):
            mine = np.array([name == str(c) for name in seen.names], bool)
            each[c] = np.column_stack([seen.boxes, seen.scores])[mine]
        predictions[place] = each
    joined = {kind: np.concatenate(parts) for kind, parts in wrong.items()}
    return Scenes(joined, {k: np.concatenate(v) for k, v in scores.items()}, labels, predictions)


def _detect(boxes: Array, names: Array, C: int, rng: np.random.Generator) -> Detections:
    """Nine in ten objects, a little off, one in 15 of the wrong class; and some false alarms."""
    seen = rng.random(len(boxes)) < 0.9
    sides = np.tile(boxes[seen, 2:] - boxes[seen, :2], 2)
    found = boxes[seen] + rng.normal(0, 0.05, (int(seen.sum()), 4)) * sides
    slips = rng.random(len(found)) < 1 / 15
    called = np.where(slips, (names[seen] + rng.integers(1, C, len(found))) % C, names[seen])
    sure = np.where(slips, rng.beta(4, 4, len(found)), rng.beta(9, 2, len(found)))
    alarms = int(rng.poisson(1.0))
    start = rng.uniform(0, 400, (alarms, 2))
    false = np.hstack([start, start + rng.uniform(40, 80, (alarms, 2))])
    order = np.argsort([*called, *(extra := rng.integers(0, C, alarms))], kind="stable")
    joined = Detections(
        np.concatenate([found, false]), np.concatenate([sure, rng.beta(2, 4, alarms)]),
        tuple(str(c) for c in [*called, *extra]),
    )  # fmt: skip
    return joined.take(order)  # by class, as cleanlab orders them


def ask_cleanlab(
    ready: Ready | None, labels: list[Task], items: list[ItemTask], boxes: list[Scenes]
) -> dict[str, Array]:
    """What cleanlab scores: the lower, the worse; empty without it."""
    if ready is None:
        return {}
    given: dict[str, Any] = {
        "labels_count": len(labels), "items_count": len(items), "boxes_count": len(boxes),
    }  # fmt: skip
    for number, task in enumerate(labels):
        given |= {f"{name}{number}": array for name, array in task.peer.items()}
    given |= {f"F{number}": task.features for number, task in enumerate(items)}
    for number, scenes in enumerate(boxes):
        given |= {f"labels{number}": scenes.labels, f"predictions{number}": scenes.predictions}
    SCRATCH.mkdir(exist_ok=True)
    places = SCRATCH / "review-in.npz", SCRATCH / "review-out.npz"
    np.savez(places[0], **given)
    command = [ready.python, Path(__file__).parent / ready.peer.script, *places]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        print(f"cleanlab failed: {done.stderr.strip()[-300:]}")
        return {}
    with np.load(places[1]) as scores:
        return {name: scores[name] for name in scores}


def _worst_first(score: Array) -> Array:
    return np.asarray(-np.nan_to_num(np.asarray(score, float), nan=2.0))


def print_labels(tasks: list[Task], peer: dict[str, Array]) -> None:
    print(f"\n{'average precision, ' + str(WRONG) + ' wrong of ' + format(LABELS, ','):34}", end="")
    print("".join(f"{f'{name[:8]} {kind[:6]}':>16}" for name in _names(tasks) for kind in KINDS))
    table: dict[str, dict[tuple[str, str], list[float]]] = {}
    for number, task in enumerate(tasks):
        scores = dict(task.scores)
        for method, title in PEER_LABELS.items():
            if (found := peer.get(f"{method}{number}")) is not None:
                scores[title] = _worst_first(found)
        for title, score in scores.items():
            cells = table.setdefault(title, {})
            cells.setdefault((task.name, task.kind), []).append(
                average_precision(score, task.wrong)
            )
    for title, cells in table.items():
        print(f"{title:34}" + "".join(f"{np.mean(c):16.3f}" for c in cells.values()))
    for name in _names(tasks):
        reached = float(np.mean(table["ours"][name, "random"]))
        verdict = "reached" if reached >= GOALS[name] else "MISSED"
        print(f"{name}: random errors {reached:.3f}, goal {GOALS[name]:.2f}: {verdict}")


def _names(tasks: list[Any]) -> list[str]:
    return list(dict.fromkeys(task.name for task in tasks))


def print_items(tasks: list[ItemTask], peer: dict[str, Array]) -> None:
    print(f"\n{STRANGERS} items of other sets among {LABELS:,}; ours, then cleanlab")
    for name in _names(tasks):
        mine = [n for n, task in enumerate(tasks) if task.name == name]
        ours = [average_precision(tasks[n].score, tasks[n].strange) for n in mine]
        theirs = [
            average_precision(_worst_first(peer[f"outlier{n}"]), tasks[n].strange)
            for n in mine if f"outlier{n}" in peer
        ]  # fmt: skip
        beside = f"{np.mean(theirs):8.3f}" if theirs else "       -"
        print(f"{name:34}{np.mean(ours):8.3f}{beside}")


def print_boxes(scenes: list[Scenes], peer: dict[str, Array]) -> None:
    print(
        "\nboxes with one error in 20 of each kind, in scenes made up; ours, cleanlab, and "
        "cleanlab with a lower threshold"
    )
    for kind in scenes[0].wrong:
        ours = [average_precision(each.scores[kind], each.wrong[kind]) for each in scenes]
        line = f"{kind:34}{np.mean(ours):8.3f}"
        for name in (kind, f"{kind}, lower"):
            theirs = [
                average_precision(_worst_first(peer[f"{name}{n}"]), each.wrong[kind])
                for n, each in enumerate(scenes) if f"{name}{n}" in peer
            ]  # fmt: skip
            line += f"{np.mean(theirs):8.3f}" if theirs else "       -"
        print(line)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", default="4000-4009")
    parser.add_argument("--sets", default=",".join(SETS))
    given, _ = parser.parse_known_args()
    seeds = parse_seeds(given.seeds)
    sets = {name: data for name in given.sets.split(",") if (data := load(name))}
    labels = [
        label_task(data, name, kind, seed)
        for name, data in sets.items()
        for kind in KINDS
        for seed in seeds
    ]
    items = [item_task(sets, name, seed) for name in sets for seed in seeds if len(sets) > 1]
    scenes = [make_scenes(seed) for seed in seeds]
    peer = ask_cleanlab(environment(CLEANLAB), labels, items, scenes)
    print(f"{len(seeds)} seeds, {given.seeds}")
    if labels:
        print_labels(labels, peer)
        print_items(items, peer)
    print_boxes(scenes, peer)


if __name__ == "__main__":
    main()
