"""The commands, run as a user runs them."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


def annotator(*args: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "annotator", *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd)


def good(*args: object, cwd: Path | None = None) -> str:
    ran = annotator(*args, cwd=cwd)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def bad(*args: object, code: int = 1, cwd: Path | None = None) -> str:
    ran = annotator(*args, cwd=cwd)
    assert ran.returncode == code, (ran.stdout, ran.stderr)
    assert "Traceback" not in ran.stderr
    return ran.stderr


def make_images(folder: Path, *names: str) -> None:
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (60, 40), (number * 20 % 256, 90, 120)).save(path)


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
        (6, "no area"), (7, "'see' is not a class"), (7, "feat_idx: 0 is that of line 2"),
        (8, "there is no row 17"), (9, "no row number"),
    ]:  # fmt: skip
        assert any(f"line {line}" in s and what in s for s in said.splitlines()), (line, what, said)
    assert not (seed / "q").exists()


def test_a_new_project_replaces_no_file_that_is_there(seed: Path) -> None:
    """Somebody's own table, or the log of a project whose annotator.toml is gone."""
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


def test_a_folder_is_listed_recursively_with_what_is_left_out_said(tmp_path: Path) -> None:
    make_images(tmp_path / "photos", "b.png", "sub/a.JPG", "sub/deep/c.webp", ".hidden.png")
    (tmp_path / "photos/readme.txt").write_text("no image")
    (tmp_path / "photos/new\nline.png").write_bytes(b"")
    (tmp_path / "photos/loop").symlink_to(tmp_path / "photos")
    good("init", "p", "--images", "photos", "--classes", "ok,defect", cwd=tmp_path)
    assert json.loads(good("status", "p", "--json", cwd=tmp_path))["items"] == 3
    rows = good("export", "p", "-", cwd=tmp_path).splitlines()
    assert rows == ["filename,annotation", "b.png,", "sub/a.JPG,", "sub/deep/c.webp,"]


def test_a_quoted_pattern(tmp_path: Path) -> None:
    make_images(tmp_path, "x/a.png", "x/b.jpg", "y/c.png")
    good("init", "p", "--images", "*/*.png", cwd=tmp_path)
    assert json.loads(good("status", "p", "--json", cwd=tmp_path))["items"] == 2
    assert "names no image" in bad("init", "q", "--images", "*/*.gif", cwd=tmp_path)


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


def test_hostile_names_do_not_reach_the_terminal(tmp_path: Path) -> None:
    make_images(tmp_path / "photos", "\x1b]0;owned\x07.png", "a\u202egnp.png")
    good("init", "p", "--images", "photos", "--classes", "\x1b[31mred,ok", cwd=tmp_path)
    (tmp_path / "l.txt").write_text("\x1b]0;owned\x07.png\n")
    ran = annotator(
        "import", "p", "l.txt", "--format", "list", "--class", "\x1b[31mred", cwd=tmp_path
    )
    assert ran.returncode == 0
    for text in (
        good("status", "p", cwd=tmp_path),
        good("log", "p", cwd=tmp_path),
        bad("import", "p", "photos/\x1b]0;owned\x07.png", cwd=tmp_path),
        bad("init", "\x1b[2J", "--images", "\x1b[2J/none", cwd=tmp_path),
    ):
        assert not set(text) & set("\x1b\x07\u202e")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["status", "nowhere"], "annotator init"),
        (["init", "p"], "--images DIR or --refs FILE"),
        (["init", "p", "--images", "nowhere"], "nowhere does not exist"),
        (["init", "p", "--images", ".", "--classes", "a,a"], "named twice"),
        (["init", "p", "--images", ".", "--classes", "a,,b"], "blank"),
        (["init", "p", "--refs", "nowhere.csv"], "does not exist"),
        (["export", "nowhere", "-"], "annotator init"),
    ],
)
def test_mistakes_are_answered_with_the_remedy(tmp_path: Path, args: list[str], said: str) -> None:
    ran = annotator(*args, cwd=tmp_path)
    assert ran.returncode in (1, 2)
    assert said in ran.stderr
    assert "Traceback" not in ran.stderr


def test_faults_of_annotator_toml_are_named_all_at_once(tmp_path: Path) -> None:
    (tmp_path / "annotator.toml").write_text(
        'seed = "x"\ncontext = 99\ncolour = 1\nbox_order = "yx"\nfind = ["a"]\n'
        'on_label = "say \\"done"\non_finish = " "\n'
        '[[classes]]\nname = "a"\nkey = 3\n[[classes]]\ndescription = "no name"\n'
    )
    said = bad("status", tmp_path)
    keys = ("seed", "context", "colour", "box_order", "find", "on_label", "on_finish")
    for part in (*keys, "class a: key", "number 2"):
        assert part in said
    (tmp_path / "annotator.toml").write_text("seed = = 1")
    assert "line 1" in bad("status", tmp_path)
    (tmp_path / "annotator.toml").write_text("format = 99")
    assert "pip install --upgrade" in bad("status", tmp_path)


def test_labelling_without_a_terminal_says_so(tmp_path: Path) -> None:
    make_images(tmp_path / "photos", "a.png")
    assert "needs a terminal" in bad("run", tmp_path / "photos")
    assert not (tmp_path / "photos.annotator").exists()


