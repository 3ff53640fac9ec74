"""A new project from a folder, a glob, a text list or a table."""

from __future__ import annotations

import csv
import io
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from annotator.errors import FeatureError, ProjectError, RefError, several
from annotator.features.store import FeatureStore, map_matrix
from annotator.items.atomic import write_atomically
from annotator.items.listing import LeftOut, Row, from_glob, missing_files, read_list, read_table
from annotator.items.ref_table import RefTable
from annotator.items.refs import Item, many, printable
from annotator.log.entries import Action, Entry
from annotator.log.store import SqliteStore
from annotator.project.project import Project
from annotator.project.settings import ClassInfo, Settings, check_classes

DEFAULT_CLASSES = ("negative", "positive")


@dataclass(slots=True)
class Begun:
    """A new project, and what was understood of its sources."""

    project: Project
    notes: list[str] = field(default_factory=list)


def from_folder(folder: Path, images: Path, settings: Settings) -> Begun:
    """A project of all images below `images`; they are listed when it is first opened."""
    if not images.is_dir():
        fault = "is not a folder of images" if images.exists() else "does not exist"
        raise ProjectError(f"{printable(str(images))} {fault}")
    settings = replace(settings, images=root_of(images, folder))
    return Begun(Project.create(folder, settings))


def from_pattern(folder: Path, pattern: str, settings: Settings) -> Begun:
    """A project of the images that a shell pattern names. Raises `RefError` for none."""
    left_out = LeftOut()
    refs = from_glob(pattern, left_out)
    if not refs:
        raise RefError(f"{printable(pattern)} names no image; quote the pattern, say 'a/**/*.jpg'")
    items = [Item.parse(ref) for ref in refs]
    refuse_to_replace(folder, "refs.csv")
    common = Path(os.path.commonpath([str(Path(item.path).parent) for item in items]))
    rows = [Row(0, Item(str(Path(item.path).relative_to(common))), "", None) for item in items]
    begun = Begun(Project.create(folder, replace(settings, images=root_of(common, folder))))
    write_atomically(begun.project.refs_file, _table(rows))
    begun.notes += [many(len(rows), "image"), *([str(left_out)] if left_out.names else [])]
    return begun


def from_refs(
    folder: Path,
    refs: Path,
    settings: Settings,
    *,
    images: Path | None = None,
    features: Path | None = None,
    at: float | None = None,
) -> Begun:
    """A project of the rows of a CSV table or a text list; labels in it enter the log.

    `settings.classes` may be empty: then the labels of the table are the classes. Raises
    `RefError` naming every fault, its line, its column and what to do, and makes nothing.
    """
    problems: list[str] = []
    is_list = refs.suffix.lower() in (".txt", ".lst", ".list")
    root = images or Path.cwd()
    reader = read_list(refs, root, problems) if is_list else None
    rows = list(reader or read_table(refs, settings.box_order, problems))
    if not rows and not problems:
        problems.append(f"{printable(refs.name)}: holds no rows")
    if images is None:
        root = _found_root(rows, refs)
    settings = _with_classes(settings, rows)
    problems += _faults(rows, root, settings.names, refs.name)
    problems += feature_faults(rows, features, refs.name) if features else []
    if problems:
        raise RefError(several(problems, f"{printable(str(refs))} cannot be opened as it is:"))
    if is_list:
        settings = replace(settings, box_order="xywh")
    if features:
        # Before anything is made: rows of NaN or zeros are refused, with their names.
        matrix_of(rows, features)
    if refs.resolve() != (folder / "refs.csv").resolve():
        refuse_to_replace(folder, "refs.csv")
    begun = Begun(Project.create(folder, replace(settings, images=root_of(root, folder))))
    write_atomically(begun.project.refs_file, _table(rows) if is_list else refs.read_bytes())
    if features:
        FeatureStore.adopt(begun.project.features_folder, features, feature_refs(rows, features))
    _log_labels(begun, rows, time.time() if at is None else at)
    return begun


def refuse_to_replace(folder: Path, *names: str) -> None:
    """Raise `ProjectError` where a new project in `folder` would take the place of these files."""
    found = [name for name in names if (folder / name).exists()]
    if found:
        raise ProjectError(
            f"{printable(str(folder))} holds {', '.join(found)} already, which a new project would "
            "replace: name another folder, or move them away first"
        )


