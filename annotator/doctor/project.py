"""The checks of a project: its disk, its locks, and that its parts belong together."""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from annotator.doctor.disk import check_disk, check_lock
from annotator.doctor.finding import Finding
from annotator.errors import AnnotatorError
from annotator.features.choice import is_other_model
from annotator.features.store import FeatureStore
from annotator.features.weights import MODELS, cached_weights
from annotator.formats.class_ids import CLASS_IDS_FILE as IDS_FILE
from annotator.formats.class_ids import check_class_ids as check_ids
from annotator.items.listing import is_file
from annotator.items.ref_table import RefTable
from annotator.items.refs import Item, make_printable, plural, shell_quoted
from annotator.log.entries import LogState
from annotator.log.store.last_row import read_last_row
from annotator.log.store.open import load_log_state
from annotator.log.store.recovery import count_lost_rows, find_damage
from annotator.log.store.schema import repair_command
from annotator.project.clusters import CLUSTERS_FILE, read_clusters
from annotator.project.item_pool import PRIORITIES_FILE, load_refs, read_priorities
from annotator.project.label_sets import count_classes
from annotator.project.project import ProjectFolder
from annotator.project.refs_sum import describe_change
from annotator.proposals.table import PROPOSALS_FILE, read_proposals

_LOOKED_AT = 20_000
"""The number of files of a large project whose presence is checked."""


def check_project(folder: Path) -> Iterator[Finding]:
    """Check the project in `folder`."""
    try:
        opened = ProjectFolder.open(folder)
    except AnnotatorError as error:
        yield Finding("project", False, "cannot be opened", str(error), blocks=True)
        return
    yield from check_disk(opened)
    yield from check_lock(opened)
    refs = yield from _items(opened)
    state = yield from _labels(opened)
    if refs is not None and state is not None:
        yield from _consistency(opened, refs, state)
    if refs is not None:
        yield from _features(opened, refs)
    yield from _tables(opened)


def _quoted(project: ProjectFolder) -> str:
    return shell_quoted(project.folder)


def _labels(project: ProjectFolder) -> Generator[Finding, None, LogState | None]:
    if not os.path.lexists(project.labels_file):
        if told := read_last_row(project.labels_file):
            detail = f"labels.db is missing; it had {plural(told, 'row')}"
            yield Finding("labels", False, detail, "put a copy of labels.db back if you have one")
        else:
            yield Finding("labels", True, "none yet")
        return LogState()
    try:
        state = load_log_state(project)
    except AnnotatorError as error:
        yield Finding("labels", False, "cannot be read", str(error), blocks=True)
        return None
    if damage := find_damage(project.labels_file):
        yield Finding("labels.db", False, damage, repair_command(project.labels_file), blocks=True)
    elif lost := count_lost_rows(project.labels_file):
        verb = "is" if lost == 1 else "are"
        detail = f"{plural(lost, 'row')} of the log {verb} gone: the file was damaged, or edited"
        yield Finding("labels.db", False, detail, "put a copy of labels.db back if you have one")
    yield Finding(
        "labels",
        True,
        f"{plural(state.seq, 'row')} in the log, {plural(len(state.standing), 'answer')}",
    )
    return state


