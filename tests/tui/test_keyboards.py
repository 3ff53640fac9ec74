"""Keyboards of other scripts, and AZERTY: the keys of commands and classes at their places."""

from __future__ import annotations

import time
from typing import Any

import pytest
from textual import events

from annotator.project.settings import ClassInfo
from annotator.tui.picture.key_reader import KeyParser, PasteMarker, base_key
from tests.terminal.memory_terminal import Screen
from tests.terminal.program_on_pty import Running
from tests.time_limits import PATIENCE

NINE = tuple(f"c{number}" for number in range(1, 10))


def given(log: Any, project: Any) -> list[str | None]:
    return [row.label for row in log(project) if row.action == "label"]


def keys_of(text: str) -> list[events.Key]:
    return [event for event in KeyParser().feed(text) if isinstance(event, events.Key)]


@pytest.mark.parametrize("first, second", [("ф", "в"), ("Ф", "В"), ("α", "δ"), ("ש", "ג")])
async def test_letters_of_other_scripts_label_by_their_place_on_the_keyboard(
    make: Any, opened: Any, log: Any, first: str, second: str
) -> None:
    project = make(8)
    async with opened(project) as desk:
        await desk.press(first, second, first)
        await desk.until(lambda: len(given(log, project)) == 3)
    assert given(log, project) == ["red", "blue", "red"]


async def test_the_footer_names_the_letters_of_the_keyboard_in_use(make: Any, opened: Any) -> None:
    async with opened(make(8)) as desk:
        await desk.sees("A red  D blue")
        await desk.press("ф")
        await desk.sees("Ф red  В blue")
        await desk.press("р")  # h: the help names them, too
        await desk.sees("Label as red")
        assert "Ф" in desk.text
        await desk.press("й")  # q closes it
        await desk.until(lambda: desk.app.screen is desk.app.label_screen)
        await desk.press("a")
        await desk.sees("A red  D blue")


async def test_a_class_whose_own_key_is_of_another_script_keeps_it(
    make: Any, opened: Any, log: Any
) -> None:
    project = make(8, (ClassInfo("red"), ClassInfo("blue"), ClassInfo("фото", key="ф")))
    async with opened(project) as desk:
        await desk.press("ф", "в")
        await desk.until(lambda: len(given(log, project)) == 2)
    assert given(log, project) == ["фото", "blue"]


async def test_the_row_of_digits_of_azerty_needs_no_shift(make: Any, opened: Any, log: Any) -> None:
    project = make(12, NINE)
    async with opened(project) as desk:
        await desk.press("é", "&", '"', "'", "(", "-", "è", "_", "ç", "1")
        await desk.until(lambda: len(given(log, project)) == 10)
    assert given(log, project) == ["c2", "c1", "c3", "c4", "c5", "c6", "c7", "c8", "c9", "c1"]


async def test_a_pasted_text_does_not_make_the_keyboard_another_one(
    make: Any, opened: Any, log: Any
) -> None:
    project = make(8, classes=NINE)
    async with opened(project) as desk:
        await desk.until(lambda: desk.app.label_screen.picture.seen is not None)
        pasted = keys_of("é-çф")
        PasteMarker().mark(pasted, time.monotonic())
        for key in pasted:
            desk.app.post_message(key)
        await desk.until(lambda: not desk.app.key_queue.busy)
        await desk.press("-", "(")  # 6 and 5 on AZERTY
        await desk.press("1")
    assert given(log, project) == ["c1"]


async def test_signs_of_a_us_keyboard_are_no_digits(make: Any, opened: Any, log: Any) -> None:
    project = make(12, NINE)
    async with opened(project) as desk:
        await desk.press("&", "'", "-", "(", "_")
        await desk.sees("Is this AZERTY?")
        assert given(log, project) == []


@pytest.mark.parametrize(("keymap", "labels"), [("exact", []), ("azerty", ["c1"])])
async def test_a_keymap_may_take_characters_as_they_are_or_know_the_keyboard(
    make: Any, opened: Any, log: Any, keymap: str, labels: list[str]
) -> None:
    project = make(12, NINE, keymap=keymap)
    async with opened(project) as desk:
        await desk.press("&", "ф")
        await desk.press("p", "p")
        assert given(log, project)[:1] == labels


async def test_text_is_never_mapped(make: Any, opened: Any, log: Any) -> None:
    project = make(8)
    async with opened(project) as desk:
        await desk.press("т", "ф", "é", "&", "ש", "enter")  # n: a note
        await desk.until(lambda: [row for row in log(project) if row.action == "note"])
    assert [row.note for row in log(project)] == ["фé&ש"]


def test_the_terminal_tells_the_place_of_a_key() -> None:
    (key,) = keys_of("\x1b[1092::97;;1092u")
    assert (key.character, base_key(key)) == ("ф", "a")
    (key,) = keys_of("\x1b[1092:1060:97;2;1060u")
    assert (key.character, base_key(key)) == ("Ф", "A")
    (key,) = keys_of("\x1b[97:65;2;65u")
    assert (key.character, base_key(key)) == ("A", "")
    (key,) = keys_of("\x1b[233:50:50;;233u")
    assert (key.character, base_key(key)) == ("é", "2")
    (key,) = keys_of("\x1b[233:50:50;;126u")  # AltGr: another character than the key's own
    assert (key.character, base_key(key)) == ("~", "")


def test_ctrl_follows_the_place_of_the_key() -> None:
    assert [key.key for key in keys_of("\x1b[1079::112;5u")] == ["ctrl+p"]
    assert [key.key for key in keys_of("\x1b[1089::99;5u")] == ["ctrl+c"]


def test_a_layout_without_a_table_works_where_the_terminal_tells_the_place(make: Any) -> None:
    project = make(8, graphics="halfcell")
    command = ["-m", "annotator", "run", str(project.folder), "--no-features"]
    with Running(command, "kitty", (80, 24)) as terminal:
        terminal.wait(lambda screen: " ms" in screen.text())
        terminal.press(b"\x1b[1588::97;;1588u")  # Arabic sheen, at the place of A
        terminal.wait(lambda screen: "1 of 8" in screen.text())
        assert "ش red" in terminal.look(Screen.text)
        terminal.press(b"\x1b[1590::113;;1590u")  # at the place of Q
        terminal.process.wait(PATIENCE)
