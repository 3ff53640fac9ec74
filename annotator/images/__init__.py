"""Images as they are to be seen: decoded safely, upright, in RGB, cropped around a box."""

from __future__ import annotations

from annotator.images.crops import Crop, ImageFolder, ImageSource, Pixels, draw_box
from annotator.items.image_kinds import MAX_PIXELS

__all__ = [
    "MAX_PIXELS",
    "Crop",
    "ImageFolder",
    "ImageSource",
    "Pixels",
    "draw_box",
]
