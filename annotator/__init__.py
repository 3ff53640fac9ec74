"""annotator: label a folder of images in the terminal, with a model that learns as you go."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from annotator.version import __version__ as __version__

if TYPE_CHECKING:
    from annotator.api import Project


def open(folder: str | PathLike[str]) -> Project:  # noqa: A001  the verb that fits
    """Open a project folder. Raises `ProjectError` that names every fault of annotator.toml."""
    from annotator import api
    from annotator.project import project

    return api.Project(project.ProjectFolder.open(Path(folder)))
