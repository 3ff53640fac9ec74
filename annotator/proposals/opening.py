"""The project that the proposals of a folder of images go to, and the images themselves."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from annotator.errors import ProjectError, RefError
from annotator.items.atomic import write_atomically
from annotator.items.listing import IMAGE_SUFFIXES, SkippedFiles, walk_images
from annotator.items.refs import Item, make_printable
from annotator.project.item_pool import load_refs
from annotator.project.project import ProjectFolder, is_project
from annotator.project.settings import ClassInfo, Settings
from annotator.project.staging import stage_project
from annotator.proposals.table import has_proposals

_YES_NO_CLASSES = (
    ClassInfo("no", description="not what is proposed, or a box that does not fit it"),
    ClassInfo("yes", description="the box holds what is proposed"),
)


def default_boxes_folder(images: Path) -> Path:
    """Return the project folder for the proposals of a folder: `photos.boxes` for `photos`."""
    images = images.resolve()
    return images.with_name(images.name + ".boxes")


def open_proposal_project(
    images: Path, folder: Path | None = None, classes: Sequence[str] = (), **settings: Any
) -> ProjectFolder:
    """Open the project for the proposals of `images`; make it if it does not exist.

    If `images` is a project, proposals go there, else to `folder` (`photos.boxes` for `photos`).
    The classes of a new project are `no` and `yes`, or `classes` and `none`. Raises `ProjectError`
    for a folder that does not exist, or a project whose images lie elsewhere; `RefError` for a
    folder without an image.
    """
    if is_project(images):
        return ProjectFolder.open(images)
    if not images.is_dir():
        fault = "is not a folder of images" if images.exists() else "does not exist"
        raise ProjectError(f"{make_printable(str(images))} {fault}.")
    folder = folder or default_boxes_folder(images)
    if is_project(folder):
        return _check_images_folder(ProjectFolder.open(folder), images)
    require_images(images)
    infos = tuple(ClassInfo(name) for name in classes)
    if infos and "none" not in classes:
        infos += (ClassInfo("none", description="no object of these classes"),)
    root = os.path.relpath(images.resolve(), folder.resolve())
    with stage_project(folder) as made:
        chosen = Settings(classes=infos or _YES_NO_CLASSES, images=root, **settings)
        table = ProjectFolder.create(made, chosen).refs_file
        write_atomically(table, b"filename,bbox,name,score,votes,model\n")
    return ProjectFolder.open(folder)  # with the user's own settings, too


def _check_images_folder(project: ProjectFolder, images: Path) -> ProjectFolder:
    if project.images.resolve() != images.resolve():
        raise ProjectError(
            f"{make_printable(str(project.folder))} belongs to the images in "
            f"{make_printable(str(project.images.resolve()))}. Name another folder with --project."
        )
    return project


# --- the images


def list_image_paths(project: ProjectFolder, left_out: SkippedFiles) -> list[str]:
    """Return each image of a project once, in its order, as paths below `project.images`.

    They are the images of its items. If the items are proposals, they are all images of the
    folder, because some may have no proposal. Raises `RefError` for a folder without an image.
    """
    items = [Item.parse(ref) for ref in load_refs(project, left_out)]
    whole = any(item.box is None for item in items)
    if items and (whole or not has_proposals(project)):
        return list(dict.fromkeys(item.path for item in items))
    paths = [
        Item.parse(ref).path for batch in walk_images(project.images, left_out) for ref in batch
    ]
    if not paths:
        raise _no_image_error(project.images)
    return paths


def open_image_project(
    images: Path, say: Callable[[str], None], folder: Path | None = None,
    classes: Sequence[str] = (),
) -> tuple[ProjectFolder, list[str], list[str]]:  # fmt: skip
    """Open the project that proposals go to, as `open_proposal_project` does.

    Say which other files its images lie among. Return it, the paths of its images, and the files
    that cannot be listed, each with its reason.
    """
    project = open_proposal_project(images, folder, classes)
    skipped = SkippedFiles()
    paths = list_image_paths(project, skipped)
    for line in skipped.describe_others():
        say(line)
    return project, paths, list(skipped.names)


def require_images(folder: Path) -> None:
    """Check that a folder holds an image. Raises `RefError` if it does not."""
    if not any(walk_images(folder, SkippedFiles())):
        raise _no_image_error(folder)


def _no_image_error(folder: Path) -> RefError:
    kinds = ", ".join(sorted(IMAGE_SUFFIXES))
    name = make_printable(str(folder.resolve()))
    return RefError(f"{name} holds no image. Known image files are {kinds}.")
