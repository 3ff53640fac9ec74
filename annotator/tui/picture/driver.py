"""Textual's driver with what pictures need: answers in order, early keys, a clean end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import select
import signal
import time
from codecs import getincrementaldecoder
from collections.abc import Callable
from functools import partial
from typing import IO, Any

from textual import events
from textual._parser import ParseError
from textual.drivers.linux_driver import LinuxDriver
from textual.message import Message

from annotator.terminal.caps import Technique, TerminalCapabilities
from annotator.terminal.transport import GraphicsReply, ReplyFilter
from annotator.tui.picture.key_reader import KeyParser, PasteMarker, with_alternate_keys

Answered = Callable[[int, int], None]
_WAIT, _REST = 0.1, 0.02
"""Seconds to wait for input, and for the rest of what may be a reply."""
_AT_ONCE = 512
"""The most bytes written past the queue: the kernel takes them in one piece."""
_CLEAR = "\x1b[2J"
"""tmux 3.3 leaves rows of the screen in the shell if its window has grown meanwhile."""


class PictureDriver(LinuxDriver):
    """A driver for pictures: `App(driver_class=driver_for(caps))`."""

    typed = ""
    """Keys that were typed while the terminal was asked, before there was an app."""
    repeats = False
    """True if the terminal repeats a character by itself (REP)."""
    canvas: object = None
    """The canvas whose pictures the terminal shows."""
    answers = 0
    """The number of cursor reports so far."""
    _on_answer: Answered | None = None
    _on_failure: Callable[[int], None] | None = None
    _on_farewell: Callable[[], bytes] | None = None
    _on_drain: Callable[[], tuple[int, float]] | None = None
    _on_text: Callable[[str], None] | None = None

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._patient = _Patient(self._file)  # type: ignore[arg-type]
        self._file = self._patient  # type: ignore[assignment]
        self._queued = 0
        self._replies = ReplyFilter()
        # The end may be the start of an answer whose rest is on its way.
        self._early = "".join(p for p in self._replies.feed(self.typed) if isinstance(p, str))

    def attach(
        self,
        canvas: object,
        *,
        on_answer: Answered,
        on_failure: Callable[[int], None],
        on_text: Callable[[str], None],
        on_farewell: Callable[[], bytes],
        on_drain: Callable[[], tuple[int, float]],
    ) -> None:
        """Give the terminal to a canvas, in place of the one before.

        `on_answer` is called in the app with row and column, from 1, of every cursor report,
        `on_failure` with the id of an image that the terminal could not take or show, and `on_text`
        with all text that the canvas did not write. `on_farewell` returns the last bytes
        before the terminal is left (at exit, crash and suspend). `on_drain` returns the number of
        cursor reports requested so far and the seconds to wait for them.
        """
        self.canvas = canvas
        self._on_answer, self._on_failure, self._on_text = on_answer, on_failure, on_text
        self._on_farewell, self._on_drain = on_farewell, on_drain

    def start_application_mode(self) -> None:
        """Catch signals, then change the terminal: whatever ends the program changes it back."""
        catch_signals = getattr(self._app, "catch_signals", None)
        if catch_signals is not None:
            catch_signals()
        self._handle_stops()
        if self._key_thread is not None and self._key_thread.is_alive():
            super().disable_input()  # a hangup continues a program that was never stopped
        super().start_application_mode()  # type: ignore[no-untyped-call]

    def _handle_stops(self) -> None:
        """Let the loop handle a stop and its end.

        Textual's handlers write to the terminal from within whatever code is running. If that code
        writes too, and holds the lock of the queue, the program stands still for ever: the kernel
        continues a program whose terminal goes away, stopped or not.
        """
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTSTP, self._sigtstp_application)
        loop.add_signal_handler(signal.SIGCONT, self._sigcont_application)

    def write(self, data: str) -> None:
        """Write text of the app."""
        data = with_alternate_keys(data)
        self._queue(repeat_spaces(data) if self.repeats else data)
        if self._on_text is not None:
            self._on_text(data)

    def write_picture(self, data: bytes) -> None:
        """Write in order with all other output; a few bytes at once, past the writer's thread.

        That thread has to be woken first, which takes long where other programs keep the
        processors busy.
        """
        if len(data) <= _AT_ONCE and data.isascii() and self._idle:
            with contextlib.suppress(OSError):
                data = data[os.write(self._patient.fileno(), data) :]
        if data:
            self._queue(data.decode())

    def _queue(self, text: str) -> None:
        self._queued += 1
        super().write(text)

    @property
    def _idle(self) -> bool:
        """True if all output so far has been written, and the terminal takes more."""
        if self._queued != self._patient.flushed:
            return False
        with contextlib.suppress(OSError, ValueError):
            return bool(select.select([], [self._patient.fileno()], [], 0)[1])
        return False

    def deliver_typed(self) -> None:
        """Send the app the keys that were typed before it started. Call it once it runs."""
        typed, self._early = self._early, ""
        for message in KeyParser().feed(typed) if typed else ():
            message.time = 0.0  # before anything was drawn
            self.process_message(message)

    def run_input_thread(self) -> None:
        """Send the app what is typed, without the terminal's replies.

        In the place of Textual's own loop, whose parser takes such a reply for keys. Pasted keys
        are marked.
        """
        parser, replies, marker = KeyParser(self._debug), self._replies, PasteMarker()
        decode = getincrementaldecoder("utf-8")("replace").decode
        while not self.exit_event.is_set():
            self._read_input(parser, replies, marker, decode, _REST if replies.waits else _WAIT)
        self._read_input(parser, replies, marker, decode, _WAIT)
        with contextlib.suppress(EOFError, ParseError):
            for _ in parser.feed(""):
                pass

    def _read_input(
        self,
        parser: KeyParser,
        replies: ReplyFilter,
        marker: PasteMarker,
        decode: Callable[[bytes], str],
        wait: float,
    ) -> None:
        if select.select([self.fileno], [], [], wait)[0]:
            data = os.read(self.fileno, 4096)
            if not data:  # the terminal is gone
                self.exit_event.wait(_WAIT)
            pieces = list(replies.feed(decode(data)))
        else:
            pieces = [replies.flush()]
        messages: list[Message] = []
        for piece in pieces:
            if isinstance(piece, GraphicsReply):
                self._note_reply(piece)
            elif piece:
                messages += parser.feed(piece)
        messages += parser.tick()
        marker.mark(messages, time.monotonic())
        for message in messages:
            self.process_message(message)

    def _note_reply(self, reply: GraphicsReply) -> None:
        if not reply.fine and reply.image and self._on_failure is not None:
            failed = partial(self._on_failure, reply.image)
            self.send_message(events.Callback(callback=failed))

    def process_message(self, message: Message) -> None:
        """Send a message to the app, cursor reports to the canvas."""
        # In the input thread, in the order in which the terminal sent keys and answers.
        if isinstance(message, events.CursorPosition):
            self.answers += 1
            if self._on_answer is not None:
                report = partial(self._on_answer, message.y + 1, message.x + 1)
                self.send_message(events.Callback(callback=report))
            return
        super().process_message(message)

    def disable_input(self) -> None:
        """Wait for the last answers, then stop reading."""
        self._drain()
        super().disable_input()

    def stop_application_mode(self) -> None:
        """Free the pictures, then leave the terminal."""
        if self._on_farewell is not None:
            self.write_picture(self._on_farewell())
        self._queue(_CLEAR)
        super().stop_application_mode()

    def _drain(self) -> None:
        """Wait for answers on their way: later the shell would print them."""
        if self._on_drain is None or self._key_thread is None or not self._key_thread.is_alive():
            return
        expected, patience = self._on_drain()
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
        self._written = self.flushed = 0
        """The number of texts written, and of those that have left the buffer."""

    def write(self, text: str) -> None:
        with contextlib.suppress(OSError):
            self._to.write(text)
        self._written += 1

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            self._to.flush()
        self.flushed = self._written

    def __getattr__(self, name: str) -> Any:
        return getattr(self._to, name)


_SPACES = re.compile(r" {12,}")


def repeat_spaces(text: str) -> str:
    """Return text in which the terminal repeats long runs of spaces: a line of status costs half.

    Titles and links stay as they are: a control sequence has no place in them.
    """
    if "\x1b]" in text or "\x1bP" in text:
        return text
    return _SPACES.sub(lambda run: f" \x1b[{len(run[0]) - 1}b", text)


def driver_for(caps: TerminalCapabilities) -> type[PictureDriver]:
    """Return a driver class that first delivers the keys typed during the probe."""
    # kitty and Ghostty: the rows of placeholders are repeated there, too.
    placed = caps.technique in (Technique.FRAMES, Technique.PLACEHOLDERS)
    repeats = placed and not caps.multiplexer and not caps.variant.third_mark
    return type("PictureDriver", (PictureDriver,), {"typed": caps.typed, "repeats": repeats})
