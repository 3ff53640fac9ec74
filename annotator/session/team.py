"""A project moves into a team's log, others join it, and it moves out again.

Each step can be interrupted and done again. The rows of the project move in with ids that are made
of their numbers, so that a second attempt writes none of them twice. The new copy is made beside
labels.db, and takes its place in one step once it holds every row.
"""

from __future__ import annotations

import os
import sqlite3
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from annotator.errors import ProjectError, StoreError
from annotator.items.atomic import read_file, write_atomically
from annotator.items.refs import make_printable, plural, shell_quoted
from annotator.log.entries import Entry
from annotator.log.store.open import (
    REFS_SUM,
    Team,
    find_team,
    open_store,
    reach_checked,
    sum_refs,
)
from annotator.log.store.remote import SharedLog, SharedRow, TeamFiles
from annotator.log.store.replica import leave_team, make_replica, open_alone
from annotator.log.store.replica_tables import KNEW
from annotator.log.store.schema import row_to_entry, select_rows
from annotator.log.store.sqlite import SqliteStore
from annotator.log.store.sync import Syncer
from annotator.project.item_pool import load_refs
from annotator.project.lock import lock_project
from annotator.project.project import (
    SETTINGS_FILE,
    ProjectFolder,
    change_settings,
    change_settings_text,
    require_no_project,
)
from annotator.project.refs_sum import accept_refs
from annotator.project.staging import stage_project

BEFORE_TEAM = "labels-before-team.db"
"""The log as it was before it moved into a team's."""
_REFS_FILE = "refs.csv"
_MOVED_IN = "moved-in"
"""The team's file with the last row that was written before there was a team."""
_OWN_SETTINGS = ("store", "schema", "annotator", "on_label", "on_finish", "estimator")
"""Settings that do not go to others: they name people, or run code."""
_BATCH = 2000
_MOVING_WRITER = "moved-in"
_REFERENCES = ("undoes", "corrects", KNEW)

Tell = Callable[[str, int, int], object]
"""A callback with what is done, how far it is, and how far it has to go."""


@dataclass(frozen=True, slots=True)
class SyncReport:
    """The rows that a sync has moved."""

    sent: int
    received: int
    refused: int
    """Rows that the team's log does not take from this member; they stay here."""
    reason: str
    """The reason for the first of them."""


def init_team(project: ProjectFolder, store: str, schema: str, tell: Tell) -> int:
    """Move a project into the empty team's log at `store`; return the number of its rows.

    Raises `StoreError` and `ProjectError`; after any failure the same call continues.
    """
    store = _absolute(store, Path.cwd())
    team = find_team(store, schema, project.folder)
    load_refs(project)  # from now on the items are those of refs.csv
    with lock_project(project.folder):
        if not project.labels_file.exists():
            SqliteStore(project.labels_file).close()
        with closing(open_alone(project.labels_file)) as own:
            _refuse_replica(own, project)
            give_files(project, team.files)
            count = _move_in(own, team, tell)
            copy = _make_copy(project, own, team)
            received = _read_all(copy, team.open_log, partial(tell, "read"))
            if received < count:
                raise StoreError(
                    f"The team's log has {plural(received, 'row')}, and {plural(count, 'row')} "
                    "were to move in. Nothing has changed here. Run the command again."
                )
            change_settings(project.folder, {"store": store, "schema": schema})
            _swap(copy, project.labels_file)
    return count


def _absolute(store: str, folder: Path) -> str:
    if not store.startswith("folder:"):
        return store
    return f"folder:{(folder / store.removeprefix('folder:')).resolve()}"


def _refuse_replica(own: sqlite3.Connection, project: ProjectFolder) -> None:
    if own.execute("SELECT 1 FROM sqlite_master WHERE name = 'team'").fetchone():
        raise StoreError(
            f"{make_printable(str(project.folder))} belongs to a team already. To leave it: "
            f"annotator team leave {shell_quoted(project.folder)}"
        )


