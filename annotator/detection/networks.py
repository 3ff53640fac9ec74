"""Detection networks of Hugging Face transformers: found, opened, run.

Any checkpoint that `AutoModelForObjectDetection` opens, with its own classes; and, given text, any
that `AutoModelForZeroShotObjectDetection` opens. Its own image processor prepares the pictures,
always the Pillow one: the results do not depend on whether torchvision is there.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from annotator.errors import AnnotatorError, ExtraMissing, FeatureError
from annotator.features.weights import (
    find_weights,
    opening_errors,
    opening_fault,
    require_package,
    require_tokenizer,
)
from annotator.items.refs import make_printable

DETECTORS = {
    name: (name, size)
    for name, size in {
        "ustc-community/dfine-nano-coco": "15 MB",
        "ustc-community/dfine-small-coco": "42 MB",
        "ustc-community/dfine-medium-coco": "79 MB",
        "ustc-community/dfine-large-coco": "126 MB",
        "ustc-community/dfine-xlarge-coco": "252 MB",
        "PekingU/rtdetr_v2_r18vd": "81 MB",
        "PekingU/rtdetr_v2_r50vd": "172 MB",
        "PekingU/rtdetr_v2_r101vd": "307 MB",
        "PekingU/rtdetr_r50vd": "172 MB",
        "Roboflow/rf-detr-base": "130 MB",
        "SenseTime/deformable-detr": "161 MB",
        "google/owlv2-base-patch16-ensemble": "620 MB",
        "google/owlv2-large-patch14-ensemble": "1.8 GB",
        "IDEA-Research/grounding-dino-tiny": "690 MB",
        "IDEA-Research/grounding-dino-base": "930 MB",
    }.items()
}
"""Known ids, and the approximate size of the download."""

_PHRASE_MODELS = ("grounding-dino", "mm-grounding-dino")
"""Kinds of models that score the words of one long text, not one text after the other."""
_DETR = "transformers.models.deformable_detr.image_processing_pil_deformable_detr"


@dataclass(frozen=True, slots=True)
class DetectorNetwork:
    """An opened checkpoint."""

    folder: Path
    model: Any
    processor: Any
    """The processor that prepares pictures (and text), and turns outputs into boxes."""
    classes: tuple[str, ...]
    """The names of its class numbers; the texts of a zero-shot model."""
    zero_shot: bool
    phrased: bool
    """True if it takes all texts as one."""


def open_network(name: str, texts: Sequence[str] = ()) -> DetectorNetwork:
    """Open a detector.

    Raises `ExtraMissing` for absent packages or weights, else `FeatureError`.
    """
    require_package("torch", alternative="")
    require_package("transformers", alternative="")
    folder = find_weights(name, DETECTORS, alternative="")
    try:
        return _open_detector(name, folder, texts)
    except ImportError as error:
        raise ExtraMissing(_missing_package(name, error)) from error


def _open_detector(name: str, folder: Path, texts: Sequence[str]) -> DetectorNetwork:
    from transformers import AutoConfig
    from transformers.models.auto import modeling_auto
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    config = _open_guarded(name, folder, AutoConfig.from_pretrained)
    by_classes = modeling_auto.MODEL_FOR_OBJECT_DETECTION_MAPPING
    by_text = modeling_auto.MODEL_FOR_ZERO_SHOT_OBJECT_DETECTION_MAPPING
    if type(config) in by_text:
        if not texts:
            raise FeatureError(
                f"{make_printable(name)} finds what a text describes. Add --text 'a ripe pear'."
            )
        model = _load_weights(name, folder, modeling_auto.AutoModelForZeroShotObjectDetection)
        phrased = config.model_type in _PHRASE_MODELS
        return DetectorNetwork(folder, model, _processor(name, folder), tuple(texts), True, phrased)
    if type(config) in by_classes:
        model = _load_weights(name, folder, modeling_auto.AutoModelForObjectDetection)
        known = {int(number): str(label) for number, label in model.config.id2label.items()}
        labels = tuple(known.get(number, f"class {number}") for number in range(max(known) + 1))
        return DetectorNetwork(folder, model, _image_processor(name, folder), labels, False, False)
    raise FeatureError(
        f"{make_printable(name)} is a {make_printable(config.model_type)} model, which detects no "
        "objects. Use a detector, such as ustc-community/dfine-medium-coco."
    )


def _load_weights(name: str, folder: Path, auto: Any) -> Any:
    model, info = _open_guarded(name, folder, auto.from_pretrained, output_loading_info=True)
    missing = sorted(map(str, info["missing_keys"]))
    if missing:
        listed = ", ".join(missing[:5])
        raise FeatureError(f"{make_printable(name)}: {folder} lacks weights: {listed} …")
    return model


def _image_processor(name: str, folder: Path) -> Any:
    from transformers import AutoImageProcessor

    try:
        return AutoImageProcessor.from_pretrained(folder, backend="pil", trust_remote_code=False)
    except (ImportError, ValueError, OSError) as error:
        # RF-DETR's own class needs torchvision; that of Deformable DETR gives the same result.
        if not (folder / "preprocessor_config.json").is_file():
            raise FeatureError(
                f"{make_printable(name)}: {folder} does not say how to prepare pictures "
                f"({opening_fault(error)}). It needs preprocessor_config.json."
            ) from error
        return importlib.import_module(_DETR).DeformableDetrImageProcessorPil.from_pretrained(
            folder, trust_remote_code=False
        )


def _processor(name: str, folder: Path) -> Any:
    from transformers import AutoProcessor

    require_tokenizer(folder, name)
    return _open_guarded(name, folder, AutoProcessor.from_pretrained, backend="pil")


def _open_guarded(name: str, folder: Path, open_: Any, **options: Any) -> Any:
    try:
        return open_(folder, **options, trust_remote_code=False)
    except opening_errors() as error:
        raise FeatureError(
            f"{make_printable(name)}: {folder} does not open as a detector "
            f"({opening_fault(error)}). It needs config.json, preprocessor_config.json and "
            "weights, of a kind that transformers supports without extra code."
        ) from error


def _missing_package(name: str, error: ImportError) -> str:
    text = str(error)
    known = ("timm", "torchvision", "scipy", "sentencepiece", "tiktoken", "protobuf", "einops")
    package = next((each for each in known if each in text.lower()), error.name)
    words = (make_printable(text).strip().splitlines() or ["a package is missing"])[0]
    command = f" Install it: pip install {package}" if package else ""
    return f"{make_printable(name)} needs another package ({words}).{command}"


def find_absent_weights(names: Sequence[str]) -> list[AnnotatorError]:
    """Find, or fetch, the weights of all detectors in `names`; return an error for absent ones."""
    absent: list[AnnotatorError] = []
    for name in names:
        try:
            find_weights(name, DETECTORS, alternative="")
        except AnnotatorError as error:
            absent.append(error)
    return absent
