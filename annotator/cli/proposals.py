"""proposals: how often they are right, and from which score on to trust them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from annotator.items.refs import make_printable, shell_quoted


def proposals(
    project: Annotated[Path, typer.Argument(metavar="PROJECT", help="A project with proposals.")],
    wanted: Annotated[
        float, typer.Option("--precision", min=0, max=1, help="What the threshold is to reach.")
    ] = 0.95,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say how often proposals are right: per model, class and score, from the labels so far.

    \b
    annotator proposals photos.boxes
    annotator proposals photos.boxes --precision 0.9 --json
    """
    from annotator.errors import ProjectError
    from annotator.log.entries import LogState, replay
    from annotator.log.store import SqliteStore
    from annotator.project.project import ProjectFolder
    from annotator.proposals import has_proposals
    from annotator.proposals.precision import (
        describe_precision,
        describe_threshold,
        measure_precision,
    )

    opened = ProjectFolder.open(project)
    if not has_proposals(opened):
        raise ProjectError(
            f"{make_printable(str(project))} has no proposals; make some: annotator discover "
            f"{shell_quoted(project)}"
        )
    state = LogState()
    if opened.labels_file.exists():
        state = replay(SqliteStore(opened.labels_file).entries())
    groups = [group.as_dict() for group in measure_precision(opened, state, wanted)]
    if as_json:
        told = {"precision": wanted, "groups": groups}
        typer.echo(json.dumps(told, ensure_ascii=False, indent=1))
        return
    for group in groups:
        if group["name"] is not None and not group["labelled"]:
            continue
        typer.echo(describe_precision(group))
        for one in group["estimates"]:
            typer.echo(
                f"  {describe_threshold(one)} ({one['labelled']:,} of {one['items']:,} judged, keeps "
                f"{one['kept']:.0%})"
            )
    if not any(group["labelled"] for group in groups):
        folder = shell_quoted(project)
        typer.echo(f"nothing is judged yet: annotator run {folder}", err=True)


COMMANDS = {"proposals": proposals}
