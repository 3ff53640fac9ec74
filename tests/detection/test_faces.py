"""Faces: found with landmarks, laid upright, described, grouped, named, exported."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps
from pytest import MonkeyPatch

from annotator.detection.align import FACE_TEMPLATE, align_face, fit_similarity
from annotator.detection.descriptors import DescriptorEnsemble
from annotator.detection.detections import Detections
from annotator.detection.faces import FLIP_INDICES, FaceDetector
from annotator.detection.onnxfiles import KNOWN_FILES, find_onnx
from annotator.detection.passes import undo_augmentation
from annotator.errors import ExtraMissing, FeatureError
from annotator.features.store import FeatureStore
from annotator.project.clusters import read_clusters
from annotator.project.project import ProjectFolder
from annotator.proposals import judge_proposal, read_proposals
from tests.detection.onnx_descriptor import write_descriptor

pytest.importorskip("cv2")
pytest.importorskip("onnxruntime")


# --- alignment


@pytest.mark.parametrize("degrees", [0, 30, -75, 170])
def test_a_turn_a_scale_and_a_shift_are_found_again(degrees: float) -> None:
    angle, scale, shift = np.radians(degrees), 3.7, np.array([200.0, -40.0])
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = FACE_TEMPLATE @ (scale * turn).T + shift
    matrix = fit_similarity(points, FACE_TEMPLATE)
    np.testing.assert_allclose(points @ matrix[:, :2].T + matrix[:, 2], FACE_TEMPLATE, atol=1e-8)


def test_a_mirrored_face_is_turned_but_never_mirrored() -> None:
    matrix = fit_similarity(FACE_TEMPLATE * (-1, 1) + (112, 0), FACE_TEMPLATE)
    assert np.linalg.det(matrix[:, :2]) > 0


def test_the_nearest_similarity_is_nearer_than_its_neighbours() -> None:
    rng = np.random.default_rng(0)
    points = FACE_TEMPLATE * 2 + rng.normal(0, 6, (5, 2))
    best = fit_similarity(points, FACE_TEMPLATE)

    def error(a: float, b: float, x: float, y: float) -> float:
        mapped = points @ np.array([[a, -b], [b, a]]).T + (x, y)
        return float(((mapped - FACE_TEMPLATE) ** 2).sum())

    values = best[0, 0], best[1, 0], best[0, 2], best[1, 2]
    least = error(*values)
    for place in range(4):
        for step in (-1e-3, 1e-3):
            assert error(*(v + step * (place == i) for i, v in enumerate(values))) > least


def test_landmarks_in_one_place_are_refused() -> None:
    with pytest.raises(ValueError, match="one place"):
        fit_similarity(np.ones((5, 2)), FACE_TEMPLATE)


@pytest.mark.parametrize("scale", [1.0, 7.3])
def test_a_face_lands_on_the_template_at_any_size(scale: float) -> None:
    """A bright dot at each landmark ends where the template has it."""
    side = round(160 * scale)
    points = FACE_TEMPLATE * scale + 20
    picture = np.zeros((side, side, 3), np.uint8)
    yy, xx = np.mgrid[:side, :side]
    for x, y in points:
        dot = np.hypot(xx - x, yy - y) < 2.5 * scale
        picture[dot] = 255
    face = align_face(picture, points)
    assert face.shape == (112, 112, 3)
    yy, xx = np.mgrid[:112, :112]
    for x, y in FACE_TEMPLATE:
        near = np.hypot(xx - x, yy - y) < 6
        mass = face[..., 0] * near
        centre = (mass * xx).sum() / mass.sum(), (mass * yy).sum() / mass.sum()
        assert np.hypot(centre[0] - x, centre[1] - y) < 0.6


# --- descriptors


def _faces(count: int) -> Any:
    return np.random.default_rng(3).integers(0, 256, (count, 112, 112, 3), np.uint8)


def _pooled(faces: Any) -> Any:
    """(n, 192) what the tiny descriptor multiplies: RGB in patches of 14 x 14."""
    patches = faces.reshape(len(faces), 8, 14, 8, 14, 3).mean(axis=(2, 4))
    return patches.transpose(0, 3, 1, 2).reshape(len(faces), 192)


@pytest.mark.parametrize("batch", [None, 1])
def test_a_descriptor_sees_rgb_from_minus_one_to_one(tmp_path: Path, batch: int | None) -> None:
    weights = write_descriptor(tmp_path / "tiny.onnx", 24, batch=batch)
    faces = _faces(3)
    vectors = DescriptorEnsemble([str(tmp_path / "tiny.onnx")])(faces)
    wanted = (_pooled(faces) - 127.5) / 127.5 @ weights
    wanted /= np.linalg.norm(wanted, axis=1, keepdims=True)
    np.testing.assert_allclose(vectors, wanted, atol=1e-4)


def test_sface_is_run_by_opencv_which_gives_it_rgb_as_it_is(tmp_path: Path) -> None:
    weights = write_descriptor(tmp_path / "my_sface.onnx", 16, batch=1)
    faces = _faces(2)
    vectors = DescriptorEnsemble([str(tmp_path / "my_sface.onnx")])(faces)
    wanted = _pooled(faces) @ weights
    wanted /= np.linalg.norm(wanted, axis=1, keepdims=True)
    np.testing.assert_allclose(vectors, wanted, atol=1e-4)


def test_every_part_of_an_ensemble_weighs_the_same(tmp_path: Path) -> None:
    write_descriptor(tmp_path / "a.onnx", 16, seed=0)
    write_descriptor(tmp_path / "b.onnx", 32, seed=1)
    write_descriptor(tmp_path / "loud.onnx", 32, seed=1, scale=50)
    names = [str(tmp_path / name) for name in ("a.onnx", "b.onnx", "loud.onnx")]
    faces = _faces(4)
    a, both = DescriptorEnsemble(names[:1])(faces), DescriptorEnsemble(names[:2])(faces)
    loud = DescriptorEnsemble([names[0], names[2]])
    assert both.shape == (4, 48)
    np.testing.assert_allclose(np.linalg.norm(both, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(both[:, :16], a / np.sqrt(2), atol=1e-5)
    cosines = loud(faces)[:, 16:] @ loud(faces)[:, 16:].T
    np.testing.assert_allclose(cosines, both[:, 16:] @ both[:, 16:].T, atol=1e-3)


def test_an_onnx_of_something_else_is_named(tmp_path: Path) -> None:
    other = tmp_path / "other.onnx"
    other.write_bytes(b"no onnx at all")
    with pytest.raises(FeatureError, match="does not describe faces"):
        DescriptorEnsemble([str(other)])
    with pytest.raises(FeatureError, match="does not open as a face detector"):
        FaceDetector(str(other))
    with pytest.raises(FeatureError, match="neither an ONNX file nor one of yunet, sface"):
        find_onnx("nothing.onnx")


# --- weights


def test_absent_weights_name_command_size_and_licence(
    monkeypatch: MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ExtraMissing, match=r"hf download opencv/face_recognition_sface .*39 MB"):
        find_onnx("sface")


def test_a_fetched_file_with_another_hash_is_refused(
    monkeypatch: MonkeyPatch, tmp_path: Path
) -> None:
    published = KNOWN_FILES["yunet"]
    folder = tmp_path / f"models--{published.repository.replace('/', '--')}"
    commit = "0" * 40
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text(commit)
    (folder / "snapshots" / commit).mkdir(parents=True)
    (folder / "snapshots" / commit / published.file).write_bytes(b"cut short")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(FeatureError, match="is not the published"):
        find_onnx("yunet")


# --- detection on real photographs


def _found(detector: FaceDetector, picture: Image.Image) -> Detections:
    (found,) = detector.detect([detector.prepare(picture, picture.size)])
    assert isinstance(found, Detections)
    return found.above_score(0.6)


def test_a_face_is_found_with_its_landmarks_mirrored_too(shared: Path) -> None:
    detector = FaceDetector(str(shared / "models" / "yunet.onnx"))
    picture = Image.open(shared / "data" / "photos" / "grace_hopper.jpg").convert("RGB")
    found = _found(detector, picture)
    assert found.names == ("face",)
    assert found.points is not None
    left_eye, right_eye, nose, left_mouth, right_mouth = found.points[0]
    assert left_eye[0] < nose[0] < right_eye[0]
    assert left_mouth[0] < nose[0] < right_mouth[0]
    assert max(left_eye[1], right_eye[1]) < nose[1] < min(left_mouth[1], right_mouth[1])
    mirrored = _found(detector, ImageOps.mirror(picture))
    back = undo_augmentation(mirrored, "flip", picture.width, FLIP_INDICES)
    assert back.points is not None
    np.testing.assert_allclose(back.points, found.points, atol=8)
    np.testing.assert_allclose(back.boxes, found.boxes, atol=12)


def test_a_large_picture_is_answered_in_its_own_pixels(shared: Path) -> None:
    detector = FaceDetector(str(shared / "models" / "yunet.onnx"), longest=640)
    picture = Image.open(shared / "data" / "photos" / "face.jpg").convert("RGB")
    small, large = _found(detector, picture), _found(detector, picture.resize((2048, 1420)))
    assert len(small) == 4
    for box in small.boxes * 4:
        assert np.abs(large.boxes - box).max(axis=1).min() < 40


# --- the command


def _cli(*args: str | Path, code: int = 0) -> Any:
    from typer.testing import CliRunner

    from annotator.cli.app import app

    ran = CliRunner().invoke(app, list(map(str, args)), catch_exceptions=False)
    assert ran.exit_code == code, ran.stderr
    return ran


@pytest.fixture
def album(shared: Path, tmp_path: Path) -> Path:
    """Three photographs of five people, one twice; one without, and one that is broken."""
    folder = tmp_path / "album"
    folder.mkdir()
    photos = shared / "data" / "photos"
    for name in ("face.jpg", "grace_hopper.jpg", "bird.jpg"):
        shutil.copy(photos / name, folder / name)
    with Image.open(photos / "grace_hopper.jpg") as picture:
        picture.rotate(12, expand=True).resize((700, 800)).save(folder / "hopper_again.png")
    (folder / "broken.jpg").write_bytes((photos / "face.jpg").read_bytes()[:500])
    return folder


def test_faces_become_items_with_landmarks_descriptors_and_identities(
    album: Path, shared: Path, tmp_path: Path
) -> None:
    write_descriptor(tmp_path / "tiny.onnx", 64)
    command = (
        "faces", album, "--detectors", shared / "models" / "yunet.onnx", "--descriptors",
        tmp_path / "tiny.onnx", "--crops", tmp_path / "crops", "--eps", "0.3", "--json",
    )  # fmt: skip
    ran = _cli(*command)
    assert ran.stderr.count("licence") == 2
    assert "broken.jpg" in ran.stderr and "6 faces" in ran.stderr
    told = json.loads(ran.stdout)
    assert [frame["image"] for frame in told["frames"]] == [
        "face.jpg", "grace_hopper.jpg", "hopper_again.png",
    ]  # fmt: skip
    faces = [face for frame in told["frames"] for face in frame["faces"]]
    assert [face["face_id"] for face in faces] == list(range(6))
    for face in faces:
        assert len(face["points"]) == 5
        assert face["x1"] < face["points"][0][0] < face["points"][1][0] < face["x2"]
    assert len(list((tmp_path / "crops").glob("*.png"))) == 6
    with Image.open(tmp_path / "crops" / "grace_hopper.jpg-1.png") as crop:
        assert crop.size == (112, 112)
    project = ProjectFolder.open(tmp_path / "album.faces")
    assert project.settings.names == ("face", "none")
    store = FeatureStore.open(project.features_folder)
    refs = [row.ref for row in read_proposals(project)]
    assert store.matrix.shape == (6, 64) and sorted(store.refs) == sorted(refs)
    # Turned by 12 degrees it is the same face: alignment sees to that.
    rows = store.rows([ref for ref in refs if ref.startswith(("grace", "hopper"))])
    one, two = store.matrix[rows].astype(np.float32)
    others = [store.matrix[r].astype(np.float32) for r in range(6) if r not in rows]
    assert one @ two > max(max(one @ other, two @ other) for other in others)
    again = _cli(*command)
    assert "0 images now" in again.stderr and "0 faces now" in again.stderr
    assert json.loads(again.stdout)["frames"] == told["frames"]


def test_identities_are_written_as_clusters_and_in_the_json(
    album: Path, shared: Path, tmp_path: Path
) -> None:
    write_descriptor(tmp_path / "tiny.onnx", 64)
    ran = _cli(
        "faces", album, "--detectors", shared / "models" / "yunet.onnx", "--descriptors",
        tmp_path / "tiny.onnx", "--eps", "2", "--min-samples", "2", "--json",
    )  # fmt: skip
    told = json.loads(ran.stdout)
    # All faces are within a cosine distance of 2: one identity.
    (cluster,) = told["clusters"]
    assert len(cluster["faces"]) == 6
    assert {f["cluster_id"] for frame in told["frames"] for f in frame["faces"]} == {0}
    assert {f["image"] for f in cluster["faces"]} == {f["image"] for f in told["frames"]}
    clusters = read_clusters(ProjectFolder.open(tmp_path / "album.faces"))
    assert clusters is not None and len(clusters.refs) == 6


def test_a_name_says_that_a_face_was_rightly_proposed() -> None:
    assert judge_proposal("Ada", "face") == ("Ada", True)
    assert judge_proposal("noise", "face").right
    assert judge_proposal("none", "face") == (None, False)
    assert judge_proposal("cat", "dog") == ("cat", False)


def test_eps_fits_dlibs_descriptor(album: Path, shared: Path, tmp_path: Path) -> None:
    """A distance of 0.3 takes all faces of dlib's network for one person."""
    models = shared / "models"
    command = [
        "faces", album, "--detectors", models / "yunet.onnx", "--descriptors",
        models / "dlib_resnet_112.onnx", "--json",
    ]  # fmt: skip
    ran = _cli(*command)
    assert "suggested: --eps 0.0" in ran.stderr
    (cluster,) = json.loads(ran.stdout)["clusters"]
    assert {face["image"] for face in cluster["faces"]} == {"grace_hopper.jpg", "hopper_again.png"}
    (everyone,) = json.loads(_cli(*command, "--eps", "0.3").stdout)["clusters"]
    assert len(everyone["faces"]) == 6
    assert "auto or a number" in _cli(*command[:2], "--eps", "far", code=2).stderr


def test_images_without_a_face_end_in_advice_and_no_error(shared: Path, tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    for name, size in (("dot", (1, 1)), ("line", (900, 1)), ("grey", (80, 60))):
        Image.new("L", size, 90).save(tmp_path / "p" / f"{name}.png")
    models = shared / "models"
    ran = _cli(
        "faces", tmp_path / "p", "--detectors", models / "yunet.onnx", "--descriptors",
        models / "dlib_resnet_112.onnx", "--json",
    )  # fmt: skip
    assert json.loads(ran.stdout)["clusters"] == []
    assert "0 faces in 3 images" in ran.stderr and "There is nothing to label yet" in ran.stderr
