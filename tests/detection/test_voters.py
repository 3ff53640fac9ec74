"""Boxes of other programs vote like models, and a voter that fails ends no run."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner

from annotator.cli.app import app
from annotator.detection.boxes_file import read_boxes_file
from annotator.errors import AnnotatorError, FeatureError, ProjectError, RefError
from annotator.log.store.open import load_log_state
from annotator.project.project import ProjectFolder
from annotator.proposals import load_proposal_prior, read_proposals
from tests.detection import detector_checkpoints as checkpoints


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    (folder / "sub").mkdir(parents=True)
    for name in ("a.png", "b.png", "sub/c.png"):
        Image.new("RGB", (100, 60), (200, 90, 30)).save(folder / name)
    return folder


def _run(*args: object) -> Any:
    ran = CliRunner().invoke(app, list(map(str, args)), catch_exceptions=False)
    assert ran.exit_code == 0, ran.stderr
    return ran


def _detect(photos: Path, models: str, *more: object) -> tuple[dict[str, Any], str]:
    ran = _run("detect", photos, "--models", models, "--json", *more)
    return json.loads(ran.stdout), ran.stderr


INSTANCES = {
    "images": [
        {"id": 7, "file_name": "a.png", "width": 100, "height": 60},
        {"id": "b", "file_name": "b.png"},
        {"id": 9, "file_name": "elsewhere.png"},
    ],
    "categories": [{"id": 0, "name": "cat"}, {"id": 18, "name": "dog"}],
}
RESULTS = [
    {"image_id": 7, "category_id": 18, "bbox": [10, 10, 30, 20], "score": 0.9},
    {"image_id": "b", "category_id": 0, "bbox": [1, 2, 30, 20], "score": 0.2},
]


def test_coco_results_are_proposals_with_their_scores(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "instances.json").write_text(json.dumps(INSTANCES))
    (tmp_path / "results.json").write_text(json.dumps(RESULTS))
    told, _ = _detect(
        photos, f"boxes:{tmp_path}/results.json", "--instances", tmp_path / "instances.json",
        "--threshold", "0.1",
    )  # fmt: skip
    project = ProjectFolder.open(tmp_path / "photos.boxes")
    rows = [(row.ref, row.score, row.name, row.model) for row in read_proposals(project)]
    assert rows == [
        ("a.png#xywh=10,10,30,20", 0.9, "dog", "results.json"),
        ("b.png#xywh=1,2,30,20", 0.2, "cat", "results.json"),
    ]
    assert told["images"] == 2 and "1 in images that the project does not hold" in str(told)
    assert not load_log_state(project).standing  # scores are not labels
    said = _run("proposals", project.folder)
    assert "results.json" in said.stdout
    with pytest.raises(RefError, match="--instances"):
        _detect(photos, f"boxes:{tmp_path}/results.json")


@pytest.mark.parametrize(
    "kind", ["coco", "jsonl", "csv", "corners", "detect", "proposals", "named"]
)
def test_every_export_with_scores_votes(photos: Path, tmp_path: Path, kind: str) -> None:
    file = tmp_path / f"other.{kind if kind in ('jsonl', 'csv') else 'json'}"
    row = {"path": "sub/c.png", "bbox": [5, 6, 20.5, 30], "name": "cat", "score": 0.75}
    if kind == "coco":
        document = {
            **INSTANCES,
            "images": [{"id": 1, "file_name": "c.png"}],
            "annotations": [
                {"image_id": 1, "category_id": 0, "bbox": row["bbox"], "score": 0.75},
                {"image_id": 1, "category_id": 0, "bbox": [1, 1, 5, 5]},
            ],
        }
        file.write_text(json.dumps(document))
    elif kind == "jsonl":
        file.write_text(json.dumps(row) + "\n\n")
    elif kind == "csv":
        file.write_text('filename;bbox;label;score\nsub/c.png;"5,6,20.5,30";cat;0.75\n')
    elif kind == "corners":
        file = file.with_suffix(".csv")
        file.write_text("image,class,score,xmin,ymin,xmax,ymax\nsub/c.png,cat,0.75,5,6,25.5,36\n")
    elif kind == "detect":
        file.write_text(json.dumps({"routes": [{"path": "sub/c.png", "boxes": [row]}]}))
    elif kind == "proposals":
        file = file.with_suffix(".csv")
        file.write_text(
            'ref,score,votes,name,model,extra\n"sub/c.png#xywh=5,6,20.5,30",0.75,1,cat,m,\n'
        )
    else:
        file.write_text(json.dumps([row]))
    told, said = _detect(photos, f"boxes:{file}")
    (route,) = told["routes"]
    assert route["path"] == "sub/c.png"
    assert route["boxes"] == [{"bbox": [5, 6, 20.5, 30], "name": "cat", "score": 0.75, "votes": 1}]
    assert ("1 without a score" in said) == (kind == "coco")


def test_boxes_for_another_size_of_the_image_take_no_part(photos: Path, tmp_path: Path) -> None:
    images = [
        {"id": 1, "file_name": "a.png", "width": 60, "height": 100},
        {"id": 2, "file_name": "b.png", "width": 100, "height": 60},
    ]
    rows = [
        {"image_id": number, "category_id": 0, "bbox": [5, 5, 9, 9], "score": 0.9}
        for number in (1, 2)
    ]
    file = tmp_path / "coco.json"
    file.write_text(json.dumps({**INSTANCES, "images": images, "annotations": rows}))
    told, said = _detect(photos, f"boxes:{file}")
    assert [route["path"] for route in told["routes"]] == ["b.png"]
    assert "a.png: coco.json has boxes for 60 x 100 pixels" in said


@pytest.mark.parametrize(
    "text", ["", "[1]", '{"a": 1}', '[{"image_id": 1}]', "[" * 5000, '{"annotations": 3}',
             '[{"path": "a.png", "name": "cat", "score": "high", "bbox": [1, 2, 3, 4]}]',
             '[{"path": "a.png", "name": "cat", "score": 0.5, "bbox": [1, 2, 3]}]'],
)  # fmt: skip
def test_a_file_without_boxes_is_refused_by_name(tmp_path: Path, text: str) -> None:
    (tmp_path / "odd.json").write_text(text)
    with pytest.raises(RefError, match="odd.json"):
        read_boxes_file(tmp_path / "odd.json")


def test_a_program_of_the_users_own_votes(photos: Path, tmp_path: Path) -> None:
    script = tmp_path / "my boxes.py"
    script.write_text(
        "import json, sys\n"
        "name = sys.argv[1].rpartition('/')[2]\n"
        "open(sys.argv[2], 'a').write(name + '\\n')\n"
        "if name == 'b.png': sys.exit('no boxes for b')\n"
        "print(json.dumps([{'bbox': [1, 2, 300, 20], 'name': 'cat', 'score': 0.9}]))\n"
    )
    models = f"\"cmd:{sys.executable} '{script}' {{image}} {tmp_path}/asked\""
    told, said = _detect(photos, models)
    assert [route["path"] for route in told["routes"]] == ["a.png", "sub/c.png"]
    assert told["routes"][0]["boxes"][0]["bbox"] == [1, 2, 99, 20]  # cut to its image
    assert "b.png: " in said and "no boxes for b" in said
    _detect(photos, models, "--threshold", "0.2")
    asked = (tmp_path / "asked").read_text().split()
    assert sorted(asked) == ["a.png", "b.png", "b.png", "c.png"]  # answers are kept
    with pytest.raises(FeatureError, match=r"\{image\}"):
        _detect(photos, "cmd:./boxes.py")


def test_the_truth_gives_figures_of_all_boxes_and_of_those_kept(
    photos: Path, tmp_path: Path
) -> None:
    (tmp_path / "instances.json").write_text(json.dumps(INSTANCES))
    (tmp_path / "results.json").write_text(json.dumps(RESULTS))
    annotations = [
        {"id": place, "image_id": row["image_id"], "category_id": row["category_id"],
         "bbox": row["bbox"], "iscrowd": 0}
        for place, row in enumerate(RESULTS)
    ]  # fmt: skip
    truth = {**INSTANCES, "images": INSTANCES["images"][:1], "annotations": annotations[:1]}
    truth["images"] = [{"id": 7, "file_name": "a.png"}, {"id": 8, "file_name": "b.png"}]
    truth["annotations"] = [annotations[0], {**annotations[1], "image_id": 8}]
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    told, said = _detect(
        photos, f"boxes:{tmp_path}/results.json", "--instances", tmp_path / "instances.json",
        "--truth", tmp_path / "truth.json",
    )  # fmt: skip
    # The box of 0.2 is below the threshold: AP knows it, recall does not.
    assert told["figures"]["results.json"] == pytest.approx(
        {"ap": 1.0, "ap50": 1.0, "ap75": 1.0, "precision": 1.0, "recall": 0.5}
    )
    assert told["ap50"]["results.json"] == pytest.approx({"cat": 1.0, "dog": 1.0})
    assert "AP50–95 1.000" in said and "recall 0.500" in said


# --- voters that fail


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("transformers", reason="needs the models extra")
    folder = tmp_path_factory.mktemp("models")
    checkpoints.deformable_detr(folder / "good")
    checkpoints.owlv2(folder / "owlv2")
    checkpoints.grounding_dino(folder / "grounding_dino")
    return folder


def test_a_model_that_fails_is_named_and_the_others_go_on(
    photos: Path, tmp_path: Path, models: Path
) -> None:
    for name in ("cut", "not_json", "no_processor"):
        shutil.copytree(models / "good", tmp_path / name)
    weights = tmp_path / "cut" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:500])
    (tmp_path / "not_json" / "config.json").write_text("{")
    (tmp_path / "no_processor" / "preprocessor_config.json").unlink()
    broken = ["cut", "not_json", "no_processor", "not_there"]
    listed = [tmp_path / name for name in broken] + [models / "good"]
    told, said = _detect(photos, ",".join(map(str, listed)), "--threshold", "0.05")
    assert told["model"] == "good" and told["images"] == 3
    for name in broken:
        assert any(line.startswith(f"{name}: has no vote") for line in told["left_out"]), name
    assert "Traceback" not in said
    with pytest.raises(AnnotatorError):
        _detect(photos, str(tmp_path / "cut"))
    with pytest.raises(ProjectError, match="No model is left"):
        _detect(photos, f"{tmp_path / 'cut'},{tmp_path / 'not_json'}")


def test_long_lists_of_texts_are_asked_in_parts(photos: Path, models: Path) -> None:
    from annotator.detection.detections import Detections
    from annotator.detection.detectors import TransformersDetector

    texts = ["a cat", "ripe pear", "a pear", "cat", "a ripe cat", "pear", "a", "ripe cat"]
    detector = TransformersDetector(str(models / "grounding_dino"), texts, device="cpu")
    assert detector.classes == tuple(texts) and not detector.left_out
    picture = Image.open(photos / "a.png")
    (found,) = detector.detect([detector.prepare(picture, picture.size)])
    assert isinstance(found, Detections)
    assert len(found) > 12  # the 12 boxes of one question at most, were it asked once
    few = TransformersDetector(str(models / "grounding_dino"), texts[-2:], device="cpu")
    (alone,) = few.detect([few.prepare(picture, picture.size)])
    assert isinstance(alone, Detections) and set(alone.names) <= set(texts[-2:])


@pytest.mark.parametrize("name", ["owlv2", "grounding_dino"])
def test_a_text_that_is_too_long_is_named_and_the_others_are_asked(
    photos: Path, models: Path, name: str
) -> None:
    long = "a ripe pear " * 12
    told, said = _detect(
        photos, str(models / name), "--text", long, "--text", "a cat", "--threshold", "0.05"
    )
    assert told["images"] == 3 and "tokens" in said
    assert {box["name"] for route in told["routes"] for box in route["boxes"]} <= {"a cat"}
    with pytest.raises(FeatureError, match="tokens"):
        _detect(photos, str(models / name), "--text", long)


def test_half_precision_keeps_the_heads_of_boxes_exact(tmp_path: Path) -> None:
    import numpy as np

    from annotator.detection.detections import Detections
    from annotator.detection.detectors import TransformersDetector

    torch = pytest.importorskip("torch", reason="needs the models extra")
    pixels = np.random.default_rng(0).integers(0, 255, (60, 90, 3), np.uint8)
    picture = Image.fromarray(pixels)
    for make in (checkpoints.d_fine, checkpoints.deformable_detr, checkpoints.rt_detr_v2):
        folder = make(tmp_path / make.__name__)
        half = TransformersDetector(str(folder), device="cpu", dtype="bf16")
        heads = [m for name, m in half._model.named_modules() if "bbox_embed" in name]
        types = set[Any]()
        for head in heads:
            if isinstance(head, torch.nn.Linear):
                head.register_forward_hook(lambda _, __, out, seen=types: seen.add(out.dtype))
        (found,) = half.detect([half.prepare(picture, picture.size)])
        assert isinstance(found, Detections) and len(found)
        assert types == {torch.float32}, make.__name__
        assert half.note is not None and half.note.startswith("bfloat16 beside fp32")
        plain = TransformersDetector(str(folder), device="cpu")
        plain.detect([plain.prepare(picture, picture.size)])
        assert plain.note is None and plain.describe() != half.describe()


def test_classes_make_a_project_in_which_a_key_corrects_a_class(
    photos: Path, tmp_path: Path
) -> None:
    rows = [
        {"path": "a.png", "bbox": [5, 5, 20, 20], "name": "Cat", "score": 0.9},
        {"path": "a.png", "bbox": [50, 5, 20, 20], "name": "motorcycle", "score": 0.8},
        {"path": "b.png", "bbox": [5, 5, 20, 20], "name": "cat", "score": 0.7},
        {"path": "b.png", "bbox": [50, 5, 20, 20], "name": "zebra", "score": 0.9},
    ]
    (tmp_path / "found.json").write_text(json.dumps(rows))
    file = f"boxes:{tmp_path}/found.json"
    _detect(photos, file, "--classes", "cat,motorbike,cat")
    project = ProjectFolder.open(tmp_path / "photos.boxes")
    assert project.settings.names == ("cat", "motorbike", "none")
    assert [row.name for row in read_proposals(project)] == ["cat", "motorbike", "cat"]
    refs = [row.ref for row in read_proposals(project)]
    prior = load_proposal_prior(project)
    assert prior is not None and prior.prediction(refs[1]) is not None
    assert max(prior.prediction(refs[1])[0].items(), key=lambda p: p[1])[0] == "motorbike"
    labels = dict(zip(refs, ["cat", "cat", "none"], strict=True))
    answers = tmp_path / "labels.csv"
    answers.write_text("filename,label\n" + "".join(f'"{r}",{n}\n' for r, n in labels.items()))
    _run("import", project.folder, answers)
    _run("export", project.folder, tmp_path / "out.json", "--format", "coco")
    out = json.loads((tmp_path / "out.json").read_text())
    names = {c["id"]: c["name"] for c in out["categories"]}
    kept = [(names[a["category_id"]], a["bbox"]) for a in out["annotations"]]
    assert [box for name, box in kept if name == "cat"] == [[5, 5, 20, 20], [50, 5, 20, 20]]
    ran = _run("detect", photos, "--models", file, "--classes", "zebra")
    assert "annotator add" in ran.stderr and "--class zebra" in ran.stderr
    _run("add", project.folder, "--class", "zebra")
    assert (
        "annotator add" not in _run("detect", photos, "--models", file, "--classes", "zebra").stderr
    )


def test_one_image_is_enough_and_stays_the_only_one(photos: Path, tmp_path: Path) -> None:
    row = {"bbox": [5, 5, 20, 20], "name": "cat", "score": 0.9}
    rows = [{**row, "path": path} for path in ("a.png", "b.png", "c.png")]
    (tmp_path / "found.json").write_text(json.dumps(rows))
    file = f"boxes:{tmp_path}/found.json"
    _detect(photos / "a.png", file)
    project = ProjectFolder.open(photos / "a.png.boxes")
    assert [row.ref for row in read_proposals(project)] == ["a.png#xywh=5,5,20,20"]
    told, _ = _detect(project.folder, file)
    assert told["images"] == 1, "the project looks at no other image of the folder"
    _detect(photos, file, "--project", tmp_path / "all")
    told, _ = _detect(photos / "sub" / "c.png", file, "--project", tmp_path / "all")
    assert [route["path"] for route in told["routes"]] == ["sub/c.png"]
    (photos / "notes.txt").write_text("no image")
    for place in (photos / "notes.txt", photos / "gone.png"):
        with pytest.raises(ProjectError):
            _detect(place, file)


@pytest.mark.parametrize("kind", ["missing", "odd", "program", "all fail", "unknown class"])
def test_a_refused_run_leaves_no_project_behind(photos: Path, tmp_path: Path, kind: str) -> None:
    (tmp_path / "odd.json").write_text("[1]")
    (tmp_path / "cat.json").write_text('[{"path": "a.png", "bbox": [1, 1, 5, 5], "name": "cat",'
                                       ' "score": 0.9}]')  # fmt: skip
    model = {
        "missing": f"boxes:{tmp_path}/gone.json", "odd": f"boxes:{tmp_path}/odd.json",
        "program": "cmd:no-such-program {image}", "all fail": "cmd:false {image}",
        "unknown class": f"boxes:{tmp_path}/cat.json",
    }[kind]  # fmt: skip
    more = ["--classes", "dog"] if kind == "unknown class" else []
    with pytest.raises(AnnotatorError):
        _detect(photos, model, *more)
    assert not (tmp_path / "photos.boxes").exists()
    _detect(photos, f"boxes:{tmp_path}/cat.json")
    before = sorted(path.name for path in (tmp_path / "photos.boxes").iterdir())
    with pytest.raises(AnnotatorError):
        _detect(photos, model, *more)
    assert {*before} <= {path.name for path in (tmp_path / "photos.boxes").iterdir()}


def test_two_models_of_one_name_are_told_apart(photos: Path, tmp_path: Path) -> None:
    models = []
    for place, (folder, left) in enumerate((("one", 5), ("two", 50), ("three", 20))):
        (tmp_path / folder).mkdir()
        rows = [
            {"path": "a.png", "bbox": [left, 5, 20, 20], "name": "cat", "score": 0.9 - place / 9}
        ]
        (tmp_path / folder / "found.json").write_text(json.dumps(rows))
        models.append(f"boxes:{tmp_path}/{folder}/found.json")
    _detect(photos, f"{models[0]},{models[1]}")
    project = ProjectFolder.open(tmp_path / "photos.boxes")
    assert {row.model for row in read_proposals(project)} == {"found.json+found.json (two)"}
    _detect(photos, models[2])  # another one, in another run: it replaces none of theirs
    names = {row.model for row in read_proposals(project)}
    assert names == {"found.json+found.json (two)", "found.json (three)"}
    assert len(list(read_proposals(project))) == 3
    _detect(photos, models[2], "--threshold", "0.99")
    assert len(list(read_proposals(project))) == 2
    truth = {
        **INSTANCES,
        "annotations": [{"image_id": 7, "category_id": 0, "bbox": [5, 5, 20, 20]}],
    }
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    told, _ = _detect(photos, f"{models[0]},{models[1]}", "--truth", tmp_path / "truth.json")
    assert set(told["ap50"]) == {"found.json", "found.json (two)", "wbf of 2"}
    assert told["ap50"]["found.json"]["cat"] > 0.99
    assert told["ap50"]["found.json (two)"]["cat"] == 0


@pytest.mark.parametrize(
    ("printed", "said"),
    [
        ("", "does not print JSON"), ("garbage", "does not print JSON"),
        ('[{"bbox": [1, 2, 3], "name": "a", "score": 0.5}]', "left, top, width, height"),
        ('[{"bbox": [1, 2, 3, 4], "name": "a"}]', "without 'score'"),
        ('[{"bbox": [1, 2, 3, 4], "name": "a", "score": true}]', "the score is true"),
        ('{"found": []}', "boxes"), ("3", "not iterable"),
    ],
)  # fmt: skip
def test_what_a_program_prints_is_taken_as_meant_or_refused(
    photos: Path, tmp_path: Path, printed: str, said: str
) -> None:
    (tmp_path / "answer.json").write_text(printed)
    with pytest.raises(FeatureError, match=said):
        _detect(photos, f"cmd:sh -c 'cat {tmp_path}/answer.json' {{image}}")


def test_a_score_that_is_a_truth_value_is_refused(tmp_path: Path) -> None:
    row = {"path": "a.png", "bbox": [1, 2, 3, 4], "name": "cat", "score": True}
    (tmp_path / "odd.json").write_text(json.dumps([row]))
    with pytest.raises(RefError, match="row 0: the score is true"):
        read_boxes_file(tmp_path / "odd.json")


def test_a_truth_without_a_box_in_these_images_gives_no_figures(
    photos: Path, tmp_path: Path
) -> None:
    row = {"path": "a.png", "bbox": [5, 5, 20, 20], "name": "cat", "score": 0.9}
    (tmp_path / "found.json").write_text(json.dumps([row]))
    box = {"image_id": 7, "category_id": 0, "bbox": [5, 5, 20, 20]}
    truth = tmp_path / "truth.json"
    for boxes in ([], [{**box, "iscrowd": 1}], [{**box, "image_id": 9}]):
        truth.write_text(json.dumps({**INSTANCES, "annotations": boxes}))
        told, said = _detect(photos, f"boxes:{tmp_path}/found.json", "--truth", truth)
        assert "AP is not defined" in said and "AP50" not in said and told["figures"] == {}
    truth.write_text(json.dumps({**INSTANCES, "annotations": [{**box, "bbox": None}]}))
    with pytest.raises(RefError, match="annotation 0 has no bbox"):
        _detect(photos, f"boxes:{tmp_path}/found.json", "--truth", truth, "--project", photos / "n")
    assert not (photos / "n").exists(), "the truth is read before the models run"
