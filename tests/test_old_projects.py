"""Projects that version 0.1.0 wrote open as before: the same figures, log and exports.

The tests use the command line and `import annotator` alone. `tests/data/projects-0.1/README.md`
says what the projects hold, and how 0.1.0 made them.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import annotator
from tests.tui.tmux_terminal import Tmux

OLD = Path(__file__).parent / "data" / "projects-0.1"
NAMES = ("plain", "several", "boxes", "found", "finished", "hits", "pages")
OPEN = tuple(name for name in NAMES if name != "found")
"""The projects in which something is left to label."""
LAST = {"plain": 2, "several": 3, "boxes": 1, "found": 1, "finished": 1, "hits": 8, "pages": 6}
"""The items of the last decision of ana that stands."""


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """Return a copy of all projects."""
    folder = tmp_path / "old"
    shutil.copytree(OLD, folder, ignore=shutil.ignore_patterns("said", "*.py", "*.md"))
    for file in folder.glob("*/features/meta.json"):
        file.write_text(file.read_text().replace("{folder}", str(folder)))
    return folder


def run(folder: Path, *words: str, **variables: str) -> str:
    """Run a command in `folder` and return its output."""
    ran = subprocess.run(
        [sys.executable, "-m", "annotator", *words], cwd=folder, capture_output=True, check=False,
        env=os.environ | {"TZ": "UTC"} | variables,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr.decode()
    return ran.stdout.decode()


def said(folder: Path, name: str) -> str:
    """Return the output of 0.1.0."""
    return (OLD / "said" / name).read_bytes().decode().replace("{folder}", str(folder))


def check_within(before: Any, now: Any, where: str = "") -> None:
    """Check that all of `before` is in `now`; `now` may have more members."""
    if isinstance(before, dict):
        assert isinstance(now, dict) and set(before) <= set(now), where
        for key, value in before.items():
            check_within(value, now[key], f"{where}/{key}")
    elif isinstance(before, list):
        assert isinstance(now, list) and len(before) == len(now), where
        for number, value in enumerate(before):
            check_within(value, now[number], f"{where}/{number}")
    elif isinstance(before, float):
        assert now == pytest.approx(before, rel=1e-6), where
    else:
        assert now == before, where


def rows(text: str) -> list[Any]:
    return [json.loads(line) for line in text.splitlines()]


def tree(folder: Path) -> str:
    """Return the names of the files in a folder, and what is in those of text or its checksum."""
    lines = []
    for file in sorted(file for file in folder.rglob("*") if file.is_file()):
        lines.append(f"== {file.relative_to(folder)}")
        if file.suffix in (".xml", ".json"):
            lines.append(hashlib.sha256(file.read_bytes()).hexdigest())
        elif file.suffix not in (".png", ".jpg"):
            lines.append(file.read_text("utf-8"))
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("name", NAMES)
def test_the_figures_the_log_and_the_settings_are_those_of_before(old: Path, name: str) -> None:
    now, before = json.loads(run(old, "status", name, "--json")), said(old, f"{name}/status.json")
    # The scripts that made the projects labelled quicker than a hand can.
    check_within({**json.loads(before), "seconds_per_label": now["seconds_per_label"]}, now)
    check_within(rows(said(old, f"{name}/log.jsonl")), rows(run(old, "log", name, "--json")), "log")
    heads = [line.split()[:4] for line in said(old, f"{name}/log.txt").splitlines()]
    assert [line.split()[:4] for line in run(old, "log", name).splitlines()] == heads
    now = json.loads(run(old, "config", "show", name, "--json", "--origin"))
    check_within(json.loads(said(old, f"{name}/config.json")), now)
    now = {check["name"]: check["ok"] for check in json.loads(run(old, "doctor", name, "--json"))}
    before = json.loads(said(old, f"{name}/doctor.json"))
    check_within({check["name"]: check["ok"] for check in before}, now)
    if name == "found":
        now = json.loads(run(old, "proposals", name, "--json"))
        check_within(json.loads(said(old, "found/proposals.json")), now)
    if name == "hits":
        now = json.loads(run(old, "hits", "status", name, "--json"))
        check_within(json.loads(said(old, "hits/hits.json")), now)


# 0.1.0 wrote images with open boxes without asking.
_PARTIAL = dict.fromkeys(("coco", "yolo", "voc", "cvat", "label-studio"), ("--partial",))


def _file_names(tree: str) -> set[str]:
    return {line for line in tree.splitlines() if line.startswith("== ")}


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_exports_are_those_of_before(old: Path, name: str, tmp_path: Path) -> None:
    for file in sorted((OLD / "said" / name).glob("export-*")):
        form = file.stem.removeprefix("export-")
        options = ("--provenance",) if form == "plain" else _PARTIAL.get(form, ())
        form = "plain-csv" if form == "plain" else form
        now = run(old, "export", name, "-", "--format", form, *options)
        assert now == said(old, f"{name}/{file.name}"), file.name
    for file in (OLD / "said" / name).glob("tree-*"):
        form = file.stem.removeprefix("tree-")
        options = () if form == "imagenet-ab" else ("--images", "copy", *_PARTIAL.get(form, ()))
        run(old, "export", name, str(tmp_path / form), "--format", form, *options)
        now, before = tree(tmp_path / form), said(old, f"{name}/{file.name}")
        if form == "imagenet-ab":  # its numbers are whole pixels of the window now
            assert _file_names(before) <= _file_names(now), file.name
        else:
            assert now == before, file.name


def test_the_table_of_the_user_comes_back_with_its_columns(old: Path) -> None:
    before = (old / "boxes" / "refs.csv").read_bytes().decode()
    now = run(old, "export", "boxes", "-", "--format", "csv")
    assert now.splitlines()[0] == before.splitlines()[0]
    assert now.count("\r\n") == before.count("\r\n") == 22
    assert 'c1,01.png,"[7, 3, 30, 26]",ok,18,"said, ""1"""' in now


