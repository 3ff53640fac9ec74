"""The commands that read a project and change nothing: status, predict, log, report."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from annotator.cli.project_options import (
    JsonOption,
    ProjectArgument,
    format_output_name,
    print_json,
)
from annotator.cli.search import OnlyOption, choose_items
from annotator.items.json_text import to_json_text
from annotator.items.refs import shell_quoted

if TYPE_CHECKING:
    from annotator.log.entries import Entry
    from annotator.log.store.protocol import ProjectStore
    from annotator.project.project import ProjectFolder
    from annotator.report.figures import ReportPart


def status(project: ProjectArgument, as_json: JsonOption = False) -> None:
    """Show the progress of a project: items, labels per class and annotator, model, features.

    \b
    annotator status p
    annotator status p --json | jq .remaining
    """
    from annotator.project.project import ProjectFolder
    from annotator.report.status import format_status
    from annotator.report.status import project_status as figures

    found = figures(ProjectFolder.open(project))
    if as_json:
        print_json(found)
    else:
        typer.echo(format_status(found))


def predict(
    project: ProjectArgument,
    file: Annotated[Path, typer.Argument(help="The output file; - for standard output.")] = Path(
        "-"
    ),
    overwrite: Annotated[bool, typer.Option(help="Replace the file if it is there.")] = False,
) -> None:
    """Write the model's class and probability for every unlabelled item.

    \b
    annotator predict p predictions.csv
    """
    from annotator.formats.output_file import open_output
    from annotator.items.refs import plural
    from annotator.log.store.open import load_log_state
    from annotator.project.project import ProjectFolder
    from annotator.session.predict import predictions_csv

    opened = ProjectFolder.open(project)
    state = load_log_state(opened)
    count = -1  # do not count the header
    with open_output(file, False, overwrite) as place, place.open("wb") as out:
        for line in predictions_csv(opened, state):
            out.write(line)
            count += 1
    where = format_output_name(file)
    typer.echo(f"{plural(count, 'prediction')} written to {where}", err=True)


_POLL_SECONDS = 0.5
"""The time between two checks for new rows of the log."""


def log(
    project: ProjectArgument,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object per line.")
    ] = False,
    last: Annotated[
        int | None, typer.Option("-n", "--last", min=1, help="Print only this number of last rows.")
    ] = None,
    follow: Annotated[
        bool, typer.Option("-f", "--follow", help="Print new rows as they come, until Ctrl+C.")
    ] = False,
) -> None:
    """Print every label, skip, undo, flag and note, oldest first.

    \b
    annotator log p --last 20
    annotator log p --follow --json | my-monitor
    """
    from annotator.log.store.open import open_store
    from annotator.project.project import ProjectFolder

    opened = ProjectFolder.open(project)
    if not opened.labels_file.exists() and not follow:
        return
    store = open_store(opened)
    entries = list(store.entries())
    _print_entries(entries[-last:] if last else entries, as_json)
    if follow:
        _follow_log(store, entries[-1].seq if entries else 0, as_json)


def _follow_log(store: ProjectStore, seq: int, as_json: bool) -> None:
    while True:
        if store.changed():
            entries = list(store.entries(after=seq))
            seq = entries[-1].seq if entries else seq
            _print_entries(entries, as_json)
        time.sleep(_POLL_SECONDS)


def _print_entries(entries: Iterable[Entry], as_json: bool) -> None:
    import sys

    from annotator.log.entries import entry_as_dict
    from annotator.report.status import format_entry

    for entry in entries:
        text = to_json_text(entry_as_dict(entry)) if as_json else format_entry(entry)
        typer.echo(text)
    sys.stdout.flush()  # so that the reader of a pipe sees it at once


def report(
    project: ProjectArgument,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="The output file; - for standard output.")
    ] = Path("report.html"),
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the figures as JSON; write no page.")
    ] = False,
    only: OnlyOption = None,
    overwrite: Annotated[bool, typer.Option(help="Replace the page if it is there.")] = False,
) -> None:
    """Write a report of a project as one HTML page: error, pace, classes, items worth a look.

    \b
    annotator report p --out report.html
    annotator report p --only @night
    annotator report p --json
    """
    from annotator.formats.output_file import open_output
    from annotator.project.project import ProjectFolder
    from annotator.report.elements import Thumbnails
    from annotator.report.figures import collect_figures
    from annotator.report.map_pictures import draw_map_pictures
    from annotator.report.page import render_page

    opened = ProjectFolder.open(project)
    part = _choose_part(opened, only)
    if as_json:
        print_json(collect_figures(opened, part=part))
        return
    with open_output(out, False, overwrite) as place:
        found, maps = collect_figures(opened, part=part), draw_map_pictures(opened)
        place.write_bytes(render_page(found, Thumbnails(opened), maps))
    if str(out) != "-":
        where = shell_quoted(out)
        typer.echo(f"Wrote {where}. Over ssh, fetch it: scp HOST:{where} .", err=True)


def _choose_part(project: ProjectFolder, query: str | None) -> ReportPart | None:
    """Return the items that a report is limited to; None for all."""
    if query is None:
        return None
    import numpy as np

    from annotator.project.item_pool import load_refs
    from annotator.report.figures import ReportPart

    mask, refs = choose_items(project, query), load_refs(project)
    return ReportPart(query, mask, frozenset(refs[row] for row in np.flatnonzero(mask).tolist()))


COMMANDS: dict[str, Callable[..., None]] = {
    "predict": predict,
    "status": status,
    "log": log,
    "report": report,
}
