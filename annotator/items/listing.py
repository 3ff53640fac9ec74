"""The listing of items: the refs of a folder, a glob, a list or a table of images.

Everything streams in batches, so that the first picture is on screen before the last is listed.
"""

from __future__ import annotations

import glob
import os
import re
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from annotator.errors import RefError, bullet_list
from annotator.items.image_kinds import IMAGE_SUFFIXES as IMAGE_SUFFIXES
from annotator.items.image_kinds import suggest_remedies
from annotator.items.refs import Item, make_printable, parse_box, plural
from annotator.items.table_columns import (
    LABEL_COLUMNS,
    PATH_COLUMNS,
    UTF8,
    RefColumns,
    TableShape,
    join_sides,
    parse_size,
)
from annotator.items.text_files import (
    FinalFault,
    describe_bad_utf8,
    find_encoding,
    iter_records,
    open_text,
)
from annotator.items.tiff_pages import (
    MOST_PAGES,
    TIFF_SUFFIXES,
    later_pages,
    page_path,
    split_page,
)

BATCH = 10_000
BATCH_SECONDS = 0.5
"""Seconds after which a batch is not filled up: the first picture waits for the first batch."""
EXPORT_MARKER = ".annotator-export"
"""The file that marks a folder as one that an export made."""
_FOREIGN = {"annotator.toml": "a project", EXPORT_MARKER: "an export of annotator"}
"""The files that mark a folder whose images are not items of a folder above it."""
_OWN_FILES = frozenset({
    "annotator.toml", "refs.csv", "labels.db", "labels.db-wal", "labels.db-shm", "first.csv",
    "clusters.csv", "searches.csv", "class-ids.json", "faces.json",
})  # fmt: skip
_NUMBER = re.compile(r"-?\d{1,9}(\.\d{1,9})?")


@dataclass(slots=True)
class SkippedFiles:
    """Files and folders that cannot become refs; for the report at the end."""

    names: list[str] = field(default_factory=list)
    """Each name with the reason."""
    endings: Counter[str] = field(default_factory=Counter)
    """The endings of files that are not known as images, and their numbers."""
    folders: list[str] = field(default_factory=list)
    """Folders that were not searched, each with the reason."""

    def __bool__(self) -> bool:
        return bool(self.names or self.endings or self.folders)

    def __str__(self) -> str:
        heading = f"{len(self.names):,} left out:"
        names = [bullet_list(self.names, heading)] if self.names else []
        return "\n".join([*names, *self.describe_others()])

    def summary(self) -> str:
        """Return the first of the names, the endings of other files, and what would read them."""
        named = [f"{len(self.names):,} left out: {self.names[0]}"] if self.names else []
        counted = self.describe_others() if self.endings or not named else []
        return "\n".join([*named, *counted])

    def describe_others(self) -> list[str]:
        """Return lines on the files whose ending is not one of an image, and on folders."""
        lines = []
        if self.endings:
            lines.append(f"left out: {list_endings(self.endings)}")
            lines += suggest_remedies(self.endings)
        if self.folders:
            lines.append(bullet_list(self.folders, "folders that were not searched:", limit=5))
        return lines


def count_endings(refs: Iterable[str]) -> Counter[str]:
    """Return the endings of the files of `refs`, in small letters, with their numbers."""
    counted = Counter(
        os.path.splitext(split_page(Item.parse(ref).path)[0])[1].lower()  # noqa: PTH122
        for ref in refs
    )
    named: Counter[str] = Counter()
    for ending, count in counted.items():
        named[make_printable(ending) or "without an ending"] += count
    return named


def list_endings(endings: Mapping[str, int], most: int = 8) -> str:
    """Return the number of files of each ending, the most frequent first."""
    counted = sorted(endings.items(), key=lambda pair: (-pair[1], pair[0]))
    shown = ", ".join(f"{count:,} {ending}" for ending, count in counted[:most])
    others = sum(count for _, count in counted[most:])
    return f"{shown} and {plural(others, 'other file')}" if others else shown


