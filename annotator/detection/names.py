"""Names for boxes: by a classifier with classes of its own, or by the user's words (zero-shot)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from annotator.errors import FeatureError
from annotator.features.backbones import chosen_device, chosen_dtype
from annotator.features.weights import find_weights, needed, opening_errors
from annotator.items.refs import Box, printable

DEFAULT = "facebook/convnext-base-224-22k"
DEFAULT_WORDS = "google/siglip2-base-patch16-224"
CLASSIFIERS = {
    "convnext-base": (DEFAULT, "440 MB"),
    "convnext-large": ("facebook/convnext-large-224-22k", "920 MB"),
    "convnext-base-1k": ("facebook/convnext-base-224-22k-1k", "354 MB"),
    "siglip2-base": (DEFAULT_WORDS, "1.5 GB"),
    "siglip2-large": ("google/siglip2-large-patch16-256", "3.5 GB"),
    "clip-base": ("openai/clip-vit-base-patch32", "605 MB"),
}
"""Short names: the Hugging Face id, and about how much is downloaded."""
PROMPT = "This is a photo of {}."
CONTEXT = 0.1
"""How much of the picture around a box is named with it, as a share of its longer side."""
BATCH = 16


class Named(NamedTuple):
    """A name and its probability."""

    name: str
    p: float


class Namer(Protocol):
    """Names pictures."""

    name: str

    def __call__(self, pictures: Sequence[Image.Image], top: int) -> list[list[Named]]:
        """The `top` likeliest names of each picture, the likeliest first."""
        ...


class Classifier:
    """Any checkpoint that `AutoModelForImageClassification` opens."""

    def __init__(self, name: str = DEFAULT, *, device: str = "auto", dtype: str = "auto") -> None:
        """Raises `ExtraMissing` for absent packages or weights, else `FeatureError`."""
        self.name = name
        self._net = _Network(name, "AutoModelForImageClassification", device, dtype)
        known = {int(at): str(label) for at, label in self._net.model.config.id2label.items()}
        self.classes = tuple(known.get(at, f"class {at}") for at in range(max(known) + 1))

    def __call__(self, pictures: Sequence[Image.Image], top: int) -> list[list[Named]]:
        """By softmax over the classes; of several synonyms the first one names."""
        logits = self._net.run(pictures, lambda model, inputs: model(**inputs).logits)
        short = [label.split(",")[0].strip() or label for label in self.classes]
        return _best(_softmax(logits), short, top)


class Words:
    """The user's own class names, by a network for pictures and text: SigLIP 1 and 2, CLIP."""

    def __init__(
        self,
        words: Sequence[str],
        name: str = DEFAULT_WORDS,
        *,
        device: str = "auto",
        dtype: str = "auto",
        prompt: str = PROMPT,
    ) -> None:
        """Raises `ExtraMissing` for absent packages or weights, else `FeatureError`."""
        self.name, self.words = name, tuple(words)
        self._net = _Network(name, "AutoModel", device, dtype)
        model = self._net.model
        if not hasattr(model, "get_text_features"):
            raise FeatureError(
                f"{printable(name)} knows no text, so it cannot tell {printable(', '.join(words))} "
                f"apart; name one for pictures and text, such as {DEFAULT_WORDS}"
            )
        texts = [prompt.format(word.lower()) for word in words]
        self._texts = _unit(self._net.texts(texts))
        bias = getattr(model, "logit_bias", None)
        self._bias = None if bias is None else float(bias.detach().float().reshape(-1)[0])
        self._scale = float(model.logit_scale.detach().float().exp().reshape(-1)[0])

    def __call__(self, pictures: Sequence[Image.Image], top: int) -> list[list[Named]]:
        """Among several words the softmax over them; for a single one SigLIP's sigmoid."""
        vectors = _unit(self._net.run(pictures, _image_features))
        logits = self._scale * vectors @ self._texts.T
        if len(self.words) == 1:
            return _best(1 / (1 + np.exp(-logits - (self._bias or 0.0))), self.words, top)
        return _best(_softmax(logits), self.words, top)


