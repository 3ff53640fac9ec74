"""Decides what lies in every tray. Uses only a seed, so the lists come out the same anywhere."""

from __future__ import annotations

import numpy as np

from drawing.kinds import DEFECTS, KINDS
from drawing.light import Light
from drawing.scene import HEIGHT, WIDTH, Scene
from drawing.surface import Part
from drawing.trays import TRAYS, Cells

FINISHES = {
    "nut": ("steel", "zinc", "zinc", "brass", "black oxide"),
    "washer": ("steel", "zinc", "zinc", "brass", "nickel"),
    "gear": ("steel", "steel", "nickel", "black oxide", "brass"),
    "bearing": ("steel", "nickel"),
    "plate": ("aluminium", "aluminium", "steel", "black oxide"),
    "bolt": ("steel", "zinc", "zinc", "black oxide"),
    "spring": ("steel", "zinc", "nickel"),
}
_NO_RUST = ("brass", "aluminium")
UNFIT = {
    "rust": _NO_RUST,
    "crack": _NO_RUST,
    "chip": _NO_RUST,
    "scratch": _NO_RUST,
    "burn": (*_NO_RUST, "black oxide"),
}
"""Metals that cannot show a fault: the part is made of steel then."""


class Decks:
    """Deals faults kind by kind, so that every fault turns up as often as it should."""

    SOUND = 14

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._cards: dict[str, list[str | None]] = {kind: [] for kind in KINDS}

    def deal(self, kind: str) -> str | None:
        """A fault, or None for a sound part: 14 of every 20 of a kind."""
        if not self._cards[kind]:
            full = [*DEFECTS[kind], *[None] * self.SOUND]
            self._cards[kind] = [full[i] for i in self._rng.permutation(len(full))]
        return self._cards[kind].pop()


def plan(trays: int, seed: int) -> list[Scene]:
    """`trays` scenes; the same for the same numbers."""
    rng = np.random.default_rng(seed)
    decks = Decks(rng)
    return [_scene(number, decks, rng) for number in range(trays)]


def _scene(number: int, decks: Decks, rng: np.random.Generator) -> Scene:
    columns, rows, used = [(3, 2, 6), (4, 2, 7), (4, 2, 8), (3, 3, 8), (3, 3, 9)][rng.integers(5)]
    cells = Cells(columns, rows, (WIDTH - 34) / columns, (HEIGHT - 30) / rows)
    turn = float(rng.uniform(-0.06, 0.06))
    places = sorted(rng.permutation(columns * rows)[:used])
    kinds = _assortment(rng)
    parts = [_part(rng, decks, kinds, _place(rng, cells, place), turn) for place in places]
    return Scene(
        name=f"tray-{number + 1:02}.jpg",
        tray=list(TRAYS)[(number + int(rng.integers(2))) % len(TRAYS)],
        cells=cells,
        turn=turn,
        parts=tuple(parts),
        light=_light(rng),
        exposure=float(rng.uniform(0.92, 1.22)),
        seed=int(rng.integers(2**31)),
    )


def _assortment(rng: np.random.Generator) -> list[str]:
    """A tray of one kind, of two, or of everything."""
    order = [str(kind) for kind in rng.permutation(list(KINDS))]
    return order[: int(rng.choice([1, 2, len(order), len(order)]))]


def _place(rng: np.random.Generator, cells: Cells, number: int) -> tuple[float, float, float]:
    """Where in the tray a part lies in its cell, not quite in the middle, and its size."""
    x, y = cells.centres()[number]
    room = min(cells.width, cells.height) / 2
    size = min(room * rng.uniform(0.80, 0.93), 70.0)
    slack = max(room - size - 4, 1.0)
    return x + rng.uniform(-slack, slack), y + rng.uniform(-slack, slack), size


def _part(
    rng: np.random.Generator,
    decks: Decks,
    kinds: list[str],
    place: tuple[float, float, float],
    turn: float,
) -> Part:
    x, y, size = place
    kind = str(rng.choice(kinds))
    defect, metal = decks.deal(kind), str(rng.choice(FINISHES[kind]))
    if defect in UNFIT and metal in UNFIT[defect]:
        metal = "steel"
    return Part(
        kind=kind,
        x=float(WIDTH / 2 + x * np.cos(turn) - y * np.sin(turn)),
        y=float(HEIGHT / 2 + x * np.sin(turn) + y * np.cos(turn)),
        angle=float(rng.uniform(-np.pi, np.pi)),
        size=float(size),
        metal=metal,
        defect=defect,
        seed=int(rng.integers(2**31)),
    )


def _light(rng: np.random.Generator) -> Light:
    """Daylight to tungsten, from any side, hard to soft."""
    warmth, strength = rng.uniform(-0.05, 0.07), rng.uniform(0.75, 1.15)
    key = (strength * (1 + warmth), strength, strength * (1 - 1.3 * warmth))
    ambient = (0.9 - 0.4 * warmth, 0.9, 0.9 + 0.5 * warmth)
    return Light(
        azimuth=float(rng.uniform(0, 2 * np.pi)),
        elevation=float(rng.uniform(0.60, 1.02)),
        key=key,
        ambient=ambient,
        size=float(rng.uniform(0.16, 0.42)),
        seed=int(rng.integers(2**31)),
    )
