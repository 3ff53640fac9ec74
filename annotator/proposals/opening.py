"""The project that the proposals of a folder of images go to."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from annotator.errors import ProjectError
from annotator.items.atomic import write_atomically
from annotator.items.refs import make_printable
from annotator.project.project import ProjectFolder, is_project
from annotator.project.settings import ClassInfo, Settings
from annotator.proposals.images import require_images

_YES_NO_CLASSES = (
    ClassInfo("no", description="not what is proposed, or a box that does not fit it"),
    ClassInfo("yes", description="the box holds what is proposed"),
)


def default_boxes_folder(images: Path) -> Path:
    """Where the proposals of a folder of images go: `photos` has `photos.boxes`."""
    images = images.resolve()
    return images.with_name(images.name + ".boxes")


def open_proposal_project(
    images: Path, folder: Path | None = None, classes: Sequence[str] = (), **settings: Any
) -> ProjectFolder:
    """The project that the proposals of `images` go to: `images` itself where it is a project,
    else `folder` (`photos.boxes` for `photos`), made where there is none yet.

    A new one is labelled with the keys for `no` and `yes`, or with `classes`, to which `none` is
    added. Raises `ProjectError` for a folder of images that is not there, or a project whose
    images lie elsewhere; `RefError` for a folder without an image.
    """
    if is_project(images):
        return ProjectFolder.open(images)
    if not images.is_dir():
        fault = "is not a folder of images" if images.exists() else "does not exist"
        raise ProjectError(f"{make_printable(str(images))} {fault}")
    folder = folder or default_boxes_folder(images)
    if is_project(folder):
        return _check_images_folder(ProjectFolder.open(folder), images)
    require_images(images)
    infos = tuple(ClassInfo(name) for name in classes)
    if infos and "none" not in classes:
        infos += (ClassInfo("none", description="no object of these classes"),)
    root = os.path.relpath(images.resolve(), folder.resolve())
    made = ProjectFolder.create(
        folder, Settings(classes=infos or _YES_NO_CLASSES, images=root, **settings)
    )
    write_atomically(made.refs_file, b"filename,bbox,name,score,votes,model\n")
    return ProjectFolder.open(made.folder)  # with the user's own settings, too


def _check_images_folder(project: ProjectFolder, images: Path) -> ProjectFolder:
    if project.images.resolve() != images.resolve():
        raise ProjectError(
            f"{make_printable(str(project.folder))} has its images in "
            f"{make_printable(str(project.images.resolve()))}; give --project another folder"
        )
    return project
