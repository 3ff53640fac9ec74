"""The commands that create, fill and open projects: run, demo, init, add."""

from __future__ import annotations

import contextlib
import os
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
from annotator.cli.project_names import complete_inner_classes
from annotator.cli.project_options import (
    AnnotatorOption,
    ClassesOption,
    ContextOption,
    EstimatorOption,
    FindOption,
    GraphicsOption,
    KeymapOption,
    ModelOption,
    ProjectArgument,
    StrategyOption,
    ThemeOption,
    ZeroShotOption,
    check_setting_names,
    find_refs_of_others,
    list_names,
    open_or_create,
    override_settings,
    parse_classes,
    require_terminal,
    warn_of_other_model,
    with_default_classes,
)
from annotator.cli.search import OnlyOption, choose_part
from annotator.errors import AnnotatorError, ProjectError
from annotator.items.json_text import to_json_text
from annotator.items.refs import BOX_MARK, make_printable, plural, shell_quoted

if TYPE_CHECKING:
    from annotator.project.project import ProjectFolder
    from annotator.project.settings import ClassInfo, Settings
    from annotator.tui.launch import PoolPart


def run(
    path: Annotated[Path, typer.Argument(help="A project, or a folder of images.")],
    project: Annotated[
        Path | None,
        typer.Option(help="The project folder of a folder of images. Default: PATH.annotator."),
    ] = None,
    classes: ClassesOption = None,
    annotator: AnnotatorOption = None,
    graphics: GraphicsOption = None,
    strategy: StrategyOption = None,
    find: FindOption = None,
    estimator: EstimatorOption = None,
    zero_shot: ZeroShotOption = None,
    context: ContextOption = None,
    model: ModelOption = None,
    keymap: KeymapOption = None,
    theme: ThemeOption = None,
    features: Annotated[
        bool, typer.Option(help="Compute missing features in the background.")
    ] = True,
    second: Annotated[
        bool, typer.Option(help="Give blind second opinions on items that others have labelled.")
    ] = False,
    only: OnlyOption = None,
    refine: Annotated[
        str | None,
        typer.Option(
            metavar="CLASS",
            help="Give the items of a class one of the classes below it.",
            autocompletion=complete_inner_classes,
        ),
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Ask images that come into the folder meanwhile, too.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a summary of the session as JSON.")
    ] = False,
) -> None:
    """Label images: open a project, or create one from a folder of images.

    \b
    annotator run photos/ --classes ok,defect
    annotator run photos.annotator
    annotator run photos.annotator --refine vehicle
    annotator run photos/ --watch
    """
    if refine is not None and second:
        raise typer.BadParameter("cannot be used with --second", param_hint="--refine")
    if watch and (second or only or refine):
        raise typer.BadParameter(
            "cannot be used with --second, --only or --refine", param_hint="--watch"
        )
    changes = {
        "strategy": strategy, "find": find, "estimator": estimator, "context": context,
        "model": model, "keymap": keymap, "theme": theme, "annotator": annotator,
        "graphics": graphics, "zero_shot": zero_shot,
    }  # fmt: skip

    def check(settings: Settings) -> None:
        _check_settings(override_settings(settings, **changes), as_json)

    opened = open_or_create(path, project, classes, check)
    if watch:
        _require_whole_images(opened)
    run_label_screen(opened, changes, features, as_json, second, only, refine, watch)


def demo(
    fresh: Annotated[bool, typer.Option(help="Delete the labels of earlier demos.")] = False,
    annotator: AnnotatorOption = None,
    graphics: GraphicsOption = None,
    keymap: KeymapOption = None,
    theme: ThemeOption = None,
) -> None:
    """Label the bundled example: trays of machined parts, some defective.

    \b
    annotator demo
    annotator demo --fresh --keymap prodigy
    """
    import shutil

    from annotator.formats import new_project
    from annotator.items.user_folders import data_folder
    from annotator.project.project import ProjectFolder, is_project
    from annotator.project.settings import ClassInfo, Settings

    example = find_example_data()
    folder = data_folder() / "demo"
    if fresh:
        shutil.rmtree(folder, ignore_errors=True)
    if not is_project(folder):
        names = (ClassInfo("ok"), ClassInfo("defect", description="cracked, chipped, bent, rusty"))
        settings = Settings(classes=names, model="classic", target_error=0.05)
        new_project.create_from_refs(
            folder, example / "refs.csv", settings, images=example / "images"
        )
    changes = {"keymap": keymap, "theme": theme, "annotator": annotator, "graphics": graphics}
    run_label_screen(ProjectFolder.open(folder), changes, True)


