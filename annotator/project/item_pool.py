"""The pool: the refs of a project, streamed while they are listed, cached for the next start."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from annotator.errors import RefError, bullet_list
from annotator.items.atomic import write_atomically
from annotator.items.csv_rows import csv_bytes
from annotator.items.listing import SkippedFiles, read_table, walk_images
from annotator.items.ref_table import RefTable
from annotator.items.refs import make_printable
from annotator.project.project import ProjectFolder


def stream_refs(project: ProjectFolder, skipped: SkippedFiles) -> Iterator[Sequence[str]]:
    """The refs of `project` in batches, as fast as they can be had, always in the same order.

    From the cache; else from refs.csv; else from the images folder, and then refs.csv is
    written. Raises `RefError` that names every faulty row of refs.csv.
    """
    cached = _read_cache(project)
    if cached is not None:
        yield cached
        return
    listed = RefTable()
    is_table = project.refs_file.exists()
    stamp = _refs_stamp(project) if is_table else ""
    for batch in _read_ref_rows(project) if is_table else walk_images(project.images, skipped):
        listed.extend(batch)
        yield batch
    if not len(listed):
        return  # images may come yet
    if is_table:
        _refuse_repeated(project, listed)
    else:
        write_atomically(project.refs_file, csv_bytes(["filename"], ([ref] for ref in listed)))
        stamp = _refs_stamp(project)
    _write_cache(project, listed, stamp)


def load_refs(project: ProjectFolder, skipped: SkippedFiles | None = None) -> RefTable:
    """All refs of `project` at once."""
    table = RefTable()
    for batch in stream_refs(project, skipped or SkippedFiles()):
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
    """An item that is there twice would be asked twice, and never all be done."""
    first = {int(row): listed.find(listed[int(row)]) for row in listed.repeated()}
    if not first:
        return
    wanted = {*first, *first.values()}
    rows = enumerate(read_table(project.refs_file, project.settings.box_order, []))
    lines = {place: row.line for place, row in rows if place in wanted}
    name = project.refs_file.name
    problems = [
        f"{name}, line {lines[row]}: the same item as line {lines[before]}; drop one"
        for row, before in first.items()
    ]
    raise RefError(bullet_list(problems, _read_heading(project)))


def _read_heading(project: ProjectFolder) -> str:
    return f"{make_printable(str(project.refs_file))} has faults:"


def _cache_file(project: ProjectFolder) -> Path:
    return project.folder / ".cache" / "refs.txt"


def _refs_stamp(project: ProjectFolder) -> str:
    """What refs.csv looked like: another size, time or box order makes the cache stale."""
    stat = project.refs_file.stat()
    return json.dumps([stat.st_size, stat.st_mtime_ns, project.settings.box_order])


def _read_cache(project: ProjectFolder) -> RefTable | None:
    try:
        if _cache_file(project).with_suffix(".json").read_text() == _refs_stamp(project):
            return RefTable.load(_cache_file(project))
    except OSError:
        pass
    return None


def _write_cache(project: ProjectFolder, refs: RefTable, stamp: str) -> None:
    file = _cache_file(project)
    try:
        file.parent.mkdir(exist_ok=True)
        file.with_suffix(".json").unlink(missing_ok=True)
        refs.save(file)
        file.with_suffix(".json").write_text(stamp)
    except OSError:
        pass  # a cache that cannot be written costs time, nothing else
