"""Test-time augmentation: a picture as it is, mirrored, and with its contrast stretched."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from PIL import Image, ImageOps

from annotator.detection.detections import Detections

AUGMENTATIONS = ("plain", "flip", "min-max")


def augment_image(picture: Image.Image, augmentation: str) -> Image.Image:
    """The picture of one pass."""
    if augmentation == "flip":
        return ImageOps.mirror(picture)
    return stretch_contrast(picture) if augmentation == "min-max" else picture


def stretch_contrast(picture: Image.Image) -> Image.Image:
    """The darkest value of all channels becomes 0, the brightest 255; one colour stays as it is."""
    low, high = _value_range(picture)
    if high <= low or (low, high) == (0, 255):
        return picture
    scale = 255 / (high - low)
    table = [round(min(255.0, max(0.0, (value - low) * scale))) for value in range(256)]
    return picture.point(table * len(picture.getbands()))


def _value_range(picture: Image.Image) -> tuple[int, int]:
    ranges = np.array(picture.getextrema()).reshape(-1, 2)
    return int(ranges[:, 0].min()), int(ranges[:, 1].max())


def undo_augmentation(
    detections: Detections, augmentation: str, width: float, flip_indices: tuple[int, ...] = ()
) -> Detections:
    """What a pass found, in the pixels of the picture as it is; `width` is the picture's.

    `swaps` says which landmark a mirrored one is: the left eye of a mirrored face is its right
    one.
    """
    if augmentation != "flip":
        return detections
    boxes = detections.boxes.copy()
    boxes[:, [0, 2]] = width - detections.boxes[:, [2, 0]]
    if detections.points is None:
        return replace(detections, boxes=boxes)
    points = detections.points[:, list(flip_indices)] if flip_indices else detections.points.copy()
    points[:, :, 0] = width - points[:, :, 0]
    return replace(detections, boxes=boxes, points=points)
