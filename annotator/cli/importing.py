"""import, and the making of a project of what is imported: labels into a project."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from annotator.cli.exchange import complete_formats, load_named_format
from annotator.cli.project_options import ProjectArgument
from annotator.errors import ProjectError
from annotator.items.refs import make_printable

if TYPE_CHECKING:
    from annotator.formats.new_project import NewProject
    from annotator.formats.reading import ImportContext
    from annotator.project.settings import Settings


def import_(
    project: ProjectArgument,
    file: Annotated[Path, typer.Argument(help="A file or folder with labels.")],
    format_: Annotated[
        str | None,
        typer.Option(
            "--format", help="As in export [found out by itself].", autocompletion=complete_formats
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
    from annotator.formats.sniff import detect_format
    from annotator.log.store import SqliteStore
    from annotator.project.project import ProjectFolder

    opened = ProjectFolder.open(project)
    name = format_ or detect_format(file)
    found = load_named_format(name)
    if found.read is None:
        raise typer.BadParameter(f"{name} can be written, not read", param_hint="--format")
    if (class_ is not None) != (name == "list"):
        needs = "goes with --format list" if class_ else "a list needs --class NAME"
        raise typer.BadParameter(needs, param_hint="--class")
    if class_ is not None and class_ not in opened.settings.names:
        raise ProjectError(
            f"{make_printable(class_)!r} is not a class of {make_printable(str(opened.folder))}"
        )
    reading = make_import_context(file, bbox_order, opened.settings.box_order)
    reading.images, reading.label = opened.images, class_
    reading.multi = opened.settings.names if opened.settings.multi_label else ()
    store = SqliteStore(opened.labels_file)
    done = import_labels(opened, store, reading, found, _print_line)
    store.close()
    typer.echo(str(done), err=True)


def create_from_source(
    folder: Path,
    source: Path,
    settings: Settings,
    format_: str | None,
    bbox_order: str | None,
    images: Path | None,
    features: Path | None,
) -> NewProject:
    """A new project of a table, a list or a data set; what was understood is said first."""
    from dataclasses import replace

    from annotator.formats.dataset import create_from_dataset
    from annotator.formats.new_project import create_from_refs
    from annotator.formats.sniff import detect_format

    name = format_ or detect_format(source)
    reading = make_import_context(source, bbox_order, "xywh")
    if name in ("csv", "list"):
        settings = replace(settings, box_order=reading.order)
        return create_from_refs(folder, source, settings, images=images, features=features)
    reading.images = images
    return create_from_dataset(
        folder, reading, load_named_format(name), settings, _print_line, features=features
    )


def _print_line(line: str) -> None:
    typer.echo(line, err=True)


def make_import_context(file: Path, given_order: str | None, order: str) -> ImportContext:
    """Raises `BadParameter` for an order of boxes that does not exist."""
    from annotator.formats.reading import ImportContext
    from annotator.project.settings import BOX_ORDERS

    if given_order is not None and given_order not in (*BOX_ORDERS, "voc"):
        raise typer.BadParameter(
            f"{given_order} is none of {', '.join(BOX_ORDERS)}, voc", param_hint="--bbox-order"
        )
    if not file.exists():
        raise ProjectError(f"{make_printable(str(file))} does not exist")
    return ImportContext(file, order=given_order or order, given_box_order=given_order)


COMMANDS = {"import": import_}
