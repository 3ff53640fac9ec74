"""A new project from a data set: COCO, YOLO, VOC, folders of classes, Label Studio, tables …"""

from __future__ import annotations

import csv
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path

from annotator.errors import ProjectError, RefError
from annotator.features.store import FeatureStore
from annotator.formats.box_fit import BoxFitter
from annotator.formats.class_ids import COCO_IDS, YOLO_IDS, write_class_ids
from annotator.formats.flat import LABEL_COLUMNS, PATH_COLUMNS
from annotator.formats.format import Format
from annotator.formats.importing import build_entries
from annotator.formats.new_project import (
    REFS_COLUMNS,
    NewProject,
    add_classes,
    describe_missing_file,
    describe_unknown_class,
    format_refs_cells,
    make_images_setting,
    refuse_to_replace,
)  # fmt: skip
from annotator.formats.own_features import find_feature_faults, map_feature_refs
from annotator.formats.reading import ImportContext, describe_import, describe_left_out
from annotator.formats.spool import ImportSpool
from annotator.formats.table_rows import guess_root
from annotator.items.file_names import missing_files
from annotator.items.listing import read_table
from annotator.items.ref_table import RefTable
from annotator.items.refs import make_printable, shell_quoted, split_ref
from annotator.items.table_columns import free_names
from annotator.log.store.open import open_store
from annotator.project.project import SETTINGS_FILE, ProjectFolder
from annotator.project.settings import Settings
from annotator.project.staging import remove_unfinished, stage_project

_BATCH = 1 << 12
_RESERVED_COLUMNS = (*PATH_COLUMNS, "ref", "bbox", *LABEL_COLUMNS)


def create_from_dataset(
    folder: Path,
    reading: ImportContext,
    format_: Format,
    settings: Settings,
    say: Callable[[str], None],
    *,
    features: Path | None = None,
    timestamp: float | None = None,
) -> NewProject:
    """Make a project of what `reading` finds; its labels enter the log as "import:FORMAT".

    `settings.classes` may be empty: then the classes are those of the data set, in its order.
    Raises `RefError` that names every fault with its place, and `ProjectError` if the folder holds
    a project already; either way nothing is made.
    """
    if format_.read is None:
        raise RefError(f"{format_.name} is a format for export only. It cannot be read.")
    if (folder / SETTINGS_FILE).exists():
        name = make_printable(str(folder))
        raise ProjectError(
            f"{name} is a project already. Name another folder, or add the labels to it: "
            f"`annotator import {shell_quoted(folder)} {shell_quoted(reading.path)}`"
        )
    remove_unfinished(folder)
    made = ["refs.csv", "labels.db", "class-ids.json", *(["features"] if features else [])]
    refuse_to_replace(folder, *made)

    def fitter(refs: RefTable) -> BoxFitter:
        roots.append(_guess_root(reading, refs))
        return BoxFitter(reading, roots, settings.max_pixels)

    roots: list[Path] = []
    with ImportSpool(reading, format_.read, fitter) as spool:
        root = roots[0]
        settings = replace(settings, images=make_images_setting(root, folder), box_order="xywh")
        by_number = sorted(reading.class_ids, key=lambda name: reading.class_ids[name])
        settings = add_classes(settings, [*by_number, *spool.labels], reading.parents)
        reading.count_unused(settings.names)
        _check_items(reading, spool, root, settings)
        spool.recount()
        _describe_spool(reading, spool, say)
        now = time.time() if timestamp is None else timestamp
        _write_project(folder, spool, settings, format_.name, features, now)
    return NewProject(ProjectFolder(folder, settings))


def _guess_root(reading: ImportContext, refs: RefTable) -> Path:
    """Return the folder below which most of the images are found."""
    if reading.images is not None:
        return reading.images
    if reading.root is not None:
        return reading.root
    beside = reading.path.resolve().parent
    places = [beside, beside / "images", beside.parent / "images", beside.parent, Path.cwd()]
    step = max(1, len(refs) // 200)
    sample = refs.take(range(0, len(refs), step))
    return guess_root((split_ref(ref)[0] for ref in sample), places)


def _describe_spool(reading: ImportContext, spool: ImportSpool, say: Callable[[str], None]) -> None:
    """Say what was found. Raises `RefError` for faults that are not left out, and for no item."""
    for line in describe_import(reading, spool.labels, len(spool), spool.boxes, spool.found):
        say(line)
    spool.raise_faults(f"{make_printable(str(reading.path))} cannot be opened as it is:")
    for line in describe_left_out(reading.faults, reading.fault_count):
        say(line)
    if not len(spool):
        raise RefError(f"{make_printable(str(reading.path))} holds no item.")


def _check_items(
    reading: ImportContext, spool: ImportSpool, root: Path, settings: Settings
) -> None:
    names = frozenset(settings.names)
    absent: set[str] = set()
    remaining = iter(spool)
    while batch := list(islice(remaining, _BATCH)):
        for found in batch:
            if found.label is not None and found.label not in names:
                fault = describe_unknown_class(found.label, settings.names)
                reading.add_fault(found.location, fault)
                spool.leave_out(found)
        paths = ((found.item.path, index) for index, found in enumerate(batch))
        for path, index in missing_files(paths, root):
            spool.leave_out(batch[index])
            if path not in absent:
                absent.add(path)
                reading.add_fault(batch[index].location, describe_missing_file(root / path))


def _write_project(
    folder: Path,
    spool: ImportSpool,
    settings: Settings,
    name: str,
    features: Path | None,
    timestamp: float,
) -> None:
    """Build the project beside its place, and move it there once it is whole."""
    with stage_project(folder) as made:
        project = ProjectFolder.create(made, settings)
        _write_refs(project, spool)
        if features is not None:
            _adopt_features(project, features, spool.reading.name)
        _write_labels(project, spool, f"import:{name}", timestamp)
        if spool.reading.class_ids and name in (COCO_IDS, YOLO_IDS):
            write_class_ids(made, {name: spool.reading.class_ids})


def _write_refs(project: ProjectFolder, spool: ImportSpool) -> None:
    with project.refs_file.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*REFS_COLUMNS, *free_names(spool.columns, _RESERVED_COLUMNS)])
        for found in spool:
            cells = (found.columns.get(name, "") for name in spool.columns)
            writer.writerow([*format_refs_cells(found.item), *cells])


def _write_labels(
    project: ProjectFolder, spool: ImportSpool, annotator: str, timestamp: float
) -> None:
    store = open_store(project)
    store.append_many(
        entry
        for found in spool
        for entry in build_entries(found, found.item.ref, annotator, timestamp)
    )
    store.close()


def _adopt_features(project: ProjectFolder, features: Path, name: str) -> None:
    problems: list[str] = []
    rows = list(read_table(project.refs_file, "xywh", problems))
    problems += find_feature_faults(rows, features, name)
    if problems:
        raise RefError("\n".join(problems[:20]))
    FeatureStore.adopt(
        project.features_folder, features.resolve(), map_feature_refs(rows, features)
    )
