"""What is to be written next, closed by fences."""

from __future__ import annotations

from collections.abc import Callable

from annotator.terminal.pacing import CEILING, Pacer


class WriteBuffer:
    """Gathers bytes and writes them in one go; asks for an answer now and then."""

    def __init__(self, line: Pacer, write: Callable[[bytes], None]) -> None:
        self._line, self._write = line, write
        self._buffer = bytearray()
        self._unfenced = 0

    def add(self, data: bytes) -> None:
        """Bytes that need no answer of their own."""
        self._buffer += data

    def put(self, data: bytes, note: object = None, *, hasty: bool = True, beside: int = 0) -> None:
        """Bytes to be answered: at once, or, not `hasty`, when enough has gathered.

        `beside` are bytes that reach the terminal another way, and are paced with the others.
        """
        self._buffer += data
        self._unfenced += len(data) + beside
        step = min(CEILING // 16, max(4096, self._line.window // 4))
        if (note is not None and hasty) or self._unfenced >= step:
            self.fence(note)

    def fence(self, note: object = None) -> None:
        """Ask for an answer to all that was put so far."""
        self._buffer += self._line.fence(self._unfenced, note)
        self._unfenced = 0

    @property
    def size(self) -> int:
        """Bytes not written yet."""
        return len(self._buffer)

    def flush(self) -> None:
        data = self.take()
        if data:
            self._write(data)

    def take(self) -> bytes:
        """What was not written yet; it is the caller's now."""
        data = bytes(self._buffer)
        self._buffer.clear()
        return data