class ListedFolder(NamedTuple):
    """One folder of images."""

    refs: Iterator[str]
    """The images in it, sorted, as paths relative to the folder at the top."""
    folders: list[str]
    """The folders in it, sorted, each with a slash at the end."""
    place: tuple[int, int]
    """The same for two paths that lead to one folder."""


def list_folder(
    folder: Path, relative: str, skipped: SkippedFiles, *, pages: bool = True
) -> ListedFolder | None:
    """List the folder `relative` below `folder`; None if it cannot be read or is not searched.

    Hidden files, and a project or an export, are skipped and reported. Without `pages` each file is
    one image, and no TIFF file is read for its pages.
    """
    try:
        stat = (folder / relative).stat()
        entries = sorted(os.scandir(folder / relative), key=lambda entry: entry.name)
    except OSError as error:
        skipped.names.append(f"{make_printable(relative)}: {error.strerror}")
        return None
    kind = next((_FOREIGN[e.name] for e in entries if e.name in _FOREIGN), None)
    if relative and kind:
        skipped.folders.append(f"{make_printable(relative)} ({kind})")
        return None
    skipped.folders += [
        f"{make_printable(relative + e.name)} (hidden)" for e in entries if _is_hidden_folder(e)
    ]
    return ListedFolder(
        _image_refs(entries, relative, skipped, pages),
        [f"{relative}{entry.name}/" for entry in entries if _is_folder(entry)],
        (stat.st_dev, stat.st_ino),
    )


def walk_images(folder: Path, skipped: SkippedFiles, *, pages: bool = True) -> Iterator[list[str]]:
    """Yield the images below `folder`, as paths relative to it, a folder at a time, sorted.

    Hidden files, and project folders and exports below `folder`, are skipped and reported; linked
    folders are followed once. Without `pages` each file is one image.
    """
    seen: set[tuple[int, int]] = set()
    todo = [""]
    while todo:
        listed = list_folder(folder, todo.pop(), skipped, pages=pages)
        if listed is not None and listed.place not in seen:
            seen.add(listed.place)
            yield from _batches(listed.refs)
            todo += reversed(listed.folders)


def _image_refs(
    entries: Iterable[os.DirEntry[str]], relative: str, left_out: SkippedFiles, pages: bool
) -> Iterator[str]:
    for entry in entries:
        suffix = os.path.splitext(entry.name)[1].lower()  # noqa: PTH122 - a Path a file is slow
        if suffix not in IMAGE_SUFFIXES or entry.name.startswith("."):
            _count_ending(entry, suffix, relative, left_out)
            continue
        path = relative + entry.name
        if not _is_regular(entry):
            if not _is_folder(entry):
                left_out.names.append(f"{make_printable(path)}: a link to nowhere, or no file")
        elif _is_text(path):
            yield Item(path).ref
            if pages and suffix in TIFF_SUFFIXES:
                yield from _later_page_refs(entry.path, path, left_out)
        else:
            left_out.names.append(_describe_bad_name(path))


def _later_page_refs(file: str, path: str, left_out: SkippedFiles) -> Iterator[str]:
    """Yield the refs of a TIFF file's pages after the first."""
    pages, has_more = later_pages(file)
    if has_more:
        left_out.names.append(
            f"{make_printable(path)}: pages after the first {MOST_PAGES:,}. Split the file."
        )
    for page in pages:
        yield Item(page_path(path, page)).ref


def _count_ending(
    entry: os.DirEntry[str], suffix: str, relative: str, left_out: SkippedFiles
) -> None:
    """Count a file that is not an image; a project's own files are not counted."""
    hidden = entry.name.startswith(".")
    if entry.name in _OWN_FILES and not relative:
        return
    if (not hidden or suffix in IMAGE_SUFFIXES) and _is_regular(entry):
        ending = make_printable(suffix) or "without an ending"
        left_out.endings[f"hidden {ending}" if hidden else ending] += 1


