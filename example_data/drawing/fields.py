"""Scalar fields over a patch of the picture: coordinates, distances, noise, blur.

Lengths are in pixels of the finished picture; a patch holds `scale` x `scale` samples of each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Field = NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True)
class Grid:
    """Coordinates of every sample of a patch, in the part's own turned frame."""

    u: Field
    v: Field
    scale: int

    @property
    def radius(self) -> Field:
        return np.hypot(self.u, self.v)

    @property
    def bearing(self) -> Field:
        """Angle around the part's centre, -pi to pi."""
        return np.arctan2(self.v, self.u)


def grid(half: int, centre: tuple[float, float], angle: float, scale: int) -> Grid:
    """The square of `2 * half` pixels around a part whose middle lies `centre` off its own."""
    steps = (np.arange(2 * half * scale, dtype=np.float32) + 0.5) / scale - half
    x, y = np.meshgrid(steps - np.float32(centre[0]), steps - np.float32(centre[1]))
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    return Grid(x * cos + y * sin, y * cos - x * sin, scale)


def ramp(field: Field, low: float, high: float) -> Field:
    """0 below `low`, 1 above `high`, smooth between (cubic Hermite)."""
    t = np.clip((field - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def mix(a: Field, b: Field | float, share: Field) -> Field:
    return a + (b - a) * share


def rounded(inside: Field, width: float) -> Field:
    """A quarter-round edge: how far below the top, for a depth `inside` the outline."""
    t = np.clip(inside / width, 0, 1)
    return width * (1 - np.sqrt(1 - (1 - t) ** 2 + 1e-6))


def hexagon(at: Grid, apothem: float) -> Field:
    """Distance inside a regular hexagon (negative outside)."""
    thirds = (np.float32(k * np.pi / 3) for k in range(3))
    reach = [np.abs(at.u * np.cos(a) + at.v * np.sin(a)) for a in thirds]
    return apothem - np.maximum.reduce(reach)


def slab(at: Grid, half: tuple[float, float], corner: float) -> Field:
    """Distance inside a rectangle with round corners."""
    x, y = np.abs(at.u) - half[0] + corner, np.abs(at.v) - half[1] + corner
    outside = np.hypot(np.maximum(x, 0), np.maximum(y, 0))
    return corner - outside - np.minimum(np.maximum(x, y), 0)


class Noise:
    """Smooth random fields that do not depend on how finely they are sampled (value noise)."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._lattice = rng.random(64 * 64).astype(np.float32)  # 64 rows of 64

    def __call__(self, x: Field, y: Field, size: float, octaves: int = 1) -> Field:
        """About 0 to 1, its coarsest features `size` pixels wide."""
        total, weight = np.zeros(np.broadcast(x, y).shape, np.float32), 0.0
        for octave in range(octaves):
            step, share = size / 2**octave, 0.55**octave
            total += np.float32(share) * self._layer(x / step + 17 * octave, y / step + 29 * octave)
            weight += share
        return total / np.float32(weight)

    def _layer(self, x: Field, y: Field) -> Field:
        left, top = np.floor(x), np.floor(y)
        fx, fy = x - left, y - top
        fx, fy = fx * fx * (3 - 2 * fx), fy * fy * (3 - 2 * fy)
        i, j = left.astype(np.int32), top.astype(np.int32)
        row, below = (j & 63) << 6, ((j + 1) & 63) << 6
        col, right = i & 63, (i + 1) & 63
        upper = self._lattice[row + col] * (1 - fx) + self._lattice[row + right] * fx
        lower = self._lattice[below + col] * (1 - fx) + self._lattice[below + right] * fx
        return upper * (1 - fy) + lower * fy


def cloud(rng: np.random.Generator, shape: tuple[int, int], size: float, octaves: int = 1) -> Field:
    """Noise over a whole picture of `shape` samples: 0 mean, about unit spread."""
    total = np.zeros(shape, np.float32)
    for octave in range(octaves):
        step = max(size / 2**octave, 1.0)
        rows, cols = int(shape[0] / step) + 3, int(shape[1] / step) + 3
        small = Image.fromarray(rng.standard_normal((rows, cols)).astype(np.float32))
        box = (1.0, 1.0, 1 + shape[1] / step, 1 + shape[0] / step)
        large = small.resize(shape[::-1], Image.Resampling.BICUBIC, box)
        total += np.float32(0.6**octave) * np.asarray(large)
    return total / np.float32(total.std() + 1e-6)


def blur(field: Field, sigma: float) -> Field:
    """Gaussian blur by three running means (Wells 1986); edges repeat."""
    radius = max(1, round(sigma * 0.95))
    for axis in (0, 1):
        for _ in range(3):
            field = _mean(field, radius, axis)
    return field


def _mean(field: Field, radius: int, axis: int) -> Field:
    width = [(0, 0)] * field.ndim
    width[axis] = (radius + 1, radius)
    total = np.cumsum(np.pad(field, width, mode="edge"), axis=axis, dtype=np.float64)
    length = field.shape[axis]
    upper = np.take(total, range(2 * radius + 1, 2 * radius + 1 + length), axis=axis)
    lower = np.take(total, range(length), axis=axis)
    return ((upper - lower) / (2 * radius + 1)).astype(np.float32)


def tube(at: Grid, path: NDArray[np.float64], radius: float) -> tuple[Field, Field]:
    """The upper surface of a round wire along `path` (n, 3), and where it is (distance inside).

    Spheres set close enough along the path that their union is smooth.
    """
    height = np.full(at.u.shape, -1e3, np.float32)
    inside = np.full(at.u.shape, -1e3, np.float32)
    for x, y, z in path:
        rows, cols = _window(at, x, y, radius)
        if rows.start >= rows.stop or cols.start >= cols.stop:
            continue
        away = np.hypot(at.u[rows, cols] - x, at.v[rows, cols] - y)
        ball = z + np.sqrt(np.maximum(radius**2 - away**2, 0))
        ball = np.where(away < radius, ball, -1e3)
        np.maximum(height[rows, cols], ball, out=height[rows, cols])
        np.maximum(inside[rows, cols], radius - away, out=inside[rows, cols])
    return height, inside


def _window(at: Grid, x: float, y: float, radius: float) -> tuple[slice, slice]:
    """The samples that can lie within `radius` of a point of the part's frame."""
    cos, sin = _turn(at)
    middle = at.u.shape[0] // 2
    du, dv = x - float(at.u[middle, middle]), y - float(at.v[middle, middle])
    col = middle + (du * cos - dv * sin) * at.scale
    row = middle + (du * sin + dv * cos) * at.scale
    reach = radius * at.scale + 2
    size = at.u.shape[0]
    return _clip(row, reach, size), _clip(col, reach, size)


def _turn(at: Grid) -> tuple[float, float]:
    return float(at.u[0, 1] - at.u[0, 0]) * at.scale, float(at.u[1, 0] - at.u[0, 0]) * at.scale


def _clip(middle: float, reach: float, size: int) -> slice:
    return slice(max(0, int(middle - reach)), min(size, int(middle + reach) + 2))
