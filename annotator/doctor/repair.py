"""The repair of a project: all that can be read is kept, the rest is moved aside and counted."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from annotator.errors import AnnotatorError, StoreError
from annotator.items.atomic import read_file, write_atomically
from annotator.items.json_text import to_json_text
from annotator.items.refs import make_printable, plural, shell_quoted
from annotator.log.entries import replay
from annotator.log.store.open import open_replica
from annotator.log.store.recovery import (
    Recovered,
    find_damage,
    is_replica,
    recover_rows,
    write_recovered,
)
from annotator.log.store.schema import WAL_ASIDE
from annotator.log.store.sqlite import SqliteStore
from annotator.project.item_pool import load_refs
from annotator.project.project import ProjectFolder
from annotator.project.refs_sum import accept_refs, describe_change

LABELS_FILE, REFS_FILE = "labels.db", "refs.csv"
_MOST_LINES = 10_000


def repair_project(folder: Path) -> Iterator[str]:
    """Repair a project's files; yield a line for each file that was repaired.

    Raises `AnnotatorError` if that is not possible; then nothing has changed.
    """
    for file in (folder / LABELS_FILE, folder / REFS_FILE):
        if os.path.lexists(file) and not file.is_file():
            raise StoreError(
                f"{make_printable(str(file))} is not a file. Move it away, and put a copy of the "
                f"file back: mv {shell_quoted(file)} {shell_quoted(file)}.moved"
            )
    if line := _repair_labels(folder / LABELS_FILE):
        yield line
    if line := _repair_refs(folder):
        yield line
    elif describe_change(folder / REFS_FILE):
        yield f"{REFS_FILE}: it has changed since annotator wrote it, and is taken as it is"
    accept_refs(folder / REFS_FILE)


def _repair_labels(file: Path) -> str:
    if not file.exists() or _is_whole(file):
        return ""
    if is_replica(file):
        raise StoreError(
            f"{make_printable(str(file))} is a copy of a team's log, and it is damaged. Keep it: "
            "rows that were not sent are in it alone. All others are in the team's log: annotator "
            "join STORE NEW_FOLDER"
        )
    _refuse_while_open(file)
    found = recover_rows(file)
    aside = _new_folder(file.parent)
    odd = aside / "odd-rows.jsonl"
    if found.odd:
        odd.write_text("".join(_odd_line(*row) for row in found.odd), encoding="utf-8")
    new = aside / "new.db"
    write_recovered(found, new)
    for part in (file.with_name(file.name + suffix) for suffix in ("-wal", "-shm", "")):
        if part.is_file():
            shutil.copyfile(part, aside / part.name)
    # SQLite would add an old write-ahead log to the new file. After a kill here, the next repair
    # finds it under its other name.
    log = file.with_name(file.name + WAL_ASIDE)
    with contextlib.suppress(FileNotFoundError):
        file.with_name(f"{file.name}-wal").replace(log)
    with contextlib.suppress(FileNotFoundError):
        file.with_name(f"{file.name}-shm").replace(aside / f"{file.name}-shm")
    new.replace(file)
    with contextlib.suppress(FileNotFoundError):
        log.replace(aside / f"{file.name}-wal")
    return _describe(found, file, aside)


def _is_whole(file: Path) -> bool:
    try:
        if is_replica(file):
            store: SqliteStore = open_replica(ProjectFolder.open(file.parent))
        else:
            store = SqliteStore(file)
        try:
            replay(store.entries())
            for _ in store.read_byproducts():
                pass
            return not find_damage(file)
        finally:
            store.close()
    except StoreError:
        return False


def _describe(found: Recovered, file: Path, aside: Path) -> str:
    words = [f"{plural(len(found.rows['log']), 'row')} kept"]
    if found.odd:
        words.append(f"{plural(len(found.odd), 'row')} moved to {aside.name}/odd-rows.jsonl")
    words.append(f"{plural(found.lost, 'row')} could not be read")
    return f"{make_printable(file.name)}: {', '.join(words)}. The damaged file is in {aside.name}"


def _odd_line(table: str, row: tuple[object, ...], reason: str) -> str:
    values = [value.hex() if isinstance(value, bytes) else value for value in row]
    return to_json_text({"table": table, "problem": reason, "row": values}) + "\n"


def _repair_refs(folder: Path) -> str:
    """Move the lines of refs.csv aside that cannot be read."""
    file, moved, aside = folder / REFS_FILE, list[bytes](), None
    if not file.exists():
        return ""
    project = ProjectFolder.open(folder)
    whole = read_file(file)
    lines = whole.splitlines(keepends=True)
    try:
        while (bad := _bad_line(project)) is not None:
            if not 1 < bad <= len(lines) or len(moved) >= _MOST_LINES:
                raise StoreError(
                    f"{make_printable(str(file))} cannot be repaired: its header is damaged. "
                    f"List the images again: annotator init NEW --images "
                    f"{shell_quoted(project.images)}"
                )
            if aside is None:  # the whole file is kept before anything changes
                aside = _new_folder(folder)
                (aside / file.name).write_bytes(whole)
            moved.append(lines.pop(bad - 1))
            write_atomically(file, b"".join(lines))
    except BaseException:
        write_atomically(file, whole)
        raise
    if aside is None:
        return ""
    (aside / "odd-lines.csv").write_bytes(b"".join(moved))
    kept = plural(len(lines) - 1, "line")
    return f"{file.name}: {kept} kept, {plural(len(moved), 'line')} moved to {aside.name}"


def _bad_line(project: ProjectFolder) -> int | None:
    try:
        load_refs(project)
    except AnnotatorError as error:
        found = re.search(r"line (\d+)", str(error))
        return int(found[1]) if found else 0
    return None


def _new_folder(folder: Path) -> Path:
    for number in range(1, 10_000):
        aside = folder / f"damaged-{number}"
        with contextlib.suppress(FileExistsError):
            aside.mkdir()
            return aside
    raise StoreError(f"{make_printable(str(folder))} has too many damaged-N folders. Delete some.")


def _refuse_while_open(file: Path) -> None:
    """Raise `StoreError` if another process has the file open: its labels would be lost."""
    own, target = str(os.getpid()), file.stat()
    for process in Path("/proc").glob("[0-9]*"):
        if process.name == own:
            continue
        with contextlib.suppress(OSError):
            for number in (process / "fd").iterdir():
                with contextlib.suppress(OSError):
                    if os.path.samestat(number.stat(), target):
                        raise StoreError(
                            f"{make_printable(str(file))} is in use by process {process.name}. "
                            f"End it first: kill {process.name}"
                        )
