"""What turns pictures into features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
"""(height, width, 3) or, for several pictures, (n, height, width, 3): red, green, blue."""


class Extractor(Protocol):
    """Features of pictures."""

    @property
    def name(self) -> str: ...

    @property
    def dim(self) -> int:
        """How many numbers describe a picture."""
        ...

    @property
    def size(self) -> tuple[int, int]:
        """The width and height of the pictures that the call takes (`Folder.squeezed`)."""
        ...

    @property
    def batch_size(self) -> int:
        """How many pictures one call takes best."""
        ...

    @property
    def outruns_threads(self) -> bool:
        """Whether it takes thousands of pictures a second, more than threads can decode."""
        ...

    def describe(self) -> dict[str, Any]:
        """`name` and all else that the features depend on; goes into meta.json."""
        ...

    def __call__(self, pictures: Pixels | Sequence[Pixels]) -> NDArray[np.float32]:
        """(n, d) the features of n pictures; each row is its picture's alone.

        The pictures may be written over when this returns. An extractor that `outruns_threads`
        is called by two threads at a time.
        """
        ...
