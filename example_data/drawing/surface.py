"""What a part is made of: its relief and its finish, sample by sample."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drawing.fields import Field, Grid, Noise, ramp

METALS: dict[str, tuple[float, float, float]] = {
    "steel": (0.56, 0.57, 0.58),
    "zinc": (0.60, 0.64, 0.69),
    "nickel": (0.66, 0.62, 0.56),
    "aluminium": (0.72, 0.72, 0.73),
    "black oxide": (0.115, 0.115, 0.125),
    "brass": (0.80, 0.60, 0.27),
}
"""Reflectance at normal incidence, linear light."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part in a tray: everything needed to draw it again."""

    kind: str
    x: float
    y: float
    angle: float
    size: float
    metal: str
    defect: str | None
    seed: int

    @property
    def label(self) -> str:
        return "defect" if self.defect else "ok"


@dataclass(slots=True)
class Surface:
    """A part's patch. Heights in pixels above the tray; the part is where `inside` is above 0."""

    height: Field
    inside: Field
    colour: NDArray[np.float32]
    metal: Field
    rough: Field
    grain_u: Field
    grain_v: Field

    def paint(
        self, share: Field, colour: tuple[float, float, float], metal: float, rough: float
    ) -> None:
        """Cover `share` of every sample with another material."""
        self.colour += (np.array(colour, np.float32) - self.colour) * share[..., None]
        self.metal += (metal - self.metal) * share
        self.rough += (rough - self.rough) * share


def metal_surface(at: Grid, part: Part, rng: np.random.Generator, rough: float) -> Surface:
    """A bare sheet of the part's metal, with the marks that handling leaves."""
    shape = at.u.shape
    shade = rng.uniform(0.92, 1.05)
    colour = np.ones((*shape, 1), np.float32) * np.array(METALS[part.metal], np.float32) * shade
    rough = 0.34 if part.metal == "black oxide" else rough + rng.uniform(-0.04, 0.08)
    return Surface(
        height=np.zeros(shape, np.float32),
        inside=np.zeros(shape, np.float32),
        colour=colour.astype(np.float32),
        metal=np.ones(shape, np.float32),
        rough=np.full(shape, rough, np.float32),
        grain_u=np.zeros(shape, np.float32),
        grain_v=np.zeros(shape, np.float32),
    )


def handle(surface: Surface, at: Grid, rng: np.random.Generator) -> None:
    """Faint stains, uneven polish and hair scratches, as every part has."""
    noise = Noise(rng)
    patches = noise(at.u, at.v, 22, 3)
    surface.rough += (patches - 0.5) * 0.10
    surface.colour *= (0.94 + 0.12 * noise(at.u + 90, at.v, 9, 3))[..., None]
    surface.height += (noise(at.u, at.v + 70, 30, 2) - 0.5) * rng.uniform(0.5, 1.8)
    lean = rng.uniform(-0.05, 0.05, 2)
    surface.height += (lean[0] * at.u + lean[1] * at.v).astype(np.float32)
    for _ in range(int(rng.integers(1, 5))):
        _hair(surface, at, rng)


def _hair(surface: Surface, at: Grid, rng: np.random.Generator) -> None:
    angle, offset = rng.uniform(0, np.pi), rng.uniform(-30, 30)
    along, across = rng.uniform(-30, 30), rng.uniform(6, 22)
    s = at.u * np.cos(angle) + at.v * np.sin(angle) - along
    t = at.v * np.cos(angle) - at.u * np.sin(angle) - offset + 0.004 * s**2
    line = ramp(-np.abs(t), -0.5, -0.1) * ramp(-np.abs(s), -across, -across * 0.6)
    surface.height -= 0.10 * line


def turned(surface: Surface, at: Grid, rng: np.random.Generator, strength: float) -> None:
    """Concentric tool marks: they spread a highlight across the grooves, into a bow-tie."""
    radius = np.maximum(at.radius, 0.5)
    surface.grain_u = (strength * at.u / radius).astype(np.float32)
    surface.grain_v = (strength * at.v / radius).astype(np.float32)
    rings = Noise(rng)(radius, np.zeros_like(radius), 1.6, 2) - 0.5
    surface.height += 0.35 * strength * rings


def brushed(surface: Surface, at: Grid, rng: np.random.Generator, strength: float) -> None:
    """Straight grinding marks along u."""
    surface.grain_v = np.full_like(at.u, strength)
    streaks = Noise(rng)(at.u / 30, at.v, 1.3, 2) - 0.5
    surface.height += 0.4 * strength * streaks
    surface.colour *= (1 + 0.18 * streaks)[..., None]
