"""report: one page to look at, or its figures."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Annotated

import typer

from annotator.cli.project_options import ProjectArgument
from annotator.items.refs import make_printable


def report(
    project: ProjectArgument,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Where the page goes; - for standard output.")
    ] = Path("report.html"),
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the figures as JSON; write no page.")
    ] = False,
    overwrite: Annotated[bool, typer.Option(help="Replace the page if it is there.")] = False,
) -> None:
    """Write one page about a project: error, pace, classes, confusion, items worth a look.

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
        typer.echo(json.dumps(collect_figures(opened), ensure_ascii=False, indent=1))
        return
    with open_output(out, False, overwrite) as place:
        place.write_bytes(render_page(collect_figures(opened), Thumbnails(opened)))
    if str(out) != "-":
        where = shlex.quote(make_printable(str(out)))
        typer.echo(f"wrote {where}; over ssh fetch it with: scp HOST:{where} .", err=True)


COMMANDS = {"report": report}
