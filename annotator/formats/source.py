"""The items of a project that an export's options choose, one at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from annotator import proposals
from annotator.detection.proposal import UNNAMED
from annotator.errors import ImageError, ProjectError
from annotator.formats.columnar_log import ColumnarLog
from annotator.formats.extra_columns import ExtraColumns
from annotator.formats.levels import ClassLevel
from annotator.formats.pool_predictions import PoolPredictions
from annotator.formats.splits import Splits, assign_splits, unit_hash
from annotator.images import ImageFolder
from annotator.images.decode import open_image
from annotator.items.ref_keys import tidy_path
from annotator.items.ref_table import RefTable
from annotator.items.refs import Box, Item, make_printable, split_ref
from annotator.log.entries import Entry, LogState
from annotator.project import label_sets
from annotator.project.class_tree import ClassTree
from annotator.project.item_pool import load_refs
from annotator.project.project import ProjectFolder
from annotator.proposals.verdicts import ACCEPT_LABELS, REJECT_LABELS

EXPORT_FILTERS = ("labelled", "human", "reviewed", "flagged", "unflagged")


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """The choice of items for an export, and the way to write them."""

    only: tuple[str, ...] = ()
    """Names among `EXPORT_FILTERS`, all of which must hold."""
    classes: tuple[str, ...] = ()
    """Only items with one of these labels."""
    agreement: float | None = None
    """Only items of two or more annotators, at least this share of whom gave the standing label."""
    split: Splits | None = None
    probabilities: bool = False
    provenance: bool = False
    predictions: bool = False
    """The model's class and its probability for unlabelled items."""
    unreviewed: bool = False
    """The class and the score of proposals that no annotator has judged."""
    partial: bool = False
    """Write images with open boxes, too, without these boxes."""
    crop: bool = False
    context: float = 0.0
    level: str = ""
    """The level of the classes to write: a number from 1, "leaf", or "" for labels as they are."""
    images: str = "symlink"
    """The way image files are put into a folder: symlink, copy or none."""


class ExportRecord(NamedTuple):
    """One item, as formats write it."""

    row: int
    item: Item
    """The item, its box cut at the edges of its image."""
    label: str | None = None
    skipped: bool = False
    rejected: bool = False
    """True if an annotator rejected the proposal."""
    flagged: bool = False
    split: str = ""
    columns: Mapping[str, str] = {}
    """The unknown columns of refs.csv."""
    predicted: str | None = None
    score: float | None = None
    """The probability of `predicted`, or the score of a proposal."""
    provenance: Mapping[str, Any] = {}
    """The annotator, time, model, … if the options ask for them; otherwise, for a label that a
    model gave, only `machine`, `model` and `probability`."""
    proba: Mapping[str, float] = {}

    @property
    def reason_without_label(self) -> str:
        """The reason that an export gives for leaving out an item without a label."""
        return "rejected" if self.rejected else "skipped" if self.skipped else "without a label"


class ImageRecords(NamedTuple):
    """One image and its items, in order."""

    path: str
    split: str
    records: list[ExportRecord]


_ROUNDING = 0.01
"""Pixels that a box may reach over the edge because its numbers were rounded."""
_KEPT_SIZES = 1 << 17
"""The number of images whose sizes are kept: the boxes of one need not follow each other."""
_CHUNK = 4096


