"""status, export, import, predict: what goes in and out of a project."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from annotator.errors import ProjectError
from annotator.refs import printable

ProjectPath = Annotated[Path, typer.Argument(metavar="PROJECT", help="A project folder.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def status(project: ProjectPath, as_json: Json = False) -> None:
    """Say how far a project is: items, labels per class, who labelled, model and features."""
    from annotator.project import Project
    from annotator.report import as_text
    from annotator.report import status as figures

    found = figures(Project.open(project))
    typer.echo(json.dumps(found, ensure_ascii=False, indent=1) if as_json else as_text(found))


def export(
    project: ProjectPath,
    file: Annotated[Path, typer.Argument(help="Where to; - for standard output.")],
    format_: Annotated[str, typer.Option("--format", help="csv or list.")] = "csv",
    class_: Annotated[
        str | None, typer.Option("--class", help="For a list: only items of this class.")
    ] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace the file if it is there.")] = False,
) -> None:
    """Write the labels.

    \b
    csv   your own table back: the same columns, other columns kept, in the same order
    list  one path a line (with top left bottom right for a box) of the items labelled
    """
    from annotator import pool
    from annotator.formats import csv as csv_format
    from annotator.formats import lists
    from annotator.log import replay
    from annotator.project import Project
    from annotator.store import SqliteStore

    opened = Project.open(project)
    if class_ is not None and format_ != "list":
        raise typer.BadParameter("goes with --format list", param_hint="--class")
    state = replay(SqliteStore(opened.labels_file).entries())
    if class_ is not None and class_ not in {*opened.settings.names, *state.counts}:
        names = ", ".join(opened.settings.names)
        raise ProjectError(printable(f"{class_!r} is not a class; the classes are {names}"))
    if format_ == "csv":
        pool.load(opened)  # lists the images first, where no session has yet
        chunks = csv_format.export(opened, state)
    elif format_ == "list":
        chunks = lists.export(pool.load(opened), state, class_)
    else:
        raise typer.BadParameter(f"{format_} is neither csv nor list", param_hint="--format")
    _write(file, chunks, overwrite)


def _write(file: Path, chunks: Iterable[bytes], overwrite: bool) -> None:
    from annotator.project import write_atomically

    if str(file) == "-":
        for chunk in chunks:
            sys.stdout.buffer.write(chunk)
        sys.stdout.buffer.flush()
        return
    if file.exists() and not overwrite:
        raise ProjectError(
            f"{printable(str(file))} is there already; give --overwrite to replace it"
        )
    try:
        write_atomically(file, b"".join(chunks))
    except OSError as error:
        raise ProjectError(f"{printable(str(file))} cannot be written: {error.strerror}") from error


def import_(
    project: ProjectPath,
    file: Annotated[Path, typer.Argument(help="A table with labels, or a list of paths.")],
    format_: Annotated[str, typer.Option("--format", help="csv or list.")] = "csv",
    class_: Annotated[
        str | None, typer.Option("--class", help="For a list: the class of every item in it.")
    ] = None,
    bbox_order: Annotated[
        str | None, typer.Option(help="How the bbox column is written [as in the project].")
    ] = None,
) -> None:
    """Read labels into the log. Any fault is named, with its line, and then nothing is written.

    \b
    annotator import p labels.csv
    annotator import p bad.txt --format list --class defect
    """
    from annotator import pool
    from annotator.formats import csv as csv_format
    from annotator.formats import lists
    from annotator.log import replay
    from annotator.project import Project
    from annotator.store import SqliteStore

    opened = Project.open(project)
    store = SqliteStore(opened.labels_file)
    refs, state = pool.load(opened), replay(store.entries())
    if format_ == "csv":
        order = bbox_order or opened.settings.box_order
        count = csv_format.import_labels(opened, store, state, refs, file, order)
    elif format_ == "list":
        if class_ is None:
            raise typer.BadParameter("a list needs --class NAME", param_hint="--class")
        count = lists.import_labels(opened, store, state, refs, file, class_)
    else:
        raise typer.BadParameter(f"{format_} is neither csv nor list", param_hint="--format")
    typer.echo(f"{count} labels imported", err=True)


def predict(
    project: ProjectPath,
    file: Annotated[Path, typer.Argument(help="Where to; - for standard output.")] = Path("-"),
    overwrite: Annotated[bool, typer.Option(help="Replace the file if it is there.")] = False,
) -> None:
    """Write the model's class and probability for every item that nobody has labelled.

    \b
    annotator predict p predictions.csv
    """
    from annotator import predict as prediction
    from annotator.log import replay
    from annotator.project import Project
    from annotator.store import SqliteStore

    opened = Project.open(project)
    state = replay(SqliteStore(opened.labels_file).entries())
    _write(file, prediction.as_csv(opened, state), overwrite)


COMMANDS = {"predict": predict, "status": status, "export": export, "import": import_}
