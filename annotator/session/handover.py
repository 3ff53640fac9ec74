"""The open screens of this user, on disk: another terminal takes one over at the same picture.

A small file for each annotator of a project, in the user's own data folder, which only they can
read. It names the program that has the screen, the command that opens it again, and the view. The
labels and the items on screen are in the project; without this file nothing of them is lost.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import stat
import time
from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from annotator.errors import ProjectError
from annotator.items.atomic import Held, lock_file, read_file
from annotator.items.refs import make_printable, shell_quoted
from annotator.items.user_folders import data_folder
from annotator.log.store.holders import find_process, is_dead, is_stopped, new_holder

TAKE_OVER = signal.SIGUSR1
"""The signal that asks a screen to end, because another terminal takes it over."""
PATIENCE = 2.0
"""Seconds until a screen that does not end is killed: all its labels are on disk."""
_MOST_BYTES = 1 << 16
_LOCKED = 10.0
"""Seconds to wait for another terminal that takes the same screen over."""


@dataclass(frozen=True, slots=True)
class OpenScreen:
    """A screen that is open, or that a lost line has ended."""

    project: str
    annotator: str
    words: tuple[str, ...]
    """The command that opens it again, without the name of the program."""
    folder: str
    """The folder that the command runs in."""
    holder: str
    """The program that has the screen: see `annotator.log.store.holders`."""
    terminal: str = ""
    host: str = ""
    at: float = 0.0
    ended: str = ""
    """The signal that ended it, such as SIGHUP; "" while it is open, and after a kill."""
    view: Mapping[str, Any] | None = None
    """The counters, the answer in view and the pages on the screen."""


class ScreenRecord:
    """The record of the screen that this program has open; a disk that is full changes nothing."""

    def __init__(self, project: Path, annotator: str, words: Sequence[str]) -> None:
        """Take the record of an annotator's screen on a project; `words` open it again."""
        self._file = _file(project, annotator)
        self._screen = OpenScreen(
            str(project.resolve()), annotator, tuple(words), _current_folder(), new_holder(),
            terminal_name(), os.uname().nodename, time.time(),
        )  # fmt: skip
        if (taken := attached.get()) is not None:
            self._screen = replace(self._screen, view=taken.screen.view)
        self._write()
        if taken is not None:
            taken.release()
            attached.set(None)  # the next screen of this program begins anew

    def save(self, view: Mapping[str, Any], ended: str = "") -> None:
        """Keep what is on the screen; only a change is written."""
        screen = replace(self._screen, view=dict(view), ended=ended)
        if screen != self._screen:
            self._screen = screen
            if self.taken() is None:
                self._write()

    def _write(self) -> None:
        with contextlib.suppress(OSError):
            _write(self._file, self._screen)

    def taken(self) -> OpenScreen | None:
        """Return the screen that took this one over, None if none did."""
        found = _read(self._file)
        return found if found is not None and found.holder != self._screen.holder else None

    def remove(self) -> None:
        """Forget the screen: the annotator has quit."""
        if self.taken() is None:
            with contextlib.suppress(OSError):
                self._file.unlink(missing_ok=True)
                _taker_file(self._file).unlink(missing_ok=True)


@dataclass(slots=True)
class Attached:
    """A screen that this program has taken over, locked until it has a record of its own."""

    screen: OpenScreen
    lock: int = -1

    def release(self) -> None:
        """Let other terminals take the screen over from this one."""
        if self.lock >= 0:
            os.close(self.lock)
            self.lock = -1


attached: ContextVar[Attached | None] = ContextVar("attached", default=None)
"""The screen that this program continues."""


def find_screen(project: Path | None, annotator: str | None) -> OpenScreen | None:
    """Return the newest screen of this user on a project and of an annotator, None for any."""
    wanted = str(project.resolve()) if project is not None else None
    found = [
        screen
        for screen in _screens()
        if wanted in (None, screen.project) and annotator in (None, screen.annotator)
    ]
    return max(found, key=lambda screen: screen.at, default=None)


def take_over(screen: OpenScreen) -> OpenScreen:
    """End the program that has a screen, and return the screen as it left it.

    Of two terminals that take it over at once, the later one takes it from the other. Raises
    `ProjectError` for a screen on another machine.
    """
    file = _file(Path(screen.project), screen.annotator)
    taken = Attached(screen, _lock(file.with_suffix(".lock")))
    screen = _read(file) or screen
    _refuse_elsewhere(screen)
    with contextlib.suppress(OSError):  # a disk that is full: only the name is not told
        _write(_taker_file(file), replace(screen, terminal=terminal_name(), at=time.time()))
    _end(screen.holder)
    taken.screen = _read(file) or screen
    attached.set(taken)
    return taken.screen


