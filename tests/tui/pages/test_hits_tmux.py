"""A HIT as its worker has it: in a terminal, killed inside a page, and resumed."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from annotator.log.entries import Action, Entry
from annotator.log.store.sqlite import SqliteStore
from annotator.project.project import ProjectFolder
from tests.tui.tmux_terminal import Tmux

HITS = shlex.join([sys.executable, "-m", "annotator", "hits"])


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Callable[[str], Tmux]]:
    """terminal(command): a command in tmux."""
    opened: list[Tmux] = []

    def open_(command: str) -> Tmux:
        folder = tmp_path / f"terminal{len(opened)}"
        folder.mkdir()
        opened.append(Tmux(folder, command, (100, 40)))
        return opened[-1]

    yield open_
    for one in opened:
        one.close()


def press(tmux: Tmux, key: str, words: str) -> None:
    """A key, after which there are these words; again where it came before the pictures."""
    tmux.sees("▀")
    while words not in tmux.text:
        tmux.until(lambda: "key ignored" not in tmux.text)
        tmux.press(key)
        tmux.until(lambda: words in tmux.text or "key ignored" in tmux.text)


@pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")
def test_kill_9_inside_a_page_loses_no_selection(
    make: Callable[..., ProjectFolder], terminal: Callable[[str], Tmux]
) -> None:
    project = make(8)
    store = SqliteStore(project.labels_file)
    for number in (0, 1):
        label = "blue" if number else "red"
        store.append(Entry(0, 1.0, "ann", Action.LABEL, f"{number:02d}.png", label))
    store.close()
    command = (
        f"{HITS} make {shlex.quote(str(project.folder))} --class red --gold 1 --images 8 --pages 1"
    )
    run = f"{HITS} run {shlex.quote(str(project.folder))} --worker A1 --min-seconds 0"
    tmux = terminal(f"{command} && {run} --graphics halfcell")
    tmux.sees("8 blue")
    press(tmux, "Space", "1 red")
    tmux.press("Right", "Space")
    tmux.sees("2 red")
    os.kill(tmux.pid(), signal.SIGKILL)
    tmux.sees("status 137")
    again = terminal(f"{run} --graphics halfcell")
    again.sees("2 red")
    press(again, "Enter", "completion code is")
