"""The items on the screens of a team, in a shared folder: one small file a screen, and no clock.

A lease has a time in seconds, and no end: no machine trusts the clock of another one. Each reader
notes by its own clock when it last saw the file change, and lets the lease run out after its time.
So a lease of a machine that was switched off lasts a little longer for who has just come.

Of two screens that ask for an item at once, one gets it: both write that they ask, and read the
other's file before either counts the item as theirs (Lamport's bakery, A new solution of Dijkstra's
concurrent programming problem, 1974). This is exact where a new file is seen by all at once. A
network file system may show it seconds later: then an item may be asked twice, and both answers are
kept.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from annotator.items.atomic import only_regular
from annotator.items.json_text import parse_json
from annotator.log.store.holders import is_dead
from annotator.log.store.journal_folder import LEASES, read_limited, share_file
from annotator.log.store.protocol import Lease

MOST_SECONDS = 86400.0
"""The seconds of a lease; one of a longer time counts for nothing."""
_MOST_BYTES = 1 << 22
_MOST_FILES = 4096
_LONG_AGO = 86400.0
"""Seconds after its end at which whoever has seen it removes the file of a lease."""
_WAIT, _PAUSE = 1.0, 0.01
"""Seconds to wait for another screen that asks at the same moment, and between two looks."""


def boot_seconds() -> float:
    """Return the seconds since the boot of this machine, also those of its sleep."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime(clock)


@dataclass(frozen=True, slots=True)
class ScreenLease:
    """The items on one screen, as its file tells them."""

    holder: str
    annotator: str
    seconds: float
    turns: Mapping[str, int]
    """Each ref with its turn: of two screens, the lower one was first."""
    asked: frozenset[str]
    """The refs among them that the screen asks for, and does not hold yet."""
    beat: str
    """A random word: another one each time that the file is written."""

    @classmethod
    def parse(cls, data: bytes) -> ScreenLease:
        """Read the file of a lease. Raises `ValueError` for one that is not a lease."""
        try:
            values: Any = parse_json(data)
            turns = {str(ref): int(turn) for ref, turn in values["refs"].items()}
            lease = cls(
                str(values["holder"]), str(values["annotator"]), float(values["seconds"]),
                turns, frozenset(map(str, values["asked"])), str(values["beat"]),
            )  # fmt: skip
        except (KeyError, TypeError, AttributeError, OverflowError) as error:
            raise ValueError("not a lease") from error
        if not 0 < lease.seconds <= MOST_SECONDS or len(lease.holder) > 200:
            raise ValueError("not a lease")
        return lease

    def as_bytes(self) -> bytes:
        """Return the contents of its file."""
        document = {
            "holder": self.holder, "annotator": self.annotator, "seconds": self.seconds,
            "refs": dict(self.turns), "asked": sorted(self.asked), "beat": self.beat,
        }  # fmt: skip
        return json.dumps(document).encode()


