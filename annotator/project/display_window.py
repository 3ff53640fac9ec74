"""The range of values that images of more than eight bits are shown by: one for a set of images.

A range of each image's own would change from frame to frame of one camera. So the range comes from
the setting `window`, else from the file (DICOM), else from a sample of the project's images of the
same kind and size. The last is computed once and kept in `.cache/window.json`; delete the file to
have it computed anew. Features never depend on it.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from annotator.errors import AnnotatorError
from annotator.images.contrast import Range, fit_window, robust_range
from annotator.images.decode import EncodedImage, decode_values, open_image
from annotator.items.atomic import read_file, write_atomically
from annotator.items.listing import SkippedFiles
from annotator.items.refs import split_ref
from annotator.items.tiff_pages import split_page
from annotator.project.item_pool import stream_refs
from annotator.project.project import ProjectFolder

LEAST = 3
"""The fewest images of a kind and size that make a range of their own, and one that is kept."""
MOST_DECODED, MOST_PIXELS = 16, 60_000_000
"""The most images, and pixels, that are decoded for a range."""
_OPENED, _ROWS, _SIBLINGS = 64, 4_000, 5_000


class ImageKind(NamedTuple):
    """A group of images that are shown by one range."""

    name: str
    """The format and the mode of its pixels."""
    size: tuple[int, int] | None
    """Width and height; None for a range of images of many sizes."""


class SetWindow:
    """The ranges of a project's images, each found when an image of its kind is first shown."""

    def __init__(self, project: ProjectFolder) -> None:
        self._project = project
        self._lock = threading.Lock()
        self._known: dict[ImageKind, Range] = {}

    def __call__(self, path: str, source: EncodedImage, values: Image.Image) -> Range:
        """Return the range for the image at `path`, whose values are in mode F."""
        if self._project.settings.window is not None:
            return self._project.settings.window
        own = source.image.info.get("window")
        if own is not None:
            return float(own[0]), float(own[1])
        kind = _kind(source)
        with self._lock:
            return self._find(kind) or self._derive(path, kind, values)

    def _find(self, kind: ImageKind) -> Range | None:
        if not self._known:
            self._known = _read_kept(self._file)
        return self._known.get(kind) or self._known.get(kind._replace(size=None))

    @property
    def _file(self) -> Path:
        return self._project.folder / ".cache" / "window.json"

    def _derive(self, path: str, kind: ImageKind, values: Image.Image) -> Range:
        """Find the range of a kind from a sample of its images, and keep it."""
        sample = [(kind.size, robust_range(np.asarray(values))), *self._sample(path, kind)]
        same = [found for size, found in sample if size == kind.size]
        if len(same) < LEAST:
            kind, same = kind._replace(size=None), [found for _, found in sample]
        window = fit_window(same, real=kind.name.endswith(" F") and "DICOM" not in kind.name)
        self._known[kind] = window
        if len(same) >= LEAST:
            kept = {kind: window} | _read_kept(self._file)  # what another process kept first stays
            self._known |= kept
            _write_kept(self._file, kept)
        return self._known[kind]

    def _sample(self, path: str, kind: ImageKind) -> list[tuple[tuple[int, int] | None, Range]]:
        """Return size and robust range of other images of a kind."""
        found: list[tuple[tuple[int, int] | None, Range]] = []
        room, used = MOST_PIXELS, {path}
        for candidates in (self._pool(path), self._siblings(path)):
            if len(found) >= LEAST - 1:
                break
            for other in _spread(candidates, _OPENED):
                if other in used or len(found) == MOST_DECODED or room <= 0:
                    continue
                used.add(other)
                measured = self._measure(other, kind.name)
                if measured is not None:
                    found.append(measured)
                    room -= math.prod(measured[0])
        return found

    def _measure(self, path: str, name: str) -> tuple[tuple[int, int], Range] | None:
        """Return size and robust range of an image; None if it is of another kind, or broken."""
        limit = self._project.settings.max_pixels
        try:
            with open_image(self._project.images / path, limit) as (source, _):
                if _kind(source).name != name or source.image.info.get("window") is not None:
                    return None
                values, _ = decode_values(source)
                return source.size, robust_range(np.asarray(values))
        except (AnnotatorError, OSError):
            return None

    def _pool(self, path: str) -> list[str]:
        """Return images of the project with the ending of `path`, spread over its items."""
        refs: list[str] = []
        with contextlib.suppress(AnnotatorError, OSError):
            for batch in stream_refs(self._project, SkippedFiles()):
                refs += _spread(batch, _ROWS)
                if len(refs) >= _ROWS:
                    break
        return _alike((split_ref(ref)[0] for ref in refs), path)

    def _siblings(self, path: str) -> list[str]:
        """Return images of the folder of `path` with its ending."""
        folder, slash, _ = split_page(path)[0].rpartition("/")
        with contextlib.suppress(OSError), os.scandir(self._project.images / folder) as entries:
            names = sorted(entry.name for entry in islice(entries, _SIBLINGS))
            return _alike((f"{folder}{slash}{name}" for name in names), path)
        return []


def _kind(source: EncodedImage) -> ImageKind:
    return ImageKind(f"{source.image.format} {source.image.mode}", source.size)


def _spread(items: Sequence[str], most: int) -> list[str]:
    """Return up to `most` of the items, spread evenly."""
    step = max(1, -(-len(items) // most))
    return [items[place] for place in range(0, len(items), step)]


def _alike(paths: Iterable[str], path: str) -> list[str]:
    """Return the distinct paths with the ending of `path`."""
    ending = Path(split_page(path)[0]).suffix.lower()
    return [
        *dict.fromkeys(other for other in paths if split_page(other)[0].lower().endswith(ending))
    ]


# --- the file of the ranges


def _read_kept(file: Path) -> dict[ImageKind, Range]:
    """Return the kept ranges; a damaged file has none."""
    try:
        return dict(_parse_rows(json.loads(read_file(file))))
    except (OSError, ValueError, TypeError, ArithmeticError, RecursionError):
        return {}


def _parse_rows(rows: list[tuple[str, list[int] | None, float, float]]) -> Iterator[
    tuple[ImageKind, Range]
]:  # fmt: skip
    for name, size, low, high in rows:
        window = float(low), float(high)
        if all(map(math.isfinite, window)) and window[0] < window[1]:
            across, down = size or (0, 0)
            yield ImageKind(str(name), (int(across), int(down)) if size else None), window


def _write_kept(file: Path, kept: dict[ImageKind, Range]) -> None:
    rows = [[kind.name, kind.size and list(kind.size), *window] for kind, window in kept.items()]
    with contextlib.suppress(OSError):  # without the file the next start computes them again
        file.parent.mkdir(exist_ok=True)
        write_atomically(file, json.dumps(rows).encode())
