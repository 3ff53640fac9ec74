"""Commands say what they recognised in a folder and what they left out."""

from __future__ import annotations

import json
from pathlib import Path

from annotator.items.listing import SkippedFiles, walk_images
from tests.cli.command_line import annotator, good, make_images


def test_the_summary_counts_splits_images_and_classes(tmp_path: Path) -> None:
    for split in ("train", "valid"):
        make_images(tmp_path / "y" / split / "images", "0.jpg", "1.jpg")
        (tmp_path / "y" / split / "labels").mkdir()
        for name in ("0", "1"):
            text = "0 0.5 0.5 0.2 0.2\n1 0.5 0.5 0.4 0.4\n"
            (tmp_path / "y" / split / "labels" / f"{name}.txt").write_text(text)
    (tmp_path / "y/data.yaml").write_text(
        "train: ../train/images\nval: ../valid/images\nnames: [a, b, c]\n"
    )
    told = annotator("init", "p", "--from", "y", cwd=tmp_path).stderr
    assert "YOLO: data.yaml and train/labels/0.txt, 2 splits, 4 images, 3 classes" in told


def test_detect_counts_other_files_by_their_ending(tmp_path: Path) -> None:
    make_images(tmp_path / "photos", "0.jpg")
    for name in ("a.nef", "b.NEF", "notes.txt"):
        (tmp_path / "photos" / name).touch()
    image, boxes = {"id": 1, "file_name": "0.jpg"}, {"image_id": 1, "category_id": 1}
    (tmp_path / "i.json").write_text(
        json.dumps({"images": [image], "categories": [{"id": 1, "name": "c"}]})
    )
    (tmp_path / "r.json").write_text(json.dumps([{**boxes, "bbox": [1, 2, 3, 4], "score": 0.9}]))
    ran = annotator("detect", "photos", "--models", "boxes:r.json", "--instances", "i.json",
                    cwd=tmp_path)  # fmt: skip
    assert ran.returncode == 0 and "left out: 2 .nef, 1 .txt" in ran.stderr
    assert "Convert .nef" in ran.stderr
    good("export", "photos.boxes", "x.json", "--format", "coco", "--unreviewed", cwd=tmp_path)


def test_the_banner_names_a_file_the_endings_and_the_remedy(tmp_path: Path) -> None:
    make_images(tmp_path, "0.jpg")
    (tmp_path / "a.nef").touch()
    left_out = SkippedFiles()
    assert list(walk_images(tmp_path, left_out)) == [["0.jpg"]]
    others = "left out: 1 .nef\nConvert .nef to JPEG or PNG to label these images."
    assert left_out.summary() == others
    left_out.names.append("b.jpg: Permission denied")
    assert left_out.summary() == f"1 left out: b.jpg: Permission denied\n{others}"


def test_init_counts_images_by_their_ending_if_there_are_several(tmp_path: Path) -> None:
    make_images(tmp_path / "photos", "0.jpg", "1.jpg", "2.png", "3.JPG")
    told = annotator("init", "p", "--images", "photos", cwd=tmp_path).stderr
    assert "4 images: 3 .jpg, 1 .png" in told


def test_an_ending_of_a_table_controls_no_terminal(tmp_path: Path) -> None:
    make_images(tmp_path / "photos", "0.jpg")
    (tmp_path / "p").mkdir()
    (tmp_path / "p/refs.csv").write_text("filename\n0.jpg\na.\x1b]0;owned\x07\nwithout\n")
    told = annotator("init", "p", "--images", "photos", cwd=tmp_path).stderr
    assert "\x1b" not in told and "3 images: 1 .\\x1b]0;owned\\x07, 1 .jpg, 1 without" in told
