"""A kitty on an X server without a screen: its text, its pictures and their times."""

from __future__ import annotations

import json
import socket
import threading
import time
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Self

import numpy as np

from tests.terminal.real.real_terminals import TERMINALS, Real
from tests.terminal.real.x_display import Pixels
from tests.time_limits import PATIENCE

BASE, NAME = "kitty-0.41", "kitty-animation"
FONT_SIZE = 12
PLACEHOLDER = "\U0010eeee"
INTERVAL = 0.03
"""Seconds between two looks at the window."""


class Kitty(Real):
    """A program in kitty, which tells the text on its screen through its remote control."""

    def __init__(self, command: list[str], folder: Path, size: tuple[int, int]) -> None:
        self._address = folder / "kitty.sock"
        build, root = TERMINALS[BASE]
        remote = ["-o", f"font_size={FONT_SIZE}", "-o", "allow_remote_control=yes"]
        remote += ["--listen-on", f"unix:{self._address}"]
        TERMINALS[NAME] = (lambda columns, rows: [*build(columns, rows), *remote], root)
        super().__init__(NAME, command, folder, size)

    def __enter__(self) -> Self:
        return self

    def text(self) -> str:
        """Return the text on the screen; nothing as long as kitty does not listen."""
        asked = {"cmd": "get-text", "version": [0, 26, 0], "payload": {"extent": "screen"}}
        reply = b""
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(PATIENCE)
            try:
                line.connect(str(self._address))
            except (FileNotFoundError, ConnectionRefusedError):
                return ""
            line.sendall(b"\x1bP@kitty-cmd" + json.dumps(asked).encode() + b"\x1b\\")
            while not reply.endswith(b"\x1b\\"):
                piece = line.recv(65536)
                if not piece:
                    raise ConnectionError("kitty closed its remote control")
                reply += piece
        return str(json.loads(reply.removeprefix(b"\x1bP@kitty-cmd")[:-2])["data"])

    def wait_text(self, condition: Callable[[str], bool], seconds: float = PATIENCE) -> str | None:
        """Return the text of the screen as soon as it is as it should be; None if it never is."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if condition(text := self.text()):
                return text
            time.sleep(0.04)
        return None


def plain(text: str) -> str:
    """Return a screen's text without the characters that stand for pictures."""
    return "".join(sign for sign in text if sign < PLACEHOLDER and not unicodedata.combining(sign))


class Recorder:
    """Collect every picture that a window shows, with the time at which it appeared.

    A picture counts only if two looks in a row see it: half-drawn pictures are left out.
    """

    def __init__(self, terminal: Real) -> None:
        self.frames: list[tuple[float, Pixels]] = []
        self._terminal, self._stopped = terminal, threading.Event()
        self._thread = threading.Thread(target=self._record, daemon=True)
        self._thread.start()

    def stop(self) -> list[tuple[float, Pixels]]:
        """Stop, and return the frames."""
        self._stopped.set()
        self._thread.join()
        return self.frames

    def _record(self) -> None:
        place = self._terminal.window.get_geometry()  # type: ignore[attr-defined]
        source = self._terminal.display.pixels[: place.height, : place.width, 2::-1]
        before, since = source.copy(), time.monotonic()
        while not self._stopped.wait(INTERVAL):
            now = source.copy()
            if not np.array_equal(now, before):
                before, since = now, time.monotonic()
            elif not self.frames or not np.array_equal(now, self.frames[-1][1]):
                self.frames.append((since, now))
