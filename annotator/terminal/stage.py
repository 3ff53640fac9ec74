"""The stage: what is in the terminal, on its way, and on the screen.

It knows no widget and no thread: bytes leave through `write`, answers come in through `answered`,
time through a clock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from annotator.terminal.backend import Area, Backend, Cell, Colour, Payload
from annotator.terminal.caps import Technique
from annotator.terminal.encode_queue import GRACE_SECONDS, EncodeQueue, PicturePlan, PictureStock
from annotator.terminal.pacing import Clock, Pacer, QualityBudget, WriteBuffer
from annotator.terminal.picture_cache import PictureTransfer
from annotator.terminal.requests import (
    AreaNote,
    DisplayNote,
    EncodeJob,
    PictureRequest,
    ScreenState,
    SentNote,
)

QUANTUM = 128 << 10
"""Bytes written in one go: few enough not to hold up the user interface."""
MOST_FAILURES = 6
"""Errors in a row from the terminal; after them its pictures are drawn as half cells."""


class Stage:
    """The pictures of an area, sent to the terminal before the keys that show them.

    `show` shows an item as soon as that is possible; `expect` names the next ones, most urgent
    first. `jobs` lists the pictures to encode, most urgent first; `encoded` takes the result.
    `state.seen` is the picture that the terminal has certainly drawn.
    """

    def __init__(
        self,
        backend: Backend,
        pacer: Pacer,
        write: Callable[[bytes], None],
        clock: Clock,
        *,
        budget: QualityBudget | None = None,
        depth: int = 5,
        memory: int = 64 << 20,
        beside: Backend | None = None,
    ) -> None:
        """Set up an empty stage; `beside` has small pictures elsewhere, freed with its own."""
        self.backend, self.pacer, self._beside = backend, pacer, beside
        budget = budget or QualityBudget(backend.ladder, pacer, clock, stores=backend.slots > 0)
        self.plan = PicturePlan(backend.ladder, budget, depth, memory)
        self.state = ScreenState(clock)
        self.area = Area(0, 0, 0, 0, (8, 16))
        self.covered = False
        self._stock = PictureStock(backend, self.plan)
        self._queue = EncodeQueue(backend, self.plan, self._stock, self.state, pacer)
        self._buffer = WriteBuffer(pacer, write)
        self._sending: PictureTransfer | None = None
        self._uncomposed: DisplayNote | None = None
        self.round = 0
        """The number of times that all was sent again, what is beside the area included."""
        self._later: deque[bytes] = deque()
        self._failures = 0
        self._levels: set[float] = set()
        """The levels sent in this round: the first picture of each opens a place for all others."""
        self._ended = self._keeps = False

    def place(self, area: Area) -> None:
        """Move the picture to another place on the screen, and prepare it."""
        if area == self.area:
            return
        if area.size != self.area.size:
            self.plan.forget()
        self.area = area
        self.redraw()

    def set_background(self, background: Colour) -> None:
        """Change the colour of the margins, as with another theme."""
        if background != self.backend.background:
            self.backend.background = background
            self.plan.forget()
            self.redraw()

    def redraw(self) -> None:
        """Send everything again, the current item first: the terminal may have lost it."""
        self._cancel()
        self._stock.forget()
        self.state.shown = None
        self.state.begin_redraw()
        self.round += 1
        self._later.clear()
        self._levels.clear()
        self._ended = False
        if self.area.usable:
            begun = self.backend.begin(self.area)
            self._buffer.put(begun, AreaNote(self.round) if begun else None)
            self.expect(self.plan.upcoming)  # a larger area may have room for fewer

    def show(self, request: PictureRequest, *, keep: bool = False) -> None:
        """Show an item now if the terminal has it, else as soon as it does.

        The picture before is removed if that takes long, unless `keep`: it shows the same items.
        """
        if request == self.plan.current:
            return
        self.plan.current = request
        self._keeps = keep
        self.state.begin_request()
        self.plan.budget.note_request()
        self.state.stale = not self._present() and not keep
        self.send_next()

    def expect(self, requests: Sequence[PictureRequest]) -> None:
        """Set the items that will be requested next, most urgent first."""
        # The terminal also keeps what is shown, what is asked for and what is on its way.
        self.plan.expect(requests, self.backend.slots - 3 if self.backend.slots else None)
        self.send_next()

    def clear(self) -> None:
        """Show nothing."""
        self.plan.current = None
        self.state.begin_redraw()
        self._cancel()
        self._hide()
        self._buffer.flush()

    def set_covered(self, covered: bool) -> None:
        """Note whether something lies over the picture."""
        covered = covered or self._failures >= MOST_FAILURES
        if covered == self.covered:
            return
        self.covered = covered
        if covered and self.backend.slots and not self.backend.composited:
            self._buffer.add(self._to_show(None))
        self.repainted()

    def repainted(self) -> None:
        """Draw again: another program painted over the area's cells."""
        self.backend.note_overwritten()
        if not self.backend.composited and not self.covered:
            self._stock.drawn = None
            if self.backend.slots:
                self._present()
            else:
                self._cancel()
        self.send_next()

    def end(self) -> bytes:
        """Return the last bytes: they free everything in the terminal. Only `redraw`
        writes again."""
        self._cancel()
        self._stock.forget()
        self._later.clear()
        self.state.shown, self._ended = None, True
        beside = self._beside.end() if self._beside is not None else b""
        return self._buffer.take() + self.backend.end() + beside

    def jobs(self) -> list[EncodeJob]:
        """Return the pictures to encode, most urgent first; empty if all are ready."""
        return [job for job in self._queue.jobs(self.area) if self.plan.payload(job) is None]

    def encoded(self, job: EncodeJob, payload: Payload) -> None:
        """Take a worker's result. It is kept even if it is no longer needed."""
        if job.area.size == self.area.size:
            self.plan.keep(job, payload)
            self.send_next()

    @property
    def ready(self) -> int:
        """The number of expected pictures that need nothing more than a key."""
        return self._queue.ready(self.area)

    def answered(self, row: int, column: int) -> list[DisplayNote]:
        """Take a cursor report (from 1). Return the pictures that it confirms, for `note_drawn`.

        Between the two calls, the caller can handle keys that were typed earlier.
        """
        lost, arrived = self.pacer.answered(row, column)
        self._lost(lost)
        self.send_next()
        return [note for note in arrived if isinstance(note, DisplayNote)]

    def note_drawn(self, note: DisplayNote) -> bool:
        """Note a drawn picture. Return True if it is the current item, for the first time."""
        if note.slot is not None and not self._stock.slots.holds_filling(note.slot, note.filled):
            return False
        if self._failures < MOST_FAILURES:
            self._failures = 0
        return self.state.note_seen(note)

    def failed(self, image: int) -> None:
        """Send a picture again: the terminal says that it has it no more, or could not read it.

        Its answer comes before that of the fence behind the picture: it does not count as seen.
        """
        slot = self.backend.slot_of(image)
        if slot is None or not self._stock.slots.holds_whole(slot):
            return
        if self._failures >= MOST_FAILURES:
            return
        self._failures += 1
        self._stock.slots.drop(slot)
        if self.state.last is not None and self.state.last.slot == slot:
            self.state.shown = self._stock.drawn = None
        if self._failures >= MOST_FAILURES:
            self.set_covered(True)
        self.send_next()

    def _lost(self, notes: Sequence[object]) -> None:
        """Send again what never reached the terminal."""
        if notes and self.pacer.lossy:
            self._interrupt([note.slot for note in notes if isinstance(note, SentNote)])
        for note in notes:
            if isinstance(note, AreaNote) and note.round == self.round:
                self.redraw()
                return
            if isinstance(note, SentNote) and self._stock.slots.holds_filling(
                note.slot, note.filled
            ):
                if self._sending is not None and self._sending.slot == note.slot:
                    self._cancel()
                self._stock.slots.drop(note.slot)
            elif isinstance(note, DisplayNote) and note.serial == self.state.serial:
                self.state.shown = None
        if notes and self.state.shown is None:
            self._stock.drawn = None
            self._present()

    def _interrupt(self, slots: Sequence[int]) -> None:
        """End the picture whose end the terminal may still wait for: the last one of `slots`."""
        if self._sending is not None:
            self._cancel()
        elif slots and self._stock.slots.holds_whole(slots[-1]):
            slot = slots[-1]
            self._buffer.add(self.backend.abort(slot, self._stock.slots[slot].payload))

    def send_later(self, data: bytes) -> None:
        """Send something beside the area once no picture of the next keys is missing."""
        self._later.append(data)
        self.send_next()

    def send_next(self) -> None:
        """Write as much as the line takes. Call it after every change and now and then."""
        self._lost(self.pacer.overdue())
        # A picture that is being drawn covers the last one by itself.
        drawing = self._sending is not None and not self.backend.slots
        if self.state.stale and not drawing and self.state.waiting_for > GRACE_SECONDS:
            self._hide()
        while self.area.usable and not self._ended and self.pacer.room():
            if self._buffer.size > QUANTUM:
                self._buffer.fence()  # its answer pumps on; meanwhile keys are looked at
                break
            if self._sending is None and self._later and self._queue.may_wait(self.area):
                self._buffer.put(self._later.popleft())
                continue
            if self._sending is None or self._queue.gives_way(self._sending.job, self.area):
                self._begin_next()
            if self._sending is None:
                break
            self._send_part(self._sending)
        self._buffer.flush()

    def _begin_next(self) -> None:
        self._cancel()
        for job in self._queue.jobs(self.area):
            payload = self.plan.payload(job)
            if payload is None or not (self.backend.slots or job.request == self.plan.current):
                continue
            if self.backend.slots:
                slot = self._stock.fill(job, payload, self.state.shown)
                self._sending = PictureTransfer(job, payload, slot)
            elif self.covered or self.backend.technique is Technique.NONE:
                # The compositor knows what lies over the picture; without pictures it writes names.
                self._stock.drawn = job
                self._uncomposed = self.state.show(job.request, payload, None, 0)
            else:
                # From now on the compositor, too, paints this picture.
                before = self.state.payload if self._keeps and self._stock.drawn else None
                self._sending = PictureTransfer(job, payload, before=before)
                self.state.payload = payload
            return

    def _send_part(self, sending: PictureTransfer) -> None:
        job, payload = sending.job, sending.payload
        data = (
            b""
            if sending.on_screen
            else self.backend.part(sending.slot, payload, sending.index, self.area)
        )
        sending.index += 1
        whole = sending.index == len(payload.parts)
        if whole:
            self._sending = None
        if not self.backend.slots:
            if whole:
                self._stock.drawn = job
                self._draw(data, self.state.show(job.request, payload, None, 0))
            else:
                self._buffer.put(data)
            return
        held = self._stock.slots[sending.slot]
        elsewhere = max(0, payload.size - len(data)) if len(payload.parts) == 1 else 0
        if payload.level not in self._levels:
            self._levels.add(payload.level)
            self._buffer.put(data, AreaNote(self.round))
            data = b""
        self._buffer.put(
            data, SentNote(sending.slot, held.filled), at_once=whole, elsewhere=elsewhere
        )
        held.whole = whole
        if whole and job.request == self.plan.current:
            self._present()

    def _cancel(self) -> None:
        """Give up what is half sent."""
        sending, self._sending = self._sending, None
        if sending is not None:
            self._stock.slots.drop(sending.slot)
            if sending.index:
                self._stock.drawn = None
                self._buffer.add(self.backend.abort(sending.slot, sending.payload))

    def _make_way(self, slot: int | None) -> None:
        if self._sending is not None and self._sending.blocks_slot(self.backend, slot):
            self._cancel()

    def _present(self) -> bool:
        """Show the current item from the terminal's own store, if it is there."""
        current, slots = self.plan.current, self._stock.slots
        slot = None if current is None else slots.best_slot(current)
        if slot is None or current is None or not self.area.usable or self._ended:
            return False
        self._make_way(slot)
        held = slots.use(slot)
        note = self.state.show(current, held.payload, slot, held.filled)
        self._uncomposed = note if self.covered else None
        if not self.covered:
            self._draw(self._to_show(slot), note)
        elif self.backend.composited:
            self._buffer.add(self.backend.show(slot, self.area, cells=False))
        return True

    def _draw(self, data: bytes, note: DisplayNote) -> None:
        self._buffer.put(data, note)
        if not self.pacer.fences:
            self.note_drawn(note)

    def _hide(self) -> None:
        self._stock.drawn = None
        self.state.hide()
        self._make_way(None)
        if self.area.usable and not self._ended:
            self._buffer.add(self._to_show(None, cells=not self.covered))

    def _to_show(self, slot: int | None, *, cells: bool = True) -> bytes:
        """Return the bytes that show a slot; what the terminal loses by them is sent again."""
        for other in self.backend.freed_by(slot):
            self._stock.slots.drop(other)
        return self.backend.show(slot, self.area, cells=cells)

    @property
    def must_compose(self) -> bool:
        """True if the compositor has to paint the area, and then call `composed`."""
        return self._uncomposed is not None

    def composed(self) -> None:
        """Note that the compositor painted the area's cells while something lay over them."""
        note, self._uncomposed = self._uncomposed, None
        if note is not None:
            self._draw(b"", note)
            self._buffer.flush()

    @property
    def half_cell_payload(self) -> Payload | None:
        """The picture that text cells show; None if they show none."""
        stands_in = self.covered or (self.backend.composited and not self.backend.slots)
        return self.state.payload if stands_in else None

    def row_cells(self, row: int) -> list[Cell]:
        """Return a row of the area for the compositor."""
        return self.backend.row_cells(row, self.area, self.half_cell_payload)
