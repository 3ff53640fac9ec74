"""A session answered by an oracle: how many labels a strategy needs, and how honest its error is.

The same `Session`, log and `learn` as on the screen; only the annotator is replaced.
"""

from __future__ import annotations

from annotator.simulate.options import SimulateOptions
from annotator.simulate.runs import run, usual_state
from annotator.simulate.table import table

__all__ = ["SimulateOptions", "run", "table", "usual_state"]
