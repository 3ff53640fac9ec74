"""The command features: it computes features, with a bar, lines, or JSON for the app."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from annotator.cli.model_runs import group_reasons
from annotator.cli.progress_output import (
    catch_stop_signals,
    exit_with_parent,
    format_rate,
    open_progress_output,
)
from annotator.cli.project_options import ProjectArgument
from annotator.errors import bullet_list
from annotator.items.refs import make_printable, split_ref

if TYPE_CHECKING:
    from annotator.features.pipeline import ExtractionReport
    from annotator.project.project import ProjectFolder


def features(
    project: ProjectArgument,
    model: Annotated[
        str | None,
        typer.Option(
            envvar="ANNOTATOR_MODEL",
            help="Extractor: classic, dinov2-small, siglip2-base …, a Hugging Face id, or a local "
            "folder.",
        ),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")] = "auto",
    dtype: Annotated[str, typer.Option(help="auto, fp32, bf16 or fp16.")] = "auto",
    batch_size: Annotated[str, typer.Option(help="auto, or a number.")] = "auto",
    workers: Annotated[
        int | None, typer.Option(min=1, help="Threads that decode images. Default: one per core.")
    ] = None,
    context: Annotated[
        float | None,
        typer.Option(
            min=0, max=10, help="Margin around a box, as a share of its larger side. Default: 0."
        ),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="The largest number of items to compute now.")
    ] = None,
    replace: Annotated[
        bool,
        typer.Option("--replace", help="Compute all features anew, in place of those of a model."),
    ] = False,
    own: Annotated[
        Path | None,
        typer.Option("--own", help="Use this .npy, a row for each item, instead of a model."),
    ] = None,
    progress: Annotated[str, typer.Option(help="auto, none or json.", hidden=True)] = "auto",
) -> None:
    """Compute the features that the model learns from. Run it again to resume.

    If features exist, new items get the same kind. Only --replace computes others.

    \b
    annotator features p                          dinov2-small if it is installed, else classic
    annotator features p --model siglip2-base --device cuda --dtype bf16
    annotator features p --model ./my-checkpoint
    annotator features p --own vectors.npy        an array of your own
    """
    if progress == "json":
        exit_with_parent()
    from annotator.features.choice import choose_extractor
    from annotator.features.pipeline import extract_features
    from annotator.images import ImageFolder
    from annotator.project import item_pool
    from annotator.project.project import ProjectFolder

    opened = ProjectFolder.open(project)
    if own is not None:
        _adopt_array(opened, own, replace)
        return
    settings = opened.settings
    size = None if batch_size == "auto" else _parse_workers(batch_size)
    extractor, there = choose_extractor(
        opened.features_folder, opened.folder, asked=model, otherwise=settings.model,
        context=context, replace=replace, device=device, dtype=dtype, batch_size=size,
    )  # fmt: skip
    with open_progress_output(progress, extractor.name) as show, catch_stop_signals() as stop:
        report = extract_features(
            item_pool.load_refs(opened), ImageFolder(opened.images, settings.max_pixels), extractor,
            opened.features_folder, batch_size=size,
            context=settings.feature_context if there is None else there,
            workers=workers, limit=limit, seed=settings.seed,
            progress=show, stop=stop,
        )  # fmt: skip
    _print_report(report, extractor.name)
    _explain_names(opened, report)
    if not report.complete:
        raise typer.Exit(130)


def _explain_names(project: ProjectFolder, report: ExtractionReport) -> None:
    """Say how the model can start from the names of the classes, if it does not."""
    from annotator.features.store import FeatureStore
    from annotator.session.class_text import explain_no_words

    if report.complete and report.done:
        words = explain_no_words(project, FeatureStore.open(project.features_folder))
        if words:
            typer.echo(words, err=True)


def _adopt_array(project: ProjectFolder, array: Path, replace: bool) -> None:
    from annotator.formats.own_features import adopt_own_features
    from annotator.items.refs import plural

    store = adopt_own_features(project, array, replace)
    with_row = sum(ref != "" for ref in store.refs)
    typer.echo(f"{make_printable(array.name)}: features of {plural(with_row, 'item')}", err=True)


def _parse_workers(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise typer.BadParameter(f"{text} is not auto or a number", param_hint="--batch-size")
    return int(text)


def _print_report(report: ExtractionReport, name: str) -> None:
    from annotator.items.refs import plural

    rate = report.computed / report.seconds if report.seconds else 0.0
    typer.echo(
        f"{make_printable(name)}: {report.computed:,} computed ({format_rate(rate)} a second), "
        f"{report.done:,} of {plural(report.total, 'item')} with features",
        err=True,
    )
    if report.broken_count:
        names = [make_printable(broken.ref) for broken in report.broken]
        reasons = [
            broken.reason.rpartition(f"{make_printable(split_ref(broken.ref)[0])}: ")[2]
            for broken in report.broken
        ]
        lines = [f"{name}: {reason}" for name, reason in zip(names, reasons, strict=True)]
        count = plural(report.broken_count, "item")
        heading = f"{count} left out; labelling asks for them at random:"
        typer.echo(bullet_list(group_reasons(lines), heading), err=True)
    if not report.complete:
        typer.echo("Stopped. Run the same command to resume.", err=True)


COMMANDS = {"features": features}
