"""The output of models that run over all images of a project: progress, report, next command."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from annotator.cli.progress_output import catch_stop_signals, format_rate, open_progress_output
from annotator.errors import bullet_list
from annotator.items.refs import make_printable, shell_quoted

if TYPE_CHECKING:
    from annotator.features.pipeline import ExtractionReport
    from annotator.project.project import ProjectFolder
    from annotator.proposals.runs import RunOutput, RunStep

_MOST_NAMED = 5
"""Most files that are named for one reason."""


@contextmanager
def open_run_output(progress: str) -> Iterator[RunOutput]:
    """Yield the output of a run on this terminal; leave with 130 if the run is stopped.

    `progress` is auto, none or json.
    """
    from annotator.proposals.runs import RunOutput, RunStep, RunStopped

    @contextmanager
    def step(name: str, unit: str) -> Iterator[RunStep]:
        with open_progress_output(progress, name, unit) as show, catch_stop_signals() as stop:
            yield RunStep(show, stop)

    try:
        yield RunOutput(step, print_report, print_message)
    except RunStopped:
        exit_if_stopped(complete=False)


def print_message(text: str) -> None:
    """Print a remark on standard error."""
    typer.echo(text, err=True)


def print_report(report: ExtractionReport, name: str, unit: str = "image") -> None:
    """Print the number of answers of a model, and its rate."""
    from annotator.items.refs import plural

    rate = (
        f" ({format_rate(report.computed / report.seconds)} a second)"
        if report.computed and report.seconds
        else ""
    )
    print_message(
        f"{make_printable(name)}: {plural(report.computed, unit)} now{rate}, "
        f"{report.done:,} of {report.total:,} have an answer"
    )


def exit_if_stopped(complete: bool) -> None:
    """Leave with 130 after a run that is not complete."""
    if not complete:
        print_message("Stopped. Run the same command to resume.")
        raise typer.Exit(130)


def format_left_out(left_out: Sequence[str]) -> list[str]:
    """Return a list of what was left out; [] if there is nothing."""
    lines = list(dict.fromkeys(left_out))
    return [bullet_list(group_reasons(lines), f"Left out: {len(lines):,}")] if lines else []


def group_reasons(lines: Sequence[str]) -> list[str]:
    """Return lines of `name: reason` with each reason once, after the names that share it."""
    names_of: dict[str, list[str]] = {}
    for line in lines:
        name, _, reason = line.partition(": ")
        names_of.setdefault(reason or line, []).append(name)
    grouped = []
    for reason, names in names_of.items():
        more = f" and {len(names) - _MOST_NAMED:,} more" if len(names) > _MOST_NAMED else ""
        named = f"{', '.join(names[:_MOST_NAMED])}{more}: {reason}"
        grouped.append(named if names != [reason] else reason)
    return grouped


def describe_replaced(replaced: int, kept: int) -> list[str]:
    """Return a line about the earlier proposals that a run replaced or kept; [] without any."""
    if not replaced and not kept:
        return []
    return [
        f"earlier proposals of these models: {replaced:,} without a label replaced, {kept:,} kept "
        "because their items were judged"
    ]


def suggest_next_command(project: ProjectFolder, command: str, advice: str) -> str:
    """Return the command to run next, or `advice` for a project without items."""
    from annotator.project.item_pool import load_refs

    if not len(load_refs(project)):
        return f"There is nothing to label yet. {advice}"
    return f"next: annotator {command} {shell_quoted(project.folder)}"
