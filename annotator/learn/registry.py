"""Query strategies by name; a module of its own, because all strategies import strategies.py."""

from __future__ import annotations

from annotator.learn.diverse import badge, coreset, typiclust, uherding
from annotator.learn.mixture import HerdingMix
from annotator.learn.strategies import (
    DEFAULT_STRATEGY,
    UTILITIES,
    GreedyStrategy,
    Strategy,
    sample_uniform,
)

STRATEGIES: dict[str, Strategy] = {
    DEFAULT_STRATEGY: HerdingMix(),
    "random": sample_uniform,
    **{name: GreedyStrategy(utilities, name) for name, utilities in UTILITIES.items()},
    "uherding": uherding,
    "typiclust": typiclust,
    "coreset": coreset,
    "badge": badge,
}
"""Name to strategy; add one by `STRATEGIES["mine"] = GreedyStrategy(my_utilities, "mine")`."""
