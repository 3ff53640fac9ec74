"""log: every row of what annotators did."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from annotator.cli.project_options import ProjectArgument

if TYPE_CHECKING:
    from annotator.log.entries import Entry
    from annotator.log.store import SqliteStore

_POLL_SECONDS = 0.5  # seconds between looks for rows of others


def log(
    project: ProjectArgument,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    last: Annotated[int | None, typer.Option("-n", "--last", min=1, help="Only so many.")] = None,
    follow: Annotated[
        bool, typer.Option("-f", "--follow", help="Go on with each new row, until Ctrl+C.")
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
    from annotator.report import format_entry

    for entry in entries:
        text = (
            json.dumps(entry_as_dict(entry), ensure_ascii=False) if as_json else format_entry(entry)
        )
        typer.echo(text)
    sys.stdout.flush()  # whoever reads a pipe sees it now


COMMANDS = {"log": log}
