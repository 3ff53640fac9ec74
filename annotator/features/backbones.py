"""Features of pretrained networks, through Hugging Face transformers.

`OUTPUTS` lists what each network gives. A picture is squeezed to the network's square input whole:
the centre crop that classifiers are tested with cuts away what lies at the edges, perhaps a defect.
With 300 labels of magnetic-tile MobileNetV2 reaches a mean recall of 0.67 so and 0.59 with the
crop; on photographs with one subject, flowers, the crop would be better by 0.02.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from annotator.errors import FeatureError
from annotator.features.weights import find_weights, opening_errors, opening_fault, require_package
from annotator.images import Pixels
from annotator.items.json_text import parse_json

DTYPES = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}
_BATCHES = {"cuda": 256, "mps": 32, "cpu": 16}

OUTPUTS = {
    "dinov2": "cls",
    "dinov2_with_registers": "cls",
    "dinov3_vit": "cls",
    "vit": "cls",
    "deit": "cls",
    "beit": "cls",
    "data2vec-vision": "cls",
    "vit_msn": "cls",
    "ijepa": "mean",
    "vit_mae": "cls",
    "siglip_vision_model": "pooled",
    "siglip2_vision_model": "pooled",
    "clip_vision_model": "pooled",
}
"""The output that describes a picture, by family; others use "pooled" if they have it, else "mean".

