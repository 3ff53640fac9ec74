"""The pictures kept: encoded ones up to a number of bytes, and those in the terminal's slots."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Generic, TypeVar

from annotator.terminal.backend import Backend, Payload, Quality
from annotator.terminal.requests import EncodeJob, PictureRequest

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class BytesLRU(Generic[K, V]):
    """A cache up to `limit` bytes that drops what was unused for longest. Not thread-safe."""

    def __init__(self, limit: int) -> None:
        self.limit, self.size = limit, 0
        self._entries: OrderedDict[K, tuple[V, int]] = OrderedDict()

    def __contains__(self, key: K) -> bool:
        return key in self._entries

    def get(self, key: K) -> V | None:
        """Return the value, now the most recently used; None if it is not kept."""
        if key not in self._entries:
            return None
        self._entries.move_to_end(key)
        return self._entries[key][0]

    def put(self, key: K, value: V, size: int) -> None:
        """Keep a value of `size` bytes; one larger than the limit stays until the next comes."""
        if key in self._entries:
            self.size -= self._entries.pop(key)[1]
        self._entries[key] = value, size
        self.size += size
        while self.size > self.limit and len(self._entries) > 1:
            _, (_, freed) = self._entries.popitem(last=False)
            self.size -= freed

    def clear(self) -> None:
        """Drop everything."""
        self._entries.clear()
        self.size = 0


@dataclass(slots=True)
class SlotContent:
    """The content of a slot."""

    job: EncodeJob
    payload: Payload
    filled: int
    whole: bool = False


@dataclass(slots=True)
class PictureTransfer:
    """A picture whose parts are being sent."""

    job: EncodeJob
    payload: Payload
    slot: int = 0
    index: int = 0
    before: Payload | None = None
    """The picture on the screen if its parts may stay where they are the same."""

    @property
    def on_screen(self) -> bool:
        """True if the next part is on the screen already."""
        parts = self.before.parts if self.before is not None else ()
        return self.index < len(parts) and parts[self.index] == self.payload.parts[self.index]

    def blocks_slot(self, backend: Backend, slot: int | None) -> bool:
        """Return whether a slot can be shown only after the transfer ends or is given up."""
        return self.index > 0 and not backend.may_show(slot, self.payload)


class TerminalPictures:
    """The pictures that the terminal keeps; the least recently used slot is filled first."""

    def __init__(self, ladder: Sequence[Quality]) -> None:
        self._rank = ladder.index
        self._held: dict[int, SlotContent] = {}
        self._filled = 0

    def __getitem__(self, slot: int) -> SlotContent:
        return self._held[slot]

    def best_slot(self, request: PictureRequest) -> int | None:
        """Return the slot with the best whole copy of a picture."""
        found = [n for n, held in self._held.items() if held.whole and held.job.request == request]
        return max(found, key=lambda n: self._rank(self._held[n].job.quality), default=None)

    def best_job(self, request: PictureRequest) -> EncodeJob | None:
        """Return the job of the best whole copy of a picture."""
        slot = self.best_slot(request)
        return None if slot is None else self._held[slot].job

    def free_slot(self, count: int, kept: Collection[int | None]) -> int:
        """Return a slot to fill: a free one, else the one unused for longest that is not `kept`."""
        free = (n for n in range(count) if n not in self._held)
        idle = (n for n in self._held if n not in kept)
        return next(chain(free, idle))

    def fill(self, slot: int, job: EncodeJob, payload: Payload) -> None:
        """Note that a picture begins to arrive in a slot."""
        self._held.pop(slot, None)
        self._filled += 1
        self._held[slot] = SlotContent(job, payload, self._filled)

    def use(self, slot: int) -> SlotContent:
        """Return a slot's content, now the most recently used: it is shown."""
        self._held[slot] = self._held.pop(slot)
        return self._held[slot]

    def holds_filling(self, slot: int, filled: int) -> bool:
        """Return whether a slot still has the content of that filling."""
        return slot in self._held and self._held[slot].filled == filled

    def holds_whole(self, slot: int) -> bool:
        """Return whether all of a picture was sent to a slot."""
        return slot in self._held and self._held[slot].whole

    def drop(self, slot: int) -> None:
        """Forget a slot's content."""
        self._held.pop(slot, None)

    def clear(self) -> None:
        """Forget all contents."""
        self._held.clear()
