"""Shell completion of the names that a project holds: its classes and its saved searches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from annotator.errors import AnnotatorError

if TYPE_CHECKING:
    from annotator.project.project import ProjectFolder


def complete_classes(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the classes of the project on the command line."""
    return _matching(ctx, incomplete, lambda project: project.settings.names)


def complete_inner_classes(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the classes with others below them."""
    return _matching(ctx, incomplete, lambda project: project.settings.tree.inner)


def complete_searches(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the saved searches as queries name them, such as `@night`."""
    return [f"@{name}" for name in _matching(ctx, incomplete.removeprefix("@"), _searches)]


def complete_search_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the names of the saved searches."""
    return _matching(ctx, incomplete, _searches)


def _searches(project: ProjectFolder) -> Iterable[str]:
    from annotator.project.saved_searches import read_searches

    return read_searches(project)


def _matching(
    ctx: typer.Context, incomplete: str, find: Callable[[ProjectFolder], Iterable[str]]
) -> list[str]:
    """Return the names that begin with `incomplete`; none if no project can be opened."""
    from annotator.project.project import SETTINGS_FILE, ProjectFolder

    for folder in _folders(ctx):
        if (folder / SETTINGS_FILE).is_file():
            try:
                names = [*find(ProjectFolder.open(folder))]
            except (AnnotatorError, OSError):
                return []
            return [name for name in names if name.startswith(incomplete)]
    return []


def _folders(ctx: typer.Context) -> Iterator[Path]:
    """Yield the folders that may be the project: `run` also takes a folder of images."""
    # An option that has no value yet leaves the arguments behind it unparsed.
    for given in (ctx.params.get("project"), ctx.params.get("path"), *ctx.args):
        if given:
            folder = Path(str(given)).expanduser()
            yield folder
            yield folder.with_name(f"{folder.name}.annotator")
