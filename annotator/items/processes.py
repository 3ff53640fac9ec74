"""Child processes of Python that import nothing from the current folder.

`python -m` and `python -c` look for modules in the current folder first. That folder may be a
stranger's folder of images, and a `json.py` in it would run. So every child gets `-P`.
"""

from __future__ import annotations

import multiprocessing
import os
import site
import sys
from collections.abc import Callable
from functools import cache
from multiprocessing import util
from multiprocessing.context import SpawnContext

GO_ON = b"go on\n"
"""The line that lets a child process of the app continue without it."""
_FLAGS_OF_CHILDREN = "_args_from_interpreter_flags"


def annotator_command(*arguments: str) -> list[str]:
    """Return the command line of another `annotator` process."""
    return [sys.executable, *_safe_flags(), "-m", "annotator", *arguments]


def _safe_flags() -> list[str]:
    """Return `-I` if no package can come from the environment or the user's own site; else `-P`."""
    by_environment = any(name.startswith("PYTHON") for name in os.environ)
    own_site = site.ENABLE_USER_SITE and os.path.isdir(site.getusersitepackages())  # noqa: PTH112
    return ["-P"] if by_environment or own_site else ["-I"]


@cache
def spawn_context() -> SpawnContext:
    """Return the context of spawned processes, whose interpreters get `-P`.

    The processes of multiprocessing, its resource tracker among them, start with `python -c`, and
    take their flags from one function of the library, which is replaced here.
    """
    flags: Callable[[], list[str]] = getattr(util, _FLAGS_OF_CHILDREN)
    setattr(util, _FLAGS_OF_CHILDREN, lambda: [*flags(), "-P"])
    return multiprocessing.get_context("spawn")
