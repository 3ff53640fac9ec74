"""A terminal for measuring: a pty that answers a program's questions and notes when bytes come."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import struct
import termios
import time
from collections.abc import Callable, Sequence

_QUESTION = re.compile(
    rb"\x1b\[\d+;\d+H\x1b\[6n|\x1b\[c|\x1b\[0c|\x1b\[6n|\x1b\[16t|\x1b\[\?2026\$p|\x1b\[\?u"
)
_ANSWERS = {
    b"\x1b[c": b"\x1b[?62;22c",
    b"\x1b[0c": b"\x1b[?62;22c",
    b"\x1b[6n": b"\x1b[1;1R",
    b"\x1b[16t": b"\x1b[6;17;8t",
    b"\x1b[?2026$p": b"\x1b[?2026;2$y",
    b"\x1b[?u": b"",
}
HALF_CELL = "▀".encode()


class Terminal:
    """Runs `command` in `size` cells; a terminal without graphics, so pictures are half cells."""

    def __init__(
        self,
        command: Sequence[str],
        size: tuple[int, int] = (80, 24),
        env: dict[str, str] | None = None,
    ) -> None:
        self.output = bytearray()
        self.begun = time.perf_counter()
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            os.execvpe(
                command[0], list(command), {**os.environ, "TERM": "xterm-256color", **(env or {})}
            )
        columns, rows = size
        window = struct.pack("HHHH", rows, columns, columns * 8, rows * 17)
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, window)

    def read_until(self, seen: Callable[[bytes], bool], seconds: float = 60.0) -> float:
        """Seconds until `seen(new bytes)` held, from the call on. Raises `TimeoutError`."""
        start, mark = time.perf_counter(), len(self.output)
        while time.perf_counter() - start < seconds:
            if select.select([self.master], [], [], 0.5)[0]:
                try:
                    data = os.read(self.master, 1 << 16)
                except OSError:
                    break
                now = time.perf_counter()
                self.output += data
                for question in _QUESTION.findall(data):
                    place = question.removesuffix(b"H\x1b[6n")  # where the cursor was put
                    known = _ANSWERS.get(question, place + b"R")
                    os.write(self.master, known)
                if seen(bytes(self.output[mark:])):
                    return now - start
        raise TimeoutError(bytes(self.output[-500:]))

    def settle(self, quiet: float = 0.3) -> None:
        """Read until nothing has come for `quiet` seconds."""
        while select.select([self.master], [], [], quiet)[0]:
            self.read_until(lambda _: True)

    def press(self, keys: str) -> None:
        os.write(self.master, keys.encode())

    def memory_mb(self) -> dict[str, float]:
        """The program's anonymous and file-backed resident memory, in MB."""
        with open(f"/proc/{self.pid}/status") as status:  # noqa: PTH123
            fields = dict(line.split(":", 1) for line in status)
        return {
            name: int(fields[key].split()[0]) / 1000
            for name, key in (("own", "RssAnon"), ("mapped", "RssFile"))
        }

    def hang_up(self) -> None:
        """Cut the line, and wait until the program has ended."""
        os.close(self.master)
        os.waitpid(self.pid, 0)

    def end(self, keys: str) -> None:
        """Press the keys that quit, and wait until the program has ended."""
        with contextlib.suppress(OSError):  # it has ended
            self.press(keys)
        with contextlib.suppress(OSError):
            while os.read(self.master, 1 << 16):
                pass
        os.close(self.master)
        os.waitpid(self.pid, 0)
