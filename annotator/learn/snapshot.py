"""All that a step of learning is given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from annotator.errors import ProjectError
from annotator.learn.accepted import Accepted
from annotator.learn.model import estimator
from annotator.learn.registry import DEFAULT, STRATEGIES
from annotator.learn.rows import Rows

if TYPE_CHECKING:
    from annotator.learn.ranking import Ranking


@dataclass(frozen=True)
class Snapshot:
    """All that `learn` knows; arrays are not changed after they are handed over."""

    version: int
    """seq of the last log entry it holds: identifies the data."""
    features: NDArray[Any]
    """(N, d) of any float type, may be a memory map; row i is pool row i."""
    available: NDArray[np.bool_] | None
    """(N,) rows whose features exist; None = all."""
    rows: Rows
    """(n,) labelled pool rows in the order they were asked."""
    y: Rows
    """(n,) index into classes."""
    q: NDArray[np.float64]
    """(n,) probability with which each was drawn; NaN = none (imported, a page, looked up)."""
    pool: Rows
    """(n,) size of the pool that it was drawn from."""
    component: tuple[str, ...]
    """(n,) which part of the strategy drew it."""
    classes: tuple[str, ...]
    closed: NDArray[np.bool_]
    """(N,) must not be picked: answered, skipped, queued, on another screen, broken."""
    strategy: str = DEFAULT
    estimator: str = "ridge"
    find: str | None = None
    """The class to search for."""
    want: int = 1
    """How many picks are wanted."""
    accepted: Accepted | None = None
    """What `finish` accepted from the model: no row of it is open, all are of the pool."""
    previous: Ranking | None = None
    """The last ranking: saves time, changes nothing beyond rounding."""


def check_names(snapshot: Snapshot) -> None:
    """Raises ProjectError, listing the names that exist."""
    estimator(snapshot.estimator)
    for kind, name, known in (
        ("strategy", snapshot.strategy, STRATEGIES),
        ("class to find", snapshot.find, (None, *snapshot.classes)),
    ):
        if name not in known:
            names = ", ".join(str(one) for one in known if one)
            raise ProjectError(f"unknown {kind} {name!r}; known: {names}")
