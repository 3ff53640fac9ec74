"""Faces upright and of one size, as descriptors of faces were trained on.

The landmarks of a face are laid over those of the ArcFace template of 112 x 112 pixels (Deng et
al., CVPR 2019) by the similarity transform with the least squared error: Umeyama, "Least-squares
estimation of transformation parameters between two point patterns" (PAMI 1991).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotator.detection.proposal import strip_file_name
from annotator.errors import ImageError
from annotator.features.decoding import map_pipelined
from annotator.images.decode import MAX_PIXELS, decode_image, open_image

FACE_SIDE = 112
FACE_TEMPLATE = np.array(
    [
        [38.2946, 51.6963],
        [73.5318, 51.5014],
        [56.0252, 71.7366],
        [41.5493, 92.3655],
        [70.7299, 92.2041],
    ]
)
"""(5, 2) the eyes, the nose, the corners of the mouth; the first of each pair at the left."""

Pixels = NDArray[np.uint8]


def fit_similarity(
    points: NDArray[np.floating[Any]], target_points: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Fit the similarity transform (2, 3) from `points` (p, 2) to `target_points` (p, 2).

    It turns, scales and shifts without mirroring. Raises `ValueError` for points that all lie in
    one place.
    """
    start, aim = np.asarray(points, np.float64), target_points
    middle, centre = start.mean(axis=0), aim.mean(axis=0)
    start_offsets, aim_offsets = start - middle, aim - centre
    spread = float((start_offsets**2).sum() / len(start))
    if not np.isfinite(spread) or spread < 1e-9:
        raise ValueError("the landmarks lie in one place")
    left, values, right = np.linalg.svd(aim_offsets.T @ start_offsets / len(start))
    sign = np.array([1.0, np.sign(np.linalg.det(left) * np.linalg.det(right)) or 1.0])
    turn = left @ np.diag(sign) @ right
    scale = float((values * sign).sum()) / spread
    matrix = scale * turn
    return np.column_stack([matrix, centre - matrix @ middle])


def align_face(picture: Pixels, points: NDArray[np.floating[Any]], side: int = FACE_SIDE) -> Pixels:
    """Cut out the face (side, side, 3) with these landmarks (5, 2), black beyond the picture.

    A face larger than the template is made smaller first, because plain interpolation of every
    n-th pixel would be grainy. Raises `ValueError` for landmarks in one place.
    """
    import cv2

    template = FACE_TEMPLATE * (side / FACE_SIDE)
    matrix = fit_similarity(points, template)
    times = int(1 / max(1e-6, float(np.hypot(matrix[0, 0], matrix[1, 0]))))
    if times >= 2:
        picture, points = _shrink_around(picture, np.asarray(points, np.float64), times)
        matrix = fit_similarity(points, template)
    face = cv2.warpAffine(picture, matrix, (side, side), flags=cv2.INTER_LINEAR, borderValue=0)
    return np.asarray(face, np.uint8)


def _shrink_around(
    picture: Pixels, points: NDArray[np.float64], factor: int
) -> tuple[Pixels, NDArray[np.float64]]:
    """Return the part around the landmarks, averaged to a `factor`-th, and the landmarks in it."""
    import cv2

    height, width = picture.shape[:2]
    margin = 2 * float(np.ptp(points, axis=0).max())
    left, top = np.maximum(0, np.floor(points.min(axis=0) - margin)).astype(int)
    right, bottom = np.minimum((width, height), np.ceil(points.max(axis=0) + margin)).astype(int)
    if right - left < factor or bottom - top < factor:
        return picture, points
    size = (right - left) // factor, (bottom - top) // factor
    part = cv2.resize(picture[top:bottom, left:right], size, interpolation=cv2.INTER_AREA)
    scale = np.array(size) / (right - left, bottom - top)
    # The centre of a pixel stays a centre: x' + 0.5 = (x + 0.5) * scale.
    return np.asarray(part, np.uint8), (points - (left, top) + 0.5) * scale - 0.5


# --- the faces of many images, each image decoded once

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
    """Ref of each face that could not be aligned, to the reason."""


def align_faces(
    images: Mapping[str, Sequence[tuple[str, Landmarks]]],
    root: Path,
    *,
    max_pixels: int = MAX_PIXELS,
    workers: int | None = None,
) -> Iterator[AlignedFaces]:
    """Yield the aligned faces of each image below `root`.

    `images` maps a path to the refs of its faces and their landmarks.
    """
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
    """Save each face as a PNG named `name(ref)`, over a file that is there; return the files."""
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for ref, face in zip(faces.refs, faces.faces, strict=True):
        file = folder / f"{name(ref)}.png"
        Image.fromarray(face).save(file)
        files.append(file)
    return files