def find_example_data() -> Path:
    """Return the folder of the bundled example, in a wheel or in a checkout."""
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "example_data", package.parent / "example_data"):
        if (folder / "refs.csv").is_file():
            return folder
    raise ProjectError(
        "The example data is not in this installation. Run `annotator demo` in a clone."
    )


def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The new project.")],
    images: Annotated[
        str | None,
        typer.Option(help="A folder of images, or a quoted pattern such as 'a/**/*.jpg'."),
    ] = None,
    refs: Annotated[
        Path | None,
        typer.Option(
            "--refs",
            "--from",
            help="A CSV (filename,bbox,annotation,feat_idx), a text list, or a data set: COCO, "
            "YOLO, VOC, ImageFolder, Hugging Face, Label Studio, CVAT, JSONL, Parquet.",
        ),  # fmt: skip
    ] = None,
    format_: Annotated[
        str | None, typer.Option("--format", help="The format of --from. Default: detected.")
    ] = None,
    features: Annotated[
        Path | None, typer.Option(help="Your own .npy file, one row per item; it is not copied.")
    ] = None,
    classes: ClassesOption = None,
    bbox_order: Annotated[
        str | None,
        typer.Option(
            help="The format of a bbox: xywh (default), xyxy or r1-c1-r2-c2.",
            autocompletion=complete_names("annotator.items.refs:BOX_ORDERS"),
        ),
    ] = None,
    box_pixels: BoxPixelsOption = None,
    strategy: StrategyOption = None,
    model: ModelOption = None,
    seed: Annotated[int, typer.Option(min=0, help="The seed of all random choices.")] = 0,
    target_error: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="The error below which annotator advises to stop."),
    ] = None,
    control: ControlOption = None,
    skip_faulty: SkipFaultyOption = False,
) -> None:
    """Create a project without opening it.

    \b
    annotator init p --images photos/ --classes ok,defect
    annotator init p --refs refs.csv --features features.npy
    annotator init p --from instances.json --images photos/
    """
    from annotator.cli.exchange import create_from_source
    from annotator.formats import new_project
    from annotator.project.settings import Settings

    if images is None and refs is None:
        raise typer.BadParameter("there is nothing to label: give --images DIR or --refs FILE")
    settings = Settings(classes=parse_classes(classes), seed=seed, target_error=target_error)
    _check_keys(settings)
    settings = override_settings(settings, strategy=strategy, model=model)
    if strategy is not None:
        check_setting_names(settings)
    if refs is not None:
        root = Path(images) if images else None
        made = create_from_source(
            folder, refs, settings, format_, bbox_order, root, features, box_pixels,
            controls=control or (), skip_faulty=skip_faulty,
        )  # fmt: skip
    elif features is not None:
        raise typer.BadParameter("--features needs --refs, which assigns the rows to items")
    else:
        settings = with_default_classes(settings)
        assert images is not None
        if Path(images).is_dir() or not any(mark in images for mark in "*?["):
            made = new_project.create_from_folder(folder, Path(images), settings)
            made.notes += _count_images(made.project)
        else:
            made = new_project.create_from_pattern(folder, images, settings)
    for note in made.notes:
        typer.echo(note, err=True)
    typer.echo(
        f"Created {make_printable(str(folder))}. Label it: annotator run {shell_quoted(folder)}",
        err=True,
    )


def _count_images(project: ProjectFolder) -> list[str]:
    """List the images; return notes on their number and on the skipped files."""
    from annotator.items.listing import SkippedFiles, count_endings, list_endings
    from annotator.project.item_pool import load_refs

    left_out = SkippedFiles()
    refs = load_refs(project, left_out)
    endings = count_endings(refs)
    kinds = f": {list_endings(endings)}" if len(endings) > 1 else ""
    where = "" if len(refs) else f" in {make_printable(str(project.images.resolve()))} yet"
    return [f"{plural(len(refs), 'image')}{kinds}{where}", *([str(left_out)] if left_out else [])]


