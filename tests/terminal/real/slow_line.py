"""Run a program on an inner pty as over ssh, with a rate in kilobits a second and a round trip.

    slow_line.py LOG KBIT RTT -- COMMAND ...

KBIT and RTT may be 0. LOG gets `o BYTES` for what the program wrote and `d BYTES` for what reached
the terminal, each behind a monotonic time in nanoseconds. Standard library only.
"""

from __future__ import annotations

import collections
import contextlib
import fcntl
import os
import pty
import select
import signal
import sys
import termios
import time
import tty
from pathlib import Path

BUFFER = 2 << 20
"""Bytes that ssh and the sockets take before the program has to wait."""
STEP = 0.004


class Proxy:
    def __init__(self, log: str, kbit: float, rtt: float) -> None:
        self.log = Path(log).open("w", buffering=1)  # noqa: SIM115  open as long as the program
        self.rate, self.half = kbit * 125, rtt / 2000
        self.waiting = bytearray()
        self.down: collections.deque[tuple[float, bytes]] = collections.deque()
        self.up: collections.deque[tuple[float, bytes]] = collections.deque()
        self.free = time.monotonic()
        self.alive = True

    def run(self, command: list[str]) -> int:
        before = termios.tcgetattr(0)
        tty.setraw(0)
        child, self.master = pty.fork()
        if child == 0:
            time.sleep(0.05)  # until the window has its size
            os.execvp(command[0], command)
        self._resize()
        signal.signal(signal.SIGWINCH, self._resize)
        signal.signal(signal.SIGHUP, lambda *_: os.kill(child, signal.SIGHUP))
        with contextlib.suppress(OSError):
            while self.alive or self.waiting or self.down:
                self._step()
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        with contextlib.suppress(termios.error):
            termios.tcsetattr(0, termios.TCSANOW, before)
        return status

    def _resize(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            size = fcntl.ioctl(0, termios.TIOCGWINSZ, b"\0" * 8)
            fcntl.ioctl(self.master, termios.TIOCSWINSZ, size)

    def _step(self) -> None:
        self._send()
        self._deliver()
        times = [queue[0][0] for queue in (self.down, self.up) if queue]
        times += [self.free] if self.waiting else []
        pause = max(0.0, min(times, default=time.monotonic() + 0.5) - time.monotonic())
        sources = [0]
        if self.alive and len(self.waiting) < BUFFER:
            sources.append(self.master)
        with contextlib.suppress(InterruptedError):
            ready, _, _ = select.select(sources, [], [], pause)
            self._read(ready)

    def _read(self, ready: list[int]) -> None:
        if self.master in ready:
            try:
                data = os.read(self.master, 65536)
            except OSError:
                data = b""
            self.alive = bool(data)
            self._note("o", len(data))
            self.waiting += data
        if 0 in ready:
            keys = os.read(0, 4096)
            if not keys:
                raise OSError("the terminal is gone")
            self.up.append((time.monotonic() + self.half, keys))

    def _send(self) -> None:
        """Put on the line what it takes by now."""
        now = time.monotonic()
        while self.waiting and (not self.rate or self.free <= now):
            size = len(self.waiting) if not self.rate else max(1, int(self.rate * STEP))
            data = bytes(self.waiting[:size])
            del self.waiting[:size]
            if self.rate:
                self.free = max(self.free, now - STEP) + len(data) / self.rate
            self.down.append((max(self.free if self.rate else now, now) + self.half, data))

    def _deliver(self) -> None:
        for queue, target in ((self.down, 1), (self.up, self.master)):
            while queue and queue[0][0] <= time.monotonic():
                data = queue.popleft()[1]
                if target == 1:
                    self._note("d", len(data))
                view = memoryview(data)
                with contextlib.suppress(OSError):
                    while view:
                        view = view[os.write(target, view) :]

    def _note(self, kind: str, size: int) -> None:
        if size:
            self.log.write(f"{time.monotonic_ns()} {kind} {size}\n")


if __name__ == "__main__":
    _, log, kbit, rtt, _, *command = sys.argv
    sys.exit(Proxy(log, float(kbit), float(rtt)).run(command))
