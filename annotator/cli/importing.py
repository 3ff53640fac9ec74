"""import, and the making of a project of what is imported: labels into a project."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from annotator.cli.exchange import ProjectPath, format_named, formats
from annotator.errors import ProjectError
from annotator.items.refs import printable

if TYPE_CHECKING:
    from annotator.formats.new_project import Begun
    from annotator.formats.reading import Reading
    from annotator.project.settings import Settings


def import_(
    project: ProjectPath,
    file: Annotated[Path, typer.Argument(help="A file or folder with labels.")],
    format_: Annotated[
        str | None,
        typer.Option(
            "--format", help="As in export [found out by itself].", autocompletion=formats
        ),
    ] = None,
    class_: Annotated[
        str | None, typer.Option("--class", help="For a list: the class of every item in it.")
    ] = None,
    bbox_order: Annotated[
        str | None, typer.Option(help="How a bbox is written [as in the project].")
    ] = None,
) -> None:
    """Read labels into the log. Any fault is named, with its line, and then nothing is written.

    \b
    annotator import p labels.csv
    annotator import p coco.json
    annotator import p bad.txt --format list --class defect
    """
    from annotator.formats.importing import import_labels
    from annotator.formats.sniff import detect
    from annotator.log.store import SqliteStore
    from annotator.project.project import Project

    opened = Project.open(project)
    name = format_ or detect(file)
    found = format_named(name)
    if found.read is None:
        raise typer.BadParameter(f"{name} can be written, not read", param_hint="--format")
    if (class_ is not None) != (name == "list"):
        needs = "goes with --format list" if class_ else "a list needs --class NAME"
        raise typer.BadParameter(needs, param_hint="--class")
    if class_ is not None and class_ not in opened.settings.names:
        raise ProjectError(
            f"{printable(class_)!r} is not a class of {printable(str(opened.folder))}"
        )
    reading = reading_of(file, bbox_order, opened.settings.box_order)
    reading.images, reading.label = opened.images, class_
    reading.multi = opened.settings.names if opened.settings.multi_label else ()
    store = SqliteStore(opened.labels_file)
    done = import_labels(opened, store, reading, found, _narrate)
    store.close()
    typer.echo(str(done), err=True)


def begin_from(
    folder: Path,
    source: Path,
    settings: Settings,
    format_: str | None,
    bbox_order: str | None,
    images: Path | None,
    features: Path | None,
) -> Begun:
    """A new project of a table, a list or a data set; what was understood is said first."""
    from dataclasses import replace

    from annotator.formats.dataset import from_dataset
    from annotator.formats.new_project import from_refs
    from annotator.formats.sniff import detect

    name = format_ or detect(source)
    reading = reading_of(source, bbox_order, "xywh")
    if name in ("csv", "list"):
        settings = replace(settings, box_order=reading.order)
        return from_refs(folder, source, settings, images=images, features=features)
    reading.images = images
    return from_dataset(folder, reading, format_named(name), settings, _narrate, features=features)


def _narrate(line: str) -> None:
    typer.echo(line, err=True)


def reading_of(file: Path, given: str | None, order: str) -> Reading:
    """Raises `BadParameter` for an order of boxes that does not exist."""
    from annotator.formats.reading import Reading
    from annotator.project.settings import BOX_ORDERS

    if given is not None and given not in (*BOX_ORDERS, "voc"):
        raise typer.BadParameter(
            f"{given} is none of {', '.join(BOX_ORDERS)}, voc", param_hint="--bbox-order"
        )
    if not file.exists():
        raise ProjectError(f"{printable(str(file))} does not exist")
    return Reading(file, order=given or order, given_order=given)


COMMANDS = {"import": import_}
