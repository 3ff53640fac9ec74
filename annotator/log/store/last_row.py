"""The number of the last row that a labels.db has told its writers, in a file of its own.

A damaged write-ahead log, or a labels.db that was cut to nothing, ends early and is otherwise
sound: only this number tells that rows are gone. It is a part of `.cache`, which may be deleted;
without it nothing is compared. It is written after the row is on disk, and needs no sync: if a
power cut loses it, it is lower than the last row, never higher.
"""

from __future__ import annotations

import os
import zlib
from contextlib import suppress
from pathlib import Path

from annotator.items.atomic import read_file

_WIDTH = 32


class LastRow:
    """The file beside one labels.db, kept open; a project without `.cache` has none."""

    def __init__(self, labels_file: Path) -> None:
        self._number = -1
        if labels_file.name != ":memory:" and _place(labels_file).parent.is_dir():
            with suppress(OSError):
                flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
                self._number = os.open(_place(labels_file), flags, 0o666)

    def write(self, seq: int) -> None:
        """Note the last row; a disk that refuses it loses no label."""
        if self._number >= 0:
            with suppress(OSError):
                os.pwrite(self._number, _format(seq), 0)

    def close(self) -> None:
        """Close the file."""
        if self._number >= 0:
            os.close(self._number)
            self._number = -1


def read_last_row(labels_file: Path) -> int:
    """Return the last row that the log told its writers; 0 if that is not known."""
    place = _place(labels_file)
    try:
        data = read_file(place)[:_WIDTH]
        seq = int(data.split(b" ")[0])
    except (OSError, ValueError):
        return 0
    return seq if data == _format(seq) else 0


def _place(labels_file: Path) -> Path:
    return labels_file.parent / ".cache" / "last-row"


def _format(seq: int) -> bytes:
    return f"{seq} {zlib.crc32(str(seq).encode()):08x}".ljust(_WIDTH - 1).encode() + b"\n"
