"""Safe files: written whole or not at all, by one writer at a time, and read only if regular."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import tempfile
from pathlib import Path

from annotator.items.refs import make_printable, shell_quoted


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


def only_regular(path: str, flags: int) -> int:
    """Open a file, for `open(…, opener=only_regular)`; a pipe would wait, a device never end.

    Raises `OSError` for both, and for a folder.
    """
    number = os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
    mode = os.fstat(number).st_mode
    if stat.S_ISREG(mode):
        return number
    os.close(number)
    what = "folder" if stat.S_ISDIR(mode) else "pipe" if stat.S_ISFIFO(mode) else "device"
    raise OSError(errno.EINVAL, f"it is a {what}, not a file", path)


def read_file(path: Path) -> bytes:
    """Return the bytes of a regular file. Raises `OSError`, also for more than memory holds."""
    with open(path, "rb", opener=only_regular) as file:  # noqa: PTH123
        refuse_huge(path, os.fstat(file.fileno()))
        return file.read()


FileState = tuple[int, int, int]
"""The number, the size and the time of a file."""


def file_state(path: Path) -> FileState | None:
    """Return what changes if a file is replaced or written; None for one that cannot be found."""
    try:
        found = os.stat(path)  # noqa: PTH116
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def refuse_huge(path: Path, state: os.stat_result) -> None:
    """Raise `OSError` for a file that takes more than half of the memory."""
    if state.st_size > os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2:
        why = f"its {state.st_size:,} bytes are more than half of the memory"
        raise OSError(errno.EFBIG, why, str(path))


def describe_dead_link(path: Path) -> str:
    """Return the message for a link whose target is gone, as on a disk that is not mounted."""
    name = make_printable(str(path))
    return f"{name} is a link, and its target is not there. Put it back: ls -l {shell_quoted(path)}"


def read_umask() -> int:
    """Return the umask: the permission bits that new files do not get."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


class Held(Exception):
    """The error for a lock that another process holds."""


class NoLocks(OSError):
    """The error for a file system on which locks do not work: no other process is in the way."""


NO_LOCK_ERRORS = frozenset((errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK))
"""The errors of file systems without locks: Lustre with `noflock`, NFS without its lock service."""


def lock_file(path: Path, mode: int = 0o666, flags: int = 0) -> int:
    """Open `path`, made if missing, and lock it; return its descriptor, which holds the lock.

    The kernel releases the lock when the process ends, however it ends; the file stays. Raises
    `Held`, `NoLocks` on a file system without locks, and `OSError` for a file that it cannot open.
    """
    number = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | flags, mode)
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):  # NFS may answer EACCES
        os.close(number)
        raise Held(str(path)) from None
    except OSError as error:
        os.close(number)
        if error.errno in NO_LOCK_ERRORS:
            raise NoLocks(error.errno, error.strerror, str(path)) from None
        raise
    except BaseException:
        os.close(number)
        raise
    return number
