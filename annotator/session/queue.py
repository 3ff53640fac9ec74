"""The queue of a session: the open rows of the pool, the picks drawn from them, their leases."""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from annotator.errors import StoreError
from annotator.items.ref_table import RefTable
from annotator.learn.strategies import Pick
from annotator.log.agreement import REPEAT
from annotator.log.store.holders import new_holder
from annotator.log.store.protocol import Lease, OthersItems, Store

if TYPE_CHECKING:
    from annotator.log.entries import Entry

LEASE_SECONDS = 120.0
WITHIN = "within"
"""The `picked_by` of items that a strategy picked among those of a query."""
_RANDOM_TRIES = 64
_MOST_SHARED = 5000
"""Rows that are looked through for one of the own share in a team."""
_MAX_LOOKED_UP = 100_000
_MAX_RESOLVED_AT_ONCE = 20_000


class Queue:
    """The current pick and the few after it, filled from a ranking, else at random.

    Holds at most `ahead` picks behind the current one. All picks in the queue are leased, so
    that no other annotator is asked the same, and keep the propensity of their draw.
    """

    def __init__(
        self,
        store: Store,
        annotator: str,
        answered: Collection[str],
        *,
        ahead: int,
        seed: int,
        clock: Callable[[], float],
        holder: str | None = None,
        lease: float = LEASE_SECONDS,
        first: Iterable[tuple[str, str]] = (),
        draw_repeat: Callable[[], str | None] | None = None,
    ) -> None:
        """Set up an empty queue; `extend` gives it a pool.

        `answered` holds the refs that must not be asked, and may grow. `first` holds refs to ask
        before any pick, each with what picked it. `draw_repeat` returns, now and then, a ref that
        was answered before and is asked once more.
        """
        self.refs = RefTable()
        self.ahead = ahead
        self.leased_by_others = OthersItems()
        """The items on the screens of other annotators."""
        self.paused = False
        """True while nothing new is drawn, because a model is about to say what to ask."""
        self.within: NDArray[np.bool_] | None = None
        """(n,) the rows that may be asked, None for all; rows that came later may not."""
        self._most: NDArray[np.bool_] | None = None
        self._store, self._annotator, self._answered = store, annotator, answered
        self._clock, self._holder, self._lease_seconds = clock, holder or new_holder(), lease
        # The members of a team begin at once, and must not all draw the same.
        own = [zlib.crc32(annotator.encode())] if store.shared else []
        self._rng = np.random.default_rng([seed, len(answered), *own])
        self._closed, self._open_count = np.zeros(0, bool), 0
        self._rows: dict[str, int] = {}
        self._waiting: deque[Pick] = deque()
        self._shown = -1  # the row that was current when the queue was last held
        self._picks: deque[Pick] = deque()
        self._stand_ins: set[int] = set()  # rows drawn at random for want of a ranking
        self.listing = False
        """True while more refs follow: a draw is then one from a part of the pool."""
        self._from_part: dict[int, int] = {}  # rows drawn meanwhile, and the refs known then
        self._first = dict(first)
        self._first_rows: deque[int] = deque()
        self._draw_repeat = draw_repeat
        self._resolved, self._renew_at, self._leased = True, 0.0, 0
        self._abandoned = store.abandoned(annotator, clock())

    def __len__(self) -> int:
        return len(self._waiting)

    def __getitem__(self, place: int) -> Pick:
        return self._waiting[place]

    # --- the pool

    @property
    def open_count(self) -> int:
        """The number of rows without an answer; until `resolve_rows` counted as if every answered
        item were still in the pool."""
        if self.within is not None:
            return int((~self.closed_by_answers() & self.inside()).sum())
        if self._resolved:
            return self._open_count
        return max(0, len(self.refs) - len(self._answered))

    def extend(self, refs: Sequence[str], *, listing: bool = False) -> None:
        """Add refs to the pool; with `listing` more follow, up to `end_listing`."""
        self.listing = listing
        if isinstance(refs, RefTable) and not len(self.refs):
            self.refs = refs  # of a million `closed` finds the answered ones, not the start
            self._closed, self._open_count = np.zeros(len(refs), bool), len(refs)
            self._resolved = not self._answered
            if len(refs) <= _MAX_RESOLVED_AT_ONCE:
                self.resolve_rows()
        else:
            self._append(refs)
        first = self.refs.rows(list(self._first)).tolist() if self._first else []
        self._first_rows = deque(row for row in first if row >= 0)  # the rest may be listed later
        self._resume_abandoned()
        if not self._waiting:
            self.refill()

    def end_listing(self) -> None:
        """Draw anew, from the whole pool, what was drawn at random from a part of it.

        The current item stays, without a propensity: it was not drawn from the pool.
        """
        self.listing, whole = False, len(self.refs)
        part = {row for row, known in self._from_part.items() if known < whole}
        self._leased = 0 if self._from_part else self._leased  # so that all leases say how
        self._from_part.clear()
        kept = [p for at, p in enumerate(self._waiting) if at == 0 or p.row not in part]
        self._waiting = deque(
            Pick(p.row, float("nan"), 0, p.component) if p.row in part else p for p in kept
        )
        self.refill()

    def is_from_part(self, pick: Pick) -> bool:
        """Return whether a pick was drawn from what is listed so far, while more follows."""
        return pick.row in self._from_part

    def _append(self, refs: Sequence[str]) -> None:
        start = len(self.refs)
        self.refs.extend(refs)
        if len(self.refs) > len(self._closed):
            room = np.zeros(max(len(self.refs), 2 * start), bool)
            room[:start] = self._closed[:start]
            self._closed = room
        self._open_count += len(refs)
        for row, ref in enumerate(refs, start):
            if ref in self._answered:
                self._rows[ref] = row
                self.close(ref)

    def resolve_rows(self) -> None:
        """Find the rows of all answered items: 0.5 s for a million refs, once."""
        if self._resolved:
            return
        self._resolved = True
        refs = list(self._answered)
        for ref, row in zip(refs, self.refs.rows(refs).tolist(), strict=True):
            if row >= 0:
                self._rows[ref] = row
                self._closed[row] = True
        self._open_count = int(len(self.refs) - self._closed[: len(self.refs)].sum())

    def row(self, ref: str) -> int:
        """Return the pool row of `ref`, -1 if the pool lacks it."""
        row = self._rows.get(ref, -1)
        if row < 0 and (row := self.refs.find(ref)) >= 0:
            self._rows[ref] = row
        return row

    def cache_rows(self, rows: Iterable[tuple[str, int]]) -> None:
        """Remember the rows of refs: finding one among a million takes time."""
        self._rows.update(rows)

    def rows(self, refs: Sequence[str]) -> list[int]:
        """Return the pool row of each ref, -1 if the pool lacks it."""
        return [self.row(ref) for ref in refs]

    def close(self, ref: str) -> None:
        """Do not ask `ref` any more."""
        row = self.row(ref)
        if row >= 0 and not self._closed[row]:
            self._closed[row] = True
            self._open_count -= 1

    def open(self, ref: str) -> None:
        """Allow `ref` to be asked again."""
        row = self.row(ref)
        if row >= 0 and self._closed[row]:
            self._closed[row] = False
            self._open_count += 1

    def restrict(self, within: NDArray[np.bool_] | None, *, lasting: bool = False) -> None:
        """Ask only the rows of `within` (n,) from now on, None for all; the current one stays.

        With `lasting` the rows of the first call stay the most that later calls may ask.
        """
        if lasting:
            self._most = most = within if self._most is None else self._most
            if within is not None and most is not None:
                size = min(len(within), len(most))
                most = within[:size] & most[:size]
            within = most
        self.within = within
        self._picks.clear()
        self._waiting = deque([*self._waiting][:1])
        self.refill()

    def inside(self) -> NDArray[np.bool_]:
        """Return (N,) True for the rows that may be asked."""
        inside = np.ones(len(self.refs), bool)
        if self.within is not None:
            known = self.within[: len(inside)]
            inside[: len(known)], inside[len(known) :] = known, False
        return inside

    def _is_inside(self, row: int) -> bool:
        return self.within is None or (row < len(self.within) and bool(self.within[row]))

    def closed_by_answers(self) -> NDArray[np.bool_]:
        """Return (N,) True for the rows with an answer."""
        self.resolve_rows()
        return self._closed[: len(self.refs)]

    def closed(self, *, everywhere: bool = False) -> NDArray[np.bool_]:
        """Return (N,) True for rows that are not to be picked: answered, queued or on other
        screens, or, unless `everywhere`, outside of what is asked."""
        closed = self.closed_by_answers().copy()
        if not everywhere and self.within is not None:
            closed |= ~self.inside()
        closed[[pick.row for pick in self._waiting]] = True
        closed[[row for row in map(self.row, self.leased_by_others) if row >= 0]] = True
        return closed

    # --- the queue

    def advance(self) -> None:
        """Drop the current pick and fill up at the end."""
        if self._waiting:
            self._waiting.popleft()
        self.refill()

    def stop(self) -> None:
        """Ask nothing more while `paused` stays True."""
        self.paused = True
        self._waiting.clear()

    def put_first(self, pick: Pick) -> None:
        """Ask `pick` now, and what was current after it."""
        rest = [p for p in self._waiting if p.row != pick.row]
        self._waiting = deque([pick, *rest][: max(self.ahead + 1, len(self._waiting))])
        self.lease()

    def ask_again(self, entries: Sequence[Entry]) -> None:
        """Ask the items of `entries` now, with their old draws; of a large group the first few."""
        for entry in reversed(entries[: self.ahead + 1]):
            row = self.row(entry.ref)
            if row >= 0:
                self.put_first(Pick.from_log(row, entry.q, entry.pool, entry.picked_by))

    def adopt(self, picks: Iterable[Pick], flush: bool) -> None:
        """Fill up from `picks` from now on, also in place of rows drawn at random before.

        `flush` drops all picks behind the current one, but for those that no strategy picked.
        """
        self._picks = deque(picks)
        shown, behind = [*self._waiting][:1], [*self._waiting][1:]
        kept = [pick for pick in behind if not self._gives_way(pick, flush)]
        self._waiting = deque(shown + kept)
        self._stand_ins.clear()
        self.refill()

    def _gives_way(self, pick: Pick, flush: bool) -> bool:
        if pick.component == REPEAT or self.refs[pick.row] in self._first:
            return False
        return flush or (bool(self._picks) and pick.row in self._stand_ins)

    def drop_answered(self, current: bool = False) -> None:
        """Drop picks that were answered elsewhere; with `current` also the one on screen."""
        shown = [] if current else [*self._waiting][:1]
        self._waiting = deque(p for p in self._waiting if p in shown or self._stays(p))

    def leave_out_answered(self) -> None:
        """Drop all picks that were answered elsewhere, the current one too, and refill."""
        self.drop_answered(current=True)
        self.refill()

    def _stays(self, pick: Pick) -> bool:
        return pick.component == REPEAT or not self._closed[pick.row]

    def refill(self) -> None:
        """Fill the queue up and lease what is in it."""
        for _ in range(3):  # a lease may be refused: another annotator was quicker
            before = len(self._waiting)
            while self._has_room() and (pick := self._next()):
                self._waiting.append(self._as_drawn(pick))
            if len(self._waiting) == before == self._leased or self.lease():
                return

    def _has_room(self) -> bool:
        return not self.paused and len(self._waiting) <= self.ahead

    def lease(self) -> bool:
        """Lease the queue, and return whether all leases were granted.

        Picks that others hold are dropped, but never the one that may be on screen.
        """
        now = self._clock()
        self.cache_rows((self.refs[pick.row], pick.row) for pick in self._waiting)
        leases = [Lease(self.refs[p.row], p.component, *self._propensity(p)) for p in self._waiting]
        try:
            until = now + self._lease_seconds
            granted = self._store.lease(leases, self._holder, self._annotator, now, until)
        except StoreError:
            return True  # a lease is a courtesy; what matters is that labels can be written
        self._renew_at, self._leased = now + self._lease_seconds / 2, len(leases)
        refused = {lease.ref for lease in leases} - granted
        self.leased_by_others.update(refused)
        self._waiting = deque(
            p for p in self._waiting if p.row == self._shown or self.refs[p.row] not in refused
        )
        self._shown = self._waiting[0].row if self._waiting else -1
        return not refused

    def _propensity(self, pick: Pick) -> tuple[float | None, int]:
        """Return q and pool as a later session may use them: not those of a part of the pool."""
        if self.is_from_part(pick):
            return None, 0
        return None if np.isnan(pick.q) else pick.q, pick.pool

    def renew_leases(self) -> None:
        """Read the leases of others, and renew the own ones when half their time is over."""
        now = self._clock()
        self.leased_by_others = self._store.leased_by_others(now, self._holder)
        if not self._waiting:
            self.refill()
        elif now > self._renew_at:
            self.lease()

    def release(self) -> None:
        """Release the leases; the annotator's next session resumes the queue."""
        self._store.release(self._holder, self._clock())

    def _as_drawn(self, pick: Pick) -> Pick:
        """Return a pick without its propensity if only a part of the pool is asked.

        It is then no draw from the pool, and stays out of the estimate.
        """
        if self.within is None or pick.component == REPEAT or self.refs[pick.row] in self._first:
            return pick
        return Pick(pick.row, float("nan"), 0, WITHIN)

    def _next(self) -> Pick | None:
        waiting = {pick.row for pick in self._waiting}
        if (pick := self._next_first(waiting) or self._next_again(waiting)) is not None:
            return pick
        while self._picks:
            pick = self._picks.popleft()
            if self._is_open(pick.row, waiting):
                return pick
        if (pick := self._random(waiting)) is not None:
            self._stand_ins.add(pick.row)
            if self.listing:
                self._from_part[pick.row] = len(self.refs)
        return pick

    def _next_first(self, waiting: set[int]) -> Pick | None:
        while self._first_rows:
            row = self._first_rows.popleft()
            if self._is_open(row, waiting):
                return Pick(row, float("nan"), 0, self._first[self.refs[row]])
        return None

    def _next_again(self, waiting: set[int]) -> Pick | None:
        """Return a repeat, but never if nothing else is left to ask."""
        if self._draw_repeat is None or self.open_count <= len(waiting):
            return None
        row = self.row(ref) if (ref := self._draw_repeat()) is not None else -1
        fits = row >= 0 and row not in waiting and ref not in self.leased_by_others
        fits = fits and self._is_inside(row)
        return Pick(row, float("nan"), 0, REPEAT) if fits else None

    def _is_open(self, row: int, waiting: set[int]) -> bool:
        if self._closed[row] or row in waiting or not self._is_inside(row):
            return False
        ref = self.refs[row]
        return ref not in self.leased_by_others and (self._resolved or ref not in self._answered)

    def _random(self, waiting: set[int]) -> Pick | None:
        """Draw an open row, all with the same probability: by rejection, or from a list of all."""
        taken = waiting
        if len(self.refs) <= _MAX_LOOKED_UP:  # among more, those on other screens hardly change q
            taken = waiting | (set(map(self.row, self.leased_by_others)) - {-1})
        size = self.open_count - sum(not self._closed[row] for row in taken)
        for row in self._rng.integers(max(1, len(self.refs)), size=_RANDOM_TRIES).tolist():
            if row < len(self.refs) and self._is_open(row, waiting):
                # Also within a share: it is random as well, so that 1 / size is the probability of
                # both draws together.
                return Pick(row, 1 / max(1, size), max(1, size), "random")
        rows = np.flatnonzero(~self.closed())
        if not len(rows):
            return None
        some = self._rng.choice(rows, min(_MOST_SHARED, len(rows)), replace=False).tolist()
        row = next((row for row in some if self._is_open(row, waiting)), -1)
        if row < 0 and self.leased_by_others.strict:
            return None
        return Pick(row if row >= 0 else int(some[0]), 1 / len(rows), len(rows), "random")

    def _resume_abandoned(self) -> None:
        """Resume the picks that the annotator's last session had on screen and next."""
        rest = []
        for lease in self._abandoned:
            row = self.row(lease.ref)
            if row < 0:
                rest.append(lease)  # perhaps it is listed later
            elif not self._is_inside(row):
                continue
            elif len(self._waiting) <= self.ahead and lease.ref not in self._answered:
                self._waiting.append(Pick.from_log(row, lease.q, lease.pool, lease.picked_by))
        self._abandoned = rest
        if self._waiting:
            self.lease()
