"""The length and checksum of refs.csv as annotator last wrote it, kept in `.cache`.

You may edit refs.csv, so a change is not refused: a changed file is read as it is. But a flipped
letter makes another item, and no other check can tell that from an edit. So the doctor says that
the file has changed, until it is accepted (`doctor --repair`) or an earlier copy is back. The sum
is about the contents: a copy of the project and a file that was only touched have not changed.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from pathlib import Path

from annotator.items.atomic import read_file, write_atomically

_FILE = "refs-sum.txt"


def note_written(refs_file: Path, before: bytes, after: bytes) -> None:
    """Note that `after` is about to replace `before`; either may stand after a kill.

    If `before` has not been noted, nothing is: the doctor still says that the file had changed.
    """
    known = _read(refs_file)
    if not known or _sum(before) in known:
        _write(refs_file, _sum(before), _sum(after))


def accept_refs(refs_file: Path, *, if_new: bool = False) -> None:
    """Take refs.csv as it is; with `if_new` only if nothing was noted before."""
    with suppress(OSError):
        if not (if_new and _read(refs_file)):
            _write(refs_file, _sum(read_file(refs_file)))


def describe_change(refs_file: Path) -> str:
    """Return how refs.csv differs from what annotator wrote; "" if it does not."""
    known = _read(refs_file)
    if not known:
        return ""
    try:
        now = _sum(read_file(refs_file))
    except OSError:
        return ""
    sizes = f"{int(known[-1].split()[0]):,} bytes then, {int(now.split()[0]):,} now"
    return "" if now in known else f"has changed since annotator wrote it ({sizes})"


def _sum(data: bytes) -> str:
    return f"{len(data)} {hashlib.blake2b(data, digest_size=16).hexdigest()}"


def _read(refs_file: Path) -> list[str]:
    """Return the sums that refs.csv may have, the last one written last; [] if none is known."""
    place = _place(refs_file)
    try:
        data = read_file(place)
        *sums, whole = data.decode("ascii").splitlines()
    except (OSError, ValueError):
        return []
    return sums if whole == _sum("\n".join(sums).encode()) else []


def _write(refs_file: Path, *sums: str) -> None:
    text = "\n".join(sums)
    with suppress(OSError):  # without it, a change is not noticed
        _place(refs_file).parent.mkdir(exist_ok=True)
        write_atomically(_place(refs_file), f"{text}\n{_sum(text.encode())}\n".encode())


def _place(refs_file: Path) -> Path:
    return refs_file.parent / ".cache" / _FILE
