"""Writing a file at once: whole and synced, or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def write_atomically(path: Path, data: bytes) -> None:
    """Write `data` to a new file beside `path`, sync it, and put it in its place at once.

    Raises `OSError` that names `path`.
    """
    try:
        _replace(path, data)
    except OSError as error:
        error.filename, error.filename2 = str(path), None  # a full disk names no file
        raise


def _replace(path: Path, data: bytes) -> None:
    with tempfile.NamedTemporaryFile(
        dir=path.parent, prefix=f".{path.name}.", delete=False
    ) as file:
        temporary = Path(file.name)
        try:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            temporary.chmod(0o666 & ~read_umask())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def read_umask() -> int:
    """Return the permissions that new files are made without."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
