"""A detector over many images: threads decode while the network works, and answers are kept.

The detector looks at each image in one or more passes (plain, mirrored, stretched), each pass whole
or in tiles. An image that it answered before, with the same options, is not asked again.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

from PIL import Image

from annotator.detection.detections import Detections, clean_detections
from annotator.detection.detectors import Detector, PreparedImage
from annotator.detection.passes import (
    DetectionPasses,
    ImageTile,
    augment_image,
    merge_tiles,
    undo_augmentation,
)
from annotator.detection.proposal import strip_file_name
from annotator.detection.results import DetectionCache, FileStamp, ImageDetections, stamp_file
from annotator.errors import AnnotatorError, ImageError
from annotator.features.decoding import map_pipelined
from annotator.features.pipeline import ExtractionProgress, ExtractionReport, ProgressCounter
from annotator.images.decode import MAX_PIXELS, decode_image, open_image

_MAX_ASPECT = 50
_MIN_SIDE = 32
_MAX_SIDE = 2560
"""Pixels: no network's input is longer, but some processors pad a thin image to a square first."""


@dataclass(frozen=True, slots=True)
class _View:
    """One picture for the network: a tile of a pass of an image."""

    augmentation: str
    tile: ImageTile
    prepared: PreparedImage


@dataclass(slots=True)
class _Image:
    """An image on its way through the network."""

    path: str
    size: tuple[int, int] = (0, 0)
    stamp: FileStamp = (0, 0)
    fault: str | None = None
    views: list[_View] = field(default_factory=list)
    found: list[tuple[_View, Detections]] = field(default_factory=list)
    pending_views: int = 0


def detect_images(
    paths: Sequence[str],
    root: Path,
    detector: Detector,
    results: DetectionCache,
    passes: DetectionPasses,
    *,
    max_pixels: int = MAX_PIXELS,
    workers: int | None = None,
    progress: Callable[[ExtractionProgress], None] = lambda _: None,
    stop: Callable[[], bool] = lambda: False,
    clock: Callable[[], float] = monotonic,
) -> ExtractionReport:
    """Detect in each image below `root` that `results` lacks, and add the answers to it.

    Images that cannot be read, or for which the model gives NaN, are left out and named in the
    report, and the next run tries them again.
    """
    todo = [path for path in paths if not results.has_answer(path, stamp_file(root / path))]
    tally = ProgressCounter(len(paths) - len(todo), len(todo), clock)
    progress(tally.progress())
    threads = workers or min(32, len(os.sched_getaffinity(0)))

    def read(path: str) -> _Image:
        return _read_image(path, root, detector, passes, max_pixels)

    # A large image in tiles is a hundred pictures: then memory holds no more than three.
    ahead = 2 if passes.tile else threads + detector.batch_size
    images = map_pipelined(ThreadPoolExecutor(threads), read, todo, ahead)
    for image in _detect_batches(images, detector):
        if image.fault is not None:
            tally.count_broken(image.path, image.fault)
        else:
            results.add([(_merge_views(image, detector), image.stamp)])
            tally.count(1)
        progress(tally.progress())
        if stop():
            return tally.report(complete=False)
    progress(tally.progress())
    return tally.report(complete=True)


# --- reading: runs in several threads


def _read_image(
    path: str, root: Path, detector: Detector, passes: DetectionPasses, max_pixels: int
) -> _Image:
    try:
        with open_image(root / path, max_pixels) as (source, found):
            size = source.size
            parts = passes.tiles(size)
            # Tiles need every pixel; the network's own input is smaller than most images.
            shrink = detector.shrink(size) if len(parts) == 1 else 1.0
            picture, _ = decode_image(source, min(1.0, shrink))
        image = _Image(path, size, (found.st_size, found.st_mtime_ns))
        for how in passes.augment:
            changed = augment_image(picture, how)
            image.views += [_prepare_view(changed, how, part, size, detector) for part in parts]
    except ImageError as error:
        return _Image(path, fault=strip_file_name(error, root / path))
    except Exception as error:  # whatever a model's code raises
        return _Image(path, fault=f"cannot be prepared for {detector.name}: {error}")
    image.pending_views = len(image.views)
    return image