def give_files(project: ProjectFolder, files: TeamFiles) -> None:
    """Give the settings and refs.csv to those who join. Raises `RemoteRefusedError`.

    Settings that run code, and names of people, do not go to others.
    """
    text = read_file(project.folder / SETTINGS_FILE).decode()
    changes: dict[str, str | None] = dict.fromkeys(_OWN_SETTINGS)
    changes["images"] = str(project.images.resolve())
    files.write_file(SETTINGS_FILE, change_settings_text(text, changes).encode())
    refs = read_file(project.refs_file)
    files.write_file(_REFS_FILE, refs)
    files.write_file(REFS_SUM, sum_refs(refs))


def _move_in(own: sqlite3.Connection, team: Team, tell: Tell) -> int:
    """Send all rows of a log to a team's; return their number."""
    (total,) = own.execute("SELECT count(*) FROM log").fetchone()
    uid, numbers = uuid.UUID(team.files.uid()), dict[int, int]()
    with closing(team.open_log(_MOVING_WRITER)) as log:
        for batch in _batches(own):
            rows = [SharedRow(_id_of(uid, e.seq), _renumbered(e, numbers)) for e in batch]
            places = log.append(rows)
            numbers |= {e.seq: places[row.id] for e, row in zip(batch, rows, strict=True)}
            tell("sent", len(numbers), total)
    team.files.write_file(_MOVED_IN, str(max(numbers.values(), default=0)).encode())
    return len(numbers)


def _id_of(team: uuid.UUID, seq: int) -> str:
    return str(uuid.uuid5(team, str(seq)))


def _renumbered(entry: Entry, numbers: Mapping[int, int]) -> Entry:
    """Return a row without its number, which names others by their places in the team's log."""
    extra = dict(entry.extra or {})
    extra |= {key: numbers.get(extra[key], 0) for key in _REFERENCES if extra.get(key)}
    return replace(entry, seq=0, extra=extra or None)


def _batches(own: sqlite3.Connection) -> Iterator[list[Entry]]:
    """Yield the rows of a log in batches; a row that names another one is in a later one."""
    batch: list[Entry] = []
    numbers: set[int] = set()
    for row in own.execute(f"{select_rows(own, 'log')} ORDER BY seq"):
        entry = row_to_entry(row)
        named = {(entry.extra or {}).get(key) for key in _REFERENCES}
        if len(batch) == _BATCH or named & numbers:
            yield batch
            batch, numbers = [], set()
        batch.append(entry)
        numbers.add(entry.seq)
    if batch:
        yield batch


def _make_copy(project: ProjectFolder, own: sqlite3.Connection, team: Team) -> Path:
    """Make an empty copy of the team's log beside labels.db, with the by-products of labels.db."""
    copy = project.folder / ".cache" / "labels-team.db"
    copy.parent.mkdir(exist_ok=True)
    for ending in ("", "-wal", "-shm"):
        copy.with_name(copy.name + ending).unlink(missing_ok=True)
    make_replica(copy, team.files.uid(), int(team.files.read_file(_MOVED_IN)))
    own.execute("ATTACH ? AS copy", (str(copy),))
    own.execute("INSERT INTO copy.byproducts SELECT * FROM main.byproducts")
    own.execute("DETACH copy")
    return copy


def _read_all(
    copy: Path, reach: Callable[[str], SharedLog], tell: Callable[[int, int], object]
) -> int:
    """Read the whole team's log into a copy; return the number of rows."""
    with closing(Syncer(copy, reach, most_rows=_BATCH)) as syncer:
        syncer.step(on_read=lambda rows: tell(rows, 0))
        return syncer.tables.count_rows()


def _swap(copy: Path, labels_file: Path) -> None:
    """Put a copy in the place of labels.db, which stays beside it under another name."""
    open_alone(copy).close()  # its write-ahead log is merged
    before = labels_file.with_name(BEFORE_TEAM)
    before.unlink(missing_ok=True)
    os.link(labels_file, before)
    copy.replace(labels_file)


