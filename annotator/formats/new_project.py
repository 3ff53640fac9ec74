"""A new project from a folder, a glob, a text list or a table."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from annotator.errors import ProjectError, RefError, bullet_list
from annotator.items.atomic import write_atomically
from annotator.items.listing import RefRow, SkippedFiles, glob_images
from annotator.items.ref_keys import is_same_file, ref_key
from annotator.items.refs import Item, format_box, make_printable, plural
from annotator.items.table_columns import LABEL_COLUMNS, PATH_COLUMNS, TableShape, free_names
from annotator.items.text_files import FinalFault, csv_bytes, iter_records
from annotator.project.class_tree import take_parents
from annotator.project.project import ProjectFolder, require_no_project
from annotator.project.settings import Settings, check_classes
from annotator.project.staging import remove_unfinished, stage_project

if TYPE_CHECKING:
    from annotator.formats.table_rows import TableRows

DEFAULT_CLASSES = ("negative", "positive")
REFS_COLUMNS = ("filename", "bbox")
_TABLE_NAMES = frozenset((*PATH_COLUMNS, *LABEL_COLUMNS, "bbox", "feat_idx"))
"""The columns of refs.csv that have a meaning."""


@dataclass(slots=True)
class NewProject:
    """A new project, and notes on what was read from its sources."""

    project: ProjectFolder
    notes: list[str] = field(default_factory=list)


def create_from_folder(folder: Path, images: Path, settings: Settings) -> NewProject:
    """Make a project of all images below `images`, which are listed when it is first opened."""
    if not images.is_dir():
        fault = "is not a folder of images" if images.exists() else "does not exist"
        raise ProjectError(f"{make_printable(str(images))} {fault}.")
    settings = replace(settings, images=make_images_setting(images, folder))
    return NewProject(ProjectFolder.create(folder, settings))


def create_from_pattern(folder: Path, pattern: str, settings: Settings) -> NewProject:
    """Make a project of the images that a shell pattern matches. Raises `RefError` for none."""
    left_out = SkippedFiles()
    refs = glob_images(pattern, left_out)
    if not refs:
        raise RefError(
            f"No image matches {make_printable(pattern)}. Quote the pattern, as in 'a/**/*.jpg'."
            + (f" {left_out}" if left_out else "")
        )
    items = [Item.parse(ref) for ref in refs]
    common = Path(os.path.commonpath([str(Path(item.path).parent) for item in items]))
    rows = [RefRow(0, Item(str(Path(item.path).relative_to(common))), "", None) for item in items]
    settings = replace(settings, images=make_images_setting(common, folder))
    with _stage(folder, settings, "refs.csv") as new:
        write_atomically(new.project.refs_file, _format_refs_csv(rows))
    new.project = replace(new.project, folder=folder)
    new.notes += [plural(len(rows), "image"), *([str(left_out)] if left_out else [])]
    return new


def create_from_refs(
    folder: Path,
    refs: Path,
    settings: Settings,
    *,
    images: Path | None = None,
    features: Path | None = None,
    timestamp: float | None = None,
    box_pixels: str | None = None,
    skip_faulty: bool = False,
) -> NewProject:
    """Make a project of the rows of a CSV table or a text list; its labels enter the log.

    `settings.classes` may be empty: then the labels of the table are the classes. Raises
    `RefError` that names every fault, its line, its column and the remedy, and makes nothing;
    `skip_faulty` leaves the rows with faults out instead.
    """
    from annotator.formats.reading import describe_left_out
    from annotator.formats.table_rows import LIST_SUFFIXES, TableRows

    table = TableRows.read(refs, settings.box_order, images)
    about, root = table.about, table.root
    is_own = refs.resolve() == (folder / "refs.csv").resolve()
    table.fit_boxes(box_pixels, settings.max_pixels, keep=is_own)
    rows, problems = table.rows, table.problems
    settings = add_classes(settings, (row.label for row in rows if row.label))
    found = _find_row_faults(table, settings.names)
    problems += [text for _, text in found]
    left_out: list[str] = []
    if skip_faulty and not any(isinstance(problem, FinalFault) for problem in problems):
        faulty = {line for line, _ in found} | table.faulty
        rows, left_out = _leave_out(rows, faulty), problems
        about.changed |= bool(left_out)
        problems = [] if rows else left_out
    _raise_faults(problems, rows, refs, features)
    is_list = refs.suffix.lower() in LIST_SUFFIXES
    if is_list:
        settings = replace(settings, box_order="xywh")
    settings = replace(settings, images=make_images_setting(root, folder))
    own_table = is_own and not about.changed
    parts = {"labels.db": any(row.label for row in rows), "features": features is not None}
    made = [name for name, is_made in parts.items() if is_made]
    made += [] if own_table else ["refs.csv"]
    with _stage(folder, settings, *made, keep=["refs.csv"] if own_table else []) as new:
        write_atomically(new.project.refs_file, _table_bytes(refs, rows, about, settings, is_list))
        new.notes += [*about.notes, *describe_left_out(left_out, len(left_out))]
        if features:
            _adopt_features(new.project, features, rows)
        _log_labels(new, rows, time.time() if timestamp is None else timestamp)
    new.project = replace(new.project, folder=folder)
    return new


def _adopt_features(project: ProjectFolder, features: Path, rows: Sequence[RefRow]) -> None:
    from annotator.features.store import FeatureStore
    from annotator.formats.own_features import map_feature_refs

    refs = map_feature_refs(rows, features)
    FeatureStore.adopt(project.features_folder, features.resolve(), refs)


@contextmanager
def _stage(
    folder: Path, settings: Settings, *made: str, keep: Collection[str] = ()
) -> Iterator[NewProject]:
    """Yield a project in a hidden folder, which becomes `folder` if all goes well.

    Raises `ProjectError` if `folder` is a project, or holds a file that is to be `made`.
    """
    require_no_project(folder)
    remove_unfinished(folder)
    refuse_to_replace(folder, *made)
    with stage_project(folder, keep=keep) as place:
        yield NewProject(ProjectFolder.create(place, settings))


def _raise_faults(
    problems: list[str], rows: Sequence[RefRow], refs: Path, features: Path | None
) -> None:
    if features:
        from annotator.formats.own_features import find_feature_faults

        problems += find_feature_faults(rows, features, refs.name)
    if problems:
        heading = f"{make_printable(str(refs))} cannot be opened as it is:"
        raise RefError(bullet_list(problems, heading))


def _leave_out(rows: Sequence[RefRow], faulty: Collection[int]) -> list[RefRow]:
    """Return the rows that do not begin on a faulty line."""
    return [row for row in rows if row.line not in faulty]


def _table_bytes(
    refs: Path, rows: Sequence[RefRow], about: TableShape, settings: Settings, is_list: bool
) -> bytes:
    """Return refs.csv of a new project: the table as it is, unless it has to be written anew."""
    if is_list:
        return _format_refs_csv(rows)
    return _format_table(refs, rows, about, settings) if about.changed else refs.read_bytes()


def refuse_to_replace(folder: Path, *names: str) -> None:
    """Raise `ProjectError` if a new project in `folder` would replace one of these files."""
    found = [name for name in names if (folder / name).exists()]
    if found:
        raise ProjectError(
            f"{make_printable(str(folder))} holds {', '.join(found)} already, which a new project "
            "would replace. Name another folder, or move these files away."
        )


def add_classes(
    settings: Settings, names: Iterable[str], parents: Mapping[str, str] | None = None
) -> Settings:
    """Return settings with a class for each different name, unless they have classes already.

    `parents` are the classes above them, which become classes, too, if they form a tree.
    """
    if settings.classes:
        return settings
    names = tuple(dict.fromkeys(names)) or DEFAULT_CLASSES
    check_classes(names)
    return replace(settings, classes=take_parents(names, parents or {}))


def _format_table(
    refs: Path, rows: Sequence[RefRow], about: TableShape, settings: Settings
) -> bytes:
    """Return a table of others as our own refs.csv; columns without a meaning here are kept."""
    kept = {row.line: row for row in rows}
    own = free_names((about.header[at].strip() for at in about.unused), _TABLE_NAMES)

    def cells() -> Iterator[list[str]]:
        for line, found in islice(iter_records(refs, _refuse_change), 1, None):
            if row := kept.get(line):
                box = row.item.box
                place = ["" if row.feature is None or row.feature < 0 else str(row.feature)]
                yield [
                    row.item.path if box else row.item.ref,
                    format_box(box, settings.box_order) if box else "",
                    row.label,
                    *(place if about.has_features else []),
                    *(found[at] if at < len(found) else "" for at in about.unused),
                ]

    features = ["feat_idx"] if about.has_features else []
    return csv_bytes([*REFS_COLUMNS, "annotation", *features, *own], cells())


def _refuse_change(line: int, fault: str) -> NoReturn:
    raise RefError(f"The table changed while it was read: line {line}: {fault}")


def _find_row_faults(table: TableRows, names: Sequence[str]) -> list[tuple[int, str]]:
    """Return the faults of rows, each with the line of its row."""
    name, root = make_printable(table.file.name), table.root
    problems = [
        (line, f"{name}, line {line}, filename: {describe_missing_file(root / path)}")
        for path, line in table.absent()
    ]
    first: dict[str, RefRow] = {}
    for row in table.rows:
        before = first.setdefault(Item(ref_key(row.item.path, root), row.item.box).ref, row)
        if before is not row and is_same_file(root, before.item.path, row.item.path):
            text = f"{name}, line {row.line}: the same item as line {before.line}."
            problems.append((row.line, f"{text} Remove one of the lines."))
            if before.label != row.label:  # which label is meant is not known
                problems.append((before.line, f"{text} They have different labels."))
        if row.label and row.label not in names:
            problems.append(
                (
                    row.line,
                    f"{name}, line {row.line}, annotation: "
                    f"{describe_unknown_class(row.label, names)}",
                )
            )
    return problems


def describe_missing_file(path: Path) -> str:
    """Return the fault of an image that is not there."""
    shown = make_printable(os.path.normpath(path))
    return f"no such file {shown}. Fix the path, or give the images' folder with --images DIR."


def describe_unknown_class(label: str, names: Sequence[str]) -> str:
    """Return the fault of a label that is not among the classes of a new project."""
    listed = make_printable(",".join(names))
    return f"{make_printable(label)!r} is not a class. Add it to --classes {listed}."


def _log_labels(new: NewProject, rows: Sequence[RefRow], timestamp: float) -> None:
    from annotator.log.entries import Action, Entry

    entries = [
        Entry(0, timestamp, "import", Action.LABEL, row.item.ref, row.label, picked_by="import")
        for row in rows
        if row.label
    ]
    if entries:
        from annotator.log.store.open import open_store

        store = open_store(new.project)
        store.append(*entries)
        store.close()
    names = ", ".join(make_printable(name) for name in new.project.settings.names)
    new.notes.append(
        f"{plural(len(rows), 'item')}, {len(entries):,} labelled already; classes: {names}"
    )
    boxes = sum(row.item.box is not None for row in rows)
    if boxes:
        order = new.project.settings.box_order
        new.notes.append(
            f"{plural(boxes, 'box', 'boxes')}; bbox read as {order}, or as r1-c1-r2-c2 with dashes"
        )


def _format_refs_csv(rows: Sequence[RefRow]) -> bytes:
    return csv_bytes(REFS_COLUMNS, (format_refs_cells(row.item) for row in rows))


def format_refs_cells(item: Item) -> list[str]:
    """Return the cells of an item in refs.csv, under `REFS_COLUMNS`."""
    return [item.ref, ""] if item.box is None else [item.path, format_box(item.box, "xywh")]


def make_images_setting(images: Path, folder: Path) -> str:
    """Return the images' root as annotator.toml names it: relative if it is a neighbour."""
    images, folder = images.resolve(), folder.resolve()
    near = images.is_relative_to(folder.parent) or folder.is_relative_to(images)
    return os.path.relpath(images, folder) if near else str(images)
