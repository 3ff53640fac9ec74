"""Images, models and boxes that take no part are named, and the rest continues."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from annotator.cli.app import app
from annotator.detection.ensemble import EnsembleConfig, EnsembleModel, FusedImage, ImageAgreement
from annotator.detection.proposal import Proposal
from annotator.errors import ExtraMissing, RefError
from annotator.items.refs import Box, Item
from annotator.log.entries import LogState
from annotator.project.project import ProjectFolder
from annotator.proposals import ProposalWriter, open_proposal_project
from annotator.proposals.detect import write_fused_images
from annotator.proposals.faces import build_faces_document
from annotator.proposals.runs import ProcessedImages


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("a.png", "b.png"):
        Image.new("RGB", (60, 40), (200, 90, 30)).save(folder / name)
    return folder


def run(*args: object) -> Any:
    ran = CliRunner().invoke(app, list(map(str, args)), catch_exceptions=False)
    assert ran.exit_code == 0, ran.stderr
    return ran


def test_a_folder_without_images_is_said_and_nothing_is_made(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.txt").write_text("no picture")
    with pytest.raises(RefError, match="holds no image"):
        open_proposal_project(tmp_path / "empty")
    assert [file.name for file in tmp_path.iterdir()] == ["empty"]


def test_boxes_that_were_none_are_counted_with_their_images(photos: Path) -> None:
    config = EnsembleConfig((EnsembleModel("m"),))
    seen = [
        FusedImage(
            path, (60, 40), [], ImageAgreement(path, 0, 0, 0.9), (), {"outside the image": count}
        )
        for path, count in (("a.png", 1), ("b.png", 3))
    ]
    outcome = write_fused_images(
        open_proposal_project(photos), seen, config, accept=False, timestamp=0.0
    )
    assert outcome.describe_invalid_boxes() == ["4 boxes outside the image, in b.png, a.png"]


def test_faces_of_an_image_that_has_gone_still_go_out(photos: Path) -> None:
    project = open_proposal_project(photos, classes=("face",))
    points = [[20.0 + x, 10.0 + x] for x in range(5)]
    with ProposalWriter(project) as writer:
        for name in ("a.png", "b.png"):
            item = Item(name, Box(10, 5, 20, 20))
            writer.add([Proposal(item, 0.9, "face", "m", extra={"points": points})])
    (photos / "b.png").unlink()
    left_out: list[str] = []
    frames = build_faces_document(project, LogState(), 0.0, left_out.append)["frames"]
    assert [(frame["image"], frame["width"]) for frame in frames] == [
        ("a.png", 60),
        ("b.png", None),
    ]
    assert [frame["faces"][0]["points"] for frame in frames] == [points, points]
    assert left_out == ["b.png: there is no such file. Put it back, or skip it."]


def test_models_that_know_none_of_the_classes_have_no_vote(photos: Path, tmp_path: Path) -> None:
    pytest.importorskip("transformers", reason="needs the models extra")
    from tests.detection import detector_checkpoints as checkpoints

    checkpoints.deformable_detr(tmp_path / "knows")
    for name in ("one", "other"):
        checkpoints.deformable_detr(tmp_path / name, {0: "tree", 1: "house"})
    models = ",".join(str(tmp_path / name) for name in ("knows", "one", "other"))
    ran = run(
        "detect", photos, "--models", models, "--classes", "person", "--threshold", "0.05",
        "--min-score", "0", "--json",
    )  # fmt: skip
    told = json.loads(ran.stdout)
    # One model is left: its own vote is more than half of the votes.
    assert told["boxes"] > 0 and told["to_person"] == 0
    assert [line.partition(": ")[2] for line in told["left_out"]] == [
        "knows none of the classes"
    ] * 2


def test_every_model_whose_weights_are_absent_is_named_at_once(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("huggingface_hub", reason="needs the models extra")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.chdir(photos.parent)
    with pytest.raises(ExtraMissing) as error:
        run("detect", photos, "--models", "SenseTime/deformable-detr,photos/my-detector")
    assert "hf download SenseTime/deformable-detr   (about 161 MB)" in str(error.value)
    assert "there is none called photos/my-detector" in str(error.value)
    assert sorted(f.name for f in photos.parent.iterdir()) == ["photos"]


def test_a_checkpoint_of_older_days_opens(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="needs the models extra")
    from safetensors.torch import load_file

    from annotator.detection.detectors import TransformersDetector
    from tests.detection import detector_checkpoints as checkpoints

    new = checkpoints.deformable_detr(tmp_path / "new")
    shutil.copytree(new, tmp_path / "old")
    (tmp_path / "old" / "model.safetensors").unlink()
    torch.save(load_file(new / "model.safetensors"), tmp_path / "old" / "pytorch_model.bin")
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, (60, 90, 3), np.uint8))
    answers = []
    for folder in (new, tmp_path / "old"):
        detector = TransformersDetector(str(folder), device="cpu")
        (found,) = detector.detect([detector.prepare(picture, picture.size)])
        assert not isinstance(found, str)
        answers.append(found.boxes)
    assert np.array_equal(answers[0], answers[1])


def test_no_cluster_at_all_says_what_else_to_try(photos: Path, tmp_path: Path) -> None:
    from annotator.features.store import FeatureStore
    from annotator.items.ref_table import RefTable

    project = open_proposal_project(photos)
    refs = ["a.png#xywh=1,1,9,9", "b.png#xywh=1,1,9,9"]
    project.refs_file.write_text('filename,bbox\na.png,"1,1,9,9"\nb.png,"1,1,9,9"\n')
    np.save(tmp_path / "features.npy", np.eye(2, dtype=np.float32))
    FeatureStore.adopt(project.features_folder, tmp_path / "features.npy", RefTable(refs))
    ran = run("cluster", project.folder, "--method", "dbscan", "--eps", "0.1")
    assert "0 clusters; in no cluster: 2 items" in ran.stderr
    assert "--eps" in ran.stderr and "browse" not in ran.stderr


# --- a disk that takes no more

_SCRIPT = """
import resource, sys
from pathlib import Path
from annotator.items.atomic import write_atomically
from annotator.project.project import ProjectFolder
from annotator.proposals import ProposalWriter
from annotator.proposals.runs import ProcessedImages
from annotator.detection.proposal import Proposal
from annotator.items.refs import Box, Item

