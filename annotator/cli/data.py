"""status, predict: what can be read out of a project."""

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


COMMANDS = {"predict": predict, "status": status}
