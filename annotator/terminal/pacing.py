"""The line to the terminal: its speed, the bytes that may be on the way, the buffer in front of it.

Each piece of data is followed by a fence: a cursor report (DSR 6) whose position identifies it.
Terminals answer in order, and their answers stay in order with the keys. The window follows the
delay, as in TCP Vegas (Brakmo and Peterson 1995): while answers come as fast as the line ever was,
more bytes may travel; when a queue builds up, fewer. So a key never waits behind more than `SLACK`
seconds of our own data.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil

from annotator.terminal.backend import Area, Payload, Quality

Clock = Callable[[], float]

SLACK = 0.03
"""Seconds of our own data that may queue in front of a key."""
FLOOR, CEILING = 6_000, 1 << 20
"""Bounds of the window in bytes."""


@dataclass(slots=True)
class _Fence:
    place: tuple[int, int]
    note: object
    size: int
    sent: float
    delivered: int
    delivered_at: float
    busy: bool
    moved: bool = False
    """True if it was sent for a screen of another size: its answer may name another place."""


class Pacer:
    """Pacing by acknowledgement. Without answers (`fences=False`) all bytes may travel at once.

    A fence counts as lost `patience` seconds and eight round trips after it was sent. On a `lossy`
    line, that of tmux, what follows a loss is lost, too: a terminal that still waits for the end of
    a picture takes the next one for it. tmux may drop the beginning of a write alone, so a fence
    stands in front of each write.
    """

    def __init__(
        self,
        clock: Clock,
        fences: bool = True,
        wrap: Callable[[bytes], bytes] = bytes,
        rtt: float = 0.0,
        patience: float = 5.0,
        slack: float = SLACK,
        lossy: bool = False,
    ) -> None:
        self._slack, self.lossy = slack, lossy
        self._patience = patience
        self._clock, self.fences, self._wrap = clock, fences, wrap
        self._places, self._count = (10, 40), 0
        self._waiting: deque[_Fence] = deque()
        self._trips: deque[tuple[float, float]] = deque()
        self._rates: deque[float] = deque(maxlen=10)
        self._flying, self._delivered, self._delivered_at = 0, 0, clock()
        self._window, self._growing, self._shrunk = float(2 * FLOOR), True, 0.0
        self._first_rtt = rtt

    def resize(self, columns: int, rows: int) -> None:
        """Set the screen's size in cells: fences report positions within it."""
        self._places = (max(1, rows - 2), max(1, columns - 1))
        for fence in self._waiting:
            fence.moved = True

    @property
    def rtt(self) -> float:
        """The shortest round trip of the last half minute, in seconds."""
        return min((trip for _, trip in self._trips), default=self._first_rtt)

    @property
    def rate(self) -> float:
        """Measured throughput of the line in bytes a second; 0 before there is a measurement."""
        return max(self._rates, default=0.0)

    @property
    def idle(self) -> bool:
        """True if none of our bytes is on its way."""
        return not self._waiting

    @property
    def fence_count(self) -> int:
        """The number of fences so far."""
        return self._count

    @property
    def window(self) -> float:
        """Bytes that may be on the way."""
        return self._window

    def room(self) -> bool:
        """Return whether another piece may travel."""
        return not self.fences or self._flying < self._window

    def fence(self, size: int, note: object) -> bytes:
        """Return the bytes that close `size` bytes; their answer gives `note` back."""
        if not self.fences:
            return b""
        rows, columns = self._places
        self._count += 1
        # Row 1 is never used: its reports look like modified function keys.
        place = (2 + self._count // columns % rows, 1 + self._count % columns)
        now = self._clock()
        fence = _Fence(
            place, note, size, now, self._delivered, self._delivered_at, bool(self._waiting)
        )
        if not self._waiting:
            fence.delivered_at = now
        self._waiting.append(fence)
        self._flying += size
        return self._wrap(b"\x1b7\x1b[%d;%dH\x1b[6n\x1b8" % place)

    def answered(self, row: int, column: int) -> tuple[list[object], list[object]]:
        """Return the notes that are lost, and those of the cursor report at `row` and `column`
        (from 1).

        Answers keep their order: what was fenced before and has no answer never arrived. tmux, for
        one, drops bytes that it should pass on while it redraws.
        """
        places = [fence.place for fence in self._waiting]
        moved = bool(self._waiting) and self._waiting[0].moved and row > 1
        if (row, column) not in places and not moved:
            return [], []
        index = places.index((row, column)) if (row, column) in places else 0
        now = self._clock()
        if self.lossy and index:
            return self._give_up(), []
        *lost, fence = (self._waiting.popleft() for _ in range(index + 1))
        for gone in (*lost, fence):
            self._flying -= gone.size
        self._delivered += fence.size
        self._delivered_at = now
        self._measure(fence, now)
        return [gone.note for gone in lost], [fence.note]

    def overdue(self) -> list[object]:
        """Return the notes of fences that were never answered."""
        now, notes = self._clock(), []
        while self._waiting and now - self._waiting[0].sent > self._patience + 8 * self.rtt:
            if self.lossy:
                return self._give_up()
            gone = self._waiting.popleft()
            self._flying -= gone.size
            notes.append(gone.note)
        return notes

    def _give_up(self) -> list[object]:
        """Return the notes of all that is on its way, and wait for none of it."""
        notes = [fence.note for fence in self._waiting]
        self.forget()
        return notes

    def forget(self) -> None:
        """Ignore answers to earlier fences: another program has the line."""
        self._waiting.clear()
        self._flying = 0

    def _measure(self, fence: _Fence, now: float) -> None:
        trip = now - fence.sent
        self._trips.append((now, trip))
        while self._trips[0][0] < now - 30 and len(self._trips) > 1:
            self._trips.popleft()
        took = now - fence.delivered_at
        carried = self._delivered - fence.delivered
        # An idle line gives only a lower bound.
        if took > 0 and carried > 1000 and (fence.busy or carried / took > self.rate):
            self._rates.append(carried / took)
        own = fence.size / self.rate if self.rate else 0.0
        self._adapt(fence, trip - self.rtt - own, now)

    def _adapt(self, fence: _Fence, queued: float, now: float) -> None:
        if queued <= self._slack:
            step = fence.size if self._growing else 4096 * fence.size / self._window
            self._window = min(CEILING, self._window + step)
        elif now - self._shrunk > self.rtt:
            self._window = max(FLOOR, self._window * (0.5 if self._growing else 0.8))
            self._growing, self._shrunk = False, now


class WriteBuffer:
    """A buffer that is written in one go, with a fence now and then."""

    def __init__(self, pacer: Pacer, write: Callable[[bytes], None]) -> None:
        self._pacer, self._write = pacer, write
        self._buffer = bytearray()
        self._unfenced = 0

    def add(self, data: bytes) -> None:
        """Append bytes that need no answer of their own."""
        if self._pacer.lossy and not self._buffer:
            self._buffer += self._pacer.fence(0, None)
        self._buffer += data

    def put(
        self, data: bytes, note: object = None, *, at_once: bool = True, elsewhere: int = 0
    ) -> None:
        """Append bytes and ask for an answer: now if `at_once`, else when enough have gathered.

        `elsewhere` counts bytes that reach the terminal another way, and are paced with the others.
        """
        self.add(data)
        self._unfenced += len(data) + elsewhere
        step = 4096 if self._pacer.lossy else min(CEILING // 16, max(4096, self._pacer.window // 4))
        if (note is not None and at_once) or self._unfenced >= step:
            self.fence(note)

    def fence(self, note: object = None) -> None:
        """Request an answer to everything appended so far."""
        self.add(b"")
        self._buffer += self._pacer.fence(self._unfenced, note)
        self._unfenced = 0

    @property
    def size(self) -> int:
        """Bytes not written yet."""
        return len(self._buffer)

    def flush(self) -> None:
        """Write the buffer."""
        data = self.take()
        if data:
            self._write(data)

    def take(self) -> bytes:
        """Return the buffer's bytes, and empty it."""
        data = bytes(self._buffer)
        self._buffer.clear()
        return data


WAIT = 0.35
"""Seconds of sending that are acceptable while the annotator waits for a picture."""
SHARE = 0.7
"""Share of the line that pictures ahead may take at the annotator's pace."""
DWELL = 0.4
"""Seconds that a picture stays on screen before a slow line is used to refine it."""
LONGEST = 8.0
"""Seconds of sending that a refinement may take."""
LEAST_AHEAD = 2
"""Number of pictures ahead before the one on the screen is refined."""
NEAR, FAR = 50e6, 250e3
"""Bytes a second assumed of a line before it was measured: a local one, any other."""


class QualityBudget:
    """The choice of a quality from the line's throughput and the annotator's pace.

    If the terminal stores nothing, a picture ahead is only encoded: its bytes travel after the key,
    while the annotator waits.
    """

    def __init__(
        self,
        ladder: Sequence[Quality],
        pacer: Pacer,
        clock: Clock,
        *,
        stores: bool = True,
        lossless: bool = False,
    ) -> None:
        self.ladder, self._pacer, self._clock = ladder, pacer, clock
        self.stores, self.lossless = stores, lossless
        self._density = {rung: rung.density for rung in ladder}
        self._asked_at, self.pace = clock(), 1.0

    @property
    def rate(self) -> float:
        """Bytes a second, measured or assumed."""
        assumed = NEAR if not self._pacer.fences or 0 < self._pacer.rtt < 0.005 else FAR
        return self._pacer.rate or assumed

    def note_request(self) -> None:
        """Update the annotator's pace: smoothed seconds between two requests."""
        now = self._clock()
        self.pace += 0.3 * (min(now - self._asked_at, 5.0) - self.pace)
        self._asked_at = now

    def note_encoded(self, quality: Quality, area: Area, payload: Payload) -> None:
        """Update the cost of a quality from an encoded picture."""
        density = payload.size / (area.size[0] * area.size[1])
        self._density[quality] += 0.5 * (density - self._density[quality])

    def seconds(self, quality: Quality, area: Area) -> float:
        """Return the seconds that a picture of this quality takes to send."""
        return self._density[quality] * area.size[0] * area.size[1] / self.rate

    def quality_now(self, area: Area) -> Quality:
        """Return the quality for a picture that the annotator is waiting for."""
        return self._best(area, WAIT)

    def quality_ahead(self, area: Area) -> Quality:
        """Return the quality for a picture that will be requested later."""
        return self._best(area, max(WAIT, SHARE * self.pace) if self.stores else WAIT)

    def refined_quality(self, area: Area, have: Quality, shown_for: float) -> Quality | None:
        """Return the best quality above `have` that is worth sending now, else None."""
        for rung in reversed(self.ladder[self.ladder.index(have) + 1 :]):
            seconds = self.seconds(rung, area)
            if seconds < 0.1 or (seconds < LONGEST and shown_for >= DWELL):
                return rung
        return None

    def pictures_before_refining(self, area: Area, depth: int) -> int:
        """Return how many of the next pictures come before a better version of the current one.

        Twice as many as the annotator may request while that version is sent: a slow annotator sees
        the exact picture early, a quick one gets all `depth` pictures first.
        """
        asked = 2 * self.seconds(self.ladder[-1], area) / max(self.pace, 0.1)
        return max(LEAST_AHEAD, min(depth, ceil(asked)))

    def _best(self, area: Area, seconds: float) -> Quality:
        if self.lossless:
            return self.ladder[-1]
        affordable = [rung for rung in self.ladder if self.seconds(rung, area) <= seconds]
        return affordable[-1] if affordable else self.ladder[0]
