"""`annotator status` says whose names the model knows, how much they count, and what lacks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import annotator
from annotator.features.extractor import load_extractor
from annotator.features.paired import PairedTowers
from annotator.features.pipeline import extract_features
from annotator.features.store import FeatureStore
from annotator.images import ImageFolder
from annotator.project.classes import ClassInfo
from annotator.project.item_pool import load_refs
from annotator.project.project import ProjectFolder
from annotator.project.settings import Settings
from annotator.report.status import format_status, project_status
from annotator.session.class_text import compute_class_texts
from tests.features.paired_checkpoints import save_paired_checkpoint


def make_project(folder: Path) -> ProjectFolder:
    images = folder / "images"
    images.mkdir()
    rng = np.random.default_rng(0)
    for number in range(20):
        pixels = rng.integers(0, 255, (16, 16, 3), np.uint8)
        Image.fromarray(pixels).save(images / f"{number:02}.png")
    classes = (ClassInfo("cat"), ClassInfo("dog"))
    project = ProjectFolder.create(folder / "p", Settings(classes=classes, images=str(images)))
    extract_features(
        load_refs(project), ImageFolder(project.images), load_extractor("classic", device="cpu"),
        project.features_folder, context=0.0,
    )  # fmt: skip
    return project


def names(project: ProjectFolder) -> tuple[Any, str]:
    found = project_status(ProjectFolder.open(project.folder))
    return found["names"], format_status(found)


def test_the_names_from_none_over_a_model_to_a_renamed_class(tmp_path: Path) -> None:
    net = save_paired_checkpoint("clip", tmp_path / "net")
    project = make_project(tmp_path)
    found, text = names(project)
    assert found is None and "names" not in text
    store = FeatureStore.open(project.features_folder)
    compute_class_texts(project, store, PairedTowers(str(net), device="cpu"))
    found, text = names(project)
    assert found == {"model": str(net), "classes": ["cat", "dog"], "weight": None, "problem": None}
    assert f"names of 2 classes read by {net}" in text
    with annotator.open(project.folder).session(annotator="script") as session:
        for number in range(8):
            session.label(("cat", "dog")[number % 2])
    found, text = names(project)
    assert 0 <= found["weight"] <= 4 and f"weight in the model {found['weight']:.2f}" in text
    settings = project.folder / "annotator.toml"
    settings.write_text(settings.read_text().replace('"dog"', '"wolf"'))
    found, text = names(project)
    assert (found["classes"], found["weight"]) == (["cat"], None)
    assert f"annotator words {project.folder}" in found["problem"] and found["problem"] in text
    project.words_file.write_bytes(b"damaged")
    assert names(project)[0] is None
