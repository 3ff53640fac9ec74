"""A slow line: a key means the picture that was on screen when it was pressed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from annotator.log.entries import Entry
from annotator.log.store import SqliteStore
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


def test_a_key_pressed_before_the_picture_was_seen_is_no_label(make: Any) -> None:
    project = make(12, seen_guard="auto")
    command = ["-m", "annotator", "run", str(project.folder), "--no-features"]
    with Running(command, "kitty", (80, 24), DELAY) as terminal:
        terminal.wait(lambda screen: "ready 5" in screen.text())
        terminal.wait(lambda screen: " ms" in screen.text())  # the picture was seen
        terminal.press(b"adad")  # the first for the picture on screen; then nothing new was drawn
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
