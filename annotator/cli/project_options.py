"""The options that several commands share, and the settings and projects that they give."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from annotator.cli.option_types import complete_names, split_at_commas
from annotator.cli.project_names import complete_classes
from annotator.errors import MOST_LISTED, FeatureError, ProjectError
from annotator.items.json_text import to_json_text
from annotator.items.refs import make_printable, shell_quoted

if TYPE_CHECKING:
    from collections.abc import Callable

    from annotator.project.project import ProjectFolder
    from annotator.project.settings import ClassInfo, Settings
    from annotator.tui.launch import PoolPart


ProjectArgument = Annotated[Path, typer.Argument(metavar="PROJECT", help="A project folder.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
ClassesOption = Annotated[
    str | None,
    typer.Option(
        "--classes",
        help="The class names, separated by commas, or a file: .txt with one name a line, or .yaml "
        "with keys and descriptions. The first class gets key A.",
    ),
]
AnnotatorOption = Annotated[
    str | None,
    typer.Option(envvar="ANNOTATOR_NAME", help="The annotator's name. Default: your login name."),
]
GraphicsOption = Annotated[
    str | None,
    typer.Option(
        envvar="ANNOTATOR_GRAPHICS",
        help="The picture protocol: auto, kitty, sixel, iterm, halfcell or none.",
        autocompletion=complete_names("annotator.terminal.choose:GRAPHICS"),
    ),
]
StrategyOption = Annotated[
    str | None,
    typer.Option(
        envvar="ANNOTATOR_STRATEGY",
        help="The query strategy, such as margin or random.",
        autocompletion=complete_names("annotator.learn.registry:STRATEGIES"),
    ),
]
FindOption = Annotated[
    str | None,
    typer.Option(help="Search for this rare class.", autocompletion=complete_classes),
]
ZeroShotOption = Annotated[
    str | None,
    typer.Option(
        envvar="ANNOTATOR_ZERO_SHOT",
        help="Start from the names of the classes where texts are read (annotator words): auto "
        "or off.",
        autocompletion=complete_names("annotator.project.settings:ZERO_SHOT_MODES"),
    ),
]
EstimatorOption = Annotated[
    str | None,
    typer.Option(
        help="The classifier: ridge, logistic, module:Class or file.py:Class.",
        autocompletion=complete_names("annotator.learn.model:ESTIMATORS"),
    ),
]
ContextOption = Annotated[
    float | None,
    typer.Option(
        min=0, max=10, help="The margin shown around a box, as a share of its larger side."
    ),
]
ModelOption = Annotated[
    str | None,
    typer.Option(
        envvar="ANNOTATOR_MODEL",
        help="The feature extractor: classic, dinov2-small, a Hugging Face id or a folder.",
        autocompletion=complete_names("annotator.features.weights:MODELS", "classic"),
    ),
]
KeymapOption = Annotated[
    str | None,
    typer.Option(
        envvar="ANNOTATOR_KEYMAP",
        help="The keymap: default, exact, azerty, prodigy, navigate or vim.",
        autocompletion=complete_names("annotator.tui.keymaps:KEYMAPS"),
    ),
]
ThemeOption = Annotated[
    str | None,
    typer.Option(
        envvar="ANNOTATOR_THEME",
        help="The colour theme.",
        autocompletion=complete_names("annotator.tui.themes:THEMES"),
    ),
]


def parse_classes(text: str | None) -> tuple[ClassInfo, ...]:
    """Return the classes of names separated by commas; quotes keep a comma within a name.

    A file instead of names holds one name a line, or YAML.
    """
    from annotator.formats.class_files import is_class_file, read_class_file
    from annotator.project.settings import ClassInfo, check_classes

    if text is None:
        return ()
    if is_class_file(text):
        return read_class_file(Path(text))
    names = tuple(split_at_commas(text))
    check_classes(names)
    return tuple(ClassInfo(name) for name in names)


def warn_of_other_model(project: ProjectFolder, refuse: bool = False) -> None:
    """Say on stderr if the features come from another model than the settings name.

    With `refuse`, raise `FeatureError` instead.
    """
    model = project.settings.model
    if model == "auto":
        return  # it never names another one
    from annotator.features.choice import explain_other_model

    if words := explain_other_model(project.features_folder, project.folder, model):
        if refuse:
            raise FeatureError(words)
        typer.echo(words, err=True)


def override_settings(settings: Settings, **changes: Any) -> Settings:
    """Return `settings` with the changes that are not None."""
    from dataclasses import replace

    return replace(settings, **{key: value for key, value in changes.items() if value is not None})


def check_setting_names(settings: Settings) -> None:
    """Raise `ProjectError` for an unknown strategy, estimator or class to find."""
    from annotator.errors import bullet_list
    from annotator.project.settings import ZERO_SHOT_MODES

    problems = [
        f"there is no {kind} {make_printable(repr(name))}; choose one of "
        f"{make_printable(', '.join(known))}"
        for kind, name, known in (
            ("strategy", settings.strategy, _known_strategies(settings.strategy)),
            ("class to find", settings.find, settings.names),
        )
        if name is not None and name not in known
    ]
    if settings.zero_shot not in ZERO_SHOT_MODES:
        problems.append(f"zero-shot is auto or off, not {make_printable(settings.zero_shot)}")
    problems += _find_estimator_faults(settings.estimator)
    if problems:
        raise ProjectError(bullet_list(problems, "These settings cannot be used:"))


def _known_strategies(name: str) -> tuple[str, ...]:
    """Return the names of the strategies; of the default one alone without the others' code."""
    from annotator.learn.strategies import DEFAULT_STRATEGY

    if name == DEFAULT_STRATEGY:
        return (name,)
    from annotator.learn.registry import STRATEGIES

    return tuple(STRATEGIES)


