"""Aligned faces and their descriptors, image by image: each image is decoded once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from annotator.detection.align import Pixels, align_face
from annotator.detection.proposal import strip_file_name
from annotator.errors import ImageError
from annotator.features.decoding import map_pipelined
from annotator.images.decode import MAX_PIXELS, decode_image, open_image

Landmarks = NDArray[np.float64]
"""(5, 2) in pixels of the upright image."""


@dataclass(frozen=True, slots=True)
class AlignedFaces:
    """The faces of one image, upright and of one size."""

    path: str
    refs: tuple[str, ...]
    faces: NDArray[np.uint8]
    """(n, 112, 112, 3) RGB."""
    faults: dict[str, str]
    """Ref to why there is no such face."""


def align_faces(
    images: Mapping[str, Sequence[tuple[str, Landmarks]]],
    root: Path,
    *,
    max_pixels: int = MAX_PIXELS,
    workers: int | None = None,
) -> Iterator[AlignedFaces]:
    """The faces of each image below `root`: path to its refs and their landmarks."""
    threads = workers or min(32, len(os.sched_getaffinity(0)))

    def read(path: str) -> AlignedFaces:
        return _read_faces(path, images[path], root, max_pixels)

    yield from map_pipelined(ThreadPoolExecutor(threads), read, images, 2 * threads)


def _read_faces(
    path: str, landmarks: Sequence[tuple[str, Landmarks]], root: Path, max_pixels: int
) -> AlignedFaces:
    try:
        with open_image(root / path, max_pixels) as (source, _):
            picture = np.asarray(decode_image(source)[0])
    except ImageError as error:
        why = strip_file_name(error, root / path)
        return AlignedFaces(
            path, (), np.zeros((0, 0, 0, 3), np.uint8), {ref: why for ref, _ in landmarks}
        )
    refs: list[str] = []
    faces: list[Pixels] = []
    faults: dict[str, str] = {}
    for ref, points in landmarks:
        try:
            faces.append(align_face(picture, points))
            refs.append(ref)
        except ValueError as error:
            faults[ref] = str(error)
    stacked = np.stack(faces) if faces else np.zeros((0, 0, 0, 3), np.uint8)
    return AlignedFaces(path, tuple(refs), stacked, faults)


def save_face_crops(faces: AlignedFaces, folder: Path, name: Callable[[str], str]) -> list[Path]:
    """Each face as a PNG named by `name(ref)`; existing files give way."""
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for ref, face in zip(faces.refs, faces.faces, strict=True):
        file = folder / f"{name(ref)}.png"
        Image.fromarray(face).save(file)
        files.append(file)
    return files
