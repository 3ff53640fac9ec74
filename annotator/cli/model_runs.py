"""Models over all images of a project: what their commands have in common."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from annotator.cli.progress_output import catch_stop_signals, format_rate, open_progress_output
from annotator.errors import bullet_list
from annotator.items.refs import make_printable, shell_quoted

if TYPE_CHECKING:
    from annotator.detection.detectors import Detector
    from annotator.detection.passes import DetectionPasses
    from annotator.detection.results import DetectionCache
    from annotator.features.pipeline import ExtractionReport
    from annotator.project.project import ProjectFolder

ImagesArgument = Annotated[Path, typer.Argument(metavar="IMAGES|PROJECT", help="What to look at.")]
ProjectOption = Annotated[
    Path | None, typer.Option(help="Where the boxes of a folder go [IMAGES.boxes].")
]
IouOption = Annotated[
    float, typer.Option(min=0, max=1, help="Boxes that overlap more are one object.")
]
TtaOption = Annotated[
    str | None, typer.Option(help="Look once more at changed pictures: flip, min-max, or both.")
]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")]
DtypeOption = Annotated[str, typer.Option(help="auto, fp32, bf16 or fp16.")]
WorkersOption = Annotated[int | None, typer.Option(min=1, help="Threads that decode [one a core].")]
ProgressOption = Annotated[str, typer.Option(help="auto, none or json.", hidden=True)]


def open_image_project(
    images: Path, folder: Path | None, left_out: list[str], classes: Sequence[str] = ()
) -> tuple[ProjectFolder, list[str]]:
    """The project that proposals go to, and all images; `left_out` gets what cannot be listed."""
    from annotator.items.listing import SkippedFiles
    from annotator.proposals import open_proposal_project
    from annotator.proposals.opening import list_image_paths

    opened = open_proposal_project(images, folder, classes)
    unlisted = SkippedFiles()
    paths = list_image_paths(opened, unlisted)
    left_out += unlisted.names
    return opened, paths


def run_detector(
    opened: ProjectFolder,
    paths: Sequence[str],
    detector: Detector,
    name: str,
    passes: DetectionPasses,
    workers: int | None,
    progress: str,
) -> tuple[DetectionCache, ExtractionReport]:
    """What a detector finds in all images that it has not seen; leaves with 130 if stopped."""
    from annotator.detection.detect import detect_images as run
    from annotator.detection.results import DetectionCache

    described = {**detector.describe(), **passes.describe()}
    results = DetectionCache(opened.folder / ".cache" / "detect", described)
    with (
        open_progress_output(progress, name, "images") as report_progress,
        catch_stop_signals() as stop,
    ):
        report = run(
            paths, opened.images.resolve(), detector, results, passes,
            max_pixels=opened.settings.max_pixels, workers=workers,
            progress=report_progress, stop=stop,
        )  # fmt: skip
    print_report(report, name)
    return results, report


def print_report(report: ExtractionReport, name: str, unit: str = "image") -> None:
    """What one model did; leaves with 130 where it was stopped."""
    from annotator.items.refs import plural

    rate = (
        f" ({format_rate(report.computed / report.seconds)} a second)"
        if report.computed and report.seconds
        else ""
    )
    typer.echo(
        f"{make_printable(name)}: {plural(report.computed, unit)} now{rate}, "
        f"{report.done:,} of {report.of:,} have an answer",
        err=True,
    )
    exit_if_stopped(report.complete)


def exit_if_stopped(complete: bool) -> None:
    if not complete:
        typer.echo("stopped; the same command goes on where it was", err=True)
        raise typer.Exit(130)


def format_left_out(left_out: Sequence[str]) -> list[str]:
    """What to say of what was left out, each once: nothing where there is nothing."""
    lines = list(dict.fromkeys(left_out))
    if not lines:
        return []
    return [bullet_list(lines, f"{len(lines):,} {'is' if len(lines) == 1 else 'are'} left out:")]


def suggest_next_command(opened: ProjectFolder, command: str, nothing: str) -> str:
    """The command to go on with; `nothing` is what to try where the project has no item."""
    from annotator.project.item_pool import load_refs

    if not len(load_refs(opened)):
        return f"there is nothing to label yet: {nothing}"
    return f"next: annotator {command} {shell_quoted(opened.folder)}"
