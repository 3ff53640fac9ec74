"""Detectors over images: checkpoints opened, pictures of all kinds, resumed, fused, routed."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pytest import MonkeyPatch

from annotator.detection.detect import detect_images
from annotator.detection.detections import Detections
from annotator.detection.detectors import PreparedImage, TransformersDetector
from annotator.detection.ensemble import (
    AgreementRule,
    EnsembleConfig,
    EnsembleModel,
    describe_unknown_classes,
    fuse_images,
    match_classes,
)
from annotator.detection.passes import DetectionPasses, make_tiles, merge_tiles
from annotator.detection.results import DetectionCache, ImageDetections
from annotator.errors import ExtraMissing, FeatureError
from annotator.log.entries import replay
from annotator.log.store.sqlite import SqliteStore
from annotator.project.item_pool import read_priorities
from annotator.project.project import ProjectFolder
from annotator.proposals import read_proposals
from tests.detection import detector_checkpoints as checkpoints


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tiny checkpoints with random weights."""
    pytest.importorskip("transformers", reason="needs the models extra")
    folder = tmp_path_factory.mktemp("models")
    for make in (checkpoints.rt_detr_v2, checkpoints.d_fine, checkpoints.deformable_detr):
        make(folder / make.__name__)
    checkpoints.owlv2(folder / "owlv2")
    checkpoints.grounding_dino(folder / "grounding_dino")
    return folder


class Squares:
    """A detector that a test can foresee: each bright thing on black, to the pixel."""

    name, classes, batch_size, threads = "squares", ("square",), 3, 1
    flip_indices: tuple[int, ...] = ()

    def __init__(self, answer: Callable[[Detections], Detections | str] | None = None) -> None:
        self.answer = answer or (lambda found: found)
        self.asked = 0

    def describe(self) -> dict[str, Any]:
        return {"model": self.name}

    def shrink(self, size: tuple[int, int]) -> float:
        return 1.0

    def prepare(self, picture: Image.Image, size: tuple[int, int]) -> PreparedImage:
        return PreparedImage({"pixels": np.asarray(picture)}, size)

    def detect(self, batch: Sequence[PreparedImage]) -> list[Detections | str]:
        from scipy import ndimage

        self.asked += len(batch)
        found: list[Detections | str] = []
        for each in batch:
            labels, _ = ndimage.label(each.inputs["pixels"].max(axis=2) > 200)
            boxes = [
                (s[1].start, s[0].start, s[1].stop, s[0].stop) for s in ndimage.find_objects(labels)
            ]
            rows = np.array(boxes, float).reshape(-1, 4)
            found.append(
                self.answer(Detections(rows, np.full(len(rows), 0.9), ("square",) * len(rows)))
            )
        return found


def _scene(path: Path, size: tuple[int, int], boxes: Sequence[tuple[int, int, int, int]]) -> None:
    picture = Image.new("RGB", size)
    for box in boxes:
        picture.paste((255, 255, 255), box)
    picture.save(path)


def _run(
    folder: Path, detector: Squares, passes: DetectionPasses | None = None
) -> tuple[DetectionCache, Any]:
    looked = passes or DetectionPasses()
    paths = sorted(file.name for file in folder.glob("*.*"))
    results = DetectionCache(folder / "cache", {**detector.describe(), **looked.describe()})
    return results, detect_images(paths, folder, detector, results, looked, workers=2)


# --- checkpoints


@pytest.mark.parametrize("name", ["rt_detr_v2", "d_fine", "deformable_detr"])
def test_a_checkpoint_finds_the_same_alone_and_in_a_batch(models: Path, name: str) -> None:
    detector = TransformersDetector(str(models / name), device="cpu")
    assert detector.classes == ("person", "bicycle", "motorbike")
    rng = np.random.default_rng(0)
    pictures = [
        Image.fromarray(rng.integers(0, 255, (height, 90, 3), np.uint8)) for height in (60, 60)
    ]
    batch = [detector.prepare(picture, (180, 120)) for picture in pictures]
    together = detector.detect(batch)
    for each, found in zip(batch, together, strict=True):
        (alone,) = detector.detect([each])
        assert isinstance(found, Detections) and isinstance(alone, Detections)
        assert len(found) > 0 and set(found.names) <= set(detector.classes)
        np.testing.assert_allclose(found.scores, alone.scores, atol=1e-4)
        np.testing.assert_allclose(found.boxes, alone.boxes, atol=0.1)
        # In the pixels of the image, not of the picture that came smaller.
        assert found.boxes.max() > 90


