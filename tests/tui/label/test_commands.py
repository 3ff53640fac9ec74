"""The tables of commands: what keys, help, palette, footer and README say agrees with them."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from annotator.project.settings import ClassInfo
from annotator.terminal.caps import Technique, TerminalCapabilities
from annotator.tui.keymaps import COMMAND_NAMES, KEYMAPS, make_keymap
from annotator.tui.label import screen as label_screen
from annotator.tui.label.glossary import GLOSSARY, terms_on_screen
from annotator.tui.review import screen as review_screen
from annotator.tui.widgets.choices import ChoiceScreen

ROOT = Path(__file__).parents[3]
TWO = [ClassInfo("ok"), ClassInfo("bad")]
TALL = (120, 90)


def test_the_keymaps_and_the_table_have_the_same_commands() -> None:
    assert set(COMMAND_NAMES) == set(label_screen.COMMANDS)


def test_every_command_has_words_and_a_handler() -> None:
    for table in (label_screen.COMMANDS, review_screen.COMMANDS):
        for name, command in table.items():
            assert command.name == name and command.title and callable(command.handler)
            assert re.fullmatch(r"[A-Z].*\.", command.help), command.help


@pytest.mark.parametrize("preset", KEYMAPS)
def test_no_key_has_two_meanings(preset: str) -> None:
    keys = [key for given in KEYMAPS[preset].values() for key in given]
    assert sorted(keys) == sorted(set(keys))


@pytest.mark.parametrize("preset", KEYMAPS)
def test_every_review_command_has_a_key(preset: str) -> None:
    keymap = make_keymap(preset, TWO)
    assert all(command.shown_keys(keymap) for command in review_screen.COMMANDS.values())


async def test_the_help_screen_names_every_live_command_and_its_keys(
    make: Any, opened: Any
) -> None:
    async with opened(make(4), size=TALL) as desk:
        await desk.press("h")
        await desk.sees("Every answer is on disk")
        live = desk.app.label_screen.live_commands()
        assert len(live) > 12
        for command in live:
            line = next((line for line in desk.text.splitlines() if command.help in line), "")
            assert line, command
            keys = command.shown_keys(desk.app.label_screen.keymap)
            assert all(key in line for key in keys), (line, keys)


@pytest.mark.parametrize(
    ("command", "key", "reason"),
    [
        ("rapid", "R", "Rapid mode needs kitty"),
        ("similar", "b", "need features"),
    ],
)
async def test_no_list_has_a_command_that_refuses_and_its_key_says_why(
    make: Any, opened: Any, command: str, key: str, reason: str
) -> None:
    async with opened(make(4), size=(250, 90)) as desk:
        screen, found = desk.app.label_screen, label_screen.COMMANDS[command]
        assert not any(hint.action[0] == command for hint in screen.live_hints())
        titles = {entry.title for entry in screen.palette_choices()}
        assert found.title.capitalize() not in titles
        await desk.press("h")
        await desk.sees("Every answer is on disk")
        assert found.help not in desk.text
        await desk.press("h", key)
        await desk.sees(reason)


async def test_undo_is_offered_once_there_is_something_to_take_back(make: Any, opened: Any) -> None:
    async with opened(make(4), size=(250, 40)) as desk:
        screen = desk.app.label_screen
        for keys, offered in (((), False), (("a",), True), (("backspace",), False)):
            await desk.press(*keys)
            assert ("⌫ undo" in screen.keys.text) == offered
            titles = {entry.title for entry in screen.palette_choices()}
            assert ("Undo" in titles) == offered
        await desk.press("backspace")
        await desk.sees("nothing left to take back")


async def test_rapid_is_offered_where_it_works(make: Any, opened: Any) -> None:
    caps = TerminalCapabilities(Technique.FRAMES, answers=True)
    for multi, offered in ((False, True), (True, False)):
        project = make(4, **({"multi_label": True} if multi else {}))
        async with opened(project, size=(250, 40), caps=caps) as desk:
            hints = desk.app.label_screen.live_hints()
            assert any(hint.action[0] == "rapid" for hint in hints) == offered
        shutil.rmtree(project.folder)


async def test_the_palette_offers_every_live_command(make: Any, opened: Any) -> None:
    async with opened(make(4)) as desk:
        screen = desk.app.label_screen
        offered = {entry.title for entry in screen.palette_choices()}
        live = {command.title.capitalize() for command in screen.live_commands()} - {"Palette"}
        assert live <= offered
        assert {"Label as red", "Label as blue"} <= offered


async def test_a_wide_footer_shows_every_live_command(make: Any, opened: Any) -> None:
    async with opened(make(4), size=(250, 40)) as desk:
        footer = desk.app.label_screen.keys.text
        assert all(command.title in footer for command in desk.app.label_screen.live_commands())


async def test_the_help_screen_explains_the_terms_that_are_on_screen(
    make: Any, opened: Any, give_features: Any, truth: Any
) -> None:
    project = make(60)
    give_features(project, [f"{number:02d}.png" for number in range(60)])
    async with opened(project, size=TALL) as desk:
        await desk.press("h")
        await desk.sees("On this screen")
        assert GLOSSARY["strategy"][:30] in desk.text  # "asking at random" is in the header
        assert GLOSSARY["audit"][:30] not in desk.text
        await desk.pilot.press("escape")
        for _ in range(6):
            await desk.press("d" if truth(desk.current) == "blue" else "a")
        await desk.learnt()
        await desk.sees("how hard your questions are")
        await desk.press("h")
        await desk.sees("On this screen")
        await desk.sees(GLOSSARY["how hard your questions are"][:30])


def test_terms_are_found_by_the_words_of_the_panel() -> None:
    assert set(terms_on_screen("est. pool error  n 31\n 4 %  90 %: 2 – 8 %\n 3 leased")) == {
        "pool error", "interval", "n_eff", "lease",
    }  # fmt: skip
    assert set(terms_on_screen("SECOND OPINION  one of 3 near-duplicates")) == {
        "second opinion", "near-duplicate",
    }  # fmt: skip
    assert not terms_on_screen("images/00012.jpg")


def test_the_glossary_of_the_docs_has_each_term() -> None:
    headings = re.findall(r"^### (.+)$", (ROOT / "docs/glossary.md").read_text("utf-8"), re.M)
    assert set(GLOSSARY) <= set(headings)


def test_the_key_table_of_the_readme_names_no_key_that_does_not_exist() -> None:
    section = (ROOT / "README.md").read_text("utf-8").split("\n## Keys\n")[1].split("\n## ")[0]
    keymap = make_keymap("default", TWO)
    known = {"1", "9"} | {keys for name in COMMAND_NAMES for keys in keymap.keys(name)}
    known |= {key for info in TWO for key in keymap.class_keys(info.name)}
    spelled = {"Backspace": "⌫", "Ctrl+P": "^P", "shift+R": "R", "Space": "space"}
    spelled |= {"Shift+←": "⇧←", "Shift+→": "⇧→"}
    cells = [row.strip("|").split("|") for row in section.splitlines() if row.startswith("| ")][1:]
    named = [cell.strip() for row in cells for cell in row[::2] if cell.strip()]
    assert len(named) > 10
    for cell in named:
        for key in re.split(r" or |, | – ", cell):
            assert spelled.get(key, key) in known, f"README names the key {key!r}"


async def test_keys_of_the_palette_of_themes_do_no_harm_in_a_tiny_window(
    make: Any, opened: Any
) -> None:
    async with opened(make(4), size=(60, 3)) as desk:
        desk.app.action_change_theme()
        await desk.until(lambda: isinstance(desk.app.screen, ChoiceScreen))
        await desk.pilot.press("pageup", "pagedown", "escape")
        assert desk.app._exception is None


@pytest.mark.parametrize("rows", [3, 4, 6])
async def test_keys_of_the_palette_do_no_harm_in_a_tiny_window(
    rows: int, make: Any, opened: Any
) -> None:
    async with opened(make(4)) as desk:
        await desk.press("ctrl+p")
        await desk.until(lambda: isinstance(desk.app.screen, ChoiceScreen))
        await desk.sees("Curves")
        await desk.pilot.resize_terminal(60, rows)
        await desk.press("x", "pagedown", "pageup", "backspace", "pagedown", "down", "escape")
        await desk.until(lambda: desk.app.screen is desk.app.label_screen)
