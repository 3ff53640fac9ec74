"""Query strategies by name."""

from __future__ import annotations

from annotator.learn.diverse import badge, coreset, typiclust, uherding
from annotator.learn.mixture import HerdingMix
from annotator.learn.strategies import UTILITIES, Greedy, Strategy, uniform

DEFAULT = "herding-mix"

STRATEGIES: dict[str, Strategy] = {
    "herding-mix": HerdingMix(),
    "random": uniform,
    **{name: Greedy(utilities, name) for name, utilities in UTILITIES.items()},
    "uherding": uherding,
    "typiclust": typiclust,
    "coreset": coreset,
    "badge": badge,
}
"""Name -> strategy; add one with `STRATEGIES["mine"] = Greedy(my_utilities, "mine")`."""
