"""The pictures that the terminal keeps for us."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import chain

from annotator.terminal.backend import Payload, Quality
from annotator.terminal.shots import Job, Shot


@dataclass(slots=True)
class Held:
    """What a slot holds."""

    job: Job
    payload: Payload
    filled: int
    whole: bool = False


class Slots:
    """A bounded store, the least recently used slot first to go."""

    def __init__(self, ladder: Sequence[Quality]) -> None:
        self._rank = ladder.index
        self._held: dict[int, Held] = {}
        self._filled = 0

    def __getitem__(self, slot: int) -> Held:
        return self._held[slot]

    def where(self, shot: Shot) -> int | None:
        """The slot with the best whole copy of a picture."""
        found = [n for n, held in self._held.items() if held.whole and held.job.shot == shot]
        return max(found, key=lambda n: self._rank(self._held[n].job.quality), default=None)

    def best(self, shot: Shot) -> Job | None:
        slot = self.where(shot)
        return None if slot is None else self._held[slot].job

    def claim(self, count: int, kept: Collection[int | None]) -> int:
        """A slot to fill: a free one, or the one that was unused for longest and is not `kept`."""
        free = (n for n in range(count) if n not in self._held)
        idle = (n for n in self._held if n not in kept)
        return next(chain(free, idle))

    def fill(self, slot: int, job: Job, payload: Payload) -> None:
        """A picture begins to arrive in a slot."""
        self._held.pop(slot, None)
        self._filled += 1
        self._held[slot] = Held(job, payload, self._filled)

    def use(self, slot: int) -> Held:
        """A slot is shown: it is now the most recently used."""
        self._held[slot] = self._held.pop(slot)
        return self._held[slot]

    def intact(self, slot: int, filled: int) -> bool:
        """Whether a slot still holds the filling it had."""
        return slot in self._held and self._held[slot].filled == filled

    def drop(self, slot: int) -> None:
        self._held.pop(slot, None)

    def clear(self) -> None:
        self._held.clear()
