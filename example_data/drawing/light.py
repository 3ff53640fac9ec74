"""Light on a scene seen straight from above.

The camera looks down the height axis from far away, so what a glossy sample mirrors depends
on its normal alone: the room is drawn once per normal into a table ("matcap") and looked up.
Shadows cut a sample's share of the key light, ambient occlusion its share of the rest.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drawing.fields import Field, Noise, blur, ramp
from drawing.surface import Surface

TABLE = 192
ROUGHNESS = (0.0, 0.12, 0.3, 0.6)
_SPREAD = (0.012, 0.05, 0.12, 0.26)
_GRAIN = ((-2.0, 0.12), (-1.0, 0.23), (0.0, 0.30), (1.0, 0.23), (2.0, 0.12))


@dataclass(frozen=True, slots=True)
class Light:
    """A soft key light from one side, a strip opposite, and a grey room."""

    azimuth: float
    elevation: float
    key: tuple[float, float, float]
    ambient: tuple[float, float, float]
    size: float
    seed: int

    @property
    def direction(self) -> NDArray[np.float64]:
        flat = np.cos(self.elevation)
        x, y = flat * np.cos(self.azimuth), flat * np.sin(self.azimuth)
        return np.array([x, y, np.sin(self.elevation)])


def room(light: Light, floor: NDArray[np.float32]) -> NDArray[np.float32]:
    """What a mirror shows for each normal: (roughness, TABLE, TABLE, 6), key then ambient RGB."""
    side = np.linspace(-1, 1, TABLE, dtype=np.float32)
    nx, ny = np.meshgrid(side, side)
    nz = np.sqrt(np.maximum(1 - nx**2 - ny**2, 0))
    rx, ry, rz = 2 * nz * nx, 2 * nz * ny, 2 * nz**2 - 1
    key = _softbox(light, rx, ry, rz)[..., None] * np.array(light.key, np.float32)
    grey = _walls(light, rx, ry, rz)[..., None] * np.array(light.ambient, np.float32)
    below = ramp(-rz, -0.12, 0.12)[..., None]
    grey = grey * (1 - below) + floor * 0.55 * below
    sharp = np.concatenate([key * (1 - below), grey], axis=-1).astype(np.float32)
    return np.stack([blur(sharp, spread * TABLE / 2) for spread in _SPREAD])


def _softbox(light: Light, rx: Field, ry: Field, rz: Field) -> Field:
    x, y, z = light.direction
    across = np.array([-np.sin(light.azimuth), np.cos(light.azimuth), 0.0])
    up = np.cross([x, y, z], across)
    a = np.abs(rx * across[0] + ry * across[1])
    b = np.abs(rx * up[0] + ry * up[1] + rz * up[2])
    front = ramp(rx * x + ry * y + rz * z, 0.0, 0.2)
    box = ramp(-a, -light.size * 1.6 - 0.1, -light.size * 1.6) * ramp(
        -b, -light.size - 0.08, -light.size
    )
    strength = 1.25 / light.size**0.75  # the wider the box, the fainter its face
    return (strength * box * front).astype(np.float32)


def _walls(light: Light, rx: Field, ry: Field, rz: Field) -> Field:
    """Ceiling, strip light, the photographer's dark shape, and clutter."""
    x, y, _ = light.direction
    flat = np.hypot(x, y)
    facing = (rx * x + ry * y) / flat
    beside = (rx * y - ry * x) / flat
    ceiling = 0.12 + 0.42 * ramp(rz, -0.1, 0.95) + 0.30 * facing
    strip = ramp(-np.abs(facing + 0.72), -0.10, -0.05) * ramp(-np.abs(beside), -0.55, -0.4)
    camera = ramp(rz, 0.972, 0.992) * ramp(-np.abs(beside + 0.1 * facing), -0.2, -0.1)
    clutter = Noise(np.random.default_rng(light.seed))(rx * 3, ry * 3, 1.0, 3) - 0.5
    return np.maximum(
        ceiling + 1.1 * strip * ramp(rz, 0, 0.2) - 0.30 * camera + 0.7 * clutter, 0.02
    )


def normals(height: Field, scale: int) -> tuple[Field, Field]:
    """x and y of the unit normal of a relief."""
    down, right = np.gradient(height, 1 / scale)
    length = np.sqrt(1 + down**2 + right**2)
    return (-right / length).astype(np.float32), (-down / length).astype(np.float32)


