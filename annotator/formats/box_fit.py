"""Boxes of an import compared with the images themselves: turned by EXIF, resized, over the edge.

If a file states the size of an image, its boxes are in pixels of that size. If the image has
another size, the boxes are refused until the user says how they are meant.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from annotator.errors import ImageError, RefError
from annotator.formats.reading import ImportContext, ImportedItem, cut_box
from annotator.images.decode import MAX_PIXELS, open_image
from annotator.items.file_names import FileNames
from annotator.items.listing import is_file
from annotator.items.refs import Box, Item, make_printable, plural

BOX_PIXELS = ("upright", "stored", "stated")
"""The pixels that boxes may count: of the upright image, of the image as its file stores it before
EXIF turns it, or of an image of the size that the label file states."""
_KEPT_SIZES = 1 << 16


class _ImageSize(NamedTuple):
    upright: tuple[int, int]
    stored: tuple[int, int]
    orientation: int


class BoxFitter:
    """The boxes of one import, moved to the pixels of the upright image and cut at its edges."""

    def __init__(
        self, reading: ImportContext, folders: Sequence[Path], max_pixels: int = MAX_PIXELS
    ) -> None:
        """Look for images in `folders`, the first that holds one."""
        self._reading, self._folders = reading, folders
        self._max_pixels = max_pixels
        self.root = folders[0]
        self._names = FileNames(self.root)
        self._in_shares = False
        self._refused: set[str] = set()
        self._turned: set[str] = set()
        self._measure = lru_cache(_KEPT_SIZES)(self._read_size)

    def fit(self, found: ImportedItem) -> ImportedItem | None:
        """Return an item with its path as the disk spells it, and its box fitted.

        None for a box that cannot be, which is reported.
        """
        path = self._names.find(found.item.path)
        if path is not None and path != found.item.path:
            found = found._replace(item=Item(path, found.item.box))
            self._reading.count_ignored("spelling of a path (the disk's is taken)")
        if found.item.box is None:
            return found
        path = found.item.path
        if path in self._refused:
            return None
        try:
            box = self._fit(found, path, found.item.box)
        except RefError as error:
            self._reading.add_fault(found.location, str(error))
            return None
        return found if box == found.item.box else found._replace(item=Item(path, box))

    def find_shares(self, boxes: Iterable[Box | None]) -> None:
        """Take all boxes as shares of their images if none reaches beyond the first pixel."""
        found = False
        for box in filter(None, boxes):
            if max(box.right, box.bottom) > 1 + 1e-6:
                return
            found |= any(value % 1 for value in box)
        if found and self._reading.box_pixels is None:
            self._in_shares = True
            self._reading.notes.append(
                "boxes taken as shares (0 to 1) of their images. If they are pixels, give "
                "--box-pixels upright."
            )

    def report(self) -> None:
        """Count what was assumed about images that EXIF turns."""
        if self._turned and self._reading.box_pixels is None:
            self._reading.notes.append(
                f"{plural(len(self._turned), 'image')} turned by EXIF: boxes are taken as pixels "
                "of the upright image. If they are of the stored one, give --box-pixels stored."
            )

    def _fit(self, found: ImportedItem, path: str, box: Box) -> Box:
        real, stated, pixels = self._measure(path), found.size, self._reading.box_pixels
        if real is None:
            self._reading.count_ignored("comparison of a box with its image, which cannot be read")
            return cut_box(box, stated, self._reading)
        if self._in_shares:
            return self._scale(box, (1, 1), real)
        if stated is not None and not _is_same(stated, real.upright):
            if self._reading.boxes_in_shares and _is_scaled(stated, real.upright):
                return self._scale(box, stated, real)
            if pixels is None:
                self._refused.add(path)
                raise RefError(_describe_mismatch(path, stated, real))
            if pixels == "stated":
                return self._scale(box, stated, real)
        elif real.orientation != 1 and (stated is None or real.orientation < 5):
            self._turned.add(path)
        if pixels == "stored" and real.orientation != 1:
            self._reading.count_ignored("turn of a box, as the EXIF of its image says")
            whole = cut_box(box, real.stored, self._reading)
            return turn_box(whole, real.orientation, real.stored)
        return cut_box(box, real.upright, self._reading)

    def _scale(self, box: Box, stated: tuple[float, float], real: _ImageSize) -> Box:
        across, down = (real.upright[axis] / stated[axis] for axis in (0, 1))
        scaled = Box(box.x * across, box.y * down, box.w * across, box.h * down)
        if not self._in_shares:
            self._reading.count_ignored(
                "size of an image that a box was drawn on (the box is scaled)"
            )
        return cut_box(scaled, real.upright, self._reading)

    def _read_size(self, path: str) -> _ImageSize | None:
        file = next((root / path for root in self._folders if is_file(root / path)), None)
        if file is None:
            return None
        try:
            with open_image(file, self._max_pixels) as (found, _):
                return _ImageSize(found.size, found.stored, found.orientation)
        except ImageError:
            return None


def _is_same(one: Sequence[float], other: Sequence[float]) -> bool:
    """Return True for two sizes that differ by rounding alone."""
    return all(abs(a - b) < 1 for a, b in zip(one, other, strict=True))


def _is_scaled(stated: Sequence[float], real: Sequence[float]) -> bool:
    """Return True if one size is the other, enlarged or reduced to whole pixels."""
    scale = math.sqrt(real[0] * real[1] / (stated[0] * stated[1]))
    return all(abs(a * scale - b) <= max(1.0, scale) for a, b in zip(stated, real, strict=True))


def _describe_mismatch(path: str, stated: Sequence[float], real: _ImageSize) -> str:
    shown, size = make_printable(path), f"{stated[0]:g} x {stated[1]:g}"
    upright = f"{real.upright[0]} x {real.upright[1]}"
    if real.orientation >= 5 and _is_same(stated, real.stored):
        return (
            f"the size of {shown} is {size} here, and {upright} once its EXIF has turned it. Its "
            "boxes may be of either. If they are of the upright image give --box-pixels upright, "
            "if of the image before it is turned --box-pixels stored."
        )
    return (
        f"the size of {shown} is {size} here, and its file has {upright}. It was resized, or is "
        "another image. Give the images that were labelled with --images DIR. To scale the boxes "
        "give --box-pixels stated, to keep them as they are --box-pixels upright."
    )


def turn_box(box: Box, orientation: int, stored: tuple[float, float]) -> Box:
    """Return a box of stored pixels in pixels of the upright image."""
    width, height = stored
    x, y, w, h = box
    far_x, far_y = width - x - w, height - y - h
    return {
        2: Box(far_x, y, w, h),
        3: Box(far_x, far_y, w, h),
        4: Box(x, far_y, w, h),
        5: Box(y, x, h, w),
        6: Box(far_y, x, h, w),
        7: Box(far_y, far_x, h, w),
        8: Box(y, far_x, h, w),
    }.get(orientation, box)