def _prepare_view(
    picture: Image.Image,
    augmentation: str,
    tile: ImageTile,
    size: tuple[int, int],
    detector: Detector,
) -> _View:
    whole = tile.size == size
    cut = picture if whole else picture.crop((tile.left, tile.top, tile.right, tile.bottom))
    if max(cut.size) > _MAX_SIDE:
        cut = cut.copy()
        cut.thumbnail((_MAX_SIDE, _MAX_SIDE), Image.Resampling.BILINEAR)
    padded = _pad_thin_image(cut)
    across, down = tile.size[0] / cut.width, tile.size[1] / cut.height
    room = round(padded.width * across), round(padded.height * down)
    return _View(augmentation, tile, detector.prepare(padded, room))


def _pad_thin_image(picture: Image.Image) -> Image.Image:
    """Pad a thin or tiny picture with grey, at its right and below, so every processor takes it."""
    least = max(_MIN_SIDE, -(-max(picture.size) // _MAX_ASPECT))
    if min(picture.size) >= least:
        return picture
    room = Image.new("RGB", (max(picture.width, least), max(picture.height, least)), (128,) * 3)
    room.paste(picture)
    return room


# --- answering


def _detect_batches(images: Iterable[_Image], detector: Detector) -> Iterator[_Image]:
    """Yield the images with their detections, about in order; faulty ones as they come."""
    batches = _batches(images, detector)
    pool = ThreadPoolExecutor(detector.threads)

    def work(batch: _Batch) -> _Batch:
        batch.found = _detect_guarded(detector, [view.prepared for _, view in batch.views])
        return batch

    for batch in map_pipelined(pool, work, batches, detector.threads):
        yield from batch.faulty
        for (image, view), found in zip(batch.views, batch.found, strict=True):
            if isinstance(found, str):
                image.fault = found
            else:
                image.found.append((view, found))
            image.pending_views -= 1
            if not image.pending_views:
                yield image


def _detect_guarded(detector: Detector, views: Sequence[PreparedImage]) -> list[Detections | str]:
    """Detect in a batch; if the model's code fails, in each view alone, to find the faulty one.

    Raises `FeatureError`, which holds for all images.
    """
    try:
        return detector.detect(views)
    except AnnotatorError:
        raise
    except Exception as error:  # whatever a model's code raises
        if len(views) == 1:
            return [f"{detector.name} fails ({type(error).__name__}: {error})"]
        return [found for view in views for found in _detect_guarded(detector, [view])]


@dataclass(slots=True)
class _Batch:
    views: list[tuple[_Image, _View]]
    faulty: list[_Image]
    found: list[Detections | str] = field(default_factory=list)


def _batches(images: Iterable[_Image], detector: Detector) -> Iterator[_Batch]:
    views: list[tuple[_Image, _View]] = []
    faulty: list[_Image] = []
    for image in images:
        if image.fault is not None:
            faulty.append(image)
        views += [(image, view) for view in image.views]
        image.views = []
        while len(views) >= detector.batch_size:
            size = detector.batch_size
            yield _Batch(views[:size], faulty)
            views, faulty = views[size:], []
    if views or faulty:
        yield _Batch(views, faulty)


def _merge_views(image: _Image, detector: Detector) -> ImageDetections:
    """Merge all views of an image: join tiles, undo augmentations, leave out faulty boxes."""
    passes: dict[str, Detections] = {}
    left_out: dict[str, int] = {}
    for how in dict.fromkeys(view.augmentation for view, _ in image.found):
        parts = []
        for view, found in image.found:
            if view.augmentation == how:
                good, reasons = clean_detections(found, view.tile.size)
                parts.append((view.tile, good))
                for reason, count in reasons.items():
                    left_out[reason] = left_out.get(reason, 0) + count
        merged = merge_tiles(parts, image.size)
        passes[how] = undo_augmentation(merged, how, image.size[0], detector.flip_indices)
    return ImageDetections(image.path, image.size, passes, left_out)
