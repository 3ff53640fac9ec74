"""Parts that lie flat: nut, washer, gear, bearing, plate."""

from __future__ import annotations

import numpy as np

from drawing.fields import Field, Grid, Noise, hexagon, mix, ramp, rounded, slab
from drawing.surface import Part, Surface, brushed, handle, metal_surface, turned


def nut(at: Grid, part: Part, rng: np.random.Generator) -> Surface:
    """A chamfered hexagon nut with a thread in its hole."""
    surface = metal_surface(at, part, rng, rough=0.14)
    apothem = part.size * 0.87
    hole, pitch = apothem * rng.uniform(0.50, 0.58), apothem * 0.085
    radius = at.radius
    surface.inside = np.minimum(hexagon(at, apothem), radius - hole)
    top = apothem * 0.62
    cone = np.maximum(radius - apothem * 0.93, 0) * 0.55
    lip = np.maximum(hole * 1.20 - radius, 0)
    thread = _sawtooth((radius - hole) / pitch + at.bearing / (2 * np.pi))
    handle(surface, at, rng)
    turned(surface, at, rng, rng.uniform(0.08, 0.22))
    inner = ramp(-radius, -hole * 1.20, -hole * 1.16)
    surface.height += top - cone - rounded(hexagon(at, apothem), 1.2)
    surface.height += -0.9 * lip + inner * thread * pitch * 0.9
    return surface


def washer(at: Grid, part: Part, rng: np.random.Generator) -> Surface:
    """A stamped flat washer; the bent one is folded along a chord."""
    surface = metal_surface(at, part, rng, rough=0.16)
    outer, hole = part.size * 0.92, part.size * rng.uniform(0.40, 0.52)
    radius = at.radius
    surface.inside = np.minimum(outer - radius, radius - hole)
    handle(surface, at, rng)
    if rng.random() < 0.6:
        turned(surface, at, rng, rng.uniform(0.14, 0.28))
    else:
        brushed(surface, at, rng, rng.uniform(0.12, 0.25))
    surface.height += 4.5 - rounded(surface.inside, 2.2)
    if part.defect == "bent":
        _fold(surface, at, outer, rng)
    return surface


def _fold(surface: Surface, at: Grid, outer: float, rng: np.random.Generator) -> None:
    angle = rng.uniform(0, 2 * np.pi)
    along = at.u * np.cos(angle) + at.v * np.sin(angle)
    lifted = np.maximum(along - outer * 0.05, 0)
    surface.height += 0.75 * lifted + 0.02 * lifted**2
    surface.inside = np.minimum(surface.inside, outer * 0.80 - along)


def gear(at: Grid, part: Part, rng: np.random.Generator) -> Surface:
    """A spur gear: teeth, a sunk web, a hub with bore and keyway, sometimes lightening holes."""
    surface = metal_surface(at, part, rng, rough=0.15)
    tip, teeth = part.size * 0.98, int(rng.integers(14, 23))
    bore, hub = tip * rng.uniform(0.15, 0.20), tip * rng.uniform(0.32, 0.38)
    radius, root = at.radius, tip * (1 - 2.9 / teeth)
    edge = _teeth(at, part, rng, teeth, root, tip) - radius
    rim = root * 0.86
    holes = _lightening_holes(at, rng, (hub + rim) / 2, (rim - hub) * 0.34)
    keyway = slab(Grid(at.u - bore, at.v, at.scale), (bore * 0.42, bore * 0.30), 0.4)
    surface.inside = np.minimum.reduce([edge * 0.8, radius - bore, holes, -keyway])
    handle(surface, at, rng)
    turned(surface, at, rng, rng.uniform(0.16, 0.28))
    web = ramp(radius, hub, hub + 2.0) * ramp(-radius, -rim, -rim + 2.0)
    surface.height += 12 - rounded(np.minimum(edge * 0.8, radius - bore), 1.5) - 4.0 * web
    surface.rough += 0.12 * web
    surface.colour *= (1 - 0.12 * web)[..., None]
    return surface


def _teeth(
    at: Grid, part: Part, rng: np.random.Generator, teeth: int, root: float, tip: float
) -> Field:
    """The outline's radius at every bearing; a broken gear has lost one to three neighbours."""
    phase = (at.bearing / (2 * np.pi) * teeth) % teeth
    wave = np.abs(phase % 1 - 0.5) * 2
    flank = ramp(wave, 0.28, 0.72)
    if part.defect == "missing tooth":
        first, lost = int(rng.integers(teeth - 4)), teeth // 7 + int(rng.integers(2))
        gone = (np.abs(phase - first - lost / 2) < lost / 2).astype(np.float32)
        stump = 0.20 * Noise(rng)(at.u, at.v, 4.0, 2)
        flank = mix(flank, np.minimum(flank, stump), gone)
    return root + (tip - root) * flank


def _lightening_holes(at: Grid, rng: np.random.Generator, ring: float, size: float) -> Field:
    count = int(rng.choice([0, 0, 4, 5, 6]))
    if count == 0 or size < 3:
        return np.full_like(at.u, 1e3)
    return holes_on_ring(at, count, ring, size)


