"""features: computing them, with a bar, lines, or JSON for the app."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from annotator.errors import several
from annotator.refs import printable

if TYPE_CHECKING:
    from annotator.features.pipeline import Progress, Report

_LINE_EVERY = 5.0
_JSON_EVERY = 0.25


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
    from annotator import pool
    from annotator.features.models import load_extractor
    from annotator.features.pipeline import extract
    from annotator.images import Folder
    from annotator.project import Project

    opened = Project.open(project)
    settings = opened.settings
    size = None if batch_size == "auto" else _number(batch_size)
    name = model or settings.model
    extractor = load_extractor(name, device=device, dtype=dtype, batch_size=size)
    with _narrated(progress, extractor.name) as report_progress, _stoppable() as stop:
        report = extract(
            pool.load(opened), Folder(opened.images, settings.max_pixels), extractor,
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


@contextmanager
def _stoppable() -> Iterator[Callable[[], bool]]:
    """A function that says whether to stop: after Ctrl+C or a TERM, or when the app has died."""
    stopped: list[int] = []
    parent = os.getppid()
    before = {
        number: signal.signal(number, lambda number, _: stopped.append(number))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield lambda: bool(stopped) or os.getppid() != parent
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _narrated(how: str, name: str) -> Iterator[Callable[[Progress], None]]:
    if how == "json":
        yield _every(_JSON_EVERY, _print_json)
    elif how == "none":
        yield lambda _: None
    elif sys.stderr.isatty():
        with _bar(name) as update:
            yield update
    else:
        yield _every(_LINE_EVERY, _print_line)


def _every(seconds: float, show: Callable[[Progress], None]) -> Callable[[Progress], None]:
    """`show` at most once in so many seconds, and always at the end."""
    last: list[Any] = [0.0, None]

    def update(progress: Progress) -> None:
        now, count = time.monotonic(), (progress.done, progress.broken)
        ended = sum(count) >= progress.of and count != last[1]
        if now - last[0] >= seconds or ended:
            last[:] = now, count
            show(progress)

    return update


def _print_json(progress: Progress) -> None:
    typer.echo(
        json.dumps(
            {
                "done": progress.done,
                "of": progress.of,
                "broken": progress.broken,
                "rate": progress.rate,
                "left_s": progress.left_s,
            }
        )  # fmt: skip
    )


def _print_line(progress: Progress) -> None:
    left = "" if progress.left_s is None else f", {progress.left_s:.0f} s left"
    text = f"{progress.done:,} of {progress.of:,} items, {progress.rate:.0f} a second{left}"
    typer.echo(text, err=True)


@contextmanager
def _bar(name: str) -> Iterator[Callable[[Progress], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = [
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
        TextColumn("{task.fields[rate]:.0f}/s"), TimeRemainingColumn(),
    ]  # fmt: skip
    with Bar(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(printable(name), total=None, rate=0.0)

        def update(progress: Progress) -> None:
            done = progress.done + progress.broken
            bar.update(task, total=progress.of, completed=done, rate=progress.rate)

        yield update


def _say(report: Report, name: str) -> None:
    rate = report.computed / report.seconds if report.seconds else 0.0
    typer.echo(
        f"{printable(name)}: {report.computed:,} computed ({rate:.0f} a second), "
        f"{report.done:,} of {report.of:,} items have features",
        err=True,
    )
    if report.broken_count:
        lines = [f"{printable(broken.ref)}: {broken.reason}" for broken in report.broken]
        heading = (
            f"{report.broken_count:,} items are left out; they come at random while labelling:"
        )
        typer.echo(several(lines, heading), err=True)
    if not report.complete:
        typer.echo("stopped; the same command goes on where it was", err=True)


COMMANDS = {"features": features}
