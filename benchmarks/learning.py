"""How many labels strategies need, how honest the error estimate is, what `finish` certifies.

`python -m benchmarks.learning [--parts efficiency,others,honesty,noise,scripts,peers,finish]`.
The documented figures are those of `--seeds 0-9`, of `--parts others --seeds 20-27` and of
`--parts honesty --honest-seeds 20-39 --figure docs/honest-error.svg`, over an hour on two cores:
constants were chosen on seeds below 20. Runs are kept in .bench/learning/ and resumed.
Needs ../shared/data (or ANNOTATOR_SHARED); digits come from scikit-learn.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from annotator.simulate.options import SimulateOptions, parse_seeds
from annotator.simulate.runs import run_simulations
from annotator.simulate.summary import align_columns, summarize_runs
from annotator.simulate.task import TruthTable, load_truth, make_task
from benchmarks._certificates import outcomes
from benchmarks._figure import draw, panel
from benchmarks._peers import ACTIVEML, MODAL, SCRATCH, SHARED, environment, measure

FOLDER = SCRATCH / "learning"
BALANCED = ("flowers", "cifar10", "magnetic-tile")
HONEST = (*BALANCED, "digits")
RARE = (
    ("magnetic-tile", "crack", None),
    ("magnetic-tile", "blowhole", None),
    ("flowers", "roses", 0.03),
    ("cifar10", "cat", 0.03),
)
OTHERS = (  # on none of these was anything chosen
    *(("magnetic-tile", name, None) for name in ("break", "fray", "uneven")),
    *(("flowers", name, 0.03) for name in ("tulips", "daisy")),
    *(("cifar10", name, 0.03) for name in ("ship", "frog")),
    *(("digits", name, 0.03) for name in ("8", "3")),
)
PEERS = (
    *((ACTIVEML, strategy) for strategy in ("margin", "typiclust", "badge")),
    (MODAL, "margin"),
)
HEAD = ["set", "random", "default", "difference", "labels to random@300", "times fewer", "found"]
Row = dict[str, Any]


@dataclass(frozen=True)
class Given:
    seeds: tuple[int, ...]
    honest_seeds: tuple[int, ...]
    processes: int | None
    figure: Path | None


def folder(name: str) -> Path:
    """The folder of a set's truth.csv and features.npy; digits and noisy sets are written first."""
    if "+" in name:
        return noisy_folder(name)
    if name != "digits":
        return SHARED / "data" / name
    made = SCRATCH / "digits"
    if not (made / "features.npy").is_file():
        from sklearn.datasets import load_digits

        X, y = load_digits(return_X_y=True)
        made.mkdir(parents=True, exist_ok=True)
        lines = [f"{i}.png,{label}" for i, label in enumerate(y)]
        (made / "truth.csv").write_text("\n".join(["filename,label", *lines]) + "\n")
        np.save(made / "features.npy", X.astype(np.float32))
    return made


def noisy_folder(name: str) -> Path:
    """Write `SET+SHARE`, with that share of its labels replaced by random ones, or `SET+coin`."""
    base, _, noise = name.partition("+")
    made, table = SCRATCH / name, TruthTable.read(folder(base) / "truth.csv")
    rng, classes = np.random.default_rng(11), sorted(set(table.labels))
    labels = table.labels
    if noise == "coin":
        labels = [("heads", "tails")[side] for side in rng.integers(0, 2, len(labels))]
    else:
        hit, other = rng.random(len(labels)) < float(noise), rng.choice(classes, len(labels))
        labels = [str(o) if h else y for y, h, o in zip(labels, hit, other, strict=True)]
    made.mkdir(parents=True, exist_ok=True)
    lines = [f"{ref},{label}" for ref, label in zip(table.refs, labels, strict=True)]
    (made / "truth.csv").write_text("\n".join(["filename,label", *lines]) + "\n")
    (made / "features.npy").unlink(missing_ok=True)
    (made / "features.npy").symlink_to((folder(base) / "features.npy").resolve())
    return made


def simulated(name: str, given: Given, **changes: Any) -> list[Row]:
    """The runs of one set; those finished before are not made again."""
    options = SimulateOptions(
        folder(name) / "truth.csv",
        folder(name) / "features.npy",
        seeds=given.seeds,
        processes=given.processes,
        state=FOLDER / f"{name}.jsonl",
    )
    print(f"{name} {changes}", file=sys.stderr, flush=True)
    runs: list[Row] = run_simulations(replace(options, **changes))["runs"]
    return runs


def saving(strategy: str, runs: list[Row]) -> Row:
    return next(row for row in summarize_runs(runs) if row["strategy"] == strategy)


def geometric(values: list[float]) -> float:
    return float(np.exp(np.mean(np.log(values))))


