"""Tiny networks for pictures and text with random weights, as anyone saves one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

WORDS = ("a", "photo", "of", "rusty", "edge", "cat", "kind", "dog", "animal", ":", ",")
KINDS = ("clip", "siglip", "siglip2")


def save_paired_checkpoint(kind: str, folder: Path) -> Path:
    """Save a tiny network of a kind, with its tokenizer; skip the test without torch."""
    torch = pytest.importorskip("torch", reason="needs the extra: models")
    transformers = pytest.importorskip("transformers", reason="needs the extra: models")
    torch.set_num_threads(1)
    torch.manual_seed(0)
    config = _config(transformers, kind)
    transformers.AutoModel.from_config(config).save_pretrained(folder)
    _tokenizer(transformers).save_pretrained(folder)
    return folder


def _config(transformers: Any, kind: str) -> Any:
    size = {
        "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1,
        "num_attention_heads": 2,
    }  # fmt: skip
    text = {
        **size, "vocab_size": len(WORDS) + 3, "projection_size": 16, "max_position_embeddings": 12,
        "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
    }  # fmt: skip
    vision: dict[str, Any] = {**size, "patch_size": 8}
    if kind == "clip":
        return transformers.CLIPConfig(
            text_config=text, vision_config={**vision, "image_size": 16}, projection_dim=12
        )
    if kind == "siglip":
        return transformers.SiglipConfig(
            text_config=text, vision_config={**vision, "image_size": 16}
        )
    return transformers.Siglip2Config(text_config=text, vision_config={**vision, "num_patches": 4})


def _tokenizer(transformers: Any) -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = {"<pad>": 0, "<unk>": 1, "<eos>": 2, **{word: 3 + n for n, word in enumerate(WORDS)}}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<eos>", unk_token="<unk>"
    )
