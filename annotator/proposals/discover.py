"""Object discovery over a project: the boxes become items, and one COCO file holds them all."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from annotator.detection.backbone import PatchNetwork
from annotator.detection.names import ImageNamer
from annotator.detection.objects import (
    DiscoveredImage,
    ObjectSearch,
    discover_objects,
    discovery_model_name,
)
from annotator.features.pipeline import ProgressCounter
from annotator.images import ImageFolder
from annotator.items.refs import split_ref
from annotator.project.project import ProjectFolder
from annotator.proposals.pictures import group_by_image, render_proposals, write_proposals_coco
from annotator.proposals.runs import SILENT, ProcessedImages, RunOutput
from annotator.proposals.table import read_proposals
from annotator.proposals.writing import ProposalWriter

COCO_FILE = "discovered.coco.json"
_COMMIT_SECONDS = 60.0


@dataclass(slots=True)
class DiscoveryOutcome:
    """The counts of a discovery run, and what it left out."""

    model: str
    """The model's name in the proposals."""
    complete: bool = True
    """False if it was stopped; the next run resumes."""
    looked: int = 0
    """Images that this run looked at."""
    before: int = 0
    """Images that earlier runs looked at."""
    boxes: int = 0
    added: int = 0
    """Items that are new."""
    merged: int = 0
    """Boxes that belong to items that were there before."""
    replaced: int = 0
    """Proposals of the same model with other options that gave way."""
    kept: int = 0
    """Proposals of the same model that stay: their items were judged."""
    smaller: int = 0
    """Images with too many patches, which were made smaller."""
    drawn: int = 0
    """Images drawn with their boxes."""
    left_out: list[str] = field(default_factory=list)
    """Images and proposals that take no part, each with its reason."""


def discover_proposals(
    project: ProjectFolder,
    paths: Sequence[str],
    search: ObjectSearch,
    network: PatchNetwork,
    namer: ImageNamer | None = None,
    *,
    class_names: Sequence[str] = (),
    output: RunOutput = SILENT,
    workers: int | None = None,
) -> DiscoveryOutcome:
    """Discover objects in all images that no run with these options has looked at.

    `class_names` are those that `namer` chooses from, () for a classifier's own. An image that
    cannot be read is left out, and the next run tries it again. What the same model proposed with
    other options gives way, unless its item was judged.
    """
    outcome = DiscoveryOutcome(discovery_model_name(network, search, namer))
    source = ImageFolder(project.images.resolve(), project.settings.max_pixels)
    options = {"model": outcome.model, **search.describe(), "words": list(class_names)}
    with ProcessedImages(project, options) as processed:
        todo = [path for path in paths if path not in processed]
        outcome.before = len(paths) - len(todo)
        tally = ProgressCounter(outcome.before, len(todo), time.monotonic)
        replaces = proposed_before(project, outcome.model, todo)
        writing = DiscoveryWriter(project, processed, outcome, replaces=replaces)
        with output.step(outcome.model, "images") as step, writing:
            step.progress(tally.progress())
            for image in discover_objects(
                todo, source, network, search, namer, workers=workers, stop=step.stop
            ):
                if image.fault is not None:
                    tally.count_broken(image.path, image.fault)
                    outcome.left_out.append(image.fault)
                else:
                    writing.add(image)
                    outcome.boxes += len(image.proposals)
                    outcome.smaller += image.smaller
                    tally.count(1)
                step.progress(tally.progress())
    outcome.looked = tally.computed
    outcome.complete = outcome.looked + tally.broken_count == len(todo)
    return outcome


def proposed_before(project: ProjectFolder, model: str, paths: Sequence[str]) -> bool:
    """Return whether a model has proposals in some of these images."""
    wanted = set(paths)
    return any(
        row.model == model and split_ref(row.ref)[0] in wanted for row in read_proposals(project)
    )


class DiscoveryWriter:
    """The writer of a search's proposals, and of the images that are done.

    A search that replaces proposals puts them in place once a minute, and marks images as done
    only then: a kill in between loses a minute's work and no proposal.
    """

    def __init__(
        self, project: ProjectFolder, processed: ProcessedImages, outcome: DiscoveryOutcome,
        *, replaces: bool,
    ) -> None:  # fmt: skip
        """Write into `project`, and count in `outcome`."""
        self._project, self._processed, self._outcome = project, processed, outcome
        self._models = [outcome.model] if replaces else []
        self._pending: list[str] = []
        if replaces:
            processed.forget_other_options()

    def __enter__(self) -> Self:
        self._open()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._close(whole=kind is None)

    def add(self, image: DiscoveredImage) -> None:
        """Write the proposals of an image."""
        self._writer.replace_image(image.path)
        self._writer.add(image.proposals)
        if not self._models:
            self._processed.add(image.path)
            return
        self._pending.append(image.path)
        if time.monotonic() - self._opened >= _COMMIT_SECONDS:
            self._close()
            self._open()

    def _open(self) -> None:
        self._writer = ProposalWriter(self._project, replaces=self._models)
        self._opened = time.monotonic()

    def _close(self, whole: bool = True) -> None:
        writer, outcome = self._writer, self._outcome
        if not whole and self._models:
            writer.discard()
            return
        writer.close()
        outcome.added += writer.added
        outcome.merged += writer.merged
        outcome.left_out += writer.left_out
        if writer.replaced is not None:
            outcome.replaced += writer.replaced.replaced
            outcome.kept += writer.replaced.kept
        for path in self._pending:
            self._processed.add(path)
        self._pending = []


def write_discoveries(
    project: ProjectFolder, outcome: DiscoveryOutcome, folder: Path | None = None
) -> Path:
    """Write all boxes of the outcome's model as COCO JSON, and draw them into `folder` if given.

    Return the COCO file. Images that cannot be read go to `outcome.left_out`. Raises
    `ProjectError` for a file that cannot be written.
    """
    images = group_by_image(project, outcome.model)
    coco = project.folder / COCO_FILE
    write_proposals_coco(project, images, coco, outcome.left_out.append)
    if folder is not None:
        outcome.drawn = render_proposals(project, images, folder, outcome.left_out.append)
    return coco
