"""A command as a user runs it, in a real terminal: tmux."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.time_limits import PATIENCE

ROOT = Path(__file__).parents[2]
_IGNORED = "ignored"  # a key before its picture, or one that looks pasted


class Tmux:
    """One terminal of 80 x 24, with a shell command in it."""

    def __init__(self, folder: Path, command: str, size: tuple[int, int] = (80, 24)) -> None:
        # Paths of sockets are short: those of a test's folder may be too long.
        self._short = tempfile.mkdtemp(prefix="tmux")
        self._socket = f"{self._short}/s"
        # A test types quicker than any hand: its keys are neither held down nor blind.
        (folder / "annotator").mkdir()
        (folder / "annotator" / "config.toml").write_text('seen_guard = "off"\n')
        env = {k: v for k, v in os.environ.items() if k not in ("TMUX", "NO_COLOR")}
        env |= {"HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "PYTHONPATH": str(ROOT)}
        # Afterwards a shell stays, to show what the program left behind.
        command = f"{command}; echo status $?; exec sh"
        where = ["-x", str(size[0]), "-y", str(size[1])]
        tmux = ["tmux", "-u", "-S", self._socket, "-f", "/dev/null"]
        subprocess.run(
            [*tmux, "new-session", "-d", *where, command], env=env, check=True, cwd=folder
        )

    def run(self, *words: str) -> str:
        tmux = ["tmux", "-u", "-S", self._socket]
        ran = subprocess.run([*tmux, *words], capture_output=True, encoding="utf-8")
        return ran.stdout

    def press(self, *keys: str) -> None:
        self.run("send-keys", *keys)

    @property
    def text(self) -> str:
        return self.run("capture-pane", "-p")

    @property
    def named(self) -> str:
        """The image that the caption names; "" for none."""
        words = [line.split() for line in self.text.splitlines()[-2:-1]]
        return words[0][0] if words and words[0] else ""

    def until(self, condition: Callable[[], Any], seconds: float = PATIENCE) -> Any:
        end = time.monotonic() + seconds
        while not (found := condition()):
            assert time.monotonic() < end, f"never came true; the screen shows:\n{self.text}"
            time.sleep(0.02)
        return found

    def sees(self, words: str) -> None:
        self.until(lambda: words in self.text)

    def answer(self, key: str, words: str | Callable[[], bool]) -> None:
        """Press a key until it answers: the screen ignores one before its picture is drawn."""

        def answered() -> bool:
            return words in self.text if isinstance(words, str) else words()

        while not answered():
            self.press(key)
            self.until(lambda: answered() or _IGNORED in self.text)
            self.until(lambda: answered() or _IGNORED not in self.text)

    def pid(self) -> int:
        """The annotator's process."""
        shell = self.run("list-panes", "-F", "#{pane_pid}").strip()
        found = self.until(lambda: _annotator_below(int(shell)))
        assert isinstance(found, int)
        return found

    def close(self) -> None:
        self.run("kill-server")
        shutil.rmtree(self._short, ignore_errors=True)


def _annotator_below(pid: int) -> int | None:
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        with contextlib.suppress(OSError):  # it has ended meanwhile
            if "annotator" in Path(f"/proc/{child}/cmdline").read_text().replace("\0", " "):
                return int(child)
    return None


def state(pid: int) -> str:
    """R, S, T (stopped) ... of a process; "" for one that has ended."""
    try:
        letter = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""
    return "" if letter in "ZX" else letter
