"""The user's own commands for each event, which get it as one JSON line on standard input.

They run one after the other in a thread of their own, so that no key waits for them. A failure is
reported, and labelling continues.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import IO, Any

from annotator.items.refs import make_printable, plural

TIMEOUT = 60.0
"""Seconds after which a command is ended."""
MOST_WAITING = 10_000
"""Events that wait for their command; further ones are dropped, and counted in one message."""
_KEPT, _SHOWN = 4096, 500
_LAST_WORDS = 0.5


class Hooks:
    """The commands of a project: "on_label" and "on_finish" to a command line, run in `folder`.

    `on_failure` gets a message for each command that could not be started, ended with a status
    other than 0 or took longer than `timeout` seconds. It is called in the hooks' thread.
    """

    def __init__(
        self,
        commands: Mapping[str, str | None],
        folder: Path,
        on_failure: Callable[[str], object],
        timeout: float = TIMEOUT,
    ) -> None:
        self._commands = {name: shlex.split(line) for name, line in commands.items() if line}
        self._folder, self._failed, self._timeout = folder, on_failure, timeout
        self._events: SimpleQueue[tuple[str, bytes]] = SimpleQueue()
        self._pending = self._dropped = 0
        self._changed = threading.Condition()
        if self._commands:
            threading.Thread(target=self._run, name="hooks", daemon=True).start()

    def send(self, name: str, event: Mapping[str, Any]) -> None:
        """Queue an event for the command of this name, if there is one."""
        if name not in self._commands:
            return
        line = json.dumps({"event": name, **event}, ensure_ascii=False, default=str)
        with self._changed:
            if self._pending >= MOST_WAITING:
                self._dropped += 1
                return
            self._pending += 1
        self._events.put((name, line.encode() + b"\n"))

    def close(self, seconds: float) -> int:
        """Wait up to `seconds` for the queued events; return the number not yet handled."""
        until = time.monotonic() + seconds
        with self._changed:
            while self._pending and (left := until - time.monotonic()) > 0:
                self._changed.wait(left)
            return self._pending

    def _run(self) -> None:
        while True:
            try:
                name, line = self._events.get(timeout=3600)
            except Empty:
                continue
            if reason := self._call(self._commands[name], line):
                self._failed(f"{name}: {reason}")
            with self._changed:
                self._pending -= 1
                dropped = self._dropped if not self._pending else 0
                self._dropped -= dropped
                self._changed.notify_all()
            if dropped:
                self._failed(
                    f"{name}: {plural(dropped, 'event')} {'was' if dropped == 1 else 'were'} "
                    f"dropped, because {MOST_WAITING:,} others waited for the command. Make it "
                    "faster."
                )

    def _call(self, command: list[str], line: bytes) -> str:
        """Run a command; return the reason for its failure, or ""."""
        words = make_printable(shlex.join(command))
        try:
            status, said = _run_bounded(command, line, self._folder, self._timeout)
        except subprocess.TimeoutExpired:
            return f"{words} took longer than {self._timeout:g} s and was stopped"
        except OSError as error:
            return f"{words} could not be started: {error.strerror}. Fix it in annotator.toml."
        if status == 0:
            return ""
        lines = said.decode("utf-8", "replace").strip().splitlines()
        last = make_printable(lines[-1][-_SHOWN:]) if lines else ""
        return f"{words} ended with status {status}" + (f": {last}" if last else "")


def _run_bounded(
    command: list[str], data: bytes, folder: Path, timeout: float
) -> tuple[int, bytes]:
    """Run a command; return its status and the end of what it wrote to stderr.

    At the end of the time, the command and all that it has started are ended. Raises
    `TimeoutExpired`, and `OSError` if it cannot be started.
    """
    with tempfile.TemporaryFile() as given:
        given.write(data)  # a file, so that a command that reads nothing blocks nothing
        given.seek(0)
        child = subprocess.Popen(
            command, cwd=folder, stdin=given, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            start_new_session=True,
        )  # fmt: skip
    said = bytearray()
    assert child.stderr is not None
    reader = threading.Thread(target=_keep_end, args=(child.stderr, said), daemon=True)
    reader.start()
    try:
        status = child.wait(timeout)
    except BaseException:
        with contextlib.suppress(OSError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        raise
    reader.join(_LAST_WORDS)  # a process that it left running may keep the pipe open
    return status, bytes(said)


def _keep_end(pipe: IO[bytes], end: bytearray) -> None:
    """Read all that comes, so that the writer never waits, and keep the last bytes."""
    with contextlib.suppress(OSError, ValueError), pipe:
        while more := pipe.read1(1 << 16):  # type: ignore[attr-defined]
            end += more
            del end[:-_KEPT]
