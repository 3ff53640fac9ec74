"""An item's picture: the whole image, or its box with some context, fitted to a size."""

from __future__ import annotations

import math
import os
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from annotator.errors import ImageError
from annotator.images.contrast import Range, Tones, render_tones
from annotator.images.decode import (
    EncodedImage,
    decode_image,
    decode_values,
    describe_frames,
    open_image,
)
from annotator.items.image_kinds import MAX_PIXELS
from annotator.items.refs import Box, Item, make_printable
from annotator.items.tiff_pages import split_page

Pixels = NDArray[np.uint8]
"""(height, width, 3) or, for several pictures, (n, height, width, 3): red, green, blue."""

CACHE_BYTES = 100_000_000
"""Bytes of decoded images kept for the next box in them: one image of 24 megapixels."""


@dataclass(frozen=True, slots=True)
class Crop:
    """The part of an image that is shown for an item. The image is shared: do not draw on it."""

    image: Image.Image
    """RGB and upright, at most the requested size."""
    box: Box | None
    """The item's box in this crop's pixels; None for a whole image."""
    scale: float
    """Crop pixels per source pixel."""
    source: tuple[int, int]
    """Width and height of the upright source image."""
    tones: Tones | None = None
    """The values behind the image, for another contrast; None if it is not for people."""
    note: str = ""
    """A note for people, such as that the image is the first of an animation."""


class ImageSource(Protocol):
    """A source of items' pictures."""

    def crop(self, item: Item, size: tuple[int, int], context: float = 0.25) -> Crop:
        """Return the item's picture, at most `size`. Raises `ImageError`."""
        ...

    def resized_pixels(self, item: Item, size: tuple[int, int], context: float = 0.25) -> Pixels:
        """Return the same picture at exactly `size`, as (height, width, 3) pixels."""
        ...


class FindWindow(Protocol):
    """The range of values that is shown of an image of more than eight bits."""

    def __call__(self, path: str, source: EncodedImage, values: Image.Image) -> Range:
        """Return the range for the image at `path`, whose values are in mode F."""
        ...


class ImageFolder:
    """Image files below a root folder; absolute paths are used as they are. Thread-safe.

    With `find_window` crops are made for people: grey of more than eight bits is shown by that
    range, and crops carry their values. Without it, images are read by the fixed rule that features
    and detectors need.
    """

    def __init__(
        self,
        root: Path,
        max_pixels: int = MAX_PIXELS,
        keep_bytes: int = CACHE_BYTES,
        find_window: FindWindow | None = None,
    ) -> None:
        self.root, self._find_window = root, find_window
        self.max_pixels = max_pixels
        self._keep_bytes = keep_bytes
        self._recent = _RecentImages(keep_bytes)

    def __reduce__(self) -> tuple[type[ImageFolder], tuple[object, ...]]:
        """Give another process the same folder without the decoded images."""
        return ImageFolder, (self.root, self.max_pixels, self._keep_bytes, self._find_window)

    def path(self, item: Item) -> Path:
        """Return the path of the item's image: a file, or a page of one."""
        return self.root / item.path

    def file(self, item: Item) -> Path:
        """Return the file that holds the item's image."""
        return self.root / split_page(item.path)[0]

    def size(self, item: Item) -> tuple[int, int]:
        """Return width and height of the item's upright image, from its header alone."""
        with open_image(self.path(item), self.max_pixels) as (source, _):
            return source.size

    def crop(
        self,
        item: Item,
        size: tuple[int, int],
        context: float = 0.25,
        *,
        enlarge: bool = False,
    ) -> Crop:
        """Return the item's box with `context` times its longer side around it, or the whole image.

        The crop ends at the image's edges and keeps its aspect; it is larger than its source only
        with `enlarge`. Raises `ImageError`, also for a box that lies wholly outside the image.
        """
        with open_image(self.path(item), self.max_pixels) as (source, found):
            region = _region(item, source.size, context)
            fitted, scale = _fit_crop(region, size, enlarge)
            decode = decode_image if self._find_window is None else decode_values
            image, part = self._decoded(item, source, found, scale, decode)
            picture = _resize_region(image, region, part, fitted)
            tones = self._tones(item, source, picture, image)
            shown = picture if tones is None else render_tones(tones)
            box, note = _box_in_crop(item.box, region, fitted), describe_frames(source)
            return Crop(shown, box, scale, source.size, tones, note)

    def resized_pixels(self, item: Item, size: tuple[int, int], context: float = 0.25) -> Pixels:
        """Return the pixels of what `crop` shows, (height, width, 3), at exactly `size`.

        Nothing is cut away, the aspect is not kept. Feature extractors take these pixels.
        """
        with open_image(self.path(item), self.max_pixels) as (source, found):
            region = _region(item, source.size, context)
            scale = min(1.0, max(size[0] / region.size[0], size[1] / region.size[1]))
            image, part = self._decoded(item, source, found, scale, decode_image)
            return np.asarray(_resize_region(image, region, part, size))

    def _tones(
        self, item: Item, source: EncodedImage, crop: Image.Image, whole: Image.Image
    ) -> Tones | None:
        """Return the values behind a crop for people."""
        if self._find_window is None:
            return None
        if whole.mode != "F":
            return Tones(crop, whole)
        window = self._find_window(item.path, source, whole)
        return Tones(crop, whole, window, bool(source.image.info.get("inverted")))

    def _decoded(
        self,
        item: Item,
        source: EncodedImage,
        found: os.stat_result,
        scale: float,
        decode: Callable[[EncodedImage, float], tuple[Image.Image, int]],
    ) -> tuple[Image.Image, int]:
        """Decode an image, or return the one kept for another box in it."""
        if item.box is None:
            return decode(source, scale)
        key = (f"{decode.__name__} {source.name}", found.st_mtime_ns, found.st_size)
        kept = self._recent.find(key, scale)
        if kept is None:
            kept = decode(source, scale)
            self._recent.keep(key, *kept)
        return kept


