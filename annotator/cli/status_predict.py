"""status, predict: what can be read out of a project."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from annotator.cli.project_options import JsonOption, ProjectArgument
from annotator.items.refs import make_printable


def status(project: ProjectArgument, as_json: JsonOption = False) -> None:
    """Say how far a project is: items, labels per class, who labelled, model and features.

    \b
    annotator status p
    annotator status p --json | jq .remaining
    """
    from annotator.project.project import ProjectFolder
    from annotator.report import format_status
    from annotator.report import project_status as figures

    found = figures(ProjectFolder.open(project))
    typer.echo(json.dumps(found, ensure_ascii=False, indent=1) if as_json else format_status(found))


def predict(
    project: ProjectArgument,
    file: Annotated[Path, typer.Argument(help="Where to; - for standard output.")] = Path("-"),
    overwrite: Annotated[bool, typer.Option(help="Replace the file if it is there.")] = False,
) -> None:
    """Write the model's class and probability for every item that nobody has labelled.

    \b
    annotator predict p predictions.csv
    """
    from annotator.formats.output_file import open_output
    from annotator.items.refs import plural
    from annotator.log.entries import replay
    from annotator.log.store import SqliteStore
    from annotator.project.project import ProjectFolder
    from annotator.session import predict as prediction

    opened = ProjectFolder.open(project)
    state = replay(SqliteStore(opened.labels_file).entries())
    count = -1  # the header is no prediction
    with open_output(file, False, overwrite) as place, place.open("wb") as out:
        for line in prediction.predictions_csv(opened, state):
            out.write(line)
            count += 1
    where = "standard output" if str(file) == "-" else make_printable(str(file))
    typer.echo(f"{plural(count, 'prediction')} written to {where}", err=True)


COMMANDS = {"predict": predict, "status": status}