def around(box: Box, size: tuple[int, int], context: float = CONTEXT) -> Box:
    """The square around a box with its context, cut to an image of (width, height): a classifier
    sees an object of any shape undistorted so."""
    side = max(box.w, box.h) * (1 + 2 * context)
    left, top = box.x + (box.w - side) / 2, box.y + (box.h - side) / 2
    right, bottom = min(left + side, size[0]), min(top + side, size[1])
    left, top = max(0.0, left), max(0.0, top)
    return Box(left, top, right - left, bottom - top)


class _Network:
    """A checkpoint with its image processor, always the Pillow one."""

    def __init__(self, name: str, auto: str, device: str, dtype: str) -> None:
        self._torch = needed("torch", instead="")
        transformers = needed("transformers", instead="")
        self._name, self._folder = name, find_weights(name, CLASSIFIERS, instead="")
        self._device = chosen_device(self._torch, device)
        self._dtype = chosen_dtype(self._torch, dtype, self._device)
        transformers.utils.logging.set_verbosity_error()
        transformers.utils.logging.disable_progress_bar()
        model, info = self._opened(getattr(transformers, auto), output_loading_info=True)
        missing = sorted(map(str, info["missing_keys"]))
        if missing:
            raise FeatureError(
                f"{printable(name)}: {self._folder} lacks weights: {', '.join(missing[:5])} …; is "
                "it the checkpoint of a classifier?"
            )
        self.model = model.to(self._device, self._dtype).eval()
        self._processor = self._opened(transformers.AutoImageProcessor, backend="pil")

    def texts(self, texts: list[str]) -> NDArray[np.float32]:
        from transformers import AutoTokenizer

        tokenizer = self._opened(AutoTokenizer)
        longest = self.model.config.text_config.max_position_embeddings
        tokens = tokenizer(
            texts, padding="max_length", max_length=longest, truncation=True, return_tensors="pt"
        )
        known = {"input_ids": tokens["input_ids"].to(self._device)}
        if self.model.config.model_type == "clip":
            known["attention_mask"] = tokens["attention_mask"].to(self._device)
        with self._torch.inference_mode():
            return _array(self.model.get_text_features(**known))

    def run(
        self, pictures: Sequence[Image.Image], forward: Callable[[Any, Any], Any]
    ) -> NDArray[np.float32]:
        """(n, …) what `forward(model, inputs)` gives for the pictures, in batches."""
        found = []
        for start in range(0, len(pictures), BATCH):
            some = list(pictures[start : start + BATCH])
            inputs = self._processor(some, return_tensors="pt")
            moved = {key: self._moved(value) for key, value in inputs.items()}
            with self._torch.inference_mode():
                found.append(_array(forward(self.model, moved)))
        return np.concatenate(found)

    def _moved(self, value: Any) -> Any:
        real = value.is_floating_point()
        return value.to(self._device, self._dtype) if real else value.to(self._device)

    def _opened(self, auto: Any, **options: Any) -> Any:
        try:
            return auto.from_pretrained(self._folder, **options)
        except opening_errors() as error:
            raise FeatureError(
                f"{printable(self._name)}: {self._folder} does not open as {auto.__name__} "
                f"({printable(str(error))}); name a classifier such as {DEFAULT}, or with your own "
                f"words one for pictures and text such as {DEFAULT_WORDS}"
            ) from error


def _image_features(model: Any, inputs: Any) -> Any:
    return model.get_image_features(**inputs)


def _array(tensor: Any) -> NDArray[np.float32]:
    """What a network gives, be it a tensor or an output that holds one."""
    tensor = getattr(tensor, "pooler_output", tensor)
    return np.asarray(tensor.float().cpu().numpy(), np.float32)


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12))


def _softmax(logits: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def _best(p: NDArray[np.floating[Any]], names: Sequence[str], top: int) -> list[list[Named]]:
    order = np.argsort(-p, axis=1, kind="stable")[:, :top]
    return [
        [Named(names[at], float(row[at])) for at in places]
        for row, places in zip(p, order, strict=True)
    ]
