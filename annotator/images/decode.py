"""Pixels from a file of unknown origin: upright, RGB, or an `ImageError` with the reason."""

from __future__ import annotations

import logging
import os
import stat
import struct
import threading
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

from annotator.errors import ImageError
from annotator.images.contrast import fit_window, robust_range, scale_to_bytes
from annotator.images.openers import open_picture
from annotator.items.image_kinds import MAX_PIXELS as MAX_PIXELS
from annotator.items.image_kinds import refuse_large
from annotator.items.refs import make_printable
from annotator.items.tiff_pages import split_page

BACKGROUND = (128, 128, 128, 255)
"""The colour behind transparent pixels: black and white drawings both stand out from it."""

# Pillow's decoders answer damaged data with any of these; LookupError and ArithmeticError
# among them, and a warning where the interpreter turns warnings into errors.
DAMAGED = (
    OSError, SyntaxError, ValueError, TypeError, LookupError, ArithmeticError, EOFError,
    MemoryError, RuntimeError, struct.error, zlib.error, Image.DecompressionBombError, Warning,
)  # fmt: skip
"""The errors of decoders, and of encoders that write again what was read, for damaged files."""
_LARGE = 40_000_000
_one_large_at_a_time = threading.Lock()

# Decoders warn and log on stderr, over the screen; what matters is an error here, or handled.
# Only a filter that stays is safe with threads.
for _package in ("PIL", "pydicom", "pillow_heif", "pillow_jxl"):
    warnings.filterwarnings("ignore", module=rf"{_package}\b")
    logging.getLogger(_package).addHandler(logging.NullHandler())


@dataclass(frozen=True, slots=True)
class EncodedImage:
    """An opened file whose pixels are not decoded yet."""

    name: str
    image: Image.Image
    orientation: int
    """The EXIF orientation that is still to be applied, 1 to 8."""
    stored: tuple[int, int]
    """Width and height in the file; a draft changes `image.size`."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the upright image."""
        width, height = self.stored
        return (height, width) if self.orientation >= 5 else (width, height)


@contextmanager
def open_image(
    path: Path, max_pixels: int = MAX_PIXELS
) -> Iterator[tuple[EncodedImage, os.stat_result]]:
    """Open an image file, or a page of one, and read its header. Raises `ImageError`."""
    name = make_printable(str(path))
    plain, page = split_page(str(path))
    if plain != str(path) and os.path.lexists(path):  # a file with such a name
        plain, page = str(path), 1
    file = _regular_file(Path(plain), name)
    with file:
        image = _identify_image(file, name, page, max_pixels)
        refuse_large(name, *image.size, max_pixels)
        yield EncodedImage(name, image, _orientation(image), image.size), os.fstat(file.fileno())


def decode_image(source: EncodedImage, shrink: float = 1.0) -> tuple[Image.Image, int]:
    """Return the upright RGB image, and its reduction from the source: 1, 2, 4 or 8.

    A JPEG is decoded at a reduced size if that is at least `shrink` of it; this saves most of the
    time and memory. Raises `ImageError`.
    """
    return _load(source, shrink, _to_rgb)


def decode_values(source: EncodedImage, shrink: float = 1.0) -> tuple[Image.Image, int]:
    """Return the upright image as it is to be shown, and its reduction, as `decode_image` does.

    Grey of more than eight bits keeps its values, in mode F; all else is RGB.
    """
    return _load(source, shrink, _to_values)


def _load(
    source: EncodedImage, shrink: float, convert: Callable[[Image.Image], Image.Image]
) -> tuple[Image.Image, int]:
    full = source.stored
    if shrink < 1 and source.image.format in ("JPEG", "MPO"):
        wanted = tuple(max(1, int(np.ceil(side * shrink))) for side in full)
        source.image.draft(None, (wanted[0], wanted[1]))
    part = _draft_scale(full, source.image.size)
    large = full[0] * full[1] > _LARGE
    with _one_large_at_a_time if large else nullcontext():
        try:
            source.image.load()
            image = convert(source.image)
        except DAMAGED as error:
            raise _damage_error(source.name, error) from error
        return _apply_orientation(image, source.orientation), part


