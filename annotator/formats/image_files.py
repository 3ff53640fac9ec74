"""Image files in an export's folder: linked, copied or cropped, under names that stay inside it."""

from __future__ import annotations

import os
import re
import shutil
from collections import Counter
from pathlib import Path, PurePosixPath

from annotator.errors import ImageError, ProjectError
from annotator.formats.source import ExportRecord, ExportSource
from annotator.images.decode import DAMAGED, open_image
from annotator.items.refs import make_printable
from annotator.items.tiff_pages import split_page

IMAGE_MODES = ("symlink", "copy", "none")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_LARGEST = (1 << 16, 1 << 16)
_LOSSLESS = (".png", ".bmp", ".tif", ".tiff", ".gif")


def sanitize_path(path: str) -> str:
    """Return `path` without parts that lead out of a folder, and without control characters."""
    parts = [part for part in PurePosixPath(path).parts if part not in ("/", "//", "..", ".")]
    return _CONTROL.sub("_", "/".join(parts)) or "_"


def flatten_path(path: str) -> str:
    """Return `a/b.jpg` as `a__b.jpg`, for formats whose folders have a meaning."""
    return sanitize_path(path).replace("/", "__")


def name_page(path: str) -> str:
    """Return `scan-page2.tif` for `scan.tif#page=2`: a name for a file with that page alone."""
    plain, page = split_page(path)
    if page == 1:
        return path
    stem, suffix = os.path.splitext(plain)  # noqa: PTH122 - a Path would drop a trailing dot
    return f"{stem}-page{page}{suffix}"


class ImageExporter:
    """The image files of one export, each under a free name."""

    def __init__(self, source: ExportSource, place: Path, *, stems: bool = False) -> None:
        """Bind to a folder; `stems` keeps names apart without their suffix, for `stem.txt`."""
        self._source, self._place, self._stems = source, place, stems
        self._taken: Counter[str] = Counter()
        self._folders: set[Path] = set()

    def place_image(self, path: str, wanted_name: str) -> str | None:
        """Link or copy an image, and return the name it got; None, with a note, for a lost file.

        A page of a TIFF file after the first is written as a file of its own.
        """
        name = self.make_unique_name(name_page(wanted_name))
        plain, page = split_page(path)
        origin = self._source.images.root / plain
        if self._source.options.images == "none":
            return name
        if not os.access(origin, os.R_OK) or not origin.is_file():
            self._source.note(
                f"left out: {make_printable(str(origin))}: is not a file, or cannot be read"
            )
            return None
        target = self._made(name)
        if page > 1:
            return name if self._write_page(path, target) else None
        if self._source.options.images == "symlink":
            target.symlink_to(origin.resolve())
        else:
            shutil.copyfile(origin, target)
        return name

    def _write_page(self, path: str, target: Path) -> bool:
        """Write a page with its values as they are; False, with a note, for a broken one."""
        images = self._source.images
        try:
            with open_image(images.root / path, images.max_pixels) as (source, _):
                source.image.save(target, "TIFF", compression="tiff_adobe_deflate")
        except ImageError as error:
            self._source.note(f"left out: {make_printable(str(error))}")
            return False
        except DAMAGED as error:
            why = make_printable(str(error)) or type(error).__name__
            self._source.note(f"left out: {make_printable(path)}: cannot be written anew ({why})")
            return False
        return True

    def place_crop(self, record: ExportRecord, wanted_name: str) -> str | None:
        """Write a box, with context, and return its name; None, with a note, for a broken image."""
        if record.item.box is None:
            return self.place_image(record.item.path, wanted_name)
        stem, suffix = os.path.splitext(name_page(wanted_name))  # noqa: PTH122 - a Path would drop a trailing dot
        box = "_".join(f"{value:g}" for value in record.item.box)
        lossless = suffix.lower() in _LOSSLESS
        name = self.make_unique_name(f"{stem}_{box}{'.png' if lossless else '.jpg'}")
        try:
            crop = self._source.images.crop(record.item, _LARGEST, self._source.options.context)
        except ImageError as error:
            self._source.note(f"left out: {error}")
            return None
        crop.image.save(self._made(name), quality=95)
        return name

    def make_unique_name(self, name: str) -> str:
        """Return `name`, or a similar one if it is taken."""
        folder, _, base = name.rpartition("/")
        if len(base.encode()) > 200:
            stem, suffix = base[:60], PurePosixPath(base).suffix[-10:]
            base = f"{stem}-{len(base)}{suffix}"
        stem, suffix = PurePosixPath(base).stem, PurePosixPath(base).suffix
        lead = f"{folder}/" if folder else ""
        tried = f"{lead}{stem}{suffix}"
        while self._taken[self._key(tried)]:
            self._taken[self._key(f"{lead}{stem}{suffix}")] += 1
            tried = f"{lead}{stem}-{self._taken[self._key(f'{lead}{stem}{suffix}')]}{suffix}"
        self._taken[self._key(tried)] += 1
        return tried

    def _key(self, name: str) -> str:
        return os.path.splitext(name)[0] if self._stems else name  # noqa: PTH122

    def _made(self, name: str) -> Path:
        target = self._place / name
        if target.parent not in self._folders:
            target.parent.mkdir(parents=True, exist_ok=True)
            self._folders.add(target.parent)
        return target


def require_crops(source: ExportSource, format_title: str) -> None:
    """Raise `ProjectError` if the project has boxes and `--crop` was not given."""
    if source.has_boxes and not source.options.crop:
        raise ProjectError(
            f"{format_title} holds one class for each image file, and this project labels boxes. "
            "Give --crop to write each box as an image, and --context 0.25 for some surroundings."
        )


def require_boxes(source: ExportSource, format_title: str, other: str) -> None:
    """Raise `ProjectError` if the project has no box; `other` is a format for whole images."""
    if len(source.refs) and not source.has_boxes:
        raise ProjectError(
            f"{format_title} holds boxes, and this project has none. For classes of whole images "
            f"give --format {other}."
        )
