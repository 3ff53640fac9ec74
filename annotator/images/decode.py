"""Pixels from a file of unknown origin: upright, RGB, or an `ImageError` with the reason."""

from __future__ import annotations

import ctypes.util
import logging
import os
import stat
import struct
import threading
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import (  # (the plugins register themselves)
    AvifImagePlugin,  # noqa: F401
    ExifTags,
    Image,
    TiffImagePlugin,  # noqa: F401
    WebPImagePlugin,  # noqa: F401
    features,
)

from annotator.errors import ImageError
from annotator.items.refs import make_printable

MAX_PIXELS = 200_000_000
"""The default limit: above the largest camera sensors, below a decompression bomb."""

BACKGROUND = (128, 128, 128, 255)
"""The colour behind transparent pixels: black and white drawings both stand out from it."""

_FORMATS = (
    "JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", *(["AVIF"] if features.check("avif") else []),
)  # fmt: skip
# Pillow's decoders answer damaged data with any of these; LookupError and ArithmeticError
# among them, and a warning where the interpreter turns warnings into errors.
_DAMAGED = (
    OSError, SyntaxError, ValueError, TypeError, LookupError, ArithmeticError, EOFError,
    MemoryError, struct.error, zlib.error, Image.DecompressionBombError, Warning,
)  # fmt: skip
_LARGE = 40_000_000
_one_large_at_a_time = threading.Lock()

# Pillow warns and logs on stderr, over the screen; what matters is an error here, or handled.
# Only a filter that stays is safe with threads.
warnings.filterwarnings("ignore", module=r"PIL\b")
logging.getLogger("PIL").addHandler(logging.NullHandler())
Image.preinit()


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
    """Open an image file and read its header. Raises `ImageError`.

    Not `Image.open`: that tries every format of Pillow, and its limit on pixels is a global that
    other threads share.
    """
    name = make_printable(str(path))
    file = _regular_file(path, name)
    with file:
        image = _identify_image(file, name)
        width, height = image.size
        if width * height > max_pixels:
            raise ImageError(
                f"{name}: {width} x {height} pixels are more than the limit of "
                f"{max_pixels:,}. If the file is genuine, raise max_pixels in annotator.toml."
            )
        yield EncodedImage(name, image, _orientation(image), image.size), os.fstat(file.fileno())


def decode_image(source: EncodedImage, shrink: float = 1.0) -> tuple[Image.Image, int]:
    """Return the upright RGB image, and its reduction from the source: 1, 2, 4 or 8.

    A JPEG is decoded at a reduced size if that is at least `shrink` of it; this saves most of the
    time and memory. Raises `ImageError`.
    """
    full = source.stored
    if shrink < 1:
        wanted = tuple(max(1, int(np.ceil(side * shrink))) for side in full)
        source.image.draft(None, (wanted[0], wanted[1]))
    part = _draft_scale(full, source.image.size)
    large = full[0] * full[1] > _LARGE
    with _one_large_at_a_time if large else nullcontext():
        try:
            source.image.load()
            image = _to_rgb(source.image)
        except _DAMAGED as error:
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


def _identify_image(file: Any, name: str) -> Image.Image:
    try:
        prefix = file.read(16)
        for kind in _FORMATS:
            factory, accept = Image.OPEN[kind]
            if accept is None or accept(prefix) is True:
                file.seek(0)
                if kind == "TIFF":
                    _silence_libtiff()
                return factory(file, name)
    except _DAMAGED as error:
        raise _damage_error(name, error) from error
    what = "it is empty" if not prefix else "its format is unknown"
    kinds = ", ".join(_FORMATS)
    raise ImageError(f"{name}: cannot be read as an image: {what}. Convert it to one of {kinds}.")


@cache
def _silence_libtiff() -> None:
    """Keep libtiff from writing to stderr, over the screen; its errors reach us anyway."""
    home = Path(PIL.__file__).parent
    bundled = (home.parent / "pillow.libs", home / ".dylibs")  # where the wheels carry it
    found = [str(path) for folder in bundled for path in folder.glob("libtiff*")]
    for library in found or filter(None, [ctypes.util.find_library("tiff")]):
        with suppress(OSError, AttributeError):
            ctypes.CDLL(library).TIFFSetErrorHandler(None)


def _damage_error(name: str, error: BaseException) -> ImageError:
    reason = make_printable(str(error)) or type(error).__name__
    return ImageError(f"{name}: the image is damaged or cut short ({reason}). Replace or skip it.")


def _orientation(image: Image.Image) -> int:
    """Return EXIF's orientation of the stored pixels; 1 if it is absent, or Pillow applies it."""
    if image.format == "TIFF":
        return 1  # Pillow applies it while it loads, and gives the upright size before
    if image.format == "PNG" and "exif" not in image.info:
        return 1  # asking Pillow would decode the whole image in search of a late chunk
    try:
        found = image.getexif().get(ExifTags.Base.Orientation, 1)
    except _DAMAGED:
        return 1
    return found if found in range(1, 9) else 1


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
