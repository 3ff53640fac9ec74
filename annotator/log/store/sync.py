"""The line's side of a replica: it sends what was written here, and brings what others wrote.

All is done in small steps, each of them one transaction: a label never waits for long, and a step
that is cut off is done again.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import NamedTuple

from annotator.errors import StoreError
from annotator.log.store.protocol import Lease
from annotator.log.store.remote import (
    RemoteAwayError,
    RowsRefusedError,
    SharedLog,
    SharedRow,
)
from annotator.log.store.replica_tables import ReplicaTables
from annotator.log.store.schema import explain_sqlite_errors, written_at_once

Reach = Callable[[str], SharedLog]
"""A way to the team's log for a writer of that id; the log may be far, and away."""
_EVERY_SECONDS = 1.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 2.0
_REFUSED_PAUSE = 5.0
_AWAY_SECONDS = 0.5
"""Seconds to wait at the end for a team's log that is away."""
_MOST_ROWS = 200
"""Rows in one transaction: a label waits for it."""
_NOTE_SECONDS = 30.0
"""Seconds after which a replica that is still up to date says so again."""


class LeaseRequest(NamedTuple):
    """The items that a screen is about to show."""

    leases: tuple[Lease, ...]
    holder: str
    annotator: str
    seconds: float


class Syncer:
    """One replica and its team's log, in one thread."""

    def __init__(
        self,
        path: Path,
        reach: Reach,
        clock: Callable[[], float] = time.time,
        most_rows: int = _MOST_ROWS,
    ) -> None:
        """Open the replica in `path`; `reach` is called at the first step.

        A transaction has at most `most_rows` rows: labels of this moment wait for it.
        """
        self._path, self._reach, self._clock = path, reach, clock
        self._most_rows = most_rows
        with explain_sqlite_errors(path):
            self._file = sqlite3.connect(path, isolation_level=None, timeout=10)
            self._file.execute("PRAGMA synchronous = NORMAL")
        self.tables = ReplicaTables(self._file)
        self._remote: SharedLog | None = None
        self._noted = 0.0
        self._holder = ""
        self.granted: set[str] = set()
        """The refs of the last request that the team's log has granted."""

    def step(
        self, request: LeaseRequest | None = None, on_read: Callable[[int], object] | None = None
    ) -> None:
        """Send, read and lease what there is; `on_read` gets the number of rows read so far.

        Raises `RemoteAwayError`, `RemoteRefusedError` or, for this disk, `StoreError`; the tables
        then say why.
        """
        try:
            remote = self._remote = self._remote or self._reach(self.tables.writer)
            with explain_sqlite_errors(self._path):
                self._send(remote)
                self._read(remote, on_read)
                self._lease(remote, request)
                self._note_equal()
        except BaseException as error:
            self.note_problem(error)
            self._forget()
            raise

    def release(self, holders: Sequence[str]) -> None:
        """End the leases of screens that have closed, or whose program has died.

        Raises like `step`.
        """
        if holders:
            self._remote = self._remote or self._reach(self.tables.writer)
            for holder in holders:
                self._remote.let_go(holder)
                self._holder = "" if holder == self._holder else self._holder

    def close(self) -> None:
        """Close the replica and the connection."""
        self._forget()
        self._file.close()

    def _forget(self) -> None:
        remote, self._remote = self._remote, None
        if remote is not None:
            with suppress(StoreError):
                remote.close()

    def _send(self, remote: SharedLog) -> None:
        while rows := self.tables.rows_to_send(_MOST_ROWS):
            try:
                places = remote.append(rows)
            except RowsRefusedError:
                self._send_singly(remote, rows)
                continue
            with written_at_once(self._file):
                self.tables.number_rows(places)

    def _send_singly(self, remote: SharedLog, rows: Sequence[SharedRow]) -> None:
        """Send one row after the other; those that are refused stay here, and say why."""
        for row in rows:
            try:
                places = remote.append([row])
            except RowsRefusedError as error:
                with written_at_once(self._file):
                    self.tables.refuse_row(row.id, str(error))
                return  # others may name it
            with written_at_once(self._file):
                self.tables.number_rows(places)

    def _read(self, remote: SharedLog, on_read: Callable[[int], object] | None) -> None:
        start, most, count = self.tables.read_to, self._most_rows, 0
        for rows, end in remote.read_new(start):
            for at in range(0, len(rows), most):
                read_to = end if at + most >= len(rows) else start
                with written_at_once(self._file):
                    quickest = self.tables.merge(rows[at : at + most], start, read_to)
                if not quickest:
                    return  # another program on this replica has read them
            start, count = end, count + len(rows)
            if on_read is not None:
                on_read(count)

    def _lease(self, remote: SharedLog, request: LeaseRequest | None) -> None:
        if request is not None:
            self._holder = request.holder
            self.granted = remote.hold(
                request.leases, request.holder, request.annotator, request.seconds
            )
        if self._holder:
            theirs = remote.held_by_others(self._holder)
            if self.tables.elsewhere() != theirs:
                with written_at_once(self._file):
                    self.tables.set_elsewhere(theirs)

    def _note_equal(self) -> None:
        state = self.tables.sync_state()
        if state.problem or self._clock() - self._noted > _NOTE_SECONDS:
            self._noted = self._clock()
            with written_at_once(self._file):
                self.tables.note_sync(self._noted)

    def note_problem(self, error: BaseException) -> None:
        """Note an error in the tables, for the screen."""
        away, text = isinstance(error, RemoteAwayError), str(error) or type(error).__name__
        with suppress(StoreError), explain_sqlite_errors(self._path):  # this disk may be full, too
            state = self.tables.sync_state()
            if (state.problem, state.away_since is not None) != (text, away):
                with written_at_once(self._file):
                    self.tables.note_problem(text, self._clock(), away=away)


