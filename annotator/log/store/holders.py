"""The names of those who hold leases: which program it is, and whether it still runs.

A name is a random id, and with it what tells this process from all others: the boot of the
machine, the PID namespace (each container has its own), the PID and the time of its start. Only a
program on the same boot and in the same namespace may look a PID up. For all others the lease is
the heartbeat: a session renews it, and without that it runs out.
"""

from __future__ import annotations

import os
import re
import uuid
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple


class _Process(NamedTuple):
    """A process, told apart from all others that ever had its PID."""

    place: str
    """The boot of the machine and the PID namespace; "" if they are unknown."""
    pid: int
    start: str
    """The time of its start, in ticks since the boot."""


_NAME = re.compile(r"[0-9a-f]{32}@(?P<place>[0-9a-f-]+/\d+)/(?P<pid>\d{1,10})/(?P<start>\d+)")


def new_holder() -> str:
    """Name this process's leases, so that others can tell if the process still runs."""
    place = _find_place()
    identity = f"@{place}/{os.getpid()}/{_find_start(os.getpid())}" if place else ""
    return f"{uuid.uuid4().hex}{identity}"


def is_dead(holder: str) -> bool:
    """Return True if the holder was a process here and has ended; False also if it is unknown."""
    process = _parse_holder(holder)
    if process is None or process.place != _find_place():
        return False
    return _find_start(process.pid) != process.start


def find_process(holder: str) -> int | None:
    """Return the PID of the holder; None if it has ended, or runs on another machine."""
    process = _parse_holder(holder)
    if process is None or process.place != _find_place():
        return None
    return process.pid if _find_start(process.pid) == process.start else None


def is_stopped(pid: int) -> bool:
    """Return whether a process is stopped, as by Ctrl+Z."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return False
    return text.rpartition(")")[2].split()[:1] == ["T"]


def _parse_holder(holder: str) -> _Process | None:
    found = _NAME.fullmatch(holder)
    return found and _Process(found["place"], int(found["pid"]), found["start"])


@lru_cache(maxsize=1)
def _find_place() -> str:
    """Return the boot id and the PID namespace; "" on a system without /proc."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        namespace = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""
    return f"{boot}/{re.sub(r'[^0-9]', '', namespace)}"


def _find_start(pid: int) -> str:
    """Return the time at which a process started, in ticks since the boot; "" if it has ended."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return ""
    fields = text.rpartition(")")[2].split()
    ended = not fields or fields[0] in "ZX"
    return "" if ended or len(fields) < 20 else fields[19]
