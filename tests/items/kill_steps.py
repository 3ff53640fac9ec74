"""A command that is killed right before its n-th change of the disk, as by `kill -9`.

Python tells an audit hook of each file that is opened for writing, renamed, linked or removed. A
forked child ends itself there, without any cleaning up.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import annotator
from annotator.cli import main

_CHANGES = frozenset(
    ["os.rename", "os.remove", "os.link", "os.truncate", "os.mkdir", "os.rmdir", "os.symlink"]
    + ["sqlite3.connect", "shutil.rmtree", "os.chmod"]
)
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_LIMIT = 120


def import_commands() -> None:
    """Import what the commands import late, so that each forked child begins at once."""
    for module in pkgutil.walk_packages(annotator.__path__, "annotator."):
        if not module.name.startswith(("annotator.tui", "annotator.__main__")):
            with suppress(ImportError):
                importlib.import_module(module.name)


class Ran(NamedTuple):
    """The end of a command."""

    killed: bool
    """False if the command had fewer steps, and ended by itself."""
    code: int
    said: str
    """The text of both outputs."""


def run_killed(step: int, root: Path, words: Sequence[str], limit: int = _LIMIT) -> Ran:
    """Run a command that dies before its change number `step` below `root`; never for 0."""
    with tempfile.TemporaryFile() as said:
        child = os.fork()
        if not child:
            signal.alarm(limit)
            _run_child(step, str(root), words, said.fileno())
        _, status = os.waitpid(child, 0)
        said.seek(0)
        text = said.read().decode("utf-8", "replace")
    killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    return Ran(killed, os.waitstatus_to_exitcode(status), text)


def _run_child(step: int, root: str, words: Sequence[str], said: int) -> None:
    left = step

    def watch(event: str, args: tuple[object, ...]) -> None:
        nonlocal left
        path = args[0] if args else ""
        if event == "open":
            change = isinstance(args[2], int) and bool(args[2] & _WRITES)
        else:
            change = event in _CHANGES
        if not change or not isinstance(path, str | bytes | os.PathLike):
            return
        if not os.fsdecode(path).startswith(root):
            return
        left -= 1
        if left == 0:
            os.write(1, f"\nbefore {event} {Path(os.fsdecode(path)).name}".encode())
            os.kill(os.getpid(), signal.SIGKILL)

    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number in (1, 2):
        os.dup2(said, number)
    os.environ |= {"NO_COLOR": "1", "ANNOTATOR_NAME": "ann"}
    sys.stdin, sys.stdout, sys.stderr = (
        open(number, "r" if number == 0 else "w", closefd=False)  # noqa: SIM115, PTH123
        for number in range(3)
    )
    sys.argv[:] = ["annotator", *words]
    code = 70
    try:
        sys.addaudithook(watch)
        main()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