def _found_root(rows: Sequence[Row], refs: Path) -> Path:
    """The folder that most of the files are found from: this one, else the table's."""
    sample = [(row.item.path, row.line) for row in rows[:: max(1, len(rows) // 200)]]
    places = [Path.cwd(), refs.resolve().parent]
    return min(places, key=lambda place: len(missing_files(sample, place)))


def _with_classes(settings: Settings, rows: Sequence[Row]) -> Settings:
    if settings.classes:
        return settings
    found = tuple(dict.fromkeys(row.label for row in rows if row.label))
    names = found or DEFAULT_CLASSES
    check_classes(names)
    return replace(settings, classes=tuple(ClassInfo(name) for name in names))


def _faults(rows: Sequence[Row], root: Path, names: Sequence[str], file: str) -> list[str]:
    name = printable(file)
    absent = missing_files(((row.item.path, row.line) for row in rows), root)
    problems = [
        f"{name}, line {line}, filename: no such file {printable(os.path.normpath(root / path))}; "
        "mend the path or give its root with --images DIR"
        for path, line in absent
    ]
    first: dict[str, int] = {}
    for row in rows:
        before = first.setdefault(row.item.ref, row.line)
        if before != row.line:
            problems.append(f"{name}, line {row.line}: the same item as line {before}; drop one")
        if row.label and row.label not in names:
            problems.append(
                f"{name}, line {row.line}, annotation: {printable(row.label)!r} is not a class; "
                f"add it to --classes {printable(','.join(names))}"
            )
    return problems


def feature_faults(rows: Sequence[Row], features: Path, file: str) -> list[str]:
    name = printable(file)
    try:
        count = len(map_matrix(features))
    except FeatureError as error:
        return [str(error)]
    problems, used = [], dict[int, int]()
    for place, row in enumerate(rows):
        index = place if row.feature is None else row.feature
        if index >= count:
            problems.append(
                f"{name}, line {row.line}, feat_idx: there is no row {index}; "
                f"{printable(features.name)} has {count}, numbered from 0"
            )
        before = used.setdefault(index, row.line)
        if before != row.line:
            problems.append(f"{name}, line {row.line}, feat_idx: {index} is that of line {before}")
    return problems


def matrix_of(rows: Sequence[Row], features: Path) -> None:
    """Raises `FeatureError` that names rows of NaN or zeros."""
    matrix = map_matrix(features)
    FeatureStore(feature_refs(rows, features), matrix, {}, np.ones(len(matrix), np.uint8)).check(
        features
    )


def feature_refs(rows: Sequence[Row], features: Path) -> RefTable:
    """The ref of each row of the features, "" for those that no item uses."""
    refs = [""] * len(map_matrix(features))
    for place, row in enumerate(rows):
        refs[place if row.feature is None else row.feature] = row.item.ref
    return RefTable(refs)


def _log_labels(begun: Begun, rows: Sequence[Row], at: float) -> None:
    entries = [
        Entry(0, at, "import", Action.LABEL, row.item.ref, row.label, picked_by="import")
        for row in rows
        if row.label
    ]
    if entries:
        store = SqliteStore(begun.project.labels_file)
        store.append(*entries)
        store.close()
    names = ", ".join(printable(name) for name in begun.project.settings.names)
    begun.notes.append(
        f"{many(len(rows), 'item')}, {len(entries):,} labelled already; classes: {names}"
    )
    boxes = sum(row.item.box is not None for row in rows)
    if boxes:
        order = begun.project.settings.box_order
        begun.notes.append(
            f"{many(boxes, 'box', 'boxes')}; bbox read as {order}, with dashes as r1-c1-r2-c2"
        )


def _table(rows: Sequence[Row]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["filename", "bbox"])
    for row in rows:
        path, _, box = row.item.ref.rpartition("#xywh=") if row.item.box else (row.item.ref, "", "")
        writer.writerow([path, box])
    return text.getvalue().encode()


def root_of(images: Path, folder: Path) -> str:
    """The images' root as annotator.toml names it: relative where they are neighbours."""
    images, folder = images.resolve(), folder.resolve()
    near = images.is_relative_to(folder.parent) or folder.is_relative_to(images)
    return os.path.relpath(images, folder) if near else str(images)
