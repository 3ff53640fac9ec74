"""Numbers of classes for formats that know classes by number: a number is never given twice.

They are kept in `class-ids.json` of the project. A new class gets the next free number; a removed
class keeps its own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from annotator.errors import ProjectError
from annotator.items.atomic import read_file, write_atomically
from annotator.items.refs import make_printable
from annotator.project.lock import lock_project
from annotator.project.project import ProjectFolder

if TYPE_CHECKING:
    from annotator.formats.source import ExportSource

CLASS_IDS_FILE = "class-ids.json"
COCO_IDS, YOLO_IDS = "coco", "yolo"
"""The keys of class-ids.json. Formats of one family share a numbering and its key."""


def assign_class_ids(source: ExportSource, kind: str, first: int) -> dict[str, int]:
    """Return each class's number, ascending, and note them for the user.

    `kind` is the numbering in the file and `first` its lowest number; each level of a hierarchy has
    a numbering of its own, so that its numbers have no gaps. A project that cannot be
    written gets a note that the numbers are not kept. Raises `ProjectError` for a damaged file.
    """
    kind = kind if source.level is None else f"{kind} {source.level}"
    with lock_project(source.project.folder):
        return _assign(source, kind, first)


def _assign(source: ExportSource, kind: str, first: int) -> dict[str, int]:
    known = _read_class_ids(source.project)
    held = known.get(kind, {})
    found = dict(held)
    for name in source.classes:
        if name not in found:
            found[name] = max(found.values(), default=first - 1) + 1
    ids = dict(sorted(found.items(), key=lambda pair: pair[1]))
    source.note(format_class_ids(ids))
    if found != held:
        try:
            write_class_ids(source.project.folder, {**known, kind: found})
        except ProjectError as error:
            source.note(f"{error} They hold as long as annotator.toml keeps its order.")
    return ids


def check_class_ids(project: ProjectFolder) -> None:
    """Raise `ProjectError` if `class-ids.json` is damaged."""
    _read_class_ids(project)


def write_class_ids(folder: Path, ids: Mapping[str, Mapping[str, int]]) -> None:
    """Write `class-ids.json`. Raises `ProjectError`."""
    file = folder / CLASS_IDS_FILE
    text = json.dumps(ids, ensure_ascii=False, indent=1) + "\n"
    try:
        write_atomically(file, text.encode())
    except OSError as error:
        raise ProjectError(
            f"{make_printable(str(file))} cannot be written: {error.strerror}. The numbers of the "
            "classes are not kept."
        ) from error


def format_class_ids(ids: Mapping[str, int]) -> str:
    """Return the numbers of classes as one line for the user."""
    return "class numbers: " + make_printable(
        ", ".join(f"{number} {name}" for name, number in ids.items())
    )


def _read_class_ids(project: ProjectFolder) -> dict[str, dict[str, int]]:
    file = project.folder / CLASS_IDS_FILE
    if not file.exists():
        return {}
    try:
        found = json.loads(read_file(file))
        sound = all(_is_sound(ids) for ids in found.values())
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        raise ProjectError(_damaged_message(file, str(error))) from error
    if not sound:
        raise ProjectError(_damaged_message(file, "a class has no number, or two have the same"))
    return dict(found)


def _is_sound(ids: Any) -> bool:
    numbers = list(ids.values())
    whole = all(type(number) is int and number >= 0 for number in numbers)
    return whole and len(set(numbers)) == len(numbers)


def _damaged_message(file: Path, reason: str) -> str:
    return (
        f"{make_printable(str(file))} is damaged: {make_printable(reason)}. Fix it, or "
        "remove it to number the classes anew."
    )
