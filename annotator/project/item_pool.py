"""The items of a project, streamed while they are listed and cached, and those to ask first."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from annotator.errors import RefError, bullet_list
from annotator.items.atomic import (
    describe_dead_link,
    read_file,
    refuse_huge,
    write_atomically,
)
from annotator.items.listing import SkippedFiles, read_table, walk_images
from annotator.items.ref_table import RefTable
from annotator.items.refs import make_printable
from annotator.items.text_files import csv_bytes, read_rows
from annotator.project.lock import lock_project
from annotator.project.project import ProjectFolder
from annotator.project.refs_sum import accept_refs

PRIORITIES_FILE = "first.csv"
"""`ref,why` in the order in which to ask; plain text, safe to edit and to delete.

`why` goes into the log as what picked the item. Such labels teach the model and stay out of the
error estimate, because nothing was drawn at random.
"""


def stream_refs(project: ProjectFolder, skipped: SkippedFiles) -> Iterator[Sequence[str]]:
    """Yield the refs of `project` in batches as they are read, always in the same order.

    They come from the cache, else from refs.csv, else from the images folder; in the last case
    refs.csv is written. Raises `RefError` with every faulty row of refs.csv.
    """
    cached = _read_cache(project)
    if cached is not None:
        yield cached
        return
    listed = RefTable()
    is_table = _is_table(project)
    stamp = _refs_stamp(project) if is_table else ""
    for batch in _read_ref_rows(project) if is_table else walk_images(project.images, skipped):
        listed.extend(batch)
        yield batch
    if not len(listed):
        return  # do not cache an empty list: images may be added later
    if is_table:
        _refuse_repeated(project, listed)
    else:
        with lock_project(project.folder):
            if _is_table(project):
                return  # another process has listed the folder, and may have added items
            write_atomically(project.refs_file, csv_bytes(["filename"], ([ref] for ref in listed)))
            accept_refs(project.refs_file, if_new=True)  # else the doctor says it has changed
            stamp = _refs_stamp(project)
    _write_cache(project, listed, stamp)


def _is_table(project: ProjectFolder) -> bool:
    """Return whether there is a refs.csv. Raises `RefError` for one that cannot be read."""
    file = project.refs_file
    try:
        refuse_huge(file, file.stat())
    except FileNotFoundError:
        if file.is_symlink():
            raise RefError(describe_dead_link(file)) from None
        return False
    except OSError as error:
        raise RefError(f"{make_printable(str(file))} cannot be read: {error.strerror}") from error
    return True


def load_refs(project: ProjectFolder, skipped: SkippedFiles | None = None) -> RefTable:
    """Return all refs of `project`."""
    table = RefTable()
    for batch in stream_refs(project, SkippedFiles() if skipped is None else skipped):
        if isinstance(batch, RefTable) and not len(table):
            return batch
        table.extend(batch)
    return table


def _read_ref_rows(project: ProjectFolder) -> Iterator[list[str]]:
    problems: list[str] = []
    batch: list[str] = []
    for row in read_table(project.refs_file, project.settings.box_order, problems):
        batch.append(row.item.ref)
        if len(batch) >= 10_000:
            yield batch
            batch = []
    if problems:
        raise RefError(bullet_list(problems, _read_heading(project)))
    yield batch


def _refuse_repeated(project: ProjectFolder, listed: RefTable) -> None:
    """Raise `RefError` for items listed twice: they would be asked twice."""
    first = {int(row): listed.find(listed[int(row)]) for row in listed.repeated()}
    if not first:
        return
    wanted = {*first, *first.values()}
    rows = enumerate(read_table(project.refs_file, project.settings.box_order, []))
    lines = {place: row.line for place, row in rows if place in wanted}
    name = project.refs_file.name
    problems = [
        f"{name}, line {lines[row]}: the same item as line {lines[before]}; delete one of them"
        for row, before in first.items()
    ]
    raise RefError(bullet_list(problems, _read_heading(project)))


def _read_heading(project: ProjectFolder) -> str:
    return f"{make_printable(str(project.refs_file))} has faults:"


def _cache_file(project: ProjectFolder) -> Path:
    return project.folder / ".cache" / "refs.txt"


def _refs_stamp(project: ProjectFolder) -> str:
    """Return the state of refs.csv: a change of size, time or box order makes the cache stale."""
    stat = project.refs_file.stat()
    return json.dumps([stat.st_size, stat.st_mtime_ns, project.settings.box_order])


def _read_cache(project: ProjectFolder) -> RefTable | None:
    file = _cache_file(project)
    try:
        stamp = read_file(file.with_suffix(".json"))
        if not stamp.startswith(_refs_stamp(project).encode()):
            return None
        data = read_file(file)
    except OSError:
        return None
    fits = stamp == _cache_stamp(_refs_stamp(project), data)
    return RefTable.from_bytes(data) if fits else None


def _cache_stamp(stamp: str, data: bytes) -> bytes:
    """Return the stamp of refs.csv with the length and the checksum of the cache."""
    return f"{stamp} {len(data)} {zlib.crc32(data):08x}".encode()


def cache_refs(project: ProjectFolder, refs: RefTable) -> None:
    """Keep `refs`, which are those of refs.csv, so that no process has to parse the file again.

    Call it under the lock under which they were written.
    """
    _write_cache(project, refs, _refs_stamp(project))


def _write_cache(project: ProjectFolder, refs: RefTable, stamp: str) -> None:
    file = _cache_file(project)
    try:
        file.parent.mkdir(exist_ok=True)
        data = refs.to_bytes()
        # Whatever comes between the two, the checksum tells if they belong together.
        write_atomically(file, data)
        write_atomically(file.with_suffix(".json"), _cache_stamp(stamp, data))
        accept_refs(project.refs_file, if_new=True)
    except OSError:
        pass  # without the cache the next start is slower


class Priority(NamedTuple):
    """An item to ask before those that the query strategy picks."""

    ref: str
    why: str
    """The reason in one word: "disagreement", "cluster" …"""


def read_priorities(project: ProjectFolder) -> list[Priority]:
    """Read first.csv: the items to ask first, in order. Lines without a ref are skipped.

    Raises `RefError` if the file is not a CSV file in UTF-8.
    """
    file = project.folder / PRIORITIES_FILE
    if not os.path.lexists(file):
        return []
    rows = [cells for _, cells in read_rows(file)]
    return [Priority(*(*cells, "first")[:2]) for cells in rows[1:] if cells[0]]


def write_priorities(project: ProjectFolder, items: Iterable[Priority], *, replace: str) -> None:
    """Put `items` at the top of first.csv; lines with the reason `replace` are removed."""
    new = list(items)
    refs = {item.ref for item in new}
    file = project.folder / PRIORITIES_FILE
    with lock_project(project.folder):
        before = read_priorities(project)
        kept = [old for old in before if old.why != replace and old.ref not in refs]
        write_atomically(file, csv_bytes(Priority._fields, [*new, *kept]))
