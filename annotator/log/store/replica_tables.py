"""The tables of a replica: one member's copy of a team's log, in a labels.db of their own.

The rows of `log` have the numbers that all members share. Rows that the team's log has not numbered
yet come after all others: their numbers begin at `PENDING`. `own` keeps the id of every row that
was written here, `arrivals` the order in which rows became known here, and `elsewhere` the items on
the screens of others.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

from annotator.log.entries import DECISIONS, PENDING, RACE, Action, Entry
from annotator.log.store.protocol import SyncState
from annotator.log.store.remote import SharedRow
from annotator.log.store.schema import (
    INSERT_ROW,
    LOG_COLUMNS,
    add_checksum,
    entry_to_row,
    row_to_entry,
)

KNEW = "knew"
"""The key in `extra` of the row that counted when a decision was made, if one did."""
_REFERENCES = ("undoes", "corrects", KNEW)
TABLES = """
CREATE TABLE own (
    pending INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, seq INTEGER, refused TEXT
);
CREATE INDEX own_waiting ON own (pending) WHERE seq IS NULL;
CREATE TABLE arrivals (
    place INTEGER PRIMARY KEY AUTOINCREMENT, seq INTEGER NOT NULL, before INTEGER
);
CREATE INDEX log_of_ref ON log (ref);
CREATE TABLE elsewhere (ref TEXT PRIMARY KEY, annotator TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE team (
    one INTEGER PRIMARY KEY CHECK (one = 1), uid TEXT NOT NULL, writer TEXT NOT NULL,
    read_to TEXT NOT NULL DEFAULT '', moved_in INTEGER NOT NULL DEFAULT 0, synced_at REAL,
    away_since REAL, problem TEXT, member TEXT
);
"""
_ROW = f"SELECT seq, {LOG_COLUMNS}, checksum FROM log"  # noqa: S608
_CHUNK = 500


def new_row_id() -> str:
    """Return a UUID of version 7 (RFC 9562): its first 48 bits are the milliseconds of now."""
    number = time.time_ns() // 1_000_000 << 80 | int.from_bytes(os.urandom(10), "big")
    number = number & ~(0xF << 76) | 7 << 76
    number = number & ~(0x3 << 62) | 2 << 62
    text = f"{number:032x}"
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def find_lost_races(rows: Sequence[Entry], moved_in: int) -> tuple[set[int], Entry | None]:
    """Return the numbers of the decisions on an item that lost a race, and the one that counts.

    `rows` holds all rows on one item in order. Two answers race if neither could know of the
    other: the first one counts, and the later one is an opinion. A person's answer counts before
    that of a model. Rows up to `moved_in` were written before there was a team.
    """
    stack: list[Entry] = []
    lost: set[int] = set()
    for entry in rows:
        extra = entry.extra or {}
        if entry.action is Action.UNDO:
            stack = [row for row in stack if row.seq != extra.get("undoes")]
            continue
        if entry.action not in DECISIONS or (entry.second and RACE not in extra):
            continue
        before = stack[-1] if stack else None
        knows = before is None or entry.seq <= moved_in or extra.get(KNEW) == before.seq
        if before is None or knows or (before.by_machine and not entry.by_machine):
            stack.append(entry)
        else:
            lost.add(entry.seq)
    return lost, stack[-1] if stack else None


class ReplicaTables:
    """The tables of one replica, through one connection."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def rows_of(self, refs: Collection[str]) -> dict[str, list[Entry]]:
        """Return all rows on `refs`, each with its rows in order."""
        found: dict[str, list[Entry]] = {ref: [] for ref in refs}
        for chunk in _chunks(refs):
            query = f"{_ROW} WHERE ref IN ({_places(chunk)}) ORDER BY seq"
            for row in self._connection.execute(query, chunk):
                found[row[4]].append(row_to_entry(row))
        return found

    # --- what was written here

    def own_rows(self, first: int, last: int) -> None:
        """Give an id to each of the pending rows from `first` to `last`, just written here."""
        rows = ((seq, new_row_id()) for seq in range(first, last + 1))
        self._connection.executemany("INSERT INTO own (pending, id) VALUES (?, ?)", rows)
        self._connection.executemany(
            "INSERT INTO arrivals (seq) VALUES (?)", ((seq,) for seq in range(first, last + 1))
        )

    def complete(self, entry: Entry) -> Entry:
        """Return a row as it is to be written: it names other rows by their numbers of now.

        A decision names the row that counts until now, if one does.
        """
        extra = dict(entry.extra or {})
        query = "SELECT seq FROM own WHERE pending = ? AND seq IS NOT NULL"
        for key in _REFERENCES:
            if (extra.get(key) or 0) >= PENDING:  # a screen may still know the number from before
                found = self._connection.execute(query, (extra[key],)).fetchone()
                extra[key] = found[0] if found else extra[key]
        entry = replace(entry, extra=extra or None)
        if entry.action not in DECISIONS or entry.second:
            return entry
        rows = self.rows_of([entry.ref])[entry.ref]
        counting = find_lost_races(rows, self.moved_in)[1] if rows else None
        if counting is None:
            return entry
        return replace(entry, extra={**extra, KNEW: counting.seq})

    def waiting(self) -> int:
        """Return the number of rows that are still to be sent."""
        query = "SELECT count(*) FROM own WHERE seq IS NULL AND refused IS NULL"
        return int(self._connection.execute(query).fetchone()[0])

    def count_rows(self) -> int:
        """Return the number of rows that the team's log has numbered."""
        query = "SELECT count(*) FROM log WHERE seq < ?"
        return int(self._connection.execute(query, (PENDING,)).fetchone()[0])

    def rows_to_send(self, most: int) -> list[SharedRow]:
        """Return the first rows to be sent, up to one that names a row without a number."""
        query = (
            f"SELECT own.id, log.seq, {LOG_COLUMNS}, checksum FROM own "
            "JOIN log ON log.seq = own.pending WHERE own.seq IS NULL AND refused IS NULL "
            "ORDER BY own.pending LIMIT ?"
        )
        found: list[SharedRow] = []
        for row_id, *row in self._connection.execute(query, (most,)):
            entry = row_to_entry(tuple(row))
            if any(int((entry.extra or {}).get(key) or 0) >= PENDING for key in _REFERENCES):
                break
            found.append(SharedRow(row_id, replace(entry, seq=0)))
        return found

    def refuse_row(self, row_id: str, reason: str) -> None:
        """Keep a row here that the team's log does not take, and those that name it."""
        query = "SELECT pending FROM own WHERE id = ?"
        refused = {pending for (pending,) in self._connection.execute(query, (row_id,))}
        for row in self._connection.execute(f"{_ROW} WHERE seq > ?", (min(refused),)).fetchall():
            extra = row_to_entry(row).extra or {}
            if refused & {extra.get(key) for key in _REFERENCES}:
                refused.add(row[0])
        self._connection.executemany(
            "UPDATE own SET refused = ? WHERE pending = ?", ((reason, seq) for seq in refused)
        )

    def forgive_rows(self) -> None:
        """Send the rows again that the team's log has refused."""
        self._connection.execute("UPDATE own SET refused = NULL WHERE refused IS NOT NULL")

    def number_rows(self, places: Mapping[str, int]) -> None:
        """Give rows that were written here the numbers of the team's log, by their ids."""
        numbers: dict[int, int] = {}
        for chunk in _chunks(places):
            query = f"SELECT pending, id FROM own WHERE seq IS NULL AND id IN ({_places(chunk)})"
            found = self._connection.execute(query, chunk)
            numbers |= {pending: places[row_id] for pending, row_id in found}
        if numbers:
            self._name_numbers(numbers)
        for pending, seq in numbers.items():
            self._connection.execute("UPDATE own SET seq = ? WHERE pending = ?", (seq, pending))
            self._connection.execute(
                "UPDATE log SET seq = ?, checksum = checksum + ? WHERE seq = ?",
                (seq, seq - pending, pending),
            )
            self._connection.execute(
                "INSERT INTO arrivals (seq, before) VALUES (?, ?)", (seq, pending)
            )
        self._judge(self._refs_of(numbers.values()))

    @property
    def member(self) -> str | None:
        """The name that all rows have to carry; None if any may."""
        found = self._team("member")
        return None if found is None else str(found)

    def number_unsent(self) -> None:
        """Number the rows that wait, after all others, as a log of one's own does."""
        query = "SELECT coalesce(max(seq), 0) FROM log WHERE seq < ?"
        (last,) = self._connection.execute(query, (PENDING,)).fetchone()
        query = "SELECT id FROM own WHERE seq IS NULL ORDER BY pending"
        ids = [row_id for (row_id,) in self._connection.execute(query)]
        self.number_rows({row_id: last + n for n, row_id in enumerate(ids, 1)})

    def _name_numbers(self, numbers: Mapping[int, int]) -> None:
        """Let the rows that wait name others by their new numbers."""
        query = f"{_ROW} WHERE seq >= ? AND extra IS NOT NULL"
        for row in self._connection.execute(query, (PENDING,)).fetchall():
            entry = row_to_entry(row)
            extra = dict(entry.extra or {})
            named = {key: numbers[extra[key]] for key in _REFERENCES if extra.get(key) in numbers}
            if named:
                self._rewrite(replace(entry, extra=extra | named))

    # --- what comes from the team's log

    @property
    def read_to(self) -> str:
        """The cursor up to which the team's log has been read."""
        return str(self._team("read_to"))

    @property
    def moved_in(self) -> int:
        """The last row that was written before there was a team."""
        return int(self._team("moved_in"))

    @property
    def writer(self) -> str:
        """The id of this copy among all copies."""
        return str(self._team("writer"))

    @property
    def uid(self) -> str:
        """The id of the team's log."""
        return str(self._team("uid"))

    def _team(self, column: str) -> Any:
        return self._connection.execute(f"SELECT {column} FROM team").fetchone()[0]  # noqa: S608

    def merge(self, rows: Sequence[SharedRow], read_from: str, read_to: str) -> bool:
        """Add rows of the team's log; return False if another process was quicker.

        The rows lie between the cursors `read_from` and `read_to`.
        """
        if self.read_to != read_from:
            return False
        self._connection.execute("UPDATE team SET read_to = ?", (read_to,))
        places = {row.id: row.entry.seq for row in rows}
        own = self._own_ids(places)
        self.number_rows({row_id: places[row_id] for row_id in own})
        fresh = [row.entry for row in rows if row.id not in own]
        known = self._known_numbers([entry.seq for entry in fresh])
        fresh = [entry for entry in fresh if entry.seq not in known]
        self._connection.executemany(
            INSERT_ROW["log"], (add_checksum(e.seq, entry_to_row(e)) for e in fresh)
        )
        self._connection.executemany(
            "INSERT INTO arrivals (seq) VALUES (?)", ((entry.seq,) for entry in fresh)
        )
        moved_in = self.moved_in
        decided = (Action.UNDO, *DECISIONS)
        self._judge({e.ref for e in fresh if e.seq > moved_in and e.action in decided})
        return True

    def _own_ids(self, ids: Collection[str]) -> set[str]:
        """Return which of these rows were written here."""
        found: set[str] = set()
        for chunk in _chunks(ids):
            query = f"SELECT id FROM own WHERE id IN ({_places(chunk)})"
            found |= {row_id for (row_id,) in self._connection.execute(query, chunk)}
        return found

    def _known_numbers(self, numbers: Collection[int]) -> set[int]:
        found: set[int] = set()
        for chunk in _chunks(numbers):
            query = f"SELECT seq FROM log WHERE seq IN ({_places(chunk)})"
            found |= {seq for (seq,) in self._connection.execute(query, chunk)}
        return found

    def _refs_of(self, numbers: Collection[int]) -> set[str]:
        found: set[str] = set()
        for chunk in _chunks(numbers):
            query = f"SELECT ref FROM log WHERE seq IN ({_places(chunk)})"
            found |= {ref for (ref,) in self._connection.execute(query, chunk)}
        return found

    def _judge(self, refs: Collection[str]) -> None:
        """Find the races on these items, and let the decisions that lost one be opinions."""
        several: set[str] = set()
        for chunk in _chunks(refs):
            query = (
                f"SELECT ref FROM log WHERE ref IN ({_places(chunk)}) "
                "AND action IN ('label', 'skip', 'undo') GROUP BY ref HAVING count(*) > 1"
            )
            several |= {ref for (ref,) in self._connection.execute(query, chunk)}
        for rows in self.rows_of(several).values():
            lost, _ = find_lost_races(rows, self.moved_in)
            for entry in rows:
                if (entry.seq in lost) != (RACE in (entry.extra or {})):
                    self._rewrite(_turned(entry, lost=entry.seq in lost))
                    again = (entry.seq, entry.seq)
                    self._connection.execute(
                        "INSERT INTO arrivals (seq, before) VALUES (?, ?)", again
                    )

    def _rewrite(self, entry: Entry) -> None:
        values = entry_to_row(entry)
        checksum = add_checksum(entry.seq, values)[-1]
        self._connection.execute(
            "UPDATE log SET extra = ?, checksum = ? WHERE seq = ?",
            (values[-1], checksum, entry.seq),
        )

    # --- how it is going

    def set_elsewhere(self, refs: Mapping[str, str]) -> None:
        """Note the refs on the screens of others, each with the annotator's name."""
        if self.elsewhere() != refs:
            self._connection.execute("DELETE FROM elsewhere")
            self._connection.executemany("INSERT INTO elsewhere VALUES (?, ?)", refs.items())

    def elsewhere(self) -> dict[str, str]:
        """Return the refs on the screens of others, each with the annotator's name."""
        return dict(self._connection.execute("SELECT ref, annotator FROM elsewhere").fetchall())

    def note_sync(self, now: float) -> None:
        """Note that the replica and the team's log are equal."""
        query = "UPDATE team SET synced_at = ?, away_since = NULL, problem = NULL"
        self._connection.execute(query, (now,))

    def note_problem(self, problem: str, now: float, *, away: bool) -> None:
        """Note why the team's log cannot be reached, or what it refuses."""
        since = "coalesce(away_since, :now)" if away else "NULL"
        self._connection.execute(
            f"UPDATE team SET problem = :problem, away_since = {since}",  # noqa: S608
            {"problem": problem, "now": now},
        )

    def sync_state(self) -> SyncState:
        """Return how far the replica is with its team's log."""
        query = "SELECT synced_at, away_since, coalesce(problem, '') FROM team"
        found = self._connection.execute(query).fetchone()
        query = "SELECT count(*), coalesce(max(refused), '') FROM own "
        refused = self._connection.execute(
            f"{query} WHERE seq IS NULL AND refused IS NOT NULL"
        ).fetchone()
        return SyncState(self.waiting(), *found, *refused)


def _turned(entry: Entry, *, lost: bool) -> Entry:
    """Return a decision as an opinion if it lost a race, and as a decision if not."""
    extra = {k: v for k, v in (entry.extra or {}).items() if k not in (RACE, "second")}
    if lost:
        extra |= {"second": True, RACE: True}
    return replace(entry, extra=extra or None)


def _places(values: Collection[Any]) -> str:
    return ",".join("?" * len(values))


def _chunks(values: Iterable[Any]) -> Iterator[list[Any]]:
    left = iter(values)
    while chunk := list(islice(left, _CHUNK)):
        yield chunk