def _items(project: ProjectFolder) -> Generator[Finding, None, RefTable | None]:
    settings = make_printable(str(project.folder / "annotator.toml"))
    if not project.images.is_dir():
        detail = f"the images folder {make_printable(str(project.images.resolve()))} does not exist"
        yield Finding("images", False, detail, f"correct `images` in {settings}", blocks=True)
        return None
    try:
        refs = load_refs(project)
    except AnnotatorError as error:
        yield Finding("refs", False, "cannot be read", str(error), blocks=True)
        return None
    if change := describe_change(project.refs_file):
        fix = f"put a copy back, or if you changed it: annotator doctor {_quoted(project)} --repair"
        yield Finding("refs.csv", False, change, fix)
    step = max(1, len(refs) // _LOOKED_AT)
    paths = list(dict.fromkeys(Item.parse(ref).path for ref in refs[::step]))
    folder = project.images
    absent = [path for path in paths if not is_file(folder / path)]
    checked = "" if step == 1 else f" of {len(paths):,} checked"
    missing = f"{len(absent):,}{checked} without a file{_name_examples(absent)}"
    detail = f"{plural(len(refs), 'item')}; {missing}"
    fix = f"put the files back, or correct `images` in {settings}" if absent else ""
    yield Finding("items", not absent, detail, fix)
    return refs


def _name_examples(names: Sequence[str]) -> str:
    return f", such as {make_printable(names[0])}" if names else ""


def _consistency(project: ProjectFolder, refs: RefTable, state: LogState) -> Iterator[Finding]:
    settings = project.folder / "annotator.toml"
    known = set(project.settings.names)
    labels = Counter(last.label for _, last in state.labels())
    counts = count_classes(labels, project.settings.multi_label)
    strange = {name: count for name, count in counts.items() if name and name not in known}
    if strange:
        words = ", ".join(f"{make_printable(name)} ({count:,})" for name, count in strange.items())
        name = shell_quoted(next(iter(strange)))
        fix = f"annotator add {_quoted(project)} --class {name}"
        yield Finding("classes", False, f"labels of classes not in {settings.name}: {words}", fix)
    answered = list(state.standing)
    gone = [ref for ref, row in zip(answered, refs.rows(answered).tolist(), strict=True) if row < 0]
    if gone:
        detail = f"{plural(len(gone), 'answer')} to items that refs.csv lacks{_name_examples(gone)}"
        fix = f"annotator add {_quoted(project)} --images DIR   (the labels are kept)"
        yield Finding("vanished items", False, detail, fix)
    try:
        check_ids(project)
    except AnnotatorError as error:
        file = f"{_quoted(project)}/{IDS_FILE}"
        fix = f"mv {file} {file}.damaged   (the classes are then numbered again)"
        yield Finding("class numbers", False, str(error), fix)
    if not strange and not gone:
        yield Finding("consistency", True, "every answer has its item and its class")


def _tables(project: ProjectFolder) -> Iterator[Finding]:
    """Check the files beside refs.csv that a project can do without."""
    readers: Mapping[str, Callable[[ProjectFolder], Iterable[object]]] = {
        PRIORITIES_FILE: read_priorities,
        PROPOSALS_FILE: read_proposals,
        CLUSTERS_FILE: lambda project: [read_clusters(project)],
    }
    for name, read in readers.items():
        try:
            deque(read(project), maxlen=0)
        except AnnotatorError as error:
            place = f"{_quoted(project)}/{name}"
            fix = f"put a copy back, or do without it: mv {place} {place}.damaged"
            yield Finding(name, False, str(error), fix)


def _features(project: ProjectFolder, refs: RefTable) -> Iterator[Finding]:
    again = f"annotator features {_quoted(project)}"
    yield from _model(project)
    if not project.has_features:
        yield Finding("features", False, "none yet; items are asked in random order", again)
        return
    try:
        store = FeatureStore.open(project.features_folder)
    except AnnotatorError as error:
        replace = " --replace" if "--replace" in str(error) else ""
        yield Finding("features", False, str(error), f"{again}{replace}")
        return
    rows, available = store.rows(refs), store.available()
    missing = int((rows < 0).sum())
    left_out = 0 if available is None else int((~available[rows[rows >= 0]]).sum())
    others = int((refs.rows([ref for ref in store.refs if ref]) < 0).sum())
    detail = f"{store.name}, {plural(len(store.matrix), 'row')}; none for {plural(missing, 'item')}"
    if left_out:
        detail += f"; {plural(left_out, 'item')} left out: the image could not be read"
    if others:
        detail += f"; {plural(others, 'row')} for items that refs.csv lacks"
    yield Finding("features", not missing, detail, again if missing else "")
    yield from _extractor(project, store, again)


def _extractor(project: ProjectFolder, store: FeatureStore, again: str) -> Iterator[Finding]:
    """Check that the features come from the extractor in the settings."""
    model = project.settings.model
    if model == "auto" or store.extractor.get("external"):
        return
    if is_other_model(store.extractor, model):
        detail = f"features come from {store.name}, annotator.toml names {make_printable(model)}"
        fix = f"{again} --model {shell_quoted(model)} --replace"
        yield Finding("extractor", False, detail, fix)


def _model(project: ProjectFolder) -> Iterator[Finding]:
    """Check that the weights of the model in annotator.toml are on this machine."""
    model = project.settings.model
    if model in ("auto", "classic") or cached_weights(model):
        return
    name, size = MODELS.get(model, (model, "see its page"))
    if name.count("/") != 1 or Path(model).exists():
        return
    fix = f"hf download {shell_quoted(name)}   ({size})"
    detail = f"the weights of {make_printable(model)} are not on this machine"
    yield Finding("model", False, detail, fix)