def _find_estimator_faults(name: str) -> list[str]:
    """Return why an estimator cannot be used; the default one can."""
    from annotator.project.settings import Settings

    if name != Settings(()).estimator:
        from annotator.learn.model import load_estimator

        try:
            load_estimator(name)
        except ProjectError as error:
            return [str(error)]
    return []


def with_default_classes(settings: Settings) -> Settings:
    """Return settings with the default classes if they have none."""
    from dataclasses import replace

    from annotator.formats.new_project import DEFAULT_CLASSES
    from annotator.project.settings import ClassInfo

    if settings.classes:
        return settings
    return replace(settings, classes=tuple(ClassInfo(name) for name in DEFAULT_CLASSES))


def open_or_create(
    path: Path, folder: Path | None, classes: str | None, check: Callable[[Settings], None]
) -> ProjectFolder:
    """Open the project at `path`, or the project of the images in it; create it if needed.

    `check` is called with the settings of a new project before anything is written.
    """
    from annotator.project.project import ProjectFolder, default_folder, is_project
    from annotator.project.settings import Settings

    if is_project(path):
        folder = path
    elif path.is_file():
        raise ProjectError(
            f"{make_printable(str(path))} is a file. Open its folder, or, if it lists images: "
            f"annotator init {shell_quoted(path.stem + '.annotator')} "
            f"--refs {shell_quoted(path)}"
        )
    folder = folder or default_folder(path)
    if not is_project(folder):
        settings = with_default_classes(Settings(classes=parse_classes(classes)))
        if path.is_dir():
            check(settings)
        from annotator.formats import new_project

        made = new_project.create_from_folder(folder, path, settings).project
        return ProjectFolder.open(made.folder)  # reads the user's own settings as well
    project = ProjectFolder.open(folder)
    if classes and tuple(c.name for c in parse_classes(classes)) != project.settings.names:
        raise ProjectError(
            f"{make_printable(str(folder))} has other classes: "
            f"{list_names(project.settings.names)}. Leave --classes out. To add classes: "
            f"annotator add {shell_quoted(folder)} --classes {shell_quoted(classes)}"
        )
    return project


def list_names(names: Sequence[str]) -> str:
    """Return names with commas, of many the first ones."""
    more = f" and {len(names) - MOST_LISTED:,} more" if len(names) > MOST_LISTED else ""
    return make_printable(", ".join(names[:MOST_LISTED])) + more


def find_refs_of_others(
    project: ProjectFolder, annotator: str, part: PoolPart | None = None
) -> list[str]:
    """Return the refs, all or those of a part, that other annotators have labelled.

    Raises `ProjectError` without any.
    """
    from annotator.log.store.open import open_store
    from annotator.project.item_pool import load_refs
    from annotator.session.scripted import labelled_by_others

    pool = load_refs(project)
    refs = labelled_by_others(open_store(project), annotator, pool)
    if part is not None and refs:
        refs = [ref for ref, row in zip(refs, pool.rows(refs), strict=True) if part.mask[row]]
    if not refs:
        raise ProjectError(
            "A second opinion needs a label by an annotator other than "
            f"{make_printable(annotator)}, and there is none yet. Label first: "
            f"annotator run {shell_quoted(project.folder)}"
        )
    return refs


def require_terminal(task: str, *, stdout: bool = True) -> None:
    """Raise `ProjectError` without a terminal; `stdout` may be a pipe if it is False."""
    if not (sys.stdin.isatty() and (sys.stdout.isatty() or not stdout)):
        raise ProjectError(f"{task} needs a terminal. Over ssh, use `ssh -t`.")


def format_output_name(file: Path) -> str:
    """Return the name of an output file for a message; "-" is standard output."""
    return "standard output" if str(file) == "-" else make_printable(str(file))


def print_json(document: Any) -> None:
    """Print a document as indented JSON."""
    typer.echo(to_json_text(document, indent=1))
