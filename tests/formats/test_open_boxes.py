"""Images with open boxes are not exported: they would teach a detector background."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from annotator.project.project import ProjectFolder
from tests.cli.command_line import annotator
from tests.formats import made_projects as samples

DETECTION = ("yolo", "voc", "coco", "cvat", "label-studio")
CLOSED = "closed.png"


@pytest.fixture
def made(tmp_path: Path) -> ProjectFolder:
    """One image is answered; one box of each other is open, skipped, or of another annotator."""
    refs = [f"{name}.png#xywh={n},1,5,5" for name in ("closed", "open", "skipped") for n in (1, 9)]
    labels: dict[str, str | None] = {ref: "ok" for ref in refs if ref != refs[3]}
    return samples.project(tmp_path, refs, {**labels, refs[5]: None})


def written(place: Path) -> set[str]:
    """The images that an export names, by their labels if it is a folder."""
    if place.is_dir():
        files = [*place.rglob("labels/**/*.txt"), *place.rglob("Annotations/*.xml")]
        return {file.stem for file in files}
    return set(re.findall(r"(\w+)\.png", place.read_text()))


@pytest.mark.parametrize("name", DETECTION)
def test_an_image_with_an_open_or_skipped_box_is_left_out(
    name: str, made: ProjectFolder, tmp_path: Path
) -> None:
    source = samples.write(made, name, tmp_path / "out")
    assert written(tmp_path / "out") == {"closed"}
    assert (source.open_images, source.written, sum(source.left_out.values())) == (2, 2, 4)
    source = samples.write(made, name, tmp_path / "partial", partial=True)
    assert written(tmp_path / "partial") == {"closed", "open", "skipped"}
    assert source.open_images == 2


def test_the_export_says_so(made: ProjectFolder, tmp_path: Path) -> None:
    command = ("export", made.folder, tmp_path / "out", "--format", "yolo")
    told = annotator(*command).stderr
    assert "2 images with open boxes are left out; --partial writes them" in told
    told = annotator(*command, "--partial", "--overwrite").stderr
    assert "2 images with open boxes written without them" in told


@pytest.mark.parametrize("name", DETECTION)
def test_a_filter_does_not_make_an_image_complete(
    name: str, made: ProjectFolder, tmp_path: Path
) -> None:
    for number, only in enumerate((("labelled",), ("human",), ("labelled", "unflagged"))):
        source = samples.write(made, name, tmp_path / f"{number}", only=only)
        assert written(tmp_path / f"{number}") == {"closed"} and source.open_images == 2


def test_a_choice_of_classes_is_meant(tmp_path: Path) -> None:
    refs = [f"a.png#xywh={n},1,5,5" for n in (1, 9)]
    made = samples.project(tmp_path, refs, dict(zip(refs, ("ok", "defect"), strict=True)))
    source = samples.write(made, "coco", tmp_path / "c.json", classes=("ok",))
    assert (source.written, source.open_images) == (1, 0)


def test_a_rejected_box_is_answered(tmp_path: Path) -> None:
    refs = [f"{name}.png#xywh={n},1,5,5" for name in "ab" for n in (1, 9)]
    labels = dict(zip(refs, ("yes", "no", "yes"), strict=False))
    made = samples.project(tmp_path, refs, labels, classes=["yes", "no"])
    lines = "".join(f'"{ref}",0.9,2,cat,m,\n' for ref in refs)
    (made.folder / "proposals.csv").write_text(f"ref,score,votes,name,model,extra\n{lines}")
    assert samples.write(made, "yolo", tmp_path / "y").open_images == 1
    assert written(tmp_path / "y") == {"a"}
    source = samples.write(made, "yolo", tmp_path / "all", unreviewed=True)
    assert written(tmp_path / "all") == {"a", "b"} and source.open_images == 0


def test_a_task_that_nobody_has_begun_stays_a_task(tmp_path: Path) -> None:
    refs = ["a.png#xywh=1,1,5,5", "b.png#xywh=1,1,5,5"]
    made = samples.project(tmp_path, refs, {refs[1]: None})
    samples.write(made, "label-studio", tmp_path / "l.json")
    tasks = json.loads((tmp_path / "l.json").read_text())
    assert [task["annotations"] != [] for task in tasks] == [False, True]
    assert tasks[1]["annotations"][0]["was_cancelled"]
