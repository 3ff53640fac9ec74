"""Simulated sessions on labelled data: the labels that a strategy needs, the errors it estimates.

The session, the log and `learn` are those of the screen; only the annotator is replaced.
"""

from __future__ import annotations

from annotator.simulate.options import SimulateOptions
from annotator.simulate.runs import default_state_file, run_simulations
from annotator.simulate.summary import format_result

__all__ = ["SimulateOptions", "run_simulations", "format_result", "default_state_file"]
