"""Object discovery over a project: the boxes become items, and one COCO file holds them all."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from annotator.detection.backbone import PatchNetwork
from annotator.detection.names import ImageNamer
from annotator.detection.objects import ObjectSearch, discover_objects, discovery_model_name
from annotator.features.pipeline import ProgressCounter
from annotator.images import ImageFolder
from annotator.project.project import ProjectFolder
from annotator.proposals.pictures import group_by_image, render_proposals, write_proposals_coco
from annotator.proposals.runs import SILENT, ProcessedImages, RunOutput
from annotator.proposals.writing import ProposalWriter

COCO_FILE = "discovered.coco.json"


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
    cannot be read is left out, and the next run tries it again.
    """
    outcome = DiscoveryOutcome(discovery_model_name(network, search, namer))
    source = ImageFolder(project.images.resolve(), project.settings.max_pixels)
    options = {"model": outcome.model, **search.describe(), "words": list(class_names)}
    with ProcessedImages(project, options) as processed, ProposalWriter(project) as writer:
        todo = [path for path in paths if path not in processed]
        outcome.before = len(paths) - len(todo)
        tally = ProgressCounter(outcome.before, len(todo), time.monotonic)
        with output.step(outcome.model, "images") as step:
            step.progress(tally.progress())
            for image in discover_objects(
                todo, source, network, search, namer, workers=workers, stop=step.stop
            ):
                if image.fault is not None:
                    tally.count_broken(image.path, image.fault)
                    outcome.left_out.append(image.fault)
                else:
                    writer.add(image.proposals)
                    processed.add(image.path)
                    outcome.boxes += len(image.proposals)
                    outcome.smaller += image.smaller
                    tally.count(1)
                step.progress(tally.progress())
    outcome.looked, outcome.added, outcome.merged = tally.computed, writer.added, writer.merged
    outcome.left_out += writer.left_out
    outcome.complete = outcome.looked + tally.broken_count == len(todo)
    return outcome


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
