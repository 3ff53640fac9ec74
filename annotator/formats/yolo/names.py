"""The files that name the classes of a YOLO data set: data.yaml, classes.txt or obj.names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from annotator.errors import RefError
from annotator.formats.reading import read_text, require_text
from annotator.formats.yolo import data_yaml
from annotator.items.refs import make_printable, plural
from annotator.items.text_files import read_text_head

DATA_FILES = ("data.yaml", "data.yml", "dataset.yaml")
CLASS_LISTS = ("classes.txt", "obj.names", "labels/classes.txt", "_darknet.labels")
"""Lists of classes, one a line, as labelImg, Label Studio, CVAT and Roboflow write them."""
NOT_LABELS = frozenset(
    ["classes.txt", "train.txt", "val.txt", "valid.txt", "test.txt", "predefined_classes.txt"]
)
"""Names of text files that may lie beside label files and hold none."""
_NAMES = re.compile(r"^[\"']?names[\"']?\s*:", re.M)
_FLOAT = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_LABEL_LINE = re.compile(rf"\s*\d+(?:\.0*)?(?:[ \t]+{_FLOAT}){{4,}}\s*(?:\r?\n|$)")
_HEAD = 1 << 12

Names = dict[int, str]
Members = Mapping[str, tuple[data_yaml.YamlValue, int]]


def find_names_file(path: Path) -> Path | None:
    """Return the file itself, or the one in a folder that names the classes, if any.

    Raises `RefError` for a folder with several of another name.
    """
    if path.is_file():
        return path
    for name in DATA_FILES:
        if (path / name).is_file():
            return path / name
    others = sorted(
        file for pattern in ("*.yaml", "*.yml") for file in path.glob(pattern)
        if not file.name.startswith(".") and _names_classes(file)
    )  # fmt: skip
    if len(others) > 1:
        listed = make_printable(", ".join(file.name for file in others[:5]))
        raise RefError(
            f"{make_printable(str(path))} holds several files that may name the classes: {listed}. "
            "Open one of them instead of the folder."
        )
    lists = (path / name for name in CLASS_LISTS)
    return next((file for file in (*others, *lists) if file.is_file()), None)


def is_data_yaml(file: Path) -> bool:
    """Return True for a data.yaml, False for a list of classes."""
    return file.suffix.lower() in (".yaml", ".yml")


def holds_label_line(file: Path) -> bool:
    """Return True if a text file begins with the numbers of a label."""
    if file.name.lower() in NOT_LABELS:
        return False
    try:
        return bool(_LABEL_LINE.match(read_text_head(file, _HEAD)))
    except OSError:
        return False


def read_class_list(file: Path) -> Names:
    """Return the classes of a list, numbered from 0. Raises `RefError` with the line of a fault."""
    found: Names = {}
    seen: dict[str, int] = {}
    lines = read_text(file).splitlines()
    while lines and not lines[-1].strip():
        lines.pop()
    for number, text in enumerate(lines):
        place, name = f"{make_printable(str(file))}, line {number + 1}", text.strip()
        if not name:
            raise RefError(f"{place}: is blank, so the numbers after it are not sure")
        if name in seen:
            raise RefError(f"{place}: {make_printable(name)!r} stands on line {seen[name]}, too")
        seen[name] = number + 1
        try:
            found[number] = require_text(name, "a class")
        except RefError as error:
            raise RefError(f"{place}: {error}") from None
    if not found:
        raise RefError(f"{make_printable(str(file))} names no class. Write one a line.")
    return found


def read_data_yaml(file: Path) -> Members:
    """Return the members of data.yaml and their lines. Raises `RefError` with file and line."""
    text = read_text(file)
    try:
        return data_yaml.load_yaml(text)
    except RefError as error:
        raise RefError(f"{make_printable(str(file))}, {error}") from None


def read_names(file: Path, members: Members) -> Names:
    """Return the classes of data.yaml by their numbers. Raises `RefError`."""
    value, line = members.get("names", ("", 1))
    place = f"{make_printable(str(file))}, line {line}, names"
    if isinstance(value, list):
        value = {str(key): name for key, name in enumerate(value)}
    if not isinstance(value, dict) or not value:
        raise RefError(f"{place}: should list the classes, as [ok, defect] or 0: ok")
    found: Names = {}
    seen: set[str] = set()
    for key, name in value.items():
        if not key.isdecimal() or len(key) > 9:
            raise RefError(f"{place}: {make_printable(key)!r} is not the number of a class")
        if int(key) in found or name in seen or not name:
            raise RefError(f"{place}: class {key} {make_printable(name)!r} is blank or repeated")
        try:
            found[int(key)] = require_text(name, "a class")
            seen.add(name)
        except RefError as error:
            raise RefError(f"{place}: {error}") from None
    return found


def check_count(file: Path, members: Members, names: Names) -> None:
    """Raise `RefError` if `nc` of data.yaml is not the number of its names."""
    value, line = members.get("nc", ("", 1))
    counts = {str(len(names)), str(max(names) + 1)}
    if value and value not in counts:
        raise RefError(
            f"{make_printable(str(file))}, line {line}, nc: is {make_printable(str(value)[:20])}, "
            f"and names lists {plural(len(names), 'class', 'classes')}. Correct one of them."
        )


def check_darknet_count(file: Path, names: Names) -> None:
    """Raise `RefError` if `classes` of the obj.data beside a list is not the number of names."""
    data = file.parent / "obj.data"
    if not data.is_file():
        return
    found = re.search(r"^\s*classes\s*=\s*(\d{1,9})\s*$", read_text(data), re.M)
    if found and int(found[1]) != len(names):
        raise RefError(
            f"{make_printable(str(data))}: classes is {found[1]}, and {make_printable(file.name)} "
            f"lists {plural(len(names), 'class', 'classes')}. Correct one of them."
        )


def _names_classes(file: Path) -> bool:
    try:
        return bool(_NAMES.search(read_text_head(file, 1 << 20)))
    except OSError:
        return False