def efficiency(given: Given) -> None:
    strategies = ("herding-mix", "random")
    rows, factors = [HEAD], {"balanced": list[float](), "rare": list[float]()}
    for name in BALANCED:
        runs = simulated(name, given, strategies=strategies)
        rows.append(_efficiency(name, runs))
        factors["balanced"].append(saving("herding-mix", runs)["saving"])
    for name, positive, prevalence in RARE:
        shared = {"positive": positive, "prevalence": prevalence}
        random = simulated(name, given, strategies=("random",), **shared)
        for find in (False, True):
            found = simulated(name, given, strategies=("herding-mix",), find=find, **shared)
            label = f"{name} {positive}{' --find' if find else ''}"
            rows.append(_efficiency(label, [*found, *random]))
            if not find:
                factors["rare"].append(saving("herding-mix", [*found, *random])["saving"])
    print(align_columns(rows))
    for kind, goal in (("balanced", "1.5 / 2"), ("rare", "3 / 5")):
        low, mean = min(factors[kind]), geometric(factors[kind])
        print(
            f"{kind}: {mean:.2f} times fewer labels (geometric mean), least {low:.2f}; goal {goal}"
        )


def others(given: Given) -> None:
    """Rare classes beyond those of the goals."""
    rows, factors = [], list[float]()
    for name, positive, prevalence in OTHERS:
        runs = simulated(
            name, given, strategies=("herding-mix", "random"), positive=positive,
            prevalence=prevalence,
        )  # fmt: skip
        rows.append(_efficiency(f"{name} {positive}", runs))
        factors.append(saving("herding-mix", runs)["saving"])
    print(align_columns([HEAD, *rows]))
    print(f"{geometric(factors):.2f} times fewer (geometric mean), least {min(factors):.2f}")


def _efficiency(name: str, runs: list[Row]) -> list[str]:
    ours, random = saving("herding-mix", runs), saving("random", runs)
    areas = {(one["strategy"], one["seed"]): float(np.mean(one["value"])) for one in runs}
    off = [value - areas["random", seed] for (s, seed), value in areas.items() if s != "random"]
    share = ours["positives_found"]
    return [
        name,
        f"{random['aulc']:.3f}",
        f"{ours['aulc']:.3f}",
        f"{np.mean(off):+.3f} ± {np.std(off, ddof=1) / np.sqrt(len(off)):.3f}",
        str(ours["labels_to_random"] or "-"),
        f"{ours['saving']:.2f}",
        "-" if share is None else f"{share:.0%}",
    ]


def honesty(given: Given) -> None:
    rows = [["set", "labels", "shown", "bias", "RMSE", "covers", "width", "difficulty", "ECE"]]
    everything, panels = [], []
    for name in HONEST:
        runs = simulated(name, given, strategies=("herding-mix",), seeds=given.honest_seeds)
        everything += runs
        rows += _honesty(name, runs)
        panels.append(panel(name, runs))
    print(align_columns([*rows, *_honesty("all", everything)]))
    print("goals: bias ≤ .015, covers 88 to 98 %, RMSE ≤ .05 at 300 (stretch .04, width ≤ .15);")
    print("ECE ≤ .08 at 100 and ≤ .05 at 300 (stretch .04, .03)")
    if given.figure:
        draw(panels, given.figure)


def noise(given: Given) -> None:
    """The honesty of the estimate where labels are noisy; the truth is noisy, too."""
    rows = [["set", "labels", "shown", "bias", "RMSE", "covers", "width", "difficulty", "ECE"]]
    for kind in ("coin", "0.1", "0.2", "0.4"):
        everything = []
        for name in ("flowers", "magnetic-tile", "digits"):
            everything += simulated(
                f"{name}+{kind}", given, strategies=("herding-mix",), seeds=given.honest_seeds,
                budget=200,
            )  # fmt: skip
        rows += _honesty(kind, everything)
    print(align_columns(rows))
    print("goal: covers ≥ 90 %")


def scripts(given: Given) -> None:
    """Labelling by `next` and `answer`, beside `simulate`, on flowers to 150 labels."""
    from annotator.simulate.options import SimulationJob
    from annotator.simulate.oracle import simulate_run
    from tests.session.test_scripted import STRATEGY, area, label_by_commands, make_project

    files = {part: folder("flowers") / f"{part}" for part in ("truth.csv", "features.npy")}
    options = SimulateOptions(
        files["truth.csv"], files["features.npy"], budget=150, strategies=(STRATEGY,)
    )
    rows = [["seed", "mean accuracy to 150 labels: simulate", "scripts", "difference"]]
    for seed in given.seeds:
        task = make_task(*load_truth(options), options, seed)
        with tempfile.TemporaryDirectory() as place:
            project = make_project(Path(place), list(task.refs), task.X, task.classes, seed)
            truth = {r: task.classes[y] for r, y in zip(task.refs, task.y.tolist(), strict=True)}
            ours = area(task, truth, label_by_commands(project, truth, options.budget))
        job = SimulationJob(STRATEGY, options.estimators[0], seed)
        there = float(np.mean(simulate_run(task, job, options)["value"]))
        rows.append([str(seed), f"{there:.3f}", f"{ours:.3f}", f"{ours - there:+.3f}"])
        print(align_columns(rows), flush=True)