@pytest.mark.parametrize("name", ["owlv2", "grounding_dino"])
def test_a_zero_shot_checkpoint_answers_in_the_words_it_was_asked_with(
    models: Path, name: str
) -> None:
    texts = ["a ripe pear", "cat"]
    detector = TransformersDetector(str(models / name), texts, device="cpu")
    (found,) = detector.detect([detector.prepare(Image.new("RGB", (80, 60)), (80, 60))])
    assert isinstance(found, Detections)
    assert len(found) > 0 and set(found.names) <= set(texts)
    with pytest.raises(FeatureError, match="--text"):
        TransformersDetector(str(models / name))


def test_a_processor_for_torchvision_alone_is_done_without(models: Path, tmp_path: Path) -> None:
    checkpoint = checkpoints.deformable_detr(tmp_path / "like-rf-detr")
    checkpoints.rf_detr_processor(checkpoint)
    detector = TransformersDetector(str(checkpoint), device="cpu")
    prepared = detector.prepare(Image.new("RGB", (200, 50)), (200, 50))
    assert tuple(prepared.inputs["pixel_values"].shape) == (1, 3, 96, 96)


def test_weights_that_are_absent_are_named_with_the_command_that_fetches_them(
    monkeypatch: MonkeyPatch, tmp_path: Path
) -> None:
    pytest.importorskip("transformers", reason="needs the models extra")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ExtraMissing, match=r"hf download PekingU/rtdetr_v2_r50vd .*172 MB"):
        TransformersDetector("PekingU/rtdetr_v2_r50vd")
    (tmp_path / "config.json").write_text('{"model_type": "vit"}')
    with pytest.raises(FeatureError, match="detects no objects"):
        TransformersDetector(str(tmp_path))


def test_scores_that_are_no_numbers_are_said_and_not_taken_for_nothing(models: Path) -> None:
    import torch

    detector = TransformersDetector(str(models / "d_fine"), device="cpu")
    prepared = detector.prepare(Image.new("RGB", (60, 60)), (60, 60))
    prepared.inputs["pixel_values"] = torch.full_like(prepared.inputs["pixel_values"], torch.nan)
    (answer,) = detector.detect([prepared])
    assert isinstance(answer, str) and "NaN" in answer


# --- over images


def test_pictures_of_every_kind_are_answered_and_broken_ones_are_named(tmp_path: Path) -> None:
    _scene(tmp_path / "a.png", (100, 60), [(10, 20, 40, 50)])
    Image.new("RGB", (1, 1)).save(tmp_path / "dot.png")
    Image.new("L", (1, 20000)).save(tmp_path / "line.png")
    Image.new("L", (50, 40)).save(tmp_path / "grey.png")
    Image.new("CMYK", (50, 40)).save(tmp_path / "cmyk.jpg")
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no picture")
    results, report = _run(tmp_path, Squares())
    assert report.computed == 5 and report.complete
    assert [broken.ref for broken in report.broken] == ["broken.jpg"]
    answer = results.get("a.png")
    assert answer is not None and answer.size == (100, 60)
    assert answer.passes["plain"].boxes.tolist() == [[10, 20, 40, 50]]


@pytest.mark.parametrize("how", ["flip", "min-max"])
@pytest.mark.parametrize("tile", [None, 64])
def test_each_pass_answers_in_the_pixels_of_the_image(
    tmp_path: Path, how: str, tile: int | None
) -> None:
    boxes = [(10, 20, 40, 50), (100, 70, 120, 90), (180, 5, 195, 25)]
    _scene(tmp_path / "a.png", (200, 100), boxes)
    results, _ = _run(tmp_path, Squares(), DetectionPasses(("plain", how), tile, 0.5))
    answer = results.get("a.png")
    assert answer is not None
    for found in answer.passes.values():
        assert sorted(map(tuple, found.boxes.tolist())) == sorted(boxes)


def test_the_next_run_asks_only_for_what_is_missing_or_changed(tmp_path: Path) -> None:
    for number in range(6):
        _scene(tmp_path / f"{number}.png", (50, 50), [(number, 5, number + 9, 20)])
    results, _ = _run(tmp_path, Squares())
    # A crash cut the last line short, and one image is another one now.
    results.path.write_bytes(results.path.read_bytes()[:-30])
    _scene(tmp_path / "0.png", (60, 50), [(30, 5, 39, 20)])
    detector = Squares()
    again, report = _run(tmp_path, detector)
    assert report.computed == detector.asked == 2 and report.done == 6
    for number in range(1, 6):
        answer = again.get(f"{number}.png")
        assert answer is not None
        assert answer.passes["plain"].boxes.tolist() == [[number, 5, number + 9, 20]]
    changed = again.get("0.png")
    assert changed is not None and changed.size == (60, 50)


