"""A command as a user runs it, in a real terminal: tmux."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


class Tmux:
    """One terminal of 80 x 24, with a shell command in it."""

    def __init__(self, folder: Path, command: str, size: tuple[int, int] = (80, 24)) -> None:
        self._socket = str(folder / "tmux")
        # A test types quicker than any hand: its keys are neither held down nor blind.
        (folder / "annotator").mkdir()
        (folder / "annotator" / "config.toml").write_text('seen_guard = "off"\n')
        env = {k: v for k, v in os.environ.items() if k not in ("TMUX", "NO_COLOR")}
        env |= {"HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "PYTHONPATH": str(ROOT)}
        # Afterwards a shell stays, to show what the program left behind.
        command = f"{command}; echo status $?; exec sh"
        where = ["-x", str(size[0]), "-y", str(size[1])]
        subprocess.run(
            ["tmux", "-S", self._socket, "-f", "/dev/null", "new-session", "-d", *where, command],
            env=env, check=True, cwd=folder,
        )  # fmt: skip

    def run(self, *words: str) -> str:
        ran = subprocess.run(["tmux", "-S", self._socket, *words], capture_output=True, text=True)
        return ran.stdout

    def press(self, *keys: str) -> None:
        self.run("send-keys", *keys)

    @property
    def text(self) -> str:
        return self.run("capture-pane", "-p")

    def until(self, condition: Callable[[], Any], seconds: float = 20.0) -> Any:
        end = time.monotonic() + seconds
        while not (found := condition()):
            assert time.monotonic() < end, f"never came true; the screen shows:\n{self.text}"
            time.sleep(0.02)
        return found

    def sees(self, words: str) -> None:
        self.until(lambda: words in self.text)

    def pid(self) -> int:
        """The annotator's process."""
        shell = self.run("list-panes", "-F", "#{pane_pid}").strip()
        found = self.until(lambda: _annotator_below(int(shell)))
        assert isinstance(found, int)
        return found

    def close(self) -> None:
        self.run("kill-server")


def _annotator_below(pid: int) -> int | None:
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        if "annotator" in Path(f"/proc/{child}/cmdline").read_text().replace("\0", " "):
            return int(child)
    return None
