"""What the parts lie in: foam with pockets, plastic bins, a cutting mat, felt, steel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from drawing.fields import Field, Grid, blur, cloud, ramp, slab
from drawing.surface import Surface


@dataclass(frozen=True, slots=True)
class Cells:
    """The tray's columns and rows, and the width and height of one, in pixels."""

    columns: int
    rows: int
    width: float
    height: float

    def centres(self) -> list[tuple[float, float]]:
        """Middle of each cell, from the middle of the tray, row by row."""
        xs = [(i - (self.columns - 1) / 2) * self.width for i in range(self.columns)]
        ys = [(j - (self.rows - 1) / 2) * self.height for j in range(self.rows)]
        return [(x, y) for y in ys for x in xs]

    def depth(self, at: Grid, corner: float, margin: float) -> Field:
        """Distance inside the nearest cell's round-cornered pocket."""
        u = _to_cell(at.u, self.width, self.columns)
        v = _to_cell(at.v, self.height, self.rows)
        half = (self.width / 2 - margin, self.height / 2 - margin)
        return slab(Grid(u, v, at.scale), half, corner)


def _to_cell(x: Field, width: float, count: int) -> Field:
    """Offset from the middle of the nearest cell; cells beyond the last do not exist."""
    shift = (count - 1) / 2
    nearest = np.clip(np.round(x / width + shift), 0, count - 1)
    return x - (nearest - shift) * width


def lay(name: str, at: Grid, cells: Cells, rng: np.random.Generator) -> Surface:
    """The empty tray over the samples of `at`."""
    return TRAYS[name](at, cells, rng)


def _sheet(at: Grid, colour: tuple[float, float, float], rough: float) -> Surface:
    shape = at.u.shape
    zero = np.zeros(shape, np.float32)
    return Surface(
        height=zero.copy(),
        inside=np.ones(shape, np.float32),
        colour=np.ones((*shape, 1), np.float32) * np.array(colour, np.float32),
        metal=zero.copy(),
        rough=np.full(shape, rough, np.float32),
        grain_u=zero,
        grain_v=zero,
    )


def _pick(
    rng: np.random.Generator, colours: list[tuple[float, float, float]]
) -> tuple[float, float, float]:
    return colours[int(rng.integers(len(colours)))]


def _scuffs(surface: Surface, at: Grid, rng: np.random.Generator, count: int) -> None:
    """Scratches that years of parts have left, paler than the tray."""
    for _ in range(count):
        angle, x, y = rng.uniform(0, np.pi), rng.uniform(-300, 300), rng.uniform(-220, 220)
        s = (at.u - x) * np.cos(angle) + (at.v - y) * np.sin(angle)
        t = (at.v - y) * np.cos(angle) - (at.u - x) * np.sin(angle)
        t = t + rng.uniform(-0.004, 0.004) * s**2
        length, width = rng.uniform(8, 60), rng.uniform(0.25, 0.9)
        line = ramp(-np.abs(t), -width, 0) * ramp(-np.abs(s), -length, -length * 0.5)
        surface.colour += (0.10 * rng.uniform(0.3, 1) * line)[..., None]
        surface.height -= 0.15 * line


def _foam(at: Grid, cells: Cells, rng: np.random.Generator) -> Surface:
    """Charcoal foam with a pocket cut for every part."""
    surface = _sheet(at, _pick(rng, [(0.035, 0.036, 0.04), (0.05, 0.06, 0.085)]), 0.95)
    shape, scale = at.u.shape, at.scale
    pores = cloud(rng, shape, 3.2 * scale, 2)
    depth = cells.depth(at, rng.uniform(14, 40), 7) + 0.6 * cloud(rng, shape, 18 * scale, 2)
    floor = ramp(depth, -1.5, 2.0)
    surface.height = (9 * (1 - floor) + 0.32 * pores).astype(np.float32)
    surface.colour *= (1 + 0.20 * np.clip(pores, -2, 2) + 0.25 * (1 - floor))[..., None]
    return surface


def _bin(at: Grid, cells: Cells, rng: np.random.Generator) -> Surface:
    """A moulded plastic tray with walls between its cells."""
    colours = [(0.03, 0.09, 0.26), (0.20, 0.21, 0.22), (0.05, 0.16, 0.17), (0.50, 0.51, 0.50)]
    surface = _sheet(at, _pick(rng, colours), 0.30)
    shape, scale = at.u.shape, at.scale
    grain = cloud(rng, shape, 1.6 * scale)
    depth = cells.depth(at, 12, 4)
    wall = ramp(-depth, -4.0, 2.5)
    surface.height = (13 * wall + 0.05 * grain).astype(np.float32)
    surface.height += 0.8 * cloud(rng, shape, 110 * scale)
    wear = np.clip(cloud(rng, shape, 60 * scale, 4) - 0.9, 0, 1) * (1 - wall)
    surface.rough += 0.25 * wear
    surface.colour += (0.05 * wear + 0.05 * ramp(wall, 0.5, 1.0))[..., None]
    _scuffs(surface, at, rng, 26)
    return surface