def _draft_scale(full: tuple[int, int], draft: tuple[int, int]) -> int:
    """Return the reduction of a decoded JPEG. Its sides are rounded up: the longer one decides."""
    longest = 0 if full[0] >= full[1] else 1
    return next(p for p in (1, 2, 4, 8) if -(-full[longest] // p) == draft[longest])


def _regular_file(path: Path, name: str) -> Any:
    try:
        # O_NONBLOCK: a named pipe without a writer must not hold us up.
        number = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        raise ImageError(f"{name}: there is no such file. Put it back, or skip it.") from None
    except PermissionError as error:
        raise ImageError(
            f"{name}: it is not damaged, but you may not read it ({error.strerror}). Allow it with "
            "`chmod +r` on the file and `chmod +x` on its folders."
        ) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ImageError(f"{name}: cannot be opened: {reason}. Fix or skip it.") from error
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise ImageError(f"{name}: not a file but a folder, a pipe or a device. Skip it.")
    return os.fdopen(number, "rb")


def _identify_image(file: Any, name: str, page: int, max_pixels: int) -> Image.Image:
    try:
        return open_picture(file, name, page, max_pixels)
    except DAMAGED as error:
        raise _damage_error(name, error) from error


def _damage_error(name: str, error: BaseException) -> ImageError:
    reason = make_printable(str(error)) or type(error).__name__
    return ImageError(f"{name}: the image is damaged or cut short ({reason}). Replace or skip it.")


def _orientation(image: Image.Image) -> int:
    """Return EXIF's orientation of the stored pixels; 1 if it is absent, or Pillow applies it."""
    if image.format == "TIFF":
        return 1  # Pillow applies it while it loads, and gives the upright size before
    if image.format == "DICOM" or (image.format == "JXL" and not getattr(image, "jpeg", False)):
        return 1  # the decoder of JPEG XL turns all but a JPEG that it holds
    if image.format == "PNG" and "exif" not in image.info:
        return 1  # asking Pillow would decode the whole image in search of a late chunk
    try:
        found = image.getexif().get(ExifTags.Base.Orientation, 1)
    except DAMAGED:
        return 1
    return found if found in range(1, 9) else 1


_ANIMATED = {"GIF": "GIF", "WEBP": "WebP", "PNG": "PNG", "AVIF": "AVIF"}


def describe_frames(source: EncodedImage) -> str:
    """Return a note if only the first frame of an animation is read; else ""."""
    image = source.image
    if image.format not in _ANIMATED:
        return ""
    try:
        moves = bool(getattr(image, "is_animated", False))
    except DAMAGED:
        return ""
    return f"first frame of an animated {_ANIMATED[image.format]}" if moves else ""


_TRANSPOSES = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def _apply_orientation(image: Image.Image, orientation: int) -> Image.Image:
    turn = _TRANSPOSES.get(orientation)
    return image if turn is None else image.transpose(turn)


def _to_rgb(image: Image.Image) -> Image.Image:
    """Return the image in eight bits of red, green and blue."""
    if image.mode == "RGB" and "transparency" not in image.info:
        return image  # convert() would copy it
    if image.mode.startswith(("I", "F")):
        if image.format == "DICOM":
            return _window_dicom(image)
        return Image.fromarray(_to_eight_bits(np.asarray(image))).convert("RGB")
    if image.has_transparency_data:
        picture = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", picture.size, BACKGROUND), picture).convert(
            "RGB"
        )
    return image.convert("RGB")


def _to_eight_bits(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Scale grey values of more than 8 bits, or real ones, to 0..255 without clipping.

    The white of a camera is all ones in 8, 10, 12, 14 or 16 bits, of real values 1 or 255: the
    least that holds them all. Values that fill less than a quarter of that are stretched.
    """
    real = np.issubdtype(values.dtype, np.floating)
    # The difference of two values of 32 bits may need more.
    grey = np.nan_to_num(values.astype(np.float64 if real else np.float32), posinf=0, neginf=0)
    low, high = float(grey.min()), float(grey.max())
    usual = (1.0, 255.0) if real else (255.0, 1023.0, 4095.0, 16383.0, 65535.0)
    top = next((top for top in usual if low >= 0 and high <= top), None)
    narrow = top is not None and top > usual[0] and 0 < high - low < top / 4
    if top is None or narrow:
        grey, top = grey - low, max(high - low, 1e-30)
    scaled: NDArray[np.uint8] = np.rint(grey * (255 / top)).astype(np.uint8)
    return scaled


def _window_dicom(image: Image.Image) -> Image.Image:
    """Return grey of a DICOM file through its own window, else as a camera's range."""
    values = np.asarray(_to_values(image))
    window = image.info.get("window") or fit_window([robust_range(values)], real=False)
    return scale_to_bytes(values, window, inverted=bool(image.info.get("inverted"))).convert("RGB")


def _to_values(image: Image.Image) -> Image.Image:
    """Return grey of more than eight bits as finite values in mode F, all else as RGB."""
    if not image.mode.startswith(("I", "F")):
        return _to_rgb(image)
    values = np.asarray(image).astype(np.float32)
    finite = np.isfinite(values)
    if not finite.all():
        values = np.where(finite, values, values[finite].min() if finite.any() else 0)
    return Image.fromarray(values)
