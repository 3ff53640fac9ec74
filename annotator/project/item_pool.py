"""The pool: the refs of a project, streamed while they are listed, cached for the next start."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from annotator.errors import RefError, several
from annotator.items.atomic import write_atomically
from annotator.items.csv_rows import written
from annotator.items.listing import LeftOut, read_table, walk
from annotator.items.ref_table import RefTable
from annotator.items.refs import printable
from annotator.project.project import Project


def stream(project: Project, left_out: LeftOut) -> Iterator[Sequence[str]]:
    """The refs of `project` in batches, as fast as they can be had, always in the same order.

    From the cache; else from refs.csv; else from the images folder, and then refs.csv is
    written. Raises `RefError` that names every faulty row of refs.csv.
    """
    cached = _cached(project)
    if cached is not None:
        yield cached
        return
    listed = RefTable()
    is_table = project.refs_file.exists()
    stamp = _stamp(project) if is_table else ""
    for batch in _rows(project) if is_table else walk(project.images, left_out):
        listed.extend(batch)
        yield batch
    if not len(listed):
        return  # images may come yet
    if is_table:
        _refuse_repeated(project, listed)
    else:
        write_atomically(project.refs_file, written(["filename"], ([ref] for ref in listed)))
        stamp = _stamp(project)
    _cache(project, listed, stamp)


def load(project: Project, left_out: LeftOut | None = None) -> RefTable:
    """All refs of `project` at once."""
    table = RefTable()
    for batch in stream(project, left_out or LeftOut()):
        if isinstance(batch, RefTable) and not len(table):
            return batch
        table.extend(batch)
    return table


def _rows(project: Project) -> Iterator[list[str]]:
    problems: list[str] = []
    batch: list[str] = []
    for row in read_table(project.refs_file, project.settings.box_order, problems):
        batch.append(row.item.ref)
        if len(batch) >= 10_000:
            yield batch
            batch = []
    if problems:
        raise RefError(several(problems, _heading(project)))
    yield batch


def _refuse_repeated(project: Project, listed: RefTable) -> None:
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
    raise RefError(several(problems, _heading(project)))


def _heading(project: Project) -> str:
    return f"{printable(str(project.refs_file))} has faults:"


def _cache_file(project: Project) -> Path:
    return project.folder / ".cache" / "refs.txt"


def _stamp(project: Project) -> str:
    """What refs.csv looked like: another size, time or box order makes the cache stale."""
    stat = project.refs_file.stat()
    return json.dumps([stat.st_size, stat.st_mtime_ns, project.settings.box_order])


def _cached(project: Project) -> RefTable | None:
    try:
        if _cache_file(project).with_suffix(".json").read_text() == _stamp(project):
            return RefTable.load(_cache_file(project))
    except OSError:
        pass
    return None


def _cache(project: Project, refs: RefTable, stamp: str) -> None:
    file = _cache_file(project)
    try:
        file.parent.mkdir(exist_ok=True)
        file.with_suffix(".json").unlink(missing_ok=True)
        refs.save(file)
        file.with_suffix(".json").write_text(stamp)
    except OSError:
        pass  # a cache that cannot be written costs time, nothing else
