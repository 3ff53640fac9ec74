"""Tiny detectors with random weights, saved as anyone saves a checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

LABELS = {0: "person", 1: "bicycle", 2: "motorbike"}


def _resnet() -> Any:
    from transformers import ResNetConfig

    return ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 1, 1], layer_type="basic",
        out_features=["stage2", "stage3", "stage4"],
    )  # fmt: skip


def _rt_detr_size(**more: Any) -> dict[str, Any]:
    return {
        "encoder_hidden_dim": 16, "encoder_in_channels": [16, 24, 32], "d_model": 16,
        "decoder_in_channels": [16, 16, 16], "num_queries": 12, "encoder_ffn_dim": 16,
        "decoder_ffn_dim": 16, "decoder_layers": 2, "encoder_attention_heads": 2,
        "decoder_attention_heads": 2, "num_denoising": 0, "id2label": LABELS, **more,
    }  # fmt: skip


def rt_detr_v2(folder: Path) -> Path:
    from transformers import RTDetrResNetConfig, RTDetrV2Config, RTDetrV2ForObjectDetection
    from transformers.models.rt_detr.image_processing_pil_rt_detr import RTDetrImageProcessorPil

    backbone = RTDetrResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 1, 1], layer_type="basic",
        out_features=["stage2", "stage3", "stage4"],
    )  # fmt: skip
    config = RTDetrV2Config(backbone_config=backbone, **_rt_detr_size())
    return _saved(
        folder, RTDetrV2ForObjectDetection, config, RTDetrImageProcessorPil(size=_square(96))
    )


def d_fine(folder: Path) -> Path:
    from transformers import DFineConfig, DFineForObjectDetection, HGNetV2Config
    from transformers.models.rt_detr.image_processing_pil_rt_detr import RTDetrImageProcessorPil

    backbone = HGNetV2Config(
        stem_channels=[3, 8, 8], stage_in_channels=[8, 16, 16, 24],
        stage_mid_channels=[8, 8, 8, 8], stage_out_channels=[16, 16, 24, 32],
        stage_num_blocks=[1, 1, 1, 1], stage_numb_of_layers=[1, 1, 1, 1],
        stage_downsample=[False, True, True, True], stage_light_block=[False, False, True, True],
        stage_kernel_size=[3, 3, 3, 3], hidden_sizes=[16, 16, 24, 32], depths=[1, 1, 1, 1],
        embedding_size=8, out_features=["stage2", "stage3", "stage4"],
    )  # fmt: skip
    config = DFineConfig(backbone_config=backbone, **_rt_detr_size(decoder_n_points=[2, 2, 2]))
    return _saved(
        folder, DFineForObjectDetection, config, RTDetrImageProcessorPil(size=_square(96))
    )


def deformable_detr(folder: Path, labels: dict[int, str] = LABELS) -> Path:
    from transformers import DeformableDetrConfig, DeformableDetrForObjectDetection
    from transformers.models.deformable_detr.image_processing_pil_deformable_detr import (
        DeformableDetrImageProcessorPil,
    )

    config = DeformableDetrConfig(
        backbone_config=_resnet(), use_timm_backbone=False, d_model=32, num_queries=12,
        encoder_layers=1, decoder_layers=2, encoder_ffn_dim=16, decoder_ffn_dim=16,
        encoder_attention_heads=2, decoder_attention_heads=2, num_feature_levels=3,
        id2label=labels,
    )  # fmt: skip
    processor = DeformableDetrImageProcessorPil(size={"shortest_edge": 64, "longest_edge": 128})
    return _saved(folder, DeformableDetrForObjectDetection, config, processor)


def rf_detr_processor(folder: Path) -> None:
    """Write the published checkpoint's processor: a class that only torchvision runs."""
    (folder / "preprocessor_config.json").write_text(
        '{"image_processor_type": "RfDetrImageProcessor", "size": {"height": 96, "width": 96},'
        ' "do_resize": true, "do_normalize": true, "do_pad": false}'
    )


def owlv2(folder: Path) -> Path:
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import (
        CLIPTokenizerFast,
        Owlv2Config,
        Owlv2ForObjectDetection,
        Owlv2Processor,
        Owlv2TextConfig,
        Owlv2VisionConfig,
    )  # fmt: skip
    from transformers.models.owlv2.image_processing_pil_owlv2 import Owlv2ImageProcessorPil

    words = ["!", "<|startoftext|>", "<|endoftext|>", *"abcdefghijklmnopqrstuvwxyz"]
    words += [f"{letter}</w>" for letter in words[3:]]
    vocabulary = {word: place for place, word in enumerate(words)}
    tokenizer = Tokenizer(models.BPE(vocabulary, [], end_of_word_suffix="</w>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<|startoftext|> $A <|endoftext|>",
        special_tokens=[("<|startoftext|>", 1), ("<|endoftext|>", 2)],
    )
    small = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1}
    config = Owlv2Config(
        text_config=Owlv2TextConfig(
            **small, num_attention_heads=2, vocab_size=len(words), bos_token_id=1, eos_token_id=2
        ).to_dict(),
        vision_config=Owlv2VisionConfig(
            **small, num_attention_heads=2, image_size=64, patch_size=16
        ).to_dict(),
        projection_dim=16,
    )
    processor = Owlv2Processor(
        Owlv2ImageProcessorPil(size=_square(64)),
        CLIPTokenizerFast(tokenizer_object=tokenizer, model_max_length=16, pad_token="!"),
    )
    return _saved(folder, Owlv2ForObjectDetection, config, processor)


def grounding_dino(folder: Path) -> Path:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import (
        BertConfig,
        BertTokenizerFast,
        GroundingDinoConfig,
        GroundingDinoForObjectDetection,
        GroundingDinoProcessor,
        SwinConfig,
    )
    from transformers.models.grounding_dino.image_processing_pil_grounding_dino import (
        GroundingDinoImageProcessorPil,
    )

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", "?", "a", "cat", "ripe", "pear"]
    tokenizer = Tokenizer(models.WordPiece({w: i for i, w in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    config = GroundingDinoConfig(
        backbone_config=SwinConfig(
            embed_dim=16, depths=[1, 1, 1, 1], num_heads=[1, 2, 2, 2], window_size=2,
            image_size=64, out_indices=[2, 3, 4],
        ),
        text_config=BertConfig(
            vocab_size=len(words), hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
            intermediate_size=16, max_position_embeddings=64,
        ),
        d_model=32, encoder_layers=1, decoder_layers=2, encoder_ffn_dim=16, decoder_ffn_dim=16,
        encoder_attention_heads=2, decoder_attention_heads=2, num_queries=12, max_text_len=16,
    )  # fmt: skip
    processor = GroundingDinoProcessor(
        GroundingDinoImageProcessorPil(size={"shortest_edge": 64, "longest_edge": 128}),
        BertTokenizerFast(tokenizer_object=tokenizer),
    )
    return _saved(folder, GroundingDinoForObjectDetection, config, processor)


def _square(side: int) -> dict[str, int]:
    return {"height": side, "width": side}


def _saved(folder: Path, kind: Any, config: Any, processor: Any) -> Path:
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = kind(config).eval()
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder
