"""What a project knows of its classes: names first, then what an annotator may want to look up."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from annotator.errors import ProjectError, bullet_list
from annotator.items.refs import make_printable
from annotator.project.label_sets import NO_CLASS, SEPARATOR


@dataclass(frozen=True, slots=True)
class ClassInfo:
    """One class, known everywhere by its name."""

    name: str
    key: str | None = None
    """A key of its own beside its number; None for the preset's."""
    description: str = ""
    synonyms: tuple[str, ...] = ()
    link: str = ""
    """Where more is said of it."""
    examples: tuple[str, ...] = ()
    """Reference images: refs, from the images' folder."""


def check_classes(names: tuple[str, ...], multi: bool = False) -> None:
    """Raise `ProjectError` unless `names` are one or more, each of its own and not blank."""
    problems = []
    if not names:
        problems.append("there is no class; name some with --classes ok,defect")
    for name in names:
        if not name.strip() or name != name.strip():
            problems.append(f"class {name!r} is blank, or begins or ends with a space")
        if multi and (SEPARATOR in name or name == NO_CLASS):
            problems.append(
                f"class {make_printable(name)}: with multi_label no name holds {SEPARATOR}"
            )
        if "\n" in name or "\r" in name or "\0" in name:
            problems.append(f"class {make_printable(name)} has a line break in its name")
    problems += [
        f"class {make_printable(name)} is named twice"
        for name in sorted(set(names))
        if names.count(name) > 1
    ]
    if problems:
        raise ProjectError(bullet_list(problems, "these classes cannot be used:"))


def read_classes(tables: object, problems: list[str]) -> tuple[ClassInfo, ...]:
    """The classes of annotator.toml: names, or tables. What is wrong is added to `problems`."""
    if not isinstance(tables, list):
        problems.append('classes: should be [[classes]] tables, each with name = "…"')
        return ()
    found = []
    for place, table in enumerate(tables, 1):
        table = {"name": table} if isinstance(table, str) else table
        if not isinstance(table, dict) or not isinstance(table.get("name"), str):
            problems.append(f'classes, number {place}: has no name = "…"')
            continue
        faults = [_fault(key, value) for key, value in table.items()]
        problems += [f"class {make_printable(table['name'])}: {fault}" for fault in faults if fault]
        if not any(faults):
            found.append(ClassInfo(**{key: _plain(value) for key, value in table.items()}))
        else:
            found.append(ClassInfo(table["name"]))
    return tuple(found)


def class_table(info: ClassInfo) -> dict[str, Any]:
    """A class as annotator.toml says it, without what it does not have."""
    values = {field.name: getattr(info, field.name) for field in fields(info)}
    return {
        key: list(value) if isinstance(value, tuple) else value
        for key, value in values.items()
        if value
    }


_TEXTS = ("name", "key", "description", "link")
_LISTS = ("synonyms", "examples")


def _fault(key: str, value: object) -> str:
    if key in _TEXTS:
        good = isinstance(value, str)
        return "" if good else f"{key} = {value!r} should be text"
    if key in _LISTS:
        good = isinstance(value, list) and all(isinstance(one, str) for one in value)
        return "" if good else f'{key} = {value!r} should be a list of texts, as in ["a", "b"]'
    return f"{make_printable(key)}: not known here; known are {', '.join((*_TEXTS, *_LISTS))}"


def _plain(value: Any) -> Any:
    return tuple(map(str, value)) if isinstance(value, list) else str(value)