def test_boxes_that_are_none_are_counted_and_an_image_of_nan_is_left_out(tmp_path: Path) -> None:
    _scene(tmp_path / "a.png", (50, 50), [(5, 5, 9, 20)])
    outside = Detections(
        np.array([[60.0, 60, 70, 70], [5, 5, 9, 20]]), np.array([0.9, 0.8]), ("a", "b")
    )
    results, _ = _run(tmp_path, Squares(lambda _: outside))
    answer = results.get("a.png")
    assert answer is not None
    assert answer.passes["plain"].names == ("b",)
    assert answer.left_out == {"empty or outside the image": 1}
    other = tmp_path / "other"
    other.mkdir()
    _scene(other / "a.png", (50, 50), [])
    _, report = _run(other, Squares(lambda _: "its scores are no numbers"))
    assert [(b.ref, b.reason) for b in report.broken] == [("a.png", "its scores are no numbers")]


# --- tiles


def test_tiles_cover_the_image_and_overlap(tmp_path: Path) -> None:
    every = make_tiles((1000, 300), 400, 0.2)
    assert every[0].size == (1000, 300)
    covered = np.zeros((300, 1000), int)
    for tile in every[1:]:
        assert tile.size[0] <= 400 and tile.size[1] <= 400
        covered[tile.top : tile.bottom, tile.left : tile.right] += 1
    assert covered.min() == 1
    assert covered.max() == 2
    starts = sorted(tile.left for tile in every[1:])
    assert all(b - a <= 320 for a, b in zip(starts, starts[1:], strict=False))
    assert len(make_tiles((400, 300), 400, 0.2)) == 1


def test_an_object_cut_by_tiles_is_one_object() -> None:
    every = make_tiles((150, 80), 100, 0.2)
    target = (60.0, 10.0, 97.0, 60.0)

    def within(tile: Any) -> Detections:
        left, right = max(target[0], tile.left), min(target[2], tile.right)
        if tile.size == (150, 80) or right <= left:
            return Detections.empty()  # too small for the whole image
        box = np.array([[left - tile.left, 10, right - tile.left, 60]])
        return Detections(box, np.array([0.5 + tile.left / 1000]), ("a",))

    found = merge_tiles([(tile, within(tile)) for tile in every], (150, 80))
    assert found.boxes.tolist() == [list(target)]
    long = Detections(np.array([[0.0, 10, 100, 30]]), np.array([0.6]), ("a",))
    parts = [(every[1], long), (every[2], long)]
    assert merge_tiles(parts, (150, 80)).boxes.tolist() == [[0, 10, 150, 30]]


# --- ensembles


def _answers(folder: Path, model: str, rows: dict[str, list[tuple[Any, ...]]]) -> DetectionCache:
    results = DetectionCache(folder, {"model": model})
    for path, found in rows.items():
        boxes = np.array([row[:4] for row in found], float).reshape(-1, 4)
        scores = np.array([row[4] for row in found], float)
        plain = Detections(boxes, scores, tuple(row[5] for row in found))
        results.add([(ImageDetections(path, (100, 100), {"plain": plain}, {}), (1, 1))])
    return results


def test_images_over_which_models_disagree_come_first(tmp_path: Path) -> None:
    box = (10, 10, 50, 50)
    one = _answers(tmp_path, "one", {
        "agreed.png": [(*box, 0.9, "person")], "doubt.png": [(*box, 0.9, "person")],
        "empty.png": [], "half.png": [(*box, 0.9, "person"), (60, 60, 90, 90, 0.8, "person")],
    })  # fmt: skip
    two = _answers(tmp_path, "two", {
        "agreed.png": [(*box, 0.8, "human")], "doubt.png": [], "empty.png": [],
        "half.png": [(*box, 0.8, "human")],
    })  # fmt: skip
    config = EnsembleConfig(
        (EnsembleModel("one"), EnsembleModel("two", 2.0)),
        frozenset(["person"]),
        {"human": "person"},
        rule=AgreementRule(0.6, 2, 0.9),
    )
    paths = ["agreed.png", "doubt.png", "empty.png", "half.png"]
    seen = {each.path: each for each in fuse_images(paths, [one, two], config)}
    assert {path: each.route.agreement for path, each in seen.items()} == {
        "agreed.png": 1.0, "doubt.png": 0.0, "empty.png": 1.0, "half.png": 0.5,
    }  # fmt: skip
    (fused,) = seen["agreed.png"].fused
    assert (fused.name, fused.votes, fused.mean) == ("person", 2, pytest.approx(0.85))


