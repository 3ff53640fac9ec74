"""The kinds of part, and what can be wrong with each."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from drawing.defects import DAMAGE
from drawing.fields import Grid
from drawing.flat_kinds import bearing, gear, nut, plate, washer
from drawing.long_kinds import bolt, spring
from drawing.surface import Part, Surface

Maker = Callable[[Grid, Part, np.random.Generator], Surface]

KINDS: dict[str, Maker] = {
    "nut": nut,
    "washer": washer,
    "gear": gear,
    "bearing": bearing,
    "plate": plate,
    "bolt": bolt,
    "spring": spring,
}

DEFECTS: dict[str, tuple[str, ...]] = {
    "nut": ("rust", "rust", "crack", "crack", "chip", "burn"),
    "washer": ("rust", "rust", "crack", "crack", "bent", "scratch"),
    "gear": ("rust", "rust", "crack", "missing tooth", "missing tooth", "burn"),
    "bearing": ("rust", "rust", "crack", "missing ball", "missing ball", "burn"),
    "plate": ("rust", "rust", "rust", "chip", "missing hole", "scratch"),
    "bolt": ("rust", "rust", "rust", "bent", "stripped thread", "burn"),
    "spring": ("rust", "rust", "rust", "bent", "stretched", "broken"),
}
"""Faults by kind; one named twice is twice as common."""


def make(part: Part, at: Grid) -> Surface:
    """The part's surface over the samples of `at`, damage and all."""
    surface = KINDS[part.kind](at, part, np.random.default_rng(part.seed))
    if part.defect in DAMAGE:
        DAMAGE[part.defect](surface, at, part, np.random.default_rng(part.seed + 1))
    return surface
