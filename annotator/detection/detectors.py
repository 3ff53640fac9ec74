"""Detectors: pictures in, boxes out, with any network behind them."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any, Protocol, cast

import numpy as np
from PIL import Image

from annotator.detection.detections import Detections, concatenate_detections
from annotator.detection.half_precision import describe_difference, keep_box_heads_exact
from annotator.detection.networks import DetectorNetwork, open_network
from annotator.detection.proposal import describe_nan
from annotator.errors import FeatureError
from annotator.items.refs import make_printable

SCORE_FLOOR = 0.01
"""Lowest score of a detection that is kept: AP counts boxes below the threshold, too."""
_BATCH_SIZES = {"cuda": 16, "mps": 4, "cpu": 2}


@dataclass(frozen=True, slots=True)
class PreparedImage:
    """A picture as a network takes it."""

    inputs: dict[str, Any]
    size: tuple[int, int]
    """Width and height of the picture, in pixels of its image."""


class Detector(Protocol):
    """A model that finds boxes in pictures. `prepare` may run in any thread, several at once."""

    name: str
    """The name that the user gave."""
    classes: tuple[str, ...]
    """All names that its boxes may have."""
    batch_size: int
    threads: int
    """Number of calls of `detect` to run at once."""
    flip_indices: tuple[int, ...]
    """The landmark that each one becomes in a mirrored picture; () without landmarks."""

    def describe(self) -> dict[str, Any]:
        """Return all that its answers depend on, as plain JSON."""
        ...

    def shrink(self, size: tuple[int, int]) -> float:
        """Return the scale at which a picture of (width, height) gives the same answer."""
        ...

    def prepare(self, picture: Image.Image, size: tuple[int, int]) -> PreparedImage:
        """Prepare a picture; `size` is its size in the image, before it was made smaller."""
        ...

    def detect(self, batch: Sequence[PreparedImage]) -> list[Detections | str]:
        """Return the detections in each picture, in pixels of its image, or why there are none."""
        ...


class TransformersDetector:
    """A `Detector` of Hugging Face transformers."""

    flip_indices: tuple[int, ...] = ()

    def __init__(
        self,
        name: str,
        texts: Sequence[str] = (),
        *,
        device: str = "auto",
        dtype: str = "auto",
        batch_size: int | None = None,
    ) -> None:
        """Open a model; `texts` is for zero-shot ones. Raises `ExtraMissing` or `FeatureError`."""
        network = open_network(name, texts)
        import torch

        from annotator.features.backbones import choose_device, choose_dtype

        self.name, self.zero_shot = name, network.zero_shot
        self._chunks, self.left_out = chunk_texts(network)
        """The texts that are asked at once, and why others are not asked."""
        self.classes = tuple(text for chunk in self._chunks for text in chunk)
        self._network, self._torch = replace(network, classes=self._chunks[0]), torch
        self._texts = self._prepare_texts() if len(self._chunks) > 1 else []
        """The text inputs of each chunk, for a batch of one."""
        self._device = choose_device(torch, device)
        # Boxes move in half precision, so a detector uses it only if the user asks for it.
        self._dtype = choose_dtype(torch, "fp32" if dtype == "auto" else dtype, self._device)
        self.note: str | None = None
        """A remark on the precision, after the first batch in half precision."""
        self._local = threading.local()
        self.batch_size = batch_size or _BATCH_SIZES[self._device.partition(":")[0]]
        self.threads = 2 if self._device.startswith("cuda") else 1
        self._model = network.model.to(self._device, torch.float32).eval()
        if self._dtype != torch.float32:
            keep_box_heads_exact(torch, self._model, self._device)
        if self._device.startswith("cuda"):
            torch.cuda.synchronize(self._device)  # the weights are there for every stream
        self._answer = (
            _phrase_detections
            if network.phrased
            else _zero_shot_detections
            if network.zero_shot
            else _closed_set_detections
        )

    def describe(self) -> dict[str, Any]:
        """Return all that its answers depend on, as plain JSON."""
        folder = self._network.folder
        fetched = folder.parent.name == "snapshots"
        texts = list(self.classes) if self.zero_shot else None
        stamp = [[file.name, file.stat().st_size] for file in sorted(folder.glob("*.safetensors"))]
        weights: Any = folder.name if fetched else [str(folder), stamp]
        return {
            "model": self.name, "weights": weights, "texts": texts, "dtype": str(self._dtype),
            **({} if self._dtype == self._torch.float32 else {"box_heads": "fp32"}),
        }  # fmt: skip

    def shrink(self, size: tuple[int, int]) -> float:
        """Return the scale at which a picture of (width, height) gives the same answer."""
        processor = getattr(self._network.processor, "image_processor", self._network.processor)
        said = dict(getattr(processor, "size", None) or {})
        if said.get("height") and said.get("width"):
            return float(max(said["width"] / size[0], said["height"] / size[1]))
        if said.get("shortest_edge"):
            longest = said.get("longest_edge") or max(size)
            return float(min(said["shortest_edge"] / min(size), longest / max(size)))
        return 1.0

    def prepare(self, picture: Image.Image, size: tuple[int, int]) -> PreparedImage:
        """Run the model's processor on a picture that measures `size` in its image."""
        processor, network = self._network.processor, self._network
        options: dict[str, Any] = {"text": list(network.classes)} if network.zero_shot else {}
        if network.phrased:
            options = {"text": join_phrases(network.classes)}
        found = processor(images=picture, return_tensors="pt", **options)
        return PreparedImage({key: value for key, value in found.items() if _is_input(key)}, size)

    def detect(self, batch: Sequence[PreparedImage]) -> list[Detections | str]:
        """Detect objects in a batch; a batch that does not fit into memory is halved."""
        found: list[Detections | str] = []
        while len(found) < len(batch):
            some = batch[len(found) : len(found) + self.batch_size]
            try:
                answers = self._forward(some)
                self._compare_precision(some, answers)
                found += answers
            except self._torch.OutOfMemoryError:
                self._back_off(len(some))
        return found

    def _compare_precision(
        self, batch: Sequence[PreparedImage], found: list[Detections | str]
    ) -> None:
        """Compare the first batch in half precision with fp32."""
        if self._dtype != self._torch.float32 and self.note is None:
            exact = self._forward(batch, exact=True)
            kind = str(self._dtype).rpartition(".")[2]
            self.note = describe_difference(found, exact, kind)

    def _back_off(self, tried: int) -> None:
        """Halve the size of the batches to come."""
        if tried == 1:
            raise FeatureError(
                f"{make_printable(self.name)} does not fit into the memory of the {self._device} "
                "device. Use a smaller model, --dtype bf16, --tile or --device cpu."
            )
        if self._device.startswith("cuda"):
            self._torch.cuda.empty_cache()
        self.batch_size = min(self.batch_size, tried // 2)

    def _forward(
        self, batch: Sequence[PreparedImage], *, exact: bool = False
    ) -> list[Detections | str]:
        half = self._dtype != self._torch.float32 and not exact
        kind = self._device.partition(":")[0]
        autocast = self._torch.autocast(kind, self._dtype) if half else nullcontext()
        with self._stream(), self._torch.inference_mode(), autocast:
            inputs = _stack_batch(self._torch, [each.inputs for each in batch])
            moved = {key: self._moved(value) for key, value in inputs.items()}
            sizes = [each.size[::-1] for each in batch]
            parts = [self._answer_chunk(place, moved, sizes) for place in range(len(self._chunks))]
        fault = describe_nan(self._dtype != self._torch.float32)
        return [
            fault if None in found else concatenate_detections([f for f in found if f is not None])
            for found in zip(*parts, strict=True)
        ]

    def _answer_chunk(
        self, place: int, inputs: dict[str, Any], sizes: Sequence[tuple[int, ...]]
    ) -> list[Detections | None]:
        """Return what the network finds for one chunk of texts; None for an image of NaN."""
        asked = inputs
        if place:
            count = len(sizes)
            texts = self._texts[place].items()
            asked = inputs | {key: self._moved(value.expand(count, -1)) for key, value in texts}
        outputs = self._model(**asked)
        outputs.logits, outputs.pred_boxes = outputs.logits.float(), outputs.pred_boxes.float()
        broken = outputs.logits.isnan() | outputs.pred_boxes.isnan().any(-1, keepdim=True)
        faulty = broken.flatten(1).any(1).tolist()
        network = replace(self._network, classes=self._chunks[place])
        found = self._answer(network, outputs, sizes, asked)
        return [None if bad else each for bad, each in zip(faulty, found, strict=True)]

    def _prepare_texts(self) -> list[dict[str, Any]]:
        prepared = []
        for chunk in self._chunks:
            picture = Image.new("RGB", (64, 64))
            made = self._network.processor(
                images=picture, text=join_phrases(chunk), return_tensors="pt"
            )
            prepared.append(
                {key: made[key] for key in made if _is_input(key) and not key.startswith("pixel")}
            )
        return prepared

    def _moved(self, value: Any) -> Any:
        return value.to(self._device, non_blocking=True)

    def _stream(self) -> AbstractContextManager[Any]:
        """Return this thread's own queue on the GPU: one copies while another computes."""
        if not self._device.startswith("cuda"):
            return nullcontext()
        if not hasattr(self._local, "stream"):
            self._local.stream = self._torch.cuda.Stream(self._device)
        return cast(AbstractContextManager[Any], self._torch.cuda.stream(self._local.stream))


def chunk_texts(network: DetectorNetwork) -> tuple[list[tuple[str, ...]], list[str]]:
    """Divide the texts of a zero-shot model into parts that it takes at once.

    Return them, and the texts that are too long for it, each with the reason. Raises
    `FeatureError` if all are too long.
    """
    if not network.zero_shot:
        return [network.classes], []
    limit = _text_limit(network)
    chunks: list[tuple[str, ...]] = []
    left_out = []
    for text in network.classes:
        tokens = _count_tokens(network, (text,))
        if tokens > limit:
            left_out.append(
                f"does not look for {make_printable(repr(text))}, which has {tokens} tokens; it "
                f"reads {limit}. Use fewer words"
            )
        elif chunks and (
            not network.phrased or _count_tokens(network, (*chunks[-1], text)) <= limit
        ):
            chunks[-1] = (*chunks[-1], text)
        else:
            chunks.append((text,))
    if not chunks:
        raise FeatureError(f"It {left_out[0]}.")
    return chunks, left_out


def _text_limit(network: DetectorNetwork) -> int:
    """Return the number of tokens that a model reads at once, its marks of both ends among them."""
    config = network.model.config
    limits = [
        getattr(config.text_config, "max_position_embeddings", None),
        getattr(config, "max_text_len", None),
    ]
    return min(limit for limit in (*limits, 1 << 20) if limit)


def _count_tokens(network: DetectorNetwork, texts: tuple[str, ...]) -> int:
    text = join_phrases(texts) if network.phrased else texts[0]
    return len(network.processor.tokenizer(text, truncation=False)["input_ids"])


def _is_input(key: str) -> bool:
    return key in ("pixel_values", "pixel_mask", "input_ids", "attention_mask", "token_type_ids")


def _stack_batch(torch: Any, batch: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Stack prepared pictures into one batch.

    Pictures of several sizes are padded at the right and the bottom with zeros, and a mask marks
    the padding, as their processors do with a batch.
    """
    stacked = {}
    for key in batch[0]:
        parts = [each[key] for each in batch]
        if key.startswith("pixel"):
            height, width = (max(part.shape[axis] for part in parts) for axis in (-2, -1))
            pad = torch.nn.functional.pad
            parts = [
                pad(part, (0, width - part.shape[-1], 0, height - part.shape[-2])) for part in parts
            ]
        stacked[key] = torch.cat(parts)
    return stacked


def _detections(boxes: Any, scores: Any, labels: Any, classes: Sequence[str]) -> Detections:
    names = tuple(classes[int(label)] for label in labels)
    boxes = boxes.cpu().numpy().astype(np.float64).reshape(-1, 4)
    return Detections(boxes, scores.cpu().numpy().astype(np.float64), names)


def _closed_set_detections(
    network: DetectorNetwork, outputs: Any, sizes: Any, _: Any
) -> list[Detections]:
    """Decode the outputs of a model with classes of its own."""
    found = network.processor.post_process_object_detection(
        outputs, threshold=SCORE_FLOOR, target_sizes=sizes
    )
    classes = network.classes
    return [_detections(f["boxes"], f["scores"], f["labels"].tolist(), classes) for f in found]


def _zero_shot_detections(
    network: DetectorNetwork, outputs: Any, sizes: Any, _: Any
) -> list[Detections]:
    """Decode the outputs of a model that compares boxes with each text."""
    process = network.processor.post_process_grounded_object_detection
    known = inspect.signature(process).parameters
    options = {"threshold": SCORE_FLOOR, "target_sizes": sizes}
    if "text_labels" in known:
        options["text_labels"] = [list(network.classes)] * len(sizes)
    found = process(outputs, **options)
    named = []
    for each in found:
        rows = [network.classes.index(text) for text in each["text_labels"]]
        named.append(_detections(each["boxes"], each["scores"], rows, network.classes))
    return named


def join_phrases(texts: Sequence[str]) -> str:
    """Join texts into the sentence that a model takes as one: `a cat. a ripe pear.`."""
    return " ".join(f"{text.strip().rstrip('.').lower().replace('.', ' ')}." for text in texts)


def _phrase_detections(
    network: DetectorNetwork, outputs: Any, sizes: Any, inputs: Any
) -> list[Detections]:
    """Decode the outputs of a model that scores the words of one text.

    The score of a phrase is that of its best word.
    """
    import torch

    mark = network.processor.tokenizer.convert_tokens_to_ids(".")
    ids = inputs["input_ids"][0].tolist()
    scores = outputs.logits.sigmoid()
    ends = [place for place, token in enumerate(ids) if token == mark][: len(network.classes)]
    starts = [1, *(end + 1 for end in ends)]
    parts = [scores[..., a:b].amax(-1) for a, b in zip(starts, ends, strict=False)]
    best, labels = torch.stack(parts, -1).max(-1)
    centre, half = outputs.pred_boxes[..., :2], outputs.pred_boxes[..., 2:] / 2
    boxes = torch.cat([centre - half, centre + half], -1)
    found = []
    for row, (height, width) in enumerate(sizes):
        keep = best[row] > SCORE_FLOOR
        scaled = boxes[row][keep] * torch.tensor([width, height] * 2, device=boxes.device)
        rows = labels[row][keep].tolist()
        found.append(_detections(scaled, best[row][keep], rows, network.classes))
    return found
