"""The images that proposals are made for."""

from __future__ import annotations

from pathlib import Path

from annotator.errors import RefError
from annotator.items.listing import SUFFIXES, SkippedFiles, walk_images
from annotator.items.refs import Item, make_printable
from annotator.project.item_pool import load_refs
from annotator.project.project import ProjectFolder
from annotator.proposals.table import has_proposals


def list_image_paths(project: ProjectFolder, left_out: SkippedFiles) -> list[str]:
    """Each image of a project once, in its order, as paths below `project.images`.

    Those that its items name; where the items are proposals, all images of the folder, because
    nothing was found in some. Raises `RefError` where there is none.
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


def require_images(folder: Path) -> None:
    """Raises `RefError` for a folder that holds no image."""
    if not any(walk_images(folder, SkippedFiles())):
        raise _no_image_error(folder)


def _no_image_error(folder: Path) -> RefError:
    kinds = ", ".join(sorted(SUFFIXES))
    return RefError(f"{make_printable(str(folder.resolve()))} holds no image; known are {kinds}")
