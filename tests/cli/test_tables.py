"""Tables and lists as the commands open, export and import them."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from tests.cli.command_line import bad, good, make_images

SEED_CSV = (
    "\ufefffilename,bbox,annotation,feat_idx,note\r\n"
    'img/a.jpg,2-4-22-44,sea,2,"first, with comma"\r\n'
    'img/a.jpg,0-0-10-10,,0,"second ""box"""\r\n'
    "img/b c.jpg,,forest,1,\r\n"
    '"img/d.jpg",,,3,plain\r\n'
)


@pytest.fixture
def seed(tmp_path: Path) -> Path:
    """A table as the oldest of such tools writes it, with its features."""
    make_images(tmp_path, "img/a.jpg", "img/b c.jpg", "img/d.jpg")
    (tmp_path / "refs.csv").write_bytes(SEED_CSV.encode())
    np.save(tmp_path / "features.npy", np.eye(4, 6, dtype=np.float32) + 0.1)
    return tmp_path


def init_seed(seed: Path) -> Path:
    good(
        "init", "p", "--refs", "refs.csv", "--features", "features.npy",
        "--classes", "building,sea,forest", cwd=seed,
    )  # fmt: skip
    return seed / "p"


def test_a_table_opens_unchanged_and_its_labels_enter_the_log(seed: Path) -> None:
    project = init_seed(seed)
    figures = json.loads(good("status", project, "--json"))
    assert figures["items"] == 4
    assert figures["classes"] == {"building": 0, "sea": 1, "forest": 1}
    assert figures["annotators"] == {"import": 2}
    assert figures["features"]["rows"] == 4 and figures["features"]["dim"] == 6
    entries = [json.loads(line) for line in good("log", project, "--json").splitlines()]
    # r1-c1-r2-c2 = 2-4-22-44 is top 2, left 4, bottom 22, right 44.
    assert [(e["ref"], e["label"]) for e in entries] == [
        ("img/a.jpg#xywh=4,2,40,20", "sea"),
        ("img/b c.jpg", "forest"),
    ]


def test_an_unchanged_table_comes_back_byte_for_byte(seed: Path) -> None:
    project = init_seed(seed)
    good("export", project, "out.csv", cwd=seed)
    assert (seed / "out.csv").read_bytes() == SEED_CSV.encode()
    assert (seed / "refs.csv").read_bytes() == SEED_CSV.encode(), "input files are never rewritten"


def test_only_the_cells_of_new_labels_change(seed: Path) -> None:
    project = init_seed(seed)
    (seed / "labels.csv").write_text(
        'filename,bbox,label\nimg/d.jpg,,building\nimg/a.jpg,0-0-10-10,sea\n"img/b c.jpg",,sea\n'
    )
    good("import", project, "labels.csv", cwd=seed)
    expected = (
        SEED_CSV.replace("0-0-10-10,,0", "0-0-10-10,sea,0")
        .replace("c.jpg,,forest", "c.jpg,,sea")
        .replace('"img/d.jpg",,,3', '"img/d.jpg",,building,3')
    )
    assert good("export", project, "-").encode() == expected.replace("\r\n", "\n").encode()
    good("export", project, seed / "out.csv")
    assert (seed / "out.csv").read_bytes() == expected.encode()


def test_an_export_is_not_overwritten_unasked(seed: Path) -> None:
    project = init_seed(seed)
    (seed / "out.csv").write_text("mine")
    assert "--overwrite" in bad("export", project, seed / "out.csv")
    assert (seed / "out.csv").read_text() == "mine"
    good("export", project, seed / "out.csv", "--overwrite")
    assert (seed / "out.csv").read_bytes() == SEED_CSV.encode()


def test_all_faults_of_a_table_are_named_at_once_and_nothing_is_made(seed: Path) -> None:
    (seed / "bad.csv").write_text(
        "filename,bbox,annotation,feat_idx\n"
        "img/a.jpg,,sea,0\n"
        "img/gone.jpg,,sea,1\n"
        "img/a.jpg,,,2\n"
        "img/d.jpg,1-2-3,,3\n"
        "img/b c.jpg,9-9-3-3,,3\n"
        "img/b c.jpg,,see,0\n"
        "img/d.jpg,,,17\n"
        "img/d.jpg,0-0-5-5,,x\n"
    )
    said = bad(
        "init", "q", "--refs", "bad.csv", "--features", "features.npy",
        "--classes", "sea,forest", cwd=seed,
    )  # fmt: skip
    for line, what in [
        (3, "no such file"), (4, "the same item as line 2"), (5, "not four numbers"),
        (6, "no area"), (7, "'see' is not a class"), (7, "feat_idx: line 2 has the row 0, too"),
        (8, "there is no row 17"), (9, "not a row number"),
    ]:  # fmt: skip
        assert any(f"line {line}" in s and what in s for s in said.splitlines()), (line, what, said)
    assert not (seed / "q").exists()