def _is_regular(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:
        return False


def _is_hidden_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.name.startswith(".") and entry.name != ".cache" and entry.is_dir()
    except OSError:
        return False


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return not entry.name.startswith(".") and entry.is_dir()
    except OSError:
        return False


def _is_text(path: str) -> bool:
    try:
        return "\n" not in path and "\r" not in path and path.encode() is not None
    except UnicodeEncodeError:
        return False


def _describe_bad_name(path: str) -> str:
    return f"{make_printable(path)}: its name is not UTF-8, or has a line break. Rename it."


def _batches(refs: Iterable[str]) -> Iterator[list[str]]:
    """Yield refs in batches; early where the files themselves must be read, as those of pages."""
    batch: list[str] = []
    begun = time.monotonic()
    for ref in refs:
        batch.append(ref)
        slow = not len(batch) % 32 and time.monotonic() - begun > BATCH_SECONDS
        if len(batch) >= BATCH or slow:
            yield batch
            batch, begun = [], time.monotonic()
    if batch:
        yield batch


def glob_images(pattern: str, skipped: SkippedFiles) -> list[str]:
    """Return the images that a shell pattern names (`**` includes folders), sorted, as absolute
    refs."""
    found = sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207 - patterns may be absolute
    named = [p for p in found if Path(p).suffix.lower() in IMAGE_SUFFIXES]
    paths = [os.path.abspath(p) for p in named if is_file(p)]  # noqa: PTH100
    others = (Path(p) for p in {*found} - {*named} if is_file(p))
    skipped.endings.update(
        make_printable(path.suffix.lower()) or "without an ending" for path in others
    )
    absent = (p for p in named if not path_exists(p))
    skipped.names += [f"{make_printable(p)}: a link to nowhere" for p in absent]
    skipped.names += [_describe_bad_name(path) for path in paths if not _is_text(path)]
    refs = []
    for path in filter(_is_text, paths):
        refs.append(Item(path).ref)
        if path.lower().endswith(TIFF_SUFFIXES):
            refs += _later_page_refs(path, path, skipped)
    return refs


class RefRow(NamedTuple):
    """A row of a table of refs."""

    line: int
    """The line in the file where it begins, from 1."""
    item: Item
    label: str
    """The annotation that the file already holds, or ""."""
    feature: int | None
    """The row of the features file (`feat_idx`); -1 for a blank cell, None without the column."""
    size: tuple[float, float] | None = None
    """Width and height of the image that a table of others states."""


def read_table(
    file: Path, box_order: str, problems: list[str], about: TableShape | None = None
) -> Iterator[RefRow]:
    """Yield the rows of a CSV table of refs; append the faults of all other rows to `problems`.

    Columns: `filename`, `file_name`, `path` or `ref`; `bbox` (in `box_order`, or with dashes as
    top-left-bottom-right); `annotation` or `label`; `feat_idx`. Others are skipped. For a table of
    others give `about`: then more names are known, four columns may hold a box, and UTF-16 and
    `sep=` are read; `about` tells what was found.
    """
    name = make_printable(file.name)

    def report(line: int, fault: str) -> None:
        problems.append(FinalFault(f"{name}, line {line}: {fault}"))

    records = iter_records(file, report, foreign=about is not None)
    first, header = next(records, (0, list[str]()))
    if not first:
        if problems:
            return
        raise RefError(
            f"{make_printable(str(file))} is empty. Begin it with a header: filename,bbox"
        )
    columns = RefColumns.find(header, file, about is not None)
    if about is not None:
        _fill_shape(about, header, columns, find_encoding(file), first > 1)
    for line, cells in records:
        if cells and (row := _parse_row(name, line, cells, columns, box_order, problems)):
            yield row


def _fill_shape(
    about: TableShape, header: list[str], columns: RefColumns, encoding: str, sep: bool
) -> None:
    names = [name.strip().lower() for name in header]
    plain = columns.label < 0 or names[columns.label] in LABEL_COLUMNS
    plain = plain and names[columns.path] in PATH_COLUMNS and not columns.sides
    about.header, about.has_features = header, columns.feature >= 0
    about.unused = [at for at in range(len(header)) if at not in columns.used]
    about.changed = not plain or encoding != UTF8 or sep
    about.describe(columns, encoding)


def _parse_row(
    name: str, line: int, cells: list[str], columns: RefColumns, order: str, problems: list[str]
) -> RefRow | None:
    def cell(index: int) -> str:
        return cells[index] if 0 <= index < len(cells) else ""

    def fault(column: str, text: str) -> None:
        problems.append(f"{name}, line {line}, {column}: {text}")

    path, text = cell(columns.path), cell(columns.bbox).strip()
    if columns.foreign and any(map(str.strip, cells[columns.count :])):
        problems.append(
            f"{name}, line {line}: has {len(cells)} cells for {columns.count} columns. Put a cell "
            "that holds the separator in quotes."
        )
        return None
    if not path or not _is_text(path) or "\0" in path:
        fault("filename", "names no file" if not path else "has a line break or is not text")
        return None
    feature = cell(columns.feature).strip()
    if "." in feature:  # tables with blanks write 4.0
        feature = re.sub(r"\.0+$", "", feature)
    known = not feature or feature.isdecimal()
    if not known:
        fault("feat_idx", f"{make_printable(feature)!r} is not a row number (0, 1, 2 …)")
    try:
        if columns.sides and (sides := join_sides([cell(at) for at in columns.sides])):
            text, order = sides, columns.order
        box = parse_box(text, order, may_be_outside=columns.foreign) if text else None
        item = Item(path, box) if box else Item.parse(path)
    except RefError as error:
        fault("bbox", str(error))
        return None
    if not known:
        return None
    blank = None if columns.feature < 0 else -1
    size = parse_size([cell(at) for at in columns.size]) if columns.size else None
    size = None if box and size == (box.w, box.h) else size  # then it is that of the box
    number = int(feature) if feature else blank
    return RefRow(line, item, cell(columns.label), number, size)


def read_list(file: Path, root: Path, problems: list[str]) -> Iterator[RefRow]:
    """Yield the lines of a text list: `path`, or `path r1 c1 r2 c2` (top, left, bottom, right).

    Paths may hold spaces: a line that names an existing file below `root` is a path as a whole.
    """
    name = make_printable(file.name)
    try:
        with open_text(file, find_encoding(file)) as lines:
            for line, text in enumerate(lines, 1):
                text = text.rstrip("\r\n")
                if text.strip():
                    yield from _parse_list_line(name, line, text, root, problems)
    except UnicodeError:
        problems.append(FinalFault(f"{name}, {describe_bad_utf8(file)}"))


def _parse_list_line(
    name: str, line: int, text: str, root: Path, problems: list[str]
) -> Iterator[RefRow]:
    numbers = None if is_file(root / split_page(text)[0]) else _split_numbers(text)
    try:
        if numbers:
            path, *edges = numbers
            box = parse_box("-".join(edges), "r1-c1-r2-c2", may_be_outside=True)
            yield RefRow(line, Item(path, box), "", None)
        else:
            yield RefRow(line, Item.parse(text), "", None)
    except RefError as error:
        problems.append(f"{name}, line {line}: {error}")


def _split_numbers(text: str) -> list[str] | None:
    """Return the path and the four numbers at the end of a line; None without four numbers.

    No pattern: one that tries each space of a line takes a quarter of an hour for 200 kB of them.
    """
    parts = text.rsplit(None, 4)
    whole = len(parts) == 5 and not text[-1].isspace() and all(map(_NUMBER.fullmatch, parts[1:]))
    return parts if whole else None


def is_file(path: str | Path) -> bool:
    """Return whether a path is a file, or a page of one; unlike `Path.is_file`, this never raises.

    The answer is False for a name that no file can have, or in a folder without permission.
    """
    return os.path.isfile(path) or os.path.isfile(split_page(str(path))[0])  # noqa: PTH113


def path_exists(path: str | Path) -> bool:
    """Return whether a path is a file or folder; like `is_file`, this never raises."""
    return os.path.exists(path)  # noqa: PTH110