@dataclass
class ExportSource:
    """The items of a project that the options choose; every iteration gives the same items."""

    project: ProjectFolder
    refs: RefTable
    log: ColumnarLog
    options: ExportOptions = ExportOptions()
    accepted: bool = False
    """True to write the class that a proposal was accepted as, instead of yes or no."""
    predictions: PoolPredictions | None = None
    """The model's classes for unlabelled items, if the options ask for them."""
    chosen: NDArray[np.bool_] | None = None
    """(n,) the rows that a query found; None for all."""
    level: ClassLevel | None = None
    """The level that labels are written at; None for labels as they are."""
    left_out: Counter[str] = field(default_factory=Counter)
    """The reasons for which items are left out, and their numbers."""
    _omitted: list[int] = field(default_factory=list)
    """The rows of images that are left out for their open boxes."""
    notes: list[str] = field(default_factory=list)
    written: int = 0
    unreviewed: int = 0
    """The number of proposals written that no annotator has judged."""
    boxes_cut: int = 0
    """The number of boxes that reached over the edge of their image, and are written cut."""
    open_images: int = 0
    """The number of images with open boxes: left out, or with --partial written without these."""
    exif_rotated: int = 0
    """The number of images that are upright only once their EXIF is applied."""
    on_progress: Callable[[int, int], None] | None = None
    """A function that gets the number of items so far and of all, every few thousand."""

    @classmethod
    def open(
        cls,
        project: ProjectFolder,
        entries: Iterable[Entry],
        options: ExportOptions,
        accepted: bool = False,
        state: LogState | None = None,
        chosen: NDArray[np.bool_] | None = None,
    ) -> ExportSource:
        """Read a project's items and log; predictions need the log's `state` as well.

        Raises `ProjectError` for a class that does not exist or too few labels to predict from,
        `FeatureError` for predictions without features.
        """
        refs = load_refs(project)
        level = ClassLevel.parse(options.level, project.settings.tree)
        log = ColumnarLog.read(refs, entries, probabilities=options.probabilities)
        predictions = None
        if options.predictions and state is not None:
            predictions = PoolPredictions(project, refs, state, level)
        accepted = accepted and proposals.has_proposals(project)
        if options.unreviewed and not accepted:
            raise ProjectError(
                f"{make_printable(str(project.folder))} has no proposals, so --unreviewed has "
                "nothing to add. Leave it out, or make proposals with `annotator detect`."
            )
        source = cls(project, refs, log, options, accepted, predictions, chosen, level)
        if unknown := set(options.classes) - {*source.classes, *project.settings.names}:
            names = ", ".join(source.classes)
            raise ProjectError(
                make_printable(
                    f"{', '.join(sorted(unknown))!r} is not a class. The classes are {names}."
                )
            )
        if level is not None:
            source._of_classes  # noqa: B018 (chosen by the labels as they are)
            log.rename_labels(level.name)
        return source

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """The project's classes, then the labels in use that are no longer classes."""
        named = self.project.settings.names
        used = np.unique(self.log.label_codes()).tolist()
        labels = self.log.labels.texts
        held = {name for code in used if code >= 0 for name in self.names_of(labels[code])}
        if self._proposals is not None:
            # Yes and no are not classes here; the proposals' own names are.
            named = tuple(name for name in named if name not in (*ACCEPT_LABELS, *REJECT_LABELS))
            alone = held & {*ACCEPT_LABELS} and (self._proposals.refs.rows(self.refs) < 0).any()
            held = held - {*ACCEPT_LABELS, *REJECT_LABELS} | {*self._proposals.names}
            held |= {UNNAMED} if alone else set()
        found = (*named, *sorted(held - set(named)))
        return found if self.level is None else self.level.names(found)

    def names_of(self, label: str | None) -> tuple[str, ...]:
        """Return the classes of a label: several only in a multi-label project, none for None."""
        if label is None:
            return ()
        return label_sets.ClassSet.from_text(label, self.project.settings.multi_label).names

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The names of the unknown columns of refs.csv."""
        return self._unknown.names if self._unknown else ()

    @cached_property
    def has_boxes(self) -> bool:
        """True if any item of the project is a box."""
        return any(split_ref(ref)[1] for ref in self.refs)

    @cached_property
    def images(self) -> ImageFolder:
        """The images of the project."""
        # Resolved, so that messages do not name p/../images/a.jpg.
        return ImageFolder(self.project.images.resolve(), self.project.settings.max_pixels)

    @cached_property
    def rows(self) -> NDArray[np.int64]:
        """The rows that the options choose, in the pool's order."""
        keep = self._select(self.options.only) & self._of_classes
        keep &= True if self.chosen is None else self.chosen
        if self.level is not None:
            self.leave_out(self.level.reason, int((keep & self._unrefined).sum()))
            keep &= ~self._unrefined
        return np.flatnonzero(keep)

    @cached_property
    def _of_classes(self) -> NDArray[np.bool_]:
        """(n,) the rows whose labels are of the chosen classes, or below them."""
        if not self.options.classes or self.accepted:
            return np.ones(len(self.refs), bool)
        return self.log.labelled_as(lambda label: any(map(self._is_wanted, self.names_of(label))))

    def _is_wanted(self, name: str) -> bool:
        wanted = self.options.classes
        return not wanted or any(self._tree.is_within(name, chosen) for chosen in wanted)

    @cached_property
    def _tree(self) -> ClassTree:
        return self.project.settings.tree

    @cached_property
    def _unrefined(self) -> NDArray[np.bool_]:
        """(n,) the rows with a label above the level that is written."""
        level = self.level
        if level is None:
            return np.zeros(len(self.refs), bool)
        return self.log.labelled_as(lambda label: level.name(label) is None)

    def _select(self, filters: Collection[str]) -> NDArray[np.bool_]:
        """Return which rows pass some of `EXPORT_FILTERS`, and the least agreement."""
        log, keep = self.log, np.ones(len(self.refs), bool)
        for name, mask in (
            ("labelled", log.labelled), ("human", log.labelled_by_people),
            ("flagged", log.is_flagged), ("unflagged", lambda: ~log.is_flagged()),
            ("reviewed", log.is_reviewed),
        ):  # fmt: skip
            if name in filters:
                keep &= mask()
        if self.options.agreement is not None:
            share = log.agreement(None if self._tree.is_flat else self._tree.agree)
            keep &= share >= self.options.agreement - 1e-9  # NaN is below any share
        return keep

    @property
    def machine_labels(self) -> int:
        """The number of chosen labels that a model gave; formats mark them if they can."""
        machine = self.log.labelled() & ~self.log.labelled_by_people()
        return int(machine[self.rows].sum()) - int(machine[self._omitted].sum())

    def records(self) -> Iterator[ExportRecord]:
        """Return the chosen items in the pool's order."""
        return self._records(self.rows)

    def image_records(
        self, may_be_open: Callable[[ImageRecords], bool] = lambda _: False
    ) -> Iterator[ImageRecords]:
        """Yield the chosen items by image, images in the order of their first item.

        An image with open boxes is left out and counted: without them, it would teach that they
        are background. It is yielded with --partial and --unreviewed, or if it `may_be_open`.
        """
        options = self.options
        for image in self._group_by_image():
            if self._has_open_box[self._image[image.records[0].row]] and not may_be_open(image):
                self.open_images += not options.unreviewed
                if not (options.partial or options.unreviewed):
                    self._omitted += [record.row for record in image.records]
                    self.leave_out("in images with open boxes", len(image.records))
                    continue
            yield image

    def _group_by_image(self) -> Iterator[ImageRecords]:
        group = list[ExportRecord]()
        for record in self._records(self._by_image):
            if group and self._image[record.row] != self._image[group[0].row]:
                yield ImageRecords(group[0].item.path, group[0].split, group)
                group = []
            group.append(record)
        if group:
            yield ImageRecords(group[0].item.path, group[0].split, group)

    @cached_property
    def _has_open_box(self) -> NDArray[np.bool_]:
        """(n,) whether an image, at its first row, has a box that has no answer or is not chosen.

        A choice of classes or of flagged items leaves out boxes on purpose.
        """
        is_open = self.log.label_codes() < 0
        if self.predictions is not None:
            is_open &= ~self.predictions.predicted
        is_open |= self._unrefined | ~self._select({*self.options.only} - {"labelled", "flagged"})
        rows = [row for row in np.flatnonzero(is_open).tolist() if split_ref(self.refs[row])[1]]
        found = np.zeros(len(self.refs), bool)
        found[self._image[rows]] = True
        return found

    def size(self, path: str) -> tuple[int, int] | None:
        """Return the width and height of an upright image; None, with a note, for a broken one."""
        found = self._measure(path)
        if isinstance(found, ImageError):
            self.note(f"left out: {found}")
            return None
        width, height, turned = found
        self.exif_rotated += turned
        return width, height

    def _measure_image(self, path: str) -> tuple[int, int, bool] | ImageError:
        """Return the width and height of an upright image, and whether EXIF turns it."""
        try:
            with open_image(self.images.path(Item(path)), self.images.max_pixels) as (found, _):
                return (*found.size, found.orientation != 1)
        except ImageError as error:
            return error

    @cached_property
    def _measure(self) -> Callable[[str], tuple[int, int, bool] | ImageError]:
        return lru_cache(_KEPT_SIZES)(self._measure_image)

    def _cut_box(self, item: Item) -> Item | None:
        """Return an item with its box cut at the edges of its image; None for one outside it.

        A table that a user wrote may hold such boxes; other programs refuse them.
        """
        box, found = item.box, self._measure(item.path) if item.box else None
        if box is None or found is None or isinstance(found, ImageError):
            return item
        width, height, _ = found
        if box.right <= width and box.bottom <= height:  # no box of refs.csv begins below 0
            return item
        cut = Box(box.x, box.y, min(width, box.right) - box.x, min(height, box.bottom) - box.y)
        if cut.w <= 0 or cut.h <= 0:
            self.leave_out("whose boxes lie outside their image")
            return None
        self.boxes_cut += max(box.w - cut.w, box.h - cut.h) > _ROUNDING
        return Item(item.path, cut)

    def leave_out(self, reason: str, count: int = 1) -> None:
        """Count items that are not written; the reason completes "1 item …"."""
        self.left_out[reason] += count

    def take_boxes(self, records: Iterable[ExportRecord]) -> list[ExportRecord]:
        """Return boxes with a label or a proposed class, and rejected ones; leave out others."""
        kept = []
        for record in records:
            if record.item.box is None:
                self.leave_out("that are whole images")
            elif record.label is None and record.predicted is None and not record.rejected:
                self.leave_out(record.reason_without_label)
            else:
                kept.append(record)
        return kept

    def note(self, text: str) -> None:
        """Keep a line for the user to read after the export: the first twenty."""
        if len(self.notes) < 20:
            self.notes.append(text)
        elif len(self.notes) == 20:
            self.notes.append("… and more")

    @cached_property
    def _unknown(self) -> ExtraColumns | None:
        return ExtraColumns(self.project.refs_file) if self.project.refs_file.exists() else None

    @cached_property
    def _proposals(self) -> proposals.ProposalTable | None:
        return proposals.ProposalTable.load(self.project) if self.accepted else None

    def image_id(self, record: ExportRecord) -> int:
        """Return the number of an item's image, from 1, the same in every export of the project."""
        return int(self._image[record.row]) + 1

    @cached_property
    def _image(self) -> NDArray[np.int64]:
        """(n,) the row where each row's image comes first."""
        root = self.project.images
        paths = (tidy_path(split_ref(ref)[0], root) for ref in self.refs)
        hashes = np.fromiter(map(hash, paths), np.int64, len(self.refs))
        _, first, inverse = np.unique(hashes, return_index=True, return_inverse=True)
        return np.asarray(first[inverse], np.int64)

    @cached_property
    def _by_image(self) -> NDArray[np.int64]:
        return self.rows[np.argsort(self._image[self.rows], kind="stable")]

    @cached_property
    def _split(self) -> NDArray[np.int64]:
        """(n,) the split of each chosen row."""
        assert self.options.split is not None
        rows = self.rows
        images, inverse = np.unique(self._image[rows], return_inverse=True)
        codes = self.log.label_codes()[rows]
        counts = np.bincount(codes + 1)
        # An image's stratum is the rarest of its labels; code -1 (no label) counts as the last.
        rarity = np.where(codes < 0, np.iinfo(np.int64).max, counts[codes + 1])
        order = np.lexsort((codes, rarity, inverse))
        first = order[np.r_[True, np.diff(inverse[order]) > 0]] if len(order) else order
        texts = [*self.log.labels.texts, ""]
        strata = [texts[code] for code in codes[first].tolist()]
        hashes = np.array([unit_hash(split_ref(self.refs[int(row)])[0]) for row in images])
        found = np.full(len(self.refs), -1, np.int64)
        found[rows] = assign_splits(self.options.split, hashes, strata)[inverse]
        return found

    def _records(self, rows: NDArray[np.int64]) -> Iterator[ExportRecord]:
        names = self.options.split.names if self.options.split else ()
        for start in range(0, len(rows), _CHUNK):
            part = rows[start : start + _CHUNK].tolist()
            cells = self._unknown.rows(part) if self._unknown else ({} for _ in part)
            for row, columns in zip(part, cells, strict=True):
                split = names[self._split[row]] if names else ""
                if item := self._cut_box(Item.parse(self.refs[row])):
                    yield self._record(row, item, columns, split)
            if self.on_progress is not None:
                self.on_progress(start + len(part), len(rows))

    def _record(self, row: int, item: Item, columns: Mapping[str, str], split: str) -> ExportRecord:
        log, options, label = self.log, self.options, self.log.label_of(row)
        found = self.predictions.get(row) if self.predictions else None
        predicted, score, model = found or (None, None, None)
        details: dict[str, Any] = {}
        if not options.provenance:
            details = log.machine_details(row)
        else:
            details = log.details(row) or ({"model": model} if model else {})
            if row in log.notes:
                details["note"] = log.notes[row]
        rejected = False
        if self._proposals is not None and label is not None:
            label, score, details = self._judged(row, label, details)
            rejected = label is None
            if label is not None and not self._is_wanted(label):
                label = None
            label = self._on_level(label)
        elif self.options.unreviewed and label is None and not log.skipped(row):
            predicted, score, details = self._proposed(row, details)
        return ExportRecord(
            row, item, label, log.skipped(row), rejected, row in log.flagged, split, columns,
            predicted if label is None and not rejected else None, score, details,
            self._proba(row) if options.probabilities else {},
        )  # fmt: skip

    def _on_level(self, name: str | None) -> str | None:
        """Return the class of a proposal on the level that is written; None above it."""
        return name if self.level is None or name is None else self.level.name(name)

    def _proba(self, row: int) -> Mapping[str, float]:
        found: Mapping[str, float] = self.log.proba(row)
        if found and self.project.settings.multi_label:
            found = label_sets.class_probabilities(found, self.project.settings.names)
        return found if self.level is None else self.level.proba(found)

    def _proposed(
        self, row: int, details: dict[str, Any]
    ) -> tuple[str | None, float | None, dict[str, Any]]:
        """Return the class of a proposal that is open, its score and its provenance."""
        assert self._proposals is not None
        found = self._proposals.find(self.refs[row])
        wanted = found is not None and self._is_wanted(found.name)
        if found is None or not wanted or (name := self._on_level(found.name)) is None:
            return None, None, details
        self.unreviewed += 1
        origin = {"proposed_by": found.model, "votes": found.votes, "unreviewed": True}
        return name, found.score, {**details, **origin}

    def _judged(
        self, row: int, label: str, details: dict[str, Any]
    ) -> tuple[str | None, float | None, dict[str, Any]]:
        """Return the class that a label gives a proposal, its score and its provenance."""
        assert self._proposals is not None
        found = self._proposals.find(self.refs[row])
        if found is None:
            name = UNNAMED if label in ACCEPT_LABELS else label
            return (None if label in REJECT_LABELS else name), None, details
        if self.options.provenance:
            origin = {"proposed": found.name, "proposed_by": found.model, "votes": found.votes}
            details = {**details, **origin}
        return proposals.judge_proposal(label, found.name).name, found.score, details
