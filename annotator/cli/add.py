"""add: more images, boxes or classes in a project that there is already."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from annotator.cli.project_options import ProjectArgument
from annotator.items.refs import make_printable


def add(
    project: ProjectArgument,
    images: Annotated[
        Path | None, typer.Option(help="A folder: every image below it that is no item yet.")
    ] = None,
    refs: Annotated[
        Path | None, typer.Option(help="A table or a text list of images and boxes.")
    ] = None,
    class_: Annotated[
        list[str] | None, typer.Option("--class", help="A new class; may be repeated.")
    ] = None,
) -> None:
    """Add images, boxes or classes later. Labels and features that there are stay.

    \b
    annotator add p --images more-photos/
    annotator add p --refs boxes.csv
    annotator add p --class scratch --class dent
    """
    from annotator.items.listing import SkippedFiles
    from annotator.project.adding import add_classes, add_images, add_refs, check_new_classes
    from annotator.project.project import ProjectFolder

    if images is None and refs is None and not class_:
        raise typer.BadParameter("name what to add: --images DIR, --refs FILE or --class NAME")
    opened = ProjectFolder.open(project)
    check_new_classes(opened, class_ or [])  # before anything is added
    left_out, added = SkippedFiles(), 0
    if images is not None:
        added += add_images(opened, images, left_out)
    if refs is not None:
        added += add_refs(opened, refs)
    if class_:
        add_classes(opened, class_)
        typer.echo(f"added to the classes: {make_printable(', '.join(class_))}", err=True)
    if left_out.names:
        typer.echo(str(left_out), err=True)
    if images is not None or refs is not None:
        typer.echo(f"{added:,} item{'' if added == 1 else 's'} added", err=True)
    if added and (opened.features_folder / "meta.json").exists():
        folder = shlex.quote(make_printable(str(project)))
        typer.echo(f"compute their features, too: annotator features {folder}", err=True)


COMMANDS = {"add": add}