def test_an_export_is_what_the_ending_of_its_name_says(tmp_path: Path) -> None:
    make_images(tmp_path / "photos", "a.png")
    good("init", "p", "--images", "photos", cwd=tmp_path)
    good("export", "p", "labels.jsonl", cwd=tmp_path)
    (line,) = (tmp_path / "labels.jsonl").read_text().splitlines()
    assert json.loads(line)["filename"] == "a.png"
    assert "coco, coco-results" in bad("export", "p", "labels.json", code=2, cwd=tmp_path)
    assert not (tmp_path / "labels.json").exists()


def test_names_are_utf8_whatever_the_locale_says(tmp_path: Path) -> None:
    make_images(tmp_path / "photos", "日本.png")
    environment = os.environ | {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    for words in (["init", "p", "--images", "photos"], ["export", "p", "-", "--format", "csv"]):
        ran = subprocess.run(
            [sys.executable, "-m", "annotator", *words],
            capture_output=True, cwd=tmp_path, env=environment, check=True,
        )  # fmt: skip
    assert "日本.png" in ran.stdout.decode()


def test_the_folder_of_images_in_place_of_its_project_says_which_that_is(tmp_path: Path) -> None:
    make_images(tmp_path / "my photos", "a.png")
    photos = str(tmp_path / "my photos")
    assert f"annotator run '{photos}'" in bad("status", photos)
    good("init", f"{photos}.annotator", "--images", photos)
    assert f"that of its images is '{photos}.annotator'" in bad("status", photos)


def test_names_that_do_not_exist_are_refused_before_anything_opens(tmp_path: Path) -> None:
    make_images(tmp_path / "photos", "a.png")
    said = bad("run", tmp_path / "photos", "--strategy", "margins", "--find", "crack")
    assert "'margins'; choose one of herding-mix, random" in said
    assert "'crack'; choose one of negative, positive" in said
    assert not (tmp_path / "photos.annotator").exists()
    assert "margins" in bad(
        "init", tmp_path / "p", "--images", tmp_path / "photos", "--strategy", "margins"
    )
    assert not (tmp_path / "p").exists()


def test_a_single_image_has_features(tmp_path: Path) -> None:
    make_images(tmp_path / "photos", "a.png")
    good("init", tmp_path / "p", "--images", tmp_path / "photos")
    good("features", tmp_path / "p", "--model", "classic")
    assert json.loads(good("status", tmp_path / "p", "--json"))["features"]["rows"] == 1


def test_two_faults_of_one_row_are_both_named(tmp_path: Path) -> None:
    make_images(tmp_path, "a.png")
    (tmp_path / "refs.csv").write_text("filename,bbox,feat_idx\na.png,5-5-2-2,x\n")
    said = bad("init", tmp_path / "p", "--refs", tmp_path / "refs.csv")
    assert "line 2, feat_idx" in said
    assert "line 2, bbox" in said


def test_the_class_of_an_export_is_not_ignored(tmp_path: Path) -> None:
    make_images(tmp_path / "photos", "a.png")
    good("init", tmp_path / "p", "--images", tmp_path / "photos", "--classes", "ok,defect")
    for name in ("csv", "list"):
        said = bad("export", tmp_path / "p", "-", "--format", name, "--class", "okay")
        assert "the classes are ok, defect" in said


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_output_to_a_full_disk_is_a_failure_in_plain_words(tmp_path: Path) -> None:
    make_images(tmp_path / "photos", "a.png")
    good("init", tmp_path / "p", "--images", tmp_path / "photos")
    command = [sys.executable, "-m", "annotator", "status", tmp_path / "p", "--json"]
    with Path("/dev/full").open("w") as full:
        ran = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    assert ran.returncode == 1
    assert "No space left" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_every_command_has_help_and_completion() -> None:
    listed = good("--help")
    for command in ("run", "demo", "init", "features", "status", "log", "export", "import"):
        assert f"\n  {command} " in listed
        assert "Usage: " in good(command, "--help")
    for shell in ("bash", "zsh", "fish"):
        assert "_ANNOTATOR_COMPLETE" in good("completion", shell)
    assert "none of bash" in bad("completion", "tcsh", code=2)


def test_completion_answers_the_shell() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "annotator"], capture_output=True, text=True,
        env={"_ANNOTATOR_COMPLETE": "complete_bash", "COMP_WORDS": "annotator st",
             "COMP_CWORD": "1", "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert ran.stdout.split() == ["status"]
    values = subprocess.run(
        [sys.executable, "-m", "annotator"], capture_output=True, text=True,
        env={"_ANNOTATOR_COMPLETE": "complete_bash", "COMP_WORDS": "annotator export p --format co",
             "COMP_CWORD": "4", "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert values.stdout.split() == ["coco", "coco-results"]


def test_help_and_status_import_nothing_heavy() -> None:
    code = (
        "import sys\nsys.argv = ['annotator', '--help']\n"
        "from annotator.cli import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        "heavy = {'numpy', 'PIL', 'textual', 'torch', 'rich', 'scipy', 'sklearn', 'transformers'}\n"
        "print('leaked', sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "leaked []" in ran.stderr
