"""The kinds of image files that are opened here, by their first bytes; each is read when needed.

Not `Image.open`: that tries every format of Pillow, and its limit on pixels is a global that other
threads share.
"""

from __future__ import annotations

import ctypes.util
import io
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import IO, Any, NoReturn

import PIL
from PIL import (  # (the plugins register themselves)
    AvifImagePlugin,  # noqa: F401
    Image,
    TiffImagePlugin,  # noqa: F401
    WebPImagePlugin,  # noqa: F401
    features,
)

from annotator.errors import ImageError
from annotator.items.image_kinds import INSTALL_COMMANDS, refuse_large
from annotator.items.tiff_pages import read_directories

HEAD_BYTES = 144
"""The first bytes of a file that tell its kind."""
_PILLOW_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")
_HEIF_BRANDS = frozenset({
    b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1",
})  # fmt: skip
_AVIF_BRANDS = (b"avif", b"avis")
_JXL_BOX = b"\x00\x00\x00\x0cJXL \r\n\x87\n"
_CODESTREAM_BYTES = 1 << 20
"""The bytes of a JPEG XL file in which its picture must begin."""
_DICOM_SUFFIXES = (".dcm", ".dicom")

Image.preinit()


def open_picture(file: IO[bytes], name: str, page: int, max_pixels: int) -> Image.Image:
    """Return the image of an open file, not decoded yet.

    Raises `ImageError` for a kind that cannot be read, and the errors of decoders for damage.
    `name` is printable; `max_pixels` holds for kinds that a decoder reads at once.
    """
    head = file.read(HEAD_BYTES)
    if page > 1:
        file = _at_page(file, page, name)
    file.seek(0)
    for kind in _PILLOW_FORMATS:
        factory, accept = Image.OPEN[kind]
        if accept is None or accept(head[:16]) is True:
            if kind == "TIFF":
                _silence_libtiff()
            return factory(file, name)
    opener = _find_opener(head, name)
    if opener is None:
        what = "it is empty" if not head else "its format is unknown"
        raise ImageError(
            f"{name}: cannot be read as an image: {what}. Convert it to one of "
            f"{', '.join(_PILLOW_FORMATS)}, AVIF."
        )
    return opener(file, name, max_pixels)


Opener = Callable[[IO[bytes], str, int], Image.Image]


def _find_opener(head: bytes, name: str) -> Opener | None:
    brand = head[8:12] if head[4:8] == b"ftyp" else b""
    if brand in _AVIF_BRANDS or (brand in (b"mif1", b"msf1") and b"avif" in head[16:]):
        return _open_avif
    if brand in _HEIF_BRANDS:
        return _open_heif
    if head.startswith((b"\xff\x0a", _JXL_BOX)):
        return _open_jxl
    if head[128:132] == b"DICM" or (head and name.lower().endswith(_DICOM_SUFFIXES)):
        return _open_dicom
    return None


# --- pages of a TIFF file


def _at_page(file: IO[bytes], page: int, name: str) -> IO[bytes]:
    """Return the file as it would be with a later page as its first: Pillow reads every page
    before the one that it seeks."""
    found = read_directories(file, page).found
    if len(found) < page:
        pages = f"{len(found)} page{'s' if len(found) != 1 else ''}"
        raise ImageError(f"{name}: the file has only {pages}. Skip the item.")
    file.seek(0)
    is_big, order = file.read(4)[2:4] in (b"\x2b\x00", b"\x00\x2b"), _byte_order(file)
    first, length = (8, 8) if is_big else (4, 4)
    link = found[-1].offset.to_bytes(length, "little" if order == b"II" else "big")
    return io.BufferedReader(_PatchedFile(file, first, link))


def _byte_order(file: IO[bytes]) -> bytes:
    file.seek(0)
    return file.read(2)


class _PatchedFile(io.RawIOBase):
    """A file that is read with other bytes at one place near its start; it does not own it."""

    def __init__(self, file: IO[bytes], at: int, patch: bytes) -> None:
        self._file, self._at, self._patch = file, at, patch

    def fileno(self) -> int:
        """Return the descriptor of the file: libtiff reads a directory by its offset."""
        return self._file.fileno()

    def readable(self) -> bool:
        """Return True: the file is read."""
        return True

    def seekable(self) -> bool:
        """Return True: the file can be read anywhere."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to another place."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Return the place."""
        return self._file.tell()

    def readinto(self, buffer: Any) -> int:
        """Read into a buffer."""
        start = self._file.tell()
        data = bytearray(self._file.read(len(buffer)))
        for place, value in enumerate(self._patch, self._at):
            if start <= place < start + len(data):
                data[place - start] = value
        buffer[: len(data)] = data
        return len(data)