def shadow(height: Field, light: Light, scale: int, reach: float = 46.0) -> Field:
    """1 where the key light falls, 0 in full shadow, soft with the distance of the edge."""
    x, y, z = light.direction
    flat = np.hypot(x, y)
    rise, softness = z / flat, 0.16 + light.size * 0.5
    dark = np.zeros_like(height)
    for distance in np.geomspace(1.2, reach, 22):
        dx, dy = round(distance * scale * x / flat), round(distance * scale * y / flat)
        over = _shifted(height, dy, dx) - height - distance * rise
        np.maximum(dark, 0.5 + over / (distance * softness * 2), out=dark)
    return 1 - ramp(dark, 0.0, 1.0)


def _shifted(field: Field, dy: int, dx: int) -> Field:
    """`field` as seen from (dy, dx) away; edges repeat."""
    rows = np.clip(np.arange(field.shape[0]) + dy, 0, field.shape[0] - 1)
    cols = np.clip(np.arange(field.shape[1]) + dx, 0, field.shape[1] - 1)
    return field[rows[:, None], cols]


def occlusion(height: Field, scale: int) -> Field:
    """How open the sky is above every sample: 1 on a plain, less in corners and holes."""
    closed = np.zeros_like(height)
    for size, weight in ((2.0, 0.45), (6.0, 0.50), (18.0, 0.42)):
        above = np.maximum(blur(height, size * scale) - height, 0)
        closed += weight * np.clip(above / size * 1.6, 0, 1.4)
    return 1 / (1 + closed * 1.6)


def shade(
    surface: Surface, normal: tuple[Field, Field], light: Light, scale: int
) -> NDArray[np.float32]:
    """The light that every sample sends to the camera, linear RGB."""
    lit, open_sky = shadow(surface.height, light, scale), occlusion(surface.height, scale)
    floor = np.median(surface.colour[:: 8 * scale, :: 8 * scale], axis=(0, 1)).astype(np.float32)
    table = room(light, floor)
    mirrored = _mirror(table, surface, normal)
    gloss = mirrored[..., :3] * lit[..., None] + mirrored[..., 3:] * open_sky[..., None]
    matt = surface.colour * _matt(normal, light, lit, open_sky)
    metal = surface.metal[..., None]
    tint = surface.colour * metal + 0.045 * (1 - metal) * (1.1 - surface.rough[..., None])
    return matt * (1 - metal) + gloss * tint


def _matt(
    normal: tuple[Field, Field], light: Light, lit: Field, open_sky: Field
) -> NDArray[np.float32]:
    x, y, z = light.direction
    nz = np.sqrt(np.maximum(1 - normal[0] ** 2 - normal[1] ** 2, 0))
    facing = np.maximum(normal[0] * x + normal[1] * y + nz * z, 0) * lit
    key = facing[..., None] * np.array(light.key, np.float32) * 1.05
    sky = (open_sky * (0.5 + 0.5 * nz))[..., None] * np.array(light.ambient, np.float32) * 0.46
    return (key + sky).astype(np.float32)


def _mirror(
    table: NDArray[np.float32], surface: Surface, normal: tuple[Field, Field]
) -> NDArray[np.float32]:
    """Reflections, spread across the grain of brushed and turned samples."""
    shape = surface.height.shape
    total = np.zeros((shape[0] * shape[1], 6), np.float32)
    grain = np.abs(surface.grain_u) + np.abs(surface.grain_v) > 0.01
    plain = ~grain.ravel()
    total[plain] = _look_up(table, surface.rough, *normal, plain)
    for step, weight in _GRAIN:
        nx = normal[0] + step * surface.grain_u
        ny = normal[1] + step * surface.grain_v
        total[~plain] += np.float32(weight) * _look_up(table, surface.rough, nx, ny, ~plain)
    return total.reshape(*shape, 6)


def _look_up(
    table: NDArray[np.float32], rough: Field, nx: Field, ny: Field, where: NDArray[np.bool_]
) -> NDArray[np.float32]:
    rough, nx, ny = rough.ravel()[where], nx.ravel()[where], ny.ravel()[where]
    level = np.interp(rough, ROUGHNESS, range(len(ROUGHNESS)))
    lower = np.minimum(level.astype(np.int32), len(ROUGHNESS) - 2)
    share = (level - lower)[:, None].astype(np.float32)
    col = np.clip((nx + 1) * (TABLE / 2), 0, TABLE - 1).astype(np.int32)
    row = np.clip((ny + 1) * (TABLE / 2), 0, TABLE - 1).astype(np.int32)
    return table[lower, row, col] * (1 - share) + table[lower + 1, row, col] * share
