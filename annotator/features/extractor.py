"""What turns pictures into features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]
"""(height, width, 3) or, for several pictures, (n, height, width, 3): red, green, blue."""


class Extractor(Protocol):
    """Features of pictures, in two steps: `prepare` in many threads, the call in one."""

    @property
    def name(self) -> str: ...

    @property
    def dim(self) -> int:
        """How many numbers describe a picture."""
        ...

    @property
    def size(self) -> tuple[int, int]:
        """The width and height that pictures are cropped to; none need be larger."""
        ...

    @property
    def batch_size(self) -> int:
        """How many pictures one call takes best."""
        ...

    def describe(self) -> dict[str, Any]:
        """`name` and all else that the features depend on; goes into meta.json."""
        ...

    def prepare(self, image: Image.Image) -> Pixels:
        """An upright RGB image as the pixels that the call takes. Thread-safe."""
        ...

    def __call__(self, pictures: Sequence[Pixels]) -> NDArray[np.float32]:
        """(n, d) the features of prepared pictures; each row is its picture's alone."""
        ...


def squashed(image: Image.Image, size: tuple[int, int]) -> Pixels:
    """All of the image at exactly `size`: what lies at its edges matters, its aspect little."""
    if image.size != size:
        image = image.resize(size, Image.Resampling.BICUBIC, reducing_gap=3.0)
    return np.asarray(image)