def test_a_model_with_other_class_names_is_told_apart() -> None:
    classes = ("person", "motorbike", "Traffic Light")
    names, missing = match_classes(classes, ["Person", "motorcycle", "traffic light", "zebra"], {})
    assert names == {"Person", "motorcycle", "traffic light"} and missing == ["zebra"]
    assert "--rename" in describe_unknown_classes("m", missing, classes)
    assert match_classes(("pedestrian",), ["person"], {"pedestrian": "person"})[0] == {"person"}


def _cli(*args: str | Path) -> Any:
    from typer.testing import CliRunner

    from annotator.cli.app import app

    ran = CliRunner().invoke(app, list(map(str, args)), catch_exceptions=False)
    assert ran.exit_code == 0, ran.stderr
    return ran


def test_detect_makes_a_project_that_asks_the_doubtful_first(models: Path, tmp_path: Path) -> None:
    images = tmp_path / "photos"
    images.mkdir()
    rng = np.random.default_rng(0)
    for number in range(3):
        pixels = rng.integers(0, 255, (40, 60, 3), np.uint8)
        Image.fromarray(pixels).save(images / f"{number}.png")
    (images / "broken.png").write_bytes(b"nothing")
    both = f"{models / 'd_fine'},{models / 'rt_detr_v2'}"
    ran = _cli(
        "detect", images, "--models", both, "--classes", "person,motorcycle,zebra",
        "--threshold", "0.3,0.35", "--weights", "2,1", "--tta", "flip", "--json",
    )  # fmt: skip
    assert "knows no zebra" in ran.stderr and "broken.png" in ran.stderr.splitlines()[-2]
    told = json.loads(ran.stdout)
    assert told["images"] == 3 and told["added"] > 0
    project = ProjectFolder.open(tmp_path / "photos.boxes")
    rows = list(read_proposals(project))
    assert {row.name for row in rows} <= {"person", "motorcycle"}
    assert {row.model for row in rows} == {"d_fine+rt_detr_v2"}
    doubtful = [
        r["path"]
        for r in sorted(told["routes"], key=lambda r: r["agreement"])
        if r["agreement"] < 0.9
    ]
    asked = [first.ref.partition("#")[0] for first in read_priorities(project)]
    assert list(dict.fromkeys(asked)) == doubtful != []
    # Again, accepting what a single vote agrees upon: nothing new is found, and labels say who.
    again = _cli(
        "detect", images, "--models", both, "--classes", "person,motorcycle", "--threshold",
        "0.3,0.35", "--weights", "2,1", "--tta", "flip", "--json", "--accept-agreed",
        "--min-score", "0.2", "--min-votes", "1",
    )  # fmt: skip
    figures = json.loads(again.stdout)
    assert figures["added"] == 0 and figures["accepted"] > 0
    state = replay(SqliteStore(project.labels_file).entries())
    entries = [last for _, last in state.labels()]
    assert len(entries) == figures["accepted"]
    assert all(e.by_machine and e.picked_by == "agreement" for e in entries)
    assert {e.label for e in entries} <= {"person", "motorcycle"}


def test_all_boxes_come_out_without_an_annotator(models: Path, tmp_path: Path) -> None:
    images = tmp_path / "photos"
    images.mkdir()
    rng = np.random.default_rng(1)
    for number in range(2):
        Image.fromarray(rng.integers(0, 255, (40, 60, 3), np.uint8)).save(images / f"{number}.png")
    ran = _cli(
        "detect", images, "--models", models / "d_fine", "--threshold", "0.2", "--json",
        "--out", tmp_path / "boxes.json",
    )  # fmt: skip
    told = json.loads(ran.stdout)
    project = ProjectFolder.open(tmp_path / "photos.boxes")
    document = json.loads((tmp_path / "boxes.json").read_bytes())
    assert document == json.loads((project.folder / "detected.coco.json").read_bytes())
    assert [image["file_name"] for image in document["images"]] == ["0.png", "1.png"]
    names = {row["id"]: row["name"] for row in document["categories"]}
    boxes = [
        {"bbox": row["bbox"], "name": names[row["category_id"]], "score": row["score"], "votes": 1}
        for row in document["annotations"]
    ]
    assert boxes == [box for route in told["routes"] for box in route["boxes"]] != []
    assert len(boxes) == told["boxes"] and all(0.2 <= box["score"] <= 1 for box in boxes)
