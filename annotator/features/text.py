"""Text in the space of the pictures: the text half of SigLIP networks.

SigLIP (Zhai et al. 2023, arXiv:2303.15343) and SigLIP2 (Tschannen et al. 2025, arXiv:2502.14786)
are trained so that a picture's pooled features lie near those of a text that describes it, by
cosine. Of all extractors here only theirs can be searched with words.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotator.errors import ExtraMissing, FeatureError
from annotator.features.weights import (
    find_weights,
    opening_fault,
    require_package,
    require_tokenizer,
)
from annotator.items.refs import make_printable

_TOWERS = {"siglip": "SiglipTextModel", "siglip2": "Siglip2TextModel"}


class TextTower:
    """The text half of the network that computed a project's features."""

    def __init__(self, name: str) -> None:
        """Load the text half of the extractor `name`: a short name, a Hugging Face id or a folder.

        Raises `FeatureError` if it has no text half that belongs to its pictures, `ExtraMissing`
        for absent packages or weights.
        """
        self._torch = require_package("torch")
        transformers = require_package("transformers")
        folder = find_weights(name)
        transformers.utils.logging.set_verbosity_error()
        transformers.utils.logging.disable_progress_bar()
        kind, self._length = _tower_kind(transformers, folder, name)
        tower = getattr(transformers, _TOWERS[kind])
        require_tokenizer(folder, name)
        try:
            self._model, info = tower.from_pretrained(
                folder, use_safetensors=True, output_loading_info=True, trust_remote_code=False
            )
            self._tokenizer = transformers.AutoTokenizer.from_pretrained(
                folder, trust_remote_code=False
            )
        except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
            raise ExtraMissing(
                f"The text half of {make_printable(name)} does not open "
                f"({opening_fault(error)}). Fetch all of it: hf download {make_printable(name)}"
            ) from error
        if info["missing_keys"]:
            raise FeatureError(f"{folder} lacks the weights of its text half. Fetch it again.")
        self._model.eval()

    def __call__(self, text: str) -> NDArray[np.float32]:
        """Return the features (d,) of a text.

        The network was trained on lower case, and on texts padded to one length.
        """
        tokens = self._tokenizer(
            [text.lower()], padding="max_length", max_length=self._length, truncation=True,
            return_tensors="pt",
        )  # fmt: skip
        with self._torch.inference_mode():
            found = self._model(input_ids=tokens["input_ids"]).pooler_output
        return np.asarray(found[0].float().numpy(), np.float32)


def _tower_kind(transformers: Any, folder: Path, name: str) -> tuple[str, int]:
    """Return the family of a checkpoint, and the length of its texts in tokens."""
    try:
        config = transformers.AutoConfig.from_pretrained(folder, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise FeatureError(f"{folder} does not open as a model ({opening_fault(error)})") from error
    if config.model_type not in _TOWERS:
        raise FeatureError(explain_no_text(name))
    return config.model_type, int(config.text_config.max_position_embeddings)


def explain_no_text(name: str, folder: str = "PROJECT") -> str:
    """Return why words find nothing among the features of `name`, and the remedy."""
    return (
        f"Words cannot be searched for among features of {make_printable(name)}. That takes the "
        f"text half of SigLIP2. Compute its features: annotator features {folder} "
        "--model siglip2-base --replace"
    )
