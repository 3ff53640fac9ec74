"""The input of object discovery: a feature for each patch of an image, from any network.

A vision transformer gives the keys of its last attention layer (LOST, section 4.2, uses those of
DINO v1). A convolutional network gives the deepest feature map with a stride of 16 pixels or less,
minus each channel's mean over the image, because its raw features all point the same way.
"""

from __future__ import annotations

import inspect
import math
from typing import Any

import numpy as np

from annotator.detection.lost import PatchFeatures
from annotator.errors import FeatureError
from annotator.features.backbones import choose_device, choose_dtype
from annotator.features.weights import find_weights, opening_errors, opening_fault, require_package
from annotator.images import Pixels
from annotator.items.refs import make_printable

DEFAULT_BACKBONE = "facebook/dino-vits16"
BACKBONES = {
    "dino-vits16": (DEFAULT_BACKBONE, "87 MB"),
    "dino-vits8": ("facebook/dino-vits8", "87 MB"),
    "dino-vitb16": ("facebook/dino-vitb16", "343 MB"),
    "dino-vitb8": ("facebook/dino-vitb8", "343 MB"),
    "dino-resnet50": ("Ramos-Ramos/dino-resnet-50", "94 MB"),
    "resnet50": ("microsoft/resnet-50", "103 MB"),
}
"""Short name to the Hugging Face id and the approximate size of the download."""

MAX_PATCHES = 3600
"""Images with more patches are made smaller: the work grows with the square of the number."""
MIN_PATCHES = 196
"""Images with fewer patches are enlarged: most networks were trained on this number."""
MAP_STRIDE = 16


class PatchNetwork:
    """An opened network. Not thread-safe."""

    def __init__(
        self, name: str = DEFAULT_BACKBONE, *, device: str = "auto", dtype: str = "auto"
    ) -> None:
        """Open the network.

        Raises `ExtraMissing` for absent packages or weights, else `FeatureError`.
        """
        self._torch = require_package("torch", alternative="")
        require_package("transformers", alternative="")
        folder = find_weights(name, BACKBONES, alternative="")
        self.name = name
        self._device = choose_device(self._torch, device)
        self._dtype = choose_dtype(self._torch, dtype, self._device)
        self.half_precision = self._dtype != self._torch.float32
        model, self._processor = _open_backbone(name, folder)
        self._model = model.to(self._device, self._dtype).eval()
        self._keys: Any = None
        layer = _key_layer(self._model)
        if layer is not None:
            layer.register_forward_hook(self._keep_keys)
        self.is_transformer = layer is not None
        self.patch = _patch(self._model.config) if self.is_transformer else MAP_STRIDE
        self._options = _options(self._model, self.is_transformer)

    def input_size(self, size: tuple[int, int], max_patches: int = MAX_PATCHES) -> tuple[int, int]:
        """Return the (width, height) to resize an image of (width, height) to, in whole patches.

        The aspect is kept as far as whole patches allow.
        """
        patches = size[0] * size[1] / self.patch**2
        scale = math.sqrt(np.clip(patches, MIN_PATCHES, max_patches) / patches) / self.patch
        across, down = (max(1, round(side * scale)) for side in size)
        return across * self.patch, down * self.patch

    def __call__(self, picture: Pixels) -> PatchFeatures:
        """Compute the features of (height, width, 3) pixels, of a size that `input_size` gave."""
        values = self._processor(
            picture, do_resize=False, do_center_crop=False, return_tensors="np"
        )
        pixels = np.asarray(values["pixel_values"][:1], np.float32)
        with self._torch.inference_mode():
            batch = self._torch.from_numpy(pixels).to(self._device, self._dtype)
            return self._keyed(batch) if self.is_transformer else self._mapped(batch)

    def _keep_keys(self, layer: Any, _: Any, output: Any) -> None:
        self._keys = output

    def _keyed(self, batch: Any) -> PatchFeatures:
        self._model(pixel_values=batch, **self._options)
        keys = self._keys[0].float().cpu().numpy()
        h, w = batch.shape[2] // self.patch, batch.shape[3] // self.patch
        before = len(keys) - h * w  # the class token, registers
        if before < 0:
            raise FeatureError(
                f"{make_printable(self.name)} has fewer tokens than patches. Use a plain vision "
                "transformer such as facebook/dino-vits16, or a convolutional network."
            )
        return np.asarray(keys[before:].reshape(h, w, -1))

    def _mapped(self, batch: Any) -> PatchFeatures:
        states = self._model(pixel_values=batch, **self._options).hidden_states
        fine = [state for state in states if batch.shape[-1] <= MAP_STRIDE * state.shape[-1]]
        if not fine or fine[-1].ndim != 4:
            raise FeatureError(
                f"{make_printable(self.name)} has neither attention keys nor feature maps. Use a "
                "vision transformer such as facebook/dino-vits16, or a network such as "
                "microsoft/resnet-50."
            )
        features = fine[-1][0].float().permute(1, 2, 0).cpu().numpy()
        return np.asarray(features - features.mean(axis=(0, 1)))


def _open_backbone(name: str, folder: Any) -> tuple[Any, Any]:
    from transformers import AutoConfig, AutoImageProcessor, AutoModel
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
        config = getattr(config, "vision_config", config)
        model, info = AutoModel.from_pretrained(
            folder, config=config, output_loading_info=True, trust_remote_code=False
        )
        processor = AutoImageProcessor.from_pretrained(
            folder, backend="pil", trust_remote_code=False
        )
    except opening_errors() as error:
        raise FeatureError(
            f"{make_printable(name)}: {folder} does not open as a network "
            f"({opening_fault(error)}). It needs config.json, preprocessor_config.json and "
            "weights."
        ) from error
    missing = sorted(str(key) for key in info["missing_keys"] if "pooler" not in str(key))
    if missing:
        listed = ", ".join(missing[:5])
        raise FeatureError(f"{make_printable(name)}: {folder} lacks weights: {listed} …")
    return model, processor


def _key_layer(model: Any) -> Any:
    """Return the layer that outputs the keys of the last self-attention; None without one."""
    names = ("k_proj", "key")
    found = [layer for name, layer in model.named_modules() if name.split(".")[-1] in names]
    return found[-1] if found else None


def _patch(config: Any) -> int:
    size = getattr(config, "patch_size", MAP_STRIDE)
    return int(size if isinstance(size, int) else size[0])


def _options(model: Any, is_transformer: bool) -> dict[str, Any]:
    """Return the options of the forward pass."""
    if not is_transformer:
        return {"output_hidden_states": True}
    known = inspect.signature(model.forward).parameters
    return {"interpolate_pos_encoding": True} if "interpolate_pos_encoding" in known else {}
