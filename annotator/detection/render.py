"""Pictures with their boxes and names drawn in."""

from __future__ import annotations

import colorsys
import zlib
from collections.abc import Sequence
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFont

from annotator.items.refs import Box

MAX_RENDER_SIDE = 1600
"""Larger pictures are drawn smaller, in pixels."""


class BoxCaption(NamedTuple):
    """A box and what is written at it."""

    box: Box
    """In pixels of the source image."""
    name: str
    score: float


def draw_captions(
    picture: Image.Image, scale: float, captions: Sequence[BoxCaption]
) -> Image.Image:
    """A copy of `picture`, which has `scale` pixels for each pixel of its source, with boxes and
    names; the best ones on top, each class with a colour of its own."""
    image = picture.copy()
    pen = ImageDraw.Draw(image)
    width = max(1, round(max(image.size) / 400))
    font = ImageFont.load_default(max(10.0, max(image.size) / 60))
    for caption in sorted(captions, key=lambda caption: caption.score):
        _draw_caption(pen, caption, scale, width, font)
    return image


def _draw_caption(
    pen: ImageDraw.ImageDraw, caption: BoxCaption, scale: float, width: int, font: _Font
) -> None:
    x, y, w, h = (side * scale for side in caption.box)
    colour = class_color(caption.name)
    pen.rectangle((x, y, max(x, x + w - 1), max(y, y + h - 1)), outline=colour, width=width)
    text = f"{caption.name} {caption.score:.2f}"
    left, top, right, bottom = pen.textbbox((0, 0), text, font=font)
    above = max(0.0, y - (bottom - top) - 2 * width)
    pen.rectangle(
        (x, above, x + right - left + 2 * width, above + bottom - top + 2 * width), colour
    )
    pen.text((x + width - left, above + width - top), text, fill=(0, 0, 0), font=font)


def class_color(name: str) -> tuple[int, int, int]:
    """A light colour that a name always has."""
    hue = zlib.crc32(name.encode("utf-8", "surrogateescape")) % 360 / 360
    red, green, blue = colorsys.hls_to_rgb(hue, 0.65, 0.9)
    return round(255 * red), round(255 * green), round(255 * blue)


_Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
