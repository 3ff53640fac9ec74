"""The protocol of a team's shared log: what a replica sends its rows to, and reads others' from.

A row has an id that its writer made (RFC 9562, version 7), so it may be sent again after any loss,
and counts once. Its `seq` is its place in the order that all members share.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

from annotator.errors import StoreError
from annotator.log.entries import Entry
from annotator.log.store.protocol import Lease


class RemoteAwayError(StoreError):
    """The error for a shared log that cannot be reached now: try again later."""


class RemoteRefusedError(StoreError):
    """The error for rows or a member that a shared log refuses: to try again changes nothing."""


class RowsRefusedError(RemoteRefusedError):
    """The error for rows that a shared log does not take from this member; others it takes."""


class SharedRow(NamedTuple):
    """A row of the log with the id that all members know it by.

    Before it is sent, `entry.seq` is 0. In `entry.extra`, `undoes`, `corrects` and `knew` name
    other rows by their place in the shared order.
    """

    id: str
    entry: Entry


class SharedLog(Protocol):
    """The log of a team, as one member reaches it, from one thread.

    Every method raises `RemoteAwayError` while the log cannot be reached, and
    `RemoteRefusedError` for what it does not allow: `append` raises `RowsRefusedError` if that
    depends on the rows.
    """

    def append(self, rows: Sequence[SharedRow]) -> dict[str, int]:
        """Write rows durably, all or none, and return the place of each by its id.

        A row whose id is known already keeps its place: to send it again changes nothing.
        """
        ...

    def read_new(self, cursor: str) -> Iterator[tuple[list[SharedRow], str]]:
        """Yield what has come since `cursor` in batches, each with the cursor after it.

        "" is the cursor before all rows. Own rows come, too. Within a batch, places rise; a row
        that comes later may have an earlier place if its writer was away.
        """
        ...

    def hold(
        self, leases: Sequence[Lease], holder: str, annotator: str, seconds: float
    ) -> set[str]:
        """Hold `leases` and no others for some seconds; return the refs granted.

        The time is that of the shared log: this machine's clock plays no part.
        """
        ...

    def let_go(self, holder: str) -> None:
        """End all leases of `holder`."""
        ...

    def held_by_others(self, holder: str) -> dict[str, str]:
        """Return the refs on the screens of others, each with the annotator's name."""
        ...

    def present(self) -> list[str]:
        """Return the names of the annotators who hold a lease now, sorted."""
        ...

    def close(self) -> None:
        """Close the connection."""
        ...


class TeamFiles(Protocol):
    """The files that a team's log keeps for those who join: annotator.toml and refs.csv."""

    def uid(self) -> str:
        """Return the id of the team's log."""
        ...

    def member_name(self) -> str | None:
        """Return the name that this member's labels carry; None if any name may."""
        ...

    def read_file(self, name: str) -> bytes:
        """Return a file; b"" if the team has none of that name."""
        ...

    def write_file(self, name: str, data: bytes) -> None:
        """Keep a file in place of an older one; only an admin may."""
        ...
