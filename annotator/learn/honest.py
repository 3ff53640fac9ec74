"""The error of the current model on the whole pool, from labels that were asked unequally."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ErrorEstimate:
    """Estimated error of the current model on the whole pool, with a 90 % interval."""

    error: float
    low: float
    high: float
    n_eff: float
    """Effective number of labels behind it; below 8 it is not worth showing."""
    labels: int
    """Labels with a known propensity."""

    @property
    def shown(self) -> bool:
        """Whether it rests on enough labels to be shown."""
        return self.n_eff >= LEAST_N_EFF


LEAST_N_EFF = 8.0