class FolderLeases:
    """The leases of a team in its folder, as one program sees and holds them.

    Every method raises `OSError` for a folder that cannot be used.
    """

    def __init__(self, folder: Path, clock: Callable[[], float] = boot_seconds) -> None:
        self._folder, self._clock = folder / LEASES, clock
        self._seen: dict[str, tuple[str, float]] = {}
        """Each file with its beat, and when it was first seen with that."""
        self._mine: dict[str, int] = {}
        self._until = 0.0

    def hold(
        self, leases: Sequence[Lease], holder: str, annotator: str, seconds: float
    ) -> set[str]:
        """Hold `leases` and no others; return the refs granted: those that no other holder has."""
        seconds = min(seconds, MOST_SECONDS)
        if self._clock() >= self._until:
            self._mine = {}  # the lease ran out, and others may have them
        others = self.living(holder)
        turns = [self._mine.values(), *(other.turns.values() for other in others)]
        turn = 1 + max((number for found in turns for number in found), default=0)
        taken = {ref for other in others for ref in other.turns}
        kept = {lease.ref: self._mine[lease.ref] for lease in leases if lease.ref in self._mine}
        asked = {
            lease.ref: turn for lease in leases if lease.ref not in taken and lease.ref not in kept
        }
        lease = ScreenLease(holder, annotator, seconds, kept | asked, frozenset(asked), "")
        if asked:
            self._write(lease)
            won = self._await_others(lease)
            kept |= dict.fromkeys(won, turn)
        self._mine, self._until = kept, self._clock() + seconds
        if kept:
            self._write(ScreenLease(holder, annotator, seconds, kept, frozenset(), ""))
        else:
            self.let_go(holder)
        return set(kept)

    def let_go(self, holder: str) -> None:
        """End all leases of `holder`."""
        self._mine = {}
        (self._folder / _file_name(holder)).unlink(missing_ok=True)

    def living(self, holder: str = "") -> list[ScreenLease]:
        """Return the leases of all but `holder` that hold now."""
        now, found, seen = self._clock(), [], dict[str, tuple[str, float]]()
        names = sorted(path.name for path in self._folder.glob("[!.]*.lease"))
        for name in names[:_MOST_FILES]:
            try:
                lease = ScreenLease.parse(read_limited(self._folder / name, _MOST_BYTES))
            except (OSError, ValueError):
                continue  # let go a moment ago, or not a lease: no label depends on it
            beat, since = self._seen.get(name, ("", now))
            seen[name] = lease.beat, since if beat == lease.beat else now
            left = seen[name][1] + lease.seconds - now
            if is_dead(lease.holder) or left < -_LONG_AGO:
                self._remove(name)
            elif lease.holder != holder and left > 0:
                found.append(lease)
        self._seen = seen
        return found

    def _await_others(self, mine: ScreenLease) -> set[str]:
        """Return the refs that this screen gets of those that it asks for.

        An item that another screen holds is theirs, and so is one that it asked for earlier. For
        one that it asked for later, it has to see this, and say so first.
        """
        until = time.monotonic() + _WAIT
        while True:
            lost, open_ = set[str](), set[str]()
            for other in self.living(mine.holder):
                for ref in mine.asked & other.turns.keys():
                    before = (other.turns[ref], other.holder) < (mine.turns[ref], mine.holder)
                    (lost if before or ref not in other.asked else open_).add(ref)
            if lost:
                rest = {ref: turn for ref, turn in mine.turns.items() if ref not in lost}
                mine = ScreenLease(
                    mine.holder, mine.annotator, mine.seconds, rest, mine.asked - lost, ""
                )
                self._write(mine)
            open_ -= lost
            if not open_:
                return set(mine.asked)
            if time.monotonic() > until:
                return set(mine.asked) - open_  # the other screen may have ended meanwhile
            time.sleep(_PAUSE)

    def _write(self, lease: ScreenLease) -> None:
        name = _file_name(lease.holder)
        temporary = self._folder / f".{name}"
        beat = secrets.token_hex(8)
        data = ScreenLease(
            lease.holder, lease.annotator, lease.seconds, lease.turns, lease.asked, beat
        ).as_bytes()
        # No sync: after a power cut no screen shows anything any more.
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
        with os.fdopen(only_regular(str(temporary), flags), "wb") as file:
            share_file(file.fileno(), self._folder)
            file.write(data)
        temporary.replace(self._folder / name)

    def _remove(self, name: str) -> None:
        with suppress(OSError):
            (self._folder / name).unlink()
        with suppress(OSError):
            (self._folder / f".{name}").unlink()


def _file_name(holder: str) -> str:
    return f"{hashlib.sha256(holder.encode()).hexdigest()[:32]}.lease"


def names_of_refs(leases: Iterable[ScreenLease]) -> dict[str, str]:
    """Return the refs of leases, each with the annotator's name."""
    return {ref: lease.annotator for lease in leases for ref in lease.turns}
