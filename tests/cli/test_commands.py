"""The commands, run as a user runs them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from annotator.cli.app import app
from tests.cli.command_line import annotator, bad, good, make_images


def test_a_folder_is_listed_recursively_with_what_is_left_out_said(tmp_path: Path) -> None:
    make_images(tmp_path / "photos", "b.png", "sub/a.JPG", "sub/deep/c.webp", ".hidden.png")
    (tmp_path / "photos/readme.txt").write_text("no image")
    (tmp_path / "photos/new\nline.png").write_bytes(b"")
    (tmp_path / "photos/loop").symlink_to(tmp_path / "photos")
    good("init", "p", "--images", "photos", "--classes", "ok,defect", cwd=tmp_path)
    assert json.loads(good("status", "p", "--json", cwd=tmp_path))["items"] == 3
    rows = good("export", "p", "-", cwd=tmp_path).splitlines()
    assert rows == ["filename,annotation", "b.png,", "sub/a.JPG,", "sub/deep/c.webp,"]


def test_line_breaks_of_another_system_in_class_names_are_white_space(tmp_path: Path) -> None:
    make_images(tmp_path, "a.png")
    good("init", "p", "--images", ".", "--classes", "daisy\r,roses\r\n", cwd=tmp_path)
    assert set(json.loads(good("status", "p", "--json", cwd=tmp_path))["classes"]) == {
        "daisy", "roses",
    }  # fmt: skip


def test_a_quoted_pattern(tmp_path: Path) -> None:
    make_images(tmp_path, "x/a.png", "x/b.jpg", "y/c.png")
    good("init", "p", "--images", "*/*.png", cwd=tmp_path)
    assert json.loads(good("status", "p", "--json", cwd=tmp_path))["items"] == 2
    assert "No image matches" in bad("init", "q", "--images", "*/*.gif", cwd=tmp_path)


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
        (["finish", "p", "--max-error", "nan"], "nan is not a number"),
        (["cluster", "p", "--eps", "nan"], "nan is not a number"),
        (["next", "p", "--lease", "inf"], "inf is not a number"),
        (["hits", "decide", "p", "--min-gold", "nan"], "nan is not a number"),
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


@pytest.mark.parametrize("option", ["--graphics", "--keymap", "--strategy", "--find"])
def test_a_name_that_is_not_known_makes_no_project(option: str, tmp_path: Path) -> None:
    make_images(tmp_path / "photos", "a.png")
    assert "'nix'" in bad("run", tmp_path / "photos", option, "nix")
    assert not (tmp_path / "photos.annotator").exists()


def test_an_export_is_what_the_ending_of_its_name_says(tmp_path: Path) -> None:
    make_images(tmp_path / "photos", "a.png")
    good("init", "p", "--images", "photos", cwd=tmp_path)
    good("export", "p", "labels.jsonl", cwd=tmp_path)
    (line,) = (tmp_path / "labels.jsonl").read_text().splitlines()
    assert json.loads(line)["filename"] == "a.png"
    assert "coco, coco-results" in bad("export", "p", "labels.json", code=2, cwd=tmp_path)
    assert not (tmp_path / "labels.json").exists()


def test_a_pattern_that_the_shell_took_apart_is_to_be_quoted(tmp_path: Path) -> None:
    names = [f"photos/{number}.png" for number in range(40)]
    said = bad("init", "p", "--images", *names, code=2, cwd=tmp_path)
    assert "unexpected argument photos/1.png and 38 more. Quote a pattern" in said
    assert "photos/2.png" not in said
    assert "unexpected argument q" in bad("status", "p", "q", code=2, cwd=tmp_path)


def test_a_folder_whose_name_is_not_utf8_is_said_and_nothing_is_made(tmp_path: Path) -> None:
    photos = tmp_path / os.fsdecode(b"caf\xe9")
    make_images(photos, "a.png")
    assert "Rename the folder of images" in bad("init", f"{tmp_path}/p", "--images", photos)
    assert not (tmp_path / "p").exists()


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
    assert f"The project of its images is '{photos}.annotator'" in bad("status", photos)


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


def test_the_class_of_an_export_is_not_ignored(tmp_path: Path) -> None:
    make_images(tmp_path / "photos", "a.png")
    good("init", tmp_path / "p", "--images", tmp_path / "photos", "--classes", "ok,defect")
    for name in ("csv", "list"):
        said = bad("export", tmp_path / "p", "-", "--format", name, "--class", "okay")
        assert "The classes are ok, defect" in said


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
    assert "not one of bash" in bad("completion", "tcsh", code=2)


def test_completion_answers_the_shell() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "annotator"], capture_output=True, text=True,
        env={"_ANNOTATOR_COMPLETE": "complete_bash", "COMP_WORDS": "annotator st",
             "COMP_CWORD": "1", "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert ran.stdout.split() == ["status"]


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("export p --format co", ["coco", "coco-results"]),
        ("run p --strategy marg", ["margin"]),
        ("run p --estimator ", ["ridge", "logistic"]),
        ("run p --keymap ", ["default", "auto", "exact", "azerty", "prodigy", "navigate", "vim"]),
        ("run p --theme colour", ["colour-blind"]),
        ("run p --graphics k", ["kitty"]),
        ("run p --model dinov2-s", ["dinov2-small"]),
        ("review p --queue du", ["duplicates"]),
        ("browse p --order l", ["likely"]),
        ("browse p --select positives", ["positives", "positives-only"]),
        ("cluster p --method k", ["kmeans"]),
        ("cluster p --queue ", ["typical", "runs"]),
        ("map p --by p", ["prediction"]),
        ("detect p --fuse s", ["soft-nms"]),
        ("detect p --dtype b", ["bf16"]),
        ("discover p --method l", ["lost"]),
        ("faces p --method h", ["hdbscan"]),
        ("simulate --mode r", ["rapid"]),
        ("init p --bbox-order r", ["r1-c1-r2-c2"]),
        ("import p f --box-pixels st", ["stored", "stated"]),
    ],
)
def test_completion_knows_the_values_of_options(typed: str, completed: list[str]) -> None:
    words = f"annotator {typed}"
    ran = subprocess.run(
        [sys.executable, "-m", "annotator"], capture_output=True, text=True,
        env={"_ANNOTATOR_COMPLETE": "complete_bash", "COMP_WORDS": words,
             "COMP_CWORD": str(len(words.split(" ")) - 1), "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert ran.stdout.split() == completed, ran.stderr


def test_completion_knows_the_classes_and_saved_searches_of_a_project(tmp_path: Path) -> None:
    (tmp_path / "photos.annotator").mkdir()
    (tmp_path / "photos.annotator" / "annotator.toml").write_text(
        '[[classes]]\nname = "car"\nparent = "vehicle"\n[[classes]]\nname = "vehicle"\n'
        '[[classes]]\nname = "cat"\n'
    )
    (tmp_path / "photos.annotator" / "searches.csv").write_text("name,query\nnight,camera=3\n")
    project = "photos.annotator"
    for typed, completed in (
        ("run photos --refine ", ["vehicle"]),
        (f"run {project} --find c", ["car", "cat"]),
        (f"browse {project} --class v", ["vehicle"]),
        ("run photos --only @n", ["@night"]),
        (f"search {project} @", ["@night"]),
        (f"search {project} --forget n", ["night"]),
        (
            f"export {project} x --only ",
            ["labelled", "human", "reviewed", "flagged", "unflagged", "@night"],
        ),
        ("run elsewhere --find ", []),
    ):
        words = f"annotator {typed}"
        ran = subprocess.run(
            [sys.executable, "-m", "annotator"], capture_output=True, text=True, cwd=tmp_path,
            env={"_ANNOTATOR_COMPLETE": "complete_bash", "COMP_WORDS": words,
                 "COMP_CWORD": str(len(words.split(" ")) - 1), "PATH": "/usr/bin:/bin"},
        )  # fmt: skip
        assert ran.stdout.split() == completed, (typed, ran.stderr)


def test_help_and_status_import_nothing_heavy() -> None:
    code = (
        "import sys\nsys.argv = ['annotator', '--help']\n"
        "from annotator.cli import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        "heavy = {'numpy', 'PIL', 'textual', 'torch', 'rich', 'scipy', 'sklearn', 'transformers', "
        "'yaml'}\n"
        "print('leaked', sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "leaked []" in ran.stderr


def _commands() -> list[tuple[str, Any]]:
    found = []
    for name, command in get_command(app).commands.items():  # type: ignore[attr-defined]
        inner = getattr(command, "commands", None)
        found += [(f"{name} {key}", c) for key, c in inner.items()] if inner else [(name, command)]
    return found


def test_every_command_shows_examples_and_explains_its_options() -> None:
    for name, command in _commands():
        assert f"\nannotator {name}" in command.help, name
        for option in command.params:
            assert option.help or option.name == "help", f"{name}: {option.name}"
