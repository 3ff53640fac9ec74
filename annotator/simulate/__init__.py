"""A session answered by an oracle: how many labels a strategy needs, and how honest its error is.

The same `Session`, log and `learn` as on the screen; only the annotator is replaced.
"""

from __future__ import annotations

from annotator.simulate.options import SimulateOptions
from annotator.simulate.runs import default_state_file, run_simulations
from annotator.simulate.summary import format_result

__all__ = ["SimulateOptions", "run_simulations", "format_result", "default_state_file"]
