"""A new project of a data set: COCO, YOLO, VOC, folders of classes, Label Studio, tables …"""

from __future__ import annotations

import csv
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from annotator.errors import ProjectError, RefError, StoreError
from annotator.features.store import FeatureStore
from annotator.formats.class_ids import keep
from annotator.formats.format import Format
from annotator.formats.importing import entries_of
from annotator.formats.new_project import (
    DEFAULT_CLASSES,
    Begun,
    feature_faults,
    feature_refs,
    matrix_of,
    refuse_to_replace,
    root_of,
)  # fmt: skip
from annotator.formats.reading import Reading, understood
from annotator.formats.spool import Gathered
from annotator.items.listing import missing_files, read_table
from annotator.items.refs import printable, typed
from annotator.log.store import SqliteStore
from annotator.project.project import SETTINGS_FILE, Project
from annotator.project.settings import ClassInfo, Settings, check_classes

_BATCH = 1 << 12
_TAKEN = ("filename", "file_name", "path", "ref", "bbox", "annotation", "label")
_IDS = {"coco": "coco", "yolo": "yolo"}


def from_dataset(
    folder: Path,
    reading: Reading,
    format_: Format,
    settings: Settings,
    say: Callable[[str], None],
    *,
    features: Path | None = None,
    at: float | None = None,
) -> Begun:
    """A project of what `reading` finds; its labels enter the log as "import:FORMAT".

    `settings.classes` may be empty: then the classes are those of the data set, in its order.
    Raises `RefError` naming every fault with its place, `ProjectError` where a project is already;
    either way nothing is made.
    """
    if format_.read is None:
        raise RefError(f"{format_.name} can be written, not read")
    if (folder / SETTINGS_FILE).exists():
        name = printable(str(folder))
        raise ProjectError(
            f"{name} is a project already; name another folder, or add the labels to it with "
            f"`annotator import {typed(folder)} {typed(reading.path)}`"
        )
    made = ["refs.csv", "labels.db", "class-ids.json", *(["features"] if features else [])]
    refuse_to_replace(folder, *made)
    with Gathered(reading, format_.read) as gathered:
        root = _root(reading, gathered)
        settings = replace(settings, images=root_of(root, folder), box_order="xywh")
        settings = _with_classes(settings, reading, gathered)
        _check(reading, gathered, root, settings)
        for line in understood(reading, gathered.labels, len(gathered), gathered.boxes):
            say(line)
        gathered.refuse(f"{printable(str(reading.path))} cannot be opened as it is:")
        if not len(gathered):
            raise RefError(f"{printable(str(reading.path))} holds no item")
        now = time.time() if at is None else at
        _make(folder, gathered, settings, format_.name, features, now)
    return Begun(Project(folder, settings))


def _root(reading: Reading, gathered: Gathered) -> Path:
    """The folder that most of the images are found from."""
    if reading.images is not None:
        return reading.images
    if reading.root is not None:
        return reading.root
    beside = reading.path.resolve().parent
    places = [beside, beside / "images", beside.parent / "images", beside.parent, Path.cwd()]
    step = max(1, len(gathered.refs) // 200)
    sample = [
        (ref.partition("#")[0], 0) for ref in gathered.refs.take(range(0, len(gathered.refs), step))
    ]
    return min(places, key=lambda place: len(missing_files(sample, place)))


def _with_classes(settings: Settings, reading: Reading, gathered: Gathered) -> Settings:
    if settings.classes:
        return settings
    by_number = sorted(reading.class_ids, key=lambda name: reading.class_ids[name])
    names = tuple(dict.fromkeys([*by_number, *gathered.labels])) or DEFAULT_CLASSES
    check_classes(names)
    return replace(settings, classes=tuple(ClassInfo(name) for name in names))


def _check(reading: Reading, gathered: Gathered, root: Path, settings: Settings) -> None:
    names = frozenset(settings.names)
    absent: set[str] = set()
    batch: list[tuple[str, int]] = []
    wheres: list[str] = []

    def look() -> None:
        for path, place in missing_files(batch, root):
            if path not in absent:
                absent.add(path)
                reading.fault(
                    wheres[place], f"no such file {printable(os.path.normpath(root / path))}; mend "
                    "the path or give the images' folder with --images DIR",
                )  # fmt: skip
        batch.clear()
        wheres.clear()

    for found in gathered:
        batch.append((found.item.path, len(batch)))
        wheres.append(found.where)
        if found.label is not None and found.label not in names:
            reading.fault(
                found.where, f"{printable(found.label)!r} is not a class; add it to --classes "
                f"{printable(','.join(settings.names))}",
            )  # fmt: skip
        if len(batch) >= _BATCH:
            look()
    look()


def _make(
    folder: Path,
    gathered: Gathered,
    settings: Settings,
    name: str,
    features: Path | None,
    at: float,
) -> None:
    """Build the project beside its place, and put it there when it is whole."""
    with _beside(folder) as made:
        project = Project.create(made, settings)
        _write_refs(project, gathered)
        if features is not None:
            _adopt(project, features, gathered.reading.name)
        _write_labels(project, gathered, f"import:{name}", at)
        kind, ids = _IDS.get(name), gathered.reading.class_ids
        if kind and ids:
            keep(made, {kind: ids})
        _put(made, folder)


@contextmanager
def _beside(folder: Path) -> Iterator[Path]:
    """A new folder that is gone in the end; what cannot be written is said of `folder`."""
    made = folder
    try:
        folder.absolute().parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(dir=folder.absolute().parent, prefix=f".{folder.name}."))
        made.chmod(0o755)
        yield made
    except OSError as error:
        raise ProjectError(
            f"cannot make a project in {printable(str(folder))}: {error.strerror}; nothing of it "
            "was left there; make it possible, or name another folder"
        ) from error
    except (ProjectError, StoreError) as error:
        text = str(error).replace(printable(str(made)), printable(str(folder)))
        raise type(error)(text) from error
    finally:
        if made != folder:
            shutil.rmtree(made, ignore_errors=True)


def _write_refs(project: Project, gathered: Gathered) -> None:
    columns = {name: name for name in gathered.columns}
    for name in columns:
        while columns[name].strip().lower() in _TAKEN or not columns[name].strip():
            columns[name] += "_"
    with project.refs_file.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["filename", "bbox", *columns.values()])
        for found in gathered:
            path, mark, box = found.item.ref.rpartition("#xywh=")
            cells = [path, box] if mark and found.item.box else [found.item.ref, ""]
            writer.writerow([*cells, *(found.columns.get(name, "") for name in columns)])


def _write_labels(project: Project, gathered: Gathered, annotator: str, at: float) -> None:
    store = SqliteStore(project.labels_file)
    store.append_many(
        entry for found in gathered for entry in entries_of(found, found.item.ref, annotator, at)
    )
    store.close()


def _adopt(project: Project, features: Path, name: str) -> None:
    problems: list[str] = []
    rows = list(read_table(project.refs_file, "xywh", problems))
    problems += feature_faults(rows, features, name)
    if problems:
        raise RefError("\n".join(problems[:20]))
    matrix_of(rows, features)
    FeatureStore.adopt(project.features_folder, features.resolve(), feature_refs(rows, features))


def _put(made: Path, folder: Path) -> None:
    if not folder.exists():
        made.rename(folder)
        return
    names: Sequence[str] = sorted(
        entry.name for entry in made.iterdir() if entry.name != SETTINGS_FILE
    )
    for name in (*names, SETTINGS_FILE):  # the settings last: they make it a project
        (made / name).replace(folder / name)