def holes_on_ring(at: Grid, count: int, ring: float, size: float, missing: int = -1) -> Field:
    """Distance to the nearest of `count` round holes, negative in them; one may be missing."""
    angles = [2 * np.pi * (k + 0.5) / count for k in range(count) if k != missing]
    away = [np.hypot(at.u - ring * np.cos(a), at.v - ring * np.sin(a)) for a in angles]
    return np.minimum.reduce(away) - size


def bearing(at: Grid, part: Part, rng: np.random.Generator) -> Surface:
    """A ball bearing: two rings, and between them a cage of balls or a rubber shield."""
    surface = metal_surface(at, part, rng, rough=0.08)
    outer = part.size * 0.96
    bore = outer * rng.uniform(0.38, 0.44)
    radius, width = at.radius, outer - bore
    inner_ring, outer_ring = bore + width * 0.27, outer - width * 0.25
    surface.inside = np.minimum(outer - radius, radius - bore)
    handle(surface, at, rng)
    turned(surface, at, rng, rng.uniform(0.08, 0.2))
    gap = np.minimum(radius - inner_ring, outer_ring - radius)
    surface.height += 15 - rounded(np.minimum(surface.inside, -gap), 1.6)
    if part.defect != "missing ball" and rng.random() < 0.45:
        _shield(surface, at, gap, rng)
    else:
        _balls(surface, at, part, rng, gap, (inner_ring + outer_ring) / 2)
    return surface


def _shield(surface: Surface, at: Grid, gap: Field, rng: np.random.Generator) -> None:
    colour = [(0.02, 0.02, 0.022), (0.03, 0.04, 0.10), (0.42, 0.43, 0.45)][int(rng.integers(3))]
    metal = 1.0 if colour[0] > 0.2 else 0.0
    inside = ramp(gap, -0.2, 0.3)
    surface.paint(inside, colour, metal, 0.28)
    dish = 12.5 + 0.8 * ramp(gap, 1.0, 2.5) - 0.6 * ramp(gap, 4.0, 5.0)
    surface.height = mix(surface.height, dish, inside)


def _balls(
    surface: Surface, at: Grid, part: Part, rng: np.random.Generator, gap: Field, ring: float
) -> None:
    room = float(gap.max())
    count = int(2 * np.pi * ring / (2.35 * room))
    cage = ramp(gap, -0.2, 0.3)
    brass = rng.random() < 0.35
    surface.height = mix(surface.height, 4.0, cage)
    surface.paint(cage, (0.03, 0.03, 0.032), 0.2, 0.6)
    web = ramp(gap, room * 0.35, room * 0.45)
    surface.height += 4.0 * web
    surface.paint(web, (0.62, 0.46, 0.20) if brass else (0.40, 0.41, 0.42), 1.0, 0.25)
    first, lost = int(rng.integers(count)), int(rng.integers(2, 4))
    for k in range(count):
        gone = part.defect == "missing ball" and (k - first) % count < lost
        _ball(surface, at, 2 * np.pi * k / count, ring, room * 0.98, gone)


def _ball(surface: Surface, at: Grid, angle: float, ring: float, radius: float, gone: bool) -> None:
    away = np.hypot(at.u - ring * np.cos(angle), at.v - ring * np.sin(angle))
    seat = ramp(-away, -radius * 1.04, -radius * 0.98)
    if gone:
        surface.height = mix(surface.height, 0.5, seat)
        surface.paint(seat, (0.012, 0.011, 0.010), 0.0, 0.8)
        return
    dome = 8.0 + np.sqrt(np.maximum(radius**2 - away**2, 0.0))
    surface.height = mix(surface.height, dome.astype(np.float32), seat)
    surface.paint(seat, (0.68, 0.69, 0.70), 1.0, 0.02)
    surface.grain_u, surface.grain_v = surface.grain_u * (1 - seat), surface.grain_v * (1 - seat)


def plate(at: Grid, part: Part, rng: np.random.Generator) -> Surface:
    """A milled square flange with a bore and four bolt holes; one may have been forgotten."""
    surface = metal_surface(at, part, rng, rough=0.20)
    half = part.size * 0.78
    aspect = rng.uniform(0.82, 1.0)
    edge = slab(at, (half, half * aspect), half * rng.uniform(0.12, 0.3))
    bore, size = half * rng.uniform(0.30, 0.42), half * rng.uniform(0.115, 0.145)
    missing = int(rng.integers(4)) if part.defect == "missing hole" else -1
    holes = holes_on_ring(at, 4, half * 0.98, size, missing)
    radius = at.radius
    surface.inside = np.minimum.reduce([edge, holes, radius - bore])
    handle(surface, at, rng)
    brushed(surface, at, rng, rng.uniform(0.14, 0.28))
    boss = ramp(-radius, -bore * 1.5, -bore * 1.5 + 1.5)
    sunk = ramp(-holes, -size * 0.7, -size * 0.7 + 1.2)
    surface.height += 7 - rounded(surface.inside, 1.3) + 2.5 * boss - 1.8 * sunk
    return surface


def _sawtooth(phase: Field) -> Field:
    """0 to 1 to 0 once per turn."""
    return np.abs(phase % 1 - 0.5) * 2
