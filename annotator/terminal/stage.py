"""What is in the terminal, what is on its way, and what is on the screen.

The stage knows no widget and no thread: bytes leave through `write`, answers come in through
`answered`, time through a clock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from annotator.terminal.backend import Area, Backend, Cell, Colour, Payload
from annotator.terminal.budget import Budget
from annotator.terminal.line import CEILING, Clock, Line
from annotator.terminal.plan import Plan
from annotator.terminal.shots import Begun, Display, Job, Sent, Shot
from annotator.terminal.slots import Slots

GRACE = 0.06
"""Seconds that the last picture stays while the next one is not there."""
NEAR = 0.02
"""Round trip in seconds below which program and terminal share a machine and its cores."""


@dataclass(slots=True)
class _Sending:
    job: Job
    payload: Payload
    slot: int
    filled: int = 0
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
        budget = budget or Budget(backend.ladder, line, clock, stores=backend.slots > 0)
        self.plan = Plan(backend.ladder, budget, depth, memory)
        self.area = Area(0, 0, 0, 0, (8, 16))
        self.covered = False
        self.shown: Shot | None = None
        self.seen: Shot | None = None
        self.last: Display | None = None
        """What was drawn last."""
        self.payload: Payload | None = None
        """What is on the screen."""
        self.waited = self.shown_after = 0.0
        """Seconds from `show` until the picture was seen, and until its bytes were written."""
        self._slots = Slots(backend.ladder)
        self._drawn: Job | None = None
        self._sending: _Sending | None = None
        self._uncomposed: Display | None = None
        self._asked_at = self._shown_at = clock()
        self._serial = self._round = self._unfenced = 0
        self._stale, self._ended = False, False
        self._buffer = bytearray()

    # -- what the annotator wants ----------------------------------------------------------

    def place(self, area: Area) -> None:
        """The picture's place on the screen changed: everything is prepared anew."""
        if area == self.area:
            return
        if area.size != self.area.size:
            self.plan.forget()
        self.area = area
        self.redraw()

    def repaper(self, background: Colour) -> None:
        """Another colour for the margins, as with another theme."""
        if background != self.backend.background:
            self.backend.background = background
            self.plan.forget()
            self.redraw()

    def redraw(self) -> None:
        """The terminal lost everything, or may have: begin again with the current item."""
        self._cancel()
        self._slots.clear()
        self._drawn = self.shown = self.seen = None
        self._serial += 1
        self._round += 1
        self._ended = False
        if self.area.usable:
            begun = self.backend.begin(self.area)
            self._put(begun, Begun(self._round) if begun else None)
            self.pump()

    def show(self, shot: Shot) -> None:
        """Show an item now if the terminal has it, else as soon as it does."""
        if shot == self.plan.current:
            return
        self.plan.current, self._asked_at, self.seen = shot, self._clock(), None
        self._serial += 1
        self.plan.budget.asked()
        self._stale = not self._present()
        self.pump()

    def expect(self, shots: Sequence[Shot]) -> None:
        """The items that will be asked for, most wanted first."""
        self.plan.expect(shots)
        self.pump()

    def clear(self) -> None:
        """Show nothing."""
        self.plan.current = self.seen = None
        self._serial += 1
        self._cancel()
        self._hide()
        self._flush()

    def cover(self, covered: bool) -> None:
        """Something lies over the picture, or no longer does."""
        if covered == self.covered:
            return
        self.covered = covered
        if covered and self.backend.slots and not self.backend.composited:
            self._buffer += self.backend.show(None, self.area)
        self.repainted()

    def repainted(self) -> None:
        """Others painted over the area's cells: what was drawn there is gone."""
        if self.backend.composited or self.covered:
            self.pump()
            return
        self._drawn = None
        if self.backend.slots:
            self._present()
        else:
            self._cancel()
        self.pump()

    def end(self) -> bytes:
        """What to write last: ends what is half sent and frees everything in the terminal.

        After it nothing is written until `redraw`.
        """
        self._cancel()
        left = bytes(self._buffer) + self.backend.end()
        self._buffer.clear()
        self._slots.clear()
        self.shown, self._ended = None, True
        return left

    # -- what the worker does --------------------------------------------------------------

    def jobs(self) -> list[Job]:
        """What is to be encoded, most urgent first; empty while everything wanted is there."""
        return [job for job in self._wanted() if self.plan.payload(job) is None]

    def encoded(self, job: Job, payload: Payload) -> None:
        """The worker's result. It is kept even if nobody waits for it any more."""
        if job.area.size == self.area.size:
            self.plan.keep(job, payload)
            self.pump()

    def _wanted(self) -> Iterator[Job]:
        """What is not there yet, most urgent first."""
        plan, current = self.plan, self.plan.current
        if not self.area.usable:
            return
        urgent = plan.urgent(self.area)
        if urgent is not None and not self._delivered(urgent.shot):
            yield urgent
        if self._drawing_now():
            return
        missing = plan.ahead(self.area, self._have)
        yield from missing
        if missing or current is None or self.shown != current:
            return
        shots = (current, *plan.upcoming) if self.backend.slots else (current,)
        yield from plan.refinements(shots, self._have, self._clock() - self._shown_at)

    def _drawing_now(self) -> bool:
        """Whether the terminal needs the cores for what it was just told to show."""
        waiting = self.shown is not None and self.seen != self.shown and self.line.rtt < NEAR
        return waiting and self._clock() - self._shown_at < GRACE

    def _have(self, shot: Shot) -> Job | None:
        """The best of a picture that needs nothing more: in the terminal, or only to be drawn."""
        if self.backend.slots:
            return self._slots.best(shot)
        if self._drawn is not None and self._drawn.shot == shot:
            return self._drawn
        return self.plan.encoded(shot, self.area)

    def _delivered(self, shot: Shot) -> bool:
        if self.backend.slots:
            return self._slots.where(shot) is not None
        return self._drawn is not None and self._drawn.shot == shot

    @property
    def ready(self) -> int:
        """How many of the expected pictures need nothing but a key."""
        return sum(self._have(shot) is not None for shot in self.plan.upcoming)

    # -- what the terminal says ------------------------------------------------------------

    def answered(self, row: int, column: int) -> list[Display]:
        """A cursor report arrived (from 1). Returns what it says was drawn, for `acknowledge`.

        The two are apart so that the caller can let keys that were typed before overtake.
        """
        lost, arrived = self.line.answered(row, column)
        self._lost(lost)
        self.pump()
        return [note for note in arrived if isinstance(note, Display)]

    def acknowledge(self, note: Display) -> bool:
        """The terminal drew something. True when the current item is seen for the first time."""
        if note.serial != self._serial or self.seen == note.shot:
            return False
        if note.slot is not None and not self._slots.intact(note.slot, note.filled):
            return False
        self.seen = note.shot
        self.waited = self._clock() - self._asked_at
        return True

    def _lost(self, notes: Sequence[object]) -> None:
        """Mend what never reached the terminal."""
        for note in notes:
            if isinstance(note, Begun) and note.round == self._round:
                self.redraw()
                return
            if isinstance(note, Sent) and self._slots.intact(note.slot, note.filled):
                if self._sending is not None and self._sending.slot == note.slot:
                    self._cancel()
                self._slots.drop(note.slot)
            elif isinstance(note, Display) and note.serial == self._serial:
                self.shown = None
        if notes and self.shown is None:
            self._drawn = None
            self._present()

    # -- sending ---------------------------------------------------------------------------

    def pump(self) -> None:
        """Write as much as the line takes. Call it after every change and now and then."""
        self._lost(self.line.overdue())
        # A picture that is being drawn covers the last one by itself.
        drawing = self._sending is not None and not self.backend.slots
        if self._stale and not drawing and self._clock() - self._asked_at > GRACE:
            self._hide()
        while self.area.usable and not self._ended and self.line.room():
            if self._sending is None or self._in_the_way(self._sending):
                self._begin_next()
            if self._sending is None:
                break
            self._send_part(self._sending)
        self._flush()

    def _begin_next(self) -> None:
        self._cancel()
        for job in self._wanted():
            payload = self.plan.payload(job)
            if payload is None or not (self.backend.slots or job.shot == self.plan.current):
                continue
            if self.backend.slots:
                self._sending = self._fill(job, payload)
            elif self.covered:
                # The compositor knows what lies over the picture.
                self._drawn = job
                self._uncomposed = self._note_shown(job.shot, payload)
            else:
                # From now on the compositor, too, paints this picture.
                self._sending, self.payload = _Sending(job, payload, 0), payload
            return

    def _fill(self, job: Job, payload: Payload) -> _Sending:
        wanted = (self.plan.current, self.shown, *self.plan.upcoming)
        kept = {self._slots.where(shot) for shot in wanted if shot is not None}
        slot = self._slots.claim(self.backend.slots, kept)
        self._slots.fill(slot, job, payload)
        return _Sending(job, payload, slot, self._slots[slot].filled)

    def _in_the_way(self, sending: _Sending) -> bool:
        """Whether what is under way holds back what is asked for now."""
        urgent = self.plan.urgent(self.area)
        if urgent is None or sending.job.shot == urgent.shot:
            return False
        if not self.backend.slots:
            return True
        return not self._delivered(urgent.shot) and self.plan.payload(urgent) is not None

    def _send_part(self, sending: _Sending) -> None:
        job, payload = sending.job, sending.payload
        data = self.backend.part(sending.slot, payload, sending.index, self.area)
        sending.index += 1
        whole = sending.index == len(payload.parts)
        note = Sent(sending.slot, sending.filled) if self.backend.slots else None
        if not whole:
            self._put(data, note, hasty=False)
            return
        self._sending = None
        if self.backend.slots:
            self._put(data, note)
            self._slots[sending.slot].whole = True
            if job.shot == self.plan.current:
                self._present()
        else:
            self._drawn = job
            self._put(data, self._note_shown(job.shot, payload))

    # -- showing ---------------------------------------------------------------------------

    def _present(self) -> bool:
        """Show the current item from the terminal's own store, if it is there."""
        current = self.plan.current
        slot = None if current is None else self._slots.where(current)
        if slot is None or current is None or not self.area.usable or self._ended:
            return False
        held = self._slots.use(slot)
        note = self._note_shown(current, held.payload, slot, held.filled)
        self._uncomposed = note if self.covered else None
        if not self.covered:
            self._put(self.backend.show(slot, self.area), note)
        elif self.backend.composited:
            self._buffer += self.backend.show(slot, self.area, cells=False)
        return True

    def _note_shown(
        self, shot: Shot, payload: Payload, slot: int | None = None, filled: int = 0
    ) -> Display:
        if self.shown != shot:
            self._shown_at = self._clock()
            self.shown_after = self._shown_at - self._asked_at
        self.shown, self.payload, self._stale = shot, payload, False
        self.last = Display(self._serial, shot, slot, filled)
        return self.last

    def _hide(self) -> None:
        self._stale = False
        self._drawn = self.shown = self.payload = None
        if self.area.usable and not self._ended:
            self._buffer += self.backend.show(None, self.area, cells=not self.covered)

    @property
    def must_compose(self) -> bool:
        """Whether the compositor has to paint the area, and then call `composed`."""
        return self._uncomposed is not None

    def composed(self) -> None:
        """The compositor painted the area's cells while something lay over them."""
        note, self._uncomposed = self._uncomposed, None
        if note is not None:
            self._put(b"", note)
            self._flush()

    def line_of_cells(self, row: int) -> list[Cell]:
        """One row of the area for the compositor."""
        stands_in = self.covered or (self.backend.composited and not self.backend.slots)
        return self.backend.line(row, self.area, self.payload if stands_in else None)

    # -- writing ---------------------------------------------------------------------------

    def _cancel(self) -> None:
        """Give up what is half sent."""
        sending, self._sending = self._sending, None
        if sending is not None:
            self._slots.drop(sending.slot)
            if sending.index:
                self._buffer += self.backend.abort(sending.slot, sending.payload)

    def _put(self, data: bytes, note: object = None, *, hasty: bool = True) -> None:
        """Write, and ask for an answer: at once, or when enough has gathered."""
        self._buffer += data
        self._unfenced += len(data)
        step = min(CEILING // 16, max(4096, self.line.window // 4))
        if (note is not None and hasty) or self._unfenced >= step:
            self._buffer += self.line.fence(self._unfenced, note)
            self._unfenced = 0
        if isinstance(note, Display) and not self.line.fences:
            self.acknowledge(note)

    def _flush(self) -> None:
        if self._buffer:
            data = bytes(self._buffer)
            self._buffer.clear()
            self._write(data)
