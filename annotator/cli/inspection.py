"""The commands that read a project and change nothing: status, predict, log, search, report."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from annotator.cli.project_options import (
    JsonOption,
    ProjectArgument,
    format_output_name,
    print_json,
)
from annotator.items.json_text import to_json_text
from annotator.items.refs import make_printable, shell_quoted

if TYPE_CHECKING:
    from annotator.items.ref_table import RefTable
    from annotator.log.entries import Entry, LogState
    from annotator.log.store import SqliteStore
    from annotator.project.project import ProjectFolder
    from annotator.session.pool_features import PoolFeatures


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
    from annotator.log.store import load_log_state
    from annotator.project.project import ProjectFolder
    from annotator.session.predict import predictions_csv

    opened = ProjectFolder.open(project)
    state = load_log_state(opened.labels_file)
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
    from annotator.log.store import SqliteStore
    from annotator.project.project import ProjectFolder

    opened = ProjectFolder.open(project)
    if not opened.labels_file.exists() and not follow:
        return
    store = SqliteStore(opened.labels_file)
    entries = list(store.entries())
    _print_entries(entries[-last:] if last else entries, as_json)
    if follow:
        _follow_log(store, entries[-1].seq if entries else 0, as_json)


def _follow_log(store: SqliteStore, seq: int, as_json: bool) -> None:
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


def search(
    project: ProjectArgument,
    query: Annotated[
        list[str], typer.Argument(help="Terms separated by spaces; an item must match all of them.")
    ],
    as_json: JsonOption = False,
    most: Annotated[
        int, typer.Option("-n", "--most", min=1, help="The largest number of items to print.")
    ] = 100,
) -> None:
    """Print the refs of the items that match a query; like: and text: put the best first.

    \b
    annotator search p _top.jpg                  part of a file name, in any case
    annotator search p 'cam3_*.png' open         a glob; open, labelled, skipped or flagged
    annotator search p 'label:crack -by:ana'     cracks not labelled by ana
    annotator search p like:IMG_0042.jpg -n 20   items similar to an item
    annotator search p 'text:"rusty edge"'       a description, with features of SigLIP2
    """
    from annotator.curate.search import Searcher
    from annotator.log.store import load_log_state
    from annotator.project.item_pool import load_refs
    from annotator.project.project import ProjectFolder

    opened = ProjectFolder.open(project)
    refs = load_refs(opened)
    state = load_log_state(opened.labels_file)
    terms = " ".join(query)
    searcher = Searcher(refs, _load_features(opened, refs, terms), folder=str(project))
    found = searcher.find(terms, state, limit=most, classes=opened.settings.names)
    scores = found.scores.tolist() if found.scores is not None else [None] * len(found.rows)
    rows = [
        _result_dict(refs[row], state, score) for row, score in zip(found.rows, scores, strict=True)
    ]
    if as_json:
        answer = {"query": terms, "total": found.total, "items": rows}
        print_json(answer)
        return
    for row in rows:
        typer.echo(make_printable(row["ref"]))
    if found.total > len(rows):
        typer.echo(f"{len(rows):,} of {found.total:,}; -n {found.total} prints all", err=True)
    elif not rows:
        typer.echo(f"No item matches {make_printable(terms)!r}.", err=True)


def _load_features(project: ProjectFolder, refs: RefTable, query: str) -> PoolFeatures | None:
    """Return the features if the query needs them, else None."""
    from annotator.curate.search import parse_query
    from annotator.features.store import FeatureStore
    from annotator.session.pool_features import PoolFeatures

    if not any(term.kind in ("like", "text") for term in parse_query(query)):
        return None
    store = FeatureStore.open(project.features_folder)
    return PoolFeatures(store, refs, store.available())


def _result_dict(ref: str, state: LogState, score: float | None) -> dict[str, Any]:
    decision = state.decision(ref)
    found = {
        "ref": ref,
        "label": state.label(ref),
        "state": "open" if decision is None else "labelled" if decision.label else "skipped",
        "flagged": ref in state.flagged,
    }
    return found if score is None else {**found, "score": round(score, 4)}


def report(
    project: ProjectArgument,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="The output file; - for standard output.")
    ] = Path("report.html"),
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the figures as JSON; write no page.")
    ] = False,
    overwrite: Annotated[bool, typer.Option(help="Replace the page if it is there.")] = False,
) -> None:
    """Write a report of a project as one HTML page: error, pace, classes, items worth a look.

    \b
    annotator report p --out report.html
    annotator report p --json
    """
    from annotator.formats.output_file import open_output
    from annotator.project.project import ProjectFolder
    from annotator.report.elements import Thumbnails
    from annotator.report.figures import collect_figures
    from annotator.report.page import render_page

    opened = ProjectFolder.open(project)
    if as_json:
        print_json(collect_figures(opened))
        return
    with open_output(out, False, overwrite) as place:
        place.write_bytes(render_page(collect_figures(opened), Thumbnails(opened)))
    if str(out) != "-":
        where = shell_quoted(out)
        typer.echo(f"Wrote {where}. Over ssh, fetch it: scp HOST:{where} .", err=True)


COMMANDS: dict[str, Callable[..., None]] = {
    "predict": predict,
    "status": status,
    "log": log,
    "search": search,
    "report": report,
}
