"""The interface of extractors: pictures in, features out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
"""(height, width, 3) or, for several pictures, (n, height, width, 3): red, green, blue."""


class Extractor(Protocol):
    """A function from pictures to features."""

    @property
    def name(self) -> str:
        """The user's name for it."""

    @property
    def dim(self) -> int:
        """The number of features of a picture."""
        ...

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the pictures that it takes (`ImageSource.resized_pixels`)."""
        ...

    @property
    def batch_size(self) -> int:
        """The best number of pictures for one call."""
        ...

    @property
    def outruns_threads(self) -> bool:
        """True if it takes thousands of pictures a second, more than threads can decode."""
        ...

    def describe(self) -> dict[str, Any]:
        """Return `name` and all else that the features depend on, for meta.json."""
        ...

    def __call__(self, pictures: Pixels | Sequence[Pixels]) -> NDArray[np.float32]:
        """Return the features (n, d) of n pictures; each row depends on its picture alone.

        The pictures may be written over afterwards. An extractor that `outruns_threads` is called
        by two threads at a time.
        """
        ...