@cache
def _silence_libtiff() -> None:
    """Keep libtiff from writing to stderr, over the screen; its errors reach us anyway."""
    home = Path(PIL.__file__).parent
    bundled = (home.parent / "pillow.libs", home / ".dylibs")  # where the wheels carry it
    found = [str(path) for folder in bundled for path in folder.glob("libtiff*")]
    for library in found or filter(None, [ctypes.util.find_library("tiff")]):
        try:
            ctypes.CDLL(library).TIFFSetErrorHandler(None)
        except (OSError, AttributeError):
            continue


# --- kinds of other packages


def _open_avif(file: IO[bytes], name: str, _: int) -> Image.Image:
    if features.check("avif"):
        return Image.OPEN["AVIF"][0](file, name)
    try:
        import pillow_avif  # noqa: F401
    except ImportError:
        _refuse(name, "AVIF", "pip install pillow-avif-plugin")
    return Image.OPEN["AVIF"][0](file, name)


def _open_heif(file: IO[bytes], name: str, _: int) -> Image.Image:
    try:
        from pillow_heif import HeifImageFile
    except ImportError:
        _refuse(name, "HEIF", INSTALL_COMMANDS["pillow_heif"])
    factory: Callable[..., Image.Image] = HeifImageFile
    return factory(file, name)


def _open_jxl(file: IO[bytes], name: str, max_pixels: int) -> Image.Image:
    """Open a JPEG XL file; its package decodes at once, so the size is read beforehand."""
    try:
        from pillow_jxl.JpegXLImagePlugin import JXLImageFile
    except ImportError:
        _refuse(name, "JPEG XL", INSTALL_COMMANDS["pillow_jxl"])
    width, height = read_jxl_size(file.read(_CODESTREAM_BYTES))
    refuse_large(name, width, height, max_pixels)
    file.seek(0)
    try:
        image: Image.Image = JXLImageFile(file, name)
    except BaseException as error:
        if type(error).__name__ == "PanicException":  # of Rust, and not an `Exception`
            raise ValueError(str(error)) from error
        raise
    return image


def _open_dicom(file: IO[bytes], name: str, max_pixels: int) -> Image.Image:
    try:
        import pydicom  # noqa: F401
    except ImportError:
        _refuse(name, "DICOM", INSTALL_COMMANDS["pydicom"])
    from annotator.images.dicom import read_dicom

    return read_dicom(file, name, max_pixels)


def _refuse(name: str, kind: str, command: str) -> NoReturn:
    raise ImageError(f"{name}: {kind} images need another package. Install it: {command}")


# --- the size of a JPEG XL picture (ISO/IEC 18181-1, size header)

_RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))


def read_jxl_size(data: bytes) -> tuple[int, int]:
    """Return width and height of the picture whose file begins with `data`.

    Raises `ValueError` if it does not begin there.
    """
    bits = _Bits(_codestream(data)[2:])
    is_small = bool(bits.take(1))
    height = _read_side(bits, is_small)
    ratio = bits.take(3)
    if ratio == 0:
        return _read_side(bits, is_small), height
    across, down = _RATIOS[ratio - 1]
    return height * across // down, height


def _read_side(bits: _Bits, is_small: bool) -> int:
    if is_small:
        return 8 * (bits.take(5) + 1)
    return 1 + bits.take((9, 13, 18, 30)[bits.take(2)])


def _codestream(data: bytes) -> bytes:
    """Return the start of the codestream, out of the boxes of a container."""
    if data.startswith(b"\xff\x0a"):
        return data
    at = 0
    while at + 16 <= len(data):
        size, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        start = at + 8
        if size == 1:
            size, start = int.from_bytes(data[at + 8 : at + 16], "big"), at + 16
        if kind in (b"jxlc", b"jxlp"):
            return data[start + 4 * (kind == b"jxlp") :]
        if size < start - at:
            break
        at += size
    raise ValueError("its picture is not where it should be")


class _Bits:
    """A stream of bits, the least significant of each byte first."""

    def __init__(self, data: bytes) -> None:
        self._value, self._left = int.from_bytes(data[:16], "little"), 8 * min(16, len(data))

    def take(self, count: int) -> int:
        """Return the next bits as a number."""
        if count > self._left:
            raise ValueError("it is cut short")
        found = self._value & ((1 << count) - 1)
        self._value >>= count
        self._left -= count
        return found
