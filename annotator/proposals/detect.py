"""An ensemble of detectors over a project: its boxes become items, the doubtful ones first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

from annotator.detection.detectors import SCORE_FLOOR
from annotator.detection.ensemble import (
    EnsembleConfig,
    FusedImage,
    ImageAgreement,
    build_proposals,
    fuse_detections,
    fuse_images,
    list_detections,
    sort_by_agreement,
)
from annotator.detection.evaluate import DetectionFigures, evaluate_detections, read_truth
from annotator.detection.proposal import Proposal
from annotator.detection.results import DetectionAnswers
from annotator.errors import ProjectError, bullet_list
from annotator.items.refs import make_printable, plural
from annotator.log.entries import Action, Entry, LogState, replay
from annotator.log.store.open import open_store
from annotator.project.item_pool import Priority, write_priorities
from annotator.project.project import ProjectFolder
from annotator.proposals.pictures import write_proposals_coco
from annotator.proposals.runs import SILENT, RunOutput, UnreadImages
from annotator.proposals.table import ProposalRow
from annotator.proposals.verdicts import ACCEPT_LABELS
from annotator.proposals.voters import VoterOptions, VoterRun, tell_models_apart
from annotator.proposals.writing import ProposalWriter

DETECTIONS_FILE = "detected.coco.json"
DISAGREEMENT_REASON = "disagreement"
_BATCH = 5000
_MAX_NAMED = 5


# --- running the models


@dataclass(frozen=True, slots=True)
class DetectionRequest:
    """The voters of a detection run, and what they look for."""

    config: EnsembleConfig
    options: VoterOptions = VoterOptions()


@dataclass(frozen=True, slots=True)
class EnsembleAnswers:
    """The detections of the models of an ensemble in all images."""

    paths: tuple[str, ...]
    config: EnsembleConfig
    """The ensemble of the models that took part, with the classes that they know."""
    results: tuple[DetectionAnswers, ...]
    """The results of each model."""
    left_out: list[str]
    """Models and images that take no part, each with its reason."""

    def fused(self) -> Iterator[FusedImage]:
        """Fuse the detections of each image that a model answered."""
        return fuse_images(self.paths, self.results, self.config)

    def figures(self, truth: Path) -> dict[str, DetectionFigures]:
        """Return AP, precision and recall of each model, and of the whole ensemble.

        AP counts the boxes below the thresholds, too. `truth` is a COCO JSON of the images. Raises
        `RefError` for another file. Return nothing if the truth has no box in these images, because
        then AP is not defined.
        """
        config, results = self.config, self.results
        objects = read_truth(truth, sorted(config.names or ()))
        if not any(path in objects and not objects[path].crowd.all() for path in self.paths):
            return {}
        low = tuple(replace(voter, threshold=SCORE_FLOOR) for voter in config.voters)
        figures = {}
        for voter, voter_low, answers in zip(config.voters, low, results, strict=True):
            alone = replace(config, voters=(voter_low,))
            found = list_detections(self.paths, answers, alone)
            figures[voter.short] = evaluate_detections(objects, found, voter.threshold)
        if len(results) > 1:
            every = fuse_detections(self.paths, results, replace(config, voters=low))
            ap = evaluate_detections(objects, every)
            kept = evaluate_detections(objects, fuse_detections(self.paths, results, config))
            figures[f"{config.method} of {len(results)}"] = replace(
                ap, precision=kept.precision, recall=kept.recall
            )
        return figures


def run_ensemble(
    project: ProjectFolder,
    paths: Sequence[str],
    request: DetectionRequest,
    output: RunOutput = SILENT,
    workers: int | None = None,
) -> EnsembleAnswers:
    """Run each model of a request over all images, one after the other.

    A model that fails, or knows none of the classes, takes no part. Without a `min_votes` in its
    rule, a box needs the votes of more than half of the models that take part. Raises `RunStopped`,
    and `ProjectError` if no model is left; the only model of a run raises its own error.
    """
    config, classes = request.config, request.options.classes
    config = replace(config, voters=tell_models_apart(project, config.voters))
    unread = UnreadImages(len(config.voters))
    run = VoterRun(
        project, paths, request.options, output, unread, workers, alone=len(config.voters) == 1
    )
    asked = [(voter, run.ask(voter)) for voter in config.voters]
    answered = [(voter, answers) for voter, answers in asked if answers is not None]
    if not answered:
        raise _no_voter_error(run)
    known = frozenset(name for _, (_, names) in answered for name in names)
    min_votes = config.rule.min_votes or len(answered) // 2 + 1
    taking_part = replace(
        config,
        voters=tuple(voter for voter, _ in answered),
        names=known if classes else None,
        rule=replace(config.rule, min_votes=min_votes),
    )
    results = tuple(results for _, (results, _) in answered)
    return EnsembleAnswers(tuple(paths), taking_part, results, [*run.left_out, *unread.lines()])


def _no_voter_error(run: VoterRun) -> ProjectError:
    if run.failed:
        return ProjectError(bullet_list(run.left_out, "No model is left. Use other --models:"))
    return ProjectError(
        f"No model knows {make_printable(', '.join(run.options.classes))}. Change --classes, map a "
        "model's own class with --rename, or use a zero-shot model with --text."
    )


# --- writing what they found


@dataclass(slots=True)
class EnsembleOutcome:
    """The counts of a run, and what it left out."""

    images: int = 0
    boxes: int = 0
    """Fused boxes, over all images."""
    added: int = 0
    """Items that are new."""
    merged: int = 0
    """Boxes that belong to items that were there before."""
    replaced: int = 0
    """Proposals of earlier runs of these models that gave way to those of this run."""
    kept: int = 0
    """Proposals of earlier runs of these models that stay: their items were judged."""
    to_person: int = 0
    """Images whose agreement is too low: an annotator looks at them first."""
    agreed: int = 0
    """Images over which the models agree, images without a box among them."""
    accepted: int = 0
    """Items that the machine labelled."""
    no_boxes: dict[str, Counter[str]] = field(default_factory=dict)
    """Reason to the number of invalid boxes in each image."""
    left_out: list[str] = field(default_factory=list)
    """Images, models and proposals that take no part, each with its reason."""
    routes: list[ImageAgreement] = field(default_factory=list)
    found: dict[str, list[ProposalRow]] = field(default_factory=dict)
    """Image path to its fused boxes, each with its own box as its item."""

    def describe_invalid_boxes(self) -> list[str]:
        """Return a line for each reason why boxes were not valid, with the images."""
        lines = []
        for reason, images in self.no_boxes.items():
            names = [make_printable(path) for path, _ in images.most_common(_MAX_NAMED)]
            more = [f"{len(images) - _MAX_NAMED:,} more"] if len(images) > _MAX_NAMED else []
            boxes = plural(images.total(), "box", "boxes")
            lines.append(f"{boxes} {reason}, in {', '.join([*names, *more])}")
        return lines


def write_fused_images(
    project: ProjectFolder,
    images: Iterable[FusedImage],
    config: EnsembleConfig,
    *,
    accept: bool,
    timestamp: float,
) -> EnsembleOutcome:
    """Write every fused box as a proposal, and put the doubtful images first in the queue.

    What the same models proposed before in these images gives way, unless its item was judged.
    With `accept`, the machine labels the boxes that the rule keeps in images that the models
    agree about. A label that is there stays. Raises `ProjectError` if no class of the project
    stands for yes.
    """
    outcome = EnsembleOutcome()
    doubtful: dict[str, list[str]] = {}
    agreed: list[tuple[str, Proposal, ImageAgreement]] = []
    models = [voter.short for voter in config.voters]
    with ProposalWriter(project, replaces=models) as writer:
        for image in images:
            _count_image(outcome, image)
            writer.replace_image(image.path)
            made = build_proposals(image, config)
            refs = _write_proposals(writer, [proposal for _, proposal in made])
            outcome.found[image.path] = [_found_row(proposal) for _, proposal in made]
            if image.route.to_person:
                doubtful[image.path] = list(dict.fromkeys(refs))
                continue
            agreed += [
                (ref, proposal, image.route)
                for ref, (fused, proposal) in zip(refs, made, strict=True)
                if config.rule.keeps(fused)
            ]
        outcome.added, outcome.merged = writer.added, writer.merged + writer.repeated
        outcome.left_out += writer.left_out
    assert writer.replaced is not None
    outcome.replaced, outcome.kept = writer.replaced.replaced, writer.replaced.kept
    order = [route.path for route in sort_by_agreement(outcome.routes) if route.to_person]
    first = [Priority(ref, DISAGREEMENT_REASON) for path in order for ref in doubtful[path]]
    write_priorities(project, first, replace=DISAGREEMENT_REASON)
    if accept:
        outcome.accepted = _accept_agreed(project, agreed, config, timestamp)
    return outcome


def _found_row(proposal: Proposal) -> ProposalRow:
    score = round(proposal.score, 6)
    return ProposalRow(proposal.item.ref, score, proposal.votes, proposal.name, proposal.model)


def write_detections(
    project: ProjectFolder, outcome: EnsembleOutcome, file: Path | None = None
) -> Path:
    """Write all boxes of a run with their scores as COCO JSON, to `file` or into the project.

    Return the file. Raises `ProjectError` for a file that cannot be written.
    """
    place = file or project.folder / DETECTIONS_FILE
    write_proposals_coco(project, outcome.found, place, outcome.left_out.append)
    return place


def _count_image(outcome: EnsembleOutcome, image: FusedImage) -> None:
    outcome.images += 1
    outcome.boxes += len(image.fused)
    outcome.routes.append(image.route)
    if image.route.to_person:
        outcome.to_person += 1
    else:
        outcome.agreed += 1
    for reason, count in image.left_out.items():
        outcome.no_boxes.setdefault(reason, Counter())[image.path] += count


def _write_proposals(writer: ProposalWriter, proposals: list[Proposal]) -> list[str]:
    """Write proposals and return the item of each, in the given order.

    The writer answers in the order of the scores, the best first.
    """
    order = sorted(range(len(proposals)), key=lambda row: -proposals[row].score)
    refs = writer.add(proposals)
    assert len(refs) == len(proposals), "the boxes of an ensemble are sound"
    placed = dict(zip(order, refs, strict=True))
    return [placed[row] for row in range(len(proposals))]


def _accept_agreed(
    project: ProjectFolder,
    agreed: list[tuple[str, Proposal, ImageAgreement]],
    config: EnsembleConfig,
    timestamp: float,
) -> int:
    store = open_store(project)
    try:
        state = replay(store.entries())
        entries = _agreed_entries(project, state, agreed, config, timestamp)
        count = 0
        while group := list(islice(entries, _BATCH)):
            count += len(store.append(*group))
        return count
    finally:
        store.close()


def _agreed_entries(
    project: ProjectFolder,
    state: LogState,
    agreed: list[tuple[str, Proposal, ImageAgreement]],
    config: EnsembleConfig,
    timestamp: float,
) -> Iterator[Entry]:
    rule = config.rule
    done = set[str]()
    for ref, proposal, route in agreed:
        if state.decision(ref) is not None or ref in done:
            continue
        done.add(ref)
        label = _accept_label(project, proposal.name)
        extra: dict[str, Any] = {
            "machine": True, "agreement": round(route.agreement, 4), "votes": proposal.votes,
            "mean": (proposal.extra or {})["mean"], "min_score": rule.min_score,
            "min_votes": rule.min_votes, "enough": rule.min_agreement,
        }  # fmt: skip
        yield Entry(
            0, timestamp, f"model:{config.model}", Action.LABEL, ref, label,
            proba={label: proposal.score}, model=config.model, picked_by="agreement", extra=extra,
        )  # fmt: skip


def _accept_label(project: ProjectFolder, name: str) -> str:
    """Return the project's class for "this box holds what the models say"."""
    names = project.settings.names
    yes = next((word for word in (name, *ACCEPT_LABELS) if word in names), None)
    if yes is None:
        raise ProjectError(
            f"--accept-agreed has no label to give. {make_printable(str(project.folder))} has "
            f"neither the class {make_printable(name)!r} nor one that means yes. Add the class "
            "to annotator.toml."
        )
    return yes