def run_label_screen(
    project: ProjectFolder,
    changes: dict[str, Any],
    features: bool,
    as_json: bool = False,
    second: bool = False,
    only: str | None = None,
    refine: str | None = None,
    watch: bool = False,
) -> None:
    """Open the labelling screen with `changes` to the settings, and print a summary."""
    from dataclasses import replace

    settings = override_settings(project.settings, **changes)
    _check_settings(settings, as_json)
    project = replace(project, settings=settings)
    warn_of_other_model(project, refuse=bool(changes.get("model")))
    from annotator.tui.launch import ItemSample, run_label_app

    name = settings.annotator_name()
    part, sample = choose_part(project, only), None
    if refine is not None:
        part = _choose_unrefined(project, refine, part)
    if second:
        sample = ItemSample(None, find_refs_of_others(project, name, part))
    receipt = run_label_app(
        project, annotator=name, graphics=settings.graphics, features=features, audit=sample,
        part=None if second else part, watch=watch,
        again=_words_again(project, name, changes, features, second, only, refine, watch),
    )  # fmt: skip
    again = ["--second"] if second else []
    again += ["--only", shell_quoted(only)] if only else []
    again += ["--refine", shell_quoted(refine)] if refine else []
    again += ["--watch"] if watch else []
    if changes["annotator"]:  # so that the command to resume keeps the name
        again += ["--annotator", shell_quoted(name)]
    receipt = replace(receipt, options=" ".join(again))
    if as_json:
        typer.echo(to_json_text(receipt.as_dict()))
    else:
        typer.echo(str(receipt), err=True)
    if receipt.code:
        raise typer.Exit(receipt.code)


def _words_again(
    project: ProjectFolder,
    annotator: str,
    changes: dict[str, Any],
    features: bool,
    second: bool,
    only: str | None,
    refine: str | None,
    watch: bool,
) -> list[str]:
    """Return the command that opens the same screen, but for how it draws pictures."""
    given = changes | {"annotator": annotator, "graphics": None, "only": only, "refine": refine}
    words = ["run", str(project.folder.resolve())]
    for name, value in given.items():
        words += [] if value is None else [f"--{name.replace('_', '-')}={value}"]
    flags = {"--no-features": not features, "--second": second, "--watch": watch}
    return [*words, *(flag for flag, on in flags.items() if on)]


def _require_whole_images(project: ProjectFolder) -> None:
    """Raise `ProjectError` if every item is a box: new images would be asked as a whole."""
    from annotator.project.item_pool import load_refs

    refs = load_refs(project)
    if len(refs) and refs.count(BOX_MARK.encode()) == len(refs):
        folder = shell_quoted(project.folder)
        raise ProjectError(
            "--watch adds whole images, and every item of this project is a box. Find the boxes of "
            f"new images, and an open screen takes them: annotator detect {folder}"
        )


def _choose_unrefined(project: ProjectFolder, name: str, part: PoolPart | None) -> PoolPart:
    """Return the items that are labelled `name` and no finer, those of `part` if there is one."""
    import numpy as np

    from annotator.log.store.open import load_log_state
    from annotator.project.item_pool import load_refs
    from annotator.session.refine import require_items
    from annotator.tui.launch import PoolPart

    refs = load_refs(project)
    rows = refs.rows(require_items(project, load_log_state(project), name))
    mask = np.zeros(len(refs), bool)
    mask[rows[rows >= 0]] = True
    if part is not None:
        mask &= part.mask
    title = name if part is None else f"{name} within {part.title}"
    return PoolPart(mask, title, refines=name)


def _check_settings(settings: Settings, as_json: bool) -> None:
    """Raise `ProjectError` for an unknown name, or without a terminal."""
    from annotator.terminal.choose import requested_graphics

    check_setting_names(settings)
    _check_keys(settings)
    requested_graphics(settings.graphics, os.environ)
    require_terminal("Labelling", stdout=not as_json)


def _check_keys(settings: Settings) -> None:
    """Raise `ProjectError` for a key of a class that means something else."""
    from annotator.tui.keymaps import make_keymap

    make_keymap(settings.keymap, settings.classes, settings.keys)


