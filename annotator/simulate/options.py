"""The options of a simulation, and the runs that they ask for."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from annotator.errors import ProjectError
from annotator.learn.model import load_estimator
from annotator.learn.registry import STRATEGIES
from annotator.learn.strategies import DEFAULT_STRATEGY
from annotator.simulate.metrics import METRICS

CEILING = "ceiling"
"""In place of a strategy: the greedy oracle (see ceiling.py)."""


class SimulationJob(NamedTuple):
    """A run of one strategy with one estimator and one seed."""

    strategy: str
    estimator: str
    seed: int


@dataclass(frozen=True, slots=True)
class SimulateOptions:
    """The options of a grid of runs on one labelled set of features."""

    truth: Path
    """A CSV file with the columns filename and label, and bbox if boxes are labelled.

    Line i belongs to row i of the features.
    """
    features: Path
    """A .npy file (n, d)."""
    strategies: tuple[str, ...] = (DEFAULT_STRATEGY, "random")
    estimators: tuple[str, ...] = ("ridge",)
    budget: int = 300
    """Labels in each run."""
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    test_fraction: float = 0.3
    """The share of each class held out to measure the model on."""
    positive: str | None = None
    """The positive class of a binary task, against all other classes; None keeps all classes."""
    prevalence: float | None = None
    """The share of positives; items are left out at random to reach it."""
    find: bool = False
    """Search for the positives (`annotator run --find`)."""
    metric: str = "auto"
    ahead: int = 0
    """The number of items drawn ahead of the current one; a real screen draws 5."""
    processes: int | None = None
    """The number of processes; None for one per core."""
    state: Path | None = field(default=None)
    """The JSON-lines file of finished runs, read and continued; None keeps no runs."""

    def jobs(self) -> list[SimulationJob]:
        """Return all runs of the grid, seed by seed."""
        return [
            SimulationJob(s, e, seed)
            for seed in self.seeds
            for e in self.estimators
            for s in self.strategies
        ]

    def check(self) -> None:
        """Raise `ProjectError` for an unknown name or a number out of range."""
        for kind, names, known in (
            ("strategy", self.strategies, {*STRATEGIES, CEILING}),
            ("metric", (self.metric,), {"auto", *METRICS}),
        ):
            for name in names:
                if name not in known:
                    raise ProjectError(
                        f"{name!r} is not a {kind}. Choose one of {', '.join(sorted(known))}."
                    )
        for name in self.estimators:
            load_estimator(name)
        if CEILING in self.strategies and self.estimators != ("ridge",):
            raise ProjectError("The ceiling is that of the ridge. Leave out --estimator.")
        if not 0 < self.test_fraction < 1:
            raise ProjectError(f"--test-fraction must be between 0 and 1, not {self.test_fraction}")
        if self.budget < 1 or not self.seeds:
            raise ProjectError(
                "A simulation needs a --budget of at least 1, and at least one seed."
            )
        if self.positive is None and (self.prevalence is not None or self.find):
            raise ProjectError("--prevalence and --find need --positive CLASS")
        if self.prevalence is not None and not 0 < self.prevalence < 1:
            raise ProjectError(f"--prevalence must be between 0 and 1, not {self.prevalence}")


def parse_seeds(text: str) -> tuple[int, ...]:
    """Return the numbers of "0-9", "3" or "0,2,5-7". Raises `ProjectError`."""
    found: list[int] = []
    for part in text.split(","):
        first, _, last = part.strip().partition("-")
        if not first.isdigit() or (last and not last.isdigit()):
            raise ProjectError(f"--seeds {text!r} cannot be read. Write 0-9, or 0,2,5-7.")
        found.extend(range(int(first), int(last or first) + 1))
    return tuple(dict.fromkeys(found))
