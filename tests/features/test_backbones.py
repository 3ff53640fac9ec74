"""Real loading code on a real checkpoint and on tiny random ones that are saved here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from annotator.errors import ExtraMissing, FeatureError
from annotator.features.backbones import Backbone
from annotator.features.pipeline import extract_features
from annotator.features.store import FeatureStore
from annotator.features.weights import default_model, find_weights
from annotator.images import ImageFolder
from annotator.items.ref_table import RefTable
from annotator.items.refs import Item

torch = pytest.importorskip("torch", reason="needs the models extra")
transformers = pytest.importorskip("transformers", reason="needs the models extra")

TINY = {
    "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24,
}  # fmt: skip
NOISE = np.random.default_rng(0).integers(0, 256, (60, 80, 3)).astype(np.uint8)


def dinov2(folder: Path) -> Any:
    torch.manual_seed(0)
    config = transformers.Dinov2WithRegistersConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, image_size=28, patch_size=14,
        num_register_tokens=4,
    )  # fmt: skip
    model = transformers.Dinov2WithRegistersModel(config).eval()
    model.save_pretrained(folder)
    said = {
        "crop_size": {"height": 28, "width": 28}, "do_center_crop": True, "do_normalize": True,
        "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225],
        "image_processor_type": "BitImageProcessor", "size": {"shortest_edge": 32},
    }  # fmt: skip
    (folder / "preprocessor_config.json").write_text(json.dumps(said))
    return model


def siglip(folder: Path) -> Any:
    """google/siglip2-base-patch16-224 is of this kind: of one resolution."""
    torch.manual_seed(0)
    vision = {**TINY, "image_size": 32, "patch_size": 8}
    config = transformers.SiglipConfig(text_config={**TINY, "vocab_size": 40}, vision_config=vision)
    model = transformers.SiglipModel(config).eval()
    model.save_pretrained(folder)
    said = {
        "image_mean": [0.5] * 3, "image_std": [0.5] * 3, "size": {"height": 32, "width": 32},
        "image_processor_type": "SiglipImageProcessor", "rescale_factor": 1 / 255,
    }  # fmt: skip
    (folder / "preprocessor_config.json").write_text(json.dumps(said))
    return model


def siglip2(folder: Path) -> Any:
    """The kind of SigLIP2 that takes any resolution."""
    torch.manual_seed(0)
    vision = {**TINY, "num_patches": 16, "patch_size": 8}
    text = {**TINY, "vocab_size": 40}
    config = transformers.Siglip2Config(text_config=text, vision_config=vision)
    model = transformers.Siglip2Model(config).eval()
    model.save_pretrained(folder)
    said = {
        "image_mean": [0.5] * 3, "image_std": [0.5] * 3, "patch_size": 8, "max_num_patches": 16,
        "image_processor_type": "Siglip2ImageProcessor",
    }  # fmt: skip
    (folder / "preprocessor_config.json").write_text(json.dumps(said))
    return model


def seen(backbone: Backbone, image: Image.Image) -> Any:
    return np.asarray(image.resize(backbone.size))


def processed(folder: Path, image: Image.Image) -> Any:
    """Return a picture of the input's size after transformers' own processor for this model."""
    processor = transformers.AutoImageProcessor.from_pretrained(folder, backend="pil")
    return processor(image, return_tensors="pt")


def test_dinov2_gives_the_class_token_of_the_picture(tmp_path: Path) -> None:
    model = dinov2(tmp_path)
    backbone = Backbone(str(tmp_path))
    image = Image.fromarray(NOISE[:28, :28])
    # The processor would enlarge to 32 and cut 28 out of it; without that it has our input.
    processor = transformers.AutoImageProcessor.from_pretrained(tmp_path, backend="pil")
    with torch.inference_mode():
        inputs = processor(image, do_resize=False, return_tensors="pt")
        expected = model(**inputs).last_hidden_state[:, 0]
    assert backbone.dim == 16
    assert np.allclose(backbone([seen(backbone, image)]), expected.numpy(), atol=1e-4)
    assert backbone.describe()["output"] == "cls"


@pytest.mark.parametrize("save", [siglip, siglip2])
def test_siglip_gives_its_pooled_picture_without_the_text_half(tmp_path: Path, save: Any) -> None:
    model = save(tmp_path)
    image = Image.fromarray(NOISE[:32, :32])
    backbone = Backbone(str(tmp_path))
    with torch.inference_mode():
        expected = model.vision_model(**processed(tmp_path, image)).pooler_output
    assert np.allclose(backbone([seen(backbone, image)]), expected.numpy(), atol=1e-4)
    loaded = sum(weights.numel() for weights in backbone._model.parameters())
    assert loaded < sum(weights.numel() for weights in model.parameters())


def test_a_picture_is_seen_whole(tmp_path: Path) -> None:
    """Also what a centre crop would cut away changes the features."""
    dinov2(tmp_path)
    backbone = Backbone(str(tmp_path))
    wide = Image.new("RGB", (400, 100), "grey")
    marked = wide.copy()
    marked.paste("red", (380, 0, 400, 100))
    one, other = backbone([seen(backbone, wide), seen(backbone, marked)])
    assert np.abs(one - other).max() > 1e-3


def test_rows_do_not_depend_on_their_batch(tmp_path: Path) -> None:
    dinov2(tmp_path)
    backbone = Backbone(str(tmp_path), batch_size=3)
    pictures = [seen(backbone, Image.fromarray(NOISE[n:, n:])) for n in range(10)]
    together = backbone(pictures)
    assert together.shape == (10, 16)
    alone = np.concatenate([backbone([picture]) for picture in pictures])
    assert np.allclose(together, alone, atol=1e-5)


def test_half_precision_comes_near(tmp_path: Path) -> None:
    dinov2(tmp_path)
    full, half = Backbone(str(tmp_path)), Backbone(str(tmp_path), dtype="bf16")
    picture = seen(full, Image.fromarray(NOISE))
    assert half([picture]).dtype == np.float32
    assert np.allclose(full([picture]), half([picture]), atol=0.1)


def test_batches_shrink_when_memory_runs_out(tmp_path: Path) -> None:
    dinov2(tmp_path)
    backbone = Backbone(str(tmp_path), batch_size=16)
    forward, most = backbone._model.forward, 5

    def small(pixel_values: Any, **rest: Any) -> Any:
        if len(pixel_values) > most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(pixel_values, **rest)

    pictures = [seen(backbone, Image.fromarray(NOISE[n:])) for n in range(11)]
    expected = backbone(pictures)
    backbone._model.forward = small
    assert np.allclose(backbone(pictures), expected, atol=1e-5)
    assert backbone.batch_size <= 5
    most = 0
    with pytest.raises(FeatureError, match="does not fit .* --dtype bf16"):
        backbone(pictures)


def test_a_checkpoint_for_classification_loads_without_its_classifier(tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = transformers.ViTConfig(**TINY, image_size=32, patch_size=16)
    model = transformers.ViTForImageClassification(config).eval()
    model.save_pretrained(tmp_path)
    one, two = Backbone(str(tmp_path)), Backbone(str(tmp_path))
    picture = seen(one, Image.fromarray(NOISE))
    assert np.array_equal(one([picture]), two([picture]))  # nothing random in it
    assert one.describe()["input"] == [32, 32]


def test_the_real_network_describes_as_the_reference_does(shared: Path) -> None:
    folder = shared / "models" / "mobilenet-v2"
    backbone = Backbone(str(folder))
    photo = Image.open(shared / "data" / "photos" / "grace_hopper.jpg").convert("RGB")
    image = photo.resize((224, 224))
    processor = transformers.AutoImageProcessor.from_pretrained(folder, backend="pil")
    model = transformers.AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.inference_mode():
        inputs = processor(image, do_resize=False, do_center_crop=False, return_tensors="pt")
        expected = model(**inputs).pooler_output.flatten(1)
    assert backbone.dim == 1280
    assert np.allclose(backbone([seen(backbone, image)]), expected.numpy(), atol=1e-3)


def test_the_pipeline_runs_a_network(tmp_path: Path) -> None:
    dinov2(tmp_path / "model")
    for n in range(9):
        Image.fromarray(NOISE[n:]).save(tmp_path / f"{n}.png")
    refs = RefTable(f"{n}.png" for n in range(9))
    backbone = Backbone(str(tmp_path / "model"), batch_size=4)
    report = extract_features(refs, ImageFolder(tmp_path), backbone, tmp_path / "features")
    assert (report.complete, report.computed) == (True, 9)
    store = FeatureStore.open(tmp_path / "features")
    expected = backbone(
        [ImageFolder(tmp_path).resized_pixels(Item(ref), backbone.size) for ref in refs]
    )
    assert np.allclose(store.matrix, expected, atol=5e-3)
    assert store.extractor["output"] == "cls"


def test_absent_weights_name_the_command_that_fetches_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    for name, command, size in [
        ("dinov2-small", "hf download facebook/dinov2-with-registers-small", "88 MB"),
        (
            "google/siglip2-base-patch16-224",
            "hf download google/siglip2-base-patch16-224",
            "1.5 GB",
        ),
        ("someone/some-model", "hf download someone/some-model", "huggingface.co/someone/some"),
        ("dinov3-base", "hf auth login", "licence"),
    ]:
        with pytest.raises(ExtraMissing) as caught:
            Backbone(name)
        assert command in str(caught.value)
        assert size in str(caught.value)
    assert default_model() == "classic"


def test_weights_in_the_cache_are_found_without_a_network(tmp_path: Path) -> None:
    model = "models--facebook--dinov2-with-registers-small"
    snapshot = tmp_path / "hub" / model / "snapshots" / "abc"
    dinov2(snapshot)
    (tmp_path / "hub" / model / "refs").mkdir()
    (tmp_path / "hub" / model / "refs" / "main").write_text("abc")
    code = (
        "from annotator.features.weights import default_model, find_weights;"
        "print(default_model(), find_weights('dinov2-small'))"
    )
    said = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert said.stdout.strip() == f"dinov2-small {snapshot}"


def test_without_torch_the_command_that_installs_it_is_said(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from annotator.features.backbones import Backbone\n"
        "from annotator.errors import ExtraMissing\n"
        "try: Backbone('dinov2-small')\n"
        "except ExtraMissing as error: print(error)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "torch is not installed" in said.stdout
    assert "pip install 'annotator-tui[models]'" in said.stdout


@pytest.mark.parametrize("name", ["dinov9", "../nothing", "a/b/c", "/no/such/folder"])
def test_a_name_that_can_be_no_model_says_what_can(name: str) -> None:
    with pytest.raises(FeatureError, match="dinov2-small.*Hugging Face id"):
        find_weights(name)


def test_folders_that_hold_no_model_are_said(tmp_path: Path) -> None:
    with pytest.raises(FeatureError, match="does not open as a model"):
        Backbone(str(tmp_path))
    dinov2(tmp_path)
    (tmp_path / "model.safetensors").rename(tmp_path / "pytorch_model.bin")
    with pytest.raises(FeatureError, match="safetensors"):
        Backbone(str(tmp_path))


def test_truncated_or_lacking_weights_are_said(tmp_path: Path) -> None:
    dinov2(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 3}))
    with pytest.raises(FeatureError, match="lacks weights: encoder.layer.2"):
        Backbone(str(tmp_path))
    weights = (tmp_path / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    with pytest.raises(FeatureError, match="does not open as a model"):
        Backbone(str(tmp_path))


def test_devices_and_types_that_are_not_there_are_said(tmp_path: Path) -> None:
    dinov2(tmp_path)
    with pytest.raises(FeatureError, match="no device 'tpu' here. Choose --device cpu"):
        Backbone(str(tmp_path), device="tpu")
    with pytest.raises(FeatureError, match="not one of auto, fp32, bf16, fp16"):
        Backbone(str(tmp_path), dtype="int4")
