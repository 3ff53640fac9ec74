"""features: computing them, with a bar, lines, or JSON for the app."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from annotator.cli.progress_output import end_with_the_app, narrated, pace, stoppable
from annotator.errors import several
from annotator.items.refs import printable

if TYPE_CHECKING:
    from annotator.features.pipeline import Report


def features(
    project: Annotated[Path, typer.Argument(metavar="PROJECT", help="A project folder.")],
    model: Annotated[
        str | None,
        typer.Option(
            envvar="ANNOTATOR_MODEL",
            help="classic, dinov2-small, siglip2-base …, a Hugging Face id, or a local folder.",
        ),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")] = "auto",
    dtype: Annotated[str, typer.Option(help="auto, fp32, bf16 or fp16.")] = "auto",
    batch_size: Annotated[str, typer.Option(help="auto, or a number.")] = "auto",
    workers: Annotated[
        int | None, typer.Option(min=1, help="Threads that decode [one a core].")
    ] = None,
    context: Annotated[
        float | None,
        typer.Option(
            min=0, max=10, help="Picture around a box, as a share of its larger side [0]."
        ),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only so many items now.")] = None,
    progress: Annotated[str, typer.Option(help="auto, none or json.", hidden=True)] = "auto",
) -> None:
    """Compute the features that the model learns from; goes on where it was stopped.

    \b
    annotator features p                          dinov2-small where it is at hand, else classic
    annotator features p --model siglip2-base --device cuda --dtype bf16
    annotator features p --model ./my-checkpoint
    """
    if progress == "json":
        end_with_the_app()
    from annotator.features.models import load_extractor
    from annotator.features.pipeline import extract
    from annotator.images import Folder
    from annotator.project import item_pool
    from annotator.project.project import Project

    opened = Project.open(project)
    settings = opened.settings
    size = None if batch_size == "auto" else _number(batch_size)
    name = model or settings.model
    extractor = load_extractor(name, device=device, dtype=dtype, batch_size=size)
    with narrated(progress, extractor.name) as report_progress, stoppable() as stop:
        report = extract(
            item_pool.load(opened), Folder(opened.images, settings.max_pixels), extractor,
            opened.features_folder, batch_size=size,
            context=settings.feature_context if context is None else context,
            workers=workers, limit=limit, seed=settings.seed,
            progress=report_progress, stop=stop,
        )  # fmt: skip
    _say(report, extractor.name)
    if not report.complete:
        raise typer.Exit(130)


def _number(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise typer.BadParameter(f"{text} is neither auto nor a number", param_hint="--batch-size")
    return int(text)


def _say(report: Report, name: str) -> None:
    from annotator.items.refs import many

    rate = report.computed / report.seconds if report.seconds else 0.0
    typer.echo(
        f"{printable(name)}: {report.computed:,} computed ({pace(rate)} a second), "
        f"{report.done:,} of {many(report.of, 'item')} with features",
        err=True,
    )
    if report.broken_count:
        lines = [f"{printable(broken.ref)}: {broken.reason}" for broken in report.broken]
        count = many(report.broken_count, "item")
        heading = f"left out, and asked at random while labelling: {count}"
        typer.echo(several(lines, heading), err=True)
    if not report.complete:
        typer.echo("stopped; the same command goes on where it was", err=True)


COMMANDS = {"features": features}
