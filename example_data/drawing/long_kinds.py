"""Parts that lie on their side: bolt and spring."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from drawing.fields import Field, Grid, Noise, ramp, tube
from drawing.surface import Part, Surface, brushed, handle, metal_surface


def bolt(at: Grid, part: Part, rng: np.random.Generator) -> Surface:
    """A hexagon or socket-head bolt; its shank may be bent or its thread stripped."""
    surface = metal_surface(at, part, rng, rough=0.15)
    length, shank = part.size * 1.06, part.size * rng.uniform(0.17, 0.21)
    hex_head = rng.random() < 0.6
    axis = at.v
    if part.defect == "bent":
        bow = np.maximum(at.u + length * 0.2, 0)
        axis = at.v - rng.choice([-1, 1]) * rng.uniform(0.22, 0.30) * bow**2 / length
    start = -length + shank * rng.uniform(1.3, 1.5)
    smooth = start + length * rng.uniform(0.05, 0.6)
    handle(surface, at, rng)
    centre = shank * 1.75
    rod, rod_in = _shank(at, part, rng, axis, (start, smooth, length), shank)
    head, head_in = _head(at, rng, (-length, start), shank * 1.75, hex_head)
    surface.inside = np.maximum(rod_in, head_in)
    surface.height += np.where(head_in > 0, head, rod + 0.0) + np.float32(centre)
    surface.height[surface.inside <= 0] = centre
    return surface


def _shank(
    at: Grid,
    part: Part,
    rng: np.random.Generator,
    axis: Field,
    stations: tuple[float, float, float],
    radius: float,
) -> tuple[Field, Field]:
    """Height above the bolt's axis, and distance inside, of the rod with its helical thread."""
    start, smooth, end = stations
    pitch = radius * 0.42
    around = np.arcsin(np.clip(axis / radius, -1, 1)) / (2 * np.pi)
    tooth = np.abs((at.u / pitch + around) % 1 - 0.5) * 2
    threaded = ramp(at.u, smooth, smooth + pitch)
    if part.defect == "stripped thread":
        middle, spread = (smooth + end) / 2, (end - smooth) * 0.33
        worn = ramp(-np.abs(at.u - middle), -spread * 1.2, -spread)
        rough = Noise(rng)(at.u * 0.5, at.v, 2.5, 3)
        tooth = tooth * (1 - worn) + worn * (1.0 + 0.5 * rough)
    chamfer = np.maximum(at.u - (end - radius * 0.35), 0)
    local = radius - threaded * tooth * pitch * 0.55 - chamfer
    inside = np.minimum.reduce([local - np.abs(axis), at.u - start + 1, end - at.u])
    return np.sqrt(np.maximum(local**2 - axis**2, 0.01)), inside


def _head(
    at: Grid, rng: np.random.Generator, span: tuple[float, float], reach: float, hex_head: bool
) -> tuple[Field, Field]:
    """The head, seen from the side: a hexagonal prism, or a knurled cylinder."""
    left, right = span
    along = np.minimum(at.u - left, right - at.u)
    side = reach - np.abs(at.v)
    if hex_head:
        turn, apothem = rng.uniform(-0.35, 0.35), reach * 0.88
        faces = [turn + k * np.pi / 3 for k in range(-1, 3)]
        facets = [(apothem - at.v * np.sin(a)) / np.cos(a) for a in faces if np.cos(a) > 0.05]
        height = np.minimum.reduce(facets) - 0.7 * np.maximum(left + 3.2 - at.u, 0)
        corners = [apothem / 0.866 * np.sin(a + np.pi / 6) for a in (*faces, turn - 2 * np.pi / 3)]
        side = np.minimum(max(corners) - at.v, at.v - min(corners))
    else:
        knurl = np.abs((np.arcsin(np.clip(at.v / reach, -1, 1)) * 11 / np.pi) % 1 - 0.5)
        local = reach * 0.96 - 1.2 * knurl * ramp(at.u, left + 3, left + 5)
        height = np.sqrt(np.maximum(local**2 - at.v**2, 0.01))
    height = height - 0.5 * np.maximum(1.5 - along, 0)
    return height.astype(np.float32), np.minimum(along, side)


def spring(at: Grid, part: Part, rng: np.random.Generator) -> Surface:
    """A compression spring; a bad one is bent, over-stretched in places or broken."""
    surface = metal_surface(at, part, rng, rough=0.10)
    wire = part.size * rng.uniform(0.062, 0.085)
    path = _helix(part, rng, part.size * rng.uniform(0.30, 0.38), wire)
    handle(surface, at, rng)
    brushed(surface, at, rng, 0.03)
    height, surface.inside = tube(at, path, wire)
    surface.height = surface.height * 0.3 + np.maximum(height, 0)
    return surface


def _helix(part: Part, rng: np.random.Generator, radius: float, wire: float) -> NDArray[np.float64]:
    """Points of the wire's centre line, (n, 3); closed end coils lie tighter."""
    turns = int(rng.integers(6, 10))
    t = np.linspace(0, 1, int(turns * radius * 2 * np.pi / (wire * 0.16)))
    pace = np.clip(np.minimum(t, 1 - t) * turns / 1.2, 0.32, 1)
    if part.defect == "stretched":
        middle = rng.uniform(0.35, 0.65)
        pace = 0.45 * pace + 5.0 * np.exp(-(((t - middle) * turns / 0.8) ** 2))
    x = np.cumsum(pace)
    x = (x / x[-1] - 0.5) * 2 * (part.size - wire)
    turn = 2 * np.pi * turns * t + rng.uniform(0, 2 * np.pi)
    path = np.stack([x, radius * np.cos(turn), radius * (1.1 + np.sin(turn)) + wire], axis=1)
    if part.defect == "bent":
        sign = rng.choice([-1.0, 1.0])
        path[:, 1] += sign * 0.55 * part.size * (np.abs(x / part.size) ** 1.7 - 0.3)
    if part.defect == "broken":
        cut = rng.uniform(0.35, 0.6)
        path = path[np.abs(t - cut) > 0.55 / turns]
        path[: int(len(path) * cut), 1] += rng.choice([-1, 1]) * radius * 0.35
    return path
