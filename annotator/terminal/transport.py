"""Two side ways to the terminal: through tmux, and through the memory of this machine."""

from __future__ import annotations

import os
import secrets
import subprocess
from collections.abc import Mapping
from pathlib import Path

from annotator.terminal.caps import Tmux


def wrap_for_tmux(text: bytes) -> bytes:
    """Wrap an escape code so that tmux passes it on unread."""
    return b"\x1bPtmux;" + text.replace(b"\x1b", b"\x1b\x1b") + b"\x1b\\"


def read_tmux(env: Mapping[str, str], answered: str) -> Tmux:
    """Return the tmux that this program runs in; `answered` is its reply to XTVERSION."""
    version = answered if answered.startswith("tmux") else ""
    reported = _run_tmux(env, "display-message", "-p", "#{version}")
    version = reported or version.removeprefix("tmux ")
    allowed = _run_tmux(env, "show-options", "-gqvp", "allow-passthrough") or _run_tmux(
        env, "show-options", "-gqv", "allow-passthrough"
    )
    here = _run_tmux(env, "show-options", "-qvpA", "allow-passthrough")
    # Before 3.3 the option did not exist and everything passed.
    old = Tmux(version).number < (3, 3) and version != ""
    features = _run_tmux(env, "display-message", "-p", "#{client_termfeatures}")
    return Tmux(version, old or (here or allowed) in ("on", "all"), "sixel" in features.split(","))


def tmux_client(env: Mapping[str, str] = os.environ) -> str:
    """Return the terminal that tmux is attached to, and since when; empty if it is detached."""
    pane = ["-t", env["TMUX_PANE"]] if env.get("TMUX_PANE") else []
    return _run_tmux(env, "display-message", "-p", *pane, "#{client_tty} #{client_created}").strip()


def _run_tmux(env: Mapping[str, str], *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["tmux", *arguments],
            env=dict(env),
            capture_output=True,
            text=True,
            timeout=2,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()


FOLDER = Path("/dev/shm")  # noqa: S108  where POSIX shared memory lies on Linux


_RECENT: dict[str, None] = {}
"""The names that were written last, oldest first; older ones have been read or removed."""
_MOST_RECENT = 256


def write_shared_memory(data: bytes) -> str:
    """Put bytes into shared memory that only this user reads. Returns its name.

    Raises `OSError` if there is no such memory, or no room in it.
    """
    name = f"/annotator-tty-graphics-protocol-{secrets.token_hex(8)}"
    path = FOLDER / name[1:]
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(file, view) :]
    except OSError:
        path.unlink()
        raise
    finally:
        os.close(file)
    _RECENT[name] = None
    if len(_RECENT) > _MOST_RECENT:
        del _RECENT[next(iter(_RECENT))]
    return name


def unlink_shared_memory(name: str) -> None:
    """Remove memory that was never read; the terminal removes what it reads."""
    _RECENT.pop(name, None)
    (FOLDER / name[1:]).unlink(missing_ok=True)


def unlink_recent_memory() -> None:
    """Remove what no terminal has read. Call it when the program ends.

    A screen that closes after the terminal was left may still have written a picture.
    """
    for name in list(_RECENT):
        unlink_shared_memory(name)