def add(
    project: ProjectArgument,
    images: Annotated[
        Path | None, typer.Option(help="A folder; every new image below it is added.")
    ] = None,
    refs: Annotated[
        Path | None, typer.Option(help="A table or a text list of images and boxes.")
    ] = None,
    class_: Annotated[
        list[str] | None, typer.Option("--class", help="A new class; repeatable.")
    ] = None,
    classes: ClassesOption = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Add images that come later, until Ctrl+C.")
    ] = False,
    beside: Annotated[
        bool, typer.Option("--beside", hidden=True, help="End with the app that has started it.")
    ] = False,
) -> None:
    """Add images, boxes or classes to a project. Its labels and features stay.

    \b
    annotator add p --images more-photos/
    annotator add p --refs boxes.csv
    annotator add p --classes scratch,dent
    annotator add p --classes classes.txt
    annotator add p --images inbox/ --watch
    """
    from annotator.formats.table_rows import add_refs
    from annotator.items.listing import SkippedFiles
    from annotator.project.adding import add_images
    from annotator.project.project import ProjectFolder, append_classes

    if images is None and refs is None and not class_ and classes is None:
        raise typer.BadParameter(
            "nothing to add: give --images DIR, --refs FILE or --classes NAMES"
        )
    if watch and images is None:
        raise typer.BadParameter("needs --images DIR", param_hint="--watch")
    opened = ProjectFolder.open(project)
    new = _new_classes(opened, class_ or [], classes)  # checked before anything is added
    left_out, added = SkippedFiles(), 0
    if images is not None and not watch:
        added += add_images(opened, images, left_out)
    if refs is not None:
        added += add_refs(opened, refs, lambda line: typer.echo(line, err=True))
    if new or classes is not None:
        append_classes(opened, new)
        names = list_names([info.name for info in new]) or "none, the project has them all"
        typer.echo(f"classes added: {names}", err=True)
    if left_out:
        typer.echo(str(left_out), err=True)
    if (images is not None and not watch) or refs is not None:
        typer.echo(f"{added:,} item{'' if added == 1 else 's'} added", err=True)
    if added and opened.has_features:
        typer.echo(make_printable(_advise_features(opened)), err=True)
    if watch and images is not None:
        _watch_images(opened, images, beside)


def _watch_images(project: ProjectFolder, folder: Path, beside: bool) -> None:
    """Add new images of a folder, a line for each time, until Ctrl+C."""
    from annotator.cli.progress_output import catch_stop_signals, exit_with_parent
    from annotator.project.adding import require_folder
    from annotator.project.watching import add_while_watching

    require_folder(folder)
    if beside:
        exit_with_parent()
        os.nice(5)
    else:
        typer.echo(f"watching {make_printable(str(folder))} until Ctrl+C", err=True)
    with catch_stop_signals() as stopped:
        for added in add_while_watching(project, folder, stopped):
            if added and not beside:
                typer.echo(f"{plural(added, 'item')} added", err=True)


def _new_classes(
    project: ProjectFolder, names: Sequence[str], classes: str | None
) -> list[ClassInfo]:
    """Return the classes to add: `names`, and those of `classes` that the project lacks.

    Raises `ProjectError` for a name that no class can have or a key that means something else.
    """
    from dataclasses import replace

    from annotator.project.adding import check_new_classes
    from annotator.project.settings import ClassInfo

    settings = project.settings
    check_new_classes(project, names)
    known = {*settings.names, *names}
    listed = [info for info in parse_classes(classes) if info.name not in known]
    check_new_classes(project, [*names, *(info.name for info in listed)])
    new = [*map(ClassInfo, names), *listed]
    _check_keys(replace(settings, classes=(*settings.classes, *new)))
    return new


def _advise_features(project: ProjectFolder) -> str:
    """Return how new items get features."""
    from annotator.features.choice import described_extractor

    command = f"annotator features {shell_quoted(project.folder)}"
    found = None
    with contextlib.suppress(AnnotatorError):  # `features` says what is wrong with them
        found = described_extractor(project.features_folder)
    if found and found.get("external"):
        return (
            f"The new items have no features, and are asked at random: {found['name']} is an "
            f"array of your own. Give an array with them: {command} --own FILE.npy. Or compute "
            f"others in its place: {command} --replace"
        )
    return f"Compute the features of the new items: {command}"


COMMANDS: dict[str, Callable[..., None]] = {
    "run": run,
    "demo": demo,
    "init": init,
    "add": add,
}
