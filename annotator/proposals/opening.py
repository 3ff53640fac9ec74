"""The project that the proposals of a folder of images go to, and the images themselves."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
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
from annotator.proposals.table import has_proposals, read_proposals

IMAGES_FILE = "images.txt"
"""The only images of its folder that a project looks at, one path a line."""
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
    """Open the project for the proposals of `images`, a folder or one image; make it if need be.

    If `images` is a project, proposals go there, else to `folder` (`photos.boxes` for `photos`).
    The classes of a new project are `no` and `yes`, or `classes` and `none`. Raises `ProjectError`
    for a folder that does not exist, or a project whose images lie elsewhere; `RefError` for a
    folder without an image.
    """
    if is_project(images):
        return ProjectFolder.open(images)
    folder = folder or default_boxes_folder(images)
    only = images.name if images.is_file() else ""
    if only and images.suffix.lower() not in IMAGE_SUFFIXES:
        raise ProjectError(f"{make_printable(str(images))} is not a folder of images, nor one.")
    if only:
        images = images.absolute().parent
    if not images.is_dir():
        raise ProjectError(f"{make_printable(str(images))} does not exist.")
    if is_project(folder):
        return _check_images_folder(ProjectFolder.open(folder), images, inside=bool(only))
    if not only:
        require_images(images)
    infos = tuple(ClassInfo(name) for name in classes)
    if infos and "none" not in classes:
        infos += (ClassInfo("none", description="no object of these classes"),)
    root = os.path.relpath(images.resolve(), folder.resolve())
    with stage_project(folder) as made:
        chosen = Settings(classes=infos or _YES_NO_CLASSES, images=root, **settings)
        table = ProjectFolder.create(made, chosen).refs_file
        write_atomically(table, b"filename,bbox,name,score,votes,model\n")
        if only:
            listed = f"{only}\n".encode("utf-8", "surrogateescape")
            write_atomically(made / IMAGES_FILE, listed)
    return ProjectFolder.open(folder)  # with the user's own settings, too


def _check_images_folder(project: ProjectFolder, images: Path, inside: bool) -> ProjectFolder:
    """Return the project if its images are those of a folder, or lie above it with `inside`."""
    root, folder = project.images.resolve(), images.resolve()
    if folder != root and not (inside and folder.is_relative_to(root)):
        raise ProjectError(
            f"{make_printable(str(project.folder))} belongs to the images in "
            f"{make_printable(str(root))}. Name another folder with --project."
        )
    return project


@contextmanager
def discard_if_refused(images: Path, folder: Path | None = None) -> Iterator[None]:
    """Remove the project of `images` if this block makes it, finds nothing, and ends in an error.

    The arguments are those of `open_proposal_project`.
    """
    place = images if is_project(images) else folder or default_boxes_folder(images)
    before = place.exists()
    try:
        yield
    except Exception:
        if not before and is_project(place) and not _holds_results(place):
            shutil.rmtree(place)
        raise


def _holds_results(folder: Path) -> bool:
    """Return whether a project holds a proposal, a label, or an answer of a model."""
    project = ProjectFolder.open(folder)
    if project.labels_file.exists() or next(read_proposals(project), None) is not None:
        return True
    caches = (folder / ".cache" / "detect").glob("*.jsonl")
    return any(file.read_bytes().count(b"\n") > 1 for file in caches)


# --- the images


def list_image_paths(project: ProjectFolder, left_out: SkippedFiles) -> list[str]:
    """Return each image of a project once, in its order, as paths below `project.images`.

    They are those of images.txt, or else the images of its items. If the items are proposals, they
    are all images of the folder, because some may have no proposal. Raises `RefError` for a folder
    without an image.
    """
    listed = project.folder / IMAGES_FILE
    if listed.is_file():
        return list(dict.fromkeys(os.fsdecode(listed.read_bytes()).split("\n")[:-1]))
    items = [Item.parse(ref) for ref in load_refs(project, left_out)]
    whole = any(item.box is None for item in items)
    if items and (whole or not has_proposals(project)):
        return list(dict.fromkeys(item.path for item in items))
    paths = [
        Item.parse(ref).path for batch in walk_images(project.images, left_out) for ref in batch
    ]
    if not paths:
        raise _no_image_error(project.images, left_out)
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
    if images.is_file():
        folder = images.absolute().parent.resolve()
        paths = [(folder / images.name).relative_to(project.images.resolve()).as_posix()]
    else:
        paths = list_image_paths(project, skipped)
    for line in skipped.describe_others():
        say(line)
    return project, paths, list(skipped.names)


def require_images(folder: Path) -> None:
    """Check that a folder holds an image. Raises `RefError` if it does not."""
    skipped = SkippedFiles()
    if not any(walk_images(folder, skipped)):
        raise _no_image_error(folder, skipped)


def _no_image_error(folder: Path, skipped: SkippedFiles) -> RefError:
    kinds = ", ".join(sorted(IMAGE_SUFFIXES))
    name = make_printable(str(folder.resolve()))
    others = "".join(f"\n{line}" for line in skipped.describe_others())
    return RefError(f"{name} holds no image. Known image files are {kinds}.{others}")