def read_taker(project: Path, annotator: str) -> str:
    """Return who takes the screen of this program over, for its last line."""
    taker = _read(_taker_file(_file(project, annotator)))
    return make_printable(taker.terminal) if taker is not None else "another terminal"


def terminal_name() -> str:
    """Return the name of this terminal, such as `pts/3` with the host of an SSH client."""
    name = ""
    for number in (2, 0, 1):
        with contextlib.suppress(OSError):
            name = name or os.ttyname(number).removeprefix("/dev/")
    client = os.environ.get("SSH_CONNECTION", "").partition(" ")[0]
    return f"{name or 'another terminal'}{f' from {client}' if client else ''}"


def _refuse_elsewhere(screen: OpenScreen) -> None:
    here = os.uname().nodename
    if screen.host in ("", here) or is_dead(screen.holder):
        return
    project = shell_quoted(Path(screen.project))
    raise ProjectError(
        f"The screen of {make_printable(screen.annotator)} is open on "
        f"{make_printable(screen.host)}, and this is {make_printable(here)}. Run it there: "
        f"annotator attach {project}\nIf that machine is gone: annotator run {project}"
    )


def _end(holder: str) -> None:
    """Ask the program of a screen to end, kill it if it does not, and wait until it has ended."""
    with contextlib.suppress(ProcessLookupError, OSError):
        pid = find_process(holder)
        if pid is None:
            return
        process = os.pidfd_open(pid)
        try:
            if find_process(holder) != pid:  # it has ended, and another program has its PID
                return
            # A program that Ctrl+Z has stopped cannot end by itself.
            first = signal.SIGKILL if is_stopped(pid) else TAKE_OVER
            for number in (first, signal.SIGKILL):
                signal.pidfd_send_signal(process, number)
                end = time.monotonic() + PATIENCE
                while find_process(holder) == pid:
                    if time.monotonic() > end:
                        break
                    time.sleep(0.01)
                else:
                    return
        finally:
            os.close(process)


def _lock(file: Path) -> int:
    """Wait for the lock of a screen; return its descriptor, -1 without one."""
    end = time.monotonic() + _LOCKED
    while time.monotonic() < end:
        try:
            return lock_file(file, 0o600, os.O_NOFOLLOW)
        except Held:
            time.sleep(0.02)
        except OSError:
            break  # a disk without locks
    return -1


def _current_folder() -> str:
    """Return the folder that this program runs in; "" if it was removed."""
    try:
        return str(Path.cwd())
    except OSError:
        return ""


def _folder() -> Path:
    return data_folder() / "screens"


def _file(project: Path, annotator: str) -> Path:
    key = hashlib.sha256(f"{project.resolve()}\0{annotator}".encode("utf-8", "surrogateescape"))
    return _folder() / f"{key.hexdigest()[:32]}.json"


def _taker_file(file: Path) -> Path:
    return file.with_suffix(".taker")


def _screens() -> Iterator[OpenScreen]:
    with contextlib.suppress(OSError):
        for file in _folder().glob("*.json"):
            if (screen := _read(file)) is not None:
                yield screen


def _read(file: Path) -> OpenScreen | None:
    """Return the screen in a file; None if it is not a record of this user."""
    try:
        state = file.lstat()
        own = state.st_uid == os.geteuid() and stat.S_ISREG(state.st_mode)
        if not own or state.st_size > _MOST_BYTES:
            return None
        given = json.loads(read_file(file))
        given["words"] = tuple(given["words"])
        texts = ("project", "annotator", "folder", "holder", "terminal", "host", "ended")
        screen = OpenScreen(**given)
        fits = all(isinstance(getattr(screen, name), str) for name in texts)
        fits = fits and all(isinstance(word, str) for word in screen.words)
        fits = fits and isinstance(screen.view or {}, dict) and isinstance(screen.at, float)
        return screen if fits else None
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None


def _write(file: Path, screen: OpenScreen) -> None:
    """Write a record that only this user can read, at once; a power cut may lose it."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    opened = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    try:
        with open(opened, "w", encoding="utf-8") as output:  # noqa: PTH123
            json.dump(asdict(screen), output)
        temporary.replace(file)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
