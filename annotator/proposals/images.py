"""The images that proposals are made for."""

from __future__ import annotations

from pathlib import Path

from annotator.errors import RefError
from annotator.items.listing import SUFFIXES, LeftOut, walk
from annotator.items.refs import Item, printable
from annotator.project.item_pool import load
from annotator.project.project import Project
from annotator.proposals.table import has_proposals


def image_paths(project: Project, left_out: LeftOut) -> list[str]:
    """Each image of a project once, in its order, as paths below `project.images`.

    Those that its items name; where the items are proposals, all images of the folder, because
    nothing was found in some. Raises `RefError` where there is none.
    """
    items = [Item.parse(ref) for ref in load(project, left_out)]
    whole = any(item.box is None for item in items)
    if items and (whole or not has_proposals(project)):
        return list(dict.fromkeys(item.path for item in items))
    paths = [Item.parse(ref).path for batch in walk(project.images, left_out) for ref in batch]
    if not paths:
        raise _no_image(project.images)
    return paths


def check_some(folder: Path) -> None:
    """Raises `RefError` for a folder that holds no image."""
    if not any(walk(folder, LeftOut())):
        raise _no_image(folder)


def _no_image(folder: Path) -> RefError:
    kinds = ", ".join(sorted(SUFFIXES))
    return RefError(f"{printable(str(folder.resolve()))} holds no image; known are {kinds}")
