"""The protocol of every store of a log: rows, leases and by-products."""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from annotator.errors import StoreError
from annotator.log.entries import Entry


class DecidedMeanwhile(Exception):
    """The error for an answer to an item that has been decided since the caller read the log."""


class LostRowsError(StoreError):
    """The error for a log that ends before a row that it has told."""


@dataclass(frozen=True, slots=True)
class Lease:
    """One item on an annotator's screen, or next in their queue, and its draw."""

    ref: str
    picked_by: str | None = None
    q: float | None = None
    pool: int | None = None


class Arrival(NamedTuple):
    """A row that is new here, or that a team's log has numbered."""

    place: int
    """The place in the order in which rows became known here."""
    entry: Entry
    before: int | None = None
    """The number of the row until now; None for a new row."""


class SyncState(NamedTuple):
    """The progress of a replica towards its team's log."""

    waiting: int
    """Rows that are still to be sent."""
    synced_at: float | None
    """Seconds since the epoch of the last time when both were equal; None if never."""
    away_since: float | None
    """Seconds since the epoch since when the team's log cannot be reached; None while it can."""
    problem: str
    """The reason why it cannot be reached, or refuses this copy; "" for none."""
    refused: int = 0
    """Rows that the team's log does not take from this member; they stay here."""
    reason: str = ""
    """The reason for the first of them."""


class Byproduct(NamedTuple):
    """One event of the mouse, the keys or the screen on a page: see `annotator.hits.traces`."""

    at: int
    """Milliseconds since the epoch."""
    kind: str
    page: str
    """The id of its page, "" for none."""
    data: Mapping[str, Any]


class ByproductStore(Protocol):
    """A store of by-products, beside the log. Every method raises `StoreError`."""

    def append_byproducts(self, *rows: Byproduct) -> None:
        """Append `rows`, all or none. They survive the process at once, and a power cut soon."""
        ...

    def read_byproducts(
        self, kind: str | None = None, page: str | None = None
    ) -> Iterator[Byproduct]:
        """Yield the rows of a kind and of a page (all for None), in the order written."""
        ...


class OthersItems(set[str]):
    """The refs on the screens of others; the items of their shares count as theirs, too.

    Each open item is in the share of one member at work, by rendezvous hashing (Thaler and
    Ravishankar, Using name-based mappings to increase hit rates, 1998). So two members do not ask
    about one item, also before the team's log has answered, and while it is away. Once the
    own share is answered, the others' are asked, but for `strict`.
    """

    def __init__(
        self,
        refs: Iterable[str] = (),
        own: str = "",
        members: Iterable[str] = (),
        *,
        strict: bool = False,
    ) -> None:
        """Hold `refs`; the shares are those of `members`, and `own` is the member here."""
        super().__init__(refs)
        self._own, self._members = own, sorted({own, *members})
        self.strict = strict and len(self._members) > 1

    def __contains__(self, ref: object) -> bool:
        return super().__contains__(ref) or not self.is_own(ref)

    def is_own(self, ref: object) -> bool:
        """Return whether an item is in the share of the member here."""
        if len(self._members) == 1:
            return True
        owner = max(self._members, key=lambda name: zlib.crc32(f"{name}\0{ref}".encode()))
        return owner == self._own


class Store(Protocol):
    """A store of the log. Every method raises `StoreError`; a failed `append` writes nothing."""

    @property
    def shared(self) -> bool:
        """True for the replica of a team's log: rows are numbered later, and may come between."""
        ...

    def append(self, *entries: Entry, last_seen: int | None = None) -> list[Entry]:
        """Write `entries` durably, all or none, and return them with their `seq`.

        With `last_seen`, the last arrival that the caller knows, it raises `DecidedMeanwhile` if a
        later one decides one of their refs. The check and the write are one transaction.
        """
        ...

    def append_many(self, entries: Iterable[Entry]) -> int:
        """Write any number of entries, all or none, without holding them; return their number."""
        ...

    def entries(self, after: int = 0) -> Iterator[Entry]:
        """Yield the rows with `seq` above `after`, in order."""
        ...

    def last_arrival(self) -> int:
        """Return the place of the last arrival, 0 without rows."""
        ...

    def arrivals(self, after: int) -> Iterator[Arrival]:
        """Yield what has become known after the place `after`, in that order."""
        ...

    def entries_of(self, refs: Collection[str]) -> dict[str, list[Entry]]:
        """Return all rows on `refs`, each with its rows in order."""
        ...

    def lease(
        self, leases: Sequence[Lease], holder: str, annotator: str, now: float, until: float
    ) -> set[str]:
        """Hold `leases` and no others; return the refs granted: those that no other holder has."""
        ...

    def leased_by_others(self, now: float, holder: str) -> OthersItems:
        """Return the refs on the screens of others."""
        ...

    def abandoned(self, annotator: str, now: float) -> list[Lease]:
        """Return the items on screen and queued when this annotator's last session ended."""
        ...

    def release(self, holder: str, now: float) -> None:
        """End all leases of `holder`; `abandoned` still returns them."""
        ...

    def changed(self) -> bool:
        """Return whether another connection has written since the last call; takes microseconds."""
        ...

    def sync_state(self) -> SyncState | None:
        """Return the progress towards the team's log; None for a log of one's own."""
        ...

    def close(self) -> None:
        """Close the file."""
        ...


class ProjectStore(Store, ByproductStore, Protocol):
    """The store of a project: the log, its leases and the by-products."""
