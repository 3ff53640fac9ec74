"""A page of pictures composed into one, so that it travels and appears as one.

Each picture has its place in whole cells. The cells between pictures stay free for text, so that a
selection costs a few bytes and never sends the picture again.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFilter

from annotator.errors import AnnotatorError
from annotator.images import Crop, draw_box
from annotator.images.contrast import PLAIN, render_tones
from annotator.items.refs import Item
from annotator.terminal.fit import scale_image
from annotator.terminal.picture_cache import BytesLRU

HEAD, SIDE = 1, 1
"""Free rows above each picture, free columns on either side of it."""
SHAPE = 1.15
"""Approximate width over height of a picture's place."""
LEAST_SPOT = (6, 3)
"""Columns and rows of the smallest place in which a picture is recognisable."""
DOT = 5
"""Radius of a dot in pixels."""
BLUR_SHARE = 0.05
"""Radius of the blur of a veiled picture, as a share of its larger side."""
_THREADS = min(8, os.cpu_count() or 1)

LoadCrop = Callable[[Item, tuple[int, int]], Crop]


class Spot(NamedTuple):
    """The place of one picture, in cells of the sheet."""

    column: int
    row: int
    columns: int
    rows: int


class PointerDot(NamedTuple):
    """A mark on a picture at the pointer's last position."""

    place: int
    x: float
    y: float
    """As `x` in [0, 1] of the picture."""


@dataclass(frozen=True, slots=True)
class Sheet(Item):
    """Several items as one picture: whatever shows an item's picture can show a sheet.

    Its path is a name for people; no log and no file ever holds it.
    """

    items: tuple[Item, ...] = ()
    spots: tuple[Spot, ...] = ()
    cells: tuple[int, int] = (1, 1)
    """Columns and rows of the whole."""
    blurred_out: bool = False
    """True if the pictures are blurred."""
    unblurred: frozenset[int] = frozenset()
    """Places of the pictures that stay sharp among blurred ones."""
    dots: frozenset[PointerDot] = frozenset()
    reference_tiles: tuple[tuple[Item, Spot], ...] = ()
    """Reference pictures of the page's class on top; they are not items of the page."""

    @classmethod
    def of(
        cls,
        items: Sequence[Item],
        spots: Sequence[Spot],
        cells: tuple[int, int],
        *,
        veiled: bool = False,
        aside: Sequence[tuple[Item, Spot]] = (),
    ) -> Sheet:
        """Return the sheet of items in their places, `aside` the reference pictures in theirs."""
        name = f"a page of {len(items)} pictures"
        return cls(
            name, None, tuple(items), tuple(spots), cells, veiled, reference_tiles=tuple(aside)
        )

    def is_variant_of(self, other: Item | None) -> bool:
        """Return whether `other` has the same pictures in the same places: dots and blur aside."""
        return isinstance(other, Sheet) and other == replace(
            self, blurred_out=other.blurred_out, unblurred=other.unblurred, dots=other.dots
        )


class PicturePlacement(NamedTuple):
    """The size of an item's picture and its part of the place."""

    source: tuple[int, int]
    """Width and height of the upright source image."""
    part: tuple[float, float, float, float]
    """Left, top, width and height of the picture, as shares of its place."""


def lay_out_grid(
    count: int, columns: int, rows: int, cell: tuple[int, int], least: tuple[int, int] = LEAST_SPOT
) -> tuple[Spot, ...]:
    """Return the largest places for `count` pictures on `columns` x `rows` cells.

    Empty if they would be smaller than `least`. `cell` is a cell's width and height in pixels.
    """
    best, largest = 0, 0.0
    for across in range(1, count + 1):
        width, height = _room(count, across, columns, rows)
        size = min(width * cell[0] / SHAPE, height * cell[1])
        if width >= least[0] and height >= least[1] and size > largest:
            best, largest = across, size
    return tuple(_places(count, best, columns, rows)) if best else ()


