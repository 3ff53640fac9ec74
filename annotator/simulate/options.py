"""What to simulate."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from annotator.errors import ProjectError
from annotator.learn.model import load_estimator
from annotator.learn.registry import DEFAULT_STRATEGY, STRATEGIES
from annotator.simulate.metrics import METRICS


class SimulationJob(NamedTuple):
    """One run."""

    strategy: str
    estimator: str
    seed: int


@dataclass(frozen=True, slots=True)
class SimulateOptions:
    """A grid of runs over one labelled set of features."""

    truth: Path
    """CSV with the columns filename, label, and bbox where boxes are labelled; line i belongs to
    row i of the features."""
    features: Path
    """.npy (n, d)."""
    strategies: tuple[str, ...] = (DEFAULT_STRATEGY, "random")
    estimators: tuple[str, ...] = ("ridge",)
    budget: int = 300
    """Labels in each run."""
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    test_fraction: float = 0.3
    """Share of each class that is kept away from the session, to measure the model on."""
    positive: str | None = None
    """Makes the task binary: this class against all others."""
    prevalence: float | None = None
    """Share of positives to keep, by leaving out others or positives at random."""
    find: bool = False
    """Search for the positives (`annotator run --find`)."""
    metric: str = "auto"
    ahead: int = 0
    """Items drawn ahead of the one on screen, as on a real screen (there: 5)."""
    processes: int | None = None
    """None: one per core."""
    state: Path | None = field(default=None)
    """JSON-lines file of finished runs, read and continued; None: nothing is kept."""

    def jobs(self) -> list[SimulationJob]:
        return [
            SimulationJob(s, e, seed)
            for seed in self.seeds
            for e in self.estimators
            for s in self.strategies
        ]

    def check(self) -> None:
        """Raises ProjectError for unknown names and numbers out of range."""
        for kind, names, known in (
            ("strategy", self.strategies, STRATEGIES),
            ("metric", (self.metric,), {"auto", *METRICS}),
        ):
            for name in names:
                if name not in known:
                    raise ProjectError(
                        f"unknown {kind} {name!r}; known: {', '.join(sorted(known))}"
                    )
        for name in self.estimators:
            load_estimator(name)
        if not 0 < self.test_fraction < 1:
            raise ProjectError(
                f"the test fraction must lie between 0 and 1, not {self.test_fraction}"
            )
        if self.budget < 1 or not self.seeds:
            raise ProjectError("a simulation needs a budget of at least 1 and at least one seed")
        if self.positive is None and (self.prevalence is not None or self.find):
            raise ProjectError("--prevalence and --find need --positive CLASS")
        if self.prevalence is not None and not 0 < self.prevalence < 1:
            raise ProjectError(f"the prevalence must lie between 0 and 1, not {self.prevalence}")


def parse_seeds(text: str) -> tuple[int, ...]:
    """ "0-9", "3" or "0,2,5-7" as numbers. Raises ProjectError."""
    found: list[int] = []
    for part in text.split(","):
        first, _, last = part.strip().partition("-")
        if not first.isdigit() or (last and not last.isdigit()):
            raise ProjectError(f"cannot read the seeds {text!r}; write 0-9, or 0,2,5-7")
        found.extend(range(int(first), int(last or first) + 1))
    return tuple(dict.fromkeys(found))
