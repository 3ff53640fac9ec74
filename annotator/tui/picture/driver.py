"""Textual's driver with what pictures need: answers in order, early keys, a clean farewell."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from functools import partial
from typing import IO, Any

from textual import events
from textual._xterm_parser import XTermParser
from textual.drivers.linux_driver import LinuxDriver
from textual.message import Message

from annotator.terminal.caps import TerminalCapabilities

Answered = Callable[[int, int], None]
_CLEAR = "\x1b[2J"
"""tmux 3.3 leaves rows of the screen in the shell where its window has grown meanwhile."""


class PictureDriver(LinuxDriver):
    """Give it to the app: `App(driver_class=driver_for(caps))`."""

    typed = ""
    """Keys that were typed while the terminal was asked, before there was an app."""
    canvas: object = None
    """Whose pictures the terminal shows."""
    on_answer: Answered | None = None
    """Called in the app with row and column, from 1, of every cursor report."""
    on_farewell: Callable[[], bytes] | None = None
    """Asked for the last bytes before the terminal is left: at exit, crash and suspend."""
    on_drain: Callable[[], tuple[int, float]] | None = None
    """Says how many cursor reports were asked for in all, and how long to wait for them."""
    on_text: Callable[[str], None] | None = None
    """Told everything that others than the picture write."""
    answers = 0

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._file = _Patient(self._file)  # type: ignore[assignment, arg-type]

    def write(self, data: str) -> None:
        super().write(data)
        if self.on_text is not None:
            self.on_text(data)

    def write_picture(self, data: bytes) -> None:
        """Write in order with all other output."""
        super().write(data.decode())

    def deliver_typed(self) -> None:
        """Give the app the keys that were typed before it was there. Call it once there is."""
        typed, self.typed = self.typed, ""
        for message in XTermParser().feed(typed) if typed else ():
            self.process_message(message)

    def process_message(self, message: Message) -> None:
        # In the input thread, in the order in which the terminal sent keys and answers.
        if isinstance(message, events.CursorPosition):
            self.answers += 1
            if self.on_answer is not None:
                report = partial(self.on_answer, message.y + 1, message.x + 1)
                self.send_message(events.Callback(callback=report))
            return
        super().process_message(message)

    def disable_input(self) -> None:
        self._drain()
        super().disable_input()

    def stop_application_mode(self) -> None:
        if self.on_farewell is not None:
            self.write_picture(self.on_farewell())
        super().write(_CLEAR)
        super().stop_application_mode()

    def _drain(self) -> None:
        """Wait for answers on their way: later the shell would print them."""
        if self.on_drain is None or self._key_thread is None or not self._key_thread.is_alive():
            return
        expected, patience = self.on_drain()
        end = time.monotonic() + patience
        while self.answers < expected and time.monotonic() < end:
            time.sleep(0.005)


class _Patient:
    """A terminal that may go away, as it does when a line is cut.

    Writing to it then does nothing. Textual's writer thread would die of the error, and its
    queue, once full, would hold the program for ever.
    """

    def __init__(self, file: IO[str]) -> None:
        self._to = file

    def write(self, text: str) -> None:
        with contextlib.suppress(OSError):
            self._to.write(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            self._to.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._to, name)


def driver_for(caps: TerminalCapabilities) -> type[PictureDriver]:
    """A driver class that first hands on the keys that were typed during the probe."""
    return type("PictureDriver", (PictureDriver,), {"typed": caps.typed})
