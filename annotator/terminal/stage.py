"""What is in the terminal, what is on its way, and what is on the screen.

The stage decides what to encode and what to send next. It knows no widget and no thread: bytes
leave through `write`, answers come in through `answered`, time through a clock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from annotator.refs import Item
from annotator.terminal.backend import Area, Backend, Cell, Payload, Quality
from annotator.terminal.budget import Budget
from annotator.terminal.line import CEILING, Clock, Line
from annotator.terminal.lru import BytesLRU

GRACE = 0.06
"""Seconds that the last picture stays while the next one is not there."""


class Shot(NamedTuple):
    """One way to see an item: fitted to the area, or its true pixels."""

    item: Item
    zoom: bool = False


class Job(NamedTuple):
    """A picture that should be encoded."""

    shot: Shot
    area: Area
    quality: Quality


class Display(NamedTuple):
    """Something was drawn; `serial` says on which request, so that a late answer is told apart."""

    serial: int
    shot: Shot


@dataclass(slots=True)
class _Held:
    """What a slot of the terminal holds."""

    job: Job
    payload: Payload
    whole: bool = False


@dataclass(slots=True)
class _Sending:
    job: Job
    slot: int
    payload: Payload
    index: int = 0


class Stage:
    """Pictures ahead of keys.

    `show` shows an item as soon as that is possible; `expect` names those that will be asked for
    next, most wanted first. `jobs` lists what is to be encoded, most urgent first; `encoded`
    takes the result. `seen` is what the terminal has certainly drawn.
    """

    def __init__(
        self,
        backend: Backend,
        line: Line,
        write: Callable[[bytes], None],
        clock: Clock,
        *,
        budget: Budget | None = None,
        depth: int = 5,
        memory: int = 64 << 20,
    ) -> None:
        self.backend, self.line, self._write, self._clock = backend, line, write, clock
        self.budget = budget or Budget(backend.ladder, line, clock)
        self.depth = depth
        self.area = Area(0, 0, 0, 0, (8, 16))
        self.covered = False
        self.current: Shot | None = None
        self.shown: Shot | None = None
        self.seen: Shot | None = None
        self.size = 0
        self.waited = 0.0
        """Seconds from `show` until the picture was seen."""
        self.shown_after = 0.0
        """Seconds from `show` until its bytes were written."""
        self.last_shown: Display | None = None
        self._next: list[Shot] = []
        self._payloads: BytesLRU[Job, Payload] = BytesLRU(memory)
        self._held: dict[int, _Held] = {}
        self._drawn: Job | None = None
        self._sending: _Sending | None = None
        self._asked_at = self._shown_at = clock()
        self._serial = 0
        self._stale = False
        self._visible: Payload | None = None
        self._uncomposed: Display | None = None
        self._buffer = bytearray()
        self._unfenced = 0

    # -- what the annotator wants ----------------------------------------------------------

    def place(self, area: Area) -> None:
        """The picture's place on the screen changed: everything is prepared anew."""
        if area == self.area:
            return
        self._cancel()
        if area.size != self.area.size:
            self._payloads.clear()
        self.area = area
        self.redraw()

    def redraw(self) -> None:
        """The terminal lost everything, or may have: begin again with the current item."""
        self._sending = self._drawn = None
        self._held.clear()
        self.shown = self.seen = None
        self._serial += 1
        if self.area.usable:
            self._buffer += self.backend.begin(self.area)
            self.pump()

    def show(self, shot: Shot) -> None:
        """Show an item now if the terminal has it, else as soon as it does."""
        if shot == self.current:
            return
        self.current, self._asked_at, self.seen = shot, self._clock(), None
        self._serial += 1
        self.budget.asked()
        self._stale = not self._present()
        self.pump()

    def expect(self, shots: Sequence[Shot]) -> None:
        """The items that will be asked for, most wanted first."""
        self._next = [shot for shot in shots if shot != self.current][: self.depth]
        self.pump()

    def clear(self) -> None:
        """Show nothing."""
        self.current = self.seen = None
        self._serial += 1
        self._cancel()
        self._hide()
        self._flush()

    def cover(self, covered: bool) -> None:
        """Something lies over the picture, or no longer does."""
        if covered != self.covered:
            self.covered = covered
            if covered and self.backend.slots and not self.backend.composited:
                self._buffer += self.backend.show(None, self.area)
            self.repainted()

    def repainted(self) -> None:
        """The compositor painted the area's cells: what was drawn over them is gone."""
        if self.backend.composited or self.covered:
            return
        self._drawn = None
        if self.backend.slots:
            self._present()
        else:
            self._cancel()
        self.pump()

    def end(self) -> bytes:
        """What to write last: ends what is half sent and frees everything in the terminal."""
        self._cancel()
        left = bytes(self._buffer) + self.backend.end()
        self._buffer.clear()
        self._held.clear()
        self.shown = None
        return left

    # -- what the worker does --------------------------------------------------------------

    def jobs(self) -> list[Job]:
        """What is to be encoded, most urgent first; empty while everything wanted is there."""
        return [job for job in self._wanted() if job not in self._payloads]

    def encoded(self, job: Job, payload: Payload) -> None:
        """The worker's result. It is kept even if nobody waits for it any more."""
        if job.area.size == self.area.size:
            self._payloads.put(job, payload, payload.size)
            self.budget.encoded(job.quality, job.area, payload)
            self.pump()

    # -- what the terminal says ------------------------------------------------------------

    def answered(self, row: int, column: int) -> list[Display]:
        """A cursor report arrived (from 1). Returns what it says was drawn, for `acknowledge`.

        The two are apart so that the caller can let keys that were typed before overtake.
        """
        notes = self.line.answered(row, column)
        self.pump()
        return [note for note in notes if isinstance(note, Display)]

    def acknowledge(self, note: Display) -> bool:
        """The terminal drew something. True when the current item is seen for the first time."""
        if note.serial != self._serial or self.seen == note.shot:
            return False
        self.seen = note.shot
        self.waited = self._clock() - self._asked_at
        return True

    @property
    def must_compose(self) -> bool:
        """Whether the compositor has to paint the area, and then call `composed`."""
        return self._uncomposed is not None

    @property
    def ready(self) -> int:
        """How many of the expected pictures need nothing but a key."""
        return sum(self._have(shot) is not None for shot in self._next)

    # -- choosing --------------------------------------------------------------------------

    def _wanted(self) -> Iterator[Job]:
        """What is missing, most urgent first: the current item, those to come, refinements."""
        if not self.area.usable:
            return
        missing = [shot for shot in self._next if self._have(shot) is None]
        if self.current is not None and not self._delivered(self.current):
            yield self._job(self.current, self.budget.now(self.area))
        for shot in missing:
            yield self._job(shot, self.budget.ahead(self.area))
        if missing or self.current is None or self.shown != self.current:
            return
        shown_for = self._clock() - self._shown_at
        for shot in (self.current, *self._next) if self.backend.slots else (self.current,):
            have = self._have(shot)
            better = have and self.budget.refined(self.area, have.quality, shown_for)
            if better:
                yield Job(shot, self.area, better)
                return

    def _job(self, shot: Shot, quality: Quality) -> Job:
        """The job for a first look at a picture; what is encoded already serves if it may."""
        if shot.zoom:
            return Job(shot, self.area, self.backend.ladder[-1])
        rungs = self.backend.ladder
        allowed = rungs[: rungs.index(quality) + 1]
        for rung in (*reversed(allowed), *rungs):
            if Job(shot, self.area, rung) in self._payloads:
                return Job(shot, self.area, rung)
        return Job(shot, self.area, quality)

    def _have(self, shot: Shot) -> Job | None:
        """The best of a picture that needs nothing more: in the terminal, or only to be drawn."""
        if self.backend.slots:
            slot = self._where(shot)
            return None if slot is None else self._held[slot].job
        if self._drawn is not None and self._drawn.shot == shot:
            return self._drawn
        jobs = (Job(shot, self.area, rung) for rung in reversed(self.backend.ladder))
        return next((job for job in jobs if job in self._payloads), None)

    def _delivered(self, shot: Shot) -> bool:
        if self.backend.slots:
            return self._where(shot) is not None
        return self._drawn is not None and self._drawn.shot == shot

    def _where(self, shot: Shot) -> int | None:
        """The slot that holds the best whole copy of a picture."""
        slots = [n for n, held in self._held.items() if held.whole and held.job.shot == shot]
        rank = self.backend.ladder.index
        return max(slots, key=lambda n: rank(self._held[n].job.quality), default=None)

    def _slot_for(self) -> int:
        """A slot to write: a free one, or the one of no use that was unused for longest."""
        if len(self._held) < self.backend.slots:
            return next(n for n in range(self.backend.slots) if n not in self._held)
        kept = {self._where(shot) for shot in (self.current, self.shown, *self._next) if shot}
        return next(n for n in self._held if n not in kept)

    # -- sending ---------------------------------------------------------------------------

    def pump(self) -> None:
        """Write as much as the line takes. Call it after every change and now and then."""
        if self._stale and self._clock() - self._asked_at > GRACE:
            self._hide()
        while self.area.usable and self.line.room():
            if self._sending is None or self._in_the_way(self._sending):
                self._begin_next()
            if self._sending is None:
                break
            self._send_part(self._sending)
        self._flush()

    def _begin_next(self) -> None:
        self._cancel()
        for job in self._wanted():
            drawable = bool(self.backend.slots) or job.shot == self.current
            payload = self._payloads.get(job) if drawable else None
            if payload is not None and self.covered and not self.backend.slots:
                self._draw_as_cells(job, payload)
                return
            if payload is not None:
                slot = self._slot_for() if self.backend.slots else 0
                self._sending = _Sending(job, slot, payload)
                return

    def _draw_as_cells(self, job: Job, payload: Payload) -> None:
        """Leave it to the compositor, which knows what lies over the picture."""
        self._drawn = job
        self._uncomposed = self._now_shown(job.shot, payload)

    def _in_the_way(self, sending: _Sending) -> bool:
        """Whether what is under way holds back what is asked for now."""
        current = self.current
        if sending.job.shot == current:
            return False
        if not self.backend.slots:
            return True
        if current is None or self._delivered(current):
            return False
        return self._job(current, self.budget.now(self.area)) in self._payloads

    def _send_part(self, sending: _Sending) -> None:
        job, payload = sending.job, sending.payload
        if self.backend.slots and sending.index == 0:
            self._held.pop(sending.slot, None)
            self._held[sending.slot] = _Held(job, payload)
        data = self.backend.part(sending.slot, payload, sending.index, self.area)
        sending.index += 1
        if sending.index < len(payload.parts):
            self._put(data)
            return
        self._sending = None
        if self.backend.slots:
            self._put(data, force=True)
            self._held[sending.slot].whole = True
            if job.shot == self.current:
                self._present()
        else:
            self._drawn = job
            self._put(data, self._now_shown(job.shot, payload))

    def _present(self) -> bool:
        """Show the current item from the terminal's own store, if it is there."""
        slot = None if self.current is None else self._where(self.current)
        if slot is None or self.current is None or not self.area.usable:
            return False
        held = self._held[slot] = self._held.pop(slot)  # now the most recently used
        note = self._now_shown(self.current, held.payload)
        if not self.covered:
            self._put(self.backend.show(slot, self.area), note)
        elif self.backend.composited:
            self._buffer += self.backend.show(slot, self.area, cells=False)
        self._uncomposed = note if self.covered else None
        return True

    def composed(self) -> None:
        """The compositor painted the area's cells while something lay over them."""
        note, self._uncomposed = self._uncomposed, None
        if note is not None:
            self._put(b"", note)
            self._flush()

    def line_of_cells(self, row: int) -> list[Cell]:
        """One row of the area for the compositor."""
        stands_in = self.covered or (self.backend.composited and not self.backend.slots)
        payload = self._visible if stands_in else None
        return self.backend.line(row, self.area, payload)

    def _now_shown(self, shot: Shot, payload: Payload) -> Display:
        if self.shown != shot:
            self._shown_at = self._clock()
            self.shown_after = self._shown_at - self._asked_at
        self.shown, self.size, self._stale = shot, payload.size, False
        self._visible = payload
        self.last_shown = Display(self._serial, shot)
        return self.last_shown

    def _hide(self) -> None:
        self._stale = False
        self._drawn = self.shown = self._visible = None
        if self.area.usable:
            self._buffer += self.backend.show(None, self.area, cells=not self.covered)

    def _cancel(self) -> None:
        """Give up what is half sent."""
        sending, self._sending = self._sending, None
        if sending is not None and sending.index:
            self._held.pop(sending.slot, None)
            self._buffer += self.backend.abort(sending.slot, sending.payload)

    def _put(self, data: bytes, note: Display | None = None, *, force: bool = False) -> None:
        """Write and, where enough has gathered or something was shown, ask for an answer."""
        self._buffer += data
        self._unfenced += len(data)
        step = min(CEILING // 16, max(4096, self.line.window // 4))
        if note is not None or force or self._unfenced >= step:
            self._buffer += self.line.fence(self._unfenced, note)
            self._unfenced = 0
        if note is not None and not self.line.fences:
            self.acknowledge(note)

    def _flush(self) -> None:
        if self._buffer:
            data = bytes(self._buffer)
            self._buffer.clear()
            self._write(data)
