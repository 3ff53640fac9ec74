"""The extractors: their interface, pictures in and features out, and one by its name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from annotator.features.weights import default_model
from annotator.images import Pixels


class Extractor(Protocol):
    """A function from pictures to features."""

    @property
    def name(self) -> str:
        """The user's name for the extractor."""

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
        """True if the extractor takes more pictures a second than threads can decode."""
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


def load_extractor(
    model: str | None = None,
    *,
    device: str = "auto",
    dtype: str = "auto",
    batch_size: int | None = None,
) -> Extractor:
    """Load the extractor that `model` names: classic, a short name, a Hugging Face id or a folder.

    None or "auto" means dinov2-small if torch and the weights are here, else classic. A
    `batch_size` of None is chosen by device, and halved when memory runs out.

    Raises `ExtraMissing` or `FeatureError`.
    """
    name = model if model and model != "auto" else default_model()
    if name == "classic":
        from annotator.features.classic import ClassicExtractor

        return ClassicExtractor()
    from annotator.features.backbones import Backbone

    return Backbone(name, device=device, dtype=dtype, batch_size=batch_size)
