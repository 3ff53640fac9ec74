"""Completion in real shells: Tab after the first letters of a command, an option and a value."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.command_line import good
from tests.tui.tmux_terminal import Tmux

SHELLS = {"bash": "bash --norc", "zsh": "zsh -f", "fish": "fish --no-config"}
_LOAD = {
    "bash": "source ./script",
    "zsh": "autoload -U compinit && compinit -D && source ./script",
    "fish": "source ./script",
}


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Tmux]:
    name = request.param
    for program in (name, "tmux"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    (tmp_path / "script").write_text(good("completion", name))
    program = tmp_path / "bin" / "annotator"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m annotator "$@"\n')
    program.chmod(0o755)
    terminal = Tmux(tmp_path, f"PATH={program.parent}:$PATH {SHELLS[name]}")
    try:
        terminal.press(_LOAD[name] + " && echo lo''aded", "Enter")
        terminal.sees("\nloaded")
        yield terminal
    finally:
        terminal.close()


@pytest.mark.parametrize(
    ("typed", "seen"),
    [
        ("annotator sim", "annotator simulate"),
        ("annotator run p --strat", "--strategy"),
        ("annotator run p --strategy marg", "--strategy margin"),
        ("annotator run p --keymap prod", "--keymap prodigy"),
        ("annotator run p --theme colour", "--theme colour-blind"),
        ("annotator review p --queue disag", "--queue disagreements"),
    ],
)
def test_tab_completes(shell: Tmux, typed: str, seen: str) -> None:
    shell.press(typed)
    shell.sees(typed)
    shell.press("Tab")
    shell.sees(seen)
