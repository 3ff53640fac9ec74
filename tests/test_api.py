"""The Python API and its twins on the command line: sessions without a screen."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import annotator
from annotator.errors import ProjectError, RefError
from annotator.formats import new_project
from annotator.log.entries import Entry
from annotator.project.settings import ClassInfo, Settings
from annotator.tui.session_summary import SessionSummary


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """30 images, dark and light, with features that tell them apart."""
    images = tmp_path / "images"
    images.mkdir()
    rng = np.random.default_rng(0)
    rows = ["filename,feat_idx"]
    features = np.zeros((30, 4), np.float32)
    for number in range(30):
        light = number % 2
        Image.new("RGB", (8, 8), (200 * light,) * 3).save(images / f"{number:02}.png")
        rows.append(f"{number:02}.png,{number}")
        features[number] = [light, 1 - light, *rng.normal(0, 0.1, 2)]
    (tmp_path / "refs.csv").write_text("\n".join(rows) + "\n")
    np.save(tmp_path / "features.npy", features)
    settings = Settings(classes=(ClassInfo("dark"), ClassInfo("light")), ahead=2)
    folder = tmp_path / "p"
    new_project.create_from_refs(
        folder, tmp_path / "refs.csv", settings,
        images=images, features=tmp_path / "features.npy",
    )  # fmt: skip
    return folder


def _is_light(ref: str) -> str:
    return "light" if int(ref[:2]) % 2 else "dark"


def test_a_script_labels_everything_and_the_model_learns(project: Path) -> None:
    opened = annotator.open(project)
    with opened.session(annotator="ana") as session:
        while session.current is not None and session.progress.labelled < 12:
            assert session.picture((64, 64)).size == (8, 8)
            entry = session.label(_is_light(session.current.ref))
            assert entry is not None and entry.annotator == "ana"
    labels = opened.labels()
    assert len(labels) == 12
    predicted = dict(opened.predictions())
    assert set(predicted) == set(opened.refs) - set(labels)
    assert all(max(p, key=p.__getitem__) == _is_light(ref) for ref, p in predicted.items())
    assert opened.status()["labelled"] == 12


def test_undo_and_groups_in_a_script(project: Path) -> None:
    opened = annotator.open(str(project))
    with opened.session(annotator="ana") as session:
        session.decide({"00.png": "dark", "01.png": "light", "02.png": None})
        assert opened.labels() == {"00.png": "dark", "01.png": "light"}
        assert len(session.undo()) == 3
    assert opened.labels() == {}


def test_a_class_or_item_that_is_not_there_is_refused(project: Path) -> None:
    with annotator.open(project).session() as session:
        with pytest.raises(ProjectError, match="dark, light"):
            session.label("grey")
        with pytest.raises(RefError, match="99.png"):
            session.decide({"99.png": "dark"})
    assert annotator.open(project).labels() == {}


def test_an_item_of_a_multi_label_project_is_given_several_classes(project: Path) -> None:
    toml = project / "annotator.toml"
    toml.write_text("multi_label = true\n" + toml.read_text())
    opened = annotator.open(project)
    with opened.session(annotator="vlm") as session:
        assert session.current is not None
        first = session.current.ref
        session.label("light|dark")
        session.decide({"29.png" if first != "29.png" else "28.png": "(none)"})
        with pytest.raises(ProjectError, match="dark, light"):
            session.decide({"27.png": "dark|grey"})
    assert opened.labels()[first] == "dark|light"  # in the order of the classes
    rest = next(ref for ref in opened.refs if ref not in opened.labels())
    _run("answer", str(project), rest, "light|dark", "--annotator", "vlm")
    assert opened.labels()[rest] == "dark|light"


def test_a_second_opinion_asks_what_others_labelled_and_changes_no_label(project: Path) -> None:
    opened = annotator.open(project)
    with opened.session(annotator="ana") as session:
        session.decide({"00.png": "dark", "01.png": "light"})
    with opened.session(annotator="vlm", second=True) as session:
        asked = []
        while session.current is not None:
            assert session.prediction is None  # blind
            asked.append(session.current.ref)
            session.label("dark")
        assert session.progress.labelled == 2
    assert sorted(asked) == ["00.png", "01.png"]
    assert opened.labels() == {"00.png": "dark", "01.png": "light"}
    with opened.session(annotator="ana", second=True) as session:
        assert session.current is None  # no annotator gets second opinions on their own labels


def test_what_is_no_item_is_neither_flagged_nor_noted_nor_decided(project: Path) -> None:
    opened = annotator.open(project)
    with opened.session(annotator="ana") as session:
        for act in (
            lambda: session.flag("typo.png"),
            lambda: session.note("typo.png", "blurred"),
            lambda: session.decide({"00.png": "dark", "typo.png": "dark"}),
        ):
            with pytest.raises(RefError, match="typo.png is not an item of this project"):
                act()
        assert list(opened.log()) == []
        session.decide({"00.png": "dark"})
    with opened.session(annotator="vlm", second=True) as session:
        assert session.flag("05.png")  # of the project, if not of what is asked
        with pytest.raises(RefError, match=r"05.png has no label by another annotator"):
            session.decide({"05.png": "dark"})


def _run(*args: str, code: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "annotator", *args], capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stderr
    return done.stdout


def test_next_and_answer_go_on_where_they_were(project: Path) -> None:
    p = str(project)
    lines = _run("next", p, "-n", "4", "--json", "--annotator", "vlm").splitlines()
    asked = [json.loads(line) for line in lines]
    refs = [item["ref"] for item in asked]
    assert len(set(refs)) == 4
    assert all(Path(item["file"]).is_file() for item in asked)
    _run("answer", p, refs[1], _is_light(refs[1]), "--annotator", "vlm")
    again = _run("next", p, "-n", "3", "--annotator", "vlm").split()
    assert again == [refs[0], refs[2], refs[3]]
    others = _run("next", p, "-n", "4", "--annotator", "other").split()
    assert not set(others) & set(refs)
    assert annotator.open(project).labels() == {refs[1]: _is_light(refs[1])}
    entry = next(e for e in annotator.open(project).log() if e.ref == refs[1])
    assert entry.picked_by == asked[1]["picked_by"]  # the draw of `next` is in the log
    assert entry.pool == 30 - 1


def test_an_answer_for_what_is_labelled_asks_for_second(project: Path) -> None:
    p = str(project)
    _run("answer", p, "00.png", "dark", "--annotator", "ana")
    _run("answer", p, "00.png", "light", "--annotator", "vlm", code=1)
    _run("answer", p, "00.png", "light", "--annotator", "vlm", "--second")
    assert annotator.open(project).labels() == {"00.png": "dark"}
    assert [e.label for e in annotator.open(project).log()] == ["dark", "light"]


def test_on_label_hears_each_row_as_json_and_its_failure_is_said(project: Path) -> None:
    script = project / "hear.py"
    script.write_text("import sys; open('heard', 'a').write(sys.stdin.read())")
    toml = project / "annotator.toml"
    command = shlex.join([sys.executable, str(script)])
    toml.write_text(f'on_label = "{command}"\n' + toml.read_text())
    _run("answer", str(project), "00.png", "dark", "--annotator", "ana")
    (line,) = (project / "heard").read_text().splitlines()
    event = json.loads(line)
    assert (event["event"], event["ref"], event["label"]) == ("on_label", "00.png", "dark")
    script.write_text("import sys; sys.exit('the disk of the hook is gone')")
    done = subprocess.run(
        [sys.executable, "-m", "annotator", "answer", str(project), "01.png", "light"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "the disk of the hook is gone" in done.stderr
    assert annotator.open(project).labels() == {"00.png": "dark", "01.png": "light"}


_LABELLER = """
import sys, annotator
project, name, lease = sys.argv[1:]
with annotator.open(project).session(name, learn=False, lease=float(lease)) as session:
    while session.current is not None:
        print(session.current.ref, flush=True)
        session.label("dark")
