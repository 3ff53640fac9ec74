"""A tray of parts: where everything lies, and its photograph."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from drawing.fields import Field, Grid, blur, cloud, grid
from drawing.kinds import make
from drawing.light import Light, normals, shade
from drawing.surface import Part, Surface
from drawing.trays import Cells, lay

WIDTH, HEIGHT = 640, 480
HALF_PATCH = 88
Box = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Scene:
    """One photograph to be: a tray, turned a little under the camera, its parts and its light."""

    name: str
    tray: str
    cells: Cells
    turn: float
    parts: tuple[Part, ...]
    light: Light
    exposure: float
    seed: int


def box(part: Part) -> Box:
    """x, y, w, h around what can be seen of the part, two pixels to spare, within the picture."""
    inside = make(part, grid(HALF_PATCH, _fraction(part), part.angle, 1)).inside > 0
    rows, cols = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    left, top = int(part.x) - HALF_PATCH, int(part.y) - HALF_PATCH
    x, right = max(0, left + int(cols[0]) - 2), min(WIDTH, left + int(cols[-1]) + 3)
    y, bottom = max(0, top + int(rows[0]) - 2), min(HEIGHT, top + int(rows[-1]) + 3)
    return x, y, right - x, bottom - y


def photograph(scene: Scene, scale: int = 3) -> Image.Image:
    """The scene as an upright RGB picture of WIDTH x HEIGHT, drawn `scale` times finer."""
    rng = np.random.default_rng(scene.seed)
    surface = lay(scene.tray, _tray_grid(scene, scale), scene.cells, rng)
    surface.height -= surface.height.min()
    normal = normals(surface.height, scale)
    for part in scene.parts:
        _put(surface, normal, part, scale)
    linear = shade(surface, normal, scene.light, scale)
    return _develop(_shrink(linear, scale), scene, rng)


def _tray_grid(scene: Scene, scale: int) -> Grid:
    x = (np.arange(WIDTH * scale, dtype=np.float32) + 0.5) / scale - WIDTH / 2
    y = (np.arange(HEIGHT * scale, dtype=np.float32) + 0.5) / scale - HEIGHT / 2
    x, y = np.meshgrid(x, y)
    cos, sin = np.float32(np.cos(scene.turn)), np.float32(np.sin(scene.turn))
    return Grid(x * cos + y * sin, y * cos - x * sin, scale)


def _fraction(part: Part) -> tuple[float, float]:
    return part.x - int(part.x), part.y - int(part.y)


def _put(surface: Surface, normal: tuple[Field, Field], part: Part, scale: int) -> None:
    """Lay a part on the tray, at the height of the tray under its middle."""
    patch = make(part, grid(HALF_PATCH, _fraction(part), part.angle, scale))
    rows, row = _overlap(int(part.y), HEIGHT, scale)
    cols, col = _overlap(int(part.x), WIDTH, scale)
    here = patch.inside[row, col] > 0
    under = surface.height[int(part.y) * scale, int(part.x) * scale]
    cos, sin = np.cos(part.angle), np.sin(part.angle)
    nx, ny = normals(patch.height, scale)
    layers: list[tuple[NDArray[np.float32], NDArray[np.float32]]] = [
        (surface.height, patch.height + under),
        (surface.colour, patch.colour),
        (surface.metal, patch.metal),
        (surface.rough, patch.rough),
        (surface.grain_u, patch.grain_u * cos - patch.grain_v * sin),
        (surface.grain_v, patch.grain_u * sin + patch.grain_v * cos),
        (normal[0], nx),
        (normal[1], ny),
    ]
    for below, above in layers:
        below[rows, cols][here] = above[row, col][here]


def _overlap(middle: int, size: int, scale: int) -> tuple[slice, slice]:
    """Where a patch lies in the picture, and which of its samples that is."""
    first, last = max(0, middle - HALF_PATCH), min(size, middle + HALF_PATCH)
    start = middle - HALF_PATCH
    whole = slice(first * scale, last * scale)
    return whole, slice((first - start) * scale, (last - start) * scale)


def _shrink(linear: NDArray[np.float32], scale: int) -> NDArray[np.float32]:
    linear = np.minimum(linear, 4.0)
    return linear.reshape(HEIGHT, scale, WIDTH, scale, 3).mean(axis=(1, 3))


def _develop(linear: NDArray[np.float32], scene: Scene, rng: np.random.Generator) -> Image.Image:
    """Lens and sensor: bloom, fall-off, a little blur and noise, a film curve, sRGB."""
    shape = linear.shape[:2]
    exposed = linear * np.float32(scene.exposure)
    bloom = np.stack([blur(np.maximum(exposed[..., c] - 1.0, 0), 6) for c in range(3)], axis=-1)
    exposed = exposed + 0.30 * bloom
    down, right = np.mgrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j]
    exposed = exposed * (1 - 0.13 * (right**2 + down**2))[..., None]
    soft = np.stack([blur(exposed[..., c], 1) for c in range(3)], axis=-1)
    exposed = exposed * 0.75 + soft * 0.25
    x = exposed * 0.72
    curve = x * (2.51 * x + 0.03) / (x * (2.43 * x + 0.59) + 0.14)  # Narkowicz 2015, fit of ACES
    grain = cloud(rng, shape, 1.0)[..., None] * 0.6 + rng.standard_normal(linear.shape) * 0.5
    noisy = np.clip(curve + grain * 0.007 * np.sqrt(np.maximum(curve, 0) + 0.02), 0, 1)
    srgb = np.where(noisy < 0.0031308, 12.92 * noisy, 1.055 * noisy ** (1 / 2.4) - 0.055)
    return Image.fromarray((srgb * 255 + 0.5).astype(np.uint8), "RGB")
