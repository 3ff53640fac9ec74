"""Kitty on the same machine: pictures go through its memory, and only their names down the line.

Nothing is compressed, and nothing unpacked: a picture that comes costs half the processor's time
(python -m benchmarks.terminal --only fresh). The key that shows it costs the same.
"""

from __future__ import annotations

from base64 import standard_b64encode
from collections import deque

from PIL import Image

from annotator.terminal.backend import Area, Colour, Part, Payload, Quality
from annotator.terminal.caps import TerminalCapabilities
from annotator.terminal.fit import make_canvas
from annotator.terminal.kitty import PIECE, FrameBackend, canvas_size, shrink_for
from annotator.terminal.shared_memory import unlink_shared_memory, write_shared_memory

LADDER = (Quality("true colour", 0, 4.0),)
UNREAD = 64
"""Names kept in case the terminal never reads them; it removes what it has read."""


class SharedFrameBackend(FrameBackend):
    """Frames of one image, each handed over in shared memory as it is, pixel by pixel.

    All frames of a ring have the same number of bytes, and none is made before its picture. kitty
    (seen in 0.41) writes frames to a file, and where one grows while it is written, takes the room
    of the first bytes for room of the last: the next picture that comes there lies over others.
    """

    ladder = LADDER

    def __init__(
        self,
        caps: TerminalCapabilities,
        background: Colour = (0, 0, 0),
        first_id: int | None = None,
    ) -> None:
        super().__init__(caps, background, first_id)
        self._names: deque[str] = deque()
        self._places: dict[tuple[float, int], int] = {}

    def encode(self, image: Image.Image, area: Area, quality: Quality) -> Payload:
        level = quality.shrink * shrink_for(image.size, area)
        whole = make_canvas(image, canvas_size(area, level), quality.colours)
        pixels = whole.convert("RGBA").tobytes()
        return Payload((Part(pixels),), len(pixels), level)

    def begin(self, area: Area) -> bytes:
        self._places.clear()
        return super().begin(area)

    def end(self) -> bytes:
        while self._names:
            unlink_shared_memory(self._names.popleft())
        return super().end()

    def part(self, slot: int, payload: Payload, index: int, area: Area) -> bytes:
        opened = self._open(payload.level, area)
        self._level[slot] = payload.level
        pixels, (width, height) = payload.parts[0].data, canvas_size(area, payload.level)
        frame = f"{self._frame(slot)},q=2"
        keys = f"{frame},f=32,s={width},v={height},X=1"
        try:
            name = write_shared_memory(pixels)
        except OSError:
            return opened + self._in_band(frame, keys, pixels)
        self._names.append(name)
        if len(self._names) > UNREAD:
            unlink_shared_memory(self._names.popleft())
        return opened + self._send(f"{keys},t=s", standard_b64encode(name.encode()))

    def _place(self, slot: int) -> int:
        """Frames are added as pictures come, and edited from then on."""
        level = self._level[slot]
        before = sum(ring == level for ring, _ in self._places)
        return self._places.setdefault((level, slot), before + 2)

    def _empty(self, number: int) -> bytes:
        return b""

    def _in_band(self, frame: str, keys: str, pixels: bytes) -> bytes:
        """Down the line after all: the memory is full."""
        text = standard_b64encode(pixels)
        pieces = [text[i : i + PIECE] for i in range(0, len(text), PIECE)]
        last = len(pieces) - 1
        return b"".join(
            self._send(f"{frame if index else keys},m={int(index < last)}", piece)
            for index, piece in enumerate(pieces)
        )