"""


def test_scripts_at_once_label_each_item_once_also_when_one_is_killed(project: Path) -> None:
    opened = annotator.open(project)

    def started(name: str, lease: float = 600.0) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", _LABELLER, str(project), name, str(lease)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    with started("killed", lease=1.0) as killed:
        assert killed.stdout is not None and killed.stdout.readline()
        killed.kill()
    while opened.status()["remaining"]:  # what the killed one was asked comes back by itself
        with started("ann") as ann, started("bob") as bob:
            ann.communicate()
            bob.communicate()
        assert ann.returncode == bob.returncode == 0
    refs = [entry.ref for entry in opened.log()]
    assert sorted(refs) == sorted(opened.refs)


def test_next_says_when_all_that_is_left_is_on_the_screens_of_others(project: Path) -> None:
    count = str(len(annotator.open(project).refs))
    assert len(_run("next", str(project), "-n", count, "--annotator", "vlm").split()) == int(count)
    done = subprocess.run(
        [sys.executable, "-m", "annotator", "next", str(project), "--annotator", "other"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 3 and done.stdout == ""
    assert f"{count} items leased to other annotators" in done.stderr


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("gone.png", "dark"), "is not an item of this project"),
        (("00.png", "dark"), "is labelled or skipped already"),
        (("00.png", "dark", "--second"), "has no label by another annotator"),
    ],
)
def test_an_answer_that_cannot_be_taken_says_why(
    project: Path, args: tuple[str, ...], said: str
) -> None:
    with annotator.open(project).session("ana", learn=False) as session:
        session.decide({"00.png": "dark"})
    done = subprocess.run(
        [sys.executable, "-m", "annotator", "answer", str(project), *args, "--annotator", "ana"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1 and said in done.stderr
    assert len(list(annotator.open(project).log())) == 1


def _documented() -> dict[str, set[str]]:
    page = (Path(__file__).parents[1] / "docs" / "python.md").read_text()
    rows = re.findall(r"^\| `([a-z ]+)`[^|]*\| (.+) \|$", page, re.MULTILINE)
    return {name: set(re.findall(r"`([a-z_]+)`", cells)) for name, cells in rows}


def test_what_json_prints_is_documented(project: Path) -> None:
    documented = _documented()
    with annotator.open(project).session("ana", learn=False) as session:
        session.label("dark")
        session.decide({"07.png": "light"})
    p = str(project)
    for name in ("status", "report"):
        assert set(json.loads(_run(name, p, "--json"))) == documented[name]
    assert set(json.loads(_run("next", p, "--json"))) == documented["next"]
    for line in _run("log", p, "--json").splitlines():
        assert set(json.loads(line)) <= documented["log"]
    assert documented["log"] == {*Entry.__slots__}
    assert {key for one in json.loads(_run("doctor", p, "--json")) for key in one} == (
        documented["doctor"]
    )
    receipt = SessionSummary(project=p, annotator="ana", answers=0, seconds=0.0, remaining=0)
    assert set(receipt.as_dict()) == documented["run"]