def lay_out_strip(count: int, columns: int, rows: int, cell: tuple[int, int]) -> tuple[Spot, ...]:
    """Return places in one row for the first of `count` pictures, as many as fit, from the left."""
    width = max(LEAST_SPOT[0], round(SHAPE * (rows - HEAD) * cell[1] / cell[0]))
    fit = min(count, columns // (width + SIDE))
    return tuple(Spot(SIDE + i * (width + SIDE), HEAD, width, rows - HEAD) for i in range(fit))


def count_fitting(
    count: int, columns: int, rows: int, cell: tuple[int, int], least: tuple[int, int] = LEAST_SPOT
) -> int:
    """Return the largest number of pictures, up to `count`, that fit; 0 if there is no room."""
    return next((n for n in range(count, 0, -1) if lay_out_grid(n, columns, rows, cell, least)), 0)


def _room(count: int, across: int, columns: int, rows: int) -> tuple[int, int]:
    down = -(-count // across)
    return columns // across - 2 * SIDE, rows // down - HEAD


def _places(count: int, across: int, columns: int, rows: int) -> Iterator[Spot]:
    width, height = _room(count, across, columns, rows)
    left = (columns - across * (width + 2 * SIDE)) // 2
    spare = rows - -(-count // across) * (height + HEAD)  # the first rows are higher by one
    for place in range(count):
        down, right = divmod(place, across)
        column = left + right * (width + 2 * SIDE) + SIDE
        row = down * (height + HEAD) + min(down, spare) + HEAD
        yield Spot(column, row, width, height + (down < spare))


class SheetComposer:
    """A composer of sheets' pictures. Several threads may call it."""

    def __init__(self, load: LoadCrop, memory: int = 64 << 20) -> None:
        self._load = load
        self._lock = threading.Lock()
        self._tiles: BytesLRU[tuple[Item, tuple[int, int], bool], _Tile] = BytesLRU(memory)
        self.background = (0, 0, 0)
        self.contrast = PLAIN
        """The contrast of all pictures; set it before the first."""
        self.broken: dict[Item, str] = {}
        """The reason for each item without a picture."""
        self.placements: dict[Item, PicturePlacement] = {}
        """The last placement of each item's picture."""

    def __call__(self, item: Item, size: tuple[int, int]) -> Crop:
        """Return the picture of an item, or of a sheet at exactly `size` pixels."""
        if not isinstance(item, Sheet):
            return self._load(item, size)
        whole = Image.new("RGB", size, self.background)
        across, down = size[0] / item.cells[0], size[1] / item.cells[1]

        spots = [*item.spots, *(spot for _, spot in item.reference_tiles)]
        items = [*item.items, *(other for other, _ in item.reference_tiles)]

        def draw(place: int) -> None:
            spot = spots[place]
            room = round(spot.columns * across), round(spot.rows * down)
            on_page = place < len(item.items)
            veiled = on_page and item.blurred_out and place not in item.unblurred
            tile, placed = self._tile(items[place], room, veiled)
            if on_page and placed is not None:
                self.placements[items[place]] = placed
            left = round(spot.column * across) + (room[0] - tile.width) // 2
            top = round(spot.row * down) + (room[1] - tile.height) // 2
            whole.paste(tile, (left, top))

        _each(draw, range(len(items)))
        for dot in item.dots:
            self._mark(whole, item, dot, (across, down))
        return Crop(whole, None, 1.0, size)

    def _tile(self, item: Item, room: tuple[int, int], veiled: bool) -> _Tile:
        """Return one item's picture, as large as `room` allows, else a crossed field."""
        with self._lock:
            found = self._tiles.get((item, room, veiled))
        if found is None:
            found = self._made(item, room, veiled)
            with self._lock:
                self._tiles.put((item, room, veiled), found, 3 * found[0].width * found[0].height)
        return found

    def _mark(
        self, whole: Image.Image, sheet: Sheet, dot: PointerDot, cell: tuple[float, float]
    ) -> None:
        spot, placed = sheet.spots[dot.place], self.placements.get(sheet.items[dot.place])
        left, top, width, height = placed.part if placed else (0.0, 0.0, 1.0, 1.0)
        x = (spot.column + (left + dot.x * width) * spot.columns) * cell[0]
        y = (spot.row + (top + dot.y * height) * spot.rows) * cell[1]
        ImageDraw.Draw(whole).ellipse((x - DOT, y - DOT, x + DOT, y + DOT), fill=(255, 0, 0))

    def _made(self, item: Item, room: tuple[int, int], veiled: bool) -> _Tile:
        try:
            crop = self._load(item, room)
        except (AnnotatorError, OSError, ValueError) as error:
            self.broken[item] = str(error)
            return _crossed(room), None
        if crop.tones is not None and self.contrast != PLAIN:
            crop = replace(crop, image=render_tones(crop.tones, self.contrast))
        image = scale_image(draw_box(crop), room)
        left, top = (room[0] - image.width) // 2, (room[1] - image.height) // 2
        part = left / room[0], top / room[1], image.width / room[0], image.height / room[1]
        self.broken.pop(item, None)
        if veiled:
            image = image.filter(ImageFilter.GaussianBlur(max(1.0, BLUR_SHARE * max(image.size))))
        return image, PicturePlacement(crop.source, part)


_Tile = tuple[Image.Image, PicturePlacement | None]
"""A picture at the size of its place, and its placement, None if it is broken."""


def _crossed(size: tuple[int, int]) -> Image.Image:
    image = Image.new("RGB", size, (40, 40, 40))
    pen = ImageDraw.Draw(image)
    width, height = size[0] - 1, size[1] - 1
    pen.line((0, 0, width, height), fill=(150, 60, 60), width=2)
    pen.line((0, height, width, 0), fill=(150, 60, 60), width=2)
    return image


def _each(work: Callable[[int], None], places: Sequence[int]) -> None:
    """Do the work for every place, on several threads; raise the first error."""
    waiting, lock = iter(places), threading.Lock()
    errors: list[Exception] = []

    def run() -> None:
        while not errors:
            with lock:
                place = next(waiting, None)
            if place is None:
                return
            try:
                work(place)
            except Exception as error:  # a worker's boundary: it is raised again below
                errors.append(error)

    threads = [threading.Thread(target=run, daemon=True) for _ in range(_THREADS - 1)]
    for thread in threads:
        thread.start()
    run()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
