"""What was given on the command line, checked and put into settings and projects."""

from __future__ import annotations

import csv
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from annotator.errors import ProjectError
from annotator.items.refs import make_printable, shell_quoted

if TYPE_CHECKING:
    from collections.abc import Callable

    from annotator.project.project import ProjectFolder
    from annotator.project.settings import ClassInfo, Settings


ProjectArgument = Annotated[Path, typer.Argument(metavar="PROJECT", help="A project folder.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
ClassesOption = Annotated[
    str | None,
    typer.Option("--classes", help="Class names, separated by commas; the first gets key A."),
]
AnnotatorOption = Annotated[
    str | None,
    typer.Option(envvar="ANNOTATOR_NAME", help="Who labels; your login name if not given."),
]
GraphicsOption = Annotated[
    str | None,
    typer.Option(
        envvar="ANNOTATOR_GRAPHICS",
        help="How pictures are drawn: auto, kitty, sixel, iterm, halfcell or none.",
    ),
]
StrategyOption = Annotated[
    str | None,
    typer.Option(envvar="ANNOTATOR_STRATEGY", help="Query strategy, such as margin or random."),
]
FindOption = Annotated[str | None, typer.Option(help="Hunt for this rare class.")]
EstimatorOption = Annotated[
    str | None, typer.Option(help="Classifier: ridge, logistic, or module:Class, file.py:Class.")
]
ContextOption = Annotated[
    float | None,
    typer.Option(min=0, max=10, help="Picture around a box, as a share of its larger side."),
]
ModelOption = Annotated[
    str | None,
    typer.Option(
        envvar="ANNOTATOR_MODEL", help="Features: classic, dinov2-small, an id, a folder."
    ),
]
KeymapOption = Annotated[
    str | None,
    typer.Option(envvar="ANNOTATOR_KEYMAP", help="Keys: default, prodigy, navigate or vim."),
]
ThemeOption = Annotated[str | None, typer.Option(envvar="ANNOTATOR_THEME", help="Colours.")]


def parse_classes(text: str | None) -> tuple[ClassInfo, ...]:
    """Names separated by commas; quotes keep a comma within a name."""
    from annotator.project.settings import ClassInfo, check_classes

    if text is None:
        return ()
    names = tuple(name.strip() for name in next(csv.reader([text]), []))
    check_classes(names)
    return tuple(ClassInfo(name) for name in names)


def override_settings(settings: Settings, **changes: Any) -> Settings:
    """`settings` with those changes that are not None."""
    from dataclasses import replace

    return replace(settings, **{key: value for key, value in changes.items() if value is not None})


def check_setting_names(settings: Settings) -> None:
    """Raises `ProjectError` for a strategy, an estimator or a class to find that does not exist."""
    from annotator.errors import bullet_list
    from annotator.learn.model import load_estimator
    from annotator.learn.registry import STRATEGIES

    problems = [
        f"no {kind} {make_printable(repr(name))}; choose one of {make_printable(', '.join(known))}"
        for kind, name, known in (
            ("strategy", settings.strategy, tuple(STRATEGIES)),
            ("class to find", settings.find, settings.names),
        )
        if name is not None and name not in known
    ]
    try:
        load_estimator(settings.estimator)
    except ProjectError as error:
        problems.append(str(error))
    if problems:
        raise ProjectError(bullet_list(problems, "these names are not known:"))


def with_default_classes(settings: Settings) -> Settings:
    from dataclasses import replace

    from annotator.formats.new_project import DEFAULT_CLASSES
    from annotator.project.settings import ClassInfo

    if settings.classes:
        return settings
    return replace(settings, classes=tuple(ClassInfo(name) for name in DEFAULT_CLASSES))


def open_or_create(
    path: Path, folder: Path | None, classes: str | None, check: Callable[[Settings], None]
) -> ProjectFolder:
    """The project at `path`, or that of the images in it, made where there is none yet.

    `check` hears the settings of a new one before anything is written.
    """
    from annotator.formats import new_project
    from annotator.project.project import ProjectFolder, default_folder, is_project
    from annotator.project.settings import Settings

    if is_project(path):
        folder = path
    elif path.is_file():
        raise ProjectError(
            f"{make_printable(str(path))} is a file; open its folder, or, if it lists images: annotator "
            f"init {make_printable(shlex.quote(path.stem + '.annotator'))} "
            f"--refs {shell_quoted(path)}"
        )
    folder = folder or default_folder(path)
    if not is_project(folder):
        settings = with_default_classes(Settings(classes=parse_classes(classes)))
        if path.is_dir():
            check(settings)
        made = new_project.create_from_folder(folder, path, settings).project
        return ProjectFolder.open(made.folder)  # with the user's own settings, too
    project = ProjectFolder.open(folder)
    if classes and tuple(c.name for c in parse_classes(classes)) != project.settings.names:
        raise ProjectError(
            f"{make_printable(str(folder))} has the classes "
            f"{make_printable(','.join(project.settings.names))}; leave --classes out, or change "
            f"them in {make_printable(str(folder / 'annotator.toml'))}"
        )
    return project


def find_refs_of_others(project: ProjectFolder, annotator: str) -> list[str]:
    from annotator.log.store import SqliteStore
    from annotator.project.item_pool import load_refs
    from annotator.session.scripted import labelled_by_others

    refs = labelled_by_others(SqliteStore(project.labels_file), annotator, load_refs(project))
    if not refs:
        raise ProjectError(
            f"nobody but {make_printable(annotator)} has labelled anything yet; to label first: annotator run "
            f"{shell_quoted(project.folder)}"
        )
    return refs
