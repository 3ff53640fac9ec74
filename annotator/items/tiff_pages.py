"""The pages of a TIFF file: their names, and their places in the file.

The first page is the file itself, `scan.tif`. The others are paths of their own, `scan.tif#page=2`
and so on, so each page is an image, with refs of boxes such as `scan.tif#page=2#xywh=10,20,64,48`.
A page's number is that of its directory in the file; thumbnails and masks are not pages.

A folder of a million files is listed before the first picture, so only two fields of each directory
are read. Pillow and tifffile read all of them.
"""

from __future__ import annotations

import re
import struct
from typing import IO, NamedTuple

from annotator.items.atomic import only_regular

PAGE_MARK = "#page="
"""The text between a TIFF file's path and the number of a page in it."""
TIFF_SUFFIXES = (".tif", ".tiff")
MOST_PAGES = 10_000
"""The most pages of a file that are listed, and the most directories that are looked at."""
_PAGE = re.compile(r"(.+\.tiff?)#page=([1-9]\d{0,5})", re.IGNORECASE | re.DOTALL)
_DIRECTORY_BYTES = 1024
_SUBFILE_TYPE, _REDUCED_OR_MASK = 254, 0b101


def split_page(path: str) -> tuple[str, int]:
    """Return the file of an image's path, and its page, from 1.

    Only a TIFF file has pages: in another path the mark is a part of the name.
    """
    found = _PAGE.fullmatch(path) if PAGE_MARK in path else None
    return (found[1], int(found[2])) if found else (path, 1)


def page_path(path: str, page: int) -> str:
    """Return the path of a page; that of the first is the file's own."""
    return path if page == 1 else f"{path}{PAGE_MARK}{page}"


class TiffDirectory(NamedTuple):
    """One directory of a TIFF file."""

    number: int
    """From 1."""
    offset: int
    is_page: bool
    """False for a smaller copy of another image, or a mask."""


class TiffDirectories(NamedTuple):
    """The directories of a TIFF file, and whether there are more."""

    found: list[TiffDirectory]
    cut: bool
    """True if the file has more directories than were looked at."""


def read_directories(file: IO[bytes], most: int = MOST_PAGES) -> TiffDirectories:
    """Return up to `most` directories of an open TIFF file; none if it is not one.

    A chain that is cut short, or leads back to an earlier directory, ends there.
    """
    file.seek(0)
    form = _header_form(file.read(16))
    if form is None:
        return TiffDirectories([], False)
    order, is_big, offset = form
    found: list[TiffDirectory] = []
    seen: set[int] = set()
    while offset and offset not in seen:
        if len(found) == most:
            return TiffDirectories(found, True)
        seen.add(offset)
        try:
            is_page, following = _read_directory(file, offset, order, is_big)
        except (struct.error, OSError, ValueError, OverflowError):
            break
        found.append(TiffDirectory(len(found) + 1, offset, is_page))
        offset = following
    return TiffDirectories(found, False)


def _header_form(head: bytes) -> tuple[str, bool, int] | None:
    """Return the byte order, whether the file is a BigTIFF, and the first directory's offset."""
    order = {b"II": "<", b"MM": ">"}.get(head[:2])
    if order is None or len(head) < 8:
        return None
    (version,) = struct.unpack(f"{order}H", head[2:4])
    if version == 42:
        return order, False, struct.unpack(f"{order}I", head[4:8])[0]
    if version == 43 and len(head) == 16:
        return order, True, struct.unpack(f"{order}Q", head[8:16])[0]
    return None


def _read_directory(file: IO[bytes], offset: int, order: str, is_big: bool) -> tuple[bool, int]:
    """Return whether a directory is that of a page, and the offset of the next one."""
    count_form, entry_size, link_form = ("Q", 20, "Q") if is_big else ("H", 12, "I")
    file.seek(offset)
    data = file.read(_DIRECTORY_BYTES)  # most directories are shorter
    (count,) = struct.unpack_from(order + count_form, data)
    if not 0 < count <= 0xFFFF:
        raise ValueError(count)
    start = struct.calcsize(order + count_form)
    is_page = True
    for at in (start, start + entry_size)[:count]:  # tags ascend: it is in front
        tag, kind = struct.unpack_from(f"{order}HH", data, at)
        if tag == _SUBFILE_TYPE:
            form = "H" if kind == 3 else "I"
            (value,) = struct.unpack_from(order + form, data, at + (12 if is_big else 8))
            is_page = not value & _REDUCED_OR_MASK
    end = start + count * entry_size
    if end + struct.calcsize(order + link_form) > len(data):
        file.seek(offset + end)
        data, end = file.read(struct.calcsize(order + link_form)), 0
    return is_page, struct.unpack_from(order + link_form, data, end)[0]


def later_pages(file: str) -> tuple[list[int], bool]:
    """Return the numbers of a TIFF file's pages after the first, and whether there are more.

    A file that cannot be read has none.
    """
    try:
        with open(file, "rb", buffering=0, opener=only_regular) as opened:  # noqa: PTH123
            directories = read_directories(opened)
    except (OSError, ValueError):
        return [], False
    pages = [one.number for one in directories.found[1:] if one.is_page]
    return pages, directories.cut