cls: the class token after the last normalisation. pooled: the network's own pooling: the attention
head of SigLIP, the normalised class token of CLIP, the average over the feature map of ConvNeXt,
ResNet, MobileNet and Swin. mean: the average over all tokens or places.
"""

_IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}


@dataclass(frozen=True, slots=True)
class _Input:
    """The input that the network was trained on."""

    width: int
    height: int
    scale: float
    mean: tuple[float, ...]
    std: tuple[float, ...]


class Backbone:
    """An extractor made of a network. `name` is the user's name for it."""

    def __init__(
        self,
        name: str,
        *,
        device: str = "auto",
        dtype: str = "auto",
        batch_size: int | None = None,
    ) -> None:
        """Load the network. Raises `ExtraMissing` for absent packages or weights, else
        `FeatureError`."""
        torch = require_package("torch")
        require_package("transformers")
        folder = find_weights(name)
        self.name = name
        self._folder = folder
        self._torch = torch
        self._local = threading.local()
        self._device = choose_device(torch, device)
        self._dtype = choose_dtype(torch, dtype, self._device)
        self.batch_size = batch_size or _BATCHES[self._device.partition(":")[0]]
        self._model, self._output = self._load(folder, name)
        self._model = self._model.to(self._device, self._dtype).eval()
        config = getattr(self._model.config, "vision_config", self._model.config)
        self._input = _read_input(folder, config)
        self._patch = _patch_side(config)
        self._mean, self._std = (
            torch.tensor(values, device=self._device).view(1, 3, 1, 1)
            for values in (self._input.mean, self._input.std)
        )
        if self._device.startswith("cuda"):
            torch.cuda.synchronize(self._device)  # the weights are there for every stream
        black = np.zeros((self._input.height, self._input.width, 3), np.uint8)
        self.dim = int(self([black]).shape[1])

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the network's input."""
        return self._input.width, self._input.height

    @property
    def outruns_threads(self) -> bool:
        """True on a GPU, which takes more pictures a second than threads can decode."""
        return self._device.startswith("cuda")

    def describe(self) -> dict[str, Any]:
        """Return the name, the weights, the output and the input's size."""
        fetched = self._folder.parent.name == "snapshots"
        return {
            "name": self.name,
            "weights": self._folder.name if fetched else str(self._folder),
            "output": self._output,
            "input": [self._input.width, self._input.height],
        }

    def __call__(self, pictures: Pixels | Sequence[Pixels]) -> NDArray[np.float32]:
        found = []
        start = 0
        while start < len(pictures):
            batch = np.asarray(pictures[start : start + self.batch_size])
            try:
                found.append(self._forward(batch))
                start += len(batch)
            except self._torch.OutOfMemoryError:
                self._back_off(len(batch))
        return np.concatenate(found)

    def _back_off(self, tried: int) -> None:
        """Halve the batches from now on."""
        if tried == 1:
            raise FeatureError(
                f"{self.name} does not fit into the memory of the {self._device} device. Choose "
                "a smaller model, --dtype bf16 or --device cpu."
            )
        if self._device.startswith("cuda"):
            self._torch.cuda.empty_cache()
        self.batch_size = min(self.batch_size, tried // 2)

    def _forward(self, pictures: Pixels) -> NDArray[np.float32]:
        with self._stream(), self._torch.inference_mode():
            pixels = self._torch.from_numpy(pictures).to(self._device).permute(0, 3, 1, 2)
            values = (pixels.float() * self._input.scale - self._mean) / self._std
            arguments = self._arguments(values.to(self._dtype))
            vectors = self._vectors(arguments).float().cpu().numpy()
        return np.asarray(vectors, np.float32)

    def _load(self, folder: Path, name: str) -> tuple[Any, str]:
        return _load_network(folder, name)

    def _vectors(self, arguments: dict[str, Any]) -> Any:
        return _pool_outputs(self._model(**arguments), self._output)

    def _stream(self) -> AbstractContextManager[Any]:
        """Return a GPU queue for each thread: one copies while another computes."""
        if not self._device.startswith("cuda"):
            return nullcontext()
        if not hasattr(self._local, "stream"):
            self._local.stream = self._torch.cuda.Stream(self._device)
        return cast(AbstractContextManager[Any], self._torch.cuda.stream(self._local.stream))

    def _arguments(self, values: Any) -> dict[str, Any]:
        if not self._patch:
            return {"pixel_values": values}
        # SigLIP2 for any resolution takes patches, each with its place in the image.
        torch, side = self._torch, self._patch
        n, _, height, width = values.shape
        rows, columns = height // side, width // side
        cut = values.reshape(n, 3, rows, side, columns, side).permute(0, 2, 4, 3, 5, 1)
        shape = torch.tensor([[rows, columns]], device=values.device)
        return {
            "pixel_values": cut.reshape(n, rows * columns, side * side * 3),
            "pixel_attention_mask": torch.ones(n, rows * columns, device=values.device).int(),
            "spatial_shapes": shape.expand(n, 2),
        }


def _pool_outputs(outputs: Any, output: str) -> Any:
    """Return the vectors (n, d) of a network's outputs."""
    if output == "pooled":
        return outputs.pooler_output.flatten(1)
    tokens = outputs.last_hidden_state
    if output == "cls":
        return tokens[:, 0]
    return tokens.mean(dim=(2, 3) if tokens.ndim == 4 else 1)


def choose_device(torch: Any, wanted: str) -> str:
    """Return an available device: cpu, cuda, cuda:1 or mps; the fastest for auto."""
    there = ["cpu"]
    if torch.backends.mps.is_available():
        there.insert(0, "mps")
    if torch.cuda.is_available():
        numbered = (f"cuda:{number}" for number in range(torch.cuda.device_count()))
        there = ["cuda", *numbered, *there]
    if wanted == "auto":
        return there[0]
    if wanted not in there:
        raise FeatureError(
            f"torch finds no device {wanted!r} here. Choose --device {', '.join(there)}."
        )
    return wanted


def choose_dtype(torch: Any, wanted: str, device: str) -> Any:
    """Return the torch type of a `--dtype`; for auto, half precision on a GPU."""
    if wanted == "auto":
        if device == "cpu":
            return torch.float32
        # GPUs older than Ampere compute bfloat16 slowly, in software.
        cuda = device.startswith("cuda")
        bf16 = cuda and torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.bfloat16 if bf16 else torch.float16
    if wanted not in DTYPES:
        raise FeatureError(f"--dtype {wanted!r} is not one of auto, {', '.join(DTYPES)}")
    return getattr(torch, DTYPES[wanted])


def _load_network(folder: Path, name: str) -> tuple[Any, str]:
    """Return the vision network of a checkpoint, and the output that describes a picture."""
    from transformers import AutoConfig, AutoModel
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
        # A pair of networks for pictures and text: take the one for pictures.
        config = getattr(config, "vision_config", config)
        model, info = AutoModel.from_pretrained(
            folder, config=config, output_loading_info=True, trust_remote_code=False
        )
    except opening_errors() as error:
        raise FeatureError(
            f"{name}: {folder} does not open as a model ({opening_fault(error)}). It must hold "
            "config.json and weights in safetensors, of a family that transformers knows without "
            "extra code."
        ) from error
    missing = {str(key) for key in info["missing_keys"]}
    pooler = {key for key in missing if "pooler" in key}
    if missing - pooler:
        raise FeatureError(f"{name}: {folder} lacks weights: {', '.join(sorted(missing)[:5])} …")
    return model, _choose_output(model, pooled=not pooler)


def _choose_output(model: Any, pooled: bool) -> str:
    known = OUTPUTS.get(model.config.model_type)
    if known is not None:
        return known
    # A pooler whose weights are not in the checkpoint would be random.
    return "pooled" if pooled and _has_pooler(model) else "mean"


def _has_pooler(model: Any) -> bool:
    return any(getattr(model, part, None) is not None for part in ("pooler", "pool", "head"))


def _patch_side(config: Any) -> int:
    """Return the side of a patch if the network takes patches instead of an image; else 0."""
    return int(config.patch_size) if config.model_type == "siglip2_vision_model" else 0


def _read_input(folder: Path, config: Any) -> _Input:
    """Return size and normalisation, from preprocessor_config.json as far as it has them.

    Read directly: the processors of transformers resize and cut in their own way, some of them only
    with torchvision.
    """
    path = folder / "preprocessor_config.json"
    try:
        settings = parse_json(path.read_bytes()) if path.exists() else {}
    except ValueError as error:
        raise FeatureError(f"{path} is not JSON ({error}). Fetch the model again.") from error
    settings = {**_IMAGENET, "rescale_factor": 1 / 255, **{k: v for k, v in settings.items() if v}}
    width, height = _input_side(settings, config)
    plain = settings.get("do_normalize") is False
    mean = (0.0,) * 3 if plain else tuple(settings["image_mean"])
    std = (1.0,) * 3 if plain else tuple(settings["image_std"])
    return _Input(width, height, float(settings["rescale_factor"]), mean, std)


def _input_side(settings: dict[str, Any], config: Any) -> tuple[int, int]:
    if _patch_side(config):
        side = math.isqrt(config.num_patches) * config.patch_size
        return side, side
    cut = settings.get("crop_size") if settings.get("do_center_crop", True) else None
    size: Any = cut or settings.get("size") or getattr(config, "image_size", 224)
    if isinstance(size, dict):
        shortest = size.get("shortest_edge") or 224
        return int(size.get("width") or shortest), int(size.get("height") or shortest)
    return (int(size[1]), int(size[0])) if isinstance(size, (list, tuple)) else (int(size),) * 2