def test_a_new_project_replaces_no_file_that_is_there(seed: Path) -> None:
    """The user's own table, or the log of a project whose annotator.toml is gone."""
    project = init_seed(seed)
    (project / "annotator.toml").unlink()
    before = {file: file.read_bytes() for file in (project / "refs.csv", project / "labels.db")}
    (seed / "list.txt").write_text("img/a.jpg\n")
    (seed / "more.jsonl").write_text('{"filename": "img/a.jpg", "label": "sea"}\n')
    for source in ("list.txt", "more.jsonl"):
        assert "refs.csv" in bad("init", project, "--from", source, "--images", seed, cwd=seed)
    assert {file: file.read_bytes() for file in before} == before
    assert not (project / "annotator.toml").exists()


def test_a_features_file_with_a_bad_row_is_refused_by_name(seed: Path) -> None:
    matrix = np.load(seed / "features.npy")
    matrix[1] = np.nan
    np.save(seed / "features.npy", matrix)
    said = bad("init", "p", "--refs", "refs.csv", "--features", "features.npy", cwd=seed)
    assert "img/b c.jpg" in said
    assert not (seed / "p").exists()


def test_a_text_list_with_boxes_and_spaces(tmp_path: Path) -> None:
    make_images(tmp_path, "a b.jpg", "plain.jpg", "9 1 2 3 4.jpg")
    (tmp_path / "refs.txt").write_text("a b.jpg 2 4 22 44\nplain.jpg\n9 1 2 3 4.jpg\n\na b.jpg\n")
    good("init", "p", "--refs", "refs.txt", cwd=tmp_path)
    (tmp_path / "positive.txt").write_text("a b.jpg 2 4 22 44\nplain.jpg\n")
    good("import", "p", "positive.txt", "--format", "list", "--class", "positive", cwd=tmp_path)
    out = good("export", "p", "-", "--format", "list", "--class", "positive", cwd=tmp_path)
    assert out == "a b.jpg 2 4 22 44\nplain.jpg\n"
    rows = list(csv.DictReader(good("export", "p", "-", cwd=tmp_path).splitlines()))
    assert [(r["filename"], r["bbox"], r["annotation"]) for r in rows] == [
        ("a b.jpg", "4,2,40,20", "positive"),
        ("plain.jpg", "", "positive"),
        ("9 1 2 3 4.jpg", "", ""),
        ("a b.jpg", "", ""),
    ]


@pytest.mark.parametrize(
    ("bbox", "order", "ref"),
    [
        ('"10,20,30,15"', "xywh", "a.jpg#xywh=10,20,30,15"),
        ('"10,20,40,35"', "xyxy", "a.jpg#xywh=10,20,30,15"),
        ("20-10-35-40", "xywh", "a.jpg#xywh=10,20,30,15"),
        ('"[10.5, 20, 30, 15]"', "xywh", "a.jpg#xywh=10.5,20,30,15"),
    ],
)
def test_box_orders(tmp_path: Path, bbox: str, order: str, ref: str) -> None:
    make_images(tmp_path, "a.jpg")
    (tmp_path / "t.csv").write_text(f"path,bbox,label\na.jpg,{bbox},ok\n")
    good("init", "p", "--refs", "t.csv", "--bbox-order", order, cwd=tmp_path)
    (entry,) = (json.loads(x) for x in good("log", "p", "--json", cwd=tmp_path).splitlines())
    assert entry["ref"] == ref


def test_an_import_with_faults_writes_nothing(seed: Path) -> None:
    project = init_seed(seed)
    (seed / "labels.csv").write_text("filename,label\nimg/d.jpg,sea\nimg/d.jpg,lake\nno.jpg,sea\n")
    said = bad("import", project, "labels.csv", cwd=seed)
    assert "line 3" in said and "lake" in said and "line 4" in said and "no.jpg" in said
    assert json.loads(good("status", project, "--json"))["labelled"] == 2


def test_importing_twice_adds_nothing(seed: Path) -> None:
    project = init_seed(seed)
    (seed / "labels.csv").write_text("filename,label\nimg/d.jpg,sea\n")
    good("import", project, "labels.csv", cwd=seed)
    good("import", project, "labels.csv", cwd=seed)
    assert len(good("log", project).splitlines()) == 3


def test_two_faults_of_one_row_are_both_named(tmp_path: Path) -> None:
    make_images(tmp_path, "a.png")
    (tmp_path / "refs.csv").write_text("filename,bbox,feat_idx\na.png,5-5-2-2,x\n")
    said = bad("init", tmp_path / "p", "--refs", tmp_path / "refs.csv")
    assert "line 2, feat_idx" in said
    assert "line 2, bbox" in said