def _mat(at: Grid, cells: Cells, rng: np.random.Generator) -> Surface:
    """A cutting mat with a printed grid, cut and faded."""
    surface = _sheet(at, _pick(rng, [(0.025, 0.115, 0.085), (0.04, 0.07, 0.14)]), 0.55)
    shape, scale = at.u.shape, at.scale
    pitch = rng.uniform(34, 44)
    printed = np.maximum(_rule(at.u, pitch, 0.7), _rule(at.v, pitch, 0.7))
    fine = np.maximum(_rule(at.u, pitch / 5, 0.35), _rule(at.v, pitch / 5, 0.35))
    ink = np.maximum(printed, 0.35 * fine) * np.clip(
        0.9 + 0.35 * cloud(rng, shape, 40 * scale, 3), 0, 1
    )
    surface.colour += (0.14 * ink)[..., None]
    surface.colour *= (1 + 0.10 * cloud(rng, shape, 70 * scale, 4))[..., None]
    surface.height += 0.07 * cloud(rng, shape, 1.5 * scale)
    _scuffs(surface, at, rng, 44)
    return surface


def _rule(x: Field, pitch: float, width: float) -> Field:
    return ramp(-np.abs(x - np.round(x / pitch) * pitch), -width, -width * 0.4)


def _felt(at: Grid, cells: Cells, rng: np.random.Generator) -> Surface:
    """Felt: matted fibres, darker where oil has dripped."""
    surface = _sheet(
        at, _pick(rng, [(0.36, 0.37, 0.38), (0.13, 0.14, 0.16), (0.47, 0.47, 0.44)]), 1.0
    )
    shape, scale = at.u.shape, at.scale
    fibres = cloud(rng, shape, 2.4 * scale, 2)
    for angle in rng.uniform(0, np.pi, 3):
        fibres = fibres + _drawn(rng, shape, scale, float(angle))
    surface.height = (0.15 * fibres).astype(np.float32)
    oil = ramp(cloud(rng, shape, 80 * scale, 3), 1.5, 2.1)
    surface.colour *= (1 + 0.035 * fibres)[..., None] * (1 - 0.30 * oil)[..., None]
    surface.height = surface.height + 1.2 * cloud(rng, shape, 130 * scale, 2)
    return surface


def _drawn(rng: np.random.Generator, shape: tuple[int, int], scale: int, angle: float) -> Field:
    """Noise smeared along a direction: fibres."""
    source = cloud(rng, shape, 1.3 * scale)
    total = np.zeros(shape, np.float32)
    for step in np.linspace(-5, 5, 11) * scale:
        shift = (round(step * np.sin(angle)), round(step * np.cos(angle)))
        total += np.roll(source, shift, (0, 1))
    return total / np.float32(total.std() + 1e-6)


def _steel(at: Grid, cells: Cells, rng: np.random.Generator) -> Surface:
    """A dull stainless tray, brushed long ago."""
    surface = _sheet(at, (0.27, 0.275, 0.28), 0.46)
    shape, scale = at.u.shape, at.scale
    surface.metal += 1
    surface.grain_v = np.full(shape, 0.22, np.float32)
    streaks = blur(cloud(rng, shape, 1.4 * scale).T, 1).T + _drawn(rng, shape, 3 * scale, 0.0)
    surface.colour *= (1 + 0.05 * streaks)[..., None]
    surface.height += 1.8 * cloud(rng, shape, 150 * scale, 2)
    surface.height += 9 * ramp(-cells.depth(at, 22, 3), -5, 9)
    surface.rough += 0.05 * cloud(rng, shape, 50 * scale, 4)
    _scuffs(surface, at, rng, 30)
    return surface


def _liner(at: Grid, cells: Cells, rng: np.random.Generator) -> Surface:
    """A thin white vacuum-formed liner with a shallow dish for every part."""
    surface = _sheet(at, (0.62, 0.63, 0.63), 0.35)
    shape, scale = at.u.shape, at.scale
    depth = cells.depth(at, min(cells.width, cells.height) * 0.36, 5)
    dish = ramp(depth, -3.0, 7.0)
    surface.height = (11 * (1 - dish) + 0.5 * cloud(rng, shape, 60 * scale, 3)).astype(np.float32)
    surface.colour *= (1 + 0.015 * cloud(rng, shape, 40 * scale, 4))[..., None]
    _scuffs(surface, at, rng, 10)
    return surface


TRAYS: dict[str, Callable[[Grid, Cells, np.random.Generator], Surface]] = {
    "foam": _foam,
    "bin": _bin,
    "mat": _mat,
    "felt": _felt,
    "steel": _steel,
    "liner": _liner,
}
