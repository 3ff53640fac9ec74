"""Small projects to export, and the way of an export back into a project."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from PIL import Image

from annotator.errors import AnnotatorError as AnnotatorError
from annotator.formats.dataset import create_from_dataset
from annotator.formats.format import Format
from annotator.formats.format import load_format as load
from annotator.formats.importing import ImportSummary, import_labels
from annotator.formats.new_project import create_from_refs
from annotator.formats.output_file import open_output
from annotator.formats.reading import ImportContext
from annotator.formats.source import ExportOptions, ExportSource
from annotator.items.refs import Item
from annotator.log.entries import Action, Entry, replay
from annotator.log.store.sqlite import SqliteStore
from annotator.project.item_pool import load_refs as load_pool
from annotator.project.project import ProjectFolder
from annotator.project.settings import ClassInfo, Settings

SIZE = (60, 40)
BOXES = ("a.png#xywh=4,2,40,20", "a.png#xywh=0,0,10.5,10.25", "sub/b c.jpg#xywh=1.125,2,58,37",
         "d.png#xywh=59,39,1,1")  # fmt: skip
WHOLE = ("a.png", "sub/b c.jpg", "sub/é.png", "d.png")


def images(folder: Path, paths: Iterable[str], size: tuple[int, int] = SIZE) -> Path:
    for number, path in enumerate(dict.fromkeys(paths)):
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size, (number * 40 % 256, 90, 120)).save(file)
    return folder


def project(
    folder: Path,
    refs: Sequence[str],
    labels: Mapping[str, str | None] | None = None,
    classes: Sequence[str | ClassInfo] = ("ok", "defect"),
    columns: Mapping[str, Sequence[str]] | None = None,
) -> ProjectFolder:
    """A project of `refs` whose images exist; `labels` may hold None for a skip."""
    images(folder / "images", (Item.parse(ref).path for ref in refs))
    infos = tuple(ClassInfo(c) if isinstance(c, str) else c for c in classes)
    settings = Settings(infos, images="../images")
    made = ProjectFolder.create(folder / "p", settings)
    with made.refs_file.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["filename", *(columns or {})])
        writer.writerows(
            [ref, *cells] for ref, *cells in zip(refs, *(columns or {}).values(), strict=True)
        )
    log(made, labels or {})
    return made


def log(made: ProjectFolder, labels: Mapping[str, str | None], annotator: str = "ann") -> None:
    store = SqliteStore(made.labels_file)
    rows = []
    for number, (ref, label) in enumerate(labels.items()):
        action = Action.SKIP if label is None else Action.LABEL
        rows.append(Entry(0, 1e9 + number, annotator, action, ref, label, shown_ms=1500))
    store.append(*rows)
    store.close()


def entries(made: ProjectFolder) -> list[Entry]:
    store = SqliteStore(made.labels_file)
    found = list(store.entries())
    store.close()
    return found


def write(made: ProjectFolder, name: str, place: Path, **options: object) -> ExportSource:
    format_ = load(name)
    chosen = ExportOptions(**options)  # type: ignore[arg-type]
    folder = format_.folder or (name == "coco" and chosen.split is not None)
    with open_output(place, folder, False) as temporary:
        source = ExportSource.open(made, entries(made), chosen, format_.accepted)
        assert format_.write is not None
        format_.write(source, temporary)
    return source


def reopened(folder: Path, place: Path, format_: Format, **how: object) -> ProjectFolder:
    """A new project of what was exported."""
    if format_.name in ("csv", "list"):
        return create_from_refs(folder, place, Settings(()), images=how.get("images")).project  # type: ignore[arg-type]
    reading = ImportContext(place, **how)  # type: ignore[arg-type]
    return create_from_dataset(
        folder, reading, format_, Settings(()), lambda line: None, timestamp=2e9
    ).project


def imported(made: ProjectFolder, place: Path, format_: Format, **how: object) -> ImportSummary:
    store = SqliteStore(made.labels_file)
    how.setdefault("images", made.images)
    reading = ImportContext(place, **how)  # type: ignore[arg-type]
    try:
        return import_labels(made, store, reading, format_, lambda line: None, now=2e9)
    finally:
        store.close()


def items(made: ProjectFolder) -> list[tuple[str, str | None, bool]]:
    """(real file with its box, label, skipped) of every item, in order."""
    state = replay(entries(made))
    found = []
    for ref in load_pool(made):
        item, decision = Item.parse(ref), state.decision(ref)
        real = Item(str((made.images / item.path).resolve()), item.box).ref
        skipped = decision is not None and decision.action is Action.SKIP
        found.append((real, state.label(ref), skipped))
    return found


def rows(made: ProjectFolder) -> list[dict[str, str]]:
    with made.refs_file.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
