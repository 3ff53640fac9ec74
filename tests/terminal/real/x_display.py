"""An X server without a screen: its windows, keys and pixels."""

from __future__ import annotations

import contextlib
import mmap
import os
import select
import struct
import subprocess
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.time_limits import PATIENCE

Pixels = NDArray[np.uint8]


class NotStarted(RuntimeError):
    """The X server or the terminal did not come up: nothing of what is tested has run yet."""


class Display:
    """A private X server whose picture is a file in memory: looking at it costs nothing."""

    def __init__(self, folder: Path, width: int = 1800, height: int = 1100) -> None:
        reading, writing = os.pipe()
        screen = ["-screen", "0", f"{width}x{height}x24", "-fbdir", str(folder)]
        self.process = subprocess.Popen(
            [
                "Xvfb",
                "-displayfd",
                str(writing),
                *screen,
                "-nolisten",
                "tcp",
                "-noreset",
                "-ac",
                "-r",
            ],
            pass_fds=[writing],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(writing)
        number = b""
        while not number.endswith(b"\n"):
            ready = select.select([reading], [], [], PATIENCE)[0]
            piece = os.read(reading, 16) if ready else b""
            if not piece:
                os.close(reading)
                self._end()
                raise NotStarted("Xvfb did not start")
            number += piece
        os.close(reading)
        self.name = ":" + number.decode().strip()
        self._map(folder / "Xvfb_screen0")
        self._connect()

    def _map(self, file: Path) -> None:
        with file.open("rb") as opened:
            memory = mmap.mmap(opened.fileno(), 0, prot=mmap.PROT_READ)
        # The head of an X window dump: big-endian words.
        head = struct.unpack(">25I", memory[:100])
        offset, height, stride = head[0] + head[19] * 12, head[5], head[12]
        whole = np.frombuffer(memory, np.uint8, stride * height, offset)
        self.pixels = whole.reshape(height, stride // 4, 4)

    def _connect(self) -> None:
        from Xlib import display
        from Xlib.error import DisplayConnectionError

        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            with contextlib.suppress(DisplayConnectionError, OSError):
                self.x = display.Display(self.name)
                return
            time.sleep(0.05)
        self._end()
        raise NotStarted("no connection to Xvfb")

    def window(self) -> object | None:
        """The largest window that is on the screen."""
        from Xlib import X
        from Xlib.error import XError

        for window in reversed(self.x.screen().root.query_tree().children):
            with contextlib.suppress(XError):
                shown = window.get_attributes().map_state == X.IsViewable
                if shown and window.get_geometry().width > 100:
                    return window
        return None

    def press(self, key: str) -> None:
        from Xlib import XK, X
        from Xlib.ext import xtest

        words = {"ctrl": "Control_L"}
        names = [words.get(part, part) for part in key.split("+")]
        codes = [self.x.keysym_to_keycode(XK.string_to_keysym(name)) for name in names]
        for code in codes:
            xtest.fake_input(self.x, X.KeyPress, code)
        for code in reversed(codes):
            xtest.fake_input(self.x, X.KeyRelease, code)
        self.x.sync()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.x.close()
        self._end()

    def _end(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
