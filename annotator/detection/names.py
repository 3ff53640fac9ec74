"""Names for boxes: by a classifier with classes of its own, or zero-shot by the user's classes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from annotator.errors import FeatureError
from annotator.features.backbones import choose_device, choose_dtype
from annotator.features.weights import (
    find_weights,
    opening_errors,
    opening_fault,
    require_package,
    require_tokenizer,
)
from annotator.items.refs import Box, make_printable
from annotator.learn.calibrate import softmax
from annotator.learn.rows import scale_to_unit

DEFAULT_CLASSIFIER = "facebook/convnext-base-224-22k"
DEFAULT_ZERO_SHOT = "google/siglip2-base-patch16-224"
CLASSIFIERS = {
    "convnext-base": (DEFAULT_CLASSIFIER, "440 MB"),
    "convnext-large": ("facebook/convnext-large-224-22k", "920 MB"),
    "convnext-base-1k": ("facebook/convnext-base-224-22k-1k", "354 MB"),
    "siglip2-base": (DEFAULT_ZERO_SHOT, "1.5 GB"),
    "siglip2-large": ("google/siglip2-large-patch16-256", "3.5 GB"),
    "clip-base": ("openai/clip-vit-base-patch32", "605 MB"),
}
"""Short name to the Hugging Face id and the approximate size of the download."""
PROMPT = "This is a photo of {}."
CROP_CONTEXT = 0.1
"""Margin around a box that the classifier sees, as a share of the box's longer side."""
BATCH_SIZE = 16


class NameProbability(NamedTuple):
    """A name and its probability."""

    name: str
    p: float


class ImageNamer(Protocol):
    """A network that names pictures."""

    name: str

    def __call__(self, pictures: Sequence[Image.Image], top: int) -> list[list[NameProbability]]:
        """Return the `top` likeliest names of each picture, the likeliest first."""
        ...


class ImageClassifier:
    """A namer from any checkpoint that `AutoModelForImageClassification` opens."""

    def __init__(
        self, name: str = DEFAULT_CLASSIFIER, *, device: str = "auto", dtype: str = "auto"
    ) -> None:
        """Open a classifier.

        Raises `ExtraMissing` for absent packages or weights, else `FeatureError`.
        """
        self.name = name
        self._net = _Checkpoint(name, "AutoModelForImageClassification", device, dtype)
        known = {int(at): str(label) for at, label in self._net.model.config.id2label.items()}
        self.classes = tuple(known.get(at, f"class {at}") for at in range(max(known) + 1))

    def __call__(self, pictures: Sequence[Image.Image], top: int) -> list[list[NameProbability]]:
        """Name pictures by softmax over the classes; of several synonyms it uses the first."""
        logits = self._net.run(pictures, lambda model, inputs: model(**inputs).logits)
        short = [label.split(",")[0].strip() or label for label in self.classes]
        return _best(softmax(logits), short, top)


class ZeroShotClassifier:
    """A namer with the user's classes: a network for pictures and text (SigLIP 1 and 2, CLIP)."""

    def __init__(
        self,
        class_names: Sequence[str],
        name: str = DEFAULT_ZERO_SHOT,
        *,
        device: str = "auto",
        dtype: str = "auto",
        prompt: str = PROMPT,
    ) -> None:
        """Open a network for pictures and text, and encode the class names.

        Raises `ExtraMissing` for absent packages or weights, else `FeatureError`.
        """
        self.name, self.class_names = name, tuple(class_names)
        self._net = _Checkpoint(name, "AutoModel", device, dtype)
        model = self._net.model
        if not hasattr(model, "get_text_features"):
            raise FeatureError(
                f"{make_printable(name)} knows no text, so it cannot distinguish "
                f"{make_printable(', '.join(class_names))}. Use a model for pictures and text, "
                f"such as {DEFAULT_ZERO_SHOT}."
            )
        texts = [prompt.format(word.lower()) for word in class_names]
        self._texts = scale_to_unit(self._net.texts(texts))
        bias = getattr(model, "logit_bias", None)
        self._bias = None if bias is None else float(bias.detach().float().reshape(-1)[0])
        self._scale = float(model.logit_scale.detach().float().exp().reshape(-1)[0])

    def __call__(self, pictures: Sequence[Image.Image], top: int) -> list[list[NameProbability]]:
        """Name pictures by softmax over the classes; for a single class, by SigLIP's sigmoid."""
        vectors = scale_to_unit(self._net.run(pictures, _image_features))
        logits = self._scale * vectors @ self._texts.T
        if len(self.class_names) == 1:
            return _best(1 / (1 + np.exp(-logits - (self._bias or 0.0))), self.class_names, top)
        return _best(softmax(logits), self.class_names, top)


