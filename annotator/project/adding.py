"""Items added to an existing project, and the check of new classes; every label is kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from annotator.errors import ProjectError
from annotator.items.atomic import write_atomically
from annotator.items.listing import SkippedFiles, walk_images
from annotator.items.ref_keys import RefIndex, is_same_file
from annotator.items.refs import Item, make_printable
from annotator.project.classes import check_classes
from annotator.project.item_pool import cache_refs, load_refs
from annotator.project.lock import lock_project
from annotator.project.project import ProjectFolder
from annotator.project.refs_csv import NewItem, append_items


def add_images(project: ProjectFolder, folder: Path, skipped: SkippedFiles) -> int:
    """Add every image below `folder` that is not an item yet, and return the number added.

    A path inside the project's images folder is stored relative to it, any other path in full.
    """
    require_folder(folder)
    return append_new_items(project, list(_walk_new_items(project, folder, skipped)))


def require_folder(folder: Path) -> None:
    """Raise `ProjectError` for what is not a folder."""
    if not folder.is_dir():
        raise ProjectError(
            f"{make_printable(str(folder))} is not a folder. Name a folder of images."
        )


def check_new_classes(project: ProjectFolder, names: Sequence[str]) -> None:
    """Raise `ProjectError` for a new name that is blank, already used or given twice."""
    settings = project.settings
    check_classes((*settings.names, *names), settings.multi_label)


def _walk_new_items(project: ProjectFolder, folder: Path, left_out: SkippedFiles) -> Iterator[Item]:
    root, folder = project.images.resolve(), folder.resolve()
    for batch in walk_images(folder, left_out):
        for ref in batch:
            yield item_below(root, folder, ref)


def item_below(root: Path, folder: Path, ref: str) -> Item:
    """Return an image of `folder` as an item whose path starts from `root`, both resolved.

    A path inside `root` is stored relative to it, any other path in full.
    """
    if folder == root:
        return Item.parse(ref)
    path = folder / Item.parse(ref).path
    return Item(str(path.relative_to(root) if path.is_relative_to(root) else path))


def append_new_items(project: ProjectFolder, items: Sequence[Item]) -> int:
    """Add the items that no row of the project is, in any spelling of their paths."""
    with lock_project(project.folder):
        known = load_refs(project)
        index = RefIndex(known, project.images)
        rows = index.rows([item.ref for item in items]).tolist()
        new: dict[str, Item] = {}
        for item, row in zip(items, rows, strict=True):
            if row < 0 or not _is_same(project, Item.parse(known[row]), item):
                before = new.setdefault(index.key(item.ref), item)
                if not _is_same(project, before, item):
                    new[item.ref] = item
        if not new:
            return 0
        if not project.refs_file.exists():
            write_atomically(project.refs_file, b"filename,bbox\n")
        append_items(project, [NewItem(item) for item in new.values()])
        if not any(item.box for item in new.values()):  # the text of a box may have fewer digits
            known.extend(item.ref for item in new.values())
            cache_refs(project, known)
    return len(new)


def _is_same(project: ProjectFolder, one: Item, other: Item) -> bool:
    return is_same_file(project.images, one.path, other.path)