@pytest.mark.parametrize("name", OPEN)
def test_one_more_item_is_labelled_and_taken_back(old: Path, name: str) -> None:
    project = annotator.open(old / name)
    labels, log = project.labels(), len(list(project.log()))
    with project.session(annotator="new") as session:
        assert session.current is not None
        ref = session.current.ref
        assert ref not in labels
        assert session.picture((32, 32)).width <= 32
        session.label(project.classes[0])
        assert annotator.open(old / name).labels() == labels | {ref: project.classes[0]}
        assert [entry.ref for entry in session.undo()] == [ref]
    again = annotator.open(old / name)
    assert again.labels() == labels
    assert len(list(again.log())) == log + 2


@pytest.mark.parametrize("name", NAMES)
def test_what_the_version_before_labelled_is_undone_and_labelled_again(
    old: Path, name: str
) -> None:
    project = annotator.open(old / name)
    labels = project.labels()
    with project.session(annotator="ana") as session:
        taken = [entry.ref for entry in session.undo()]
        assert len(taken) == LAST[name]
        left = project.labels()
        gone = {ref: label for ref, label in labels.items() if ref not in left}
        assert set(gone) <= set(taken)
        session.decide(gone)
    assert project.labels() == labels


@pytest.mark.parametrize("name", ["plain", "boxes", "finished"])
def test_the_model_learns_from_the_features_of_before(old: Path, name: str) -> None:
    project = annotator.open(old / name)
    predicted = dict(project.predictions())
    assert set(predicted) <= set(project.refs) - set(project.labels())
    assert len(predicted) == project.status()["remaining"] + project.status()["skipped"]
    assert all(sum(proba.values()) == pytest.approx(1) for proba in predicted.values())


def test_the_labels_of_a_model_are_taken_back(old: Path) -> None:
    before = annotator.open(old / "finished").status()["labelled"]
    run(old, "finish", "finished", "--take-back")
    assert annotator.open(old / "finished").status()["labelled"] == before - 37


def test_the_settings_of_a_user_hold(old: Path) -> None:
    config = str(old / "config")
    now = json.loads(run(old, "config", "show", "--json", XDG_CONFIG_HOME=config))
    check_within(json.loads(said(old, "config.json")), now)
    now = json.loads(run(old, "config", "show", "plain", "--json", XDG_CONFIG_HOME=config))
    check_within(json.loads(said(old, "plain/config-of-user.json")), now)


@pytest.fixture
def screen(old: Path, tmp_path: Path) -> Iterator[Callable[..., Tmux]]:
    """Return a function that opens a command in tmux, in the folder of the projects."""
    opened: list[Tmux] = []

    def open_(*words: str) -> Tmux:
        folder = tmp_path / "terminal"
        folder.mkdir()
        command = shlex.join([sys.executable, "-m", "annotator", *words, "--graphics", "halfcell"])
        opened.append(Tmux(folder, f"cd {shlex.quote(str(old))} && {command}", (100, 40)))
        return opened[-1]

    yield open_
    for one in opened:
        one.close()


@pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")
@pytest.mark.parametrize(
    "words",
    [
        ("browse", "pages", "--class", "defect", "--per-page", "6", "--annotator", "ana"),
        ("hits", "run", "hits", "--worker", "B2WORKER", "--min-seconds", "0"),
    ],
    ids=["pages", "hits"],
)
def test_a_page_that_was_killed_comes_back_with_its_selection(
    screen: Callable[..., Tmux], words: tuple[str, ...]
) -> None:
    terminal = screen(*words)
    terminal.sees("2 defect")
    terminal.sees("✓")
