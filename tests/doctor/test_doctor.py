"""The findings of `annotator doctor` on a project whose parts do not belong together."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from annotator.doctor import Finding, examine_setup, format_findings
from annotator.features.growing import FeatureWriter
from annotator.items.ref_table import RefTable
from annotator.log.entries import Action, Entry
from annotator.log.store.sqlite import SqliteStore
from annotator.project.project import ProjectFolder
from annotator.project.settings import ClassInfo, Settings


@pytest.fixture
def project(tmp_path: Path) -> ProjectFolder:
    images = tmp_path / "images"
    images.mkdir()
    for number in range(4):
        Image.new("RGB", (8, 8)).save(images / f"{number}.png")
    classes = (ClassInfo("ok"), ClassInfo("defect"))
    return ProjectFolder.create(tmp_path / "p", Settings(classes=classes, images=str(images)))


def _features(project: ProjectFolder, refs: list[str], name: str = "classic") -> None:
    with FeatureWriter(project.features_folder, RefTable(refs), {"name": name}, 4) as growing:
        growing.write(np.arange(len(refs)), np.ones((len(refs), 4), np.float32))
        growing.finish()


def _label(project: ProjectFolder, ref: str, name: str) -> None:
    store = SqliteStore(project.labels_file)
    store.append(Entry(0, 0.0, "ann", Action.LABEL, ref, name))
    store.close()


def _found(project: ProjectFolder) -> dict[str, Finding]:
    return {finding.name: finding for finding in examine_setup(project.folder)}


def test_a_whole_project_has_nothing_to_mend(project: ProjectFolder) -> None:
    _features(project, [f"{number}.png" for number in range(4)])
    _label(project, "0.png", "ok")
    found = _found(project)
    for name in ("lock", "items", "labels", "consistency", "features", "free space"):
        assert found[name].ok, found[name]


def test_files_that_vanished_are_counted_with_an_example(project: ProjectFolder) -> None:
    _found(project)  # lists the images
    (project.images / "2.png").unlink()
    items = _found(project)["items"]
    assert not items.ok
    assert "1 without a file, such as 2.png" in items.detail


def test_features_of_other_items_and_of_another_extractor(project: ProjectFolder) -> None:
    _features(project, ["0.png", "1.png", "2.png", "other.png"], "dinov2")
    toml = project.folder / "annotator.toml"
    toml.write_text('model = "classic"\n' + toml.read_text())
    found = _found(project)
    assert "none for 1 item; 1 row for items that refs.csv lacks" in found["features"].detail
    assert found["features"].fix.startswith("annotator features ")
    assert "annotator.toml names classic" in found["extractor"].detail


def test_items_that_could_not_be_read_are_not_counted_as_having_features(
    project: ProjectFolder,
) -> None:
    refs = [f"{number}.png" for number in range(4)]
    with FeatureWriter(project.features_folder, RefTable(refs), {"name": "classic"}, 4) as growing:
        growing.write(np.arange(3), np.ones((3, 4), np.float32))
        growing.finish()
    detail = _found(project)["features"].detail
    assert "none for 0 items; 1 item left out" in detail


def test_labels_of_unknown_classes_and_vanished_items_are_named(project: ProjectFolder) -> None:
    _label(project, "0.png", "scratch")
    _label(project, "gone.png", "ok")
    found = _found(project)
    assert "scratch (1)" in found["classes"].detail
    assert "--class scratch" in found["classes"].fix
    assert "1 answer to items that refs.csv lacks, such as gone.png" in (
        found["vanished items"].detail
    )


def test_the_classes_of_each_item_are_looked_at_where_it_may_have_several(
    project: ProjectFolder,
) -> None:
    file = project.folder / "annotator.toml"
    file.write_text("multi_label = true\n" + file.read_text())
    _label(project, "0.png", "ok|defect")
    _label(project, "1.png", "(none)")
    assert "consistency" in _found(project)
    _label(project, "2.png", "ok|scratch")
    found = _found(project)
    assert found["classes"].detail.endswith("scratch (1)")
    assert "--class scratch" in found["classes"].fix


def test_a_locked_log_blocks_and_names_who_to_look_for(project: ProjectFolder) -> None:
    _label(project, "0.png", "ok")
    other = sqlite3.connect(project.labels_file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        lock = _found(project)["lock"]
    finally:
        other.close()
    assert lock.blocks
    assert lock.fix.startswith("fuser -v ")


def test_a_log_that_cannot_be_opened_or_read_blocks(project: ProjectFolder) -> None:
    _label(project, "0.png", "ok")
    for file in project.folder.glob("labels.db*"):
        file.unlink()
    project.labels_file.write_bytes(b"no database at all" * 100)
    found = _found(project)
    assert found["labels"].blocks and "damaged" in found["labels"].fix
    assert "lock" not in found, "said once"
    project.labels_file.unlink()
    project.labels_file.mkdir()
    found = _found(project)
    assert found["labels"].blocks and "is not a file" in found["labels"].fix
    assert "lock" not in found, "said once"


def test_damaged_numbers_of_classes_are_said(project: ProjectFolder) -> None:
    (project.folder / "class-ids.json").write_text('{"coco": {"ok": 1, "defect": 1}}')
    finding = _found(project)["class numbers"]
    assert "two have the same" in finding.detail
    assert finding.fix.startswith("mv ")


def test_weights_that_are_not_here_come_with_the_command_that_fetches_them(
    project: ProjectFolder, tmp_path: Path
) -> None:
    toml = project.folder / "annotator.toml"
    toml.write_text('model = "siglip2-base"\n' + toml.read_text())
    done = subprocess.run(
        [sys.executable, "-m", "annotator", "doctor", str(project.folder), "--json"],
        capture_output=True, text=True, check=False, env={**os.environ, "HF_HOME": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 0
    found = {finding["name"]: finding for finding in json.loads(done.stdout)}
    assert found["model"]["fix"].startswith("hf download google/siglip2-base-patch16-224")
    assert found["weights"]["fix"].startswith("hf download facebook/dinov2-with-registers-small")


def test_a_broken_annotator_toml_blocks_with_its_line(project: ProjectFolder) -> None:
    (project.folder / "annotator.toml").write_text("seed = 1\nclasses = = 2\n")
    finding = _found(project)["project"]
    assert finding.blocks
    assert "line 2" in finding.fix
    assert "STOP  project" in format_findings([finding])


@pytest.mark.parametrize(
    ("capability", "dtype"), [("9.0", "bf16"), ("7.5", "fp16"), ("[N/A]", "fp16")]
)
def test_of_a_gpu_it_says_how_features_will_be_computed(
    tmp_path: Path, capability: str, dtype: str
) -> None:
    """As `nvidia-smi` prints it: old drivers do not know the capability."""
    smi = tmp_path / "nvidia-smi"
    smi.write_text(f'#!/bin/sh\necho "NVIDIA A1, 8192, 8000, {capability}, 550.54"\n')
    smi.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    environment.pop("CUDA_VISIBLE_DEVICES", None)
    done = subprocess.run(
        [sys.executable, "-m", "annotator", "doctor", "--json"],
        capture_output=True, text=True, check=False, env=environment,
    )  # fmt: skip
    (gpu,) = [found for found in json.loads(done.stdout) if found["name"] == "GPU"]
    assert gpu["detail"].endswith(f"--dtype auto means {dtype}")