class _Region(NamedTuple):
    """Whole pixels of the upright source: left, top, right, bottom."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def size(self) -> tuple[int, int]:
        return self.right - self.left, self.bottom - self.top


def _region(item: Item, source: tuple[int, int], context: float) -> _Region:
    width, height = source
    box = item.box
    if box is None:
        return _Region(0, 0, width, height)
    if box.x >= width or box.y >= height or box.right <= 0 or box.bottom <= 0:
        raise ImageError(
            f"{make_printable(item.ref)}: the box lies outside the image of {width} x {height} "
            "pixels. A box is left, top, width, height in pixels of the upright image."
        )
    margin = context * max(box.w, box.h)
    return _Region(
        max(0, math.floor(box.x - margin)),
        max(0, math.floor(box.y - margin)),
        min(width, math.ceil(box.right + margin)),
        min(height, math.ceil(box.bottom + margin)),
    )


def _fit_crop(
    region: _Region, size: tuple[int, int], enlarge: bool
) -> tuple[tuple[int, int], float]:
    """Return the crop's size and scale."""
    width, height = region.size
    scale = min(size[0] / width, size[1] / height)
    scale = scale if enlarge else min(1.0, scale)
    return (max(1, round(width * scale)), max(1, round(height * scale))), scale


def _resize_region(
    image: Image.Image, region: _Region, part: int, size: tuple[int, int]
) -> Image.Image:
    if part == 1 and size == region.size:
        whole = region == (0, 0, *image.size)
        return image if whole else image.crop(region)
    # A side of a draft is rounded up: its last pixel may stand for less than `part` pixels.
    right, bottom = min(region.right / part, image.width), min(region.bottom / part, image.height)
    box = (region.left / part, region.top / part, right, bottom)
    return image.resize(size, Image.Resampling.BICUBIC, box=box, reducing_gap=3.0)


def _box_in_crop(box: Box | None, region: _Region, size: tuple[int, int]) -> Box | None:
    """Return the box in the pixels of a crop of `region` with `size`, cut at its edges."""
    if box is None:
        return None
    across, down = size[0] / region.size[0], size[1] / region.size[1]
    left, top = max(box.x, region.left), max(box.y, region.top)
    right, bottom = min(box.right, region.right), min(box.bottom, region.bottom)
    return Box(
        (left - region.left) * across,
        (top - region.top) * down,
        (right - left) * across,
        (bottom - top) * down,
    )


class _RecentImages:
    """The images decoded last, up to a number of bytes: the next box is often in one of them."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held = 0
        self._lock = threading.Lock()
        self._images: OrderedDict[tuple[str, int, int], tuple[Image.Image, int]] = OrderedDict()

    def find(self, key: tuple[str, int, int], scale: float) -> tuple[Image.Image, int] | None:
        """Return the kept image and its reduction, if it has enough pixels."""
        with self._lock:
            found = self._images.get(key)
            if found is None or (found[1] > 1 and found[1] * scale > 1):
                return None
            self._images.move_to_end(key)
            return found

    def keep(self, key: tuple[str, int, int], image: Image.Image, part: int) -> None:
        with self._lock:
            old = self._images.pop(key, None)
            self._held += _image_bytes(image) - (_image_bytes(old[0]) if old else 0)
            self._images[key] = image, part
            while self._held > self._most:
                self._held -= _image_bytes(self._images.popitem(last=False)[1][0])


def _image_bytes(image: Image.Image) -> int:
    """Return the bytes of an image: Pillow holds RGB in four bytes a pixel."""
    return 4 * image.width * image.height


_DARK, _LIGHT = (0, 0, 0), (255, 255, 255)


def draw_box(crop: Crop) -> Image.Image:
    """Return the crop with its box outlined, light beside dark, to be seen on any background.

    The lines lie around the box, not on it, as far as the crop has room. A whole image is returned
    as it is.
    """
    if crop.box is None:
        return crop.image
    image = crop.image.copy()
    pen = ImageDraw.Draw(image)
    width = max(1, round(min(image.size) / 150))
    left, top, right, bottom = _outline(crop.box, 2 * width, image.size)
    pen.rectangle((left, top, right, bottom), outline=_DARK, width=width)
    inner = (left + width, top + width, right - width, bottom - width)
    if inner[0] <= inner[2] and inner[1] <= inner[3]:
        pen.rectangle(inner, outline=_LIGHT, width=width)
    return image


def _outline(box: Box, gap: int, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return first and last pixels of a rectangle `gap` pixels outside the box, inside
    the image."""
    return (
        max(0, math.floor(box.x) - gap),
        max(0, math.floor(box.y) - gap),
        min(math.ceil(box.right) + gap, size[0]) - 1,
        min(math.ceil(box.bottom) + gap, size[1]) - 1,
    )
