"""Text lists: one path a line, or `path top left bottom right`."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from annotator.errors import ProjectError, RefError, several
from annotator.formats.csv import label_entries
from annotator.listing import read_list
from annotator.log import State
from annotator.project import Project
from annotator.refs import Item, printable
from annotator.store import Store


def export(refs: Sequence[str], state: State, label: str | None) -> Iterator[bytes]:
    """The items with `label` (any label for None), one a line, in the order of the pool."""
    for ref in refs:
        found = state.label(ref)
        if found is not None and label in (None, found):
            yield f"{line(Item.parse(ref))}\n".encode()


def line(item: Item) -> str:
    """An item as `path` or `path top left bottom right`, in whole pixels."""
    if item.box is None:
        return item.path
    x, y, w, h = item.box
    return f"{item.path} {round(y)} {round(x)} {round(y + h)} {round(x + w)}"


def import_labels(
    project: Project,
    store: Store,
    state: State,
    refs: Mapping[str, int] | Sequence[str],
    file: Path,
    label: str,
    now: float | None = None,
) -> int:
    """Give every listed item `label`, as "import:list"; how many were new."""
    if label not in project.settings.names:
        raise ProjectError(
            f"{printable(label)!r} is not a class of {printable(str(project.folder))}"
        )
    problems: list[str] = []
    rows = [row._replace(label=label) for row in read_list(file, project.images, problems)]
    problems += [
        f"{printable(file.name)}, line {row.line}: {printable(row.item.ref)} is not in the project"
        for row in rows
        if row.item.ref not in refs
    ]
    if problems:
        raise RefError(several(problems, f"{printable(str(file))}: nothing was imported:"))
    at = time.time() if now is None else now
    return len(store.append(*label_entries(rows, state, "import:list", at)))
