"""A hierarchy of classes on the labelling screen: its lists, any level, and refining."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from annotator.log.entries import Action, Entry
from annotator.log.store.sqlite import SqliteStore
from annotator.project.class_tree import expand_paths
from annotator.project.classes import ClassInfo
from annotator.project.project import ProjectFolder
from annotator.tui.label.class_list import class_choices
from annotator.tui.launch import PoolPart, prepare_label_app
from annotator.tui.widgets.choices import filter_choices
from tests.tui.conftest import HALF_CELLS, Desk

INFOS = expand_paths([ClassInfo(path) for path in ("colour/red", "animal", "colour/blue")])


def _label(project: ProjectFolder, **labels: str) -> None:
    store = SqliteStore(project.labels_file)
    store.append(*(
        Entry(0, 1.0, "ann", Action.LABEL, f"{name[1:]}.png", label)
        for name, label in labels.items()
    ))  # fmt: skip
    store.close()


def _row(desk: Desk, word: str) -> str:
    return next(line for line in desk.text.splitlines() if word in line)


async def test_a_class_stands_below_its_parent_and_any_level_has_a_key(
    make: Any, opened: Any, log: Any
) -> None:
    project = make(classes=INFOS)
    async with opened(project, size=(100, 30)) as desk:
        await desk.sees("animal")
        text = desk.text
        assert text.index("colour") < text.index("red") < text.index("blue") < text.index("animal")
        assert _row(desk, "red").index("red") > _row(desk, "colour").index("colour")
        await desk.press("1", "2", "4")
        await desk.until(lambda: "3" in _row(desk, "colour"))
    assert [row.label for row in log(project)] == ["colour", "red", "blue"]


async def test_the_lists_of_pages_and_hunts_count_what_is_below_a_class(
    make: Any, opened: Any
) -> None:
    project = make(classes=INFOS)
    _label(project, _00="red", _01="blue", _02="red", _03="colour")
    async with opened(project, size=(100, 40)) as desk:
        await desk.sees("animal")
        for key, row in (("g", "colour at random"), ("t", "hunt colour"), ("ctrl+p", "Label as c")):
            await desk.press(key)
            await desk.sees("esc cancels")
            await desk.press(*row.replace(" ", ""))
            await desk.until(lambda row=row: row in desk.text)
            assert _row(desk, row).rstrip(" │▊▎").endswith(" 4")
            await desk.press("escape")
            await desk.until(lambda: "esc cancels" not in desk.text)


async def test_the_dialog_finds_a_class_by_its_parent() -> None:
    choices = class_choices(INFOS, {}, {}, None)
    assert [choice.title for choice in choices] == ["colour", "  red", "  blue", "animal"]
    found = filter_choices(choices, "colo")
    assert {choice.value for choice in found} == {"colour", "red", "blue"}


async def test_refining_asks_the_items_of_the_class_with_the_keys_of_its_kinds(
    make: Any, log: Any
) -> None:
    project = make(classes=INFOS)
    _label(project, _00="colour", _01="animal", _02="colour", _03="red")
    part = PoolPart(np.isin(np.arange(8), [0, 2]), "colour refined", refines="colour")
    with prepare_label_app(project, "ann", HALF_CELLS, features=False, part=part) as app:
        async with app.run_test(size=(100, 30)) as pilot:
            desk = Desk(app, pilot)
            await desk.until(lambda: app.label_screen.listed and desk.current)
            assert "animal" not in desk.text
            first = desk.current
            await desk.press("2")
            await desk.until(lambda: desk.current not in (None, first))
            await desk.press("s")
            await desk.until(lambda: desk.current is None)
    answers = {row.ref: row for row in log(project)[4:]}
    assert {row.label for row in answers.values()} == {"blue", "colour"}
    assert set(answers) == {"00.png", "02.png"}
    assert first is not None
    assert answers[first].label == "blue"
    assert all(row.extra == {"refines": "colour"} for row in answers.values())


@pytest.mark.parametrize("key", ["O", "backspace"])
async def test_an_item_that_keeps_its_label_is_asked_again_on_demand(
    make: Any, log: Any, key: str
) -> None:
    project = make(classes=INFOS)
    _label(project, _00="colour")
    part = PoolPart(np.arange(8) == 0, "colour refined", refines="colour")
    with prepare_label_app(project, "ann", HALF_CELLS, features=False, part=part) as app:
        async with app.run_test(size=(100, 30)) as pilot:
            desk = Desk(app, pilot)
            await desk.until(lambda: app.label_screen.listed and desk.current)
            await desk.press("s")
            await desk.until(lambda: desk.current is None)
            await desk.press(key)
            await desk.until(lambda: desk.current == "00.png")
            assert app.session.state.label("00.png") == "colour"