def _honesty(name: str, runs: list[Row]) -> list[list[str]]:
    (found,) = summarize_runs(runs)
    return [
        [
            name,
            str(part["labels"]),
            f"{part['shown']}/{len(runs)}",
            *(
                "-" if part[key] is None else format(part[key], form)
                for key, form in (
                    ("bias", "+.3f"),
                    ("rmse", ".3f"),
                    ("coverage", ".0%"),
                    ("width", ".2f"),
                    ("difficulty_bias", "+.3f"),
                    ("calibration_error", ".3f"),
                )
            ),
        ]
        for part in found["honesty"]
    ]


def peers(given: Given) -> None:
    """The peers on the same pools and tests, with logistic regression; ours with both."""
    budget = 100
    ready = {peer: environment(peer) for peer in (ACTIVEML, MODAL)}
    rows = [["set", "system", "mean accuracy to 100 labels", "at 100", "ms per label"]]
    for name in ("flowers", "digits"):
        seeds = given.seeds[:2]
        runs = simulated(
            name, given, seeds=seeds, budget=budget, metric="accuracy",
            strategies=("herding-mix", "margin"), estimators=("ridge", "logistic"),
        )  # fmt: skip
        for row in summarize_runs(runs):
            system = f"annotator {row['strategy']}, {row['estimator']}"
            rows.append(
                [
                    name,
                    system,
                    f"{row['aulc']:.3f}",
                    f"{row['last']:.3f}",
                    f"{row['ms_per_label']:.0f}",
                ]
            )
        for peer, strategy in PEERS:
            there = ready[peer]
            if there is None:
                continue
            found = [measure(there, _pool(name, seed), budget, strategy) for seed in seeds]
            rows.append([
                name, f"{peer.name} {strategy}, logistic",
                f"{np.mean([one['value'] for one in found]):.3f}",
                f"{np.mean([one['value'][-1] for one in found]):.3f}",
                f"{np.median([one['ms'] for one in found]):.0f}",
            ])  # fmt: skip
    print(align_columns(rows))


def _pool(name: str, seed: int) -> dict[str, Any]:
    options = SimulateOptions(folder(name) / "truth.csv", folder(name) / "features.npy")
    one = make_task(*load_truth(options), options, seed)
    X, unseen = (np.asarray(m, dtype=np.float32) for m in (one.X, one.unseen))
    first = np.random.default_rng(seed).choice(len(X), 2, replace=False)
    return {
        "X": X / np.linalg.norm(X, axis=1, keepdims=True),
        "X_test": unseen / np.linalg.norm(unseen, axis=1, keepdims=True),
        "y": one.y,
        "y_test": one.unseen_y,
        "first": first,
    }


def certificates(given: Given) -> None:
    rows = [["set", "error at most", "runs", "certified", "of these true", "accepted", "audited"]]
    promises: list[bool] = []
    for name, max_error in (
        ("digits", 0.01),
        ("digits", 0.03),
        ("flowers", 0.05),
        ("cifar10", 0.1),
    ):
        found = outcomes(folder(name), max_error, runs=50)
        done = [one for one in found if one.certified]
        promises += [one.holds for one in done]
        rows.append([
            name, f"{max_error:.0%}", str(len(found)), str(len(done)),
            f"{np.mean([one.holds for one in done]):.0%}" if done else "-",
            f"{np.mean([one.accepted for one in done]):.0f}" if done else "-",
            f"{np.mean([one.audited for one in found]):.0f}",
        ])  # fmt: skip
    print(align_columns(rows))
    print(f"true where certified: {np.mean(promises):.1%} of {len(promises)} (goal: at least 95 %)")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--parts", default="efficiency,honesty,peers,finish")
    parser.add_argument("--seeds", default="0-2")
    parser.add_argument("--honest-seeds", default="0-4")
    parser.add_argument("--processes", type=int)
    parser.add_argument("--figure", type=Path)
    args = parser.parse_args(sys.argv[1:])
    given = Given(
        parse_seeds(args.seeds), parse_seeds(args.honest_seeds), args.processes, args.figure
    )
    if not (SHARED / "data" / "README.md").is_file():
        sys.exit("needs ../shared/data, or ANNOTATOR_SHARED")
    parts = {
        "efficiency": efficiency, "others": others, "honesty": honesty, "noise": noise,
        "scripts": scripts, "peers": peers, "finish": certificates,
    }  # fmt: skip
    for name in args.parts.split(","):
        print(f"\n{name}", flush=True)
        parts[name](given)


if __name__ == "__main__":
    main()
