"""Pictures scaled to the area that they get."""

from __future__ import annotations

from PIL import Image

Size = tuple[int, int]


def fit_size(size: Size, room: Size) -> Size:
    """Return the largest size of the same shape that fits into `room`; at least 1 x 1 pixel."""
    scale = min(room[0] / size[0], room[1] / size[1])
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def scale_image(image: Image.Image, room: Size) -> Image.Image:
    """Return `image` as large as `room` allows.

    Few pixels stay squares: blur would hide a defect.
    """
    size = fit_size(image.size, room)
    if size == image.size:
        return image
    method = Image.Resampling.BICUBIC
    if size[0] >= 6 * image.width:
        method = Image.Resampling.NEAREST
    return image.resize(size, method)


def make_canvas(image: Image.Image, size: Size, colours: int) -> Image.Image:
    """Return the picture in the middle of a transparent canvas, with a palette of `colours` (0:
    all)."""
    image = scale_image(image.convert("RGB"), size)
    offset = ((size[0] - image.width) // 2, (size[1] - image.height) // 2)
    if colours:
        return _with_palette(image, size, offset, colours)
    if image.size == size:
        return image
    whole = Image.new("RGBA", size)
    whole.paste(image, offset)
    return whole


def _with_palette(image: Image.Image, size: Size, offset: Size, colours: int) -> Image.Image:
    image = image.quantize(colours, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    if image.size == size:
        return image
    palette = image.getpalette() or []
    clear = len(palette) // 3
    whole = Image.new("P", size, clear)
    whole.putpalette(palette + [0, 0, 0])
    whole.paste(image, offset)
    whole.info["transparency"] = clear
    return whole


def pad_image(image: Image.Image, size: Size, colour: tuple[int, int, int]) -> Image.Image:
    """Return the picture scaled into the middle of a canvas of one colour."""
    image = scale_image(image.convert("RGB"), size)
    if image.size == size:
        return image
    whole = Image.new("RGB", size, colour)
    whole.paste(image, ((size[0] - image.width) // 2, (size[1] - image.height) // 2))
    return whole
