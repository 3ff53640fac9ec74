"""Tiny networks with random weights, saved as real checkpoints are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs the models extra")
transformers = pytest.importorskip("transformers", reason="needs the models extra")

TINY = {
    "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24,
}  # fmt: skip
IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}


def said(folder: Path, kind: str, side: int = 32) -> None:
    """preprocessor_config.json as such checkpoints have it."""
    told = {
        **IMAGENET, "image_processor_type": kind, "do_resize": True, "do_normalize": True,
        "do_rescale": True, "rescale_factor": 1 / 255, "size": {"height": side, "width": side},
    }  # fmt: skip
    (folder / "preprocessor_config.json").write_text(json.dumps(told))


def vit(folder: Path, patch: int = 8) -> Any:
    """facebook/dino-vits16 is of this kind."""
    torch.manual_seed(0)
    config = transformers.ViTConfig(**TINY, image_size=32, patch_size=patch)
    model = transformers.ViTModel(config).eval()
    model.save_pretrained(folder)
    said(folder, "ViTImageProcessor")
    return model


def dinov2(folder: Path) -> Any:
    """With register tokens beside the class token."""
    torch.manual_seed(0)
    config = transformers.Dinov2WithRegistersConfig(
        **{key: TINY[key] for key in TINY if key != "intermediate_size"},
        image_size=28, patch_size=14, num_register_tokens=4,
    )  # fmt: skip
    model = transformers.Dinov2WithRegistersModel(config).eval()
    model.save_pretrained(folder)
    said(folder, "BitImageProcessor", 28)
    return model


def resnet(folder: Path) -> Any:
    torch.manual_seed(0)
    config = transformers.ResNetConfig(
        embedding_size=4, hidden_sizes=[8, 12, 16, 20], depths=[1, 1, 1, 1], layer_type="basic"
    )
    model = transformers.ResNetModel(config).eval()
    model.save_pretrained(folder)
    said(folder, "ConvNextImageProcessor")
    return model


def convnext_classifier(folder: Path, names: tuple[str, ...]) -> Any:
    """facebook/convnext-base-224-22k is of this kind."""
    torch.manual_seed(0)
    config = transformers.ConvNextConfig(
        hidden_sizes=[8, 8, 8, 8], depths=[1, 1, 1, 1], num_labels=len(names),
        id2label=dict(enumerate(names)), image_size=32,
    )  # fmt: skip
    model = transformers.ConvNextForImageClassification(config).eval()
    model.save_pretrained(folder)
    told = {
        **IMAGENET, "image_processor_type": "ConvNextImageProcessor", "do_resize": True,
        "size": {"shortest_edge": 32}, "crop_pct": 0.875, "do_normalize": True,
    }  # fmt: skip
    (folder / "preprocessor_config.json").write_text(json.dumps(told))
    return model


def siglip(folder: Path) -> Any:
    """google/siglip2-base-patch16-224 is of this kind; every letter is a token."""
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers

    torch.manual_seed(0)
    letters = {letter: number for number, letter in enumerate("\0?abcdefghijklmnopqrstuvwxyz .")}
    tokenizer = Tokenizer(models.WordLevel(letters, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="\0", unk_token="?"
    )
    fast.save_pretrained(folder)
    vision = {**TINY, "image_size": 32, "patch_size": 8}
    text = {**TINY, "vocab_size": len(letters), "max_position_embeddings": 32}
    config = transformers.SiglipConfig(text_config=text, vision_config=vision)
    model = transformers.SiglipModel(config).eval()
    model.save_pretrained(folder)
    said(folder, "SiglipImageProcessor")
    return model
