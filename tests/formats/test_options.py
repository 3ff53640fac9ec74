"""The options of an export, and the summary of what it wrote."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from annotator.features.store import FeatureStore
from annotator.formats.source import ExportOptions, ExportSource
from annotator.formats.splits import assign_splits, parse_splits
from annotator.items.refs import Item
from annotator.log.entries import Action, Entry, replay
from annotator.log.store.sqlite import SqliteStore
from annotator.project.item_pool import load_refs
from annotator.project.project import ProjectFolder
from tests.formats import made_projects as samples

REFS = tuple(f"{name}.png" for name in "abcdef")


@pytest.fixture
def made(tmp_path: Path) -> ProjectFolder:
    """a, b by people, c by a machine, d skipped, e undone, f open; a and c flagged."""
    project = samples.project(tmp_path / "one", REFS, {})
    store = SqliteStore(project.labels_file)
    store.append(
        Entry(0, 1.0, "ann", Action.LABEL, "a.png", "defect", {"ok": 0.75, "defect": 0.25},
              "ridge 1", "margin", 0.5, 6, 1200),
        Entry(0, 2.0, "ann", Action.LABEL, "b.png", "ok"),
        Entry(0, 3.0, "bob", Action.LABEL, "c.png", "ok", extra={"machine": True}),
        Entry(0, 4.0, "ann", Action.SKIP, "d.png"),
        Entry(0, 5.0, "ann", Action.LABEL, "e.png", "ok"),
        Entry(0, 6.0, "ann", Action.UNDO, "e.png", extra={"undoes": 5}),
        Entry(0, 7.0, "ann", Action.FLAG, "a.png", extra={"on": True}),
        Entry(0, 7.0, "ann", Action.FLAG, "c.png", extra={"on": True}),
        Entry(0, 7.0, "ann", Action.FLAG, "b.png", extra={"on": True}),
        Entry(0, 8.0, "ann", Action.FLAG, "b.png", extra={"on": False}),
        Entry(0, 9.0, "ann", Action.NOTE, "b.png", note="blurred"),
        Entry(0, 10.0, "cy", Action.LABEL, "a.png", "defect", extra={"second": True}),
        Entry(0, 11.0, "cy", Action.LABEL, "b.png", "defect", extra={"second": True}),
    )  # fmt: skip
    store.close()
    return project


def lines(project: ProjectFolder, **options: Any) -> list[dict[str, Any]]:
    place = project.folder.parent / "x.jsonl"
    place.unlink(missing_ok=True)
    samples.write(project, "jsonl", place, **options)
    return [json.loads(line) for line in place.read_text().splitlines()]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, "abcdef"),
        ({"only": ("labelled",)}, "abc"),
        ({"only": ("human",)}, "ab"),
        ({"only": ("flagged",)}, "ac"),
        ({"only": ("flagged", "human")}, "a"),
        ({"only": ("unflagged",)}, "bdef"),
        ({"classes": ("ok",)}, "bc"),
        ({"classes": ("ok", "defect")}, "abc"),
        ({"agreement": 0.5}, "ab"),
        ({"agreement": 0.51}, "a"),
    ],
)
def test_which_items_are_chosen(
    made: ProjectFolder, options: dict[str, Any], expected: str
) -> None:
    assert [line["filename"][0] for line in lines(made, **options)] == list(expected)


def test_provenance_and_probabilities(made: ProjectFolder) -> None:
    first, second, third, fourth, *_ = lines(made, provenance=True, probabilities=True)
    assert first == {
        "filename": "a.png", "label": "defect", "flagged": True, "annotator": "ann",
        "at": "1970-01-01T00:00:01.000+00:00", "model": "ridge 1", "picked_by": "margin", "q": 0.5,
        "pool": 6, "shown_ms": 1200, "p(ok)": 0.75, "p(defect)": 0.25,
    }  # fmt: skip
    assert second["note"] == "blurred" and "machine" not in second
    assert third["machine"] is True
    assert fourth["skipped"] is True and "label" not in fourth


def test_the_seeds_table_keeps_all_rows_and_hides_other_labels(made: ProjectFolder) -> None:
    place = made.folder.parent / "x.csv"
    samples.write(made, "csv", place, only=("human",))
    assert place.read_text().splitlines() == [
        "filename,annotation", "a.png,defect", "b.png,ok", "c.png,", "d.png,", "e.png,", "f.png,",
    ]  # fmt: skip


def test_splits_are_of_the_shares_asked_for_in_every_class_and_stay() -> None:
    splits = parse_splits("train=0.8,val=0.1,test=0.1")
    paths = [f"{n}.jpg" for n in range(1000)]
    strata = ["rare" if n < 50 else "common" for n in range(1000)]
    found = assign_splits(splits, paths, strata)
    assert np.bincount(found).tolist() == [800, 100, 100]
    assert np.bincount(found[:50]).tolist() == [40, 5, 5]
    order = np.random.default_rng(0).permutation(1000)
    again = assign_splits(splits, [paths[n] for n in order], [strata[n] for n in order])
    assert (again == found[order]).all(), "the order of the images does not matter"
    # Classes of one image each do not all go to the first split.
    single = assign_splits(splits, paths, paths)
    assert 50 < np.count_nonzero(single == 1) < 150


@pytest.mark.parametrize(
    "text", ["train", "train=0.5", "a=0.5,a=0.5", "a=x", "a=1.5,b=-0.5", "../x=1", "=1", ""]
)
def test_a_split_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(samples.AnnotatorError, match="--split"):
        parse_splits(text)


def test_accepted_proposals_are_boxes_of_their_name(tmp_path: Path) -> None:
    refs = [f"a.png#xywh={n},1,5,5" for n in range(4)]
    labels = dict(zip(refs, ["yes", "no", "yes"], strict=False))
    made = samples.project(tmp_path / "one", refs, labels, classes=["yes", "no"])
    (made.folder / "proposals.csv").write_text(
        "ref,score,votes,name,model,extra\n"
        + "".join(f'"{ref}",0.{9 - n},2,{name},m{n},\n' for n, (ref, name) in
                  enumerate(zip(refs, ["cat", "dog", "dog", "cat"], strict=True)))
    )  # fmt: skip
    source = samples.write(made, "coco", tmp_path / "c.json", provenance=True, partial=True)
    told = json.loads((tmp_path / "c.json").read_text())
    names = {category["id"]: category["name"] for category in told["categories"]}
    found = [(names[a["category_id"]], a["bbox"][0], a["score"]) for a in told["annotations"]]
    assert found == [("cat", 0, 0.9), ("dog", 2, 0.7)]
    provenance = told["annotations"][1]["provenance"]
    assert provenance["proposed_by"] == "m2" and provenance["votes"] == 2
    assert source.left_out == {"rejected": 1, "without a label": 1}
    samples.write(made, "coco-results", tmp_path / "r.json")
    results = json.loads((tmp_path / "r.json").read_text())
    assert [(r["image_id"], r["score"]) for r in results] == [(1, 0.9), (1, 0.7)]
    samples.write(made, "yolo", tmp_path / "y", provenance=True, partial=True)
    rows = [json.loads(line) for line in (tmp_path / "y/provenance.jsonl").read_text().splitlines()]
    assert [(row["label"], row["score"], row["proposed_by"]) for row in rows] == [
        ("cat", 0.9, "m0"), ("dog", 0.7, "m2"),
    ]  # fmt: skip
    # A box of one's own, and a class that the settings do not know any more.
    own = "a.png#xywh=9,9,9,9"
    with made.refs_file.open("a") as file:
        file.write(f'"{own}"\n')
    samples.log(made, {own: "yes", refs[3]: "zebra"})
    samples.write(made, "coco", tmp_path / "more.json", partial=True)
    told = json.loads((tmp_path / "more.json").read_text())
    names = {category["id"]: category["name"] for category in told["categories"]}
    found = [names[a["category_id"]] for a in told["annotations"]]
    assert found == ["cat", "dog", "zebra", "object"]


def test_predictions_of_what_is_unlabelled(tmp_path: Path) -> None:
    refs = tuple(f"{n}.png" for n in range(8))
    labels = {ref: ("ok", "defect")[n % 2] for n, ref in enumerate(refs[:6])}
    made = samples.project(tmp_path / "one", refs, labels)
    matrix = np.array([[1, n % 2, 0.1] for n in range(8)], np.float32)
    np.save(tmp_path / "f.npy", matrix)
    FeatureStore.adopt(made.features_folder, tmp_path / "f.npy", load_refs(made))
    entries = samples.entries(made)
    options = ExportOptions(predictions=True)
    source = ExportSource.open(made, entries, options, state=replay(entries))
    said = [(record.item.path, record.predicted) for record in source.records() if record.score]
    assert said == [("6.png", "ok"), ("7.png", "defect")]
    from annotator.formats.label_studio.write import write

    write(source, tmp_path / "t.json")
    task = json.loads((tmp_path / "t.json").read_text())[6]
    assert task["annotations"] == []
    prediction = task["predictions"][0]
    assert prediction["result"][0]["value"] == {"choices": ["ok"]}
    assert 0.5 < prediction["score"] <= 1 and prediction["model_version"]
    again = samples.reopened(
        tmp_path / "again", tmp_path / "t.json", samples.load("label-studio"), images=made.images
    )
    assert samples.items(again) == samples.items(made), "a prediction is no label"
    guesses = [(row["prediction"], bool(row["score"])) for row in samples.rows(again)]
    assert guesses == [("", False)] * 6 + [("ok", True), ("defect", True)]


def test_crops_have_their_boxes_pixels(tmp_path: Path) -> None:
    refs = ["a.png#xywh=10,5,20,8", "a.png#xywh=40,30,20,10"]
    made = samples.project(tmp_path / "one", refs, dict(zip(refs, ["ok", "defect"], strict=True)))
    picture = Image.effect_noise((60, 40), 80).convert("RGB")
    picture.save(made.images / "a.png")
    samples.write(made, "imagefolder", tmp_path / "crops", crop=True)
    (crop,) = (tmp_path / "crops/ok").iterdir()
    with Image.open(crop) as found:
        assert np.array_equal(np.asarray(found), np.asarray(picture.crop((10, 5, 30, 13))))
    samples.write(made, "imagefolder", tmp_path / "more", crop=True, context=0.5)
    (crop,) = (tmp_path / "more/ok").iterdir()
    with Image.open(crop) as found:
        assert found.size == (40, 23)  # ten pixels around, cut at the upper edge


def test_a_folder_of_links_that_was_sorted_anew_brings_its_labels_home(tmp_path: Path) -> None:
    refs = ("a.png", "sub/b.png", "c.png")
    made = samples.project(tmp_path / "one", refs, dict.fromkeys(refs, "ok"))
    samples.write(made, "imagefolder", tmp_path / "sorted")
    (tmp_path / "sorted/ok/sub__b.png").rename(tmp_path / "sorted/defect/moved.png")
    done = samples.imported(made, tmp_path / "sorted", samples.load("imagefolder"))
    assert (done.new, done.changed, done.same) == (1, 1, 2)
    assert [label for _, label, _ in samples.items(made)] == ["ok", "defect", "ok"]


def annotator(*args: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "annotator", *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd)


def test_export_and_import_say_what_they_did(made: ProjectFolder, tmp_path: Path) -> None:
    ran = annotator("export", made.folder, "y.json", "--format", "coco", cwd=tmp_path)
    assert ran.returncode == 0 and ran.stdout == ""
    assert "3 items written to y.json" in ran.stderr
    assert "class numbers: 1 ok, 2 defect" in ran.stderr
    ran = annotator("init", "q", "--from", "y.json", "--images", made.images, cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert "y.json: 6 items, 3 labelled" in ran.stderr
    assert "classes: ok 2, defect 1\nclass numbers: 1 ok, 2 defect\n" in ran.stderr
    # Labels of the file take the place of others, and that is said.
    (tmp_path / "l.jsonl").write_text('{"filename": "a.png", "label": "ok"}\n')
    ran = annotator("import", made.folder, "l.jsonl", cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert "1 label imported, 1 of them in place of another" in ran.stderr
    assert samples.entries(made)[-1].annotator == "import:jsonl"


def test_boxes_over_the_edge_are_cut_and_counted(tmp_path: Path) -> None:
    samples.images(tmp_path, ["a.png"])
    told = {
        "images": [{"id": 1, "file_name": "a.png", "width": 60, "height": 40}],
        "categories": [{"id": 1, "name": "ok"}],
        "annotations": [
            {"image_id": 1, "category_id": 1, "bbox": bbox}
            for bbox in ([-5, -5, 20, 20], [50, 30, 20.5, 9], [0, 0, 60.004, 40])
        ],
    }
    (tmp_path / "c.json").write_text(json.dumps(told))
    ran = annotator("init", "p", "--from", "c.json", cwd=tmp_path)
    assert "2 x part of a box that lay outside its image" in ran.stderr
    found = [Item.parse(ref).box for ref in load_refs(ProjectFolder.open(tmp_path / "p"))]
    assert found == [(0, 0, 15, 15), (50, 30, 10, 9), (0, 0, 60, 40)]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--format", "cocoa"], "not one of csv, plain-csv"),
        (["--format", "voc", "--crop"], "use it with"),
        (["--format", "csv", "--split", "train=1"], "has no effect in csv"),
        (["--only", "nice"], "not one of labelled"),
        (["--format", "yolo", "--images", "move"], "not one of symlink"),
        (["--format", "jsonl", "--context", "1"], "needs --crop"),
    ],
)
def test_options_that_mean_nothing_are_usage_errors(
    made: ProjectFolder, tmp_path: Path, args: list[str], said: str
) -> None:
    ran = annotator("export", made.folder, "x", *args, cwd=tmp_path)
    assert ran.returncode == 2
    assert said in " ".join(ran.stderr.replace("│", " ").split())
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    "name", ["coco", "cvat", "label-studio", "jsonl", "parquet", "huggingface"]
)
def test_several_classes_on_one_item_go_out_and_come_back(name: str, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow") if name == "parquet" else None
    refs = ("a.png", "b.png", "c.png")
    labels = dict(zip(refs, ["ok|dusty", "dusty", "ok"], strict=True))
    made = samples.project(tmp_path / "one", refs, {}, classes=["ok", "dusty"])
    toml = made.folder / "annotator.toml"
    toml.write_text("multi_label = true\n" + toml.read_text())
    made = ProjectFolder.open(made.folder)
    samples.log(made, labels)
    samples.write(made, name, tmp_path / "x")
    if name == "coco":
        told = json.loads((tmp_path / "x").read_text())
        assert [category["name"] for category in told["categories"]] == ["ok", "dusty"]
        assert len(told["annotations"]) == len({a["id"] for a in told["annotations"]}) == 4
    before = samples.items(made)
    made.labels_file.unlink()
    samples.imported(made, tmp_path / "x", samples.load(name), multi=made.settings.names)
    assert samples.items(made) == before


def test_a_set_of_classes_is_the_same_in_any_order(tmp_path: Path) -> None:
    made = samples.project(tmp_path / "one", ("a.png", "b.png"), {}, classes=["ok", "dusty"])
    toml = made.folder / "annotator.toml"
    toml.write_text("multi_label = true\n" + toml.read_text())
    made = ProjectFolder.open(made.folder)
    place = tmp_path / "x.jsonl"
    lines = [("a.png", "dusty|ok"), ("b.png", "(none)")]
    place.write_text("".join(json.dumps({"filename": f, "label": n}) + "\n" for f, n in lines))
    samples.imported(made, place, samples.load("jsonl"), multi=made.settings.names)
    assert [label for _, label, _ in samples.items(made)] == ["ok|dusty", "(none)"]
