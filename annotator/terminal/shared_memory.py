"""Memory that programs of this machine share, by name."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

FOLDER = Path("/dev/shm")  # noqa: S108  where POSIX shared memory lies on Linux


def write_shared_memory(data: bytes) -> str:
    """Put bytes into shared memory that only this user reads. Returns its name.

    Raises `OSError` where there is none, or no room in it.
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
    return name


def unlink_shared_memory(name: str) -> None:
    """Remove what nobody has read; the terminal removes what it reads."""
    (FOLDER / name[1:]).unlink(missing_ok=True)
