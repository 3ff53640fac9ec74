"""The user's own commands for each event, which get it as one JSON line on standard input.

They run one after the other in a thread of their own, so that no key waits for them. A failure is
reported, and labelling continues.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from annotator.items.refs import make_printable

TIMEOUT = 60.0
"""Seconds after which a command is ended."""


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
        self._pending = 0
        self._changed = threading.Condition()
        if self._commands:
            threading.Thread(target=self._run, name="hooks", daemon=True).start()

    def send(self, name: str, event: Mapping[str, Any]) -> None:
        """Queue an event for the command of this name, if there is one."""
        if name not in self._commands:
            return
        line = json.dumps({"event": name, **event}, ensure_ascii=False, default=str)
        with self._changed:
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
                self._changed.notify_all()

    def _call(self, command: list[str], line: bytes) -> str:
        """Run a command; return the reason for its failure, or ""."""
        words = make_printable(shlex.join(command))
        try:
            done = subprocess.run(
                command, input=line, cwd=self._folder, timeout=self._timeout,
                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return f"{words} took longer than {self._timeout:g} s and was stopped"
        except OSError as error:
            return f"{words} could not be started: {error.strerror}. Fix it in annotator.toml."
        if done.returncode == 0:
            return ""
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
        return f"{words} ended with status {done.returncode}" + (
            f": {make_printable(lines[-1])}" if lines else ""
        )
