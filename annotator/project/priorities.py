"""Items to ask before any that the query strategy picks: what detectors disagree about, clusters.

`first.csv` in the project's folder holds `ref,why`, in the order in which to ask; plain text, safe
to edit and to delete. `why` goes into the log as what picked the item; such labels teach the
model, and stay out of the error estimate, because nothing was drawn at random.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from annotator.items.atomic import write_atomically
from annotator.items.csv_rows import csv_bytes, read_rows
from annotator.project.project import ProjectFolder

PRIORITIES_FILE = "first.csv"


class Priority(NamedTuple):
    """An item that is to be asked early."""

    ref: str
    why: str
    """What picked it, in a word: "disagreement", "cluster" …"""


def read_priorities(project: ProjectFolder) -> list[Priority]:
    """What is to be asked first, in order; empty without such a file, and for lines without ref.

    Raises `RefError` for a file that is no CSV in UTF-8.
    """
    file = project.folder / PRIORITIES_FILE
    if not file.is_file():
        return []
    rows = [cells for _, cells in read_rows(file)]
    return [Priority(*(*cells, "first")[:2]) for cells in rows[1:] if cells[0]]


def write_priorities(project: ProjectFolder, items: Iterable[Priority], *, replace: str) -> None:
    """Ask `items` first, before what stood there; lines with the reason `replace` give way."""
    new = list(items)
    refs = {item.ref for item in new}
    kept = [old for old in read_priorities(project) if old.why != replace and old.ref not in refs]
    write_atomically(project.folder / PRIORITIES_FILE, csv_bytes(Priority._fields, [*new, *kept]))