class SyncThread:
    """A thread that keeps a replica and its team's log equal, once there is something to send."""

    def __init__(self, path: Path, reach: Reach) -> None:
        self._path, self._reach = path, reach
        self._thread: threading.Thread | None = None
        self._woken, self._moved = threading.Event(), threading.Condition()
        self._request: LeaseRequest | None = None
        self._stopped = False
        self._failed_at = 0.0
        self.failed = False
        """True while the team's log cannot be used."""
        self.refused: frozenset[str] = frozenset()
        """The refs of the last request that are on other screens."""
        self._granted: frozenset[str] = frozenset()
        self._asked, self._served = 0, 0  # the calls of `wake`, and those that a step has served
        self._ended: list[str] = []  # holders whose leases are to end

    def wake(self) -> None:
        """Send and read soon."""
        if self._thread is None and not self._stopped:
            self._thread = threading.Thread(target=self._run, name="sync", daemon=True)
            self._thread.start()
        self._asked += 1
        self._woken.set()

    def ask(self, request: LeaseRequest) -> None:
        """Lease what a screen is about to show."""
        self._request = request
        self.wake()

    def wait_for_lease(self, ref: str, seconds: float) -> None:
        """Wait a little until it is known whether an item is on another screen."""
        end = time.monotonic() + seconds
        with self._moved:
            while not self.failed and ref not in self._granted | self.refused:
                if not self._moved.wait(max(0.0, end - time.monotonic())):
                    return

    def away_seconds(self) -> float:
        """Return since when the team's log cannot be used, 0 while it can."""
        return time.monotonic() - self._failed_at if self.failed else 0.0

    def release(self, holder: str) -> None:
        """End all leases of `holder` at the next step."""
        self._ended.append(holder)

    def drain(self, seconds: float) -> bool:
        """Wait until all rows are sent; return False if they are not after some seconds."""
        self.wake()
        asked, end = self._asked, time.monotonic() + seconds
        with self._moved:
            while self._served < asked:
                if not self._moved.wait(max(0.0, end - time.monotonic())):
                    return False
        return True

    def close(self, seconds: float) -> None:
        """Send what waits, for up to some seconds, end the leases, and stop."""
        self._stopped = True
        if self._thread is not None:
            self._woken.set()
            self._thread.join(_AWAY_SECONDS if self.failed else seconds)

    def _run(self) -> None:
        pause = _EVERY_SECONDS
        with closing(Syncer(self._path, self._reach)) as syncer:
            while not self._stopped:
                self._woken.wait(pause)
                self._woken.clear()
                pause = self._step(syncer, pause)
            self._step(syncer, pause)

    def _step(self, syncer: Syncer, pause: float) -> float:
        """Do a step; return the seconds until the next one."""
        asked, request, self._request = self._asked, self._request, None
        ended, self._ended = self._ended, []
        try:
            syncer.release(ended)
            syncer.step(request)
        except Exception as error:  # a thread's boundary: all is said on the screen
            syncer.note_problem(error)
            self._request, self._ended = self._request or request, [*ended, *self._ended]
            again, self.failed = self.failed, True
            self._failed_at = self._failed_at if again else time.monotonic()
            with self._moved:
                self._moved.notify_all()
            if not isinstance(error, RemoteAwayError):
                return _REFUSED_PAUSE
            return min(_LONGEST_PAUSE, 2 * pause) if again else _FIRST_PAUSE
        with self._moved:
            self._served, self.failed = asked, False
            if request is not None:
                self._granted = frozenset(syncer.granted)
                wanted = {lease.ref for lease in request.leases}
                self.refused = frozenset(wanted - syncer.granted)
            self._moved.notify_all()
        return _EVERY_SECONDS