def proposal(name):
    return Proposal(Item(name, Box(1, 1, 9, 9)), 0.5, "cat", "m", extra={{"why": "x" * 200}})

place = Path(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, ({most}, {most}))
{work}
"""
"""A script in which no file can grow beyond `most` bytes; the limit holds for a whole process."""


def refused(most: int, work: str, place: Path) -> str:
    """Return the last line of the error when `work` needs more bytes in a file."""
    script = _SCRIPT.format(most=most, work=work)
    ran = subprocess.run(
        [sys.executable, "-B", "-c", script, str(place)], capture_output=True, text=True
    )
    assert ran.returncode == 1
    return ran.stderr.splitlines()[-1]


def _proposal(name: str) -> Proposal:
    return Proposal(Item(name, Box(1, 1, 9, 9)), 0.5, "cat", "m", extra={"why": "x" * 200})


def test_a_full_disk_names_the_file_and_the_next_run_has_it_all(photos: Path) -> None:
    project = open_proposal_project(photos)
    work = """
with ProposalWriter(ProjectFolder.open(place)) as writer:
    writer.add([proposal("a.png")])
    writer.add([proposal("b.png")])
"""
    assert "proposals.csv cannot be written" in refused(300, work, project.folder)
    with ProposalWriter(ProjectFolder.open(project.folder)) as writer:
        writer.add([_proposal("a.png"), _proposal("b.png")])
        assert (writer.repeated, writer.added) == (1, 1)
    assert [line.partition(",")[0] for line in project.refs_file.read_text().splitlines()] == [
        "filename", "a.png", "b.png",
    ]  # fmt: skip


def test_images_done_before_the_disk_was_full_stay_done(photos: Path) -> None:
    project = open_proposal_project(photos)
    work = """
with ProcessedImages(ProjectFolder.open(place), {"model": "m"}) as done:
    for name in ("a.png", "b\\u2028.png", "c.png", "d.png"):
        done.add(name)
"""
    said = refused(75, work, project.folder)
    assert "done-" in said and "cannot be written" in said
    with ProcessedImages(project, {"model": "m"}) as done:
        assert "a.png" in done and "b\u2028.png" in done and "d.png" not in done
        done.add("d.png")
    with ProcessedImages(project, {"model": "m"}) as done:
        assert "d.png" in done


def test_a_file_that_cannot_be_replaced_is_named_and_stays(tmp_path: Path) -> None:
    file = tmp_path / "first.csv"
    file.write_text("as it was")
    said = refused(10, 'write_atomically(place, b"more than ten bytes")', file)
    assert said.startswith("OSError") and str(file) in said
    assert [f.name for f in tmp_path.iterdir()] == ["first.csv"]
    assert file.read_text() == "as it was"
