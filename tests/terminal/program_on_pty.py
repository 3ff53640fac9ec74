"""A program on a pty whose other end is the terminal in memory."""

from __future__ import annotations

import collections
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from tests.terminal.memory_terminal import Screen
from tests.terminal.rendering import PLACEHOLDER
from tests.time_limits import PATIENCE

Found = TypeVar("Found")
ROOT = Path(__file__).parents[2]


class Running:
    """Start `arguments`, press keys, look at the screen. The line takes `delay` seconds a way."""

    def __init__(
        self,
        arguments: Sequence[str],
        kind: str = "kitty",
        size: tuple[int, int] = (60, 20),
        delay: float = 0.0,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.screen, self.delay = Screen(*size, kind=kind), delay
        self.sent = 0
        self._lock, self._stop = threading.Lock(), False
        self._line: collections.deque[tuple[float, int, bytes]] = collections.deque()
        self._master, slave = pty.openpty()
        self._tell_size()
        self.process = subprocess.Popen(
            [sys.executable, *arguments],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            cwd=ROOT,
            env={**_environment(), **(env or {})},
            start_new_session=True,
            preexec_fn=_controlled,
        )
        os.close(slave)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def press(self, keys: bytes) -> None:
        with self._lock:
            self._line.append((time.monotonic() + self.delay, 1, keys))

    def resize(self, columns: int, rows: int) -> None:
        with self._lock:
            self.screen.resize(columns, rows)
        self._tell_size()
        os.killpg(self.process.pid, signal.SIGWINCH)

    def wait(self, condition: Callable[[Screen], bool], seconds: float = PATIENCE) -> None:
        """Until the screen is as it should be; fails with what is on it."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with self._lock:
                if condition(self.screen):
                    return
            time.sleep(0.02)
        with self._lock:
            shown = self.screen.text().replace(PLACEHOLDER, "#")
            raise AssertionError(f"{self.screen.problems}\n{shown}")

    def look(self, condition: Callable[[Screen], Found]) -> Found:
        with self._lock:
            return condition(self.screen)

    def hang_up(self) -> int:
        """Cut the line; return the exit status."""
        self._stop = True
        self._thread.join(PATIENCE)
        os.close(self._master)
        self._master = os.open(os.devnull, os.O_RDWR)
        return self.process.wait(PATIENCE)

    def close(self) -> None:
        self._stop = True
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._thread.join(PATIENCE)
        os.close(self._master)

    def _tell_size(self) -> None:
        screen = self.screen
        width, height = screen.columns * screen.cell[0], screen.rows * screen.cell[1]
        packed = struct.pack("HHHH", screen.rows, screen.columns, width, height)
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, packed)

    def _serve(self) -> None:
        ended = False
        while not self._stop:
            if ended:
                time.sleep(0.005)
            elif select.select([self._master], [], [], 0.005)[0]:
                try:
                    data = os.read(self._master, 65536)
                except OSError:  # the program ended; what it wrote is still on its way
                    ended = True
                    continue
                with self._lock:
                    self._line.append((time.monotonic() + self.delay, 0, data))
            self._deliver()

    def _deliver(self) -> None:
        while self._line and self._line[0][0] <= time.monotonic():
            with self._lock:
                _, to_program, data = self._line.popleft()
                if not to_program:
                    self.sent += len(data)
                    answers = self.screen.feed(data)
                    if answers:
                        self._line.append((time.monotonic() + self.delay, 1, answers))
            if to_program:
                os.write(self._master, data)

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    kept |= {"TERM": "xterm-256color", "LANG": "C.UTF-8", "PYTHONPATH": str(ROOT)}
    return {**kept, "XDG_DATA_HOME": f"{tempfile.gettempdir()}/annotator-tests-{os.getuid()}"}


def _controlled() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