def open_namer(
    name: str | None, class_names: Sequence[str] = (), *, device: str = "auto", dtype: str = "auto"
) -> ImageNamer:
    """Open a network that names pictures: with `class_names`, or with classes of its own.

    `name` None opens the default one. Raises `ExtraMissing`, else `FeatureError`.
    """
    if class_names:
        return ZeroShotClassifier(
            class_names, name or DEFAULT_ZERO_SHOT, device=device, dtype=dtype
        )
    return ImageClassifier(name or DEFAULT_CLASSIFIER, device=device, dtype=dtype)


def square_around(box: Box, size: tuple[int, int], context: float = CROP_CONTEXT) -> Box:
    """Return the square around a box with its context, cut to an image of (width, height).

    In a square, a classifier sees an object of any shape undistorted.
    """
    side = max(box.w, box.h) * (1 + 2 * context)
    left, top = box.x + (box.w - side) / 2, box.y + (box.h - side) / 2
    right, bottom = min(left + side, size[0]), min(top + side, size[1])
    left, top = max(0.0, left), max(0.0, top)
    return Box(left, top, right - left, bottom - top)


class _Checkpoint:
    """A checkpoint with its image processor, always the Pillow one."""

    def __init__(self, name: str, auto: str, device: str, dtype: str) -> None:
        self._torch = require_package("torch", alternative="")
        transformers = require_package("transformers", alternative="")
        self._name, self._folder = name, find_weights(name, CLASSIFIERS, alternative="")
        self._device = choose_device(self._torch, device)
        self._dtype = choose_dtype(self._torch, dtype, self._device)
        transformers.utils.logging.set_verbosity_error()
        transformers.utils.logging.disable_progress_bar()
        model, info = self._opened(getattr(transformers, auto), output_loading_info=True)
        missing = sorted(map(str, info["missing_keys"]))
        if missing:
            raise FeatureError(
                f"{make_printable(name)}: {self._folder} lacks weights: "
                f"{', '.join(missing[:5])} … Use the checkpoint of a classifier."
            )
        self.model = model.to(self._device, self._dtype).eval()
        self._processor = self._opened(transformers.AutoImageProcessor, backend="pil")

    def texts(self, texts: list[str]) -> NDArray[np.float32]:
        from transformers import AutoTokenizer

        require_tokenizer(self._folder, self._name)
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
        """Run `forward(model, inputs)` on the pictures in batches, and return its rows (n, …)."""
        found = []
        for start in range(0, len(pictures), BATCH_SIZE):
            some = list(pictures[start : start + BATCH_SIZE])
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
            return auto.from_pretrained(self._folder, **options, trust_remote_code=False)
        except opening_errors() as error:
            raise FeatureError(
                f"{make_printable(self._name)}: {self._folder} does not open as {auto.__name__} "
                f"({opening_fault(error)}). Use a classifier such as {DEFAULT_CLASSIFIER}, "
                f"or, with --classes, a model such as {DEFAULT_ZERO_SHOT}."
            ) from error


def _image_features(model: Any, inputs: Any) -> Any:
    return model.get_image_features(**inputs)


def _array(tensor: Any) -> NDArray[np.float32]:
    """Return the output of a network as an array: a tensor, or an output that holds one."""
    tensor = getattr(tensor, "pooler_output", tensor)
    return np.asarray(tensor.float().cpu().numpy(), np.float32)


def _best(
    p: NDArray[np.floating[Any]], names: Sequence[str], top: int
) -> list[list[NameProbability]]:
    order = np.argsort(-p, axis=1, kind="stable")[:, :top]
    return [
        [NameProbability(names[at], float(row[at])) for at in places]
        for row, places in zip(p, order, strict=True)
    ]
