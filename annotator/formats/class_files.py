"""Files of classes: one name a line, or YAML with keys, descriptions and synonyms."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from annotator.errors import ProjectError, RefError, bullet_list
from annotator.formats.reading import read_text
from annotator.formats.yolo.data_yaml import YamlNode, load_yaml_tree
from annotator.items.refs import make_printable
from annotator.project.class_tree import expand_paths
from annotator.project.classes import ClassInfo, check_classes, read_classes

LISTS = (".txt", ".names")
"""Files with one name a line."""
YAMLS = (".yaml", ".yml")
OTHERS = (".csv", ".json", ".xml", ".toml")
"""Files that one may take for a file of classes."""
_REMEDY = (
    "Give a UTF-8 file with one name a line (.txt), a YAML file, or the names, separated by commas."
)

_NO_CLASS = "should be the name of a class, or `name: …` with its key and description"


def is_class_file(text: str) -> bool:
    """Return True if the value of --classes names a file, not classes."""
    return "," not in text and text.casefold().endswith((*LISTS, *YAMLS, *OTHERS))


def read_class_file(file: Path) -> tuple[ClassInfo, ...]:
    """Return the classes of a file. Raises `ProjectError` with every fault and its line.

    A name such as `vehicle/car` is a class within another.
    """
    shown, suffix = make_printable(str(file)), file.suffix.casefold()
    if suffix not in (*LISTS, *YAMLS):
        raise ProjectError(f"{shown} is not a file of classes. {_REMEDY}")
    try:
        text = read_text(file)
        lines = _list_lines(text) if suffix in LISTS else _yaml_lines(load_yaml_tree(text))
        infos = _read_lines(lines, shown)
    except RefError as error:
        why = (
            str(error)
            .removeprefix(f"{shown} cannot be read: ")
            .removeprefix(f"{shown}, ")
            .rstrip(".")
        )
        raise ProjectError(f"The classes of {shown} cannot be read: {why}. {_REMEDY}") from error
    try:
        found = expand_paths(infos)
        check_classes(tuple(info.name for info in found))
    except ProjectError as error:
        raise ProjectError(f"{shown}: {error}") from error
    return found


Rows = Iterator[tuple[int, dict[str, Any] | None]]
"""Lines, and the classes there as tables of annotator.toml; None for anything else."""


def _read_lines(rows: Rows, shown: str) -> list[ClassInfo]:
    """Return the classes of the rows. Raises `ProjectError` for faults of their keys."""
    infos: list[ClassInfo] = []
    problems: list[str] = []
    seen: dict[str, int] = {}
    for line, table in rows:
        faults: list[str] = []
        if table is None:
            problems.append(f"line {line}: {_NO_CLASS}")
            continue
        infos += read_classes([table], faults)
        name = table["name"]
        if (before := seen.setdefault(name, line)) != line:
            faults.append(f"class {make_printable(name)} is on line {before}, too: remove one")
        problems += [f"line {line}, {fault}" for fault in faults]
    if problems:
        raise ProjectError(bullet_list(problems, f"{shown} has faults:"))
    return infos


def _list_lines(text: str) -> Rows:
    for line, name in enumerate(text.splitlines(), 1):
        if name.strip():
            yield line, {"name": name.strip()}


def _yaml_lines(node: YamlNode | None) -> Rows:
    """Yield the classes of a list, or of a mapping of names; `classes` or `names` may hold it."""
    value = "" if node is None else node.value
    if isinstance(value, dict):
        held = value.get("classes", value.get("names"))
        if held is not None and not isinstance(held.value, str):
            yield from _yaml_lines(held)
            return
        numbered = all(key.isdecimal() for key in value)
        for key, inner in value.items():
            # A data.yaml numbers its names.
            yield inner.line, _table(inner, None if numbered else key)
    elif isinstance(value, list):
        for inner in value:
            yield inner.line, _table(inner, None)
    elif value:
        raise RefError(f"line {node.line if node else 1}: should be a list of classes")


def _table(node: YamlNode, name: str | None) -> dict[str, Any] | None:
    """Return a class, its name or its description or its keys, as a table; None for no class."""
    value = _plain(node)
    if isinstance(value, str):
        return {"name": value} if name is None else {"name": name, "description": value}
    if isinstance(value, dict):
        table = value if name is None else {"name": name, **value}
        if isinstance(table.get("name"), str):
            return table
    return None


def _plain(node: YamlNode) -> Any:
    if isinstance(node.value, list):
        return [_plain(inner) for inner in node.value]
    if isinstance(node.value, dict):
        return {key: _plain(inner) for key, inner in node.value.items()}
    return node.value
