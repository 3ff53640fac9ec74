"""proposals: their precision, and the score from which to trust them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from annotator.cli.model_runs import print_message
from annotator.cli.option_types import JsonOption
from annotator.cli.project_options import print_json
from annotator.items.refs import format_share, make_printable, shell_quoted


def proposals(
    project: Annotated[Path, typer.Argument(metavar="PROJECT", help="A project with proposals.")],
    target: Annotated[
        float,
        typer.Option("--precision", min=0, max=1, help="Precision that a threshold must reach."),
    ] = 0.95,
    as_json: JsonOption = False,
) -> None:
    """Print the precision of proposals per model, class and score, from the labels so far.

    \b
    annotator proposals photos.boxes
    annotator proposals photos.boxes --precision 0.9 --json
    """
    from annotator.errors import ProjectError
    from annotator.log.store.open import load_log_state
    from annotator.project.project import ProjectFolder
    from annotator.proposals import has_proposals
    from annotator.proposals.precision import (
        describe_precision,
        describe_threshold,
        measure_precision,
    )

    opened = ProjectFolder.open(project)
    folder = shell_quoted(project)
    if not has_proposals(opened):
        raise ProjectError(
            f"{make_printable(str(project))} has no proposals. Make some with "
            f"`annotator discover {folder}`."
        )
    measured = measure_precision(opened, load_log_state(opened), target)
    groups = [group.as_dict() for group in measured]
    if as_json:
        document = {"precision": target, "groups": groups}
        print_json(document)
        return
    for group in groups:
        if group["name"] is not None and not group["labelled"]:
            continue
        typer.echo(describe_precision(group))
        for estimate in group["estimates"]:
            typer.echo(
                f"  {describe_threshold(estimate)} ({estimate['labelled']:,} of "
                f"{estimate['items']:,} judged, keeps {format_share(estimate['kept'])})"
            )
    if not any(group["labelled"] for group in groups):
        print_message(f"Nothing is judged yet. Judge some proposals with `annotator run {folder}`.")


COMMANDS = {"proposals": proposals}
"""The functions that this module adds to the command line."""
