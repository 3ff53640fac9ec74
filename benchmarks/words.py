"""What the names of classes are worth: texts of a set cosine to the mean of their class.

`python -m benchmarks.words [--seeds 4000-4009] [--labels 20] [--parts accuracy,wrong,rare,speed]`.
No weights of a network for words are in ../shared, so a text is the centred mean of its class (and
with `--raw` the mean itself), turned away by noise until it has the cosine. "text alone" are these
cosines without any label, the better of plain and centred over the items. `--set NAME` takes one
set, `--cosines 0 0.2` some of the cosines. Constants were chosen on seeds below 100. Needs
../shared/data (or ANNOTATOR_SHARED).
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import defaultdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotator.learn.model import FittedModel
from annotator.learn.rows import normalize_rows, one_thread
from annotator.learn.text_prior import TextPrior, prior_from_scores
from annotator.session.learner import StrategyChoice
from annotator.session.open import open_in_memory
from annotator.simulate.metrics import METRICS
from annotator.simulate.options import SimulateOptions, parse_seeds
from annotator.simulate.summary import align_columns
from annotator.simulate.task import SimulationTask, load_truth, make_task
from benchmarks._peers import SHARED

SETS = ("flowers", "magnetic-tile", "cifar10")
COSINES = (0.0, 0.1, 0.2, 0.3, 0.5)
RARE = (("magnetic-tile", "crack", None), ("flowers", "roses", 0.03), ("cifar10", "cat", 0.03))
SAMPLE = 2_000
MOST = 400
POSITIVES = 10
_loaded: dict[str, Any] = {}


def task_of(name: str, seed: int, **rare: Any) -> SimulationTask:
    folder = SHARED / "data" / name
    options = SimulateOptions(folder / "truth.csv", folder / "features.npy", **rare)
    if name not in _loaded:
        _loaded[name] = load_truth(options)
    return make_task(*_loaded[name], options, seed)


def cosines(task: SimulationTask, cosine: float, seed: int, raw: bool, wrong: int | None) -> Any:
    """The texts (d, C) of a task, each of this cosine to its class; `wrong` is noise alone."""
    X = normalize_rows(np.concatenate([task.X, task.unseen]))
    y, rng = np.append(task.y, task.unseen_y), np.random.default_rng([seed, 5])
    means = np.stack([X[y == c].mean(axis=0) for c in range(len(task.classes))])
    means = unit(means if raw else means - means.mean(axis=0))
    noise = rng.normal(size=means.shape)
    noise = unit(noise - (noise * means).sum(axis=1, keepdims=True) * means)
    share = np.full((len(means), 1), cosine)
    if wrong is not None:
        share[wrong] = 0
    return (share * means + np.sqrt(1 - share**2) * noise).T


def unit(rows: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def prior_of(task: SimulationTask, texts: NDArray[Any]) -> TextPrior:
    sample = normalize_rows(task.X)[:SAMPLE]
    return prior_from_scores(sample @ texts, sample)


def accuracies(proba: NDArray[Any], y: NDArray[np.int64]) -> NDArray[np.float64]:
    """The accuracy, and the mean over the classes."""
    return np.array([METRICS[name](proba, y) for name in ("accuracy", "balanced-accuracy")])


def accuracy_after(task: SimulationTask, seed: int, labels: int, text: TextPrior | None) -> Any:
    session = open_in_memory(task.refs, task.X, task.classes, annotator="oracle", seed=seed)
    session.learner.text = text
    answers = dict(zip(task.refs, task.y.tolist(), strict=True))
    ranking = session.learn()
    for _ in range(labels):
        assert session.current is not None
        session.label(task.classes[answers[session.current.ref]])
        ranking = session.learn()
    assert ranking is not None and isinstance(ranking.model, FittedModel)
    found = ranking.model.predict_proba(task.unseen)
    return accuracies(found, task.unseen_y), ranking.model.text_weight


def text_alone(task: SimulationTask, texts: NDArray[Any]) -> NDArray[np.float64]:
    found = normalize_rows(task.unseen) @ texts
    level = (normalize_rows(task.X) @ texts).mean(axis=0)
    return np.maximum(accuracies(found, task.unseen_y), accuracies(found - level, task.unseen_y))


def accuracy(given: argparse.Namespace, wrong: bool = False) -> None:
    rows, means = [], defaultdict(list)
    for name in given.sets:
        before = {
            seed: accuracy_after(task_of(name, seed), seed, given.labels, None)[0]
            for seed in given.seeds
        }
        for cosine in (0.2, 0.5) if wrong else given.cosines:
            gains, alone, weights = [], [], []
            for seed in given.seeds:
                task = task_of(name, seed)
                texts = cosines(task, cosine, seed, given.raw, 0 if wrong else None)
                found, weight = accuracy_after(task, seed, given.labels, prior_of(task, texts))
                gains.append(found - before[seed])
                alone.append(text_alone(task, texts))
                weights.append(weight)
            gain, words = np.array(gains), np.array(alone)
            today = np.array(list(before.values()))
            off = gain[:, 0].std(ddof=1) / np.sqrt(len(gain))
            means[cosine].append((gain.mean(axis=0), (today + gain - words).mean(axis=0)))
            rows.append([
                name, f"{cosine:g}", f"{np.mean(weights):.2f}",
                *(pair(part) for part in (today, words, today + gain)),
                " / ".join(f"{100 * part:+.1f}" for part in gain.mean(axis=0)),
                f"± {100 * off:.1f}",
            ])  # fmt: skip
    print("accuracy / mean over the classes" + (", one text wrong" if wrong else ""))
    head = ["set", "cosine", "α", "today", "text alone", "both", "gain in points", ""]
    print(align_columns([head, *rows]))
    for cosine, found in means.items():
        gain, over = np.mean(found, axis=0) * 100
        print(
            f"cosine {cosine:g}: {gain[0]:+.1f} / {gain[1]:+.1f} points over today, "
            f"{over[0]:+.1f} / {over[1]:+.1f} over text alone"
        )
    print("goals: ≥ +10 over today and ≥ +5 over text alone from 0.2 on, ≥ -0.5 at 0", flush=True)


def pair(found: NDArray[np.float64]) -> str:
    plain, balanced = found.mean(axis=0)
    return f"{plain:.3f} / {balanced:.3f}"


def labels_to_positives(task: SimulationTask, seed: int, text: TextPrior | None) -> int:
    session = open_in_memory(
        task.refs, task.X, task.classes, annotator="oracle", seed=seed,
        strategy=StrategyChoice(find=task.classes[1]),
    )  # fmt: skip
    session.learner.text = text
    answers, found = dict(zip(task.refs, task.y.tolist(), strict=True)), 0
    session.learn()
    for labels in range(1, MOST + 1):
        assert session.current is not None
        y = answers[session.current.ref]
        found += y
        if found == POSITIVES:
            return labels
        session.label(task.classes[y])
        session.learn()
    return MOST


def rare(given: argparse.Namespace) -> None:
    rows, factors = [], defaultdict(list)
    for name, positive, prevalence in RARE:
        if name not in given.sets:
            continue
        counts = defaultdict(list)
        for seed in given.seeds:
            task = task_of(name, seed, positive=positive, prevalence=prevalence)
            counts["today"].append(labels_to_positives(task, seed, None))
            for cosine in (0.0, 0.2, 0.3):
                text = prior_of(task, cosines(task, cosine, seed, given.raw, None))
                counts[cosine].append(labels_to_positives(task, seed, text))
        mean = {key: float(np.mean(found)) for key, found in counts.items()}
        rows.append([name, positive, *(f"{value:.0f}" for value in mean.values())])
        for cosine in (0.0, 0.2, 0.3):
            factors[cosine].append(mean["today"] / mean[cosine])
    print(f"labels to the first {POSITIVES} positives of a search")
    print(align_columns([["set", "class", "today", "text 0", "text 0.2", "text 0.3"], *rows]))
    for cosine, found in factors.items():
        print(f"cosine {cosine:g}: {np.exp(np.mean(np.log(found))):.2f} times fewer")
    print("goal: ≥ 1.5 times fewer from 0.2 on", flush=True)


def speed(given: argparse.Namespace) -> None:
    """The time of a step at 300 labels, with texts and without."""
    task = task_of(given.sets[0], 0)
    text = prior_of(task, cosines(task, 0.2, 0, given.raw, None))
    rows = [["", "ms per step at 300 labels"]]
    for name, prior in (("without", None), ("with texts", text)):
        session = open_in_memory(task.refs, task.X, task.classes, annotator="oracle", seed=0)
        session.learner.text = prior
        answers, took = dict(zip(task.refs, task.y.tolist(), strict=True)), []
        session.learn()
        for _ in range(300):
            assert session.current is not None
            session.label(task.classes[answers[session.current.ref]])
            begun = time.perf_counter()
            session.learn()
            took.append(time.perf_counter() - begun)
        rows.append([name, f"{1000 * np.median(took[-50:]):.1f}"])
    print(align_columns(rows), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--parts", default="accuracy,wrong,rare,speed")
    parser.add_argument("--seeds", default="4000-4004")
    parser.add_argument("--labels", type=int, default=20)
    parser.add_argument("--set", dest="sets", nargs="*", default=list(SETS))
    parser.add_argument("--cosines", type=float, nargs="*", default=list(COSINES))
    parser.add_argument("--raw", action="store_true")
    given = parser.parse_args(sys.argv[1:])
    given.seeds = parse_seeds(given.seeds)
    if not (SHARED / "data" / "README.md").is_file():
        sys.exit("needs ../shared/data, or ANNOTATOR_SHARED")
    with one_thread():
        for part in given.parts.split(","):
            if part == "wrong":
                accuracy(given, wrong=True)
            else:
                {"accuracy": accuracy, "rare": rare, "speed": speed}[part](given)


if __name__ == "__main__":
    main()
