"""The names of the classes are read once, by whatever network knows words, and never in silence."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from annotator.errors import ExtraMissing, FeatureError
from annotator.features.extractor import load_extractor
from annotator.features.paired import PairedTowers
from annotator.features.pipeline import extract_features
from annotator.features.store import FeatureStore
from annotator.images import ImageFolder
from annotator.project.item_pool import load_refs
from annotator.project.project import ProjectFolder
from annotator.project.settings import ClassInfo, Settings
from annotator.session.class_text import (
    class_prompts,
    compute_class_texts,
    explain_no_words,
    find_name_scores,
    load_text_prior,
    require_text_model,
)
from tests.features.paired_checkpoints import KINDS, save_paired_checkpoint

CLASSES = (ClassInfo("cat"), ClassInfo("dog"), ClassInfo("rusty_edge"))


@pytest.fixture(params=KINDS)
def checkpoint(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return save_paired_checkpoint(request.param, tmp_path / "net")


def make_project(folder: Path, count: int = 24, **changes: Any) -> ProjectFolder:
    images = folder / "images"
    images.mkdir()
    rng = np.random.default_rng(0)
    for number in range(count):
        pixels = rng.integers(0, 255, (16, 16, 3), np.uint8)
        Image.fromarray(pixels).save(images / f"{number:02}.png")
    settings = Settings(classes=CLASSES, images=str(images), **changes)
    return ProjectFolder.create(folder / "p", settings)


def with_features(project: ProjectFolder, model: str) -> FeatureStore:
    extract_features(
        load_refs(project), ImageFolder(project.images), load_extractor(model, device="cpu"),
        project.features_folder, context=0.0,
    )  # fmt: skip
    return FeatureStore.open(project.features_folder)


def test_names_synonyms_and_descriptions_are_prompts() -> None:
    info = ClassInfo("rusty_edge", description="brown, flaking", synonyms=("corrosion",))
    assert class_prompts(info) == (
        "a photo of a rusty edge", "rusty edge", "a photo of a corrosion", "corrosion",
        "rusty edge: brown, flaking",
    )  # fmt: skip
    assert "cat, a kind of animal" in class_prompts(ClassInfo("cat", parent="animal"))


def test_both_halves_give_what_the_whole_network_gives(checkpoint: Path) -> None:
    import torch
    import transformers

    network = PairedTowers(str(checkpoint), device="cpu")
    pictures = np.random.default_rng(0).integers(0, 255, (5, 16, 16, 3), np.uint8)
    found = network(pictures)
    said = network.texts(["rusty edge", "a photo of a cat"])
    whole = transformers.AutoModel.from_pretrained(checkpoint).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(checkpoint)
    siglip = whole.config.model_type.startswith("siglip")
    for row, text in zip(said, ["rusty edge", "a photo of a cat"], strict=True):
        tokens = tokenizer(
            [text],
            return_tensors="pt",
            max_length=12,
            truncation=True,
            padding="max_length" if siglip else True,
        )
        with torch.inference_mode():
            given = {"input_ids": tokens["input_ids"]}
            if not siglip:
                given["attention_mask"] = tokens["attention_mask"]
            expected = whole.get_text_features(**given)
        expected = getattr(expected, "pooler_output", expected)[0].numpy()
        np.testing.assert_allclose(row, expected / np.linalg.norm(expected), atol=1e-5)
    assert found.shape == (5, said.shape[1])


def test_features_of_siglip_know_the_words_of_their_own_network(tmp_path: Path) -> None:
    """The scores are the cosines of the features there are: no picture is looked at again."""
    net = save_paired_checkpoint("siglip", tmp_path / "net")
    project = make_project(tmp_path)
    store = with_features(project, str(net))
    assert find_name_scores(project, store).readable
    assert "annotator words" in explain_no_words(project, store)
    for image in project.images.glob("*.png"):
        image.unlink()
    report = compute_class_texts(project, store, PairedTowers(str(net), device="cpu"))
    assert report is not None and report.items == 24
    assert sum(one.share for one in report.classes) == pytest.approx(1)
    prior = load_text_prior(project, store)
    assert prior is not None and prior.weights.shape == (17, 3)
    assert explain_no_words(project, store) == ""


def test_features_of_another_model_follow_what_a_network_says(
    checkpoint: Path, tmp_path: Path
) -> None:
    project = make_project(tmp_path)
    store = with_features(project, "classic")
    network = PairedTowers(str(checkpoint), device="cpu")
    assert compute_class_texts(project, store, network, limit=20) is not None
    prior = load_text_prior(project, store)
    assert prior is not None and prior.weights.shape == (store.matrix.shape[1] + 1, 3)
    # Another name of a class needs the network's text alone: the pictures are known.
    for image in project.images.glob("*.png"):
        image.unlink()
    named = replace(CLASSES[0], synonyms=("animal",))
    renamed = replace(project, settings=replace(project.settings, classes=(named, *CLASSES[1:])))
    assert load_text_prior(renamed, store) is None
    assert "have changed" in explain_no_words(renamed, store)
    assert require_text_model(renamed, store, None) == str(checkpoint)
    assert compute_class_texts(renamed, store, network, limit=20) is not None
    assert load_text_prior(renamed, store) is not None


def test_the_scores_follow_the_order_of_the_classes_of_whoever_asks(tmp_path: Path) -> None:
    """A screen keeps its order if the file has another, and `--refine` shows only some classes."""
    net = save_paired_checkpoint("siglip", tmp_path / "net")
    project = make_project(tmp_path)
    store = with_features(project, str(net))
    compute_class_texts(project, store, PairedTowers(str(net), device="cpu"))
    whole = load_text_prior(project, store)
    some = replace(project, settings=replace(project.settings, classes=CLASSES[:1]))
    found = find_name_scores(some, store, ("dog", "rusty_edge", "cat"))
    assert whole is not None and found.text is not None
    np.testing.assert_array_equal(found.text.weights, whole.weights[:, [1, 2, 0]])
    assert find_name_scores(some, store, ("dog", "cat")).text is None
    assert find_name_scores(some, store, ("dog", "cat", "rusty_edge", "new")).text is None


def test_a_network_in_a_folder_is_found_from_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = save_paired_checkpoint("clip", tmp_path / "net")
    project = make_project(tmp_path)
    store = with_features(project, "classic")
    monkeypatch.chdir(tmp_path)
    compute_class_texts(project, store, PairedTowers("net", device="cpu"))
    monkeypatch.chdir("/")
    assert require_text_model(project, store, None) == str(net)


def test_a_parent_would_get_the_items_of_its_kinds(tmp_path: Path) -> None:
    net = save_paired_checkpoint("siglip", tmp_path / "net")
    project = make_project(tmp_path)
    classes = (ClassInfo("animal"), *(replace(one, parent="animal") for one in CLASSES[:2]))
    settings = replace(project.settings, classes=(*classes, CLASSES[2]))
    project = replace(project, settings=settings)
    report = compute_class_texts(
        project, with_features(project, str(net)), PairedTowers(str(net), device="cpu")
    )
    assert report is not None
    shares = {one.name: one.share for one in report.classes}
    assert shares["animal"] == pytest.approx(shares["cat"] + shares["dog"])
    assert shares["animal"] + shares["rusty_edge"] == pytest.approx(1)


def test_off_is_off(tmp_path: Path) -> None:
    net = save_paired_checkpoint("siglip", tmp_path / "net")
    project = make_project(tmp_path)
    store = with_features(project, str(net))
    compute_class_texts(project, store, PairedTowers(str(net), device="cpu"))
    off = replace(project, settings=replace(project.settings, zero_shot="off"))
    assert load_text_prior(off, store) is None
    assert find_name_scores(off, store) == find_name_scores(off, store)
    assert (explain_no_words(off, store), find_name_scores(off, store).readable) == ("", False)


def test_a_damaged_file_is_as_good_as_none(tmp_path: Path) -> None:
    net = save_paired_checkpoint("siglip", tmp_path / "net")
    project = make_project(tmp_path)
    store = with_features(project, str(net))
    compute_class_texts(project, store, PairedTowers(str(net), device="cpu"))
    file = project.words_file
    file.write_bytes(file.read_bytes()[:-40])
    assert load_text_prior(project, store) is None
    assert "annotator words" in explain_no_words(project, store)


def test_a_network_without_words_names_one_that_knows_them(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    store = with_features(project, "classic")
    command = f"annotator words {project.folder} --model siglip2-base"
    assert command in explain_no_words(project, store)
    with pytest.raises(FeatureError, match="--model siglip2-base"):
        require_text_model(project, store, None)
    net = save_paired_checkpoint("clip", tmp_path / "net")
    for file in net.glob("*token*"):
        file.unlink()
    with pytest.raises(ExtraMissing, match="hf download"):
        PairedTowers(str(net))
    config = json.loads((net / "config.json").read_text())
    (net / "config.json").write_text(json.dumps({"model_type": config["model_type"]}))
    with pytest.raises(FeatureError, match="siglip2-base"):
        PairedTowers(str(net))


@pytest.mark.parametrize("name", ["classic", "dinov2-small", "nonsense", "google/absent"])
def test_no_message_about_words_offers_a_network_that_knows_none(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises((FeatureError, ExtraMissing)) as caught:
        PairedTowers(name)
    message = str(caught.value)
    assert "--model classic" not in message and "facebook" not in message
    assert "siglip2-base" in message or "hf download google/absent" in message


def run_annotator(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "annotator", *words],
        capture_output=True, text=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def test_the_command(tmp_path: Path) -> None:
    net = save_paired_checkpoint("clip", tmp_path / "net")
    project = make_project(tmp_path)
    folder = str(project.folder)
    ran = run_annotator("words", folder)
    assert ran.returncode != 0 and f"annotator features {folder}" in ran.stderr
    with_features(project, "classic")
    ran = run_annotator("words", folder)
    assert ran.returncode != 0 and f"annotator words {folder} --model siglip2-base" in ran.stderr
    ran = run_annotator("words", folder, "--model", str(net), "--device", "cpu", "--json")
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    assert found["items"] == 24 and [c["name"] for c in found["classes"]] == [
        "cat", "dog", "rusty_edge",
    ]  # fmt: skip
    assert found["classes"][2]["prompts"][:2] == ["a photo of a rusty edge", "rusty edge"]
    ran = run_annotator("next", folder, "--json")
    item = json.loads(ran.stdout)
    assert item["by_name"] and sum(item["prediction"].values()) == pytest.approx(1, abs=1e-3)
    run_annotator("answer", folder, item["ref"], "cat")
    ran = run_annotator("log", folder, "--json")
    assert "names@" in ran.stdout
