"""Models over all images of a project: what their commands have in common."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from annotator.cli.progress_output import narrated, pace, stoppable
from annotator.errors import several
from annotator.items.refs import printable, typed

if TYPE_CHECKING:
    from annotator.detection.detect import Passes
    from annotator.detection.detectors import Detector
    from annotator.detection.results import Results
    from annotator.features.pipeline import Report
    from annotator.project.project import Project

Images = Annotated[Path, typer.Argument(metavar="IMAGES|PROJECT", help="What to look at.")]
Into = Annotated[Path | None, typer.Option(help="Where the boxes of a folder go [IMAGES.boxes].")]
Iou = Annotated[float, typer.Option(min=0, max=1, help="Boxes that overlap more are one object.")]
Tta = Annotated[
    str | None, typer.Option(help="Look once more at changed pictures: flip, min-max, or both.")
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")]
Dtype = Annotated[str, typer.Option(help="auto, fp32, bf16 or fp16.")]
Workers = Annotated[int | None, typer.Option(min=1, help="Threads that decode [one a core].")]
Shown = Annotated[str, typer.Option(help="auto, none or json.", hidden=True)]


def opened_images(
    images: Path, folder: Path | None, left_out: list[str], classes: Sequence[str] = ()
) -> tuple[Project, list[str]]:
    """The project that proposals go to, and all images; `left_out` gets what cannot be listed."""
    from annotator.items.listing import LeftOut
    from annotator.proposals import open_or_make
    from annotator.proposals.images import image_paths

    opened = open_or_make(images, folder, classes)
    unlisted = LeftOut()
    paths = image_paths(opened, unlisted)
    left_out += unlisted.names
    return opened, paths


def run_models(
    opened: Project,
    paths: Sequence[str],
    detector: Detector,
    name: str,
    passes: Passes,
    workers: int | None,
    progress: str,
) -> tuple[Results, Report]:
    """What a detector finds in all images that it has not seen; leaves with 130 if stopped."""
    from annotator.detection.detect import detect as run
    from annotator.detection.results import Results

    described = {**detector.describe(), **passes.describe()}
    results = Results(opened.folder / ".cache" / "detect", described)
    with narrated(progress, name, "images") as report_progress, stoppable() as stop:
        report = run(
            paths, opened.images.resolve(), detector, results, passes,
            max_pixels=opened.settings.max_pixels, workers=workers,
            progress=report_progress, stop=stop,
        )  # fmt: skip
    say(report, name)
    return results, report


def say(report: Report, name: str, what: str = "image") -> None:
    """What one model did; leaves with 130 where it was stopped."""
    from annotator.items.refs import many

    rate = (
        f" ({pace(report.computed / report.seconds)} a second)"
        if report.computed and report.seconds
        else ""
    )
    typer.echo(
        f"{printable(name)}: {many(report.computed, what)} now{rate}, "
        f"{report.done:,} of {report.of:,} have an answer",
        err=True,
    )
    leave_if_stopped(report.complete)


def leave_if_stopped(complete: bool) -> None:
    if not complete:
        typer.echo("stopped; the same command goes on where it was", err=True)
        raise typer.Exit(130)


def told(left_out: Sequence[str]) -> list[str]:
    """What to say of what was left out, each once: nothing where there is nothing."""
    lines = list(dict.fromkeys(left_out))
    if not lines:
        return []
    return [several(lines, f"{len(lines):,} {'is' if len(lines) == 1 else 'are'} left out:")]


def next_step(opened: Project, command: str, nothing: str) -> str:
    """The command to go on with; `nothing` is what to try where the project has no item."""
    from annotator.project.item_pool import load

    if not len(load(opened)):
        return f"there is nothing to label yet: {nothing}"
    return f"next: annotator {command} {typed(opened.folder)}"
