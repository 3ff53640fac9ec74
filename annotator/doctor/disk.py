"""The checks of a project's disk: the file system, its space and rights, and the log's lock."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress

from annotator.doctor.finding import Finding
from annotator.errors import StoreError
from annotator.items.file_system import (
    OBJECT_STORES,
    describe_store_fit,
    file_system_type,
    find_lock_fault,
)
from annotator.items.refs import shell_quoted
from annotator.log.store.journal import FolderTeam
from annotator.log.store.protocol import LostRowsError
from annotator.log.store.schema import OddFileError
from annotator.log.store.sqlite import SqliteStore
from annotator.project.project import ProjectFolder

FOLDER_STORE = "folder:"
_LOW_SPACE = 200_000_000


def _quoted(project: ProjectFolder) -> str:
    return shell_quoted(project.folder)


def check_disk(project: ProjectFolder) -> Iterator[Finding]:
    """Check the file system of the project and of its team's folder, the space and the rights."""
    detail, fix = describe_store_fit(file_system_type(project.folder), project.folder)
    if fix and project.settings.store is not None:
        fix = f"this is one member's copy: mv {_quoted(project)} to a local disk"
    yield Finding("file system", not fix, detail, fix)
    yield from _team_folder(project)
    free = shutil.disk_usage(project.folder).free
    fix = "" if free > _LOW_SPACE else f"free some space: df -h {_quoted(project)}"
    yield Finding("free space", not fix, f"{free / 1e9:.1f} GB", fix, blocks=free < 1_000_000)
    if os.statvfs(project.folder).f_flag & os.ST_RDONLY:
        detail, fix = "its disk is read-only", f"cp -r {_quoted(project)} ELSEWHERE"
        yield Finding("permissions", False, detail, fix, blocks=True)
    elif not os.access(project.folder, os.W_OK):
        fix = f"chmod u+w {_quoted(project)}"
        yield Finding("permissions", False, "the project folder is not writable", fix, blocks=True)


def _team_folder(project: ProjectFolder) -> Iterator[Finding]:
    """Check the file system of a team's folder, which needs no locks."""
    place = project.settings.store or ""
    if not place.startswith(FOLDER_STORE):
        return
    folder = project.folder / place.removeprefix(FOLDER_STORE)
    kind = file_system_type(folder)
    try:
        FolderTeam(folder).uid()
    except StoreError as error:
        yield Finding("team folder", False, str(error), f"ls -ld {shell_quoted(folder)}")
        return
    if kind in OBJECT_STORES:
        detail = f"{kind}, an object store: it cannot append to a file, so rows may be lost"
        yield Finding("team folder", False, detail, "use PostgreSQL, or a folder on NFS or Lustre")
    else:
        yield Finding("team folder", True, f"{kind or 'unknown'}; one journal for each writer")


def check_lock(project: ProjectFolder) -> Iterator[Finding]:
    """Check that the log can be written; a session locks it for milliseconds only."""
    file = project.labels_file
    if fault := find_lock_fault(project.folder):
        detail = f"file locks do not work on this file system: {fault.strerror}"
        fix = f"mv {_quoted(project)} to a local disk, or on Lustre mount it with -o flock"
        yield Finding("lock", False, detail, fix, blocks=True)
        return
    if not file.exists():
        return
    with suppress(StoreError):
        try:
            SqliteStore(file).close()
        except (LostRowsError, OddFileError):
            return  # `_labels` reports it; SQLite would remove what is left of the rows
    try:
        with closing(sqlite3.connect(file, timeout=2.0, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
        yield Finding("lock", True, "the log can be written")
    except sqlite3.Error as error:
        name = str(getattr(error, "sqlite_errorname", ""))
        if name in ("SQLITE_NOTADB", "SQLITE_CORRUPT"):
            return  # a damaged log cannot be read either: `_labels` reports it
        detail = f"the log cannot be written: {error}"
        yield Finding("lock", False, detail, _unlocking(project, name), blocks=True)


def _unlocking(project: ProjectFolder, name: str) -> str:
    """Return the command that fixes, or shows, why SQLite cannot write; `name` is its error."""
    file = f"{_quoted(project)}/{project.labels_file.name}"
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return f"fuser -v {file}"
    if name.startswith(("SQLITE_FULL", "SQLITE_IOERR")):
        return f"free some space: df -h {_quoted(project)}"
    return f"ls -ld {_quoted(project)} {file}*"
