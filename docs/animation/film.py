"""The pictures of a terminal, with the keys and a sentence below them, written as WebP."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from tests.terminal.real.x_display import Pixels

STRIP, CAP, GAP, MARGIN = 55, 35, 6, 12
SHOWN = 6
"""Keys shown at a time, the newest on the right."""
PAPER, EDGE, INK, BRIGHT, WORDS = "#1d2129", "#3b4252", "#8b93a5", "#7aa2f7", "#e8eaf0"
QUALITY = 78
SHORTEST = 0.03
"""Seconds for which a picture must be shown."""


@dataclass(frozen=True)
class Caption:
    """The keys pressed so far and the sentence of the scene, from a time on."""

    at: float
    keys: tuple[str, ...]
    words: str


def write(
    path: Path, frames: list[tuple[float, Pixels]], captions: list[Caption], end: float
) -> list[int]:
    """Write an animation that loops, and return the milliseconds of each of its pictures."""
    moments = {max(at, captions[0].at) for at, _ in frames} | {one.at for one in captions}
    times = _apart(sorted(moments))
    pictures, shown = [], []
    for at in times:
        pixels = [picture for since, picture in frames if since <= at]
        caption = [one for one in captions if one.at <= at][-1]
        pictures.append(_composed(pixels[-1] if pixels else frames[0][1], caption))
    for at, after in zip(times, [*times[1:], end], strict=True):
        shown.append(round((after - times[0]) * 1000) - round((at - times[0]) * 1000))
    first, *others = pictures
    first.save(
        path, save_all=True, append_images=others, duration=shown, loop=0, quality=QUALITY, method=6
    )
    return shown


def _apart(times: list[float]) -> list[float]:
    """Return the times without those that are followed by another at once.

    Browsers slow down pictures that are to be shown for less than 20 ms.
    """
    after = [*times[1:], float("inf")]
    return [at for at, following in zip(times, after, strict=True) if following - at >= SHORTEST]


def _composed(pixels: Pixels, caption: Caption) -> Image.Image:
    """Return a picture of the terminal with the strip of keys below it."""
    height, width = pixels.shape[:2]
    picture = Image.new("RGB", (width, height + STRIP), PAPER)
    picture.paste(Image.fromarray(pixels), (0, 0))
    draw = ImageDraw.Draw(picture)
    draw.line((0, height, width, height), fill=EDGE)
    middle = height + STRIP // 2
    font = ImageFont.truetype("DejaVuSans.ttf", 19)
    draw.text((MARGIN, middle), caption.words, WORDS, font, anchor="lm")
    right = width - MARGIN
    for place, key in enumerate(reversed(caption.keys[-SHOWN:])):
        right -= _cap(draw, key, right, middle, newest=place == 0) + GAP
    return picture


def _cap(draw: ImageDraw.ImageDraw, key: str, right: int, middle: int, newest: bool) -> int:
    """Draw a key that ends at `right`, and return its width."""
    font = ImageFont.truetype("DejaVuSans-Bold.ttf", 17)
    wide = max(CAP, round(font.getlength(key)) + 18)
    box = (right - wide, middle - CAP // 2, right, middle + CAP // 2)
    fill, ink = (BRIGHT, PAPER) if newest else (PAPER, INK)
    draw.rounded_rectangle(box, 6, fill=fill, outline=BRIGHT if newest else EDGE)
    draw.text((right - wide / 2, middle), key, ink, font, anchor="mm")
    return wide
