"""The kinds of image files by their endings, what some of them need, and the limit on their pixels.

HEIC, JPEG XL and DICOM are read by packages of extras. Nothing is imported to look for them.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Collection

from annotator.errors import ImageError

MAX_PIXELS = 200_000_000
"""The default limit: above the largest camera sensors, below a decompression bomb."""
INSTALL_COMMANDS = {
    "pillow_heif": "pip install 'annotator-tui[heif]'",
    "pillow_jxl": "pip install 'annotator-tui[jxl]'",
    "pydicom": "pip install 'annotator-tui[dicom]'",
}
"""The command that installs each package which some kinds of images need."""
_NEEDS = {
    ".heic": "pillow_heif", ".heif": "pillow_heif", ".hif": "pillow_heif", ".jxl": "pillow_jxl",
    ".dcm": "pydicom", ".dicom": "pydicom",
}  # fmt: skip
_ALWAYS = frozenset({
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".avif",
})  # fmt: skip
_OTHER_IMAGES = frozenset({
    ".jp2", ".j2k", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".raf", ".orf", ".rw2", ".raw", ".psd",
    ".svg", ".pdf", ".ppm", ".pgm", ".tga", ".ico", ".exr", ".nii", ".czi", ".lif", ".nd2", ".svs",
})  # fmt: skip
"""The endings of files that hold pictures which cannot be read here."""


def is_installed(package: str) -> bool:
    """Return whether a package can be imported."""
    try:
        return importlib.util.find_spec(package) is not None
    except (ImportError, ValueError):
        return False


IMAGE_SUFFIXES = _ALWAYS | {suffix for suffix, package in _NEEDS.items() if is_installed(package)}
"""The suffixes, in lower case, of the files that a folder of images is searched for."""


def suggest_remedies(endings: Collection[str]) -> list[str]:
    """Return a line for each way to label images of kinds that are not read here."""
    absent: dict[str, list[str]] = {}
    for suffix in sorted({*endings} & _NEEDS.keys() - IMAGE_SUFFIXES):
        absent.setdefault(INSTALL_COMMANDS[_NEEDS[suffix]], []).append(suffix)
    lines = [
        f"To label {', '.join(suffixes)} images, run: {command}"
        for command, suffixes in absent.items()
    ]
    if convertible := sorted(_OTHER_IMAGES & {*endings}):
        lines.append(f"Convert {', '.join(convertible)} to JPEG or PNG to label these images.")
    return lines


def refuse_large(name: str, width: int, height: int, max_pixels: int) -> None:
    """Raise `ImageError` for an image of more than `max_pixels`; `name` is printable."""
    if width * height > max_pixels:
        raise ImageError(
            f"{name}: {width} x {height} pixels are more than the limit of "
            f"{max_pixels:,}. If the file is genuine, raise max_pixels in annotator.toml."
        )