def join_team(
    store: str, schema: str, folder: Path, changes: Mapping[str, str | None], tell: Tell
) -> ProjectFolder:
    """Make a project in `folder` that works on the team's log; `changes` are settings of its own.

    Raises `ProjectError` for a folder that cannot be one, `StoreError` for a team that cannot be
    joined.
    """
    require_no_project(folder)
    store = _absolute(store, Path.cwd())
    team = find_team(store, schema, Path.cwd())
    text, moved_in = team.files.read_file(SETTINGS_FILE), team.files.read_file(_MOVED_IN)
    if not text or not moved_in:
        name = make_printable(store)
        raise StoreError(
            f"{name} has no project that can be joined yet. Its admin moves one in: annotator "
            f"team init PROJECT --store {name}"
        )
    member = team.files.member_name()
    own = {"store": store, "schema": schema, "annotator": member, **changes}
    with stage_project(folder) as made:
        write_atomically(made / SETTINGS_FILE, change_settings_text(text.decode(), own).encode())
        write_atomically(made / _REFS_FILE, team.files.read_file(_REFS_FILE))
        accept_refs(made / _REFS_FILE)
        images = ProjectFolder.open(made).images
        if not images.is_dir():
            raise ProjectError(
                f"The images are not at {make_printable(str(images))} on this machine. Name their "
                "folder: --images DIR"
            )
        make_replica(made / "labels.db", team.files.uid(), int(moved_in), member)
        _read_all(made / "labels.db", team.open_log, partial(tell, "read"))
    return ProjectFolder.open(folder)


def sync_project(project: ProjectFolder) -> SyncReport:
    """Send and read until both are equal. Raises `StoreError` if the team's log is away."""
    require_team(project)
    with closing(Syncer(project.labels_file, partial(reach_checked, project))) as syncer:
        syncer.tables.forgive_rows()
        waiting, rows = syncer.tables.waiting(), syncer.tables.count_rows()
        syncer.step()
        state = syncer.tables.sync_state()
        sent = waiting - state.waiting - state.refused
        received = syncer.tables.count_rows() - rows - sent
        return SyncReport(sent, received, state.refused, state.reason)


def require_team(project: ProjectFolder) -> None:
    """Raise `StoreError` unless the project has a copy of a team's log."""
    if project.settings.store is None:
        raise StoreError(
            f"{make_printable(str(project.folder))} has a log of its own. To make a team of it: "
            f"annotator team init {shell_quoted(project.folder)} --store STORE"
        )
    open_store(project).close()  # it is a copy of a team's log, or says why not


def take_refs(project: ProjectFolder) -> None:
    """Take the team's refs.csv in place of this one, which stays beside it as refs-before.csv."""
    require_team(project)
    data = _team_of(project).files.read_file(_REFS_FILE)
    with lock_project(project.folder):
        if project.refs_file.exists():
            write_atomically(project.folder / "refs-before.csv", read_file(project.refs_file))
        write_atomically(project.refs_file, data)
        accept_refs(project.refs_file)


def give_refs(project: ProjectFolder) -> None:
    """Give this project's settings and refs.csv to the team; only an admin may."""
    require_team(project)
    give_files(project, _team_of(project).files)


def _team_of(project: ProjectFolder) -> Team:
    return find_team(project.settings.store or "", project.settings.schema, project.folder)


def leave_project(project: ProjectFolder, *, unsent: bool) -> int:
    """Make a project of one's own of a member's; return the number of its rows.

    With `unsent`, rows that cannot be sent stay here. Raises `StoreError`.
    """
    require_team(project)
    try:
        sync_project(project)
    except StoreError as error:
        if not unsent:
            raise StoreError(f"{error} To leave with what has not been sent: --unsent") from error
    leave_team(project.labels_file)
    change_settings(project.folder, dict.fromkeys(("store", "schema", "durable")))
    with closing(open_store(ProjectFolder.open(project.folder))) as store:
        return sum(1 for _ in store.entries())
