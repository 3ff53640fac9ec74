"""Networks for pictures and text that put both into one space: CLIP, SigLIP and their kin.

Any checkpoint that transformers opens with text and image features is one (CLIP: Radford et al.
2021, arXiv:2103.00020; SigLIP: Zhai et al. 2023, arXiv:2303.15343; MetaCLIP 2: Chuang et al. 2025,
arXiv:2507.22062).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotator.errors import ExtraMissing, FeatureError
from annotator.features.backbones import Backbone
from annotator.features.weights import (
    MODELS,
    find_weights,
    opening_errors,
    opening_fault,
    require_package,
    require_tokenizer,
)
from annotator.items.json_text import parse_json
from annotator.items.refs import make_printable

_AT_ONCE = 64
_USUAL_LENGTH = 64
_KNOWN = {name: found for name, found in MODELS.items() if name.startswith("siglip")}
_THEN = "Then run the same command again."


class PairedTowers(Backbone):
    """Both halves of such a network: an extractor for pictures, and `texts` for words."""

    def __init__(
        self,
        name: str,
        *,
        device: str = "auto",
        dtype: str = "auto",
        batch_size: int | None = None,
    ) -> None:
        """Load both halves of `name`: a short name, a Hugging Face id or a folder.

        Raises `ExtraMissing` for absent packages or weights, `FeatureError` for a network that
        does not know words.
        """
        if name == "classic" or name in MODELS.keys() - _KNOWN.keys():  # before any download
            raise FeatureError(f"{name} knows no words. {TAKE_SIGLIP}")
        folder = find_weights(name, _KNOWN, _THEN)
        if not knows_words(folder):
            raise FeatureError(f"{make_printable(name)} knows no words. {TAKE_SIGLIP}")
        require_tokenizer(folder, name)
        super().__init__(name, device=device, dtype=dtype, batch_size=batch_size)
        self._tokenizer = _load_tokenizer(folder, name)

    def _load(self, folder: Path, name: str) -> tuple[Any, str]:
        transformers = require_package("transformers")
        transformers.utils.logging.set_verbosity_error()
        transformers.utils.logging.disable_progress_bar()
        try:
            model, info = transformers.AutoModel.from_pretrained(
                folder, output_loading_info=True, trust_remote_code=False
            )
        except opening_errors() as error:
            raise FeatureError(
                f"{make_printable(name)} does not open as a network for pictures and text "
                f"({opening_fault(error)}). {TAKE_SIGLIP}"
            ) from error
        if info["missing_keys"] or not hasattr(model, "get_text_features"):
            raise FeatureError(f"{make_printable(name)} lacks its text half. {TAKE_SIGLIP}")
        return model, "paired"

    def _vectors(self, arguments: dict[str, Any]) -> Any:
        return _embedding(self._model.get_image_features(**arguments))

    def shares_space(self, extractor: Mapping[str, Any]) -> bool:
        """Return whether features of `extractor` (see `describe`) lie in the space of the texts.

        The pooled features of SigLIP do. Those of CLIP have to be projected first.
        """
        siglip = self._model.config.model_type.startswith("siglip")
        same = extractor.get("weights") == self.describe()["weights"]
        return bool(siglip and same and extractor.get("output") == "pooled")

    def texts(self, prompts: Sequence[str]) -> NDArray[np.float32]:
        """Return the features (k, e) of k texts, as unit rows."""
        found = []
        for start in range(0, len(prompts), _AT_ONCE):
            tokens = self._tokens(list(prompts[start : start + _AT_ONCE]))
            with self._torch.inference_mode():
                vectors = _embedding(self._model.get_text_features(**tokens)).float()
            found.append(vectors.cpu().numpy())
        vectors = np.concatenate(found)
        return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)

    def _tokens(self, prompts: list[str]) -> dict[str, Any]:
        config = self._model.config
        length = int(getattr(config.text_config, "max_position_embeddings", _USUAL_LENGTH))
        siglip = config.model_type.startswith("siglip")
        if siglip:  # trained on lower case, and on texts padded to one length
            prompts = [prompt.lower() for prompt in prompts]
        tokens = self._tokenizer(
            prompts, padding="max_length" if siglip else True, max_length=length,
            truncation=True, return_tensors="pt",
        )  # fmt: skip
        names = ("input_ids",) if siglip else ("input_ids", "attention_mask")
        return {name: tokens[name].to(self._device) for name in names}


TAKE_SIGLIP = "Take one for pictures and text, such as siglip2-base."


def knows_words(folder: Path) -> bool:
    """Return whether a checkpoint has a half for text, by its config.json."""
    try:
        config = parse_json((folder / "config.json").read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(config, dict) and {"text_config", "vision_config"} <= set(config)


def _load_tokenizer(folder: Path, name: str) -> Any:
    transformers = require_package("transformers")
    try:
        return transformers.AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise ExtraMissing(
            f"The tokenizer of {make_printable(name)} does not open ({opening_fault(error)}). "
            f"Fetch all of it: hf download {make_printable(name)}"
        ) from error


def _embedding(found: Any) -> Any:
    """Return the vectors (n, e) of a call for features: older transformers return them bare."""
    return getattr(found, "pooler_output", found)
