"""The saved searches of a project: `searches.csv`, plain text, safe to edit and to delete."""

from __future__ import annotations

import os
from collections.abc import Mapping

from annotator.errors import RefError
from annotator.items.atomic import write_atomically
from annotator.items.text_files import csv_bytes, read_rows
from annotator.project.lock import lock_project
from annotator.project.project import ProjectFolder

SEARCHES_FILE = "searches.csv"
"""`name,query`: a query by the name that stands for it as `@name`."""


def read_searches(project: ProjectFolder) -> dict[str, str]:
    """Return the query of each saved search, in the order of their file.

    Raises `RefError` if the file is not a CSV file in UTF-8.
    """
    file = project.folder / SEARCHES_FILE
    if not os.path.lexists(file):
        return {}
    rows = [cells for _, cells in read_rows(file)]
    return {cells[0]: cells[1] for cells in rows[1:] if len(cells) > 1 and cells[0]}


def save_search(project: ProjectFolder, name: str, query: str) -> bool:
    """Keep a query under a name; return whether it replaces another query of this name."""
    with lock_project(project.folder):
        before = read_searches(project)
        same = [known for known in before if known.casefold() == name.casefold()]
        others = {known: text for known, text in before.items() if known not in same}
        _write(project, {**others, name: query})
    return any(before[known] != query for known in same)


def forget_search(project: ProjectFolder, name: str) -> None:
    """Delete a saved search. Raises `RefError` if there is none of this name."""
    with lock_project(project.folder):
        before = read_searches(project)
        rest = {known: q for known, q in before.items() if known.casefold() != name.casefold()}
        if len(rest) == len(before):
            names = ", ".join(before) or "none"
            raise RefError(f"{name!r} is not a saved search. Saved: {names}.")
        _write(project, rest)


def _write(project: ProjectFolder, searches: Mapping[str, str]) -> None:
    data = csv_bytes(("name", "query"), searches.items())
    write_atomically(project.folder / SEARCHES_FILE, data)
