"""Side ways to the terminal, through tmux and this machine's memory, and its graphics replies."""

from __future__ import annotations

import os
import re
import secrets
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class GraphicsReply:
    """A terminal's answer to a graphics command."""

    image: int
    """The id of the image; 0 if it names none."""
    fine: bool


_REPLY = re.compile(
    r"\x1b_G(?P<graphics>[^\x1b]*)\x1b\\"
    r"|\x1bP[>\d][^\x1b]*\x1b\\|\x1b\[[46];\d+;\d+t|\x1b\[\?[\d;]*[Sc]"
)
"""Graphics replies, and the answers to `build_query` that no part of an app reads."""
_STARTS = "\x1b_G", "\x1bP>"
"""The starts of replies that no key begins with."""
_BEGUN = re.compile(r"\x1b(?:[_P]|(?:_G|P[>\d])[^\x1b]{0,4096}\x1b?|\[[?<]?[\d;:]{0,64})?\Z")
"""The start of a reply, or what may be one, at the end of what has come."""
_MOST_FLUSHES = 250
_FORGOTTEN = 10
"""The number of flushes after which a lone escape was the key for certain."""


class ReplyFilter:
    """A filter for replies in what a terminal sends: to an app they would be keys."""

    def __init__(self) -> None:
        self._held, self._flushes, self._passed = "", 0, ""

    @property
    def waits(self) -> bool:
        """True if the start of a reply, or what may be one, is held back."""
        return self._held != ""

    def feed(self, text: str) -> Iterator[str | GraphicsReply]:
        """Yield keys and graphics replies in their order. The start of a reply is held back.

        Other replies are left out.
        """
        if (self._passed + text).startswith(_STARTS):
            text = self._passed + text  # the escape began a reply
        text, end = self._held + text, 0
        for found in _REPLY.finditer(text):
            if found.start() > end:
                yield text[end : found.start()]
            if found["graphics"] is not None:
                yield _read_reply(found["graphics"])
            end = found.end()
        begun = _BEGUN.search(text, end)
        self._held, self._flushes, self._passed = (begun[0] if begun else ""), 0, ""
        if keys := text[end : len(text) - len(self._held)]:
            yield keys

    def flush(self) -> str:
        """Return the keys that were held back, for nothing has come since; call it now and then.

        The start of a reply never becomes keys: its rest is waited for, and then it is dropped.
        """
        self._flushes += 1
        if self._held.startswith(_STARTS) and self._flushes < _MOST_FLUSHES:
            return ""
        keys, self._held = self._held, ""
        if keys.startswith(_STARTS):
            return ""
        self._passed = keys or (self._passed if self._flushes < _FORGOTTEN else "")
        return keys


def _read_reply(text: str) -> GraphicsReply:
    keys, _, verdict = text.partition(";")
    named = re.search(r"(?:^|,)i=(\d{1,10})(?:,|$)", keys)
    return GraphicsReply(int(named[1]) if named else 0, verdict == "OK")


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
