"""Model runs over a project: their output, their stop, and the point where they resume."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import typer
from PIL import Image

from annotator.cli.model_runs import open_run_output
from annotator.detection.detections import Detections
from annotator.detection.detectors import PreparedImage
from annotator.detection.passes import DetectionPasses
from annotator.features.pipeline import ExtractionProgress, ExtractionReport
from annotator.proposals import open_proposal_project
from annotator.proposals.runs import (
    SILENT,
    RunOutput,
    RunStep,
    RunStopped,
    UnreadImages,
    run_detector,
)


class Blind:
    """A detector that finds nothing."""

    name, classes, batch_size, threads = "blind", ("thing",), 1, 1
    flip_indices: tuple[int, ...] = ()

    def __init__(self) -> None:
        self.asked = 0

    def describe(self) -> dict[str, object]:
        return {"model": self.name}

    def shrink(self, size: tuple[int, int]) -> float:
        return 1.0

    def prepare(self, picture: Image.Image, size: tuple[int, int]) -> PreparedImage:
        return PreparedImage({"pixels": np.asarray(picture)}, size)

    def detect(self, batch: Sequence[PreparedImage]) -> list[Detections | str]:
        self.asked += len(batch)
        return [Detections.empty() for _ in batch]


PATHS = ["a.png", "b.png", "c.png"]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    (tmp_path / "photos").mkdir()
    for name in PATHS:
        Image.new("RGB", (40, 30)).save(tmp_path / "photos" / name)
    return tmp_path / "photos"


def _stopping(after: int, seen: list[object]) -> RunOutput:
    """An output that stops each step after some images, and notes what it gets."""

    @contextmanager
    def step(name: str, unit: str) -> Iterator[RunStep]:
        done: list[ExtractionProgress] = []
        seen.append((name, unit))
        stop: Callable[[], bool] = lambda: bool(done) and done[-1].done >= after  # noqa: E731
        yield RunStep(done.append, stop)

    def report(report: ExtractionReport, name: str, unit: str) -> None:
        seen.append((name, unit, report.complete))

    return RunOutput(step, report)


def test_a_stopped_run_is_reported_and_the_next_one_resumes(photos: Path) -> None:
    project, detector, seen = open_proposal_project(photos), Blind(), list[object]()
    with pytest.raises(RunStopped):
        run_detector(project, PATHS, detector, "blind", DetectionPasses(), _stopping(1, seen))
    assert seen == [("blind", "images"), ("blind", "image", False)]
    again = Blind()
    results, report = run_detector(project, PATHS, again, "blind", DetectionPasses(), SILENT)
    assert report.complete and len(results) == 3
    assert 0 < again.asked == report.computed < 3


def test_a_stopped_command_says_how_to_resume_and_leaves_with_130(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(typer.Exit) as left, open_run_output("none"):
        raise RunStopped
    assert left.value.exit_code == 130
    assert capsys.readouterr().err == "Stopped. Run the same command to resume.\n"


def test_an_unread_image_names_the_models_unless_all_are_meant(photos: Path) -> None:
    (photos / "a.png").write_bytes(b"no image")
    project, unread = open_proposal_project(photos), UnreadImages(2)
    _, report = run_detector(project, PATHS, Blind(), "first", DetectionPasses(), SILENT)
    unread.add(report, "first")
    (line,) = unread.lines()
    assert line.startswith("a.png: ") and line.endswith(" (for first)")
    unread.add(report, "second")
    assert unread.lines() == [line.removesuffix(" (for first)")]
