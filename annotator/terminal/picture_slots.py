"""The pictures that the terminal keeps for us."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import chain

from annotator.terminal.backend import Area, Backend, Payload, Quality
from annotator.terminal.plan import PicturePlan
from annotator.terminal.requests import EncodeJob, PictureRequest


@dataclass(slots=True)
class SlotContent:
    """What a slot holds."""

    job: EncodeJob
    payload: Payload
    filled: int
    whole: bool = False


@dataclass(slots=True)
class PictureTransfer:
    """A picture of which some parts were sent."""

    job: EncodeJob
    payload: Payload
    slot: int = 0
    index: int = 0

    def blocks_slot(self, backend: Backend, slot: int | None) -> bool:
        """Whether a slot cannot be shown before the rest of it was sent, or it is given up."""
        return self.index > 0 and not backend.may_show(slot, self.payload)


class TerminalPictures:
    """A bounded store, the least recently used slot first to go."""

    def __init__(self, ladder: Sequence[Quality]) -> None:
        self._rank = ladder.index
        self._held: dict[int, SlotContent] = {}
        self._filled = 0

    def __getitem__(self, slot: int) -> SlotContent:
        return self._held[slot]

    def where(self, shot: PictureRequest) -> int | None:
        """The slot with the best whole copy of a picture."""
        found = [n for n, held in self._held.items() if held.whole and held.job.shot == shot]
        return max(found, key=lambda n: self._rank(self._held[n].job.quality), default=None)

    def best(self, shot: PictureRequest) -> EncodeJob | None:
        slot = self.where(shot)
        return None if slot is None else self._held[slot].job

    def free_slot(self, count: int, kept: Collection[int | None]) -> int:
        """A slot to fill: a free one, or the one that was unused for longest and is not `kept`."""
        free = (n for n in range(count) if n not in self._held)
        idle = (n for n in self._held if n not in kept)
        return next(chain(free, idle))

    def fill(self, slot: int, job: EncodeJob, payload: Payload) -> None:
        """A picture begins to arrive in a slot."""
        self._held.pop(slot, None)
        self._filled += 1
        self._held[slot] = SlotContent(job, payload, self._filled)

    def use(self, slot: int) -> SlotContent:
        """A slot is shown: it is now the most recently used."""
        self._held[slot] = self._held.pop(slot)
        return self._held[slot]

    def holds_filling(self, slot: int, filled: int) -> bool:
        """Whether a slot still holds the filling it had."""
        return slot in self._held and self._held[slot].filled == filled

    def drop(self, slot: int) -> None:
        self._held.pop(slot, None)

    def clear(self) -> None:
        self._held.clear()


class PictureStock:
    """What of the wanted pictures is there: in the terminal, drawn, or only encoded."""

    def __init__(self, backend: Backend, plan: PicturePlan) -> None:
        self._backend, self._plan = backend, plan
        self.slots = TerminalPictures(backend.ladder)
        self.drawn: EncodeJob | None = None
        """What is drawn on the screen by a technique that stores nothing."""

    def have(self, shot: PictureRequest, area: Area) -> EncodeJob | None:
        """The best of a picture that needs nothing more than a key."""
        if self._backend.slots:
            return self.slots.best(shot)
        if self.drawn is not None and self.drawn.shot == shot:
            return self.drawn
        return self._plan.encoded(shot, area)

    def delivered(self, shot: PictureRequest) -> bool:
        """Whether a picture needs no more bytes than those that show it."""
        if self._backend.slots:
            return self.slots.where(shot) is not None
        return self.drawn is not None and self.drawn.shot == shot

    def fill(self, job: EncodeJob, payload: Payload, shown: PictureRequest | None) -> int:
        """The slot where a picture is to go; none that is shown or expected."""
        wanted = (self._plan.current, shown, *self._plan.upcoming)
        kept = {self.slots.where(shot) for shot in wanted if shot is not None}
        slot = self.slots.free_slot(self._backend.slots, kept)
        self.slots.fill(slot, job, payload)
        return slot

    def forget(self) -> None:
        self.slots.clear()
        self.drawn = None
