"""A slow line: a key means the picture that was on screen when it was pressed."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import pytest

from annotator.log.entries import Entry
from annotator.log.store.sqlite import SqliteStore
from tests.terminal.memory_terminal import Screen
from tests.terminal.program_on_pty import Running
from tests.time_limits import PATIENCE

DELAY = 0.15
"""Seconds each way."""


def entries(project: Path) -> list[Entry]:
    store = SqliteStore(project / "labels.db")
    try:
        return list(store.entries())
    finally:
        store.close()


def as_kitty(keys: str) -> bytes:
    """Return what kitty sends for keys, in the mode that the program asks for."""
    return "".join(f"\x1b[{ord(key)};;{ord(key)}u" for key in keys).encode()


@pytest.mark.parametrize("kind", ["kitty", "plain", "xterm"])
@pytest.mark.parametrize("guard", ["auto", "off"])
def test_keys_typed_before_the_first_picture_are_no_labels(
    make: Any, kind: str, guard: str
) -> None:
    project = make(12, seen_guard=guard)
    command = ["-m", "annotator", "run", str(project.folder), "--no-features"]
    with Running(command, kind, (80, 24)) as terminal:
        terminal.press(as_kitty("adada") if kind == "kitty" else b"adada")
        terminal.wait(lambda screen: "ready 5" in screen.text())
        terminal.wait(lambda screen: " ms" in screen.text())
        assert entries(project.folder) == []
        terminal.press(b"a")
        terminal.wait(lambda screen: "1 of 12" in screen.text())
        terminal.press(b"q")
        terminal.process.wait(PATIENCE)
    assert [row.label for row in entries(project.folder)] == ["red"]


def test_where_the_terminal_answers_nothing_keys_count_after_the_first_frame(make: Any) -> None:
    project = make(12, seen_guard="off", graphics="halfcell")
    command = ["-m", "annotator", "run", str(project.folder), "--no-features"]
    with Running(command, "plain", (80, 24)) as terminal:
        terminal.screen.mute = True
        terminal.press(b"a")
        while "ready 5" not in terminal.look(Screen.text):
            terminal.press(b"d")
            time.sleep(0.05)
        time.sleep(1)  # the annotator looks at the picture
        assert entries(project.folder) == []
        terminal.press(b"a")
        terminal.wait(lambda screen: "1 of 12" in screen.text())


@pytest.mark.parametrize(
    ("early", "late"),
    [("", "\x1bP>|kitty(0.48.1)\x1b\\"), ("\x1b_Gi=31", ";OK\x1b\\"), ("\x1b[105;", ";105u")],
)
def test_an_answer_that_the_start_did_not_wait_for_is_no_key(
    make: Any, early: str, late: str
) -> None:
    project = make(12, graphics="halfcell")
    command = ["-m", "annotator", "run", str(project.folder), "--no-features"]
    with Running(command, "plain", (80, 24)) as terminal:
        terminal.screen.mute = True
        terminal.press(early.encode())
        terminal.wait(lambda screen: "ready 5" in screen.text())
        terminal.press(late.encode())
        time.sleep(0.5)  # a key would have opened a screen by then: i, what the classes mean
        assert "class 1 of" not in terminal.look(Screen.text)
        terminal.press(b"i")
        terminal.wait(lambda screen: "class 1 of" in screen.text())


def test_pasted_text_is_no_label_bracketed_or_not(make: Any) -> None:
    project = make(12, seen_guard="off")
    command = ["-m", "annotator", "run", str(project.folder), "--no-features"]
    with Running(command, "plain", (80, 24)) as terminal:
        terminal.wait(lambda screen: " ms" in screen.text())
        terminal.press(b"adadada")
        terminal.wait(lambda screen: "pasted, or typed all at once: ignored" in screen.text())
        terminal.press(b"\x1b[200~adadada\x1b[201~")
        terminal.press(b"h")
        terminal.wait(lambda screen: "esc close" in screen.text())
        assert entries(project.folder) == []


def test_a_key_pressed_before_the_picture_was_seen_is_no_label(make: Any) -> None:
    project = make(12, seen_guard="auto")
    command = ["-m", "annotator", "run", str(project.folder), "--no-features"]
    with Running(command, "kitty", (80, 24), DELAY) as terminal:
        terminal.wait(lambda screen: "ready 5" in screen.text())
        terminal.wait(lambda screen: " ms" in screen.text())  # the picture was seen
        terminal.press(
            as_kitty("adad")
        )  # the first for the picture on screen; then nothing new was drawn
        terminal.wait(lambda screen: "key ignored" in screen.text())
        terminal.wait(lambda screen: "1 of 12" in screen.text())
        assert [row.label for row in entries(project.folder)] == ["red"]
        while "2 of 12" not in terminal.look(Screen.text):
            # Until the terminal's word that it has drawn the next picture, keys are ignored.
            terminal.wait(lambda screen: "key ignored" not in screen.text())
            terminal.press(b"d")
            terminal.wait(lambda screen: bool(re.search("key ignored|2 of 12", screen.text())))
        terminal.press(b"q")
        terminal.process.wait(PATIENCE)
    assert [row.label for row in entries(project.folder)] == ["red", "blue"]
