"""One detector over all images of a project, from the command line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from annotator.cli.narration import narrated, stoppable
from annotator.refs import printable

if TYPE_CHECKING:
    from annotator.features.pipeline import Report
    from annotator.project import Project
    from annotator.propose.detect import Passes
    from annotator.propose.detectors import Detector
    from annotator.propose.results import Results


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
    from annotator.propose.detect import detect as run
    from annotator.propose.results import Results

    described = {**detector.describe(), **passes.describe()}
    results = Results(opened.folder / ".cache" / "detect", described)
    with narrated(progress, name) as report_progress, stoppable() as stop:
        report = run(
            paths, opened.images.resolve(), detector, results, passes,
            max_pixels=opened.settings.max_pixels, workers=workers,
            progress=report_progress, stop=stop,
        )  # fmt: skip
    say(report, name)
    return results, report


def say(report: Report, name: str, what: str = "images") -> None:
    """What one model did; leaves with 130 where it was stopped."""
    rate = report.computed / report.seconds if report.seconds else 0.0
    typer.echo(
        f"{printable(name)}: {report.computed:,} {what} now ({rate:.1f} a second), "
        f"{report.done:,} of {report.of:,} have an answer",
        err=True,
    )
    if not report.complete:
        typer.echo("stopped; the same command goes on where it was", err=True)
        raise typer.Exit(130)
