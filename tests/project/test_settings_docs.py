"""docs/settings.md has every setting, with its type's default and an example that is accepted."""

from __future__ import annotations

import json
import re
from dataclasses import MISSING, Field, fields
from pathlib import Path

import pytest

from annotator.errors import ProjectError
from annotator.project.settings import (
    ClassInfo,
    Settings,
    read_personal_settings,
    read_settings,
)
from annotator.tui.keymaps import COMMAND_NAMES

PAGE = (Path(__file__).parents[2] / "docs" / "settings.md").read_text()
CLASSES = 'classes = ["ok", "defect"]'
SETTINGS, CLASS_KEYS = fields(Settings), fields(ClassInfo)


def _rows(columns: int) -> dict[str, list[str]]:
    """Return the name in the first cell to all cells, for the tables of this number of columns."""
    rows = {}
    for line in PAGE.splitlines():
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        if len(cells) == columns and (name := re.fullmatch(r"`(\w+)`", cells[0])):
            rows[name[1]] = cells
    return rows


def _default(field: Field[object]) -> str:
    """Return the default of a setting as the page writes it."""
    value = field.default
    if field.default_factory is not MISSING:
        value = field.default_factory()
    if value is MISSING:
        return "required"
    return "not set" if value is None else f"`{json.dumps(value)}`"


def _example(cells: list[str]) -> str:
    return cells[-1].strip("`")


def test_the_page_has_the_settings_and_no_others() -> None:
    assert sorted(_rows(6)) == sorted(field.name for field in SETTINGS)
    assert sorted(_rows(5)) == sorted(field.name for field in CLASS_KEYS)


@pytest.mark.parametrize("field", SETTINGS, ids=lambda field: field.name)
def test_a_setting_has_its_default_and_an_example_that_is_accepted(
    field: Field[object], tmp_path: Path
) -> None:
    cells = _rows(6)[field.name]
    assert cells[2] == _default(field)
    file = tmp_path / "annotator.toml"
    lines = {CLASSES, _example(cells)}
    file.write_text("\n".join(sorted(lines)))
    changed = getattr(read_settings(file), field.name)
    assert _default(field) == "required" or f"`{json.dumps(changed)}`" != _default(field)


@pytest.mark.parametrize("field", CLASS_KEYS, ids=lambda field: field.name)
def test_a_key_of_a_class_has_its_default_and_an_example_that_is_accepted(
    field: Field[object], tmp_path: Path
) -> None:
    cells = _rows(5)[field.name]
    assert cells[2] == _default(field)
    file = tmp_path / "annotator.toml"
    name = 'name = "defect"'
    parent = '[[classes]]\nname = "vehicle"'
    file.write_text("\n".join(["[[classes]]", *{name, _example(cells)}, parent]))
    info, _ = read_settings(file).classes
    assert _default(field) == "required" or f"`{json.dumps(getattr(info, field.name))}`" != cells[2]


@pytest.mark.parametrize("field", SETTINGS, ids=lambda field: field.name)
def test_the_column_own_says_what_the_users_file_takes(
    field: Field[object], tmp_path: Path
) -> None:
    cells = _rows(6)[field.name]
    file = tmp_path / "config.toml"
    file.write_text(_example(cells))
    if cells[3] == "yes":
        assert field.name in read_personal_settings(file)
    else:
        assert cells[3] == ""
        with pytest.raises(ProjectError, match=f"{field.name}: not a setting of this file"):
            read_personal_settings(file)


def test_the_page_names_every_command_that_takes_a_key() -> None:
    keys = PAGE.split("\n## Keys\n")[1].split("\n## ")[0]
    assert set(COMMAND_NAMES) <= set(re.findall(r"`(\w+)`", keys))


def test_the_examples_of_whole_files_are_accepted(tmp_path: Path) -> None:
    for number, text in enumerate(re.findall(r"^```toml\n(.*?)^```", PAGE, re.DOTALL | re.M)):
        file = tmp_path / f"{number}.toml"
        file.write_text(text if "[[classes]]" in text else f"{CLASSES}\n{text}")
        assert read_settings(file).classes
