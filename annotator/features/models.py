"""Extractors by name."""

from __future__ import annotations

from annotator.features.extractor import Extractor
from annotator.features.weights import default_model


def load_extractor(
    model: str | None = None,
    *,
    device: str = "auto",
    dtype: str = "auto",
    batch_size: int | None = None,
) -> Extractor:
    """Load the extractor that `model` names: classic, a short name, a Hugging Face id or a folder.

    None or "auto" is dinov2-small if torch and its weights are here, else classic. A `batch_size`
    of None is chosen by device, and halved when memory runs out.

    Raises `ExtraMissing` or `FeatureError`.
    """
    name = model if model and model != "auto" else default_model()
    if name == "classic":
        from annotator.features.classic import ClassicExtractor

        return ClassicExtractor()
    from annotator.features.backbones import Backbone

    return Backbone(name, device=device, dtype=dtype, batch_size=batch_size)
