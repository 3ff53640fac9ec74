"""The classes of a project: their names, and notes that help an annotator to tell them apart."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, fields
from typing import Any

from annotator.errors import ProjectError, bullet_list
from annotator.items.refs import make_printable
from annotator.project.label_sets import NO_CLASS, SEPARATOR


@dataclass(frozen=True, slots=True)
class ClassInfo:
    """A class, identified everywhere by its name."""

    name: str
    key: str | None = None
    """A key in addition to the number key; None for the keymap's."""
    description: str = ""
    synonyms: tuple[str, ...] = ()
    link: str = ""
    """A page that explains the class."""
    examples: tuple[str, ...] = ()
    """Refs of reference images, relative to the images folder."""
    parent: str | None = None
    """The class that this one is a kind of; see `annotator.project.class_tree`."""


def check_classes(names: tuple[str, ...], multi: bool = False) -> None:
    """Raise `ProjectError` unless there is a name, and all names differ and are not blank."""
    problems = []
    if not names:
        problems.append("there is no class. Name some: --classes ok,defect")
    for name in names:
        if not name.strip() or name != name.strip():
            problems.append(f"class {name!r} is blank, or starts or ends with a space: remove it")
        if multi and (SEPARATOR in name or name == NO_CLASS):
            problems.append(
                f"class {make_printable(name)}: with multi_label, a name must not be {NO_CLASS} "
                f"or contain {SEPARATOR}"
            )
        if "\n" in name or "\r" in name or "\0" in name:
            problems.append(f"class {make_printable(name)} has a line break in its name")
    problems += [
        f"class {make_printable(name)} is named twice"
        for name, count in sorted(Counter(names).items())
        if count > 1
    ]
    if problems:
        raise ProjectError(bullet_list(problems, "These classes cannot be used:"))


def read_classes(tables: object, problems: list[str]) -> tuple[ClassInfo, ...]:
    """Return the classes of annotator.toml, names or tables; faults are added to `problems`."""
    if not isinstance(tables, list):
        problems.append('classes: should be [[classes]] tables, each with name = "…"')
        return ()
    found = []
    for place, table in enumerate(tables, 1):
        table = {"name": table} if isinstance(table, str) else table
        if not isinstance(table, dict) or not isinstance(table.get("name"), str):
            problems.append(f'classes: number {place} has no name = "…"')
            continue
        faults = [_fault(key, value) for key, value in table.items()]
        problems += [f"class {make_printable(table['name'])}: {fault}" for fault in faults if fault]
        if not any(faults):
            found.append(ClassInfo(**{key: _plain(value) for key, value in table.items()}))
        else:
            found.append(ClassInfo(table["name"]))
    return tuple(found)


def class_table(info: ClassInfo) -> dict[str, Any]:
    """Return a class as a table of annotator.toml, without its empty fields."""
    values = {field.name: getattr(info, field.name) for field in fields(info)}
    return {
        key: list(value) if isinstance(value, tuple) else value
        for key, value in values.items()
        if value
    }


_TEXTS = ("name", "parent", "key", "description", "link")
_LISTS = ("synonyms", "examples")


def _fault(key: str, value: object) -> str:
    if key in _TEXTS:
        good = isinstance(value, str)
        return "" if good else f"{key} = {value!r} should be text"
    if key in _LISTS:
        good = isinstance(value, list) and all(isinstance(text, str) for text in value)
        return "" if good else f'{key} = {value!r} should be a list of texts, as in ["a", "b"]'
    return (
        f"{make_printable(key)}: not a key of a class; the keys are {', '.join((*_TEXTS, *_LISTS))}"
    )


def _plain(value: Any) -> Any:
    return tuple(map(str, value)) if isinstance(value, list) else str(value)
