"""Commands that carry labels out of a project and into it: export, import."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from annotator.cli.option_types import (
    BoxPixelsOption,
    ControlOption,
    SkipFaultyOption,
    complete_names,
)
from annotator.cli.project_names import complete_classes, complete_searches
from annotator.cli.project_options import ProjectArgument, format_output_name
from annotator.errors import ProjectError
from annotator.items.refs import make_printable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from annotator.formats.format import Format
    from annotator.formats.new_project import NewProject
    from annotator.formats.reading import ImportContext
    from annotator.formats.source import ExportOptions, ExportSource
    from annotator.project.project import ProjectFolder
    from annotator.project.settings import Settings

_TITLES = {
    "coco": "COCO", "yolo": "YOLO", "yolo-cls": "YOLO classification", "voc": "Pascal VOC",
    "imagefolder": "folders of classes", "huggingface": "Hugging Face", "cvat": "CVAT",
    "label-studio": "Label Studio", "jsonl": "JSON Lines", "parquet": "Parquet",
}  # fmt: skip
"""The names of formats in the summary of what was read."""
_LONG_EXPORT = 50_000
"""An export of more items than this shows its progress."""


def _complete_only(ctx: typer.Context, incomplete: str) -> list[str]:
    words = complete_names("annotator.formats.source:EXPORT_FILTERS")()
    words = [word for word in words if word.startswith(incomplete)]
    return [*words, *complete_searches(ctx, incomplete)]


def complete_formats() -> list[str]:
    """Return the names of all formats, for shell completion."""
    from annotator.formats.format import list_formats

    return list(list_formats())


def export(
    project: ProjectArgument,
    file: Annotated[Path, typer.Argument(help="The output file or folder; - for stdout.")],
    format_: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="A format from the list above. Default: by FILE's suffix, else csv.",
            autocompletion=complete_formats,
        ),
    ] = None,
    class_: Annotated[
        list[str] | None,
        typer.Option(
            "--class", help="Only items of this class; repeatable.", autocompletion=complete_classes
        ),
    ] = None,
    level: Annotated[
        str | None,
        typer.Option(
            help="The level of a hierarchy of classes: 1 for the top, 2 …, or leaf.",
            autocompletion=lambda: ["1", "2", "leaf"],
        ),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            help="Only labelled, human (no machine labels), reviewed, flagged or unflagged items, "
            "or those that match a query (see search); repeatable.",
            autocompletion=_complete_only,
        ),
    ] = None,
    min_agreement: Annotated[
        float | None,
        typer.Option(
            min=0, max=1, help="Only items on which this share of 2 or more annotators agree."
        ),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(help="Shares such as train=0.8,val=0.1,test=0.1, by a hash of each image."),
    ] = None,
    probabilities: Annotated[
        bool, typer.Option(help="Write the model's earlier predictions, a column for each class.")
    ] = False,
    provenance: Annotated[
        bool,
        typer.Option(
            help="Write annotator, time, drawing and reviewers of each label; score and model of "
            "proposals."
        ),
    ] = False,
    predictions: Annotated[
        bool, typer.Option(help="Write predictions with scores for unlabelled items.")
    ] = False,
    unreviewed: Annotated[
        bool, typer.Option("--unreviewed", help="Write boxes that no annotator has judged, too.")
    ] = False,
    partial: Annotated[
        bool, typer.Option("--partial", help="Write images whose boxes are not all answered, too.")
    ] = False,
    images: Annotated[
        str,
        typer.Option(
            help="Images in the output folder: symlink, copy or none.",
            autocompletion=lambda: ["symlink", "copy", "none"],
        ),
    ] = "symlink",
    crop: Annotated[bool, typer.Option(help="Write each box as an image of its own.")] = False,
    context: Annotated[
        float,
        typer.Option(
            min=0, max=10, help="The margin around a crop, as a share of its larger side."
        ),
    ] = 0.0,
    overwrite: Annotated[
        bool, typer.Option(help="Replace the files of an earlier export.")
    ] = False,
) -> None:
    """Write the labels in the format of your trainer, and print a summary on standard error.

    \b
    csv           your own table, unchanged except for the labels
    plain-csv     the chosen items: ref, filename, bbox, label …
    list          paths of the labelled items, boxes as top left bottom right
    jsonl, parquet
    coco          COCO JSON;  coco-results: only items with a score
    yolo          images/, labels/, data.yaml;  yolo-cls: split/class/image
    voc           Annotations/, JPEGImages/, ImageSets/
    imagefolder   class/image;  huggingface: metadata.jsonl beside the images
    label-studio, cvat
    imagenet-ab   pages of HITs and their by-products

    \b
    annotator export p labels.csv
    annotator export p data/ --format yolo --split train=0.8,val=0.2
    annotator export p crops/ --format imagefolder --crop --context 0.25
    """
    from annotator.formats.source import EXPORT_FILTERS, ExportOptions
    from annotator.formats.splits import parse_splits
    from annotator.project.project import ProjectFolder

    format_of = load_named_format(format_ or _format_by_suffix(file))
    options = ExportOptions(
        only=tuple(word for word in only or () if word in EXPORT_FILTERS),
        classes=tuple(class_ or ()),
        level=level or "",
        agreement=min_agreement,
        split=parse_splits(split) if split else None,
        probabilities=probabilities, provenance=provenance, predictions=predictions,
        unreviewed=unreviewed, partial=partial, crop=crop, context=context, images=images,
    )  # fmt: skip
    _write_export(ProjectFolder.open(project), file, format_of, options, overwrite, only or ())


def _write_export(
    project: ProjectFolder,
    file: Path,
    format_of: Format,
    options: ExportOptions,
    overwrite: bool,
    only: Sequence[str] = (),
) -> None:
    from annotator.cli.progress_output import open_progress_output, with_rate
    from annotator.formats import output_file

    _check_options(format_of, options)
    if format_of.write is None:
        reason = f"{format_of.name} can be imported, not exported"
        raise typer.BadParameter(reason, param_hint="--format")
    folder = format_of.folder or (format_of.name == "coco" and options.split is not None)
    with output_file.open_output(file, folder, overwrite) as place:
        source = _open_source(project, format_of, options, only)
        mode = "auto" if len(source.refs) > _LONG_EXPORT else "none"
        with open_progress_output(mode, "export") as show:
            source.on_progress = with_rate(show)
            format_of.write(source, place)
    _print_summary(source, file, "provenance" in format_of.supported_options)


def _format_by_suffix(file: Path) -> str:
    """Return the format of a file by its suffix; csv for an unknown suffix."""
    ending = file.suffix.lower()
    if ending == ".json":
        raise typer.BadParameter(
            "a .json file can be coco, coco-results or label-studio; name the format",
            param_hint="--format",
        )
    return {".parquet": "parquet", ".jsonl": "jsonl", ".xml": "cvat"}.get(ending, "csv")


def load_named_format(name: str) -> Format:
    """Load a format. Raises `BadParameter` for an unknown name."""
    from annotator.formats.format import list_formats, load_format

    if name not in list_formats():
        raise typer.BadParameter(
            f"{name} is not one of {', '.join(list_formats())}", param_hint="--format"
        )
    return load_format(name)


def _check_options(format_: Format, options: ExportOptions) -> None:
    """Raise `BadParameter` for options that the format does not support."""
    from annotator.formats.format import OPTIONS, WITHOUT_LEVELS, list_formats, load_format
    from annotator.formats.image_files import IMAGE_MODES
    from annotator.formats.source import ExportOptions

    if options.images not in IMAGE_MODES:
        raise typer.BadParameter(
            f"{options.images} is not one of {', '.join(IMAGE_MODES)}", param_hint="--images"
        )
    for name in OPTIONS:
        given = getattr(options, name) != getattr(ExportOptions(), name)
        if given and name not in format_.supported_options:
            others = ", ".join(
                other for other in list_formats() if name in load_format(other).supported_options
            )
            raise typer.BadParameter(
                f"has no effect in {format_.name}; use it with {others}", param_hint=f"--{name}"
            )
    if options.level and format_.name in WITHOUT_LEVELS:
        raise typer.BadParameter(f"has no effect in {format_.name}", param_hint="--level")
    if options.context and not options.crop:
        raise typer.BadParameter("needs --crop", param_hint="--context")


def _open_source(
    project: ProjectFolder, format_: Format, options: ExportOptions, only: Sequence[str]
) -> ExportSource:
    from annotator.formats.source import EXPORT_FILTERS, ExportSource
    from annotator.log.entries import replay
    from annotator.log.store.open import open_store

    store = open_store(project)
    state = replay(store.entries()) if options.predictions else None
    chosen = _choose_rows(project, [word for word in only if word not in EXPORT_FILTERS])
    source = ExportSource.open(project, store.entries(), options, format_.accepted, state, chosen)
    store.close()
    return source


def _choose_rows(project: ProjectFolder, queries: Sequence[str]) -> NDArray[np.bool_] | None:
    """Return which items match all queries; None without a query."""
    from annotator.cli.search import choose_items
    from annotator.errors import QueryError
    from annotator.formats.source import EXPORT_FILTERS

    chosen = None
    for query in queries:
        try:
            mask = choose_items(project, query)
        except QueryError as error:
            if not query.isidentifier():
                raise
            filters = ", ".join(EXPORT_FILTERS)
            raise typer.BadParameter(
                f"{query} is not one of {filters}, and as a query: {error}", param_hint="--only"
            ) from error
        chosen = mask if chosen is None else chosen & mask
    return chosen


def _print_summary(source: ExportSource, file: Path, marks: bool) -> None:
    from annotator.items.refs import plural

    where = format_output_name(file)
    typer.echo(f"{plural(source.written, 'item')} written to {where}", err=True)
    if source.unreviewed:
        count = plural(source.unreviewed, "box", "boxes")
        typer.echo(f"{count} that no annotator has judged included, with their scores", err=True)
    if source.open_images:
        images = plural(source.open_images, "image")
        if source.options.partial:
            how = "written without them: a trainer takes what is there for background"
            typer.echo(f"{images} with open boxes {how}", err=True)
        else:
            are = "is" if source.open_images == 1 else "are"
            typer.echo(f"{images} with open boxes {are} left out; --partial writes them", err=True)
    if source.machine_labels:
        mark = "they are marked" if marks else "this format cannot mark them"
        count = plural(source.machine_labels, "label")
        typer.echo(f"{count} by the model included; {mark}. Leave out: --only human", err=True)
    left = [f"{count:,} {why}" for why, count in sorted(source.left_out.items()) if count]
    if left:
        typer.echo(f"left out: {', '.join(left)}", err=True)
    if source.log.vanished:
        count = plural(source.log.vanished, "label")
        typer.echo(f"left out: {count} of items that refs.csv no longer holds", err=True)
    if source.exif_rotated:
        typer.echo(
            f"{plural(source.exif_rotated, 'image')} turned by EXIF: sizes and boxes are of the "
            "upright image. If your trainer ignores EXIF, turn the files first.",
            err=True,
        )
    if source.boxes_cut:
        count = plural(source.boxes_cut, "box", "boxes")
        typer.echo(f"{count} cut at the edge of the image", err=True)
    for note in source.notes:
        typer.echo(note, err=True)


def import_(
    project: ProjectArgument,
    file: Annotated[Path, typer.Argument(help="A file or folder with labels.")],
    format_: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="A format of `annotator export`. Default: detected.",
            autocompletion=complete_formats,
        ),
    ] = None,
    class_: Annotated[
        str | None,
        typer.Option("--class", help="With --format list: the class of all items in it."),
    ] = None,
    bbox_order: Annotated[
        str | None,
        typer.Option(
            help="The format of a bbox. Default: as in the project.",
            autocompletion=complete_names("annotator.items.refs:BOX_ORDERS"),
        ),
    ] = None,
    box_pixels: BoxPixelsOption = None,
    control: ControlOption = None,
    skip_faulty: SkipFaultyOption = False,
) -> None:
    """Read labels of other programs into a project.

    If there are faults, all are printed with their lines, and nothing is written.

    \b
    annotator import p labels.csv
    annotator import p coco.json
    annotator import p bad.txt --format list --class defect
    """
    from annotator.formats.importing import import_labels
    from annotator.log.store.open import open_store
    from annotator.project.project import ProjectFolder

    opened = ProjectFolder.open(project)
    name, sign = choose_read_format(file, format_)
    found = load_named_format(name)
    if found.read is None:
        raise typer.BadParameter(f"{name} can be exported, not imported", param_hint="--format")
    if (class_ is not None) != (name == "list"):
        needs = "needs --format list" if class_ else "a list needs --class NAME"
        raise typer.BadParameter(needs, param_hint="--class")
    if class_ is not None and class_ not in opened.settings.names:
        raise ProjectError(
            f"{make_printable(class_)!r} is not a class of {make_printable(str(opened.folder))}. "
            f"The classes are {make_printable(', '.join(opened.settings.names))}."
        )
    reading = make_import_context(
        file, bbox_order, opened.settings.box_order, images=opened.images, label=class_,
        multi=opened.settings.names if opened.settings.multi_label else (),
        box_pixels=box_pixels, controls=tuple(control or ()), skip_faulty=skip_faulty, sign=sign,
    )  # fmt: skip
    store = open_store(opened)
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
    box_pixels: str | None = None,
    controls: Sequence[str] = (),
    skip_faulty: bool = False,
) -> NewProject:
    """Create a project from a table, a list or a data set, and print how it was read."""
    from dataclasses import replace

    from annotator.formats.dataset import create_from_dataset
    from annotator.formats.new_project import create_from_refs

    name, sign = choose_read_format(source, format_)
    reading = make_import_context(
        source, bbox_order, "xywh", images=images, box_pixels=box_pixels,
        controls=tuple(controls), skip_faulty=skip_faulty, sign=sign,
    )  # fmt: skip
    if name in ("csv", "list"):
        settings = replace(settings, box_order=reading.box_order)
        return create_from_refs(
            folder, source, settings, images=images, features=features, box_pixels=box_pixels,
            skip_faulty=skip_faulty,
        )  # fmt: skip
    return create_from_dataset(
        folder, reading, load_named_format(name), settings, _print_line, features=features
    )


def choose_read_format(path: Path, given: str | None) -> tuple[str, str]:
    """Return the format that was given, or the one that is recognised, and the sign of it."""
    from annotator.formats.sniff import recognise_format

    name, reason = (given, "--format") if given is not None else recognise_format(path)
    if given is None and path.is_dir():
        typer.echo(f"recognised as {name} by {reason}", err=True)
    return name, f"{_TITLES.get(name, name)}: {reason}"


def _print_line(line: str) -> None:
    typer.echo(line, err=True)


def make_import_context(
    file: Path,
    given_order: str | None,
    order: str,
    *,
    box_pixels: str | None,
    **how: Any,
) -> ImportContext:
    """Return the context of an import; `how` are further fields of it.

    Raises `BadParameter` for an unknown order or unknown pixels of boxes.
    """
    from annotator.formats.box_fit import BOX_PIXELS
    from annotator.formats.reading import ImportContext
    from annotator.items.refs import BOX_ORDERS

    if given_order is not None and given_order not in (*BOX_ORDERS, "voc"):
        raise typer.BadParameter(
            f"{given_order} is not one of {', '.join(BOX_ORDERS)}, voc", param_hint="--bbox-order"
        )
    if box_pixels is not None and box_pixels not in BOX_PIXELS:
        raise typer.BadParameter(
            f"{box_pixels} is not one of {', '.join(BOX_PIXELS)}", param_hint="--box-pixels"
        )
    if not file.exists():
        raise ProjectError(f"{make_printable(str(file))} does not exist")
    return ImportContext(file, given_order or order, given_order, box_pixels=box_pixels, **how)


COMMANDS: dict[str, Callable[..., None]] = {
    "export": export,
    "import": import_,
}
