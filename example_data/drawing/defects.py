"""Damage that any part can take: rust, crack, chip, scratch, burn."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from drawing.fields import Field, Grid, Noise, ramp
from drawing.surface import Part, Surface


def rust(surface: Surface, at: Grid, part: Part, rng: np.random.Generator) -> None:
    """Brown scale in patches, thickest where it began."""
    angle, away = rng.uniform(0, 2 * np.pi), part.size * rng.uniform(0.2, 0.8)
    near = np.hypot(at.u - away * np.cos(angle), at.v - away * np.sin(angle)) / part.size
    _corrode(surface, at, rng, rng.uniform(-0.07, 0.08) - 0.36 * near)


def _corrode(surface: Surface, at: Grid, rng: np.random.Generator, wet: Field) -> None:
    """Rust grows where `wet` is about 0 or more: a stain first, then pitted scale."""
    noise = Noise(rng)
    warp = 5 * noise(at.u + 31, at.v + 77, 7, 3)
    field = noise(at.u + warp, at.v - warp, 22, 6) * 1.4 + wet
    stain, scale = ramp(field, 0.26, 0.52), ramp(field, 0.43, 0.60)
    surface.colour *= 1 - stain[..., None] * np.array([0.22, 0.50, 0.70], np.float32)
    surface.rough += 0.25 * stain
    tint = np.clip(noise(at.u + 40, at.v, 5, 3)[..., None] * 2.0 - 0.55, 0, 1)
    brown = np.array([0.055, 0.020, 0.010]) * (1 - tint) + np.array([0.34, 0.125, 0.034]) * tint
    surface.colour += (brown.astype(np.float32) - surface.colour) * scale[..., None]
    surface.metal *= 1 - scale
    surface.rough += (0.85 - surface.rough) * scale
    surface.height += scale * (1.1 * noise(at.u, at.v + 55, 3, 3) - 0.25)


def crack(surface: Surface, at: Grid, part: Part, rng: np.random.Generator) -> None:
    """A jagged gap from the rim inwards, wide at its mouth, rust weeping out of it."""
    noise = Noise(rng)
    angle = rng.uniform(0, 2 * np.pi)
    s = at.u * np.cos(angle) + at.v * np.sin(angle)
    t = at.v * np.cos(angle) - at.u * np.sin(angle)
    zigzag = (noise(s, np.zeros_like(s), 9, 3) - 0.5) * 11
    along = ramp(s, part.size * 0.02, part.size * 0.12)
    width = (0.5 + 2.6 * np.clip(s / part.size, 0, 1)) * along
    gap = np.abs(t - zigzag) - width
    surface.inside = np.minimum(surface.inside, np.where(s > 0, gap, 1e3))
    surface.height -= 1.5 * ramp(-gap, -1.6, 0) * along
    away = np.maximum(gap, 0) + np.maximum(part.size * 0.12 - s, 0)
    _corrode(surface, at, rng, _around(away, 20))


def _around(distance: Field, reach: float) -> Field:
    """How wet the metal is beside a wound: enough to rust at its edge, too dry `reach` away."""
    return 0.16 - 0.60 * np.clip(distance / reach, 0, 1) ** 0.8


def chip(surface: Surface, at: Grid, part: Part, rng: np.random.Generator) -> None:
    """A bite out of the rim; its broken face is bright and grainy and has begun to rust."""
    noise = Noise(rng)
    angle = np.pi / 6 + np.pi / 3 * rng.integers(6) if part.kind == "nut" else np.pi / 4
    reach = part.size * (0.98 if part.kind == "nut" else 1.0)
    away = np.hypot(at.u - reach * np.cos(angle), at.v - reach * np.sin(angle))
    bite = part.size * rng.uniform(0.34, 0.46) + (noise(at.u, at.v, 12, 3) - 0.5) * 13 - away
    surface.inside = np.minimum(surface.inside, 3.5 - bite)
    face = ramp(bite, -6.0, -4.0)
    surface.height -= face * np.clip((bite + 6) * 0.9, 0, 9)
    surface.height += face * 3.0 * (noise(at.u, at.v, 4.5, 3) - 0.5)
    surface.paint(face, (0.40, 0.40, 0.41), 0.75, 0.42)
    _corrode(surface, at, rng, _around(np.maximum(-5 - bite, 0), 16))


def scratch(surface: Surface, at: Grid, part: Part, rng: np.random.Generator) -> None:
    """A sheaf of gouges right across the part, through its plating: rust follows."""
    angle, noise = rng.uniform(0, np.pi), Noise(rng)
    s = at.u * np.cos(angle) + at.v * np.sin(angle)
    t = at.v * np.cos(angle) - at.u * np.sin(angle)
    middle = rng.uniform(0.1, 0.55) * part.size * rng.choice([-1, 1])
    _corrode(surface, at, rng, _around(np.abs(t - middle) - 4, 15))
    for _ in range(int(rng.integers(5, 9))):
        bend = rng.uniform(-0.003, 0.003) * s**2 + (noise(s, t * 0, 6, 2) - 0.5) * 1.5
        line = np.abs(t - middle - rng.uniform(-9, 9) - bend - rng.uniform(-0.12, 0.12) * s)
        width = rng.uniform(0.7, 1.7)
        groove = ramp(-line, -width, -width * 0.4)
        surface.height += 0.5 * ramp(-line, -width * 2, -width) - 1.6 * groove
        surface.paint(groove * 0.85, (0.86, 0.86, 0.85), 0.8, 0.35)
        surface.grain_u *= 1 - groove
        surface.grain_v *= 1 - groove


def burn(surface: Surface, at: Grid, part: Part, rng: np.random.Generator) -> None:
    """Temper colours of overheated steel: straw, brown, purple, blue towards the hot spot."""
    noise = Noise(rng)
    angle, away = rng.uniform(0, 2 * np.pi), part.size * rng.uniform(0.45, 0.8)
    near = np.hypot(at.u - away * np.cos(angle), at.v - away * np.sin(angle)) / part.size
    heat = 1.15 - near * 0.85 + (noise(at.u, at.v, 16, 3) - 0.5) * 0.35
    stops = [0.0, 0.25, 0.42, 0.58, 0.72, 0.88, 1.1]
    bands = [
        (1.00, 1.00, 1.00),
        (1.00, 0.93, 0.72),
        (0.95, 0.68, 0.30),
        (0.70, 0.32, 0.34),
        (0.40, 0.24, 0.62),
        (0.16, 0.30, 0.78),
        (0.28, 0.48, 0.66),
    ]
    tint = np.stack([np.interp(heat, stops, c) for c in zip(*bands, strict=True)], axis=-1)
    surface.colour *= tint.astype(np.float32)


DAMAGE: dict[str, Callable[[Surface, Grid, Part, np.random.Generator], None]] = {
    "rust": rust,
    "crack": crack,
    "chip": chip,
    "scratch": scratch,
    "burn": burn,
}
