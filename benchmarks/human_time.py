"""Human time to label all of three sets at about 1 % error, by each mode, in simulation.

python -m benchmarks.human_time [--seeds 0-2] [--sets flowers,magnetic-tile,cifar10]

Beside it one image after the other at 3 s each, as in the web tool that this program follows. The
time model and its sources stand in `annotator.simulate.human`.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from annotator.simulate.human import MODES, format_effort, label_all
from annotator.simulate.options import SimulateOptions, parse_seeds
from annotator.simulate.task import load_truth

SHARED = Path(os.environ.get("ANNOTATOR_SHARED", Path(__file__).parents[2] / "shared"))
SETS = ("flowers", "magnetic-tile", "cifar10")
GOAL = {"flowers": 4.0, "magnetic-tile": 5.0, "cifar10": 2.2}
"""Times less than before."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", default="0-2")
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--modes", default=",".join(MODES))
    given = parser.parse_args()
    for name in given.sets.split(","):
        folder = SHARED / "data" / name
        if not folder.is_dir():
            print(f"{name}: {folder} is absent: left out")
            continue
        options = SimulateOptions(truth=folder / "truth.csv", features=folder / "features.npy")
        truth, matrix = load_truth(options)
        found = [
            label_all(truth.refs, matrix, truth.labels, mode, seed=seed)
            for mode in given.modes.split(",")
            for seed in parse_seeds(given.seeds)
        ]
        goal = f" (goal: {GOAL[name]:g}x)" if name in GOAL else ""
        print(f"\n{name}, {len(truth.refs):,} images{goal}\n{format_effort(found)}", flush=True)


if __name__ == "__main__":
    main()
