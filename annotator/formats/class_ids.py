"""Numbers of classes for formats that know classes by number: given once, never again to another.

They stand in `class-ids.json` of the project. A new class gets the next free number; one that is
no class any more keeps its own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from annotator.errors import ProjectError
from annotator.items.atomic import write_atomically
from annotator.items.refs import make_printable
from annotator.project.project import ProjectFolder

if TYPE_CHECKING:
    from annotator.formats.source import ExportSource

CLASS_IDS_FILE = "class-ids.json"
COCO_IDS, YOLO_IDS = "coco", "yolo"
"""The numberings of that file, named after the format that shares them with its relatives."""


def assign_class_ids(source: ExportSource, kind: str, first: int) -> dict[str, int]:
    """Class to number, ascending; `kind` names the formats that share them, `first` the lowest.

    They are said; so it is where they cannot be kept, in a project that cannot be written. Raises
    `ProjectError` for a file that is damaged.
    """
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
            source.note(f"{error}: these hold while the order in annotator.toml stays as it is")
    return ids


def check_class_ids(project: ProjectFolder) -> None:
    """Raises `ProjectError` for a `class-ids.json` that is damaged."""
    _read_class_ids(project)


def write_class_ids(folder: Path, ids: Mapping[str, Mapping[str, int]]) -> None:
    """Write `class-ids.json`. Raises `ProjectError`."""
    text = json.dumps(ids, ensure_ascii=False, indent=1) + "\n"
    try:
        write_atomically(folder / CLASS_IDS_FILE, text.encode())
    except OSError as error:
        raise ProjectError(
            f"{make_printable(str(folder / CLASS_IDS_FILE))} cannot be written: {error.strerror}; it keeps the "
            "numbers of the classes"
        ) from error


def format_class_ids(ids: Mapping[str, int]) -> str:
    return "class numbers: " + make_printable(
        ", ".join(f"{number} {name}" for name, number in ids.items())
    )


def _read_class_ids(project: ProjectFolder) -> dict[str, dict[str, int]]:
    file = project.folder / CLASS_IDS_FILE
    if not file.exists():
        return {}
    try:
        found = json.loads(file.read_text("utf-8"))
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
        f"{make_printable(str(file))} is damaged ({make_printable(reason)}): it keeps the numbers of the "
        "classes; mend it, or remove it to number them anew"
    )
