"""Images as they are to be seen: decoded safely, upright, in RGB, cropped around a box."""

from __future__ import annotations

from annotator.images.crops import Crop, ImageFolder, ImageSource, draw_box
from annotator.images.decode import MAX_PIXELS
from annotator.items.listing import IMAGE_SUFFIXES

__all__ = ["IMAGE_SUFFIXES", "MAX_PIXELS", "Crop", "ImageFolder", "ImageSource", "draw_box"]
